//! What a finished run says: status, conditions, events.

use api::meta::Artifact;
use api::source::OCIRepository;
use runtime::{Change, Report};

use super::LINK;
use super::act::Outcome;
use super::gather::Verified;
use crate::conditions::{FETCH_FAILED, SOURCE_VERIFIED, STORAGE_OPERATION_FAILED};
use crate::shelf::{Told, beside, in_storage, notes, up_to_date};

/// Where an image says what it was made from.
const ORIGIN_SOURCE: &str = "org.opencontainers.image.source";
const ORIGIN_REVISION: &str = "org.opencontainers.image.revision";

/// Maps an outcome to the status and the events.
pub(super) fn report(object: &OCIRepository, outcome: &Outcome) -> Report {
    let (artifact, url, verified) = match outcome {
        Outcome::Unchanged { artifact, verified } => (artifact, beside(artifact, LINK), verified),
        Outcome::Stored {
            artifact,
            url,
            verified,
        } => (artifact, url.clone(), verified),
    };
    let words = format!("stored artifact for digest '{}'", artifact.revision);
    let mut change = in_storage(artifact, "Succeeded", words).set("url", url);
    change = match verified {
        Verified::Now { words, .. } => {
            change.condition(SOURCE_VERIFIED, "True", "Succeeded", words.clone())
        }
        Verified::NotAsked | Verified::Ignored => change.remove(SOURCE_VERIFIED),
        Verified::Standing => change,
    };
    if matches!(outcome, Outcome::Stored { .. }) {
        change = change.and(observed(object));
    }
    let status = object.status.as_ref();
    let unchanged = matches!(outcome, Outcome::Unchanged { .. });
    let told = Told {
        artifact,
        before: status.and_then(|status| status.artifact.as_ref()),
        failures: &[FETCH_FAILED, STORAGE_OPERATION_FAILED],
        reasons: ("NewArtifact", "Succeeded"),
        words: told(&object.spec.url, artifact),
        unchanged: unchanged.then(|| up_to_date(artifact)),
    };
    Report {
        change,
        notes: notes(object, told),
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
