//! What the demo asks the cluster.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::{Client, Config};
use serde_json::{Value, json};
use testkit::{ControlPlane, Program};

/// The namespace of the demo's source and Kustomizations.
pub(super) const NAMESPACE: &str = "lockgate-demo";
/// How long the controllers may take to clean up after an object.
const LETTING_GO: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(10);

/// A cluster and how to talk to it.
pub(super) struct Cluster {
    pub client: Client,
    pub kubeconfig: PathBuf,
    pub kubectl: PathBuf,
}

impl Cluster {
    /// Connects to the control plane started here, or to the current kubeconfig's.
    pub(super) async fn connect(plane: Option<&ControlPlane>, kubectl: PathBuf) -> Result<Self> {
        if let Some(plane) = plane {
            return Ok(Self {
                client: plane.client(),
                kubeconfig: plane.kubeconfig_path(),
                kubectl,
            });
        }
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let client = Client::try_from(Config::infer().await?)?;
        let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".kube/config"));
        let kubeconfig = std::env::var_os("KUBECONFIG")
            .map(PathBuf::from)
            .or_else(home);
        Ok(Self {
            client,
            kubeconfig: kubeconfig.context("no kubeconfig")?,
            kubectl,
        })
    }

    /// Describes a run of a controller against this cluster.
    pub(super) fn program(&self, binary: PathBuf) -> Result<Program> {
        Program::against(binary, &self.kubeconfig)
    }

    pub(super) fn kubectl(&self, args: &[&str]) -> Result<()> {
        let status = Command::new(&self.kubectl)
            .args(args)
            .env("KUBECONFIG", &self.kubeconfig)
            .status()
            .context("running kubectl")?;
        ensure!(status.success(), "kubectl {} failed", args.join(" "));
        Ok(())
    }

    /// Applies every document of a YAML text.
    pub(super) async fn apply(&self, yaml: &str) -> Result<()> {
        let limits = yaml::Limits::default();
        for node in yaml::parse(yaml.as_bytes(), "demo", yaml::Schema::Core, &limits)? {
            let object = yaml::to_json(&node)?;
            let text = |path: &str| {
                object
                    .pointer(path)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
            };
            let name = text("/metadata/name").to_owned();
            let api = self.api(
                text("/apiVersion"),
                text("/kind"),
                text("/metadata/namespace"),
            );
            let params = PatchParams::apply("demo").force();
            api.patch(&name, &params, &Patch::Apply(&object)).await?;
        }
        Ok(())
    }

    /// Deletes what the demo made, where the cluster is not its own. The controllers still run:
    /// they let their objects go.
    pub(super) async fn remove(&self) -> Result<()> {
        let gone = |o: Option<&DynamicObject>| o.is_none();
        let params = DeleteParams::default();
        let kustomizations = self.kustomizations();
        for name in ["dev", "staging", "prod"] {
            kustomizations.delete(name, &params).await.ok();
            self.until(&kustomizations, name, LETTING_GO, gone).await?;
        }
        let image = |kind| self.api("image.toolkit.fluxcd.io/v1", kind, NAMESPACE);
        for api in [
            image("ImageUpdateAutomation"),
            image("ImagePolicy"),
            image("ImageRepository"),
            self.sources(),
        ] {
            api.delete("shop", &params).await.ok();
            self.until(&api, "shop", LETTING_GO, gone).await?;
        }
        let namespaces = self.api("v1", "Namespace", "");
        namespaces.delete(NAMESPACE, &params).await.ok();
        Ok(())
    }

    pub(super) fn api(&self, api_version: &str, kind: &str, namespace: &str) -> Api<DynamicObject> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let gvk = GroupVersionKind::gvk(group, version, kind);
        let resource = ApiResource::from_gvk(&gvk);
        if namespace.is_empty() {
            Api::all_with(self.client.clone(), &resource)
        } else {
            Api::namespaced_with(self.client.clone(), namespace, &resource)
        }
    }

    pub(super) fn kustomizations(&self) -> Api<DynamicObject> {
        self.api("kustomize.toolkit.fluxcd.io/v1", "Kustomization", NAMESPACE)
    }

    pub(super) fn sources(&self) -> Api<DynamicObject> {
        self.api("source.toolkit.fluxcd.io/v1", "GitRepository", NAMESPACE)
    }

    pub(super) fn images(&self) -> Api<DynamicObject> {
        self.api("image.toolkit.fluxcd.io/v1", "ImageRepository", NAMESPACE)
    }

    /// Asks the source for a run, as `flux reconcile source git shop` does.
    pub(super) async fn request(&self) -> Result<()> {
        self.request_of(&self.sources(), "shop").await
    }

    /// Asks an object for a run, as `flux reconcile` does.
    pub(super) async fn request_of(&self, api: &Api<DynamicObject>, name: &str) -> Result<()> {
        let token = format!("{:?}", std::time::SystemTime::now());
        let patch =
            json!({ "metadata": { "annotations": { "reconcile.fluxcd.io/requestedAt": token } } });
        api.patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await?;
        Ok(())
    }

    /// Waits until an object is as wanted and returns how long that took.
    pub(super) async fn until(
        &self,
        api: &Api<DynamicObject>,
        name: &str,
        patience: Duration,
        wanted: impl Fn(Option<&DynamicObject>) -> bool,
    ) -> Result<Duration> {
        let began = Instant::now();
        loop {
            let now = api.get_opt(name).await?;
            if wanted(now.as_ref()) {
                return Ok(began.elapsed());
            }
            if began.elapsed() > patience {
                let conditions = now.as_ref().map(conditions).unwrap_or_default();
                bail!("{name} is not as promised after {patience:?}: {conditions}");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Returns a field by JSON pointer.
pub(super) fn field<'a>(object: &'a DynamicObject, pointer: &str) -> &'a Value {
    object.data.pointer(pointer).unwrap_or(&Value::Null)
}

/// Returns whether Ready has this status.
pub(super) fn ready(object: &DynamicObject, status: &str) -> bool {
    condition(object, "Ready").is_some_and(|c| c["status"] == status)
}

pub(super) fn condition<'a>(object: &'a DynamicObject, type_: &str) -> Option<&'a Value> {
    field(object, "/status/conditions")
        .as_array()?
        .iter()
        .find(|c| c["type"] == type_)
}

fn conditions(object: &DynamicObject) -> String {
    field(object, "/status/conditions").to_string()
}
