//! HelmRepository: the index of a Helm repository as an artifact. One of type `oci` only names a registry.
//!
//! [`gather`] looks after the stored artifact, reads Secrets and downloads the index where it changed; [`plan`] compares
//! it with what is published; [`act`] sorts and publishes; [`report`] tells.

pub(crate) mod access;
mod act;
pub(crate) mod gather;
mod plan;
mod report;

use api::source::{HelmRepository, HelmRepositoryKind};
use helmrepo::Validators;
use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use runtime::{Failure, Next, Reconciler};

use crate::stages::{Memory, Setup, stages};

pub(crate) const KIND: &str = "HelmRepository";
/// The link to the newest index.
const LINK: &str = "index.yaml";

/// What a server said of the index that is published.
#[derive(Clone, Debug)]
struct Known {
    url: String,
    revision: String,
    validators: Validators,
}

/// Reconciles HelmRepositories.
#[derive(Debug)]
pub struct HelmRepositories {
    setup: Setup,
    /// The largest index, in bytes.
    max_index_bytes: u64,
    known: Memory<HelmRepository, Known>,
}

impl HelmRepositories {
    /// Creates the reconciler, which takes indexes up to `max_index_bytes`.
    pub fn new(setup: Setup, max_index_bytes: u64) -> Self {
        Self {
            setup,
            max_index_bytes,
            known: Memory::default(),
        }
    }

    /// Returns what the server said of the index of this address, if that is the one that is published.
    fn known(&self, object: &HelmRepository, url: &str, revision: Option<&str>) -> Validators {
        let known = self.known.recall(object, |known| {
            known.url == url && Some(known.revision.as_str()) == revision
        });
        known.map(|known| known.validators).unwrap_or_default()
    }
}

impl Reconciler for HelmRepositories {
    stages!(HelmRepository, failures: [], vouched: []);

    fn is_static(object: &HelmRepository) -> bool {
        object.spec.kind == Some(HelmRepositoryKind::Oci)
    }

    fn plan(
        _object: &HelmRepository,
        inputs: gather::Inputs,
        _now: Timestamp,
    ) -> Result<Next<plan::Plan, act::Outcome>, Failure> {
        Ok(plan::plan(inputs))
    }

    fn forget(&self, object: &ObjectRef<HelmRepository>) {
        self.known.forget(object);
    }
}
