//! Charts and values on disk.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use helm::chart::{Chart, Directory, Entry, EntryKind, read_archive, read_directory};

/// The largest archive that is read, in bytes.
const MAX_ARCHIVE_BYTES: u64 = 100 << 20;

/// A folder of the disk; links are followed, as upstream follows them.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Directory for Folder {
    fn list(&self, path: &str) -> Result<Vec<Entry>, String> {
        let folder = self.0.join(path);
        let mut entries = Vec::new();
        for entry in fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))? {
            let entry = entry.map_err(|e| e.to_string())?;
            let metadata = fs::metadata(entry.path())
                .map_err(|e| format!("{}: {e}", entry.path().display()))?;
            let kind = if metadata.is_dir() {
                EntryKind::Directory
            } else if metadata.is_file() {
                EntryKind::File
            } else {
                EntryKind::Irregular
            };
            let name = entry.file_name().to_string_lossy().into_owned();
            entries.push(Entry {
                name,
                kind,
                bytes: metadata.len(),
            });
        }
        Ok(entries)
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let file = self.0.join(path);
        fs::read(&file).map_err(|e| format!("{}: {e}", file.display()))
    }
}

/// Loads a chart from a folder or an archive.
pub(crate) fn chart(path: &Path) -> anyhow::Result<Chart> {
    let metadata = fs::metadata(path)
        .with_context(|| format!("path {:?} not found", path.display().to_string()))?;
    if metadata.is_dir() {
        return Ok(read_directory(&Folder(path.to_owned()))?);
    }
    anyhow::ensure!(
        metadata.len() <= MAX_ARCHIVE_BYTES,
        "{} is larger than a chart may be",
        path.display()
    );
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(read_archive(&path.display().to_string(), &bytes)?)
}

/// Reads a text file, `-` being the standard input.
pub(crate) fn text(path: &str) -> anyhow::Result<Vec<u8>> {
    use std::io::Read as _;
    if path != "-" {
        return fs::read(path).with_context(|| format!("cannot read {path}"));
    }
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(MAX_ARCHIVE_BYTES)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}
