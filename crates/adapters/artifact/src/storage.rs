//! Where artifacts lie: `<root>/<kind>/<namespace>/<name>/<file>`, written in full or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::Timestamp;

use crate::digest::{Algorithm, Digest, Hasher, ParseError};

mod known;
mod seal;
mod staged;

use seal::{Mark, Seals};
use staged::{Staged, lock, with_suffix};

const DIRECTORY_MODE: u32 = 0o700;
/// What ends the name of a file that holds what is known of an artifact.
pub(crate) const KNOWN: &str = ".known";
/// What ends the name of an artifact's lock.
pub(crate) const LOCK: &str = ".lock";

/// The path of an artifact relative to the storage's root. Shape: `gitrepository/apps/web/<file>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ArtifactPath(String);

impl ArtifactPath {
    /// Returns the path of one object's file. The kind is written in lower case.
    ///
    /// # Errors
    /// [`InvalidPath`] where a part is empty, `.`, `..`, or holds a slash.
    pub fn new(kind: &str, namespace: &str, name: &str, file: &str) -> Result<Self, InvalidPath> {
        Self::parse(&format!(
            "{}/{namespace}/{name}/{file}",
            kind.to_lowercase()
        ))
    }

    /// Reads a path as it stands in a status.
    ///
    /// # Errors
    /// [`InvalidPath`] where it has not four parts, or one of them could lead elsewhere.
    pub fn parse(text: &str) -> Result<Self, InvalidPath> {
        let parts: Vec<&str> = text.split('/').collect();
        let safe = |part: &&str| !matches!(*part, "" | "." | "..") && !part.contains(['\\', '\0']);
        if parts.len() == 4 && parts.iter().all(safe) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidPath(text.to_owned()))
        }
    }

    /// Returns the path as it stands in a status.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the name of the file alone.
    pub fn file_name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, file)| file)
    }
}

/// A path names nothing inside the storage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid artifact path '{0}'")]
pub struct InvalidPath(pub String);

/// Why the storage cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("invalid dir path: {}", .0.display())]
pub struct NotADirectory(pub PathBuf);

/// Why an artifact was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError<E: std::error::Error + 'static> {
    /// Its directory could not be made.
    #[error("failed to create artifact directory")]
    Directory(#[source] io::Error),
    /// Its lock could not be had.
    #[error("failed to acquire lock for artifact")]
    Lock(#[source] io::Error),
    /// Its content could not be made.
    #[error("unable to archive artifact to storage")]
    Content(#[source] E),
    /// The file could not be written or put in place.
    #[error("unable to archive artifact to storage")]
    File(#[source] io::Error),
}

/// Why a stored artifact is not what its digest says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// Nothing to compare with.
    #[error("artifact has no digest")]
    NoDigest,
    /// What there is to compare with is no digest.
    #[error("failed to parse artifact digest '{text}'")]
    Digest {
        /// The text.
        text: String,
        /// What is wrong with it.
        #[source]
        source: ParseError,
    },
    /// The file cannot be read.
    #[error("failed to read artifact")]
    Read(#[source] io::Error),
    /// The content is another.
    #[error("computed digest doesn't match '{0}'")]
    Mismatch(Digest),
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Digest of the file's bytes.
    pub digest: Digest,
    /// Size of the file in bytes.
    pub size: u64,
    /// When it was written.
    pub written: Timestamp,
}

/// The artifacts of one controller.
///
/// All methods block on the disk: call them where that is allowed.
#[derive(Clone, Debug)]
pub struct Storage {
    root: PathBuf,
    advertised: String,
    algorithm: Algorithm,
    seals: Seals,
}

impl Storage {
    /// Returns the storage below `root`, whose files others reach at `advertised`.
    ///
    /// `advertised` is `host[:port]`, or a URL prefix where it starts with `http://` or `https://`.
    ///
    /// # Errors
    /// [`NotADirectory`].
    pub fn new(
        root: impl Into<PathBuf>,
        advertised: impl Into<String>,
        algorithm: Algorithm,
    ) -> Result<Self, NotADirectory> {
        let root = root.into();
        if !root.is_dir() {
            return Err(NotADirectory(root));
        }
        Ok(Self {
            root,
            advertised: advertised.into(),
            algorithm,
            seals: Seals::default(),
        })
    }

    /// Returns the directory that holds everything.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the address at which others fetch an artifact.
    pub fn url(&self, path: &ArtifactPath) -> String {
        let host = self.advertised.trim_end_matches('/');
        if host.starts_with("http://") || host.starts_with("https://") {
            format!("{host}/{}", path.as_str())
        } else {
            format!("http://{host}/{}", path.as_str())
        }
    }

    /// Returns whether the artifact is there as a regular file.
    pub fn exists(&self, path: &ArtifactPath) -> bool {
        self.size(path).is_some()
    }

    /// Returns the size of an artifact in bytes, if it is there as a regular file.
    pub fn size(&self, path: &ArtifactPath) -> Option<u64> {
        let found = fs::symlink_metadata(self.file(path)).ok();
        found.filter(fs::Metadata::is_file).map(|found| found.len())
    }

    /// Compares the artifact with the digest of a status: reads it, unless it was read within the hour and nobody has
    /// touched the file since.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub fn verify(&self, path: &ArtifactPath, digest: &str) -> Result<(), VerifyError> {
        let expected: Digest = digest.parse().map_err(|source| match source {
            ParseError::Empty => VerifyError::NoDigest,
            source => VerifyError::Digest {
                text: digest.to_owned(),
                source,
            },
        })?;
        let target = self.file(path);
        let mut file = File::open(&target).map_err(VerifyError::Read)?;
        let mark = Mark::of(&file.metadata().map_err(VerifyError::Read)?);
        if self.seals.hold(&target, mark, &expected) {
            return Ok(());
        }
        let began = SystemTime::now();
        let mut hasher = Hasher::new(expected.algorithm());
        let mut buffer = vec![0; 64 << 10];
        loop {
            match file.read(&mut buffer).map_err(VerifyError::Read)? {
                0 => break,
                count => hasher.update(&buffer[..count]),
            }
        }
        if hasher.finish() == expected {
            self.seals.keep(&target, mark, expected, began);
            Ok(())
        } else {
            Err(VerifyError::Mismatch(expected))
        }
    }

    /// Writes an artifact: readers see the old file or the new one, never a part.
    ///
    /// `fill` writes the content. Two writers of one artifact come after each other. When this returns, the file is on
    /// the disk.
    ///
    /// # Errors
    /// [`WriteError`]; the old file is then still there.
    pub fn write<E: std::error::Error + 'static>(
        &self,
        path: &ArtifactPath,
        fill: impl FnOnce(&mut dyn Write) -> Result<(), E>,
    ) -> Result<Stored, WriteError<E>> {
        let target = self.file(path);
        let directory = target.parent().unwrap_or(&self.root);
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(DIRECTORY_MODE);
        builder.create(directory).map_err(WriteError::Directory)?;
        let _lock = lock(&target).map_err(WriteError::Lock)?;

        let staged = Staged::create(&target).map_err(WriteError::File)?;
        let mut out = Hashing {
            inner: BufWriter::with_capacity(64 << 10, &staged.file),
            hasher: Hasher::new(self.algorithm),
            size: 0,
        };
        fill(&mut out).map_err(WriteError::Content)?;
        out.flush().map_err(WriteError::File)?;
        let (digest, size) = (out.hasher.clone().finish(), out.size);
        drop(out);
        staged.put_in_place(&target).map_err(WriteError::File)?;
        let there = fs::metadata(&target).map_err(WriteError::File)?.len();
        if there != size {
            let words = format!("{there} of {size} bytes are on the disk");
            return Err(WriteError::File(io::Error::other(words)));
        }
        Ok(Stored {
            digest,
            size,
            written: Timestamp::now(),
        })
    }

    /// Makes `name`, beside the artifact, a symbolic link to it, and returns the address of the link.
    ///
    /// # Errors
    /// Those of the file system; the old link is then still there.
    pub fn link(&self, path: &ArtifactPath, name: &str) -> io::Result<String> {
        let target = self.file(path);
        let link = target.with_file_name(name);
        let staged = with_suffix(&link, ".tmp");
        found(fs::remove_file(&staged))?;
        let target = fs::canonicalize(&target)?;
        std::os::unix::fs::symlink(&target, &staged)?;
        fs::rename(&staged, &link)?;
        Ok(self.link_url(path, name))
    }

    /// Returns the address of a link beside an artifact.
    pub fn link_url(&self, path: &ArtifactPath, name: &str) -> String {
        let url = self.url(path);
        let folder = url.rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{folder}/{name}")
    }

    /// Returns the algorithm of digests.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Opens an artifact for reading.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open(&self, path: &ArtifactPath) -> io::Result<File> {
        File::open(self.file(path))
    }

    /// Removes one artifact; that it is not there is no error.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn remove(&self, path: &ArtifactPath) -> io::Result<()> {
        found(fs::remove_file(with_suffix(&self.file(path), KNOWN)))?;
        found(fs::remove_file(self.file(path))).map(|_| ())
    }

    /// Removes everything of one object. Returns whether there was anything.
    ///
    /// # Errors
    /// Those of the file system, or an invalid name.
    pub fn remove_object(&self, kind: &str, namespace: &str, name: &str) -> io::Result<bool> {
        let any_file = ArtifactPath::new(kind, namespace, name, "any")
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let file = self.file(&any_file);
        let folder = file.parent().unwrap_or(&file);
        self.seals.forget(folder);
        found(fs::remove_dir_all(folder))
    }

    pub(crate) fn file(&self, path: &ArtifactPath) -> PathBuf {
        self.root.join(path.as_str())
    }
}

pub(crate) fn found(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

struct Hashing<W> {
    inner: W,
    hasher: Hasher,
    size: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Returns the address under which others reach the file server.
///
/// `advertised` if it is given; else `listen` with `localhost` for an empty host and `hostname` for `0.0.0.0`.
///
/// # Errors
/// [`InvalidAddress`] where `listen` has no port.
pub fn advertised_address(
    advertised: &str,
    listen: &str,
    hostname: &str,
) -> Result<String, InvalidAddress> {
    if !advertised.is_empty() {
        return Ok(advertised.to_owned());
    }
    let (host, port) = listen
        .rsplit_once(':')
        .ok_or_else(|| InvalidAddress(listen.to_owned()))?;
    if port.parse::<u16>().is_err() {
        return Err(InvalidAddress(listen.to_owned()));
    }
    let host = match host {
        "" => "localhost",
        "0.0.0.0" => hostname,
        host => host,
    };
    Ok(format!("{host}:{port}"))
}

/// An address has no port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid storage address '{0}'")]
pub struct InvalidAddress(pub String);

#[cfg(test)]
mod tests;
