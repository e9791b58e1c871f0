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

use api::source::OCIRepository;
use jiff::Timestamp;
use registry::Registries;
use runtime::{Failure, Next, Reconciler};

use crate::conditions::SOURCE_VERIFIED;
use crate::stages::{Setup, stages};

pub(crate) const KIND: &str = "OCIRepository";
/// The link to the newest artifact.
const LINK: &str = "latest.tar.gz";

/// Reconciles OCIRepositories.
#[derive(Debug)]
pub struct OciRepositories {
    setup: Setup,
    registries: Registries,
}

impl OciRepositories {
    /// Creates the reconciler.
    pub fn new(setup: Setup, registries: Registries) -> Self {
        Self { setup, registries }
    }
}

impl Reconciler for OciRepositories {
    stages!(OCIRepository, failures: [], vouched: [SOURCE_VERIFIED]);

    fn plan(
        object: &OCIRepository,
        inputs: gather::Inputs,
        _now: Timestamp,
    ) -> Result<Next<plan::Plan, act::Outcome>, Failure> {
        Ok(plan::plan(object, inputs))
    }
}
