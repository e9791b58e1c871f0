//! The file tree a build reads from: the only way files come into the engine.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// Reads files by path.
///
/// **Shape:** paths are normalised, `/`-separated and relative to the tree's root: `apps/web.yaml`;
/// the root itself is `""`. A tree never follows a link out of its root.
pub trait FileTree: Send + Sync {
    /// Reads a whole file.
    ///
    /// # Errors
    /// [`TreeError::NotFound`], [`TreeError::NotAFile`], [`TreeError::TooLarge`],
    /// [`TreeError::Escapes`] or [`TreeError::Unreadable`].
    fn read(&self, path: &str) -> Result<Cow<'_, [u8]>, TreeError>;

    /// Says what stands at a path, or `None` where nothing does.
    fn stat(&self, path: &str) -> Option<Kind>;

    /// Lists a directory in name order.
    ///
    /// # Errors
    /// [`TreeError::NotFound`], [`TreeError::NotADirectory`] or [`TreeError::Unreadable`].
    fn list(&self, dir: &str) -> Result<Vec<Entry>, TreeError>;

    /// Says what `..` at the root means.
    fn above(&self) -> Above {
        Above::Refused
    }

    /// Gives the path a directory or file really has once links are followed: the same path in
    /// trees without links.
    ///
    /// # Errors
    /// [`TreeError::NotFound`] or [`TreeError::Escapes`].
    fn canonical(&self, path: &str) -> Result<String, TreeError> {
        match self.stat(path) {
            Some(_) => Ok(path.to_owned()),
            None => Err(TreeError::NotFound {
                path: path.to_owned(),
            }),
        }
    }
}

/// What `..` at the root of a tree means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Above {
    /// It leads out of the tree and is refused: the tree is a part of something.
    #[default]
    Refused,
    /// It stays at the root, as in a whole file system.
    Root,
}

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
}

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The name alone, without its directory.
    pub name: String,
    /// What it is.
    pub kind: Kind,
}

/// Why a tree could not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// Nothing stands at the path.
    #[error("'/{path}' doesn't exist")]
    NotFound {
        /// The path asked for.
        path: String,
    },
    /// The path is a directory where a file was asked for.
    #[error("'/{path}' is a directory, not a file")]
    NotAFile {
        /// The path asked for.
        path: String,
    },
    /// The path is a file where a directory was asked for.
    #[error("'/{path}' is a file, not a directory")]
    NotADirectory {
        /// The path asked for.
        path: String,
    },
    /// A link at the path leads out of the tree.
    #[error("'/{path}' leads out of the tree")]
    Escapes {
        /// The path asked for.
        path: String,
    },
    /// The file is larger than the tree allows.
    #[error("'/{path}' has {size} bytes, more than the {max_bytes} allowed")]
    TooLarge {
        /// The path asked for.
        path: String,
        /// The file's size in bytes.
        size: u64,
        /// The limit in bytes.
        max_bytes: u64,
    },
    /// Reading failed for another reason.
    #[error("'/{path}' cannot be read: {reason}")]
    Unreadable {
        /// The path asked for.
        path: String,
        /// What the system said.
        reason: String,
    },
}

impl TreeError {
    /// Gives the path that was asked for.
    pub fn path(&self) -> &str {
        match self {
            Self::NotFound { path }
            | Self::NotAFile { path }
            | Self::NotADirectory { path }
            | Self::Escapes { path }
            | Self::TooLarge { path, .. }
            | Self::Unreadable { path, .. } => path,
        }
    }
}

/// Joins a directory and a relative path and normalises the result.
///
/// **Shape:** `join("apps/web", "../base")` is `apps/base`; a path that starts with `/` is taken
/// from the root. `None` where `..` leads above the root.
pub fn join(dir: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    let base = if path.starts_with('/') { "" } else { dir };
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// Joins a directory and a relative path as a tree sees it: see [`join`] and [`Above`].
pub fn join_in(tree: &dyn FileTree, dir: &str, path: &str) -> Option<String> {
    match tree.above() {
        Above::Refused => join(dir, path),
        Above::Root => {
            let base = if path.starts_with('/') { "" } else { dir };
            let mut parts: Vec<&str> = Vec::new();
            for part in base.split('/').chain(path.split('/')) {
                match part {
                    "" | "." => {}
                    ".." => drop(parts.pop()),
                    name => parts.push(name),
                }
            }
            Some(parts.join("/"))
        }
    }
}

/// Gives the directory that holds a path: `""` for a name at the root.
pub fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

/// A tree held in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryTree {
    files: BTreeMap<String, Vec<u8>>,
    directories: BTreeSet<String>,
    above: Above,
}

impl MemoryTree {
    /// Makes an empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the tree a whole file system: `..` at its root stays there.
    #[must_use]
    pub fn whole(mut self) -> Self {
        self.above = Above::Root;
        self
    }

    /// Adds or replaces a file; its directories come into being. The path is normalised; one that
    /// leads above the root is taken from the root.
    pub fn insert(&mut self, path: &str, content: impl Into<Vec<u8>>) {
        let path = join("", path).unwrap_or_else(|| path.replace("..", "").replace("//", "/"));
        let mut dir = parent(&path);
        while !dir.is_empty() && self.directories.insert(dir.to_owned()) {
            dir = parent(dir);
        }
        self.files.insert(path, content.into());
    }

    /// Adds an empty directory.
    pub fn insert_directory(&mut self, path: &str) {
        let path = join("", path).unwrap_or_default();
        let mut dir = path.as_str();
        while !dir.is_empty() && self.directories.insert(dir.to_owned()) {
            dir = parent(dir);
        }
    }

    /// Walks the files in path order.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files
            .iter()
            .map(|(path, content)| (path.as_str(), content.as_slice()))
    }
}

impl<P: AsRef<str>, C: Into<Vec<u8>>> FromIterator<(P, C)> for MemoryTree {
    fn from_iter<I: IntoIterator<Item = (P, C)>>(files: I) -> Self {
        let mut tree = Self::new();
        for (path, content) in files {
            tree.insert(path.as_ref(), content);
        }
        tree
    }
}

impl FileTree for MemoryTree {
    fn above(&self) -> Above {
        self.above
    }

    fn read(&self, path: &str) -> Result<Cow<'_, [u8]>, TreeError> {
        match self.files.get(path) {
            Some(content) => Ok(Cow::Borrowed(content)),
            None if self.stat(path).is_some() => Err(TreeError::NotAFile {
                path: path.to_owned(),
            }),
            None => Err(TreeError::NotFound {
                path: path.to_owned(),
            }),
        }
    }

    fn stat(&self, path: &str) -> Option<Kind> {
        if self.files.contains_key(path) {
            Some(Kind::File)
        } else if path.is_empty() || self.directories.contains(path) {
            Some(Kind::Directory)
        } else {
            None
        }
    }

    fn list(&self, dir: &str) -> Result<Vec<Entry>, TreeError> {
        match self.stat(dir) {
            Some(Kind::Directory) => {}
            Some(Kind::File) => {
                return Err(TreeError::NotADirectory {
                    path: dir.to_owned(),
                });
            }
            None => {
                return Err(TreeError::NotFound {
                    path: dir.to_owned(),
                });
            }
        }
        let prefix = if dir.is_empty() {
            String::new()
        } else {
            format!("{dir}/")
        };
        let below = |path: &String| {
            path.strip_prefix(prefix.as_str())
                .filter(|rest| !rest.is_empty() && !rest.contains('/'))
                .map(str::to_owned)
        };
        let files = self
            .files
            .range(prefix.clone()..)
            .map(|(path, _)| (path, Kind::File));
        let directories = self
            .directories
            .range(prefix.clone()..)
            .map(|d| (d, Kind::Directory));
        let mut entries: Vec<Entry> = files
            .take_while(|(path, _)| path.starts_with(&prefix))
            .chain(directories.take_while(|(path, _)| path.starts_with(&prefix)))
            .filter_map(|(path, kind)| below(path).map(|name| Entry { name, kind }))
            .collect();
        entries.sort();
        Ok(entries)
    }
}

/// A few files in memory laid over a tree that stays as it is.
#[derive(Clone)]
pub struct OverlayTree<'a> {
    under: &'a dyn FileTree,
    over: MemoryTree,
}

impl<'a> OverlayTree<'a> {
    /// Lays nothing over a tree.
    pub fn new(under: &'a dyn FileTree) -> Self {
        Self {
            under,
            over: MemoryTree::new(),
        }
    }

    /// Adds a file, or hides the one below it.
    pub fn insert(&mut self, path: &str, content: impl Into<Vec<u8>>) {
        self.over.insert(path, content);
    }

    /// Gives the files laid over.
    pub fn over(&self) -> &MemoryTree {
        &self.over
    }
}

impl fmt::Debug for OverlayTree<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OverlayTree")
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

impl FileTree for OverlayTree<'_> {
    fn above(&self) -> Above {
        self.under.above()
    }

    fn read(&self, path: &str) -> Result<Cow<'_, [u8]>, TreeError> {
        match self.over.stat(path) {
            Some(Kind::File) => self.over.read(path),
            _ => self.under.read(path),
        }
    }

    fn stat(&self, path: &str) -> Option<Kind> {
        match self.over.stat(path) {
            Some(kind) if !path.is_empty() => Some(kind),
            _ => self.under.stat(path),
        }
    }

    fn list(&self, dir: &str) -> Result<Vec<Entry>, TreeError> {
        let below = self.under.list(dir);
        let Ok(over) = self.over.list(dir) else {
            return below;
        };
        let mut entries: BTreeMap<String, Kind> = match below {
            Ok(entries) => entries.into_iter().map(|e| (e.name, e.kind)).collect(),
            Err(TreeError::NotFound { .. }) if !dir.is_empty() => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        entries.extend(over.into_iter().map(|e| (e.name, e.kind)));
        Ok(entries
            .into_iter()
            .map(|(name, kind)| Entry { name, kind })
            .collect())
    }

    fn canonical(&self, path: &str) -> Result<String, TreeError> {
        match self.over.stat(path) {
            Some(_) if !path.is_empty() => Ok(path.to_owned()),
            _ => self.under.canonical(path),
        }
    }
}

/// What a build asked of a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reads {
    /// Files read, whether or not they were there.
    pub files: BTreeSet<String>,
    /// Directories listed.
    pub directories: BTreeSet<String>,
    /// Paths whose kind was asked.
    pub stats: BTreeSet<String>,
}

/// A tree that writes down what is read from it: the same answers to the same questions mean the
/// same build.
pub struct RecordingTree<'a> {
    under: &'a dyn FileTree,
    reads: Mutex<Reads>,
}

impl<'a> RecordingTree<'a> {
    /// Records what is read from a tree.
    pub fn new(under: &'a dyn FileTree) -> Self {
        Self {
            under,
            reads: Mutex::default(),
        }
    }

    /// Gives what was read.
    pub fn into_reads(self) -> Reads {
        self.reads
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, write: impl FnOnce(&mut Reads)) {
        write(&mut self.reads.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl fmt::Debug for RecordingTree<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordingTree")
            .field("reads", &self.reads)
            .finish_non_exhaustive()
    }
}

impl FileTree for RecordingTree<'_> {
    fn above(&self) -> Above {
        self.under.above()
    }

    fn read(&self, path: &str) -> Result<Cow<'_, [u8]>, TreeError> {
        self.note(|reads| {
            reads.files.insert(path.to_owned());
        });
        self.under.read(path)
    }

    fn stat(&self, path: &str) -> Option<Kind> {
        self.note(|reads| {
            reads.stats.insert(path.to_owned());
        });
        self.under.stat(path)
    }

    fn list(&self, dir: &str) -> Result<Vec<Entry>, TreeError> {
        self.note(|reads| {
            reads.directories.insert(dir.to_owned());
        });
        self.under.list(dir)
    }

    fn canonical(&self, path: &str) -> Result<String, TreeError> {
        self.note(|reads| {
            reads.stats.insert(path.to_owned());
        });
        self.under.canonical(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn join_normalises_and_refuses_to_climb_above_the_root() {
        let cases = [
            ("", "a/./b", Some("a/b")),
            ("apps/web", "../base", Some("apps/base")),
            ("apps", "/etc/x", Some("etc/x")),
            ("apps", "../..", None),
            ("apps", "..", Some("")),
        ];
        for (dir, path, expected) in cases {
            assert_eq!(join(dir, path).as_deref(), expected, "{dir} + {path}");
        }
    }

    #[test]
    fn overlay_hides_the_file_below_and_lists_both() {
        let below: MemoryTree = [("d/a", "1"), ("d/b", "2")].into_iter().collect();
        let mut tree = OverlayTree::new(&below);
        tree.insert("d/b", "over");
        tree.insert("d/c/x", "new");
        assert_eq!(tree.read("d/b").unwrap().as_ref(), b"over");
        assert_eq!(tree.read("d/a").unwrap().as_ref(), b"1");
        let names: Vec<_> = tree
            .list("d")
            .unwrap()
            .into_iter()
            .map(|e| e.name)
            .collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(tree.list("d/c").unwrap().len(), 1);
    }

    #[test]
    fn recording_names_every_file_read() {
        let below: MemoryTree = [("a", "1")].into_iter().collect();
        let tree = RecordingTree::new(&below);
        assert!(tree.read("a").is_ok());
        assert!(tree.read("gone").is_err());
        let reads = tree.into_reads();
        assert_eq!(reads.files.into_iter().collect::<Vec<_>>(), ["a", "gone"]);
    }
}
