//! Artifacts served without a source-controller: what a consumer is tested with.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};

use crate::server::Server;

type Files = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// A file server whose files a test puts there.
#[derive(Debug)]
pub struct ArtifactServer {
    server: Server,
    files: Files,
    requests: Arc<Mutex<Vec<String>>>,
}

/// An artifact as a source's status names it.
#[derive(Clone, Debug)]
pub struct PublishedArtifact {
    /// Where it is downloaded from.
    pub url: String,
    /// `sha256:<hex>` of the archive.
    pub digest: String,
    /// The size of the archive in bytes.
    pub size: usize,
}

#[derive(Clone)]
struct Shared {
    files: Files,
    requests: Arc<Mutex<Vec<String>>>,
}

impl ArtifactServer {
    /// Starts a server without files.
    ///
    /// # Errors
    /// When no port is free.
    pub fn start() -> Result<Self> {
        let shared = Shared {
            files: Files::default(),
            requests: Arc::default(),
        };
        let router = Router::new()
            .route("/{*path}", get(serve))
            .with_state(shared.clone());
        let Shared { files, requests } = shared;
        Ok(Self {
            server: Server::start(router, None)?,
            files,
            requests,
        })
    }

    /// Publishes an archive of text files at a path.
    ///
    /// # Errors
    /// When a name cannot stand in an archive.
    pub fn publish(&self, path: &str, files: &[(&str, &str)]) -> Result<PublishedArtifact> {
        let archive = archive(files)?;
        Ok(self.put(path, archive))
    }

    /// Serves bytes at a path, whatever they are.
    pub fn put(&self, path: &str, bytes: Vec<u8>) -> PublishedArtifact {
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(&bytes)));
        let size = bytes.len();
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.insert(path.to_owned(), bytes);
        PublishedArtifact {
            url: format!("http://{}/{path}", self.server.address()),
            digest,
            size,
        }
    }

    /// Serves nothing at a path any more.
    pub fn remove(&self, path: &str) {
        self.files
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(path);
    }

    /// Refuses connections from now on, or no longer does.
    pub fn refuse(&self, refuse: bool) {
        self.server.refuse(refuse);
    }

    /// Returns the paths that were asked for, in order.
    pub fn requests(&self) -> Vec<String> {
        self.requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

async fn serve(State(shared): State<Shared>, Path(path): Path<String>) -> Response {
    shared
        .requests
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(path.clone());
    let files = shared.files.lock().unwrap_or_else(PoisonError::into_inner);
    match files.get(&path) {
        Some(bytes) => bytes.clone().into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Makes a `.tar.gz` of text files.
///
/// # Errors
/// When a name cannot stand in an archive.
pub fn archive(files: &[(&str, &str)]) -> Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len().try_into().context("file size")?);
        header.set_mode(0o600);
        tar.append_data(&mut header, name, text.as_bytes())
            .context("archiving")?;
    }
    let tar = tar.into_inner().context("archiving")?;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&tar).context("compressing")?;
    gzip.finish().context("compressing")
}
