//! What a finished run says: status, conditions, events.

use api::source::Bucket;
use runtime::Report;

use super::LINK;
use super::act::Outcome;
use crate::conditions::{FETCH_FAILED, STORAGE_OPERATION_FAILED};
use crate::shelf::{Told, beside, in_storage, notes, up_to_date};

/// Maps an outcome to the status and the events.
pub(super) fn report(object: &Bucket, outcome: &Outcome) -> Report {
    let (artifact, url, count) = match outcome {
        Outcome::Unchanged { artifact } => (artifact, beside(artifact, LINK), None),
        Outcome::Stored {
            artifact,
            url,
            count,
        } => (artifact, url.clone(), Some(*count)),
    };
    let words = format!("stored artifact: revision '{}'", artifact.revision);
    let mut change = in_storage(artifact, "Succeeded", words).set("url", url);
    if count.is_some() {
        change.status = change
            .status
            .set_or_unset("observedIgnore", object.spec.ignore.as_ref());
    }
    let status = object.status.as_ref();
    let told = Told {
        artifact,
        before: status.and_then(|status| status.artifact.as_ref()),
        failures: &[FETCH_FAILED, STORAGE_OPERATION_FAILED],
        reasons: ("NewArtifact", "Succeeded"),
        words: format!(
            "stored artifact with {} fetched files from '{}' bucket",
            count.unwrap_or_default(),
            object.spec.bucket_name
        ),
        unchanged: count.is_none().then(|| up_to_date(artifact)),
    };
    Report {
        change,
        notes: notes(object, told),
        requeue: None,
    }
}
