//! What a finished run says: status, conditions, events.

use api::meta::{Artifact, Condition};
use api::source::GitRepository;
use runtime::{Change, Note, Report, conditions};

use super::act::Outcome;
use super::verify::Verified;
use super::{
    ARTIFACT_IN_STORAGE, ARTIFACT_OUTDATED, FETCH_FAILED, INCLUDE_UNAVAILABLE, SOURCE_VERIFIED,
    STORAGE_OPERATION_FAILED,
};

/// Facts of an artifact in the metadata of its events.
const REVISION: &str = "source.toolkit.fluxcd.io/revision";
const DIGEST: &str = "source.toolkit.fluxcd.io/digest";
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
    let mut change = Change::default()
        .remove(FETCH_FAILED)
        .remove(STORAGE_OPERATION_FAILED)
        .remove(INCLUDE_UNAVAILABLE)
        .remove(ARTIFACT_OUTDATED)
        .condition(
            ARTIFACT_IN_STORAGE,
            "True",
            "Succeeded",
            format!("stored artifact for revision '{}'", artifact.revision),
        )
        .set("artifact", artifact);
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
    let mut notes: Vec<Note> = event(object, artifact, &words).into_iter().collect();
    let requested = is_requested(object);
    if matches!(outcome, Outcome::Unchanged { .. }) {
        let words = format!(
            "no changes since last reconciliation: observed revision '{}'",
            artifact.revision
        );
        // Deviation: no event where nobody asked and nothing happened.
        if requested {
            notes.push(Note::trace("GitOperationSucceeded", words));
        }
    }
    Report {
        change,
        notes,
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

/// Behaviour SC-091.
fn event(object: &GitRepository, artifact: &Artifact, words: &str) -> Option<Note> {
    let status = object.status.as_ref();
    let old = status.and_then(|status| status.artifact.as_ref());
    let conditions: &[Condition] = status.map_or(&[], |status| status.conditions.as_slice());
    let had_failed = [FETCH_FAILED, STORAGE_OPERATION_FAILED, INCLUDE_UNAVAILABLE]
        .iter()
        .any(|each| conditions::is_true(conditions, each));
    let reason = if old.is_none_or(|old| old.digest != artifact.digest) {
        "NewArtifact"
    } else if had_failed {
        "Succeeded"
    } else {
        return None;
    };
    let note = Note::info(reason, format!("stored artifact for commit '{words}'"));
    Some(
        note.with(REVISION, artifact.revision.clone())
            .with(DIGEST, artifact.digest.clone()),
    )
}

fn is_requested(object: &GitRepository) -> bool {
    let annotations = object.metadata.annotations.as_ref();
    let asked = annotations.and_then(|all| all.get(runtime::drive::REQUESTED_AT));
    let status = object.status.as_ref();
    let handled = status.and_then(|status| status.last_handled_reconcile_at.as_ref());
    let observed = status.and_then(|status| status.observed_generation);
    asked.is_some_and(|asked| handled != Some(asked)) || object.metadata.generation != observed
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
