//! The files of one fetched commit, read straight from its objects.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use git2::{ErrorCode, ObjectType, Oid, Repository, Tree};
use select::{IGNORE_FILE, IgnoreRules};

use crate::Error;
use crate::objects::Objects;
use crate::signed::{Signed, Tag};

mod budget;
mod walk;

use budget::Budget;
use walk::Walk;

const MODE_SYMLINK: i32 = 0o120_000;
/// How deep a tree may be nested. Git itself stops at 2048.
const MAX_DEPTH: usize = 2048;
/// How much of one `.sourceignore` is read.
const MAX_IGNORE_BYTES: usize = 1 << 20;

/// One commit, and those of its submodules that were fetched too.
pub struct Snapshot {
    pub(crate) repository: Repository,
    pub(crate) commit: Oid,
    /// The submodules, by their paths.
    pub(crate) modules: BTreeMap<String, Self>,
    /// Stay for as long as they are read.
    _objects: Arc<Objects>,
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
    /// A name in a tree is that of no file: it could lead elsewhere, or be taken for a repository's own.
    #[error("'{0}' cannot be the path of a file")]
    Name(String),
    /// There are more entries than are looked at.
    #[error("the repository has more than {0} files and directories")]
    TooMany(u64),
    /// A file is larger than is read.
    #[error("file '{path}' is larger than {max_bytes} bytes")]
    TooLarge {
        /// Its path.
        path: String,
        /// The limit.
        max_bytes: u64,
    },
    /// All files together are larger than is read.
    #[error("the files of the repository are larger than {0} bytes together")]
    TooMuch(u64),
    /// A directory to check out is not there.
    #[error("sparse checkout dir '{0}' does not exist in repository")]
    NoSuchDirectory(String),
}

impl Snapshot {
    pub(crate) fn open(objects: Arc<Objects>, commit: &str) -> Result<Self, Error> {
        let repository = Repository::open_bare(objects.path()).map_err(Error::Objects)?;
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
            modules: BTreeMap::new(),
            _objects: objects,
        })
    }

    /// Returns whether an object is here.
    pub(crate) fn has(&self, object: &str) -> bool {
        let found =
            Oid::from_str(object).and_then(|id| self.repository.odb().map(|odb| odb.exists(id)));
        found.unwrap_or_default()
    }

    /// Returns the commit as it was signed.
    ///
    /// # Errors
    /// [`WalkError::Objects`].
    pub fn signed_commit(&self) -> Result<Signed, WalkError> {
        let database = self.repository.odb().map_err(WalkError::Objects)?;
        let object = database.read(self.commit).map_err(WalkError::Objects)?;
        Ok(Signed::commit(object.data()))
    }

    /// Returns the annotated tag with this id; `None` where the id names something else, as a lightweight tag does.
    ///
    /// # Errors
    /// [`WalkError::Objects`].
    pub fn tag(&self, id: &str) -> Result<Option<Tag>, WalkError> {
        let id = Oid::from_str(id).map_err(WalkError::Objects)?;
        let database = self.repository.odb().map_err(WalkError::Objects)?;
        let object = database.read(id).map_err(WalkError::Objects)?;
        if object.kind() != ObjectType::Tag {
            return Ok(None);
        }
        // A tag may be of another tag. What counts is what the last one names.
        let found = self.repository.find_tag(id).map_err(WalkError::Objects)?;
        let target = found.into_object().peel_to_commit();
        let is_of_commit = target.is_ok_and(|target| target.id() == self.commit);
        Ok(Some(Tag {
            signed: Signed::tag(object.data()),
            is_of_commit,
        }))
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
        let mut budget = Budget::default();
        let at = (0, &mut String::new());
        self.find_ignore_files(&self.root()?, at, (0, &mut budget), rules)
    }

    pub(crate) fn root(&self) -> Result<Tree<'_>, WalkError> {
        let commit = self
            .repository
            .find_commit(self.commit)
            .map_err(WalkError::Objects)?;
        commit.tree().map_err(WalkError::Objects)
    }

    fn find_ignore_files(
        &self,
        tree: &Tree<'_>,
        (own, directory): (usize, &mut String),
        (depth, budget): (usize, &mut Budget),
        rules: &mut IgnoreRules,
    ) -> Result<(), WalkError> {
        if depth > MAX_DEPTH {
            return Err(WalkError::TooDeep);
        }
        for entry in tree {
            let name = String::from_utf8_lossy(entry.name_bytes()).into_owned();
            budget.entry(entry.name_bytes(), directory.as_bytes())?;
            match entry.kind() {
                Some(ObjectType::Blob)
                    if name == IGNORE_FILE && entry.filemode() != MODE_SYMLINK =>
                {
                    let blob = budget.blob(&self.repository, entry.id(), directory.as_bytes())?;
                    let content = blob.content();
                    let content = &content[..content.len().min(MAX_IGNORE_BYTES)];
                    rules.add_file(directory, &String::from_utf8_lossy(content));
                }
                Some(ObjectType::Tree) => {
                    let tree = self
                        .repository
                        .find_tree(entry.id())
                        .map_err(WalkError::Objects)?;
                    let length = enter(directory, &name);
                    let below = (depth + 1, &mut *budget);
                    self.find_ignore_files(&tree, (own, directory), below, rules)?;
                    directory.truncate(length);
                }
                Some(ObjectType::Commit) => {
                    let length = enter(directory, &name);
                    if let Some(module) = self.modules.get(&directory[own..]) {
                        let within = directory.len() + 1;
                        module.find_ignore_files(
                            &module.root()?,
                            (within, directory),
                            (depth + 1, budget),
                            rules,
                        )?;
                    }
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
    /// that is left out may still have entries handed out. Symbolic links are counted; submodules
    /// that were not fetched are empty directories.
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
            if !self.has_directory(&root, path)? {
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
            rules,
            only,
            sink,
            skipped: Skipped::default(),
            budget: Budget::default(),
        };
        (walk.sink)(Entry::Directory(b"."))?;
        walk.tree((self, 0), &root, &mut Vec::new(), 0)?;
        Ok(walk.skipped)
    }
}

impl Snapshot {
    /// Says whether there is a directory, be it of a submodule.
    fn has_directory(&self, root: &Tree<'_>, path: &str) -> Result<bool, WalkError> {
        if let Ok(entry) = root.get_path(std::path::Path::new(path)) {
            return Ok(entry.kind() != Some(ObjectType::Blob));
        }
        let within = self.modules.iter().find_map(|(at, module)| {
            let rest = path.strip_prefix(at.as_str())?.strip_prefix('/')?;
            Some((module, rest))
        });
        match within {
            Some((module, rest)) => module.has_directory(&module.root()?, rest),
            None => Ok(false),
        }
    }
}

/// Appends a name to a path. Returns the length before.
fn enter(directory: &mut String, name: &str) -> usize {
    let length = directory.len();
    if length > 0 {
        directory.push('/');
    }
    directory.push_str(name);
    length
}

/// Returns the path without `.` parts and slashes too many.
fn clean(path: &str) -> String {
    let parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
    parts.collect::<Vec<_>>().join("/")
}
