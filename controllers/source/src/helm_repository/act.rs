//! Sorts the index and stores it as the new artifact.

use api::meta::Artifact;
use api::source::HelmRepository;
use helmrepo::IndexError;
use runtime::{Failure, Progress};

use super::plan::Plan;
use super::{HelmRepositories, Known, LINK};
use crate::failure::{chain, fetch, storage};
use crate::shelf::outdated;

/// What came of a run.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// What is published is what the server has.
    Unchanged {
        /// The artifact, with today's address.
        artifact: Artifact,
    },
    /// A new artifact is in the storage.
    Stored {
        /// The artifact.
        artifact: Artifact,
        /// The address of the link to it.
        url: String,
    },
    /// The server has nothing new and nothing is published.
    Nothing,
}

impl HelmRepositories {
    pub(super) async fn publish(
        &self,
        object: &HelmRepository,
        plan: Plan,
        progress: &Progress,
    ) -> Result<Outcome, Failure> {
        let Plan { index, published } = plan;
        let revision = index.revision.clone();
        let known = Known::of(&index);
        let words = format!("new index revision '{revision}'");
        let change = outdated(published.is_some(), "NewRevision", words.clone());
        progress
            .changed(format!("building artifact: {words}"), change)
            .await?;
        let sorted = self.sorted(index.file).await?;
        let hex = revision
            .split_once(':')
            .map_or(revision.as_str(), |(_, hex)| hex);
        let file = format!("index-{hex}.yaml");
        let stored = self.setup.shelf.put(object, &file, &revision, move |out| {
            let mut sorted = sorted;
            std::io::copy(&mut sorted, out).map(drop)
        });
        let artifact = stored.await?;
        let url = self.setup.shelf.link(&artifact, LINK, progress).await;
        self.setup.shelf.remember(&artifact, &known).await;
        Ok(Outcome::Stored { artifact, url })
    }

    /// Writes what is to be published into a file of its own: an index that is of no use must not touch the storage.
    async fn sorted(&self, mut raw: std::fs::File) -> Result<std::fs::File, Failure> {
        let scratch = self.setup.scratch.clone();
        let sorting = tokio::task::spawn_blocking(move || {
            use std::io::{BufWriter, Seek, Write};
            let file = tempfile::tempfile_in(&scratch).map_err(IndexError::Write)?;
            let mut out = BufWriter::with_capacity(64 << 10, file);
            helmrepo::index::publish(&mut raw, &scratch, &mut out)?;
            out.flush().map_err(IndexError::Write)?;
            let file = out.into_inner();
            let mut file = file.map_err(|error| IndexError::Write(error.into_error()))?;
            file.rewind().map_err(IndexError::Write)?;
            Ok(file)
        });
        let sorted = sorting.await;
        let sorted =
            sorted.map_err(|error| storage("ArchiveOperationFailed", error.to_string()))?;
        sorted.map_err(|error| match error {
            IndexError::Write(_) => {
                let words = format!("unable to save artifact to storage: {}", chain(&error));
                storage("ArchiveOperationFailed", words)
            }
            error => fetch(
                "IndexationFailed",
                format!(
                    "failed to load Helm repository from index YAML: {}",
                    chain(&error)
                ),
            ),
        })
    }
}
