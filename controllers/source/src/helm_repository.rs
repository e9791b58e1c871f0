//! HelmRepository: the index of a Helm repository as an artifact. One of type `oci` only names a registry.
//!
//! [`gather`] looks after the stored artifact, reads Secrets and downloads the index where it changed; [`plan`] compares
//! it with what is published; [`act`] sorts and publishes; [`report`] tells.

pub(crate) mod access;
mod act;
pub(crate) mod gather;
mod plan;
mod report;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use api::source::{HelmRepository, HelmRepositoryKind};
use helmrepo::Validators;
use jiff::Timestamp;
use kube::Client;
use kube::runtime::reflector::ObjectRef;
use net_http::Clients;
use runtime::conduct::{Begin, Retry};
use runtime::{
    Conduct, Failure, Moment, Next, Note, Polarity, Progress, Reconciler, Report, Summary,
};

use crate::conditions::{
    ARTIFACT_IN_STORAGE, ARTIFACT_OUTDATED, FETCH_FAILED, STORAGE_OPERATION_FAILED,
};
use crate::shelf::Shelf;

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
    known: Mutex<HashMap<ObjectRef<HelmRepository>, Known>>,
}

/// What this kind works with.
#[derive(Clone)]
pub struct Setup {
    pub(crate) client: Client,
    pub(crate) clients: Arc<Clients>,
    pub(crate) shelf: Shelf,
    /// Where indexes are put aside.
    pub(crate) scratch: PathBuf,
    /// The largest index, in bytes.
    pub(crate) max_index_bytes: u64,
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup")
            .field("shelf", &self.shelf)
            .finish_non_exhaustive()
    }
}

impl HelmRepositories {
    /// Creates the reconciler.
    pub fn new(setup: Setup) -> Self {
        Self {
            setup,
            known: Mutex::default(),
        }
    }

    /// Returns what the server said of the index of this address, if that is the one that is published.
    fn known(&self, object: &HelmRepository, url: &str, revision: Option<&str>) -> Validators {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = known.get(&ObjectRef::from_obj(object));
        let entry =
            entry.filter(|each| each.url == url && Some(each.revision.as_str()) == revision);
        entry.map_or_else(Validators::default, |each| each.validators.clone())
    }

    fn remember(&self, object: &HelmRepository, known: Known) {
        let reference = ObjectRef::from_obj(object);
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(reference, known);
    }
}

impl Reconciler for HelmRepositories {
    type Object = HelmRepository;
    type Inputs = gather::Inputs;
    type Plan = plan::Plan;
    type Outcome = act::Outcome;

    const CONDUCT: Conduct = Conduct {
        owned: &[
            STORAGE_OPERATION_FAILED,
            FETCH_FAILED,
            ARTIFACT_OUTDATED,
            ARTIFACT_IN_STORAGE,
        ],
        summary: Summary::Ranked(&[
            (STORAGE_OPERATION_FAILED, Polarity::Negative),
            (FETCH_FAILED, Polarity::Negative),
            (ARTIFACT_OUTDATED, Polarity::Negative),
            (ARTIFACT_IN_STORAGE, Polarity::Positive),
            ("Stalled", Polarity::Negative),
            ("Reconciling", Polarity::Negative),
        ]),
        retry: Retry::Exponential,
        closes_suspended: true,
        begin: Begin::AtOnce,
    };

    fn is_static(object: &HelmRepository) -> bool {
        object.spec.kind == Some(HelmRepositoryKind::Oci)
    }

    async fn gather(
        &self,
        object: &HelmRepository,
        progress: &Progress,
    ) -> Result<gather::Inputs, Failure> {
        self.gather_inputs(object, progress).await
    }

    fn plan(
        _object: &HelmRepository,
        inputs: gather::Inputs,
        _now: Timestamp,
    ) -> Result<Next<plan::Plan, act::Outcome>, Failure> {
        Ok(plan::plan(inputs))
    }

    async fn act(
        &self,
        object: &HelmRepository,
        plan: plan::Plan,
        progress: &Progress,
    ) -> Result<act::Outcome, Failure> {
        self.publish(object, plan, progress).await
    }

    fn report(object: &HelmRepository, outcome: &act::Outcome, _moment: Moment) -> Report {
        report::report(object, outcome)
    }

    async fn cleanup(
        &self,
        object: &HelmRepository,
        _progress: &Progress,
    ) -> Result<Vec<Note>, Failure> {
        self.setup.shelf.cleanup(object)
    }

    fn forget(&self, object: &ObjectRef<HelmRepository>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(object);
    }
}
