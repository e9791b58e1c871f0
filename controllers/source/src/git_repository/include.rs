//! Other repositories' artifacts inside this one.

use std::collections::BTreeMap;
use std::io;

use api::meta::Artifact;
use api::source::{GitRepository, Include};
use artifact::fetch::Bounds;
use artifact::storage::ArtifactPath;
use artifact::{ArtifactTree, Storage};
use git::Snapshot;
use kube::{Api, ResourceExt};
use runtime::{Failure, Note};
use select::{IGNORE_FILE, IgnoreRules};

use super::{GitRepositories, INCLUDE_UNAVAILABLE};
use crate::failure::{chain, failed, storage};
use crate::tree::confined;

/// One artifact to include, and where.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Included {
    /// The GitRepository that it is of.
    pub(super) repository: String,
    /// What of it, relative to its root; empty: all.
    pub(super) from: String,
    /// Where it goes, relative to this root.
    pub(super) to: String,
    pub(super) artifact: Artifact,
}

/// Joins what is asked for with the artifacts that were found, in order.
pub(super) fn pair(include: &[Include], artifacts: Vec<Artifact>) -> Vec<Included> {
    let paired = include.iter().zip(artifacts);
    let paired = paired.map(|(include, artifact)| {
        let repository = include.repository.name.clone();
        let to = include.to_path.as_deref().filter(|path| !path.is_empty());
        Included {
            from: confined(include.from_path.as_deref().unwrap_or_default()),
            to: confined(to.unwrap_or(&repository)),
            repository,
            artifact,
        }
    });
    paired.collect()
}

impl GitRepositories {
    /// Finds the artifacts to include, in the order of `spec.include`.
    pub(super) async fn included(&self, object: &GitRepository) -> Result<Vec<Artifact>, Failure> {
        if object.spec.include.is_empty() {
            return Ok(Vec::new());
        }
        let namespace = object.namespace().unwrap_or_default();
        let repositories: Api<GitRepository> =
            Api::namespaced(self.setup.client.clone(), &namespace);
        let mut found = Vec::new();
        for include in &object.spec.include {
            let name = &include.repository.name;
            let repository = repositories.get(name).await.map_err(|error| {
                let cause = match &error {
                    kube::Error::Api(status) if status.code == 404 => {
                        format!("GitRepository.source.toolkit.fluxcd.io \"{name}\" not found")
                    }
                    error => chain(error),
                };
                let words = format!("could not get resource for include '{name}': {cause}");
                self.unavailable("NotFound", words)
            })?;
            let artifact = repository.status.and_then(|status| status.artifact);
            found.push(artifact.ok_or_else(|| {
                let words = format!("no artifact available for include '{name}'");
                self.unavailable("NoArtifact", words)
            })?);
        }
        Ok(found)
    }

    fn unavailable(&self, reason: &str, words: String) -> Failure {
        Failure::wait(self.requeue_dependency, reason, words.clone())
            .with(failed(INCLUDE_UNAVAILABLE, reason, words.clone()))
            .note(Note::trace(reason, words))
    }
}

/// What stands at a path of the overlay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Laid {
    Directory,
    /// A file of one of the trees.
    File {
        tree: usize,
        path: String,
    },
}

/// All included files, by the path that they get. The order of the keys is that of an archive.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    trees: Vec<ArtifactTree>,
    entries: BTreeMap<Vec<String>, Laid>,
}

/// Why an artifact could not be included.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
enum LayError {
    #[error(transparent)]
    Path(#[from] artifact::storage::InvalidPath),
    #[error(transparent)]
    Verify(#[from] artifact::storage::VerifyError),
    #[error("cannot read the artifact")]
    Read(#[source] io::Error),
    #[error(transparent)]
    Extract(#[from] artifact::fetch::ExtractError),
    #[error(transparent)]
    Objects(#[from] git::WalkError),
    #[error("no such file or directory")]
    NoSource,
    #[error("file exists")]
    Exists,
    #[error("not a directory")]
    NotADirectory,
}

impl Overlay {
    /// Reads the included artifacts out of the storage and lays them over the commit.
    ///
    /// # Errors
    /// CopyFailure where the source is not there or the destination already is.
    pub(super) fn lay(
        store: &Storage,
        snapshot: &Snapshot,
        included: &[Included],
    ) -> Result<Self, Failure> {
        let mut overlay = Self::default();
        for each in included {
            overlay.add(store, snapshot, each).map_err(|error| {
                let Included {
                    repository,
                    from,
                    to,
                    artifact: _,
                } = each;
                let words = format!(
                    "failed to copy '{repository}' include from {} to {to}: {}",
                    if from.is_empty() { "." } else { from },
                    chain(&error)
                );
                storage("CopyFailure", words)
            })?;
        }
        Ok(overlay)
    }

    fn add(
        &mut self,
        store: &Storage,
        snapshot: &Snapshot,
        included: &Included,
    ) -> Result<(), LayError> {
        let Included {
            repository: _,
            from,
            to,
            artifact,
        } = included;
        let path = ArtifactPath::parse(&artifact.path)?;
        store.verify(&path, &artifact.digest)?;
        let archive = store.open(&path).map_err(LayError::Read)?;
        let scratch = std::env::temp_dir();
        let tree = ArtifactTree::unpack(archive, &scratch, Bounds::default())?;
        self.free(snapshot, to)?;
        let index = self.trees.len();
        let mut any = false;
        for (path, is_directory) in tree.below(from) {
            any = true;
            let rest = path[from.len()..].trim_start_matches('/');
            let at = if rest.is_empty() {
                to.clone()
            } else {
                format!("{to}/{rest}")
            };
            let laid = if is_directory {
                Laid::Directory
            } else {
                Laid::File {
                    tree: index,
                    path: path.to_owned(),
                }
            };
            self.entries.insert(key(&at), laid);
        }
        self.trees.push(tree);
        if any { Ok(()) } else { Err(LayError::NoSource) }
    }

    /// Makes the directories that lead to `to`, and refuses where something stands in the way.
    fn free(&mut self, snapshot: &Snapshot, to: &str) -> Result<(), LayError> {
        if to.is_empty()
            || self.entries.contains_key(&key(to))
            || snapshot.is_directory(to)?.is_some()
        {
            return Err(LayError::Exists);
        }
        for (at, _) in to.match_indices('/') {
            let parent = &to[..at];
            match (
                snapshot.is_directory(parent)?,
                self.entries.get(&key(parent)),
            ) {
                (Some(true), _) | (None, Some(Laid::Directory)) => {}
                (None, None) => {
                    self.entries.insert(key(parent), Laid::Directory);
                }
                (Some(false), _) | (None, Some(Laid::File { .. })) => {
                    return Err(LayError::NotADirectory);
                }
            }
        }
        Ok(())
    }

    /// Adds the `.sourceignore` files of what is included, each for the directory that it comes to lie in.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn read_ignore_files(&self, rules: &mut IgnoreRules) -> io::Result<()> {
        for (at, laid) in &self.entries {
            if let (Some((name, directory)), Laid::File { tree, path }) = (at.split_last(), laid)
                && name == IGNORE_FILE
            {
                let content = self.trees[*tree].content(path)?;
                rules.add_file(&directory.join("/"), &String::from_utf8_lossy(&content));
            }
        }
        Ok(())
    }

    /// Takes out what comes before `path` in an archive; everything where `path` is absent.
    pub(super) fn before(&mut self, path: Option<&[u8]>) -> BTreeMap<Vec<String>, Laid> {
        let Some(path) = path.filter(|path| *path != b".") else {
            return match path {
                Some(_) => BTreeMap::new(),
                None => std::mem::take(&mut self.entries),
            };
        };
        let rest = self.entries.split_off(&key(&String::from_utf8_lossy(path)));
        std::mem::replace(&mut self.entries, rest)
    }

    /// Reads one of the included files, and says whether it can be executed.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn file(&self, tree: usize, path: &str) -> io::Result<(bool, Vec<u8>)> {
        let tree = &self.trees[tree];
        let executable = tree.mode(path).is_some_and(|mode| mode & 0o111 != 0);
        Ok((executable, tree.content(path)?))
    }
}

fn key(path: &str) -> Vec<String> {
    path.split('/').map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: SC-081
    #[test]
    fn destination_is_named_like_the_repository_unless_told() {
        let name = |name: &str| api::meta::LocalReference {
            name: name.to_owned(),
        };
        let path = |path: &str| Some(path.to_owned());
        let include = [
            Include {
                repository: name("lib"),
                from_path: path("./base"),
                to_path: path("./x/lib"),
            },
            Include {
                repository: name("lib"),
                from_path: None,
                to_path: None,
            },
        ];
        let artifact = Artifact {
            path: "p".into(),
            url: "u".into(),
            revision: "r".into(),
            digest: "d".into(),
            checksum: None,
            last_update_time: api::meta::Time(jiff::Timestamp::UNIX_EPOCH),
            size: None,
            metadata: BTreeMap::new(),
        };
        let paired = pair(&include, vec![artifact.clone(), artifact]);
        let shown: Vec<_> = paired
            .iter()
            .map(|each| (each.from.as_str(), each.to.as_str()))
            .collect();
        assert_eq!(shown, [("base", "x/lib"), ("", "lib")]);
    }
}
