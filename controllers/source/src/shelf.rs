//! The storage as a kind sees it: the current artifact looked after, a new one put there, all of them removed.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use api::meta::{Artifact, Time};
use artifact::gc::Retention;
use artifact::storage::{ArtifactPath, Stored, VerifyError, WriteError};
use artifact::{Algorithm, Storage};
use kube::ResourceExt;
use runtime::{Change, Failure, Note, Progress};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::conditions::{
    ARTIFACT_IN_STORAGE, ARTIFACT_OUTDATED, FETCH_FAILED, STORAGE_OPERATION_FAILED,
};
use crate::failure::{chain, had_failed, storage};

/// How long a run may spend on removing old artifacts.
const COLLECT_BUDGET: Duration = Duration::from_secs(5);
/// The most that is kept of what is known of an artifact, in bytes.
const MAX_KNOWN_BYTES: u64 = 64 << 20;
/// Facts of an artifact in the metadata of its events.
const REVISION: &str = "source.toolkit.fluxcd.io/revision";
const DIGEST: &str = "source.toolkit.fluxcd.io/digest";

/// The artifacts of one kind.
#[derive(Clone, Debug)]
pub(crate) struct Shelf {
    kind: &'static str,
    storage: Arc<Storage>,
    retention: Retention,
}

enum Checked {
    Intact,
    Missing,
    Damaged(String),
}

impl Shelf {
    pub(crate) fn new(kind: &'static str, storage: Arc<Storage>, retention: Retention) -> Self {
        Self {
            kind,
            storage,
            retention,
        }
    }

    /// Returns the storage itself.
    pub(crate) fn storage(&self) -> &Arc<Storage> {
        &self.storage
    }

    /// Returns the algorithm of a revision that is a digest: it is compared in the one that it was made with.
    pub(crate) fn algorithm(&self, artifact: Option<&Artifact>) -> Algorithm {
        let named = artifact.and_then(|artifact| artifact.revision.split_once(':'));
        named
            .and_then(|(name, _)| name.parse().ok())
            .unwrap_or(self.storage.algorithm())
    }

    /// Removes old artifacts and checks the current one: returns it, with today's address, or says that it is missing.
    pub(crate) async fn current(
        &self,
        published: Option<&Artifact>,
        progress: &Progress,
    ) -> Result<Option<Artifact>, Failure> {
        let Some(published) = published else {
            progress.changed("building artifact", disappeared()).await?;
            return Ok(None);
        };
        let mut current = published.clone();
        if let Ok(path) = ArtifactPath::parse(&current.path) {
            match self.look(&path, &current.digest, progress).await? {
                Checked::Intact => {
                    current.url = self.storage.url(&path);
                    return Ok(Some(current));
                }
                Checked::Missing => {}
                Checked::Damaged(why) => progress.emit(Note::error(
                    "ArtifactVerificationFailed",
                    format!("failed to verify integrity of artifact: {why}"),
                )),
            }
        }
        let words = "building artifact: disappeared from storage";
        progress.changed(words, disappeared()).await?;
        Ok(None)
    }

    /// Collects garbage and checks what is left, in one go: each poll does, and each change of threads costs more than both.
    async fn look(
        &self,
        path: &ArtifactPath,
        digest: &str,
        progress: &Progress,
    ) -> Result<Checked, Failure> {
        let (store, retention) = (Arc::clone(&self.storage), self.retention);
        let (path, digest) = (path.clone(), digest.to_owned());
        let looking = tokio::task::spawn_blocking(move || {
            let collected = store.collect(&path, retention, COLLECT_BUDGET);
            (collected, check(&store, &path, &digest))
        });
        let (collected, checked) = match looking.await {
            Ok(looked) => looked,
            Err(error) => return Err(storage("StatOperationFailed", error.to_string())),
        };
        match collected {
            Ok(removed) if removed.is_empty() => {}
            Ok(removed) => {
                let words = format!("garbage collected {} artifacts", removed.len());
                progress.emit(Note::trace("GarbageCollectionSucceeded", words));
            }
            Err(error) => {
                let words = format!("garbage collection failed: {}", chain(&error));
                progress.emit(Note::error("GarbageCollectionFailed", words));
            }
        }
        checked.map_err(|message| storage("StatOperationFailed", message))
    }

    /// Stores a file of an object as its new artifact. `fill` writes the content, on a thread that may block.
    pub(crate) async fn put(
        &self,
        object: &impl kube::Resource,
        file: &str,
        revision: &str,
        fill: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
    ) -> Result<Artifact, Failure> {
        let write = |store: &Storage, path: &ArtifactPath| {
            let stored = store.write(path, fill);
            Ok((stored.map_err(|error| not_written(&error))?, ()))
        };
        let (artifact, ()) = self.put_by(object, file, revision, write).await?;
        Ok(artifact)
    }

    /// Stores a file of an object as its new artifact by `write`, on a thread that may block. Hands on what else `write`
    /// returns.
    pub(crate) async fn put_by<T: Send + 'static>(
        &self,
        object: &impl kube::Resource,
        file: &str,
        revision: &str,
        write: impl FnOnce(&Storage, &ArtifactPath) -> Result<(Stored, T), Failure> + Send + 'static,
    ) -> Result<(Artifact, T), Failure> {
        let namespace = object.namespace().unwrap_or_default();
        let path = ArtifactPath::new(self.kind, &namespace, &object.name_any(), file)
            .map_err(|error| storage("InvalidPath", error.to_string()))?;
        let (store, target) = (Arc::clone(&self.storage), path.clone());
        let written = tokio::task::spawn_blocking(move || write(&store, &target)).await;
        let (stored, more) = written
            .unwrap_or_else(|error| Err(storage("ArchiveOperationFailed", error.to_string())))?;
        tracing::info!(revision, path = path.as_str(), "stored artifact");
        let artifact = Artifact {
            path: path.as_str().to_owned(),
            url: self.storage.url(&path),
            revision: revision.to_owned(),
            digest: stored.digest.to_string(),
            checksum: None,
            last_update_time: Time(runtime::conditions::whole_seconds(stored.written)),
            size: i64::try_from(stored.size).ok(),
            metadata: BTreeMap::new(),
        };
        Ok((artifact, more))
    }

    /// Keeps what is known of an artifact, for this process and the next. That it cannot be kept is no failure: it is
    /// found out anew.
    pub(crate) async fn remember<T: Serialize>(&self, artifact: &Artifact, known: &T) {
        let (Ok(path), Ok(text)) = (
            ArtifactPath::parse(&artifact.path),
            serde_json::to_vec(known),
        ) else {
            return;
        };
        let store = Arc::clone(&self.storage);
        let kept = tokio::task::spawn_blocking(move || store.remember(&path, &text)).await;
        if let Ok(Err(error)) = kept {
            tracing::warn!(%error, "cannot keep what is known of the artifact");
        }
    }

    /// Returns what is known of an artifact.
    pub(crate) async fn recall<T: DeserializeOwned>(&self, artifact: &Artifact) -> Option<T> {
        let path = ArtifactPath::parse(&artifact.path).ok()?;
        let store = Arc::clone(&self.storage);
        let kept = tokio::task::spawn_blocking(move || store.recall(&path, MAX_KNOWN_BYTES));
        let text = kept.await.ok()?.ok()??;
        serde_json::from_slice(&text).ok()
    }

    /// Makes `name` a link to the artifact and returns the address of the link. That it cannot be made is told, and no
    /// failure.
    pub(crate) async fn link(
        &self,
        artifact: &Artifact,
        name: &'static str,
        progress: &Progress,
    ) -> String {
        let Ok(path) = ArtifactPath::parse(&artifact.path) else {
            return String::new();
        };
        let url = self.storage.link_url(&path, name);
        let store = Arc::clone(&self.storage);
        let linked = tokio::task::spawn_blocking(move || store.link(&path, name)).await;
        if let Ok(Err(error)) = linked {
            let words = format!("failed to update status URL symlink: {error}");
            progress.emit(Note::trace("SymlinkUpdateFailed", words));
        }
        url
    }

    /// Removes everything of a deleted object.
    pub(crate) fn cleanup(&self, object: &impl kube::Resource) -> Result<Vec<Note>, Failure> {
        let namespace = object.namespace().unwrap_or_default();
        let removed = self
            .storage
            .remove_object(self.kind, &namespace, &object.name_any());
        match removed {
            Ok(false) => Ok(Vec::new()),
            Ok(true) => Ok(vec![Note::trace(
                "GarbageCollectionSucceeded",
                "garbage collected artifacts for deleted resource",
            )]),
            Err(error) => Err(Failure::retry(
                "GarbageCollectionFailed",
                format!("garbage collection for deleted resource failed: {error}"),
            )),
        }
    }
}

/// Compares the stored file with its digest; a file that differs is removed.
fn check(store: &Storage, path: &ArtifactPath, digest: &str) -> Result<Checked, String> {
    if !store.exists(path) {
        return Ok(Checked::Missing);
    }
    match store.verify(path, digest) {
        Ok(()) => Ok(Checked::Intact),
        Err(VerifyError::Read(error)) => Err(format!("failed to read artifact: {error}")),
        Err(error) => match store.remove(path) {
            Ok(()) => Ok(Checked::Damaged(chain(&error))),
            Err(cause) => Err(format!(
                "failed to remove artifact after digest mismatch: {cause}"
            )),
        },
    }
}

fn disappeared() -> Change {
    Change::default()
        .unset("artifact")
        .unset("url")
        .remove(ARTIFACT_IN_STORAGE)
}

/// Says why an artifact was not stored.
pub(crate) fn not_written<E: std::error::Error + 'static>(error: &WriteError<E>) -> Failure {
    let words = chain(error);
    match error {
        WriteError::Directory(_) => storage("DirectoryCreationFailed", words),
        WriteError::Lock(_) => Failure::retry("Failed", words),
        _ => storage("ArchiveOperationFailed", words),
    }
}

/// Says that an artifact is outdated, where there is one.
pub(crate) fn outdated(had_one: bool, reason: &str, words: impl Into<String>) -> Change {
    if had_one {
        Change::default().condition(ARTIFACT_OUTDATED, "True", reason, words)
    } else {
        Change::default()
    }
}

/// What a status says once the artifact is the one that is asked for.
pub(crate) fn in_storage(artifact: &Artifact, reason: &str, words: impl Into<String>) -> Change {
    Change::default()
        .remove(FETCH_FAILED)
        .remove(STORAGE_OPERATION_FAILED)
        .remove(ARTIFACT_OUTDATED)
        .condition(ARTIFACT_IN_STORAGE, "True", reason, words)
        .set("artifact", artifact)
}

/// Returns the address of the link `name` beside an artifact.
pub(crate) fn beside(artifact: &Artifact, name: &str) -> String {
    let folder = artifact.url.rsplit_once('/');
    format!("{}/{name}", folder.map_or("", |(folder, _)| folder))
}

/// What a finished run tells of an artifact.
pub(crate) struct Told<'a> {
    pub(crate) artifact: &'a Artifact,
    /// The artifact that was published before the run.
    pub(crate) before: Option<&'a Artifact>,
    /// The conditions whose end is worth telling.
    pub(crate) failures: &'a [&'a str],
    /// The reasons of a new artifact and of a failure that is over.
    pub(crate) reasons: (&'a str, &'a str),
    pub(crate) words: String,
    /// What is told where nothing was stored, and a user asked.
    pub(crate) unchanged: Option<Note>,
}

/// Returns the events of a finished run: that the artifact is new or that a failure is over, and the answer to a user.
pub(crate) fn notes<K: api::Reconciled>(object: &K, told: Told<'_>) -> Vec<Note> {
    let Told {
        artifact,
        before,
        failures,
        reasons,
        words,
        unchanged,
    } = told;
    let is_new = before.is_none_or(|old| old.digest != artifact.digest);
    let reason = if is_new {
        Some(reasons.0)
    } else {
        had_failed(object.conditions(), failures).then_some(reasons.1)
    };
    let news = reason.map(|reason| {
        Note::info(reason, words)
            .with(REVISION, artifact.revision.clone())
            .with(DIGEST, artifact.digest.clone())
    });
    // Deviation: no event where nobody asked and nothing happened.
    let answer = unchanged.filter(|_| is_requested(object));
    news.into_iter().chain(answer).collect()
}

/// Says that an artifact is what its source has.
pub(crate) fn up_to_date(artifact: &Artifact) -> Note {
    let words = format!(
        "artifact up-to-date with remote revision: '{}'",
        artifact.revision
    );
    Note::trace("ArtifactUpToDate", words)
}

/// Says whether a user asked for this run: by a new generation or by the request annotation.
pub(crate) fn is_requested<K: api::Reconciled>(object: &K) -> bool {
    let asked = object.annotations().get(runtime::drive::REQUESTED_AT);
    asked.is_some_and(|asked| object.last_handled_reconcile_at() != Some(asked))
        || object.meta().generation != object.observed_generation()
}

/// Says whether the last finished run was for another generation.
pub(crate) fn is_new_generation<K: api::Reconciled>(object: &K) -> bool {
    object.meta().generation != object.observed_generation()
}

/// Returns an artifact for tests.
#[cfg(test)]
pub(crate) fn sample(revision: &str) -> Artifact {
    Artifact {
        path: String::new(),
        url: String::new(),
        revision: revision.to_owned(),
        digest: String::new(),
        checksum: None,
        last_update_time: Time(jiff::Timestamp::UNIX_EPOCH),
        size: None,
        metadata: BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: SC-037
    #[test]
    fn artifact_without_a_digest_is_removed_and_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::new(folder.path(), "host", Algorithm::default()).unwrap();
        let path = ArtifactPath::new("GitRepository", "ns", "app", "x.tar.gz").unwrap();
        let file = folder.path().join(path.as_str());
        let written: Result<_, WriteError<io::Error>> =
            storage.write(&path, |out| out.write_all(b"content"));
        written.unwrap();
        let checked = check(&storage, &path, "").unwrap();
        let Checked::Damaged(why) = checked else {
            panic!("it has no digest to be right by");
        };
        assert_eq!(why, "artifact has no digest");
        assert!(!file.exists(), "it is gone");
        let checked = check(&storage, &path, "").unwrap();
        assert!(matches!(checked, Checked::Missing));
    }
}
