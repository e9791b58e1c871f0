//! The consumer's side: download an artifact once per digest, check it, and read its files without unpacking it.

use std::collections::HashMap;
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use http::StatusCode;
use net_http::{Client, Request};

use crate::digest::{Digest, Hasher, ParseError};

mod tree;

pub use tree::{ArtifactTree, Bounds, ExtractError};

/// How downloads are made and how much is kept.
#[derive(Clone, Debug)]
pub struct FetchConfig {
    /// How often a download is tried again after its first failure.
    pub retries: u32,
    /// The wait before the first retry; it doubles each time.
    pub wait_min: Duration,
    /// The longest wait.
    pub wait_max: Duration,
    /// The largest archive, in bytes as downloaded.
    pub max_archive_bytes: u64,
    /// What an archive may hold.
    pub bounds: Bounds,
    /// How many bytes of unpacked artifacts are kept for the next build. One in use is never counted out of memory: it
    /// lives as long as its readers.
    pub kept_bytes: u64,
    /// How many of them: each is an open file.
    pub kept_trees: usize,
    /// Where the files lie, without a name, while they are open.
    pub directory: PathBuf,
}

impl Default for FetchConfig {
    /// Nine retries from 5 s to 30 s; archives up to 1 GiB; 256 of 1 GiB in all kept in the system's temporary directory.
    fn default() -> Self {
        Self {
            retries: 9,
            wait_min: Duration::from_secs(5),
            wait_max: Duration::from_secs(30),
            max_archive_bytes: 1 << 30,
            bounds: Bounds::default(),
            kept_bytes: 1 << 30,
            kept_trees: 256,
            directory: std::env::temp_dir(),
        }
    }
}

/// Why an artifact could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The server does not have it (any more): the source has a newer one, or is about to make it again.
    #[error("file not found")]
    NotFound,
    /// The server answered with another status than 200.
    #[error("failed to download archive from {url} (status: {status})")]
    Status {
        /// Where it was asked for, without credentials.
        url: String,
        /// What came back.
        status: StatusCode,
    },
    /// No answer, or it broke off.
    #[error("failed to download archive")]
    Download(#[source] net_http::Error),
    /// The archive is larger than allowed.
    #[error("failed to download archive: it is larger than {max_bytes} bytes")]
    TooLarge {
        /// The limit.
        max_bytes: u64,
    },
    /// The digest given is none.
    #[error("failed to verify archive: failed to parse digest '{text}'")]
    Digest {
        /// What was given.
        text: String,
        /// What is wrong with it.
        #[source]
        source: ParseError,
    },
    /// No digest was given.
    #[error("failed to verify archive: empty digest")]
    NoDigest,
    /// The archive is not the one that the digest names: truncated, replaced or tampered with.
    #[error(
        "failed to verify archive: computed digest doesn't match provided '{expected}' (check whether file size exceeds max download size)"
    )]
    Mismatch {
        /// The digest that was asked for.
        expected: Digest,
    },
    /// The archive is not one, or holds what it must not.
    #[error("failed to extract archive (check whether file size exceeds max download size)")]
    Extract(#[from] ExtractError),
    /// No temporary file could be made or written.
    #[error("failed to store archive")]
    Spool(#[from] std::io::Error),
}

impl FetchError {
    /// Returns whether the same request may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Download(error) => error.is_transient(),
            Self::Status { status, .. } => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            _ => false,
        }
    }
}

/// Downloads artifacts and keeps the newest of each source, one copy per digest.
///
/// Whoever asks for a digest that someone else is downloading waits for that download. What is kept is bounded by
/// [`FetchConfig::kept_bytes`] and [`FetchConfig::kept_trees`]; what is in use stays readable in any case.
#[derive(Debug)]
pub struct ArtifactCache {
    client: Client,
    config: FetchConfig,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Least recently used first.
    kept: Vec<Kept>,
    /// Artifacts that are out of the list above and still read by someone.
    in_use: HashMap<Digest, Weak<ArtifactTree>>,
    flights: HashMap<Digest, Weak<tokio::sync::Mutex<()>>>,
}

#[derive(Debug)]
struct Kept {
    digest: Digest,
    tree: Arc<ArtifactTree>,
    /// The part of the URL that all artifacts of a source share.
    source: String,
}

impl State {
    /// Lets an artifact go. Who reads it has it in common with who asks for it meanwhile.
    fn let_go(&mut self, at: usize) {
        let Kept { digest, tree, .. } = self.kept.remove(at);
        self.in_use.insert(digest, Arc::downgrade(&tree));
    }
}

impl ArtifactCache {
    /// Returns an empty cache.
    pub fn new(client: Client, config: FetchConfig) -> Self {
        Self {
            client,
            config,
            state: Mutex::default(),
        }
    }

    /// Returns the artifact with this digest, downloaded from `url` unless it is already there.
    ///
    /// `digest` has the form `<algorithm>:<hex>`; bare hex counts as SHA-256. Cancel by dropping the future.
    ///
    /// # Errors
    /// [`FetchError`]; only failed connections and the statuses 429 and 5xx are tried again.
    pub async fn get(&self, url: &str, digest: &str) -> Result<Arc<ArtifactTree>, FetchError> {
        let digest = parse(digest)?;
        if let Some(tree) = self.lookup(&digest) {
            return Ok(tree);
        }
        let flight = self.flight(&digest);
        let _landed = flight.lock().await;
        if let Some(tree) = self.lookup(&digest) {
            return Ok(tree);
        }
        let archive = self.download_with_retries(url, &digest).await?;
        let (bounds, directory) = (self.config.bounds, self.config.directory.clone());
        let tree =
            tokio::task::spawn_blocking(move || ArtifactTree::unpack(archive, &directory, bounds));
        let tree = Arc::new(tree.await.map_err(std::io::Error::other)??);
        let source = url.rsplit_once('/').map_or(url, |(folder, _)| folder);
        self.keep(Kept {
            digest,
            tree: Arc::clone(&tree),
            source: source.to_owned(),
        });
        Ok(tree)
    }

    /// Downloads an archive as it is, once, and checks its digest; nothing is kept.
    ///
    /// # Errors
    /// [`FetchError`]; nothing is tried again.
    pub async fn archive(&self, url: &str, digest: &str) -> Result<Vec<u8>, FetchError> {
        let mut file = self.download(url, &parse(digest)?).await?;
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut file, &mut bytes).map(|_| bytes)
        });
        Ok(read.await.map_err(std::io::Error::other)??)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lookup(&self, digest: &Digest) -> Option<Arc<ArtifactTree>> {
        let mut state = self.state();
        if let Some(at) = state.kept.iter().position(|kept| kept.digest == *digest) {
            let kept = state.kept.remove(at);
            let tree = Arc::clone(&kept.tree);
            state.kept.push(kept);
            return Some(tree);
        }
        state.in_use.get(digest).and_then(Weak::upgrade)
    }

    fn flight(&self, digest: &Digest) -> Arc<tokio::sync::Mutex<()>> {
        let mut state = self.state();
        state.flights.retain(|_, flight| flight.strong_count() > 0);
        if let Some(flight) = state.flights.get(digest).and_then(Weak::upgrade) {
            return flight;
        }
        let flight = Arc::default();
        state
            .flights
            .insert(digest.clone(), Arc::downgrade(&flight));
        flight
    }

    fn keep(&self, new: Kept) {
        let mut state = self.state();
        state.in_use.retain(|_, tree| tree.strong_count() > 0);
        // A source has one artifact at a time.
        let older = state.kept.iter().position(|kept| kept.source == new.source);
        if let Some(at) = older {
            state.let_go(at);
        }
        state.kept.push(new);
        let mut total: u64 = state.kept.iter().map(|kept| kept.tree.bytes()).sum();
        while let Some(oldest) = state.kept.first()
            && (total > self.config.kept_bytes || state.kept.len() > self.config.kept_trees)
        {
            total -= oldest.tree.bytes();
            state.let_go(0);
        }
    }

    async fn download_with_retries(
        &self,
        url: &str,
        digest: &Digest,
    ) -> Result<std::fs::File, FetchError> {
        let mut wait = self.config.wait_min;
        for _ in 0..self.config.retries {
            match self.download(url, digest).await {
                Err(error) if error.is_transient() => {}
                result => return result,
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(self.config.wait_max);
        }
        self.download(url, digest).await
    }

    /// Downloads into a file without a name, and checks the digest while it is written.
    async fn download(&self, url: &str, digest: &Digest) -> Result<std::fs::File, FetchError> {
        let max_bytes = self.config.max_archive_bytes;
        let mut answer = self
            .client
            .send(Request::get(url))
            .await
            .map_err(FetchError::Download)?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Err(FetchError::NotFound),
            status => {
                let url = net_http::without_credentials(url);
                return Err(FetchError::Status { url, status });
            }
        }
        if answer
            .content_length()
            .is_some_and(|length| length > max_bytes)
        {
            return Err(FetchError::TooLarge { max_bytes });
        }
        let mut file = tempfile::tempfile_in(&self.config.directory)?;
        let mut hasher = Hasher::new(digest.algorithm());
        let mut received = 0;
        while let Some(chunk) = answer.chunk().await.map_err(FetchError::Download)? {
            received += chunk.len() as u64;
            if received > max_bytes {
                return Err(FetchError::TooLarge { max_bytes });
            }
            hasher.update(&chunk);
            // Into the page cache: short enough not to need a thread of its own.
            file.write_all(&chunk)?;
        }
        if hasher.finish() != *digest {
            return Err(FetchError::Mismatch {
                expected: digest.clone(),
            });
        }
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    }
}

fn parse(text: &str) -> Result<Digest, FetchError> {
    text.parse().map_err(|source| match source {
        ParseError::Empty => FetchError::NoDigest,
        source => FetchError::Digest {
            text: text.to_owned(),
            source,
        },
    })
}

#[cfg(test)]
mod tests;
