//! Charts in a folder.

use super::{
    Chart, ChartError, File, MAX_CHART_BYTES, MAX_FILE_BYTES, MAX_FILES, Rules, from_files,
};

/// What an entry of a folder is, links followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A folder.
    Directory,
    /// Something else, such as a socket.
    Irregular,
}

/// An entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name inside the folder.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    /// Its size in bytes.
    pub bytes: u64,
}

/// A chart's folder, as the caller can read it. Paths are relative, with slashes; the root is
/// empty.
pub trait Directory {
    /// The entries of a folder, links followed.
    ///
    /// # Errors
    /// The reason, as text.
    fn list(&self, path: &str) -> Result<Vec<Entry>, String>;

    /// The bytes of a file.
    ///
    /// # Errors
    /// The reason, as text.
    fn read(&self, path: &str) -> Result<Vec<u8>, String>;

    /// The most bytes that a file of the chart may have.
    fn max_file_bytes(&self) -> u64 {
        MAX_FILE_BYTES as u64
    }
}

/// How deep folders may nest, so that a link to a folder above ends.
const MAX_DEPTH: usize = 64;

/// Loads a chart from a folder; what its .helmignore names is left out.
pub fn read_directory(directory: &dyn Directory) -> Result<Chart, ChartError> {
    from_files(&directory_files(directory)?)
}

/// The files of a chart's folder without those that its .helmignore names.
pub fn directory_files(directory: &dyn Directory) -> Result<Vec<File>, ChartError> {
    let root = directory.list("").map_err(ChartError::Directory)?;
    let rules = if root.iter().any(|e| e.name == ".helmignore") {
        let text = directory
            .read(".helmignore")
            .map_err(ChartError::Directory)?;
        Rules::parse(&String::from_utf8_lossy(&text))?
    } else {
        Rules::parse("")?
    };
    let mut walk = Walk {
        directory,
        rules,
        entries: 0,
        bytes: 0,
        files: Vec::new(),
    };
    walk.folder("", root, 0)?;
    Ok(walk.files)
}

struct Walk<'d> {
    directory: &'d dyn Directory,
    rules: Rules,
    entries: usize,
    bytes: u64,
    files: Vec<File>,
}

impl Walk<'_> {
    fn folder(
        &mut self,
        path: &str,
        mut entries: Vec<Entry>,
        depth: usize,
    ) -> Result<(), ChartError> {
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        for entry in entries {
            let name = if path.is_empty() {
                entry.name.clone()
            } else {
                format!("{path}/{}", entry.name)
            };
            if self
                .rules
                .ignores(&name, entry.kind == EntryKind::Directory)
            {
                continue;
            }
            self.entry(name, &entry, depth)?;
        }
        Ok(())
    }

    fn entry(&mut self, name: String, entry: &Entry, depth: usize) -> Result<(), ChartError> {
        let refuse = |text: String| Err(ChartError::Directory(text));
        self.entries += 1;
        if self.entries > MAX_FILES {
            return refuse(format!("chart folder has more than {MAX_FILES} entries"));
        }
        match entry.kind {
            EntryKind::Directory if depth >= MAX_DEPTH => refuse(format!(
                "chart folder {name:?} is nested deeper than {MAX_DEPTH} levels"
            )),
            EntryKind::Directory => {
                let inner = self.directory.list(&name).map_err(ChartError::Directory)?;
                self.folder(&name, inner, depth + 1)
            }
            EntryKind::Irregular => refuse(format!(
                "cannot load irregular file {name} as it has file mode type bits set"
            )),
            EntryKind::File if entry.bytes > self.directory.max_file_bytes() => refuse(format!(
                "chart file {:?} is larger than the maximum file size {}",
                entry.name,
                self.directory.max_file_bytes()
            )),
            EntryKind::File => {
                self.bytes += entry.bytes;
                if self.bytes > MAX_CHART_BYTES as u64 {
                    return refuse(format!(
                        "chart folder is larger than the maximum size {MAX_CHART_BYTES}"
                    ));
                }
                let data = self.directory.read(&name).map_err(ChartError::Directory)?;
                self.files
                    .push(File::new(name, super::load::without_mark(data)));
                Ok(())
            }
        }
    }
}
