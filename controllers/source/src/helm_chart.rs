//! HelmChart: a chart of a Helm repository, a registry, a Git repository or a bucket as an artifact.
//!
//! [`gather`] looks after the stored artifact, finds the source and in it the version that is meant; [`plan`] compares
//! it with what is published; [`act`] downloads and packages; [`report`] tells.

mod act;
mod build;
mod dependencies;
mod failure;
mod find;
mod gather;
mod plan;
mod report;
mod source;
mod triggers;
mod values;

use std::sync::Arc;

use api::source::HelmChart;
use futures::stream::BoxStream;
use jiff::Timestamp;
use kube::Client;
use kube::runtime::reflector::ObjectRef;
use net_http::Clients;
use registry::Registries;
use runtime::conduct::{Begin, Retry};
use runtime::{
    Conduct, Failure, Moment, Next, Note, Polarity, Progress, Reconciler, Report, Summary, Triggers,
};

use crate::conditions::{
    ARTIFACT_IN_STORAGE, ARTIFACT_OUTDATED, FETCH_FAILED, SOURCE_VERIFIED, STORAGE_OPERATION_FAILED,
};
use crate::shelf::Shelf;

pub(crate) const KIND: &str = "HelmChart";
/// The link to the newest chart.
const LINK: &str = "latest.tar.gz";
const BUILD_FAILED: &str = "BuildFailed";

/// Reconciles HelmCharts.
#[derive(Debug)]
pub struct HelmCharts {
    setup: Setup,
}

/// What this kind works with.
#[derive(Clone)]
pub struct Setup {
    pub(crate) client: Client,
    pub(crate) clients: Arc<Clients>,
    pub(crate) registries: Registries,
    pub(crate) shelf: Shelf,
    /// Where sources are unpacked.
    pub(crate) scratch: std::path::PathBuf,
    /// The largest index, in bytes.
    pub(crate) max_index_bytes: u64,
    /// The largest chart, in bytes.
    pub(crate) max_chart_bytes: u64,
    /// The largest file of a chart, in bytes.
    pub(crate) max_file_bytes: u64,
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup")
            .field("shelf", &self.shelf)
            .finish_non_exhaustive()
    }
}

impl HelmCharts {
    /// Creates the reconciler.
    pub fn new(setup: Setup) -> Self {
        Self { setup }
    }
}

impl Reconciler for HelmCharts {
    type Object = HelmChart;
    type Inputs = gather::Inputs;
    type Plan = plan::Plan;
    type Outcome = act::Outcome;

    const CONDUCT: Conduct = Conduct {
        owned: &[
            STORAGE_OPERATION_FAILED,
            FETCH_FAILED,
            BUILD_FAILED,
            ARTIFACT_OUTDATED,
            ARTIFACT_IN_STORAGE,
            SOURCE_VERIFIED,
        ],
        summary: Summary::Ranked(&[
            (STORAGE_OPERATION_FAILED, Polarity::Negative),
            (FETCH_FAILED, Polarity::Negative),
            (BUILD_FAILED, Polarity::Negative),
            (ARTIFACT_OUTDATED, Polarity::Negative),
            (ARTIFACT_IN_STORAGE, Polarity::Positive),
            (SOURCE_VERIFIED, Polarity::Bipolar),
            ("Stalled", Polarity::Negative),
            ("Reconciling", Polarity::Negative),
        ]),
        retry: Retry::Exponential,
        closes_suspended: true,
        begin: Begin::AtOnce,
    };

    async fn gather(
        &self,
        object: &HelmChart,
        progress: &Progress,
    ) -> Result<gather::Inputs, Failure> {
        self.gather_inputs(object, progress).await
    }

    fn plan(
        object: &HelmChart,
        inputs: gather::Inputs,
        _now: Timestamp,
    ) -> Result<Next<plan::Plan, act::Outcome>, Failure> {
        Ok(plan::plan(object, inputs))
    }

    async fn act(
        &self,
        object: &HelmChart,
        plan: plan::Plan,
        progress: &Progress,
    ) -> Result<act::Outcome, Failure> {
        self.publish(object, plan, progress).await
    }

    fn report(object: &HelmChart, outcome: &act::Outcome, _moment: Moment) -> Report {
        report::report(object, outcome)
    }

    async fn cleanup(
        &self,
        object: &HelmChart,
        _progress: &Progress,
    ) -> Result<Vec<Note>, Failure> {
        self.setup.shelf.cleanup(object)
    }

    fn triggers(
        &self,
        triggers: &Triggers<HelmChart>,
    ) -> Vec<BoxStream<'static, ObjectRef<HelmChart>>> {
        triggers::all(triggers)
    }
}
