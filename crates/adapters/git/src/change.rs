//! New commits made of one that was fetched: files changed in its tree, without a work tree.

use std::collections::BTreeSet;

use git2::{FileMode, ObjectType, Oid, Tree, build::TreeUpdateBuilder};

use crate::snapshot::{Snapshot, WalkError};

const MODE_SYMLINK: i32 = 0o120_000;
/// How deep a tree may be nested. Git itself stops at 2048.
const MAX_DEPTH: usize = 2048;

/// A file with new content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewContent {
    /// Its path in the repository; the file is there, and keeps its mode.
    pub path: String,
    /// Its content.
    pub content: Vec<u8>,
}

/// Who made a commit, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// May be empty.
    pub name: String,
    /// The address.
    pub email: String,
    /// Seconds since 1970.
    pub seconds: i64,
}

/// Gets the bytes of a commit and returns an armoured signature, or why there is none.
pub type Sign<'a> = &'a dyn Fn(&[u8]) -> Result<String, String>;

/// A commit that the server does not have yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCommit {
    /// Its id, 40 hex digits.
    pub id: String,
    /// The commit that it follows.
    pub parent: String,
    /// Its objects, as a pack.
    pub pack: Vec<u8>,
}

/// Why a commit could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// Objects could not be read or written.
    #[error("cannot write objects")]
    Objects(#[from] git2::Error),
    /// A file to change is not there.
    #[error("no such file: {0}")]
    NoFile(String),
    /// The commit could not be signed.
    #[error("failed to sign the commit: {0}")]
    Sign(String),
}

impl Snapshot {
    /// Hands out the path and content of every regular file at or below `path` whose own path is wanted, in the order
    /// of their paths. Symbolic links and submodules are left out. Returns false where there is no such path.
    ///
    /// # Errors
    /// [`WalkError`].
    pub fn files_below(
        &self,
        path: &str,
        wanted: &dyn Fn(&str) -> bool,
        sink: &mut dyn FnMut(&str, &[u8]),
    ) -> Result<bool, WalkError> {
        let commit = self
            .repository
            .find_commit(self.commit)
            .map_err(WalkError::Objects)?;
        let root = commit.tree().map_err(WalkError::Objects)?;
        let path = within(path);
        let mut visit = Visit {
            repository: &self.repository,
            wanted,
            sink,
        };
        if path.is_empty() {
            visit.tree(&root, &mut String::new(), 0)?;
            return Ok(true);
        }
        let Ok(entry) = root.get_path(std::path::Path::new(&path)) else {
            return Ok(false);
        };
        match entry.kind() {
            Some(ObjectType::Tree) => {
                let tree = self
                    .repository
                    .find_tree(entry.id())
                    .map_err(WalkError::Objects)?;
                visit.tree(&tree, &mut path.clone(), 0)?;
            }
            Some(ObjectType::Blob) if entry.filemode() != MODE_SYMLINK => {
                visit.blob(entry.id(), &path)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Makes a commit that follows this one. `sign` gets the commit's bytes and returns an armoured signature.
    ///
    /// # Errors
    /// [`CommitError`].
    pub fn commit(
        &self,
        files: &[NewContent],
        author: &Author,
        message: &str,
        sign: Option<Sign<'_>>,
    ) -> Result<NewCommit, CommitError> {
        let repository = &self.repository;
        let root = repository.find_commit(self.commit)?.tree()?;
        let database = repository.odb()?;
        let mut update = TreeUpdateBuilder::new();
        let mut objects = Vec::new();
        for file in files {
            let missing = || CommitError::NoFile(file.path.clone());
            let entry = root
                .get_path(std::path::Path::new(&file.path))
                .map_err(|_| missing())?;
            let mode = match entry.filemode() {
                0o100_755 => FileMode::BlobExecutable,
                0o100_644 | 0o100_664 => FileMode::Blob,
                _ => return Err(missing()),
            };
            let blob = database.write(ObjectType::Blob, &file.content)?;
            objects.push(blob);
            update.upsert(&*file.path, blob, mode);
        }
        let tree = update.create_updated(repository, &root)?;
        objects.extend(new_trees(repository, tree, files)?);
        let bytes = body(
            &tree.to_string(),
            &self.commit.to_string(),
            author,
            message,
            sign,
        )?;
        let id = database.write(ObjectType::Commit, &bytes)?;
        objects.push(id);
        let mut builder = repository.packbuilder()?;
        for object in objects {
            builder.insert_object(object, None)?;
        }
        let mut pack = git2::Buf::new();
        builder.write_buf(&mut pack)?;
        Ok(NewCommit {
            id: id.to_string(),
            parent: self.commit.to_string(),
            pack: pack.to_vec(),
        })
    }

    /// Returns the id of the commit, 40 hex digits.
    pub fn id(&self) -> String {
        self.commit.to_string()
    }
}

struct Visit<'a> {
    repository: &'a git2::Repository,
    wanted: &'a dyn Fn(&str) -> bool,
    sink: &'a mut dyn FnMut(&str, &[u8]),
}

impl Visit<'_> {
    fn tree(&mut self, tree: &Tree<'_>, path: &mut String, depth: usize) -> Result<(), WalkError> {
        if depth > MAX_DEPTH {
            return Err(WalkError::TooDeep);
        }
        for entry in tree {
            // A name that is no text cannot be one that is looked for.
            let Ok(name) = entry.name() else {
                continue;
            };
            let length = path.len();
            if length > 0 {
                path.push('/');
            }
            path.push_str(name);
            match entry.kind() {
                Some(ObjectType::Tree) => {
                    let inner = self.repository.find_tree(entry.id());
                    self.tree(&inner.map_err(WalkError::Objects)?, path, depth + 1)?;
                }
                Some(ObjectType::Blob) if entry.filemode() != MODE_SYMLINK => {
                    self.blob(entry.id(), path)?;
                }
                _ => {}
            }
            path.truncate(length);
        }
        Ok(())
    }

    fn blob(&mut self, id: Oid, path: &str) -> Result<(), WalkError> {
        if (self.wanted)(path) {
            let blob = self.repository.find_blob(id).map_err(WalkError::Objects)?;
            (self.sink)(path, blob.content());
        }
        Ok(())
    }
}

/// Returns the path below the root that a user's path leads to; `..` never leads out.
fn within(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Returns the trees on the way to changed files: those that are new.
fn new_trees(
    repository: &git2::Repository,
    root: Oid,
    files: &[NewContent],
) -> Result<BTreeSet<Oid>, git2::Error> {
    let mut trees = BTreeSet::from([root]);
    let root = repository.find_tree(root)?;
    for file in files {
        for (at, _) in file.path.match_indices('/') {
            trees.insert(root.get_path(std::path::Path::new(&file.path[..at]))?.id());
        }
    }
    Ok(trees)
}

/// Returns the bytes of a commit. libgit2 would refuse an author without a name, which users have.
fn body(
    tree: &str,
    parent: &str,
    author: &Author,
    message: &str,
    sign: Option<Sign<'_>>,
) -> Result<Vec<u8>, CommitError> {
    let clean = |text: &str| text.replace(['\n', '\r', '<', '>', '\0'], "");
    let (name, email) = (clean(&author.name), clean(&author.email));
    let who = format!("{name} <{email}> {} +0000", author.seconds);
    let message = message.replace('\0', "");
    let head = format!("tree {tree}\nparent {parent}\nauthor {who}\ncommitter {who}\n");
    let plain = format!("{head}\n{message}");
    let Some(sign) = sign else {
        return Ok(plain.into_bytes());
    };
    let signature = sign(plain.as_bytes()).map_err(CommitError::Sign)?;
    let signature = signature
        .trim_end()
        .replace("\r\n", "\n")
        .replace('\n', "\n ");
    Ok(format!("{head}gpgsig {signature}\n\n{message}").into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_never_lead_out() {
        for (path, expected) in [
            ("", ""),
            ("./", ""),
            ("/clusters/x/", "clusters/x"),
            ("./clusters/../x", "x"),
            ("../../x", "x"),
        ] {
            assert_eq!(within(path), expected, "{path}");
        }
    }

    #[test]
    fn commit_is_written_as_git_does() {
        let author = Author {
            name: String::new(),
            email: "bot@example.com".into(),
            seconds: 7,
        };
        let sign: Sign<'_> = &|bytes| {
            assert!(bytes.ends_with(b"+0000\n\nmessage"));
            Ok("-----BEGIN\n\nx\n-----END\n".into())
        };
        let bytes = body("t", "p", &author, "message", Some(sign)).unwrap();
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "tree t\nparent p\nauthor  <bot@example.com> 7 +0000\ncommitter  <bot@example.com> 7 +0000\ngpgsig -----BEGIN\n \n x\n -----END\n\nmessage"
        );
    }
}
