//! The Kustomization kind: an artifact in, live objects out.
//!
//! `gather` reads source, dependencies, artifact and variables; `plan` builds; `act` applies,
//! prunes and waits; `report` says so.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use ::access::{Clusters, Destination, Identities};
use api::{
    kustomize::Kustomization,
    meta::{KubeConfigReference, Selector},
};
use artifact::fetch::ArtifactCache;
use cluster::Cluster;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{
    Api, Client, ResourceExt,
    runtime::reflector::{ObjectRef, Store},
};
use manifest::{metadata::Owner, order::GroupKind, selector::SelectorSpec};
use runtime::{
    Conduct, Failure, Moment, Next, Note, Progress, Report, Summary, Triggers,
    access::Access,
    conduct::{Begin, Retry},
    features::Features,
};

use crate::{
    features,
    remote::{Remotes, Unit},
};

mod act;
mod cleanup;
mod decrypt;
mod depend;
mod dependencies;
mod drift;
mod expressions;
mod gather;
mod guard;
mod health;
mod localhost;
mod plan;
mod preview;
mod report;
mod source;
mod triggers;
mod variables;

pub(crate) use act::Alone;
pub(crate) use decrypt::DataKeys;
pub(crate) use localhost::Localhost;
pub use preview::{Preview, preview};
pub(crate) use source::Shelf;

/// A run is never given less time than this, as upstream has it.
const LEAST_TIMEOUT: Duration = Duration::from_secs(30);

const KIND: &str = "Kustomization";

/// Reconciles Kustomizations.
pub struct Reconciler {
    pub(crate) client: Client,
    pub(crate) clusters: Clusters,
    pub(crate) artifacts: Arc<ArtifactCache>,
    pub(crate) access: Access,
    pub(crate) features: Features,
    pub(crate) localhost: Localhost,
    pub(crate) requeue_dependency: Duration,
    pub(crate) concurrent_ssa: usize,
    pub(crate) override_managers: Vec<String>,
    pub(crate) custom_stage_kinds: Vec<GroupKind>,
    pub(crate) config_selector: String,
    pub(crate) sops: SopsSettings,
    pub(crate) drift: Arc<drift::Book>,
    pub(crate) shelf: Arc<Shelf>,
    /// All Kustomizations, once they are watched.
    pub(crate) units: OnceLock<Store<Kustomization>>,
    pub(crate) alone: Alone,
    /// Absent where bases on other hosts are refused.
    pub(crate) remotes: Option<Remotes>,
}

/// What the controller itself has for decryption.
#[derive(Clone, Debug)]
pub(crate) struct SopsSettings {
    pub(crate) clients: Arc<net_http::Clients>,
    pub(crate) endpoints: keys::Endpoints,
    /// Namespace and name of the Secret with age keys for those that name none.
    pub(crate) age_secret: Option<(String, String)>,
    pub(crate) vault_token: Option<String>,
    /// Namespace and name of the ConfigMap with the servers of Vault that accounts may log in to.
    pub(crate) vault_servers: Option<(String, String)>,
    /// The service account to log in as where a Kustomization names none.
    pub(crate) default_account: Option<String>,
    /// Who decrypts, to clouds.
    pub(crate) identities: Identities,
    pub(crate) data_keys: Arc<DataKeys>,
}

impl std::fmt::Debug for Reconciler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reconciler")
            .field("features", &self.features)
            .finish_non_exhaustive()
    }
}

impl runtime::Reconciler for Reconciler {
    type Object = Kustomization;
    type Inputs = gather::Inputs;
    type Plan = plan::Plan;
    type Outcome = report::Outcome;

    const CONDUCT: Conduct = Conduct {
        owned: &["Healthy"],
        summary: Summary::Explicit,
        retry: Retry::Flat,
        closes_suspended: false,
        begin: Begin::WithFirstNote("Reconciliation in progress"),
        plans_at_length: true,
        heeds_requests: true,
    };

    async fn gather(
        &self,
        object: &Kustomization,
        progress: &Progress,
    ) -> Result<gather::Inputs, Failure> {
        self.read(object, progress).await
    }

    fn plan(
        object: &Kustomization,
        inputs: gather::Inputs,
        _now: Timestamp,
    ) -> Result<Next<plan::Plan, report::Outcome>, Failure> {
        plan::build(object, inputs)
    }

    async fn act(
        &self,
        object: &Kustomization,
        plan: plan::Plan,
        progress: &Progress,
    ) -> Result<report::Outcome, Failure> {
        Box::pin(self.apply(object, plan, progress)).await
    }

    fn report(object: &Kustomization, outcome: &report::Outcome, moment: Moment) -> Report {
        report::succeeded(object, outcome, moment)
    }

    async fn cleanup(
        &self,
        object: &Kustomization,
        progress: &Progress,
    ) -> Result<Vec<Note>, Failure> {
        self.clean(object, progress).await
    }

    fn retry_interval(object: &Kustomization) -> Option<Duration> {
        Some(
            object
                .spec
                .retry_interval
                .unwrap_or(object.spec.interval)
                .into(),
        )
    }

    fn triggers(
        &self,
        triggers: &Triggers<Kustomization>,
    ) -> Vec<futures::stream::BoxStream<'static, ObjectRef<Kustomization>>> {
        // Set once: a kind's triggers are asked for at its start.
        self.units.get_or_init(|| triggers.store());
        let external = self.features.enabled(features::EXTERNAL_ARTIFACT);
        let mut all = triggers::all(triggers, external, &self.config_selector, &self.shelf);
        let book = Arc::clone(&self.drift);
        all.push(drift::watch(triggers, self.clusters.home().clone(), book));
        all
    }

    fn forget(&self, object: &ObjectRef<Kustomization>) {
        self.drift.forget(object);
        self.alone.forget(object);
        let namespace = object.namespace.as_deref().unwrap_or_default();
        self.clusters.forget(KIND, namespace, &object.name);
        for operation in decrypt::OPERATIONS {
            self.sops
                .identities
                .forget(KIND, namespace, &object.name, operation);
        }
        if let Some(remotes) = &self.remotes {
            let namespace = object.namespace.clone().unwrap_or_default();
            remotes.forget(&(namespace, object.name.clone()));
        }
    }
}

impl Reconciler {
    /// Returns the cluster that a Kustomization is applied to, as its account sees it.
    ///
    /// # Errors
    /// A sentence for Ready.
    async fn cluster_of(&self, object: &Kustomization) -> Result<Cluster, String> {
        self.reach(object, object.spec.kube_config.as_ref()).await
    }

    /// Returns the cluster that Kustomizations are in, as the Kustomization's account sees it.
    ///
    /// # Errors
    /// A sentence for Ready.
    async fn home_of(&self, object: &Kustomization) -> Result<Cluster, String> {
        self.reach(object, None).await
    }

    async fn reach(
        &self,
        object: &Kustomization,
        kube_config: Option<&KubeConfigReference>,
    ) -> Result<Cluster, String> {
        let destination = Destination {
            kind: KIND,
            namespace: &object.namespace().unwrap_or_default(),
            name: &object.name_any(),
            kube_config,
            account: object.spec.service_account_name.as_deref(),
        };
        self.clusters.of(&destination).await
    }

    /// Whether the account that a Kustomization is applied as is there, or none is needed.
    async fn account_exists(&self, object: &Kustomization) -> Result<bool, Failure> {
        let named = object.spec.service_account_name.as_deref();
        let account = self.clusters.account(named);
        let Some(account) = account.filter(|_| object.spec.kube_config.is_none()) else {
            return Ok(true);
        };
        let namespace = object.namespace().unwrap_or_default();
        let api = Api::<ServiceAccount>::namespaced(self.client.clone(), &namespace);
        let found = api.get_metadata_opt(account).await;
        found
            .map(|found| found.is_some())
            .map_err(|error| Failure::retry("PruneFailed", runtime::failure::chain(&error)))
    }
}

/// Namespace and name.
fn unit(object: &Kustomization) -> Unit {
    (object.namespace().unwrap_or_default(), object.name_any())
}

/// Whether somebody wishes something that no run has answered yet.
fn is_asked_for(object: &Kustomization) -> bool {
    let requested = api::meta::requested_at(&object.metadata);
    let status = object.status.as_ref();
    let handled = status.and_then(|s| s.last_handled_reconcile_at.as_deref());
    let observed = status.and_then(|s| s.observed_generation);
    observed != object.metadata.generation || (requested.is_some() && requested != handled)
}

/// Who owns what a Kustomization applies.
fn owner(object: &Kustomization) -> Owner {
    Owner {
        group: crate::GROUP.to_owned(),
        name: object.name_any(),
        namespace: object.namespace().unwrap_or_default(),
    }
}

/// How long a run may take: `spec.timeout`, or the interval less 30 s; at least 30 s.
fn timeout(object: &Kustomization) -> Duration {
    let interval: Duration = object.spec.interval.into();
    let timeout = object.spec.timeout.map(Duration::from);
    timeout
        .unwrap_or_else(|| interval.saturating_sub(LEAST_TIMEOUT))
        .max(LEAST_TIMEOUT)
}

/// Reads which objects a rule means.
fn selector(target: &Selector) -> SelectorSpec {
    let Selector {
        group,
        version,
        kind,
        name,
        namespace,
        annotation_selector,
        label_selector,
    } = target.clone();
    SelectorSpec {
        group,
        version,
        kind,
        name,
        namespace,
        label_selector,
        annotation_selector,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: KC-067
    #[test]
    fn run_is_given_the_interval_less_half_a_minute_and_never_less_than_that() {
        let mut object = Kustomization::default();
        for (interval, given, expect) in [
            ("10m", None, 570),
            ("40s", None, 30),
            ("10m", Some("3s"), 30),
            ("1m", Some("5m"), 300),
        ] {
            object.spec.interval = interval.parse().unwrap();
            object.spec.timeout = given.map(|g| g.parse().unwrap());
            assert_eq!(timeout(&object).as_secs(), expect, "{interval} {given:?}");
        }
    }
}
