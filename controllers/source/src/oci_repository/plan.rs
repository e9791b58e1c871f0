//! Decides whether what is meant is published already.

use api::meta::Artifact;
use api::source::{LayerOperation, LayerSelector, OCIRepository};
use net_http::Redactor;
use registry::Remote;
use runtime::Next;

use super::act::Outcome;
use super::gather::{Inputs, Verified};
use crate::verify::MARK;

/// What is to be fetched and stored.
#[derive(Debug)]
pub struct Plan {
    pub(super) remote: Remote,
    pub(super) redactor: Redactor,
    pub(super) digest: String,
    pub(super) revision: String,
    /// What is published until then.
    pub(super) published: Option<Artifact>,
    pub(super) media_type: Option<String>,
    pub(super) operation: LayerOperation,
    pub(super) ignore: Option<String>,
    pub(super) verified: Verified,
}

/// Compares revision and settings with what is published.
pub(super) fn plan(object: &OCIRepository, inputs: Inputs) -> Next<Plan, Outcome> {
    let Inputs {
        artifact,
        remote,
        redactor,
        digest,
        revision,
        verified,
    } = inputs;
    match artifact {
        Some(mut artifact) if artifact.revision == revision && !settings_changed(object) => {
            verified.mark(&mut artifact);
            Next::Done(Outcome::Unchanged { artifact, verified })
        }
        published => {
            let selector = object.spec.layer_selector.clone().unwrap_or_default();
            Next::Last(Plan {
                remote,
                redactor,
                digest,
                revision,
                published,
                media_type: selector.media_type.filter(|text| !text.is_empty()),
                operation: selector.operation.unwrap_or_default(),
                ignore: object.spec.ignore.clone(),
                verified,
            })
        }
    }
}

impl Verified {
    /// Notes in an artifact by what it was verified, so that other keys are told from those.
    pub(super) fn mark(&self, artifact: &mut Artifact) {
        match self {
            Self::Now { mark, .. } => {
                artifact.metadata.insert(MARK.to_owned(), mark.clone());
            }
            Self::NotAsked | Self::Ignored => {
                artifact.metadata.remove(MARK);
            }
            Self::Standing => {}
        }
    }
}

/// Says whether the artifact was made with other settings than the object has now. An absent `spec.ignore` and an empty
/// one differ.
pub(super) fn settings_changed(object: &OCIRepository) -> bool {
    let status = object.status.as_ref();
    let ignore = status.and_then(|status| status.observed_ignore.as_ref());
    let selector = status.and_then(|status| status.observed_layer_selector.as_ref());
    object.spec.ignore.as_ref() != ignore
        || whole(object.spec.layer_selector.as_ref()) != whole(selector)
}

/// Fills in what an operation that is not named stands for.
fn whole(selector: Option<&LayerSelector>) -> Option<LayerSelector> {
    selector.map(|selector| LayerSelector {
        media_type: selector.media_type.clone().filter(|text| !text.is_empty()),
        operation: Some(selector.operation.unwrap_or_default()),
    })
}

#[cfg(test)]
mod tests {
    use api::source::OCIRepositoryStatus;

    use super::*;

    /// covers: SC-129
    #[test]
    fn other_settings_make_another_artifact() {
        let mut object = OCIRepository::default();
        assert!(!settings_changed(&object));
        object.spec.ignore = Some(String::new());
        assert!(settings_changed(&object));
        object.status = Some(OCIRepositoryStatus {
            observed_ignore: Some(String::new()),
            ..OCIRepositoryStatus::default()
        });
        assert!(!settings_changed(&object));
        let selector = |operation| LayerSelector {
            media_type: Some("x".into()),
            operation,
        };
        object.spec.layer_selector = Some(selector(None));
        assert!(settings_changed(&object));
        let mut observed = |operation| {
            let status = object.status.as_mut().unwrap();
            status.observed_layer_selector = Some(selector(operation));
            settings_changed(&object)
        };
        assert!(!observed(Some(LayerOperation::Extract)));
        assert!(observed(Some(LayerOperation::Copy)));
    }
}
