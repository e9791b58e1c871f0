//! What a finished run says: status, conditions, events.

use api::meta::Artifact;
use api::source::HelmChart;
use runtime::{Change, Note, Report};

use super::act::Outcome;
use super::{BUILD_FAILED, LINK};
use crate::conditions::{FETCH_FAILED, SOURCE_VERIFIED, STORAGE_OPERATION_FAILED};
use crate::shelf::{Before, event, in_storage, is_requested};

/// Maps an outcome to the status and the events.
pub(super) fn report(object: &HelmChart, outcome: &Outcome) -> Report {
    match outcome {
        Outcome::Nothing => Report::default(),
        Outcome::Unchanged {
            artifact,
            reason,
            words,
            source_revision,
            verified,
        } => {
            let folder = artifact
                .url
                .rsplit_once('/')
                .map_or("", |(folder, _)| folder);
            let url = format!("{folder}/{LINK}");
            let facts = (source_revision.as_deref(), verified.as_deref());
            let change = common(object, (artifact, &url), (reason, words), facts);
            let mut notes = told(object, artifact, reason, words);
            // Deviation: no event where nobody asked and nothing happened.
            if is_requested(object) {
                let words = format!(
                    "artifact up-to-date with remote revision: '{}'",
                    artifact.revision
                );
                notes.push(Note::trace("ArtifactUpToDate", words));
            }
            finished(change, notes)
        }
        Outcome::Stored {
            artifact,
            url,
            name,
            reason,
            words,
            values_files,
            source_revision,
            verified,
        } => {
            let facts = (source_revision.as_deref(), verified.as_deref());
            let change = common(object, (artifact, url), (reason, words), facts);
            let change = change.and(observed(object, name, values_files));
            finished(change, told(object, artifact, reason, words))
        }
    }
}

fn finished(change: Change, notes: Vec<Note>) -> Report {
    Report {
        change,
        notes,
        requeue: None,
    }
}

/// Records what the artifact was made of.
fn observed(object: &HelmChart, name: &str, values_files: &[String]) -> Change {
    let listed = object.spec.ignore_missing_values_files == Some(true);
    let mut change = Change::default().set("observedChartName", name);
    change.status = change.status.set_or_unset(
        "observedValuesFiles",
        Some(values_files).filter(|files| listed && !files.is_empty()),
    );
    change
}

fn common(
    object: &HelmChart,
    (artifact, url): (&Artifact, &str),
    (reason, words): (&str, &str),
    (source_revision, verified): (Option<&str>, Option<&str>),
) -> Change {
    let mut change = in_storage(artifact, url, reason, words).remove(BUILD_FAILED);
    if let Some(revision) = source_revision {
        change = change.set("observedSourceArtifactRevision", revision);
    }
    match verified {
        Some(words) => change.condition(SOURCE_VERIFIED, "True", "Succeeded", words),
        None if object.spec.verify.is_none() => change.remove(SOURCE_VERIFIED),
        None => change,
    }
}

fn told(object: &HelmChart, artifact: &Artifact, reason: &str, words: &str) -> Vec<Note> {
    let status = object.status.as_ref();
    let before = Before {
        artifact: status.and_then(|status| status.artifact.as_ref()),
        conditions: status.map_or(&[], |status| status.conditions.as_slice()),
        failures: &[FETCH_FAILED, STORAGE_OPERATION_FAILED, BUILD_FAILED],
    };
    event(&before, artifact, (reason, reason), words.to_owned())
        .into_iter()
        .collect()
}
