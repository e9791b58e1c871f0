//! A directory for objects in use that a killed process does not leave behind for good.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

const PREFIX: &str = "lockgate-git-";
const LOCK: &str = ".lock";

/// A directory of this process alone. It is removed with the value, and by the next process if this one is killed.
#[derive(Debug)]
pub struct Workspace {
    directory: tempfile::TempDir,
    _lock: File,
}

impl Workspace {
    /// Makes a new one below `parent`, and removes those whose processes are gone.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open(parent: &Path) -> io::Result<Self> {
        sweep(parent)?;
        let directory = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
        let lock = File::create(directory.path().join(LOCK))?;
        lock.lock()?;
        Ok(Self {
            directory,
            _lock: lock,
        })
    }

    /// Returns the directory.
    pub fn path(&self) -> PathBuf {
        self.directory.path().to_owned()
    }
}

/// Removes the workspaces that no process holds. One without a lock file is just being made.
fn sweep(parent: &Path) -> io::Result<()> {
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        if !entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(PREFIX.as_bytes())
        {
            continue;
        }
        let abandoned =
            File::open(entry.path().join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok());
        if abandoned {
            // Another process may sweep at the same time.
            fs::remove_dir_all(entry.path()).ok();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workspaces_of_killed_processes_are_removed_and_others_stay() {
        let parent = tempfile::tempdir().unwrap();
        let living = Workspace::open(parent.path()).unwrap();
        let dead = parent.path().join("lockgate-git-dead");
        fs::create_dir_all(dead.join("objects")).unwrap();
        fs::write(dead.join(LOCK), "").unwrap();
        let unrelated = parent.path().join("other");
        fs::create_dir(&unrelated).unwrap();

        let second = Workspace::open(parent.path()).unwrap();
        assert!(!dead.exists() && unrelated.exists());
        assert!(living.path().exists() && second.path().exists());
        let gone = second.path();
        drop(second);
        assert!(!gone.exists());
    }
}
