//! Files that are written beside their target and then put in its place, and the locks of those who write.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::LOCK;

const FILE_MODE: u32 = 0o600;

/// Takes `<file>.lock`, whole and for one writer, until the returned file is closed. Lock files stay.
pub(super) fn lock(target: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(FILE_MODE)
        .open(with_suffix(target, LOCK))?;
    file.lock()?;
    Ok(file)
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A file beside its target, removed again unless it is put in place.
pub(super) struct Staged {
    pub(super) file: File,
    path: PathBuf,
    placed: bool,
}

impl Staged {
    pub(super) fn create(target: &Path) -> io::Result<Self> {
        let path = with_suffix(target, &rand::random_range(1..u32::MAX).to_string());
        let mut options = OpenOptions::new();
        let file = options
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(&path)?;
        Ok(Self {
            file,
            path,
            placed: false,
        })
    }

    pub(super) fn put_in_place(mut self, target: &Path) -> io::Result<()> {
        // The umask may have taken more away than it should.
        self.file
            .set_permissions(fs::Permissions::from_mode(FILE_MODE))?;
        self.file.sync_all()?;
        fs::rename(&self.path, target)?;
        self.placed = true;
        if let Some(directory) = target.parent() {
            File::open(directory)?.sync_all()?;
        }
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.placed {
            // What cannot be removed now is removed as garbage later.
            fs::remove_file(&self.path).ok();
        }
    }
}
