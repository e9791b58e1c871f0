//! Fetches the commit and stores its files as the new artifact.

use std::collections::BTreeMap;
use std::io;

use api::meta::Artifact;
use api::source::GitRepository;
use artifact::storage::{ArtifactPath, Stored, WriteError};
use artifact::{ArchiveWriter, Storage};
use git::{Entry, Skipped, Snapshot, WalkError};
use runtime::{Change, Failure, Note, Progress};
use select::IgnoreRules;

use super::include::{Laid, Overlay};
use super::plan::Plan;
use super::verify::{Trust, Verified};
use super::{GIT_FAILED, GitRepositories};
use crate::conditions::{FETCH_FAILED, SOURCE_VERIFIED};
use crate::failure::{chain, fetch};
use crate::shelf::{self, outdated};

/// What came of a run.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// What is published is what is asked for.
    Unchanged {
        /// The artifact, with today's address.
        artifact: Artifact,
        /// What was verified in this run.
        verified: Option<Verified>,
    },
    /// A new artifact is in the storage.
    Stored {
        /// The artifact.
        artifact: Artifact,
        /// The message of its commit.
        message: String,
        /// The artifacts that it includes, in the order of `spec.include`.
        included: Vec<Artifact>,
        /// What was verified in this run.
        verified: Option<Verified>,
    },
}

impl GitRepositories {
    pub(super) async fn publish(
        &self,
        object: &GitRepository,
        plan: Plan,
        progress: &Progress,
    ) -> Result<Outcome, Failure> {
        let snapshot = self.snapshot(object, &plan, progress).await?;
        let (snapshot, verified) = verify(snapshot, &plan, progress).await?;
        if let (true, Some(mut artifact)) = (plan.stays, plan.published.clone()) {
            artifact.metadata = metadata(&plan);
            artifact.revision = plan.revision;
            return Ok(Outcome::Unchanged { artifact, verified });
        }
        announce(object, &plan, progress).await?;
        let (revision, metadata) = (plan.revision.clone(), metadata(&plan));
        let file = format!("{}.tar.gz", plan.commit);
        let artifacts = plan.included.iter().map(|each| each.artifact.clone());
        let included = artifacts.collect();
        let write =
            move |store: &Storage, path: &ArtifactPath| archive(store, path, &snapshot, &plan);
        let stored = self.setup.shelf.put_by(object, &file, &revision, write);
        let (mut artifact, message) = stored.await?;
        artifact.metadata = metadata;
        Ok(Outcome::Stored {
            artifact,
            message,
            verified,
            included,
        })
    }

    /// Fetches the commit, and its submodules where the files are needed.
    async fn snapshot(
        &self,
        object: &GitRepository,
        plan: &Plan,
        progress: &Progress,
    ) -> Result<Snapshot, Failure> {
        let Plan {
            access,
            listing,
            want,
            deadline,
            ..
        } = plan;
        let fetching = async {
            let snapshot = self
                .git
                .fetch(&access.remote, listing, want, *deadline)
                .await?;
            if !plan.submodules || plan.stays {
                return Ok(snapshot);
            }
            self.git
                .fetch_modules(&access.remote, snapshot, *deadline)
                .await
        };
        let fetched = self.while_wanted(object, progress, fetching).await?;
        fetched.map_err(|error| {
            let cause = match &error {
                git::Error::CommitNotFound(_) => chain(&error),
                _ => format!("unable to clone '{}': {}", access.remote.url, chain(&error)),
            };
            checkout(&access.redact(&cause))
        })
    }
}

/// Writes the files of the commit as an artifact. Returns also the message of the commit.
fn archive(
    store: &Storage,
    path: &ArtifactPath,
    snapshot: &Snapshot,
    plan: &Plan,
) -> Result<(Stored, String), Failure> {
    let message = snapshot.message().map_err(|error| unreadable(&error))?;
    let overlay = Overlay::lay(store, snapshot, &plan.included)?;
    let mut skipped = Skipped::default();
    let stored = store.write(path, |out| {
        skipped = write_files(snapshot, overlay, plan, out)?;
        Ok(())
    });
    let stored = stored.map_err(not_written)?;
    if skipped.links > 0 {
        let links = skipped.links;
        tracing::debug!(links, "symbolic links are not part of the artifact");
    }
    Ok((stored, message))
}

/// Returns what the artifact's metadata says of those who vouched for it.
fn metadata(plan: &Plan) -> BTreeMap<String, String> {
    plan.trust.iter().map(Trust::mark).collect()
}

/// Checks the signatures where they have to be there.
async fn verify(
    snapshot: Snapshot,
    plan: &Plan,
    progress: &Progress,
) -> Result<(Snapshot, Option<Verified>), Failure> {
    let Some(trust) = plan.trust.clone() else {
        return Ok((snapshot, None));
    };
    let tag = plan.tag.clone();
    let commit = plan.commit.clone();
    let work = move || {
        let verified = trust.verify(&snapshot, &commit, tag.as_ref())?;
        Ok((snapshot, Some(verified)))
    };
    let done = tokio::task::spawn_blocking(work).await;
    let (snapshot, verified) =
        done.unwrap_or_else(|error| Err(untrusted("VerificationError", error.to_string())))?;
    if let Some(verified) = &verified {
        progress.emit(Note::trace("Succeeded", verified.message.clone()));
    }
    Ok((snapshot, verified))
}

/// Says that there is something new to build, once it is known to be there.
async fn announce(object: &GitRepository, plan: &Plan, progress: &Progress) -> Result<(), Failure> {
    let (revision, published) = (&plan.revision, &plan.published);
    let is_new = published
        .as_ref()
        .is_none_or(|artifact| artifact.revision != *revision);
    if is_new {
        let words = format!("building artifact: new upstream revision '{revision}'");
        let words_of_condition = format!("new upstream revision '{revision}'");
        let change = outdated(published.is_some(), "NewRevision", words_of_condition);
        progress.changed(words, change).await?;
    } else if plan.includes_changed {
        let what = "included artifacts differ from last observed includes";
        let had_some = observed_includes(object);
        let change = outdated(had_some, "IncludeChange", what);
        progress
            .changed(format!("building artifact: {what}"), change)
            .await?;
    }
    Ok(())
}

fn observed_includes(object: &GitRepository) -> bool {
    object
        .status
        .as_ref()
        .is_some_and(|status| !status.included_artifacts.is_empty())
}

fn write_files(
    snapshot: &Snapshot,
    mut overlay: Overlay,
    plan: &Plan,
    out: &mut dyn io::Write,
) -> Result<Skipped, WalkError> {
    let mut rules = IgnoreRules::new(plan.ignore.as_deref());
    snapshot.read_ignore_files(&mut rules)?;
    overlay.read_ignore_files(&mut rules)?;
    let mut archive = ArchiveWriter::new(out);
    let skipped = snapshot.walk(&rules, &plan.directories, &mut |entry| {
        let (Entry::Directory(path) | Entry::File { path, .. }) = entry;
        write_included(&mut archive, &mut overlay, &rules, Some(path))?;
        match entry {
            Entry::Directory(path) => archive.directory(path),
            Entry::File {
                path,
                executable,
                content,
            } => archive.file(path, executable, content.len() as u64, content),
        }
    })?;
    write_included(&mut archive, &mut overlay, &rules, None)?;
    archive.finish()?;
    Ok(skipped)
}

/// Writes the included entries that come before a path, or all that are left.
fn write_included(
    archive: &mut ArchiveWriter<&mut dyn io::Write>,
    overlay: &mut Overlay,
    rules: &IgnoreRules,
    before: Option<&[u8]>,
) -> io::Result<()> {
    for (at, laid) in overlay.before(before) {
        let path = at.join("/");
        if rules.excludes(&path, laid == Laid::Directory) {
            continue;
        }
        match laid {
            Laid::Directory => archive.directory(path.as_bytes())?,
            Laid::File { tree, path: source } => {
                let (executable, content) = overlay.file(tree, &source)?;
                archive.file(
                    path.as_bytes(),
                    executable,
                    content.len() as u64,
                    &content[..],
                )?;
            }
        }
    }
    Ok(())
}

/// Returns a failure to reach the commit.
pub(super) fn checkout(cause: &str) -> Failure {
    fetch(
        GIT_FAILED,
        format!("failed to checkout and determine revision: {cause}"),
    )
}

/// Returns a failure to trust the commit or its tag, with the condition SourceVerified.
pub(super) fn untrusted(reason: &str, message: impl Into<String>) -> Failure {
    let message = message.into();
    let change = Change::default()
        .condition(SOURCE_VERIFIED, "False", reason, message.clone())
        .remove(FETCH_FAILED);
    Failure::retry(reason, message).with(change)
}

fn unreadable(error: &WalkError) -> Failure {
    checkout(&chain(error))
}

fn not_written(error: WriteError<WalkError>) -> Failure {
    match error {
        WriteError::Content(error @ WalkError::NoSuchDirectory(_)) => fetch(
            GIT_FAILED,
            format!("failed to sparse checkout directories : {}", chain(&error)),
        ),
        WriteError::Content(error @ WalkError::Objects(_)) => unreadable(&error),
        error => shelf::not_written(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_to_write_have_their_condition_and_reason() {
        let io = || io::Error::other("disk");
        let check = |error: WriteError<WalkError>, reason: &str, words: &str| {
            let failure = not_written(error);
            assert_eq!(
                (failure.reason.as_str(), failure.message.as_str()),
                (reason, words)
            );
        };
        check(
            WriteError::Directory(io()),
            "DirectoryCreationFailed",
            "failed to create artifact directory: disk",
        );
        check(
            WriteError::Lock(io()),
            "Failed",
            "failed to acquire lock for artifact: disk",
        );
        check(
            WriteError::Content(WalkError::Sink(io())),
            "ArchiveOperationFailed",
            "unable to archive artifact to storage: disk",
        );
        check(
            WriteError::Content(WalkError::NoSuchDirectory("x".into())),
            "GitOperationFailed",
            "failed to sparse checkout directories : sparse checkout dir 'x' does not exist in repository",
        );
    }
}
