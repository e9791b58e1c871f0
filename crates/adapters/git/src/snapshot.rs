//! The files of one fetched commit, read straight from its objects.

use std::io;

use git2::{ErrorCode, ObjectType, Oid, Repository, Tree};
use select::{IGNORE_FILE, IgnoreRules};
use tempfile::TempDir;

use crate::Error;

const MODE_EXECUTABLE: i32 = 0o100_755;
const MODE_SYMLINK: i32 = 0o120_000;
/// How deep a tree may be nested. Git itself stops at 2048.
const MAX_DEPTH: usize = 2048;
/// How much of one `.sourceignore` is read.
const MAX_IGNORE_BYTES: usize = 1 << 20;

/// One commit without its history, in a repository that is removed with it.
pub struct Snapshot {
    repository: Repository,
    commit: Oid,
    _directory: TempDir,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("commit", &self.commit)
            .finish_non_exhaustive()
    }
}

/// One entry of the commit's tree.
#[derive(Debug)]
pub enum Entry<'a> {
    /// A directory, before what it holds. The root is `.`.
    Directory(&'a [u8]),
    /// A regular file.
    File {
        /// Its path relative to the root.
        path: &'a [u8],
        /// Whether it can be executed.
        executable: bool,
        /// Its content.
        content: &'a [u8],
    },
}

/// What a walk did not hand out although no rule left it out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Symbolic links.
    pub links: usize,
}

/// Why a walk ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalkError {
    /// An object is missing or damaged.
    #[error("cannot read objects")]
    Objects(#[source] git2::Error),
    /// The receiver of the entries failed.
    #[error(transparent)]
    Sink(#[from] io::Error),
    /// Directories are nested too deep.
    #[error("directories are nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// A directory to check out is not there.
    #[error("sparse checkout dir '{0}' does not exist in repository")]
    NoSuchDirectory(String),
}

impl Snapshot {
    pub(crate) fn open(directory: TempDir, commit: &str) -> Result<Self, Error> {
        let repository = Repository::open_bare(directory.path()).map_err(Error::Objects)?;
        let missing = || Error::CommitNotFound(commit.to_owned());
        let id = Oid::from_str(commit).map_err(|_| missing())?;
        let found = repository.find_commit(id).map(|_| ());
        found.map_err(|error| match error.code() {
            ErrorCode::NotFound | ErrorCode::InvalidSpec => missing(),
            _ => Error::Objects(error),
        })?;
        Ok(Self {
            repository,
            commit: id,
            _directory: directory,
        })
    }

    /// Returns the commit's message.
    ///
    /// # Errors
    /// [`WalkError::Objects`].
    pub fn message(&self) -> Result<String, WalkError> {
        let commit = self
            .repository
            .find_commit(self.commit)
            .map_err(WalkError::Objects)?;
        Ok(String::from_utf8_lossy(commit.message_bytes()).into_owned())
    }

    /// Returns whether a path of the commit is a directory; `None` where nothing is there.
    ///
    /// # Errors
    /// [`WalkError::Objects`].
    pub fn is_directory(&self, path: &str) -> Result<Option<bool>, WalkError> {
        let root = self.root()?;
        match root.get_path(std::path::Path::new(path)) {
            Ok(entry) => Ok(Some(entry.kind() != Some(ObjectType::Blob))),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(WalkError::Objects(error)),
        }
    }

    /// Reads every `.sourceignore` of the commit into `rules`.
    ///
    /// # Errors
    /// [`WalkError`].
    pub fn read_ignore_files(&self, rules: &mut IgnoreRules) -> Result<(), WalkError> {
        self.find_ignore_files(&self.root()?, &mut String::new(), 0, rules)
    }

    fn root(&self) -> Result<Tree<'_>, WalkError> {
        let commit = self
            .repository
            .find_commit(self.commit)
            .map_err(WalkError::Objects)?;
        commit.tree().map_err(WalkError::Objects)
    }

    fn find_ignore_files(
        &self,
        tree: &Tree<'_>,
        directory: &mut String,
        depth: usize,
        rules: &mut IgnoreRules,
    ) -> Result<(), WalkError> {
        if depth > MAX_DEPTH {
            return Err(WalkError::TooDeep);
        }
        for entry in tree {
            let name = String::from_utf8_lossy(entry.name_bytes()).into_owned();
            match entry.kind() {
                Some(ObjectType::Blob)
                    if name == IGNORE_FILE && entry.filemode() != MODE_SYMLINK =>
                {
                    let blob = self
                        .repository
                        .find_blob(entry.id())
                        .map_err(WalkError::Objects)?;
                    let content = blob.content();
                    let content = &content[..content.len().min(MAX_IGNORE_BYTES)];
                    rules.add_file(directory, &String::from_utf8_lossy(content));
                }
                Some(ObjectType::Tree) => {
                    let tree = self
                        .repository
                        .find_tree(entry.id())
                        .map_err(WalkError::Objects)?;
                    let length = directory.len();
                    if length > 0 {
                        directory.push('/');
                    }
                    directory.push_str(&name);
                    self.find_ignore_files(&tree, directory, depth + 1, rules)?;
                    directory.truncate(length);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Hands out every directory and regular file that `rules` do not leave out, in archive order: names bytewise, each
    /// directory before what it holds, the root first.
    ///
    /// `only` names the directories that are checked out, relative to the root; empty means everything. A directory
    /// that is left out may still have entries handed out. Symbolic links are counted, submodules are empty
    /// directories.
    ///
    /// # Errors
    /// [`WalkError`].
    pub fn walk(
        &self,
        rules: &IgnoreRules,
        only: &[String],
        sink: &mut dyn FnMut(Entry<'_>) -> io::Result<()>,
    ) -> Result<Skipped, WalkError> {
        let root = self.root()?;
        let only: Vec<String> = only.iter().map(|path| clean(path)).collect();
        for path in only.iter().filter(|path| !path.is_empty()) {
            let found = root.get_path(std::path::Path::new(path));
            if !found.is_ok_and(|entry| entry.kind() == Some(ObjectType::Tree)) {
                return Err(WalkError::NoSuchDirectory(path.clone()));
            }
        }
        // The root among the directories means everything.
        let only = if only.iter().any(String::is_empty) {
            Vec::new()
        } else {
            only
        };
        let mut walk = Walk {
            snapshot: self,
            rules,
            only,
            sink,
            skipped: Skipped::default(),
        };
        (walk.sink)(Entry::Directory(b"."))?;
        walk.tree(&root, &mut Vec::new(), 0)?;
        Ok(walk.skipped)
    }
}

/// Returns the path without `.` parts and slashes too many.
fn clean(path: &str) -> String {
    let parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
    parts.collect::<Vec<_>>().join("/")
}

struct Walk<'a> {
    snapshot: &'a Snapshot,
    rules: &'a IgnoreRules,
    only: Vec<String>,
    sink: &'a mut dyn FnMut(Entry<'_>) -> io::Result<()>,
    skipped: Skipped,
}

impl Walk<'_> {
    fn tree(&mut self, tree: &Tree<'_>, path: &mut Vec<u8>, depth: usize) -> Result<(), WalkError> {
        if depth > MAX_DEPTH {
            return Err(WalkError::TooDeep);
        }
        // Git sorts a directory as if its name ended in a slash; archives do not.
        let mut entries: Vec<_> = tree.iter().collect();
        entries.sort_by(|a, b| a.name_bytes().cmp(b.name_bytes()));
        for entry in entries {
            let length = path.len();
            if length > 0 {
                path.push(b'/');
            }
            path.extend_from_slice(entry.name_bytes());
            self.entry(&entry, path, depth)?;
            path.truncate(length);
        }
        Ok(())
    }

    fn entry(
        &mut self,
        entry: &git2::TreeEntry<'_>,
        path: &mut Vec<u8>,
        depth: usize,
    ) -> Result<(), WalkError> {
        let text = String::from_utf8_lossy(path).into_owned();
        let repository = &self.snapshot.repository;
        match entry.kind() {
            Some(ObjectType::Tree) if self.leads_somewhere(&text) => {
                if !self.rules.excludes(&text, true) {
                    (self.sink)(Entry::Directory(path))?;
                }
                let tree = repository
                    .find_tree(entry.id())
                    .map_err(WalkError::Objects)?;
                self.tree(&tree, path, depth + 1)
            }
            Some(ObjectType::Commit) if self.is_inside(&text) => {
                if !self.rules.excludes(&text, true) {
                    (self.sink)(Entry::Directory(path))?;
                }
                Ok(())
            }
            Some(ObjectType::Blob) if self.is_inside(&text) => {
                if self.rules.excludes(&text, false) {
                    return Ok(());
                }
                if entry.filemode() == MODE_SYMLINK {
                    self.skipped.links += 1;
                    return Ok(());
                }
                let blob = repository
                    .find_blob(entry.id())
                    .map_err(WalkError::Objects)?;
                let executable = entry.filemode() == MODE_EXECUTABLE;
                (self.sink)(Entry::File {
                    path,
                    executable,
                    content: blob.content(),
                })?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Whether the path lies in a directory that is checked out.
    fn is_inside(&self, path: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| is_below(path, only))
    }

    /// Whether the directory is checked out, lies in one that is, or leads to one.
    fn leads_somewhere(&self, path: &str) -> bool {
        self.is_inside(path) || self.only.iter().any(|only| is_below(only, path))
    }
}

fn is_below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
