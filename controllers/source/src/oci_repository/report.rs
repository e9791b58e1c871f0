//! What a finished run says: status, conditions, events.

use api::meta::Artifact;
use api::source::OCIRepository;
use runtime::{Change, Note, Report};

use super::LINK;
use super::act::Outcome;
use crate::conditions::{FETCH_FAILED, SOURCE_VERIFIED, STORAGE_OPERATION_FAILED};
use crate::shelf::{Before, event, in_storage, is_requested};

/// Where an image says what it was made from.
const ORIGIN_SOURCE: &str = "org.opencontainers.image.source";
const ORIGIN_REVISION: &str = "org.opencontainers.image.revision";

/// Maps an outcome to the status and the events.
pub(super) fn report(object: &OCIRepository, outcome: &Outcome) -> Report {
    let (artifact, url, verified) = match outcome {
        Outcome::Unchanged { artifact, verified } => {
            let folder = artifact
                .url
                .rsplit_once('/')
                .map_or("", |(folder, _)| folder);
            (artifact, format!("{folder}/{LINK}"), verified)
        }
        Outcome::Stored {
            artifact,
            url,
            verified,
        } => (artifact, url.clone(), verified),
    };
    let words = format!("stored artifact for digest '{}'", artifact.revision);
    let mut change = in_storage(artifact, &url, "Succeeded", words);
    change = match verified {
        Some(words) => change.condition(SOURCE_VERIFIED, "True", "Succeeded", words.clone()),
        None if object.spec.verify.is_none() => change.remove(SOURCE_VERIFIED),
        None => change,
    };
    if matches!(outcome, Outcome::Stored { .. }) {
        change = change.and(observed(object));
    }
    let status = object.status.as_ref();
    let before = Before {
        artifact: status.and_then(|status| status.artifact.as_ref()),
        conditions: status.map_or(&[], |status| status.conditions.as_slice()),
        failures: &[FETCH_FAILED, STORAGE_OPERATION_FAILED],
    };
    let told = told(&object.spec.url, artifact);
    let mut notes: Vec<Note> = event(&before, artifact, ("NewArtifact", "Succeeded"), told)
        .into_iter()
        .collect();
    // Deviation: no event where nobody asked and nothing happened.
    if matches!(outcome, Outcome::Unchanged { .. }) && is_requested(object) {
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

/// Records the settings that the artifact was made with.
fn observed(object: &OCIRepository) -> Change {
    let mut change = Change::default();
    change.status = change
        .status
        .set_or_unset("observedIgnore", object.spec.ignore.as_ref())
        .set_or_unset("observedLayerSelector", object.spec.layer_selector.as_ref());
    change
}

fn told(from: &str, artifact: &Artifact) -> String {
    let revision = &artifact.revision;
    let origin = (
        artifact.metadata.get(ORIGIN_SOURCE),
        artifact.metadata.get(ORIGIN_REVISION),
    );
    let origin = match origin {
        (Some(source), Some(revision)) => {
            format!(", origin source '{source}', origin revision '{revision}'")
        }
        _ => String::new(),
    };
    format!("stored artifact with revision '{revision}' from '{from}'{origin}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: SC-139
    #[test]
    fn event_names_the_origin_where_the_image_does() {
        let mut artifact = crate::shelf::sample("1.0@sha256:x");
        let plain = "stored artifact with revision '1.0@sha256:x' from 'oci://h/x'";
        assert_eq!(told("oci://h/x", &artifact), plain);
        artifact.metadata.insert(ORIGIN_SOURCE.into(), "git".into());
        assert_eq!(told("oci://h/x", &artifact), plain);
        artifact
            .metadata
            .insert(ORIGIN_REVISION.into(), "main".into());
        assert_eq!(
            told("oci://h/x", &artifact),
            format!("{plain}, origin source 'git', origin revision 'main'")
        );
    }
}
