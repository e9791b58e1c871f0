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
mod verify;

use std::sync::Arc;

use api::source::HelmChart;
use futures::stream::BoxStream;
use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use registry::Registries;
use runtime::{Failure, Next, Reconciler, Triggers};

use crate::conditions::SOURCE_VERIFIED;
use crate::index_cache::IndexCache;
use crate::stages::{Setup, stages};

pub(crate) const KIND: &str = "HelmChart";
/// The link to the newest chart.
const LINK: &str = "latest.tar.gz";
const BUILD_FAILED: &str = "BuildFailed";

/// Reconciles HelmCharts.
#[derive(Debug)]
pub struct HelmCharts {
    setup: Setup,
    registries: Registries,
    limits: Limits,
    indexes: Arc<IndexCache>,
}

/// What is too large to be read.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_field_names, reason = "the unit belongs to the name")]
pub struct Limits {
    /// The largest index, in bytes.
    pub(crate) index_bytes: u64,
    /// The largest chart, in bytes.
    pub(crate) chart_bytes: u64,
    /// The largest file of a chart, in bytes.
    pub(crate) file_bytes: u64,
}

impl Limits {
    /// Returns the most bytes that a file of a chart may have in memory.
    fn file(&self) -> usize {
        usize::try_from(self.file_bytes).unwrap_or(usize::MAX)
    }
}

impl HelmCharts {
    /// Creates the reconciler.
    pub(crate) fn new(
        setup: Setup,
        registries: Registries,
        limits: Limits,
        indexes: Arc<IndexCache>,
    ) -> Self {
        Self {
            setup,
            registries,
            limits,
            indexes,
        }
    }
}

impl Reconciler for HelmCharts {
    stages!(HelmChart, failures: [BUILD_FAILED], vouched: [SOURCE_VERIFIED]);

    fn plan(
        object: &HelmChart,
        inputs: gather::Inputs,
        _now: Timestamp,
    ) -> Result<Next<plan::Plan, act::Outcome>, Failure> {
        Ok(plan::plan(object, inputs))
    }

    fn triggers(
        &self,
        triggers: &Triggers<HelmChart>,
    ) -> Vec<BoxStream<'static, ObjectRef<HelmChart>>> {
        triggers::all(triggers)
    }
}
