//! Bucket: the objects of an object store as an artifact.
//!
//! [`gather`] looks after the stored artifact, reads Secrets and lists the bucket; [`plan`] compares the listing with
//! what is published; [`act`] downloads what changed and stores it; [`report`] tells.

mod access;
mod act;
mod gather;
mod plan;
mod report;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use api::source::Bucket;
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

pub(crate) const KIND: &str = "Bucket";
/// The link to the newest artifact.
const LINK: &str = "latest.tar.gz";

/// What an artifact was made of: the etag of each object.
#[derive(Clone, Debug)]
struct Made {
    revision: String,
    etags: BTreeMap<String, String>,
}

/// Reconciles Buckets.
#[derive(Debug)]
pub struct Buckets {
    setup: Setup,
    made: Mutex<HashMap<ObjectRef<Bucket>, Made>>,
}

/// What this kind works with.
#[derive(Clone)]
pub struct Setup {
    pub(crate) client: Client,
    pub(crate) clients: Arc<Clients>,
    pub(crate) shelf: Shelf,
    /// Where objects are put aside.
    pub(crate) scratch: PathBuf,
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup")
            .field("shelf", &self.shelf)
            .finish_non_exhaustive()
    }
}

impl Buckets {
    /// Creates the reconciler.
    pub fn new(setup: Setup) -> Self {
        Self {
            setup,
            made: Mutex::default(),
        }
    }

    /// Returns the etags of what is published, where this process has made it.
    fn made(&self, object: &Bucket, revision: &str) -> BTreeMap<String, String> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let made = made.get(&ObjectRef::from_obj(object));
        let made = made.filter(|made| made.revision == revision);
        made.map_or_else(BTreeMap::new, |made| made.etags.clone())
    }

    fn remember(&self, object: &Bucket, made: Made) {
        let mut all = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(ObjectRef::from_obj(object), made);
    }
}

impl Reconciler for Buckets {
    type Object = Bucket;
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

    async fn gather(
        &self,
        object: &Bucket,
        progress: &Progress,
    ) -> Result<gather::Inputs, Failure> {
        self.gather_inputs(object, progress).await
    }

    fn plan(
        object: &Bucket,
        inputs: gather::Inputs,
        _now: Timestamp,
    ) -> Result<Next<plan::Plan, act::Outcome>, Failure> {
        plan::plan(object, inputs)
    }

    async fn act(
        &self,
        object: &Bucket,
        plan: plan::Plan,
        progress: &Progress,
    ) -> Result<act::Outcome, Failure> {
        self.publish(object, plan, progress).await
    }

    fn report(object: &Bucket, outcome: &act::Outcome, _moment: Moment) -> Report {
        report::report(object, outcome)
    }

    async fn cleanup(&self, object: &Bucket, _progress: &Progress) -> Result<Vec<Note>, Failure> {
        self.setup.shelf.cleanup(object)
    }

    fn forget(&self, object: &ObjectRef<Bucket>) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.remove(object);
    }
}
