//! The file system as the engine's file tree.

use std::borrow::Cow;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use kustomize::file_tree::{Above, Entry, FileTree, Kind, TreeError};

/// The whole file system: paths are those below `/`.
#[derive(Debug)]
pub(crate) struct DiskTree {
    /// The largest file that is read, in bytes.
    pub(crate) max_bytes: u64,
}

fn full(path: &str) -> PathBuf {
    Path::new("/").join(path)
}

fn failed(path: &str, error: &std::io::Error) -> TreeError {
    let path = path.to_owned();
    match error.kind() {
        ErrorKind::NotFound => TreeError::NotFound { path },
        ErrorKind::IsADirectory => TreeError::NotAFile { path },
        ErrorKind::NotADirectory => TreeError::NotADirectory { path },
        _ => TreeError::Unreadable {
            path,
            reason: error.to_string(),
        },
    }
}

impl FileTree for DiskTree {
    fn above(&self) -> Above {
        Above::Root
    }

    fn read(&self, path: &str) -> Result<Cow<'_, [u8]>, TreeError> {
        let size = fs::metadata(full(path))
            .map_err(|error| failed(path, &error))?
            .len();
        if size > self.max_bytes {
            let max_bytes = self.max_bytes;
            return Err(TreeError::TooLarge {
                path: path.to_owned(),
                size,
                max_bytes,
            });
        }
        fs::read(full(path))
            .map(Cow::Owned)
            .map_err(|error| failed(path, &error))
    }

    fn stat(&self, path: &str) -> Option<Kind> {
        let metadata = fs::metadata(full(path)).ok()?;
        Some(if metadata.is_dir() {
            Kind::Directory
        } else {
            Kind::File
        })
    }

    fn list(&self, dir: &str) -> Result<Vec<Entry>, TreeError> {
        let entries = fs::read_dir(full(dir)).map_err(|error| failed(dir, &error))?;
        let mut listed = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| failed(dir, &error))?;
            let kind = entry.file_type().map_err(|error| failed(dir, &error))?;
            let kind = if kind.is_dir() {
                Kind::Directory
            } else {
                Kind::File
            };
            listed.push(Entry {
                name: entry.file_name().to_string_lossy().into_owned(),
                kind,
            });
        }
        listed.sort();
        Ok(listed)
    }

    fn canonical(&self, path: &str) -> Result<String, TreeError> {
        let real = fs::canonicalize(full(path)).map_err(|error| failed(path, &error))?;
        let text = real.to_str().ok_or_else(|| TreeError::Unreadable {
            path: path.to_owned(),
            reason: "its path is not UTF-8".to_owned(),
        })?;
        Ok(text.trim_start_matches('/').to_owned())
    }
}
