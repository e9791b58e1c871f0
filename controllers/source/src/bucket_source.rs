//! Bucket: the objects of an object store as an artifact.
//!
//! [`gather`] looks after the stored artifact, reads Secrets and lists the bucket; [`plan`] compares the listing with
//! what is published; [`act`] downloads what changed and stores it; [`report`] tells.

mod access;
mod act;
mod gather;
mod plan;
mod report;

use std::collections::BTreeMap;

use api::source::Bucket;
use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use runtime::{Failure, Next, Reconciler};

use crate::stages::{Memory, Setup, stages};

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
    made: Memory<Bucket, Made>,
}

impl Buckets {
    /// Creates the reconciler.
    pub fn new(setup: Setup) -> Self {
        Self {
            setup,
            made: Memory::default(),
        }
    }

    /// Returns the etags of what is published, where this process has made it.
    fn made(&self, object: &Bucket, revision: &str) -> BTreeMap<String, String> {
        let made = self.made.recall(object, |made| made.revision == revision);
        made.map(|made| made.etags).unwrap_or_default()
    }
}

impl Reconciler for Buckets {
    stages!(Bucket, failures: [], vouched: []);

    fn plan(
        object: &Bucket,
        inputs: gather::Inputs,
        _now: Timestamp,
    ) -> Result<Next<plan::Plan, act::Outcome>, Failure> {
        plan::plan(object, inputs)
    }

    fn forget(&self, object: &ObjectRef<Bucket>) {
        self.made.forget(object);
    }
}
