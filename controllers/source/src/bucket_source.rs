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

use api::meta::Artifact;
use api::source::Bucket;
use jiff::Timestamp;
use runtime::{Failure, Next, Reconciler};
use serde::{Deserialize, Serialize};

use crate::stages::{Setup, stages};

pub(crate) const KIND: &str = "Bucket";
/// The link to the newest artifact.
const LINK: &str = "latest.tar.gz";

/// What an artifact was made of: the etag of each object.
#[derive(Debug, Serialize, Deserialize)]
struct Made {
    revision: String,
    etags: BTreeMap<String, String>,
}

/// Reconciles Buckets.
#[derive(Debug)]
pub struct Buckets {
    setup: Setup,
}

impl Buckets {
    /// Creates the reconciler.
    pub fn new(setup: Setup) -> Self {
        Self { setup }
    }

    /// Returns the etags of what is published, where they are known.
    async fn made(&self, published: &Artifact) -> BTreeMap<String, String> {
        let made: Option<Made> = self.setup.shelf.recall(published).await;
        let made = made.filter(|made| made.revision == published.revision);
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
}
