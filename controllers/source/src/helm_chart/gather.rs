//! Looks after the stored artifact, finds the source and the version that is meant.

use api::meta::{Artifact, Condition};
use api::source::HelmChart;
use runtime::{Change, Failure, Note, Progress, conditions};

use super::source::Source;
use super::{BUILD_FAILED, HelmCharts};
use crate::conditions::{ARTIFACT_IN_STORAGE, FETCH_FAILED, SOURCE_VERIFIED};
use crate::failure::{failed, had_failed};
use crate::shelf::is_new_generation;

use super::find::Found;

/// What the decision needs.
#[derive(Debug)]
pub struct Inputs {
    /// The chart that is meant.
    pub(super) chart: Chart,
    /// The revision of the source that it was found in.
    pub(super) source_revision: Option<String>,
}

/// What was found in a source.
#[derive(Debug)]
pub(super) enum Chart {
    /// The source is what it was, and so is what is asked of it.
    Same {
        /// What is published, with today's address.
        artifact: Artifact,
        /// What is said of it.
        reason: String,
        words: String,
    },
    /// This version.
    Found {
        found: Box<Found>,
        /// The artifact of the status, if it is there and intact, with today's address.
        published: Option<Artifact>,
    },
}

impl HelmCharts {
    pub(super) async fn gather_inputs(
        &self,
        object: &HelmChart,
        progress: &Progress,
    ) -> Result<Inputs, Failure> {
        let status = object.status.as_ref();
        let published = status.and_then(|status| status.artifact.as_ref());
        let artifact = self.setup.shelf.current(published, progress).await?;
        let source = self.source(object).await?;
        let source_artifact = self.source_artifact(object, &source).await?;
        if let Some(artifact) = &source_artifact {
            progress.uses(artifact);
        }
        let source_revision = source_artifact.as_ref().map(|each| each.revision.clone());
        if let Some(artifact) = &artifact
            && let Some(chart) = unchanged(object, artifact, source_revision.as_deref())
        {
            return Ok(Inputs {
                chart,
                source_revision,
            });
        }
        let found = self.find(object, &source, source_artifact.as_ref()).await;
        let found = found.map_err(|failure| match &source_revision {
            Some(revision) => failure.with(observed(revision)),
            None => failure,
        })?;
        Ok(Inputs {
            chart: Chart::Found {
                found: Box::new(found),
                published: artifact,
            },
            source_revision,
        })
    }

    /// Returns the artifact of the source; none only for a registry.
    async fn source_artifact(
        &self,
        object: &HelmChart,
        source: &Source,
    ) -> Result<Option<Artifact>, Failure> {
        let artifact = source.artifact().cloned();
        if source.is_registry() {
            return Ok(artifact);
        }
        let there = match &artifact {
            Some(artifact) => self.is_stored(artifact).await,
            None => false,
        };
        if there {
            return Ok(artifact);
        }
        let reference = &object.spec.source_ref;
        let words = format!(
            "no artifact available for {} source '{}'",
            super::source::kind(reference.kind),
            reference.name
        );
        // Tried again soon, and no error: the source is about to be there.
        Err(Failure::retry("NoSourceArtifact", words.clone())
            .with(failed(FETCH_FAILED, "NoSourceArtifact", words.clone()))
            .note(Note::trace("NoSourceArtifact", words)))
    }

    async fn is_stored(&self, artifact: &Artifact) -> bool {
        let Ok(path) = artifact::storage::ArtifactPath::parse(&artifact.path) else {
            return false;
        };
        let store = std::sync::Arc::clone(self.setup.shelf.storage());
        let exists = tokio::task::spawn_blocking(move || store.exists(&path));
        exists.await.unwrap_or_default()
    }
}

/// Says which revision of the source was looked at.
pub(super) fn observed(revision: &str) -> Change {
    Change::default().set("observedSourceArtifactRevision", revision)
}

/// Returns what is published where neither the object nor its source changed since that was built.
fn unchanged(
    object: &HelmChart,
    artifact: &Artifact,
    source_revision: Option<&str>,
) -> Option<Chart> {
    let status = object.status.as_ref()?;
    let conditions: &[Condition] = &status.conditions;
    let failures = [FETCH_FAILED, BUILD_FAILED];
    let settled = !is_new_generation(object)
        && !had_failed(conditions, &failures)
        && !conditions::is_false(conditions, SOURCE_VERIFIED)
        // A signature is checked every time.
        && object.spec.verify.is_none()
        && source_revision.is_some()
        && status.observed_source_artifact_revision.as_deref() == source_revision;
    let said = conditions::find(conditions, ARTIFACT_IN_STORAGE)?;
    (settled && said.status == "True").then(|| Chart::Same {
        artifact: artifact.clone(),
        reason: said.reason.clone(),
        words: said.message.clone(),
    })
}
