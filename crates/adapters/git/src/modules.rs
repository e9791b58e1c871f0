//! Submodules: other repositories at fixed commits, inside a commit's tree.

mod file;
mod url;

use std::collections::BTreeMap;

use git2::ObjectType;
use tokio::time::Instant;

use crate::snapshot::Snapshot;
use crate::{Error, Git, Remote, SshError, Want};

/// How deep submodules may hold submodules, as upstream follows them.
const MAX_DEPTH: usize = 10;
/// How many submodules a commit may have in all.
const MAX_MODULES: usize = 1000;
const MAX_FILE_BYTES: usize = 1 << 20;
const FILE: &str = ".gitmodules";
const MODE_SYMLINK: i32 = 0o120_000;

/// A submodule as the commit asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Module {
    path: String,
    url: String,
    commit: String,
}

impl Git {
    /// Fetches the submodules of a commit, and theirs, into it.
    ///
    /// A relative URL counts from the URL of the repository that names it. Credentials go only to hosts that the
    /// remote itself is on; keys of SSH to every SSH host that its known hosts name.
    ///
    /// # Errors
    /// [`Error::Module`] with the path, [`Error::TooManyModules`].
    pub async fn fetch_modules(
        &self,
        remote: &Remote,
        snapshot: Snapshot,
        deadline: Instant,
    ) -> Result<Snapshot, Error> {
        let mut left = MAX_MODULES;
        self.add_modules(remote, remote, snapshot, deadline, (0, &mut left))
            .await
    }

    async fn add_modules(
        &self,
        root: &Remote,
        remote: &Remote,
        snapshot: Snapshot,
        deadline: Instant,
        (depth, left): (usize, &mut usize),
    ) -> Result<Snapshot, Error> {
        let reading = tokio::task::spawn_blocking(move || {
            let modules = modules(&snapshot);
            modules.map(|modules| (snapshot, modules))
        });
        let read = reading.await;
        let (mut snapshot, modules) =
            read.map_err(|error| Error::Storage(std::io::Error::other(error)))??;
        if depth >= MAX_DEPTH {
            return Ok(snapshot);
        }
        let mut found = BTreeMap::new();
        for module in modules {
            *left = left
                .checked_sub(1)
                .ok_or(Error::TooManyModules(MAX_MODULES))?;
            let path = module.path.clone();
            let fetching = self.fetch_module(root, remote, module, deadline, (depth, &mut *left));
            // One module may hold others, which makes the future hold itself.
            let fetched = Box::pin(fetching).await;
            let fetched = fetched.map_err(|error| match error {
                Error::TooManyModules(_) => error,
                source => Error::Module {
                    path: path.clone(),
                    source: Box::new(source),
                },
            })?;
            found.insert(path, fetched);
        }
        snapshot.modules = found;
        Ok(snapshot)
    }

    async fn fetch_module(
        &self,
        root: &Remote,
        parent: &Remote,
        module: Module,
        deadline: Instant,
        (depth, left): (usize, &mut usize),
    ) -> Result<Snapshot, Error> {
        let remote = reach(root, &url::resolve(&parent.url, &module.url)?)?;
        let listing = self.list(&remote, &["HEAD".to_owned()], deadline).await?;
        let want = Want::Commit {
            commit: module.commit,
            branch: None,
        };
        let snapshot = self.fetch(&remote, &listing, &want, deadline).await?;
        self.add_modules(root, &remote, snapshot, deadline, (depth + 1, left))
            .await
    }
}

/// Returns the remote of a submodule, with those credentials that may go there.
fn reach(root: &Remote, url: &str) -> Result<Remote, Error> {
    let mut remote = Remote {
        url: url.to_owned(),
        ..Remote::default()
    };
    if remote.is_http() {
        remote.http = root.http.clone();
        if url::origin(url) == url::origin(&root.url) {
            remote.auth.clone_from(&root.auth);
        } else {
            remote.http.identity = None;
        }
    } else {
        remote.ssh = Some(root.ssh.clone().ok_or(SshError::NoCredentials)?);
    }
    Ok(remote)
}

/// Reads which submodules a commit has: what its file names and its tree holds.
fn modules(snapshot: &Snapshot) -> Result<Vec<Module>, Error> {
    let root = snapshot.root().map_err(|_| Error::Unreadable(FILE))?;
    let Some(entry) = root.get_name(FILE) else {
        return Ok(Vec::new());
    };
    if entry.kind() != Some(ObjectType::Blob) || entry.filemode() == MODE_SYMLINK {
        return Ok(Vec::new());
    }
    let blob = snapshot
        .repository
        .find_blob(entry.id())
        .map_err(Error::Objects)?;
    if blob.size() > MAX_FILE_BYTES {
        return Err(Error::Unreadable(FILE));
    }
    let text = String::from_utf8_lossy(blob.content()).into_owned();
    let mut modules = Vec::new();
    for named in file::parse(&text) {
        let (Some(path), Some(url)) = (named.path, named.url) else {
            continue;
        };
        let path = path.trim_end_matches('/').to_owned();
        let Ok(entry) = root.get_path(std::path::Path::new(&path)) else {
            continue;
        };
        if entry.kind() == Some(ObjectType::Commit)
            && !modules.iter().any(|module: &Module| module.path == path)
        {
            modules.push(Module {
                path,
                url,
                commit: entry.id().to_string(),
            });
        }
    }
    Ok(modules)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(url: &str) -> Remote {
        Remote {
            url: url.to_owned(),
            auth: Some(net_http::Auth::Bearer("t".into())),
            http: net_http::ClientConfig {
                certificate_authority: Some(vec![1]),
                identity: Some(net_http::Identity {
                    certificate: vec![2],
                    key: vec![3],
                }),
                ..net_http::ClientConfig::default()
            },
            ssh: None,
        }
    }

    #[test]
    fn credentials_stay_on_the_host_that_they_are_for() {
        let root = root("https://host/a.git");
        let same = reach(&root, "https://host/b.git").unwrap();
        assert_eq!((&same.auth, &same.http), (&root.auth, &root.http));
        for other in [
            "https://host:8443/b",
            "http://host/b",
            "https://evil/b",
            "https://host.evil/b",
        ] {
            let remote = reach(&root, other).unwrap();
            assert_eq!(remote.auth, None, "{other}");
            assert_eq!(remote.http.identity, None, "{other}");
            assert!(remote.http.certificate_authority.is_some(), "{other}");
        }
        assert_eq!(
            reach(&root, "ssh://git@host/b").unwrap_err().to_string(),
            "no SSH credentials"
        );
    }
}
