//! The disk of the controllers: small, so that it can be filled.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::schedule::Damage;
use crate::world::say;

/// Plenty for a run, and filled in no time.
const SIZE: &str = "size=24m,mode=0700";
const BALLAST: &str = "ballast";
const PIECE: usize = 64 << 10;

/// A folder, on a file system of its own where that may be had. It goes with this value.
#[derive(Debug)]
pub(crate) struct Disk {
    root: PathBuf,
    /// Only a file system of its own can be filled.
    mounted: bool,
}

impl Disk {
    pub(crate) fn new(root: &Path) -> Self {
        std::fs::create_dir(root).unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", SIZE, "tmpfs"])
            .arg(root)
            .output();
        let mounted = mount.is_ok_and(|output| output.status.success());
        if !mounted {
            say("no small disk can be mounted here: it is never filled");
        }
        Self {
            root: root.to_owned(),
            mounted,
        }
    }

    /// Returns a folder on the disk.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let path = self.root.join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    /// Leaves no space at all. Returns whether that is so.
    pub(crate) fn fill(&self) -> bool {
        if !self.mounted {
            return false;
        }
        let mut file = std::fs::File::create(self.root.join(BALLAST)).unwrap();
        let mut piece = vec![0xa5_u8; PIECE];
        while !piece.is_empty() {
            while file.write_all(&piece).is_ok() {}
            piece.truncate(piece.len() / 2);
        }
        true
    }

    /// Takes back what [`Disk::fill`] did.
    pub(crate) fn free(&self) {
        std::fs::remove_file(self.root.join(BALLAST)).ok();
    }

    /// Returns the stored artifacts, sorted.
    pub(crate) fn artifacts(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        collect(&self.folder("source-controller"), &mut found);
        let is_artifact = |path: &PathBuf| {
            let extension = path.extension().unwrap_or_default();
            (extension == "gz" || extension == "tgz") && !path.is_symlink()
        };
        found.retain(is_artifact);
        found.sort();
        found
    }

    /// Damages one of the stored artifacts. Returns which.
    pub(crate) fn damage(&self, number: u64, damage: Damage) -> Option<PathBuf> {
        let all = self.artifacts();
        let count = u64::try_from(all.len()).unwrap();
        let path = all
            .get(usize::try_from(number.checked_rem(count)?).unwrap())?
            .clone();
        // It may be collected as garbage meanwhile.
        let mut bytes = std::fs::read(&path).ok()?;
        let half = bytes.len() / 2;
        match damage {
            Damage::Flip => *bytes.get_mut(half)? ^= 0xff,
            Damage::Cut => bytes.truncate(half),
            Damage::Remove => {
                std::fs::remove_file(&path).ok()?;
                return Some(path);
            }
        }
        std::fs::write(&path, bytes).ok()?;
        Some(path)
    }

    /// Returns every file of the source-controller, relative to its storage.
    pub(crate) fn stored(&self) -> Vec<String> {
        let root = self.folder("source-controller");
        let mut found = Vec::new();
        collect(&root, &mut found);
        let relative = found
            .iter()
            .map(|path| path.strip_prefix(&root).unwrap().display().to_string());
        let mut relative: Vec<_> = relative.collect();
        relative.sort();
        relative
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted {
            // Lazily: a program that is being ended may still have files open.
            drop(Command::new("umount").arg("-l").arg(&self.root).output());
        }
    }
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() && !path.is_symlink() {
            collect(&path, found);
        } else {
            found.push(path);
        }
    }
}
