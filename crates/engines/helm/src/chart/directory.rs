//! Charts in a folder.

use super::{Chart, ChartError, File, MAX_FILE_BYTES, Rules, from_files};

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
}

/// How deep folders may nest, so that a link to a folder above ends.
const MAX_DEPTH: usize = 64;

/// Loads a chart from a folder; what its .helmignore names is left out.
pub fn read_directory(directory: &dyn Directory) -> Result<Chart, ChartError> {
    let root = directory.list("").map_err(ChartError::Directory)?;
    let rules = if root.iter().any(|e| e.name == ".helmignore") {
        let text = directory
            .read(".helmignore")
            .map_err(ChartError::Directory)?;
        Rules::parse(&String::from_utf8_lossy(&text))?
    } else {
        Rules::parse("")?
    };
    let mut files = Vec::new();
    walk(directory, "", &rules, 0, &mut files)?;
    from_files(&files)
}

fn walk(
    directory: &dyn Directory,
    path: &str,
    rules: &Rules,
    depth: usize,
    files: &mut Vec<File>,
) -> Result<(), ChartError> {
    if depth > MAX_DEPTH {
        let text = format!("chart folder {path:?} is nested deeper than {MAX_DEPTH} levels");
        return Err(ChartError::Directory(text));
    }
    let mut entries = directory.list(path).map_err(ChartError::Directory)?;
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    for entry in entries {
        let name = if path.is_empty() {
            entry.name.clone()
        } else {
            format!("{path}/{}", entry.name)
        };
        match entry.kind {
            EntryKind::Directory => {
                if !rules.ignores(&name, true) {
                    walk(directory, &name, rules, depth + 1, files)?;
                }
            }
            _ if rules.ignores(&name, false) => {}
            EntryKind::Irregular => {
                let text =
                    format!("cannot load irregular file {name} as it has file mode type bits set");
                return Err(ChartError::Directory(text));
            }
            EntryKind::File => {
                if entry.bytes > MAX_FILE_BYTES as u64 {
                    let text = format!(
                        "chart file {:?} is larger than the maximum file size {MAX_FILE_BYTES}",
                        entry.name
                    );
                    return Err(ChartError::Directory(text));
                }
                let data = directory.read(&name).map_err(ChartError::Directory)?;
                files.push(File::new(name, super::load::without_mark(data)));
            }
        }
    }
    Ok(())
}
