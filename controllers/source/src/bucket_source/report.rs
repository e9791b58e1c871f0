//! What a finished run says: status, conditions, events.

use api::source::Bucket;
use runtime::{Note, Report};

use super::LINK;
use super::act::Outcome;
use crate::conditions::{FETCH_FAILED, STORAGE_OPERATION_FAILED};
use crate::shelf::{Before, event, in_storage, is_requested};

/// Maps an outcome to the status and the events.
pub(super) fn report(object: &Bucket, outcome: &Outcome) -> Report {
    let (artifact, url, count) = match outcome {
        Outcome::Unchanged { artifact } => {
            let folder = artifact
                .url
                .rsplit_once('/')
                .map_or("", |(folder, _)| folder);
            (artifact, format!("{folder}/{LINK}"), None)
        }
        Outcome::Stored {
            artifact,
            url,
            count,
        } => (artifact, url.clone(), Some(*count)),
    };
    let words = format!("stored artifact: revision '{}'", artifact.revision);
    let mut change = in_storage(artifact, &url, "Succeeded", words);
    if count.is_some() {
        change.status = change
            .status
            .set_or_unset("observedIgnore", object.spec.ignore.as_ref());
    }
    let status = object.status.as_ref();
    let before = Before {
        artifact: status.and_then(|status| status.artifact.as_ref()),
        conditions: status.map_or(&[], |status| status.conditions.as_slice()),
        failures: &[FETCH_FAILED, STORAGE_OPERATION_FAILED],
    };
    let told = format!(
        "stored artifact with {} fetched files from '{}' bucket",
        count.unwrap_or_default(),
        object.spec.bucket_name
    );
    let mut notes: Vec<Note> = event(&before, artifact, ("NewArtifact", "Succeeded"), told)
        .into_iter()
        .collect();
    // Deviation: no event where nobody asked and nothing happened.
    if count.is_none() && is_requested(object) {
        let words = format!(
            "artifact up-to-date with remote revision: '{}'",
            artifact.revision
        );
        notes.push(Note::trace("ArtifactUpToDate", words));
    }
    Report {
        change,
        notes,
        requeue: None,
    }
}
