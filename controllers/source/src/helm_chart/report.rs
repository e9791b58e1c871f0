//! What a finished run says: status, conditions, events.

use api::meta::Artifact;
use api::source::HelmChart;
use runtime::{Change, Note, Report};

use super::act::Outcome;
use super::verify::Verified;
use super::{BUILD_FAILED, LINK};
use crate::conditions::{FETCH_FAILED, SOURCE_VERIFIED, STORAGE_OPERATION_FAILED};
use crate::shelf::{Told, beside, in_storage, notes, up_to_date};

/// Maps an outcome to the status and the events.
pub(super) fn report(object: &HelmChart, outcome: &Outcome) -> Report {
    match outcome {
        Outcome::Unchanged {
            artifact,
            reason,
            words,
            source_revision,
            verified,
        } => {
            let url = beside(artifact, LINK);
            let facts = (source_revision.as_deref(), verified);
            let change = common((artifact, &url), (reason, words), facts);
            let answer = Some(up_to_date(artifact));
            finished(object, change, (artifact, reason, words), answer)
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
            let facts = (source_revision.as_deref(), verified);
            let change = common((artifact, url), (reason, words), facts);
            let change = change.and(observed(object, name, values_files));
            finished(object, change, (artifact, reason, words), None)
        }
    }
}

fn finished(
    object: &HelmChart,
    change: Change,
    (artifact, reason, words): (&Artifact, &str, &str),
    unchanged: Option<Note>,
) -> Report {
    let status = object.status.as_ref();
    let told = Told {
        artifact,
        before: status.and_then(|status| status.artifact.as_ref()),
        failures: &[FETCH_FAILED, STORAGE_OPERATION_FAILED, BUILD_FAILED],
        reasons: (reason, reason),
        words: words.to_owned(),
        unchanged,
    };
    Report {
        change,
        notes: notes(object, told),
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
    (artifact, url): (&Artifact, &str),
    (reason, words): (&str, &str),
    (source_revision, verified): (Option<&str>, &Verified),
) -> Change {
    let mut change = in_storage(artifact, reason, words)
        .set("url", url)
        .remove(BUILD_FAILED);
    if let Some(revision) = source_revision {
        change = change.set("observedSourceArtifactRevision", revision);
    }
    match verified {
        Verified::Now(words) => {
            change.condition(SOURCE_VERIFIED, "True", "Succeeded", words.clone())
        }
        Verified::NotAsked | Verified::Ignored => change.remove(SOURCE_VERIFIED),
    }
}
