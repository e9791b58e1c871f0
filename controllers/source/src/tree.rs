//! Paths within an unpacked artifact, and a directory of it as a chart's folder.

use std::collections::BTreeMap;
use std::io::{self, Write};

use artifact::{ArchiveWriter, ArtifactTree};
use helm::chart::{Directory, Entry, EntryKind};
use select::{IGNORE_FILE, IgnoreRules};

/// Returns a path without `.` and `..`: what would lead out of the root stays at the root.
pub(crate) fn confined(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Joins paths that are confined already.
pub(crate) fn join(base: &str, path: &str) -> String {
    match (base, path) {
        ("", path) => path.to_owned(),
        (base, "") => base.to_owned(),
        (base, path) => format!("{base}/{path}"),
    }
}

/// Writes the files of a tree as an artifact, without what is left out: by the object's own rules, and by each
/// `.sourceignore`.
pub(crate) fn write_archive(
    tree: &ArtifactTree,
    ignore: Option<&str>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut rules = IgnoreRules::new(ignore);
    for path in tree.files() {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        if name == IGNORE_FILE {
            let text = tree.content(path)?;
            rules.add_file(folder, &String::from_utf8_lossy(&text));
        }
    }
    let mut entries: Vec<(Vec<&str>, &str, bool)> = tree
        .below("")
        .filter(|(path, _)| !path.is_empty())
        .map(|(path, is_directory)| (path.split('/').collect(), path, is_directory))
        .collect();
    // Each directory before its contents, names bytewise.
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    let mut archive = ArchiveWriter::new(out);
    archive.directory(b".")?;
    for (_, path, is_directory) in entries {
        if rules.excludes(path, is_directory) {
            continue;
        }
        if is_directory {
            archive.directory(path.as_bytes())?;
            continue;
        }
        let content = tree.content(path)?;
        let executable = tree.mode(path).unwrap_or_default() & 0o111 != 0;
        archive.file(
            path.as_bytes(),
            executable,
            content.len() as u64,
            &content[..],
        )?;
    }
    archive.finish().map(drop)
}

/// A directory of an artifact as a chart's folder.
#[derive(Debug)]
pub(crate) struct ChartFolder<'a> {
    tree: &'a ArtifactTree,
    root: String,
    entries: BTreeMap<String, Vec<Entry>>,
    max_file_bytes: u64,
}

impl<'a> ChartFolder<'a> {
    pub(crate) fn new(tree: &'a ArtifactTree, root: &str, max_file_bytes: u64) -> Self {
        let mut entries: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
        for (path, is_directory) in tree.below(root) {
            let relative = path[root.len()..].trim_start_matches('/');
            if relative.is_empty() {
                continue;
            }
            let (folder, name) = relative.rsplit_once('/').unwrap_or(("", relative));
            let kind = if is_directory {
                EntryKind::Directory
            } else {
                EntryKind::File
            };
            entries.entry(folder.to_owned()).or_default().push(Entry {
                name: name.to_owned(),
                kind,
                bytes: tree.size(path).unwrap_or_default(),
            });
        }
        Self {
            tree,
            root: root.to_owned(),
            entries,
            max_file_bytes,
        }
    }
}

impl Directory for ChartFolder<'_> {
    fn list(&self, path: &str) -> Result<Vec<Entry>, String> {
        Ok(self.entries.get(path).cloned().unwrap_or_default())
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let full = join(&self.root, path);
        let size = self.tree.size(&full).unwrap_or_default();
        if size > self.max_file_bytes {
            return Err(format!(
                "chart file {path:?} is larger than the maximum file size {}",
                self.max_file_bytes
            ));
        }
        self.tree
            .content(&full)
            .map_err(|error| format!("open /{full}: {error}"))
    }

    fn max_file_bytes(&self) -> u64 {
        self.max_file_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside() {
        for (path, expected) in [
            ("./charts/demo/", "charts/demo"),
            ("/traversing/../illegally/../../a", "a"),
            ("../../x", "x"),
            ("/a//b/", "a/b"),
            ("a/../b", "b"),
            (".", ""),
        ] {
            assert_eq!(confined(path), expected);
        }
        assert_eq!(join("", "a"), "a");
        assert_eq!(join("a", "b"), "a/b");
    }
}
