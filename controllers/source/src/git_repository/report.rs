//! What a finished run says: status, conditions, events.

use api::meta::Artifact;
use api::source::GitRepository;
use runtime::{Change, Note, Report};

use super::INCLUDE_UNAVAILABLE;
use super::act::Outcome;
use super::verify::Verified;
use crate::conditions::{FETCH_FAILED, SOURCE_VERIFIED, STORAGE_OPERATION_FAILED};
use crate::shelf::{Told, in_storage, notes};

/// How much of a commit's message an event shows.
const SHOWN: usize = 50;

/// Maps an outcome to the status and the events.
pub(super) fn report(object: &GitRepository, outcome: &Outcome) -> Report {
    let (artifact, words, verified) = match outcome {
        Outcome::Unchanged { artifact, verified } => {
            (artifact, artifact.revision.clone(), verified)
        }
        Outcome::Stored {
            artifact,
            message,
            included: _,
            verified,
        } => (artifact, short(message), verified),
    };
    let stored = format!("stored artifact for revision '{}'", artifact.revision);
    let mut change = in_storage(artifact, "Succeeded", stored).remove(INCLUDE_UNAVAILABLE);
    if let Some(Verified { message, mode }) = verified {
        change = change
            .condition(SOURCE_VERIFIED, "True", "Succeeded", message.clone())
            .set("sourceVerificationMode", mode);
    } else if object.spec.verify.is_none() {
        change = change
            .remove(SOURCE_VERIFIED)
            .unset("sourceVerificationMode");
    }
    if let Outcome::Stored { included, .. } = outcome {
        change = change.and(observed(object, included));
    }
    let unchanged = matches!(outcome, Outcome::Unchanged { .. }).then(|| {
        let words = format!(
            "no changes since last reconciliation: observed revision '{}'",
            artifact.revision
        );
        Note::trace("GitOperationSucceeded", words)
    });
    let status = object.status.as_ref();
    let told = Told {
        artifact,
        before: status.and_then(|status| status.artifact.as_ref()),
        failures: &[FETCH_FAILED, STORAGE_OPERATION_FAILED, INCLUDE_UNAVAILABLE],
        reasons: ("NewArtifact", "Succeeded"),
        words: format!("stored artifact for commit '{words}'"),
        unchanged,
    };
    Report {
        change,
        notes: notes(object, told),
        requeue: None,
    }
}

/// Records the settings that the artifact was made with.
fn observed(object: &GitRepository, included: &[Artifact]) -> Change {
    let spec = &object.spec;
    let filled = |list: bool| list.then_some(());
    let mut change = Change::default();
    change.status = change
        .status
        .set_or_unset("observedIgnore", spec.ignore.as_ref())
        .set_or_unset(
            "observedRecurseSubmodules",
            spec.recurse_submodules.filter(|on| *on),
        )
        .set_or_unset(
            "observedInclude",
            filled(!spec.include.is_empty()).map(|()| &spec.include),
        )
        .set_or_unset(
            "observedSparseCheckout",
            filled(!spec.sparse_checkout.is_empty()).map(|()| &spec.sparse_checkout),
        )
        .set_or_unset(
            "includedArtifacts",
            filled(!included.is_empty()).map(|()| included),
        );
    change
}

/// Returns the first line of a commit's message, cut to fifty characters.
fn short(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    match line.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}...", &line[..at]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests;
