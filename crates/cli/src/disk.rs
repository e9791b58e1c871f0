//! Charts and values on disk.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use helm::chart::{
    Chart, Directory, Entry, EntryKind, File, archive_files, directory_files, from_files,
};

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
    Ok(from_files(&chart_files(path)?)?)
}

/// The files of a chart in a folder or an archive.
pub(crate) fn chart_files(path: &Path) -> anyhow::Result<Vec<File>> {
    let metadata = fs::metadata(path)
        .with_context(|| format!("path {:?} not found", path.display().to_string()))?;
    if metadata.is_dir() {
        return Ok(directory_files(&Folder(path.to_owned()))?);
    }
    anyhow::ensure!(
        metadata.len() <= MAX_ARCHIVE_BYTES,
        "{} is larger than a chart may be",
        path.display()
    );
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(archive_files(&path.display().to_string(), &bytes)?)
}

/// Where the subcharts below a chart's folder are: folders with a Chart.yaml, and archives.
pub(crate) fn subcharts(chart: &Path) -> Vec<String> {
    let Ok(files) = chart_files(chart) else {
        return Vec::new();
    };
    let inner = files.iter().filter_map(|file| {
        let name = file.name.strip_prefix("charts/")?;
        let is_archive = [".tgz", ".tar.gz"].iter().any(|end| name.ends_with(end));
        let folder = name.strip_suffix("/Chart.yaml");
        let found = folder.or_else(|| is_archive.then_some(name))?;
        Some(chart.join("charts").join(found).display().to_string())
    });
    inner.collect()
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
