//! Finds the files and directories a kustomization names, within what it may name.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;

use crate::error::{Error, Place};
use crate::file_tree::{FileTree, Kind, TreeError, join, join_in, parent};
use crate::options::{Fetched, LoadRestrictions, Options, Remote, RemoteSource};
use crate::remote::{self, RepoSpec};

/// What one build shares: its options and what it counts.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    pub(crate) options: &'a Options<'a>,
    pub(crate) warnings: RefCell<Vec<String>>,
    missing: RefCell<BTreeSet<RemoteSource>>,
    entered: Cell<usize>,
}

/// Reads files for one directory.
#[derive(Clone)]
pub(crate) struct Loader<'a> {
    pub(crate) session: Rc<Session<'a>>,
    pub(crate) tree: &'a dyn FileTree,
    /// The directory, as a path in the tree.
    pub(crate) root: String,
    restrictions: LoadRestrictions,
    /// The repository the tree is a clone of.
    repo: Option<Rc<RepoSpec>>,
    /// The directories on the way here, nearest first; cycles are found by it.
    visited: Option<Rc<Visited>>,
    depth: usize,
}

#[derive(Debug)]
struct Visited {
    root: String,
    repo: Option<Rc<RepoSpec>>,
    before: Option<Rc<Self>>,
}

/// A file that was read.
pub(crate) struct File<'a> {
    pub(crate) path: String,
    pub(crate) content: Cow<'a, [u8]>,
}

/// Why an entry could not be read as a file.
#[derive(Debug)]
pub(crate) enum LoadError {
    /// It is noted as missing: the build goes on to find what else is.
    Missing,
    /// A web server refused it.
    Http(Error),
    /// Anything else.
    Other(Error),
}

impl From<Error> for LoadError {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl LoadError {
    /// Gives the error to report where nothing else is tried.
    pub(crate) fn into_error(self, session: &Session<'_>) -> Error {
        match self {
            Self::Missing => session.missing_error(),
            Self::Http(error) | Self::Other(error) => error,
        }
    }
}

impl<'a> Session<'a> {
    pub(crate) fn new(options: &'a Options<'a>) -> Rc<Self> {
        Rc::new(Self {
            options,
            warnings: RefCell::default(),
            missing: RefCell::default(),
            entered: Cell::new(0),
        })
    }

    pub(crate) fn warn(&self, text: String) {
        self.warnings.borrow_mut().push(text);
    }

    /// Gives an error that names everything found missing so far.
    pub(crate) fn missing_error(&self) -> Error {
        Error::Missing(self.missing.borrow().iter().cloned().collect())
    }

    /// Ends the build where something is missing.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub(crate) fn check_missing(&self) -> Result<(), Error> {
        if self.missing.borrow().is_empty() {
            Ok(())
        } else {
            Err(self.missing_error())
        }
    }

    fn fetched(&self, source: &RemoteSource) -> Result<&'a Fetched, LoadError> {
        match self.options.remote {
            Remote::Refused => Err(LoadError::Other(Error::new(format!(
                "remote bases are not allowed: '{source}'"
            )))),
            Remote::Fetched(map) => {
                if let Some(fetched) = map.get(source) {
                    Ok(fetched)
                } else {
                    self.missing.borrow_mut().insert(source.clone());
                    Err(LoadError::Missing)
                }
            }
        }
    }
}

impl<'a> Loader<'a> {
    /// Begins at a directory of a tree.
    ///
    /// # Errors
    /// Where it is no directory.
    pub(crate) fn new(
        session: &Rc<Session<'a>>,
        tree: &'a dyn FileTree,
        path: &str,
    ) -> Result<Self, Error> {
        let path = join("", path).ok_or_else(|| TreeError::Escapes {
            path: path.to_owned(),
        })?;
        let root = tree.canonical(&path)?;
        if tree.stat(&root) != Some(Kind::Directory) {
            return Err(TreeError::NotADirectory { path }.into());
        }
        let loader = Self {
            session: Rc::clone(session),
            tree,
            root,
            restrictions: session.options.load_restrictions,
            repo: None,
            visited: None,
            depth: 0,
        };
        loader.count()?;
        Ok(loader)
    }

    fn count(&self) -> Result<(), Error> {
        let limits = &self.session.options.limits;
        let entered = self.session.entered.get() + 1;
        self.session.entered.set(entered);
        if entered > limits.max_kustomizations {
            return Err(Error::new(format!(
                "the build enters more than {} kustomizations",
                limits.max_kustomizations
            )));
        }
        if self.depth > limits.max_depth {
            return Err(Error::new(format!(
                "bases are nested more than {} levels deep",
                limits.max_depth
            )));
        }
        Ok(())
    }

    /// Tells whether this is where the build began.
    pub(crate) fn is_root(&self) -> bool {
        self.depth == 0
    }

    /// Names a file of the directory for errors.
    pub(crate) fn display(&self, path: &str) -> String {
        match &self.repo {
            Some(repo) => format!("{}//{path}", repo.repository),
            None => path.to_owned(),
        }
    }

    /// Reads a file that the kustomization names.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub(crate) fn load(&self, entry: &str) -> Result<File<'a>, LoadError> {
        if remote::is_http(entry) {
            return self.load_http(entry);
        }
        let path = join_in(self.tree, &self.root, entry).ok_or_else(|| {
            Error::from(TreeError::Escapes {
                path: entry.to_owned(),
            })
        })?;
        let path = self.tree.canonical(&path).map_err(Error::from)?;
        if self.tree.stat(&path) == Some(Kind::Directory) {
            return Err(Error::new(format!("'/{path}' must resolve to a file")).into());
        }
        if self.restrictions == LoadRestrictions::RootOnly && !is_within(parent(&path), &self.root)
        {
            return Err(Error::new(format!(
                "security; file '/{path}' is not in or below '/{}'",
                self.root
            ))
            .into());
        }
        let content = self.tree.read(&path).map_err(Error::from)?;
        let max_bytes = self.session.options.limits.max_file_bytes;
        if content.len() > max_bytes {
            let (size, max_bytes) = (content.len() as u64, max_bytes as u64);
            return Err(Error::from(TreeError::TooLarge {
                path,
                size,
                max_bytes,
            })
            .into());
        }
        Ok(File {
            path: self.display(&path),
            content,
        })
    }

    fn load_http(&self, url: &str) -> Result<File<'a>, LoadError> {
        match self.session.fetched(&RemoteSource::Http {
            url: url.to_owned(),
        })? {
            Fetched::File(content) => Ok(File {
                path: url.to_owned(),
                content: Cow::Borrowed(content),
            }),
            Fetched::Tree(_) => Err(Error::new("URL is a git repository").into()),
            Fetched::Failed(_) if remote::parse(url).is_ok() => {
                Err(Error::new("URL is a git repository").into())
            }
            Fetched::Failed(reason) => Err(LoadError::Http(Error::new(reason.clone()))),
        }
    }

    /// Enters a directory or repository that the kustomization names.
    ///
    /// # Errors
    /// Where it is none, or leads back to where the build came from.
    pub(crate) fn enter(&self, entry: &str) -> Result<Self, LoadError> {
        if entry.is_empty() {
            return Err(Error::new("new root cannot be empty").into());
        }
        if let Ok(spec) = remote::parse(entry) {
            return self.enter_repo(spec);
        }
        if entry.starts_with('/') {
            return Err(Error::new(format!("new root '{entry}' cannot be absolute")).into());
        }
        let not_a_directory = "must build at directory: not a valid directory";
        let path = join_in(self.tree, &self.root, entry).ok_or_else(|| {
            Error::from(TreeError::Escapes {
                path: entry.to_owned(),
            })
            .context(not_a_directory)
        })?;
        let root = self
            .tree
            .canonical(&path)
            .map_err(|error| Error::from(error).context(not_a_directory))?;
        if self.tree.stat(&root) != Some(Kind::Directory) {
            return Err(Error::new(format!(
                "must build at directory: '/{root}': file is not directory"
            ))
            .into());
        }
        self.check_cycle(&root)?;
        let mut next = self.clone();
        next.visited = Some(self.visit());
        next.root = root;
        next.depth += 1;
        next.count()?;
        Ok(next)
    }

    fn visit(&self) -> Rc<Visited> {
        Rc::new(Visited {
            root: self.root.clone(),
            repo: self.repo.clone(),
            before: self.visited.clone(),
        })
    }

    /// Refuses a directory that is, or holds, one on the way here.
    fn check_cycle(&self, candidate: &str) -> Result<(), Error> {
        let here = self.visit();
        let mut at = Some(&here);
        while let Some(visited) = at {
            let same_tree = visited.repo == self.repo;
            if same_tree && is_within(&visited.root, candidate) {
                return Err(Error::new(format!(
                    "cycle detected: candidate root '/{candidate}' contains visited root '/{}'",
                    visited.root
                )));
            }
            at = visited.before.as_ref();
        }
        Ok(())
    }

    fn enter_repo(&self, spec: RepoSpec) -> Result<Self, LoadError> {
        let here = self.visit();
        let mut at = Some(&here);
        while let Some(visited) = at {
            if let Some(repo) = &visited.repo
                && repo.raw.starts_with(&spec.raw)
            {
                return Err(Error::new(format!(
                    "cycle detected: URI '{}' referenced by previous URI '{}'",
                    spec.raw, repo.raw
                ))
                .into());
            }
            at = visited.before.as_ref();
        }
        let tree: &'a dyn FileTree = match self.session.fetched(&spec.source())? {
            Fetched::Tree(tree) => tree.as_ref(),
            Fetched::Failed(reason) => {
                return Err(Error::new(format!("cannot fetch '{}': {reason}", spec.raw)).into());
            }
            Fetched::File(_) => {
                return Err(Error::new(format!("'{}' is no repository", spec.raw)).into());
            }
        };
        let root = tree.canonical(&spec.directory).map_err(Error::from)?;
        if tree.stat(&root) != Some(Kind::Directory) {
            return Err(Error::new(format!(
                "'{}' refers to file '/{root}'; expecting directory",
                spec.raw
            ))
            .into());
        }
        let next = Self {
            session: Rc::clone(&self.session),
            tree,
            root,
            restrictions: LoadRestrictions::RootOnly,
            repo: Some(Rc::new(spec)),
            visited: Some(here),
            depth: self.depth + 1,
        };
        next.count()?;
        Ok(next)
    }

    /// Finds the kustomization file of the directory.
    ///
    /// # Errors
    /// Where there is none, or more than one.
    pub(crate) fn kustomization_file(&self) -> Result<File<'a>, Error> {
        let names = crate::kustomization::FILE_NAMES;
        let path = |name: &str| join(&self.root, name).unwrap_or_default();
        let found: Vec<&str> = names
            .iter()
            .copied()
            .filter(|name| self.tree.stat(&path(name)) == Some(Kind::File))
            .collect();
        match found.as_slice() {
            [name] => self
                .load(name)
                .map_err(|error| error.into_error(&self.session)),
            [] => Err(Error::at(
                Place::file(&self.display(&self.root)),
                format!(
                    "unable to find one of 'kustomization.yaml', 'kustomization.yml' or \
                     'Kustomization' in directory '/{}'",
                    self.root
                ),
            )),
            several => {
                let error = Error::new(format!(
                    "Found multiple kustomization files under: /{}",
                    self.root
                ));
                Err(several.iter().fold(error, |error, name| {
                    error.with_place(Place::line(&self.display(&path(name)), 1))
                }))
            }
        }
    }
}

/// Tells whether a path is a directory or lies below it.
fn is_within(path: &str, directory: &str) -> bool {
    directory.is_empty()
        || path == directory
        || path
            .strip_prefix(directory)
            .is_some_and(|rest| rest.starts_with('/'))
}
