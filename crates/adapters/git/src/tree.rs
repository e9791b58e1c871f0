//! The files of a commit as a build reads them, links followed within the tree.

use std::borrow::Cow;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use git2::{ObjectType, Oid};
use kustomize::FileTree;
use kustomize::file_tree::{Entry, Kind, TreeError};

use crate::Snapshot;

const MODE_SYMLINK: i32 = 0o120_000;
/// How many links lead to one file at most.
const MAX_LINKS: usize = 40;
/// The longest target of a link.
const MAX_TARGET: usize = 4096;

/// A commit whose files are read when they are asked for.
#[derive(Debug)]
pub struct SnapshotTree {
    snapshot: Mutex<Snapshot>,
    max_file_bytes: usize,
}

/// What stands at a path, links not followed.
enum Node {
    /// A directory; none: of a submodule that was not fetched.
    Directory(Option<Oid>),
    File(Oid),
    Link(Oid),
}

/// What a path comes to.
struct Found {
    path: String,
    node: Node,
}

impl SnapshotTree {
    /// Takes a commit; larger files than `max_file_bytes` are refused.
    pub fn new(snapshot: Snapshot, max_file_bytes: usize) -> Self {
        Self {
            snapshot: Mutex::new(snapshot),
            max_file_bytes,
        }
    }

    fn snapshot(&self) -> MutexGuard<'_, Snapshot> {
        self.snapshot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FileTree for SnapshotTree {
    fn read(&self, path: &str) -> Result<Cow<'_, [u8]>, TreeError> {
        let snapshot = self.snapshot();
        let found = resolve(&snapshot, path)?;
        match found.node {
            Node::File(id) => {
                let content = blob(&snapshot, &found.path, id, self.max_file_bytes)?;
                Ok(Cow::Owned(content))
            }
            _ => Err(TreeError::NotAFile { path: path.into() }),
        }
    }

    fn stat(&self, path: &str) -> Option<Kind> {
        let found = resolve(&self.snapshot(), path).ok()?;
        Some(kind(&found.node))
    }

    fn list(&self, dir: &str) -> Result<Vec<Entry>, TreeError> {
        let snapshot = self.snapshot();
        let found = resolve(&snapshot, dir)?;
        let Node::Directory(id) = found.node else {
            return Err(TreeError::NotADirectory { path: dir.into() });
        };
        let Some(id) = id else {
            return Ok(Vec::new());
        };
        let names = names(&snapshot, &found.path, id)?;
        let entry = |name: String| {
            let path = join(&found.path, &name);
            let found = resolve(&snapshot, &path).ok()?;
            let kind = kind(&found.node);
            Some(Entry { name, kind })
        };
        let mut entries: Vec<_> = names.into_iter().filter_map(entry).collect();
        entries.sort();
        Ok(entries)
    }

    fn canonical(&self, path: &str) -> Result<String, TreeError> {
        resolve(&self.snapshot(), path).map(|found| found.path)
    }
}

fn kind(node: &Node) -> Kind {
    match node {
        Node::Directory(_) => Kind::Directory,
        Node::File(_) | Node::Link(_) => Kind::File,
    }
}

fn join(directory: &str, name: &str) -> String {
    match directory {
        "" => name.to_owned(),
        directory => format!("{directory}/{name}"),
    }
}

/// Follows a path part by part, through links; none leads out of the tree.
fn resolve(snapshot: &Snapshot, path: &str) -> Result<Found, TreeError> {
    let escapes = || TreeError::Escapes { path: path.into() };
    let mut rest: Vec<String> = path.rsplit('/').map(str::to_owned).collect();
    let mut done = String::new();
    let mut links = 0;
    while let Some(part) = rest.pop() {
        match part.as_str() {
            "" | "." => {}
            ".." if done.is_empty() => return Err(escapes()),
            ".." => done.truncate(done.rfind('/').unwrap_or(0)),
            name => {
                let next = join(&done, name);
                match node(snapshot, &next)? {
                    Some(Node::Link(id)) => {
                        links += 1;
                        let target = blob(snapshot, &next, id, MAX_TARGET)?;
                        let target = String::from_utf8_lossy(&target).into_owned();
                        if links > MAX_LINKS || target.starts_with('/') {
                            return Err(escapes());
                        }
                        rest.extend(target.rsplit('/').map(str::to_owned));
                    }
                    Some(_) => done = next,
                    None => return Err(TreeError::NotFound { path: path.into() }),
                }
            }
        }
    }
    match node(snapshot, &done)? {
        Some(node) => Ok(Found { path: done, node }),
        None => Err(TreeError::NotFound { path: path.into() }),
    }
}

fn unreadable(path: &str, error: &dyn std::error::Error) -> TreeError {
    TreeError::Unreadable {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

/// The snapshot of the submodule that a path lies in, and the path in that.
fn within<'s, 'p>(snapshot: &'s Snapshot, path: &'p str) -> Option<(&'s Snapshot, &'p str)> {
    snapshot.modules.iter().find_map(|(at, module)| {
        let rest = path.strip_prefix(at.as_str())?;
        match rest.strip_prefix('/') {
            Some(rest) => Some((module, rest)),
            None if rest.is_empty() => Some((module, "")),
            None => None,
        }
    })
}

fn node(snapshot: &Snapshot, path: &str) -> Result<Option<Node>, TreeError> {
    if let Some((module, rest)) = within(snapshot, path) {
        return node(module, rest);
    }
    let root = snapshot.root().map_err(|error| unreadable(path, &error))?;
    if path.is_empty() {
        return Ok(Some(Node::Directory(Some(root.id()))));
    }
    let entry = match root.get_path(Path::new(path)) {
        Ok(entry) => entry,
        Err(error) if error.code() == git2::ErrorCode::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(path, &error)),
    };
    Ok(match entry.kind() {
        Some(ObjectType::Tree) => Some(Node::Directory(Some(entry.id()))),
        Some(ObjectType::Commit) => Some(Node::Directory(None)),
        Some(ObjectType::Blob) if entry.filemode() == MODE_SYMLINK => Some(Node::Link(entry.id())),
        Some(ObjectType::Blob) => Some(Node::File(entry.id())),
        _ => None,
    })
}

fn names(snapshot: &Snapshot, path: &str, id: Oid) -> Result<Vec<String>, TreeError> {
    if let Some((module, rest)) = within(snapshot, path) {
        return names(module, rest, id);
    }
    let tree = snapshot.repository.find_tree(id);
    let tree = tree.map_err(|error| unreadable(path, &error))?;
    let name =
        |entry: git2::TreeEntry<'_>| String::from_utf8_lossy(entry.name_bytes()).into_owned();
    Ok(tree.iter().map(name).collect())
}

fn blob(snapshot: &Snapshot, path: &str, id: Oid, most: usize) -> Result<Vec<u8>, TreeError> {
    if let Some((module, rest)) = within(snapshot, path) {
        return blob(module, rest, id, most);
    }
    let database = snapshot.repository.odb();
    let header = database.and_then(|database| database.read_header(id));
    let (size, _) = header.map_err(|error| unreadable(path, &error))?;
    if size > most {
        return Err(TreeError::TooLarge {
            path: path.to_owned(),
            size: size as u64,
            max_bytes: most as u64,
        });
    }
    let blob = snapshot.repository.find_blob(id);
    let blob = blob.map_err(|error| unreadable(path, &error))?;
    Ok(blob.content().to_vec())
}
