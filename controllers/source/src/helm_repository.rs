//! HelmRepository: the index of a Helm repository as an artifact. One of type `oci` only names a registry.
//!
//! [`gather`] looks after the stored artifact, reads Secrets and downloads the index where it changed; [`plan`] compares
//! it with what is published; [`act`] sorts and publishes; [`report`] tells.

pub(crate) mod access;
mod act;
pub(crate) mod gather;
mod plan;
mod report;

use std::sync::Arc;

use api::meta::Artifact;
use api::source::{HelmRepository, HelmRepositoryKind};
use helmrepo::Validators;
use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use runtime::{Failure, Next, Reconciler};
use serde::{Deserialize, Serialize};

use crate::index_cache::IndexCache;
use crate::stages::{Setup, stages};

pub(crate) const KIND: &str = "HelmRepository";
/// The link to the newest index.
const LINK: &str = "index.yaml";

/// What a server said of the index that is published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Known {
    /// A digest of its address, which may hold credentials.
    address: String,
    revision: String,
    validators: Validators,
}

/// Reconciles HelmRepositories.
#[derive(Debug)]
pub struct HelmRepositories {
    setup: Setup,
    /// The largest index, in bytes.
    max_index_bytes: u64,
    indexes: Arc<IndexCache>,
}

impl HelmRepositories {
    /// Creates the reconciler, which takes indexes up to `max_index_bytes`. What charts know of one goes with it.
    pub(crate) fn new(setup: Setup, max_index_bytes: u64, indexes: Arc<IndexCache>) -> Self {
        Self {
            setup,
            max_index_bytes,
            indexes,
        }
    }

    /// Returns what the server said of the index of this address, if that is the one that is published.
    async fn known(&self, url: &str, published: Option<&Artifact>) -> Validators {
        let Some(published) = published else {
            return Validators::default();
        };
        let known: Option<Known> = self.setup.shelf.recall(published).await;
        let address = Known::address(url);
        let known =
            known.filter(|known| known.address == address && known.revision == published.revision);
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
        let namespace = object.namespace.as_deref().unwrap_or_default();
        self.indexes.forget((namespace, &object.name));
    }
}
