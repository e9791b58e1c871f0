//! The HelmRelease kind: a chart in, a release out.
//!
//! `gather` reads chart, values and dependencies; `plan` names what is to be released; `act` looks
//! at the release and does what is needed, one action after the other, each remembered in the
//! status before the next; `report` says so.

use std::{sync::Arc, time::Duration};

use ::access::{Clusters, Destination};
use api::helm::HelmRelease;
use cluster::{Cluster, drift::DriftBook};
use jiff::Timestamp;
use kube::{Client, ResourceExt, runtime::reflector::ObjectRef};
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
mod preview;
mod rules;
mod source;
mod spec;
mod triggers;
mod undo;
mod values;

pub(crate) use attempts::Attempts;
pub(crate) use chart::ChartCache;
pub(crate) use localhost::Localhost;
pub use preview::{Preview, preview};

const KIND: &str = "HelmRelease";

/// Reconciles HelmReleases.
pub struct Reconciler {
    pub(crate) client: Client,
    pub(crate) clusters: Clusters,
    pub(crate) charts: ChartCache,
    pub(crate) access: Access,
    pub(crate) features: Features,
    pub(crate) localhost: Localhost,
    pub(crate) requeue_dependency: Duration,
    pub(crate) override_managers: Vec<String>,
    pub(crate) config_selector: String,
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
        plans_at_length: true,
        heeds_requests: false,
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
        all.push(drift::watch(triggers, self.clusters.home().clone(), book));
        all
    }

    fn forget(&self, object: &ObjectRef<HelmRelease>) {
        self.attempts.forget(object);
        self.drift.forget(&drift::key_of(object));
        let namespace = object.namespace.as_deref().unwrap_or_default();
        self.clusters.forget(KIND, namespace, &object.name);
    }
}

impl Reconciler {
    /// Returns the cluster that a release goes to, as its account sees it.
    ///
    /// # Errors
    /// A sentence for Ready.
    async fn cluster_of(&self, object: &HelmRelease) -> Result<Cluster, String> {
        let destination = Destination {
            kind: KIND,
            namespace: &object.namespace().unwrap_or_default(),
            name: &object.name_any(),
            kube_config: object.spec.kube_config.as_ref(),
            account: object.spec.service_account_name.as_deref(),
        };
        self.clusters.of(&destination).await
    }

    /// The service account that a release is made as, if any.
    fn account<'a>(&'a self, object: &'a HelmRelease) -> Option<&'a str> {
        self.clusters
            .account(object.spec.service_account_name.as_deref())
    }
}
