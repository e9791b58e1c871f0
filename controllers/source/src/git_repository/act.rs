//! Fetches the commit and stores its files as the new artifact.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use api::meta::{Artifact, Time};
use api::source::GitRepository;
use artifact::ArchiveWriter;
use artifact::storage::{ArtifactPath, Stored, WriteError};
use git::{Entry, Skipped, Snapshot, WalkError};
use kube::ResourceExt;
use runtime::{Change, Failure, Note, Progress};
use select::IgnoreRules;

use super::failure::{GIT_FAILED, chain, checkout, fetch, storage, untrusted};
use super::include::{Laid, Overlay};
use super::plan::Plan;
use super::verify::{Trust, Verified};
use super::{ARTIFACT_OUTDATED, GitRepositories, KIND};

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

/// What the thread that stores hands back.
struct Archived {
    stored: Stored,
    message: String,
    skipped: Skipped,
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
        let namespace = object.namespace().unwrap_or_default();
        let file = format!("{}.tar.gz", plan.commit);
        let path = ArtifactPath::new(KIND, &namespace, &object.name_any(), &file)
            .map_err(|error| storage("InvalidPath", error.to_string()))?;
        let archived = self.archive(&path, snapshot, &plan).await?;
        if archived.skipped.links > 0 {
            let links = archived.skipped.links;
            tracing::debug!(links, "symbolic links are not part of the artifact");
        }
        tracing::info!(
            revision = plan.revision,
            path = path.as_str(),
            "stored artifact"
        );
        let artifact = Artifact {
            path: path.as_str().to_owned(),
            url: self.storage.url(&path),
            metadata: metadata(&plan),
            revision: plan.revision,
            digest: archived.stored.digest.to_string(),
            checksum: None,
            last_update_time: Time(runtime::conditions::whole_seconds(archived.stored.written)),
            size: i64::try_from(archived.stored.size).ok(),
        };
        Ok(Outcome::Stored {
            artifact,
            message: archived.message,
            verified,
            included: plan
                .included
                .into_iter()
                .map(|each| each.artifact)
                .collect(),
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

    async fn archive(
        &self,
        path: &ArtifactPath,
        snapshot: Snapshot,
        plan: &Plan,
    ) -> Result<Archived, Failure> {
        let (store, path) = (Arc::clone(&self.storage), path.clone());
        let (ignore, directories) = (plan.ignore.clone(), plan.directories.clone());
        let included = plan.included.clone();
        let work = move || {
            let message = snapshot.message().map_err(|error| unreadable(&error))?;
            let overlay = Overlay::lay(&store, &snapshot, &included)?;
            let mut skipped = Skipped::default();
            let stored = store.write(&path, |out| {
                skipped = write_files(&snapshot, overlay, ignore.as_deref(), &directories, out)?;
                Ok(())
            });
            Ok(Archived {
                stored: stored.map_err(not_written)?,
                message,
                skipped,
            })
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|error| Err(storage("ArchiveOperationFailed", error.to_string())))
    }
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
        let change = outdated("NewRevision", words_of_condition, published.is_some());
        progress.changed(words, change).await?;
    } else if plan.includes_changed {
        let what = "included artifacts differ from last observed includes";
        let had_some = observed_includes(object);
        let change = outdated("IncludeChange", what.to_owned(), had_some);
        progress
            .changed(format!("building artifact: {what}"), change)
            .await?;
    }
    Ok(())
}

fn outdated(reason: &str, words: String, had_one: bool) -> Change {
    if !had_one {
        return Change::default();
    }
    Change::default().condition(ARTIFACT_OUTDATED, "True", reason, words)
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
    ignore: Option<&str>,
    directories: &[String],
    out: &mut dyn io::Write,
) -> Result<Skipped, WalkError> {
    let mut rules = IgnoreRules::new(ignore);
    snapshot.read_ignore_files(&mut rules)?;
    overlay.read_ignore_files(&mut rules)?;
    let mut archive = ArchiveWriter::new(out);
    let skipped = snapshot.walk(&rules, directories, &mut |entry| {
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

fn unreadable(error: &WalkError) -> Failure {
    fetch(
        GIT_FAILED,
        format!(
            "failed to checkout and determine revision: {}",
            chain(error)
        ),
    )
}

fn not_written(error: WriteError<WalkError>) -> Failure {
    let words = chain(&error);
    match error {
        WriteError::Directory(_) => storage("DirectoryCreationFailed", words),
        WriteError::Lock(_) => Failure::retry("Failed", words),
        WriteError::Content(error @ WalkError::NoSuchDirectory(_)) => fetch(
            GIT_FAILED,
            format!("failed to sparse checkout directories : {}", chain(&error)),
        ),
        WriteError::Content(error @ WalkError::Objects(_)) => unreadable(&error),
        WriteError::Content(_) | WriteError::File(_) | _ => {
            storage("ArchiveOperationFailed", words)
        }
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
