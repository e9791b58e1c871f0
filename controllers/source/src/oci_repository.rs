//! OCIRepository: a layer of an image of a registry as an artifact.
//!
//! [`gather`] looks after the stored artifact, reads Secrets and asks the registry what is meant; [`plan`] compares it
//! with what is published; [`act`] fetches the layer and stores it; [`report`] tells.

mod access;
mod act;
mod choose;
mod gather;
mod plan;
mod report;

use std::path::PathBuf;
use std::sync::Arc;

use api::source::OCIRepository;
use jiff::Timestamp;
use kube::Client;
use net_http::Clients;
use registry::Registries;
use runtime::conduct::{Begin, Retry};
use runtime::{
    Conduct, Failure, Moment, Next, Note, Polarity, Progress, Reconciler, Report, Summary,
};

use crate::conditions::{
    ARTIFACT_IN_STORAGE, ARTIFACT_OUTDATED, FETCH_FAILED, SOURCE_VERIFIED, STORAGE_OPERATION_FAILED,
};
use crate::shelf::Shelf;

pub(crate) const KIND: &str = "OCIRepository";
/// The link to the newest artifact.
const LINK: &str = "latest.tar.gz";

/// Reconciles OCIRepositories.
#[derive(Debug)]
pub struct OciRepositories {
    setup: Setup,
}

/// What this kind works with.
#[derive(Clone)]
pub struct Setup {
    pub(crate) client: Client,
    pub(crate) clients: Arc<Clients>,
    pub(crate) registries: Registries,
    pub(crate) shelf: Shelf,
    /// Where layers are unpacked.
    pub(crate) scratch: PathBuf,
    /// Whether objects may name the ServiceAccount whose cloud identity they use.
    pub(crate) object_identity: bool,
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup")
            .field("shelf", &self.shelf)
            .finish_non_exhaustive()
    }
}

impl OciRepositories {
    /// Creates the reconciler.
    pub fn new(setup: Setup) -> Self {
        Self { setup }
    }
}

impl Reconciler for OciRepositories {
    type Object = OCIRepository;
    type Inputs = gather::Inputs;
    type Plan = plan::Plan;
    type Outcome = act::Outcome;

    const CONDUCT: Conduct = Conduct {
        owned: &[
            STORAGE_OPERATION_FAILED,
            FETCH_FAILED,
            ARTIFACT_OUTDATED,
            ARTIFACT_IN_STORAGE,
            SOURCE_VERIFIED,
        ],
        summary: Summary::Ranked(&[
            (STORAGE_OPERATION_FAILED, Polarity::Negative),
            (FETCH_FAILED, Polarity::Negative),
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
        object: &OCIRepository,
        progress: &Progress,
    ) -> Result<gather::Inputs, Failure> {
        self.gather_inputs(object, progress).await
    }

    fn plan(
        object: &OCIRepository,
        inputs: gather::Inputs,
        _now: Timestamp,
    ) -> Result<Next<plan::Plan, act::Outcome>, Failure> {
        Ok(plan::plan(object, inputs))
    }

    async fn act(
        &self,
        object: &OCIRepository,
        plan: plan::Plan,
        progress: &Progress,
    ) -> Result<act::Outcome, Failure> {
        self.publish(object, plan, progress).await
    }

    fn report(object: &OCIRepository, outcome: &act::Outcome, _moment: Moment) -> Report {
        report::report(object, outcome)
    }

    async fn cleanup(
        &self,
        object: &OCIRepository,
        _progress: &Progress,
    ) -> Result<Vec<Note>, Failure> {
        self.setup.shelf.cleanup(object)
    }
}
