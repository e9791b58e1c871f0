//! The walk over a commit's files, in the order of an archive.

use std::io;

use git2::{ObjectType, Tree};
use select::IgnoreRules;

use super::budget::Budget;
use super::{Entry, MAX_DEPTH, MODE_SYMLINK, Skipped, Snapshot, WalkError};

const MODE_EXECUTABLE: i32 = 0o100_755;

pub(super) struct Walk<'a> {
    pub(super) rules: &'a IgnoreRules,
    pub(super) only: Vec<String>,
    pub(super) sink: &'a mut dyn FnMut(Entry<'_>) -> io::Result<()>,
    pub(super) skipped: Skipped,
    pub(super) budget: Budget,
}

impl Walk<'_> {
    /// Walks a tree of a snapshot, whose own paths start at `own`.
    pub(super) fn tree(
        &mut self,
        (snapshot, own): (&Snapshot, usize),
        tree: &Tree<'_>,
        path: &mut Vec<u8>,
        depth: usize,
    ) -> Result<(), WalkError> {
        if depth > MAX_DEPTH {
            return Err(WalkError::TooDeep);
        }
        // Git sorts a directory as if its name ended in a slash; archives do not.
        let mut entries: Vec<_> = tree.iter().collect();
        entries.sort_by(|a, b| a.name_bytes().cmp(b.name_bytes()));
        for entry in entries {
            self.budget.entry(entry.name_bytes(), path)?;
            let length = path.len();
            if length > 0 {
                path.push(b'/');
            }
            path.extend_from_slice(entry.name_bytes());
            self.entry((snapshot, own), &entry, path, depth)?;
            path.truncate(length);
        }
        Ok(())
    }

    fn entry(
        &mut self,
        (snapshot, own): (&Snapshot, usize),
        entry: &git2::TreeEntry<'_>,
        path: &mut Vec<u8>,
        depth: usize,
    ) -> Result<(), WalkError> {
        let text = String::from_utf8_lossy(path).into_owned();
        let repository = &snapshot.repository;
        match entry.kind() {
            Some(ObjectType::Tree) if self.leads_somewhere(&text) => {
                if !self.rules.excludes(&text, true) {
                    (self.sink)(Entry::Directory(path))?;
                }
                let tree = repository
                    .find_tree(entry.id())
                    .map_err(WalkError::Objects)?;
                self.tree((snapshot, own), &tree, path, depth + 1)
            }
            Some(ObjectType::Commit) if self.leads_somewhere(&text) => {
                if !self.rules.excludes(&text, true) {
                    (self.sink)(Entry::Directory(path))?;
                }
                let own_path = String::from_utf8_lossy(&path[own..]);
                match snapshot.modules.get(&*own_path) {
                    Some(module) => {
                        let within = path.len() + 1;
                        self.tree((module, within), &module.root()?, path, depth + 1)
                    }
                    None => Ok(()),
                }
            }
            Some(ObjectType::Blob) if self.is_inside(&text) => {
                if self.rules.excludes(&text, false) {
                    return Ok(());
                }
                if entry.filemode() == MODE_SYMLINK {
                    self.skipped.links += 1;
                    return Ok(());
                }
                let blob = self.budget.blob(repository, entry.id(), path)?;
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
