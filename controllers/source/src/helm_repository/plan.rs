//! Decides whether the index is published already.

use api::meta::Artifact;
use runtime::Next;

use super::act::Outcome;
use super::gather::{Index, Inputs};

/// What is to be published.
#[derive(Debug)]
pub struct Plan {
    pub(super) index: Index,
    /// What is published until then.
    pub(super) published: Option<Artifact>,
}

/// Compares the downloaded bytes with those that the artifact was made from.
pub(super) fn plan(inputs: Inputs) -> Next<Plan, Outcome> {
    match (inputs.artifact, inputs.index) {
        (Some(artifact), None) => Next::Done(Outcome::Unchanged { artifact }),
        (Some(artifact), Some(index)) if index.revision == artifact.revision => {
            Next::Done(Outcome::Unchanged { artifact })
        }
        (published, Some(index)) => Next::Last(Plan { index, published }),
        // Without an artifact the server is asked without conditions; an answer without index cannot be.
        (None, None) => Next::Done(Outcome::Nothing),
    }
}
