//! What was read and found to be as its digest says is not read again while the file system says that nobody touched it: a poll
//! that finds nothing new costs no more for a large artifact than for a small one.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::digest::Digest;

/// Disks forget without anybody touching a file: after this long it is read again.
const LASTS: Duration = Duration::from_hours(1);
/// A file that changed less than this ago may change once more without its time being another.
const RECENT: Duration = Duration::from_secs(2);

/// What the file system says of a file. Whoever changes content, owner, links or times of a file changes this: `ctime` cannot
/// be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Mark {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether another change would show by then.
    fn is_settled(&self, now: SystemTime) -> bool {
        let now = now.duration_since(SystemTime::UNIX_EPOCH);
        let changed = u64::try_from(self.changed.0).ok();
        now.ok()
            .zip(changed)
            .is_some_and(|(now, changed)| now.as_secs() > changed + RECENT.as_secs())
    }
}

#[derive(Debug)]
struct Seal {
    file: PathBuf,
    mark: Mark,
    digest: Digest,
    read: Instant,
}

/// The newest file of each object that was read.
#[derive(Clone, Debug, Default)]
pub(super) struct Seals(Arc<Mutex<HashMap<PathBuf, Seal>>>);

impl Seals {
    /// Whether the file was read, as it is now, and had this digest.
    pub(super) fn hold(&self, file: &Path, mark: Mark, digest: &Digest) -> bool {
        let seals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.parent()
            .and_then(|folder| seals.get(folder))
            .is_some_and(|seal| {
                seal.file == file
                    && seal.mark == mark
                    && seal.digest == *digest
                    && seal.read.elapsed() < LASTS
            })
    }

    /// Keeps that the file was read and had this digest; `mark` was taken before it was read, and that began at `now`.
    pub(super) fn keep(&self, file: &Path, mark: Mark, digest: Digest, now: SystemTime) {
        let Some(folder) = file.parent().filter(|_| mark.is_settled(now)) else {
            return;
        };
        let seal = Seal {
            file: file.to_owned(),
            mark,
            digest,
            read: Instant::now(),
        };
        let mut seals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seals.insert(folder.to_owned(), seal);
    }

    /// Forgets an object's file.
    pub(super) fn forget(&self, folder: &Path) {
        let mut seals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seals.remove(folder);
    }
}
