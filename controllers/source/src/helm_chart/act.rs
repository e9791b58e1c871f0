//! Builds the chart and stores it as the new artifact.

use api::meta::Artifact;
use api::source::HelmChart;
use runtime::{Failure, Note, Progress};

use super::gather::observed;
use super::plan::{Plan, is_published, reason, summary};
use super::verify::Verified;
use super::{HelmCharts, LINK};
use crate::shelf::outdated;

/// What came of a run.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// What is published is what is asked for.
    Unchanged {
        /// The artifact, with today's address.
        artifact: Artifact,
        /// The reason of its condition.
        reason: String,
        /// What was built.
        words: String,
        /// The revision of the source.
        source_revision: Option<String>,
        /// What came of looking at its signatures.
        verified: Verified,
    },
    /// A new artifact is in the storage.
    Stored {
        /// The artifact.
        artifact: Artifact,
        /// The address of the link to it.
        url: String,
        /// The chart's name.
        name: String,
        /// The reason of its condition.
        reason: String,
        /// What was built.
        words: String,
        /// The values files that are in it.
        values_files: Vec<String>,
        /// The revision of the source.
        source_revision: Option<String>,
        /// What came of looking at its signatures.
        verified: Verified,
    },
}

impl HelmCharts {
    pub(super) async fn publish(
        &self,
        object: &HelmChart,
        plan: Plan,
        progress: &Progress,
    ) -> Result<Outcome, Failure> {
        let revision = plan.source_revision.clone();
        let published = self.build_and_store(object, plan, progress).await;
        published.map_err(|failure| match &revision {
            Some(revision) => failure.with(observed(revision)),
            None => failure,
        })
    }

    async fn build_and_store(
        &self,
        object: &HelmChart,
        plan: Plan,
        progress: &Progress,
    ) -> Result<Outcome, Failure> {
        let Plan {
            found,
            published,
            source_revision,
        } = plan;
        let built = self.build(object, &found).await?;
        if built.dependencies > 0 {
            let words = format!("resolved {} chart dependencies", built.dependencies);
            progress.emit(Note::trace("ResolvedDependencies", words));
        }
        let words = summary(&found, found.packaged, &built.values_files);
        let known = published.as_ref();
        if known.is_none_or(|artifact| !is_published(object, &found, artifact)) {
            let change = outdated(known.is_some(), "NewChart", words.clone());
            progress
                .changed(format!("building artifact: {words}"), change)
                .await?;
        }
        let file = format!("{}-{}.tgz", found.name, found.version);
        let archive = built.archive;
        let stored = self
            .setup
            .shelf
            .put(object, &file, &found.version, move |out| {
                out.write_all(&archive)
            });
        let artifact = stored.await?;
        let url = self.setup.shelf.link(&artifact, LINK, progress).await;
        Ok(Outcome::Stored {
            artifact,
            url,
            reason: reason(found.packaged).to_owned(),
            name: found.name,
            words,
            values_files: built.values_files,
            source_revision,
            verified: found.verified,
        })
    }
}
