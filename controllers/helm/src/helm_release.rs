//! The HelmRelease kind: a chart in, a release out.
//!
//! `gather` reads chart, values and dependencies; `plan` names what is to be released; `act` looks
//! at the release and does what is needed, one action after the other, each remembered in the
//! status before the next; `report` says so.

use std::{sync::Arc, time::Duration};

use ::access::{Asker, Identities};
use api::{helm::HelmRelease, meta::SecretKeyReference};
use cluster::{Cluster, KubeconfigOptions, drift::DriftBook};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, ResourceExt, runtime::reflector::ObjectRef};
use runtime::{
    Change, Conduct, Failure, Moment, Next, Note, Progress, Report, Summary, Triggers,
    access::Access,
    conduct::{Begin, Retry},
    features::Features,
};
use tokio::sync::Semaphore;

use crate::{DigestAlgorithm, features};

mod act;
mod attempts;
mod chart;
mod chart_object;
mod cleanup;
mod decide;
mod dependencies;
mod digest;
mod drift;
mod gather;
mod health;
mod history;
mod journal;
mod localhost;
mod perform;
mod plan;
mod source;
mod spec;
mod triggers;
mod undo;
mod values;

pub(crate) use attempts::Attempts;
pub(crate) use chart::ChartCache;
pub(crate) use localhost::Localhost;

const KIND: &str = "HelmRelease";
/// What tokens for other clusters are for, as the metrics name it.
const CONNECTING: &str = "reconcile";

/// Reconciles HelmReleases.
pub struct Reconciler {
    pub(crate) client: Client,
    pub(crate) cluster: Cluster,
    pub(crate) identities: Identities,
    pub(crate) charts: ChartCache,
    pub(crate) access: Access,
    pub(crate) features: Features,
    pub(crate) localhost: Localhost,
    pub(crate) requeue_dependency: Duration,
    pub(crate) default_service_account: Option<String>,
    pub(crate) override_managers: Vec<String>,
    pub(crate) config_selector: String,
    pub(crate) kubeconfig: KubeconfigOptions,
    pub(crate) digests: DigestAlgorithm,
    pub(crate) processors: Arc<Semaphore>,
    pub(crate) attempts: Arc<Attempts>,
    pub(crate) drift: Arc<DriftBook>,
}

impl std::fmt::Debug for Reconciler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reconciler")
            .field("features", &self.features)
            .finish_non_exhaustive()
    }
}

/// What a run that ended well leaves to write.
#[derive(Debug)]
pub struct Outcome(Change);

impl runtime::Reconciler for Reconciler {
    type Object = HelmRelease;
    type Inputs = gather::Inputs;
    type Plan = plan::Plan;
    type Outcome = Outcome;

    const CONDUCT: Conduct = Conduct {
        owned: &[
            journal::RELEASED,
            journal::REMEDIATED,
            journal::TESTED,
            journal::DRIFTED,
        ],
        summary: Summary::Explicit,
        retry: Retry::Exponential,
        closes_suspended: false,
        begin: Begin::WithFirstNote("reconciliation in progress"),
    };

    async fn gather(
        &self,
        object: &HelmRelease,
        progress: &Progress,
    ) -> Result<gather::Inputs, Failure> {
        Box::pin(self.read(object, progress)).await
    }

    fn plan(
        object: &HelmRelease,
        inputs: gather::Inputs,
        _now: Timestamp,
    ) -> Result<Next<plan::Plan, Outcome>, Failure> {
        plan::make(object, inputs).map(Next::Last)
    }

    async fn act(
        &self,
        object: &HelmRelease,
        plan: plan::Plan,
        progress: &Progress,
    ) -> Result<Outcome, Failure> {
        let released = Box::pin(self.release(object, plan, progress)).await;
        self.attempts.end(object);
        released.map(Outcome)
    }

    fn report(_object: &HelmRelease, outcome: &Outcome, _moment: Moment) -> Report {
        Report {
            change: outcome.0.clone(),
            notes: Vec::new(),
            requeue: None,
        }
    }

    async fn cleanup(
        &self,
        object: &HelmRelease,
        progress: &Progress,
    ) -> Result<Vec<Note>, Failure> {
        Box::pin(self.clean(object, progress)).await
    }

    fn triggers(
        &self,
        triggers: &Triggers<HelmRelease>,
    ) -> Vec<futures::stream::BoxStream<'static, ObjectRef<HelmRelease>>> {
        let external = self.features.enabled(features::EXTERNAL_ARTIFACT);
        let configs = !self.features.enabled(features::NO_CONFIG_WATCHES);
        let selector = configs.then_some(self.config_selector.as_str());
        let mut all = triggers::all(triggers, external, selector, &self.attempts);
        let book = Arc::clone(&self.drift);
        all.push(drift::watch(triggers, self.cluster.clone(), book));
        all
    }

    fn forget(&self, object: &ObjectRef<HelmRelease>) {
        self.attempts.forget(object);
        self.drift.forget(&drift::key_of(object));
        let namespace = object.namespace.as_deref().unwrap_or_default();
        self.identities
            .forget(KIND, namespace, &object.name, CONNECTING);
    }
}

impl Reconciler {
    /// Returns the cluster that a release goes to, as its account sees it.
    ///
    /// # Errors
    /// A sentence for Ready.
    async fn cluster_of(&self, object: &HelmRelease) -> Result<Cluster, String> {
        let kube_config = object.spec.kube_config.as_ref();
        let config_map = kube_config.and_then(|k| k.config_map_ref.as_ref());
        let secret = kube_config.and_then(|k| k.secret_ref.as_ref());
        let cluster = match (config_map, secret) {
            (Some(reference), _) => self.by_identity(object, &reference.name).await?,
            (None, Some(reference)) => self.remote(object, reference).await?,
            (None, None) => self.cluster.clone(),
        };
        let Some(account) = self.account(object) else {
            return Ok(cluster);
        };
        let namespace = object.namespace().unwrap_or_default();
        let seen = cluster.impersonate(&namespace, &account);
        seen.map_err(|error| runtime::failure::chain(&error))
    }

    /// The service account that a release is made as, if any.
    fn account(&self, object: &HelmRelease) -> Option<String> {
        let named = object.spec.service_account_name.clone();
        named
            .filter(|a| !a.is_empty())
            .or_else(|| self.default_service_account.clone())
    }

    /// Connects to the cluster that a ConfigMap describes, by the identity that it names.
    async fn by_identity(&self, object: &HelmRelease, config_map: &str) -> Result<Cluster, String> {
        let asker = Asker {
            kind: KIND,
            namespace: &object.namespace().unwrap_or_default(),
            name: &object.name_any(),
            operation: CONNECTING,
            account: None,
            proxy: &net_http::Proxy::Environment,
        };
        let cluster = self.identities.connect(config_map, &asker).await;
        cluster.map_err(|error| runtime::failure::chain(&error))
    }

    /// Connects to the cluster of a kubeconfig Secret.
    async fn remote(
        &self,
        object: &HelmRelease,
        reference: &SecretKeyReference,
    ) -> Result<Cluster, String> {
        let namespace = object.namespace().unwrap_or_default();
        let id = format!("{namespace}/{}", reference.name);
        let api = Api::<Secret>::namespaced(self.client.clone(), &namespace);
        let secret = api.get(&reference.name).await.map_err(|error| {
            let cause = runtime::failure::chain(&error);
            format!("could not get KubeConfig secret '{id}': {cause}")
        })?;
        let data = secret.data.unwrap_or_default();
        let data = data.into_iter().map(|(k, v)| (k, v.0)).collect();
        let key = reference.key.as_deref();
        let cluster = Cluster::from_kubeconfig(&id, &data, key, self.kubeconfig).await;
        cluster.map_err(|error| runtime::failure::chain(&error))
    }
}
