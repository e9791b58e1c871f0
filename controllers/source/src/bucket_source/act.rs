//! Downloads what changed and stores everything as the new artifact.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use api::meta::Artifact;
use api::source::Bucket;
use artifact::fetch::Bounds;
use artifact::storage::ArtifactPath;
use artifact::{ArchiveWriter, ArtifactTree};
use bucket::{Error, Found, Store};
use futures::{StreamExt, TryStreamExt};
use runtime::{Failure, Progress};
use select::IGNORE_FILE;
use tokio::sync::Semaphore;

use super::gather::{FAILED, revision};
use super::plan::Plan;
use super::{Buckets, LINK, Made};
use crate::failure::{chain, fetch, storage};
use crate::shelf::outdated;
use crate::tree::confined;

/// How many objects are downloaded at once.
const AT_ONCE: usize = 16;
/// How much of one bucket may be in memory at once, in MiB: the largest object alone, or all that are downloaded at once
/// where they are small.
const MAX_IN_MEMORY: u32 = 512;

/// What came of a run.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// What is published is what the store has.
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
        /// How many objects are in it.
        count: usize,
    },
}

/// Contents put aside, by path.
struct Contents {
    file: File,
    size: u64,
    places: BTreeMap<Vec<String>, (u64, u64)>,
}

impl Contents {
    fn put(&mut self, path: &str, content: &[u8]) -> io::Result<()> {
        self.file.write_all_at(content, self.size)?;
        let parts = path.split('/').map(str::to_owned).collect();
        self.places.insert(parts, (self.size, content.len() as u64));
        self.size += content.len() as u64;
        Ok(())
    }

    /// Writes everything as an archive: each directory before its contents, names bytewise.
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut archive = ArchiveWriter::new(out);
        archive.directory(b".")?;
        let mut folders: BTreeSet<&[String]> = BTreeSet::new();
        for (parts, (offset, length)) in &self.places {
            for depth in 1..parts.len() {
                if folders.insert(&parts[..depth]) {
                    archive.directory(parts[..depth].join("/").as_bytes())?;
                }
            }
            let mut content = vec![0; usize::try_from(*length).map_err(io::Error::other)?];
            self.file.read_exact_at(&mut content, *offset)?;
            archive.file(parts.join("/").as_bytes(), false, *length, &content[..])?;
        }
        archive.finish().map(drop)
    }
}

impl Buckets {
    pub(super) async fn publish(
        &self,
        object: &Bucket,
        plan: Plan,
        progress: &Progress,
    ) -> Result<Outcome, Failure> {
        let listed = revision(&plan.etags, plan.algorithm);
        let words = format!("new upstream revision '{listed}'");
        let change = outdated(plan.published.is_some(), "NewRevision", words.clone());
        progress
            .changed(format!("building artifact: {words}"), change)
            .await?;
        let (contents, etags) = self.contents(object, &plan).await?;
        let count = etags.len();
        let revision = revision(&etags, plan.algorithm);
        let hex = revision
            .split_once(':')
            .map_or(revision.as_str(), |(_, hex)| hex);
        let file = format!("{hex}.tar.gz");
        let shelf = &self.setup.shelf;
        let stored = shelf.put(object, &file, &revision, move |out| contents.write(out));
        let artifact = stored.await?;
        let url = shelf.link(&artifact, LINK, progress).await;
        shelf.remember(&artifact, &Made { revision, etags }).await;
        Ok(Outcome::Stored {
            artifact,
            url,
            count,
        })
    }

    /// Puts all contents aside. Returns also the etags that belong to them: an object may change or go while it is read.
    async fn contents(
        &self,
        object: &Bucket,
        plan: &Plan,
    ) -> Result<(Contents, BTreeMap<String, String>), Failure> {
        let mut contents = Contents {
            file: tempfile::tempfile_in(&self.setup.scratch).map_err(|error| no_space(&error))?,
            size: 0,
            places: BTreeMap::new(),
        };
        if let Some(patterns) = &plan.patterns {
            contents
                .put(IGNORE_FILE, patterns)
                .map_err(|error| no_space(&error))?;
        }
        let (known, made) = self.known(plan).await;
        let mut etags = BTreeMap::new();
        let mut wanted = Vec::new();
        for (key, etag) in &plan.etags {
            let path = confined(key);
            let same = made.get(key) == Some(etag);
            match known
                .as_ref()
                .filter(|_| same)
                .map(|tree| tree.content(&path))
            {
                Some(Ok(content)) => {
                    contents
                        .put(&path, &content)
                        .map_err(|error| no_space(&error))?;
                    etags.insert(key.clone(), etag.clone());
                }
                Some(Err(_)) | None => wanted.push(key.clone()),
            }
        }
        let name = &object.spec.bucket_name;
        fetch_into(&mut contents, &mut etags, (name, plan), wanted).await?;
        Ok((contents, etags))
    }

    /// Unpacks what is published, where it is known which object each file is of.
    async fn known(&self, plan: &Plan) -> (Option<ArtifactTree>, BTreeMap<String, String>) {
        let Some(published) = &plan.published else {
            return (None, BTreeMap::new());
        };
        let made = self.made(published).await;
        let Ok(path) = ArtifactPath::parse(&published.path) else {
            return (None, made);
        };
        if made.is_empty() {
            return (None, made);
        }
        let (store, scratch) = (
            Arc::clone(self.setup.shelf.storage()),
            self.setup.scratch.clone(),
        );
        let unpacking = tokio::task::spawn_blocking(move || {
            let file = store.open(&path).ok()?;
            ArtifactTree::unpack(file, &scratch, Bounds::default()).ok()
        });
        (unpacking.await.ok().flatten(), made)
    }
}

fn no_space(error: &io::Error) -> Failure {
    let words = format!("failed to create temporary working directory: {error}");
    storage("DirectoryCreationFailed", words)
}

fn not_fetched(bucket: &str, key: &str, error: &Error) -> Failure {
    let words = format!(
        "fetch from bucket '{bucket}' failed: failed to get '{key}' object: {}",
        chain(error)
    );
    fetch(FAILED, words)
}

/// Puts the contents of these objects aside, with the etags that belong to them.
async fn fetch_into(
    contents: &mut Contents,
    etags: &mut BTreeMap<String, String>,
    (bucket, plan): (&str, &Plan),
    wanted: Vec<String>,
) -> Result<(), Failure> {
    let room = Semaphore::new(MAX_IN_MEMORY as usize);
    let mut downloads = futures::stream::iter(wanted)
        .map(|key| async {
            let most = plan.sizes.most(&key);
            let share = u32::try_from(most >> 20).unwrap_or(MAX_IN_MEMORY);
            // Given back once the content is put aside.
            let held = room.acquire_many(share.min(MAX_IN_MEMORY)).await.ok();
            let (key, found) = download(&plan.store, key, most).await?;
            Ok((key, found, held))
        })
        .buffer_unordered(AT_ONCE);
    while let Some((key, found, _held)) = downloads
        .try_next()
        .await
        .map_err(|(key, error)| not_fetched(bucket, &key, &error))?
    {
        let Some(found) = found else {
            tracing::info!(key, "object is gone since it was listed");
            continue;
        };
        contents
            .put(&confined(&key), &found.content)
            .map_err(|error| no_space(&error))?;
        let listed = plan.etags.get(&key).cloned().unwrap_or_default();
        let etag = if found.etag.is_empty() {
            listed
        } else {
            found.etag
        };
        etags.insert(key, etag);
    }
    Ok(())
}

/// Reads one object; nothing where it is gone.
async fn download(
    store: &Store,
    key: String,
    max_bytes: u64,
) -> Result<(String, Option<Found>), (String, Error)> {
    match store.get(&key, max_bytes).await {
        Ok(found) => Ok((key, Some(found))),
        Err(error) if error.is_not_found() => Ok((key, None)),
        Err(error) => Err((key, error)),
    }
}
