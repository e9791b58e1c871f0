//! The cluster that commands look at, and our objects in it.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use api::served::{Kind, kinds};
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::{Client, Config};
use serde_json::Value;

pub(crate) mod name;
pub(crate) mod progress;
pub(crate) mod standing;
pub(crate) mod table;

use name::ObjectName;

/// Objects in one answer of the API server.
const PAGE: u32 = 500;

/// Which cluster, and where in it.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Place {
    /// The kubeconfig file; else $KUBECONFIG, ~/.kube/config, or the pod's own account.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig.
    #[arg(long)]
    context: Option<String>,
    /// The namespace.
    #[arg(short, long, env = "FLUX_SYSTEM_NAMESPACE")]
    pub(crate) namespace: Option<String>,
}

impl Place {
    /// Returns the namespace that is meant where none is given.
    pub(crate) fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or("flux-system")
    }
}

/// A connection to a cluster.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) client: Client,
}

impl Cluster {
    /// Connects to the cluster.
    ///
    /// # Errors
    /// When there is no configuration that can be read.
    pub(crate) async fn connect(place: &Place) -> Result<Self> {
        // Another part of the process may have chosen a provider already; any does.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let options = KubeConfigOptions {
            context: place.context.clone(),
            ..KubeConfigOptions::default()
        };
        let config = match &place.kubeconfig {
            Some(path) => {
                let read = Kubeconfig::read_from(path)
                    .with_context(|| format!("reading {}", path.display()))?;
                Config::from_custom_kubeconfig(read, &options).await
            }
            None if place.context.is_none() => return Self::of(Config::infer().await),
            None => Config::from_kubeconfig(&options).await,
        };
        Self::of(config)
    }

    fn of<E>(config: Result<Config, E>) -> Result<Self>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let config = config.context("no cluster is configured")?;
        let client = Client::try_from(config).context("connecting to the cluster")?;
        Ok(Self { client })
    }

    /// Returns access to the objects of a kind; `None`: in all namespaces.
    pub(crate) fn api(&self, kind: &Kind, namespace: Option<&str>) -> Api<DynamicObject> {
        let gvk = GroupVersionKind::gvk(kind.group, kind.storage().name, kind.kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, kind.plural);
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        }
    }

    /// Returns an object; `None` where it is not there or its kind is not served.
    ///
    /// # Errors
    /// When the API server refuses.
    pub(crate) async fn find(&self, name: &ObjectName) -> Result<Option<DynamicObject>> {
        let api = self.api(name.kind, Some(&name.namespace));
        api.get_opt(&name.name)
            .await
            .with_context(|| format!("reading {name}"))
    }

    /// Returns an object.
    ///
    /// # Errors
    /// When it is not there or the API server refuses.
    pub(crate) async fn get(&self, name: &ObjectName) -> Result<DynamicObject> {
        let found = self.find(name).await?;
        found.with_context(|| format!("there is no {name}"))
    }

    /// Returns the objects of a kind; none where the kind is not served.
    ///
    /// # Errors
    /// When the API server refuses.
    pub(crate) async fn list(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        selector: Option<&str>,
    ) -> Result<Vec<DynamicObject>> {
        let api = self.api(kind, namespace);
        let mut params = ListParams::default().limit(PAGE);
        params.label_selector = selector.map(str::to_owned);
        let mut objects = Vec::new();
        loop {
            let page = match api.list(&params).await {
                Ok(page) => page,
                Err(kube::Error::Api(status)) if status.code == 404 => return Ok(objects),
                Err(error) => {
                    return Err(error).with_context(|| format!("listing {}", kind.plural));
                }
            };
            objects.extend(page.items);
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(objects),
            }
        }
    }
}

/// Returns the kind of that name: its singular, plural or short name, in any case.
pub(crate) fn kind(text: &str) -> Option<&'static Kind> {
    let is = |name: &str| name.eq_ignore_ascii_case(text);
    kinds().find(|kind| {
        is(kind.kind) || is(kind.plural) || kind.short_names.iter().any(|name| is(name))
    })
}

/// Returns the part of an object at a path such as `/status/artifact/revision`, where it is text.
pub(crate) fn text<'a>(object: &'a DynamicObject, pointer: &str) -> Option<&'a str> {
    let found = object.data.pointer(pointer).and_then(Value::as_str);
    found.filter(|text| !text.is_empty())
}
