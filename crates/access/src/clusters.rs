//! The clusters that objects are applied to.

use ::cluster::{Cluster, KubeconfigOptions};
use api::meta::{KubeConfigReference, SecretKeyReference};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use net_http::Proxy;
use runtime::failure::chain;

use crate::{Asker, Identities};

/// What tokens for other clusters are for, as the metrics name it.
const CONNECTING: &str = "reconcile";

/// What an object says of the cluster that it is applied to, and of whom it is applied as.
#[derive(Clone, Copy, Debug)]
pub struct Destination<'a> {
    /// The object's kind.
    pub kind: &'a str,
    /// The object's namespace: that of its Secret or ConfigMap, and of its ServiceAccount.
    pub namespace: &'a str,
    /// The object's name.
    pub name: &'a str,
    /// How another cluster is reached; absent: it is the controller's own.
    pub kube_config: Option<&'a KubeConfigReference>,
    /// The ServiceAccount that the object names.
    pub account: Option<&'a str>,
}

/// Connects objects to the clusters that they are applied to.
#[derive(Clone, Debug)]
pub struct Clusters {
    home: Cluster,
    identities: Identities,
    options: KubeconfigOptions,
    default_account: Option<String>,
    unread: fn(&str, &str) -> String,
}

impl Clusters {
    /// Returns the clusters of a controller. `default_account` is the ServiceAccount that counts where an object names
    /// none; empty: the controller's own. `unread` says that a Secret, by namespace and name, cannot be read, and why.
    pub fn new(
        client: Client,
        identities: Identities,
        options: KubeconfigOptions,
        default_account: String,
        unread: fn(&str, &str) -> String,
    ) -> Self {
        Self {
            home: Cluster::new(client),
            identities,
            options,
            default_account: Some(default_account).filter(|name| !name.is_empty()),
            unread,
        }
    }

    /// Returns the controller's own cluster, as the controller sees it.
    #[must_use]
    pub const fn home(&self) -> &Cluster {
        &self.home
    }

    /// Returns the ServiceAccount that an object is applied as: the one that it names, or the default one, if any.
    #[must_use]
    pub fn account<'a>(&'a self, named: Option<&'a str>) -> Option<&'a str> {
        let named = named.filter(|name| !name.is_empty());
        named.or(self.default_account.as_deref())
    }

    /// Returns the cluster that an object is applied to, as its account sees it.
    ///
    /// # Errors
    /// A sentence for Ready.
    pub async fn of(&self, destination: &Destination<'_>) -> Result<Cluster, String> {
        let kube_config = destination.kube_config;
        let config_map = kube_config.and_then(|k| k.config_map_ref.as_ref());
        let secret = kube_config.and_then(|k| k.secret_ref.as_ref());
        let cluster = match (config_map, secret) {
            (Some(reference), _) => self.by_identity(destination, &reference.name).await?,
            (None, Some(reference)) => self.remote(destination.namespace, reference).await?,
            (None, None) => self.home.clone(),
        };
        let Some(account) = self.account(destination.account) else {
            return Ok(cluster);
        };
        let seen = cluster.impersonate(destination.namespace, account);
        seen.map_err(|error| chain(&error))
    }

    /// Takes the series of an object that is gone out of the metrics.
    pub fn forget(&self, kind: &str, namespace: &str, name: &str) {
        self.identities.forget(kind, namespace, name, CONNECTING);
    }

    /// Connects to the cluster that a ConfigMap describes, by the identity that it names.
    async fn by_identity(
        &self,
        destination: &Destination<'_>,
        config_map: &str,
    ) -> Result<Cluster, String> {
        let asker = Asker {
            kind: destination.kind,
            namespace: destination.namespace,
            name: destination.name,
            operation: CONNECTING,
            account: None,
            proxy: &Proxy::Environment,
        };
        let cluster = self.identities.connect(config_map, &asker).await;
        cluster.map_err(|error| chain(&error))
    }

    /// Connects to the cluster of a kubeconfig Secret.
    async fn remote(
        &self,
        namespace: &str,
        reference: &SecretKeyReference,
    ) -> Result<Cluster, String> {
        let id = format!("{namespace}/{}", reference.name);
        let api = Api::<Secret>::namespaced(self.home.client().clone(), namespace);
        let secret = api.get(&reference.name).await;
        let secret = secret.map_err(|error| (self.unread)(&id, &chain(&error)))?;
        let data = secret.data.unwrap_or_default();
        let data = data
            .into_iter()
            .map(|(key, value)| (key, value.0))
            .collect();
        let key = reference.key.as_deref();
        let cluster = Cluster::from_kubeconfig(&id, &data, key, self.options).await;
        cluster.map_err(|error| chain(&error))
    }
}
