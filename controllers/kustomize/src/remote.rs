//! Bases and files on other hosts: fetched over git and http, without any credentials, within
//! bounds.
//!
//! The build says what it lacks; it is fetched, and the build is made again. What a unit needed for
//! a revision is remembered, so that its next run has it at once. Commits are kept, and files as
//! long as their server says that they are the same.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{StreamExt, stream};
use git::{Git, SnapshotTree, Want};
use kustomize::{Fetched, RemoteSource};
use net_http::{ClientConfig, Destinations, HeaderName, HeaderValue, Request, StatusCode};
use tokio::time::Instant;

/// The largest file that is fetched.
const MAX_FILE: usize = 10 << 20;
/// The most that one repository may send for one commit.
const MAX_PACK: u64 = 512 << 20;
/// The most objects of repositories that are kept on disk.
const MAX_KEPT: u64 = 256 << 20;
/// The most other hosts' files and repositories that one unit may need.
const MAX_SOURCES: usize = 64;
/// The longest time for one of them, whatever its URL says.
const MAX_TIME: Duration = Duration::from_mins(2);
/// How long a file on a web server may take.
const FILE_TIME: Duration = Duration::from_secs(27);
/// How many are fetched at once for one unit.
const AT_ONCE: usize = 4;
/// How many commits are kept open.
const MAX_TREES: usize = 16;
/// How many bytes of files are kept.
const MAX_FILES: usize = 16 << 20;

/// A unit: namespace and name.
pub(crate) type Unit = (String, String);

/// Fetches what builds need from other hosts.
#[derive(Debug)]
pub(crate) struct Remotes {
    git: Git,
    clients: Arc<net_http::Clients>,
    http: ClientConfig,
    kept: Mutex<Kept>,
    needs: Mutex<HashMap<Unit, Needs>>,
}

#[derive(Debug, Default)]
struct Kept {
    /// By URL and commit, the one used last at the end.
    trees: Vec<((String, String), Arc<SnapshotTree>)>,
    files: Vec<File>,
}

#[derive(Clone, Debug)]
struct File {
    url: String,
    tag: HeaderValue,
    content: Arc<[u8]>,
}

/// What the builds of one revision have asked for so far.
#[derive(Debug, Default)]
struct Needs {
    revision: String,
    sources: BTreeSet<RemoteSource>,
    /// Whether the run that is going on began with a revision that was not attempted before.
    is_new: bool,
}

/// What other hosts gave.
pub(crate) type Answers = BTreeMap<RemoteSource, Fetched>;

impl Remotes {
    /// Keeps what is fetched from repositories below `directory`.
    pub(crate) fn new(clients: Arc<net_http::Clients>, directory: PathBuf) -> Self {
        let http = ClientConfig {
            destinations: Destinations::NoMetadata,
            ..ClientConfig::default()
        };
        let limits = git::Limits {
            max_pack_bytes: MAX_PACK,
            max_kept_bytes: MAX_KEPT,
            ..git::Limits::default()
        };
        Self {
            git: Git::new(Arc::clone(&clients), directory, limits),
            clients,
            http,
            kept: Mutex::default(),
            needs: Mutex::default(),
        }
    }

    fn needs(&self) -> MutexGuard<'_, HashMap<Unit, Needs>> {
        self.needs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what a build of a revision lacked.
    ///
    /// # Errors
    /// It is more than one unit may need, or was fetched already.
    pub(crate) fn want(
        &self,
        unit: &Unit,
        revision: &str,
        sources: Vec<RemoteSource>,
        is_new: bool,
    ) -> Result<(), String> {
        let mut all = self.needs();
        let needs = all.entry(unit.clone()).or_default();
        if needs.revision != revision {
            *needs = Needs {
                revision: revision.to_owned(),
                ..Needs::default()
            };
        }
        let before = needs.sources.len();
        needs.sources.extend(sources);
        needs.is_new |= is_new;
        if needs.sources.len() > MAX_SOURCES {
            all.remove(unit);
            return Err(format!(
                "the build needs more than {MAX_SOURCES} files and repositories of other hosts"
            ));
        }
        if needs.sources.len() == before {
            return Err("the build asks again for what it was given".to_owned());
        }
        Ok(())
    }

    /// Whether the run that goes on began with a new revision.
    pub(crate) fn is_new(&self, unit: &Unit, revision: &str) -> bool {
        let needs = self.needs();
        let needs = needs.get(unit).filter(|needs| needs.revision == revision);
        needs.is_some_and(|needs| needs.is_new)
    }

    /// The build is complete.
    pub(crate) fn settled(&self, unit: &Unit) {
        if let Some(needs) = self.needs().get_mut(unit) {
            needs.is_new = false;
        }
    }

    /// Forgets a unit that is gone.
    pub(crate) fn forget(&self, unit: &Unit) {
        self.needs().remove(unit);
    }

    /// Brings what the builds of a revision have asked for so far.
    pub(crate) async fn bring(&self, unit: &Unit, revision: &str, limit: Duration) -> Answers {
        let wanted: Vec<_> = {
            let needs = self.needs();
            let needs = needs.get(unit).filter(|needs| needs.revision == revision);
            needs
                .into_iter()
                .flat_map(|it| it.sources.clone())
                .collect()
        };
        let deadline = Instant::now() + limit;
        let fetching = wanted.into_iter().map(|source| async move {
            let fetched = self.fetch(&source, deadline).await;
            (source, fetched.unwrap_or_else(Fetched::Failed))
        });
        stream::iter(fetching)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await
    }

    async fn fetch(&self, source: &RemoteSource, deadline: Instant) -> Result<Fetched, String> {
        match source {
            RemoteSource::Http { url } => {
                let left = deadline.saturating_duration_since(Instant::now());
                self.file(url, left.min(FILE_TIME)).await
            }
            RemoteSource::Git {
                repository,
                reference,
                submodules,
                timeout_seconds,
            } => {
                let time = Duration::from_secs(*timeout_seconds).min(MAX_TIME);
                let deadline = deadline.min(Instant::now() + time);
                let tree = self.tree(repository, reference.as_deref(), *submodules, deadline);
                tree.await.map(|tree| Fetched::Tree(tree))
            }
        }
    }

    async fn file(&self, url: &str, time: Duration) -> Result<Fetched, String> {
        refuse_credentials(url)?;
        let known = self.kept().file(url);
        let mut request = Request::get(url).timeout(time);
        if let Some(file) = &known {
            request = request.header(HeaderName::from_static("if-none-match"), file.tag.clone());
        }
        let client = self.clients.get(&self.http);
        let client = client.map_err(|error| net_http::chain(&error))?;
        let answer = client.send(request).await;
        let answer = answer.map_err(|error| net_http::chain(&error))?;
        match (answer.status(), known) {
            (StatusCode::NOT_MODIFIED, Some(file)) => return Ok(Fetched::File(file.content)),
            (status, _) if !status.is_success() => {
                return Err(format!("'{url}' answered with status {}", status.as_u16()));
            }
            _ => {}
        }
        let tag = answer.headers().get("etag").cloned();
        let content = answer.bytes(MAX_FILE as u64).await;
        let content: Arc<[u8]> = content
            .map_err(|error| net_http::chain(&error))?
            .as_ref()
            .into();
        if let Some(tag) = tag {
            self.kept().keep(File {
                url: url.to_owned(),
                tag,
                content: Arc::clone(&content),
            });
        }
        Ok(Fetched::File(content))
    }

    async fn tree(
        &self,
        url: &str,
        reference: Option<&str>,
        submodules: bool,
        deadline: Instant,
    ) -> Result<Arc<SnapshotTree>, String> {
        refuse_credentials(url)?;
        if !(url.starts_with("https://") || url.starts_with("http://")) {
            return Err(
                "only http and https are fetched from: there are no keys for others".into(),
            );
        }
        let remote = git::Remote {
            url: url.to_owned(),
            http: self.http.clone(),
            ..git::Remote::default()
        };
        let key = |commit: &str| (format!("{url} {submodules}"), commit.to_owned());
        let pinned = reference.filter(|text| is_commit(text));
        if let Some(tree) = pinned.and_then(|commit| self.kept().tree(&key(commit))) {
            return Ok(tree);
        }
        let failed = |error: git::Error| runtime::failure::chain(&error);
        let prefixes = match (pinned, reference) {
            (Some(_), _) | (_, None) => vec!["HEAD".to_owned()],
            (_, Some(name)) => names(name).to_vec(),
        };
        let listing = self.git.list(&remote, &prefixes, deadline).await;
        let listing = listing.map_err(failed)?;
        let want = match (pinned, reference) {
            (Some(commit), _) => Want::Commit {
                commit: commit.to_owned(),
                branch: None,
            },
            (_, name) => listed(&listing.refs, name)?,
        };
        let commit = match &want {
            Want::Commit { commit, .. } | Want::Listed { commit, .. } => key(commit),
        };
        if let Some(tree) = self.kept().tree(&commit) {
            return Ok(tree);
        }
        let snapshot = self.git.fetch(&remote, &listing, &want, deadline).await;
        let mut snapshot = snapshot.map_err(failed)?;
        if submodules {
            let with_modules = self.git.fetch_modules(&remote, snapshot, deadline).await;
            snapshot = with_modules.map_err(failed)?;
        }
        let tree = Arc::new(SnapshotTree::new(snapshot, MAX_FILE));
        self.kept().keep_tree(commit, Arc::clone(&tree));
        Ok(tree)
    }
}

impl Kept {
    fn tree(&mut self, key: &(String, String)) -> Option<Arc<SnapshotTree>> {
        let at = self.trees.iter().position(|(own, _)| own == key)?;
        let entry = self.trees.remove(at);
        let tree = Arc::clone(&entry.1);
        self.trees.push(entry);
        Some(tree)
    }

    fn keep_tree(&mut self, key: (String, String), tree: Arc<SnapshotTree>) {
        self.trees.retain(|(own, _)| *own != key);
        if self.trees.len() >= MAX_TREES {
            self.trees.remove(0);
        }
        self.trees.push((key, tree));
    }

    fn file(&mut self, url: &str) -> Option<File> {
        let at = self.files.iter().position(|file| file.url == url)?;
        let file = self.files.remove(at);
        self.files.push(file.clone());
        Some(file)
    }

    fn keep(&mut self, file: File) {
        self.files.retain(|own| own.url != file.url);
        self.files.push(file);
        let mut bytes: usize = self.files.iter().map(|file| file.content.len()).sum();
        while bytes > MAX_FILES {
            bytes -= self.files.remove(0).content.len();
        }
    }
}

/// Where a name may stand, in the order that git looks it up.
fn names(name: &str) -> [String; 3] {
    [
        name.to_owned(),
        format!("refs/tags/{name}"),
        format!("refs/heads/{name}"),
    ]
}

fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Finds what a name stands for; no name is the repository's HEAD.
fn listed(refs: &[select::reference::Ref], name: Option<&str>) -> Result<Want, String> {
    let head = ["HEAD".to_owned()];
    let places = name.map_or_else(|| head.to_vec(), |name| names(name).to_vec());
    let found = places
        .iter()
        .find_map(|place| refs.iter().find(|each| each.name == *place));
    let found = found.ok_or_else(|| match name {
        Some(name) => format!("the repository has no branch or tag '{name}'"),
        None => "the repository has no HEAD".to_owned(),
    })?;
    Ok(Want::Listed {
        object: found.object.clone(),
        commit: found.peeled.clone().unwrap_or_else(|| found.object.clone()),
    })
}

/// Refuses a URL with a user or password: they would stand in statuses and logs.
fn refuse_credentials(url: &str) -> Result<(), String> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("credentials in a URL are not used".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use select::reference::Ref;

    use super::*;

    fn remotes() -> Remotes {
        let clients = net_http::Clients::new("test", net_http::Environment::default());
        Remotes::new(Arc::new(clients), std::env::temp_dir())
    }

    fn file(url: &str) -> RemoteSource {
        RemoteSource::Http { url: url.into() }
    }

    #[test]
    fn tags_come_before_branches_and_no_name_is_the_head() {
        let of = |name: &str, object: &str| Ref {
            name: name.into(),
            object: object.into(),
            peeled: None,
        };
        let refs = [
            of("HEAD", "1"),
            of("refs/heads/v1", "2"),
            of("refs/tags/v1", "3"),
        ];
        let commit = |name| match listed(&refs, name).unwrap() {
            Want::Listed { commit, .. } | Want::Commit { commit, .. } => commit,
        };
        assert_eq!(commit(None), "1");
        assert_eq!(commit(Some("v1")), "3");
        assert_eq!(commit(Some("refs/heads/v1")), "2");
        assert!(listed(&refs, Some("v2")).is_err());
    }

    #[tokio::test]
    async fn other_schemes_credentials_and_metadata_addresses_are_refused() {
        let remotes = remotes();
        let deadline = Instant::now() + Duration::from_secs(5);
        let git = |repository: &str| RemoteSource::Git {
            repository: repository.into(),
            reference: None,
            submodules: false,
            timeout_seconds: 5,
        };
        for (source, words) in [
            (git("file:///etc"), "only http and https"),
            (git("ssh://host/org/repo.git"), "only http and https"),
            (git("https://u:p@host/org/repo.git"), "credentials in a URL"),
            (git("http://169.254.169.254/a/b.git"), "169.254.169.254"),
            (file("http://user@host/a.yaml"), "credentials in a URL"),
            (file("http://169.254.169.254/latest"), "169.254.169.254"),
        ] {
            let refused = remotes.fetch(&source, deadline).await.unwrap_err();
            assert!(refused.contains(words), "{source}: {refused}");
            assert!(!refused.contains("u:p"), "{refused}");
        }
    }

    #[test]
    fn what_a_unit_may_need_is_bounded_and_forgotten_with_its_revision() {
        let remotes = remotes();
        let unit = ("ns".to_owned(), "app".to_owned());
        let one = vec![file("http://h/a")];
        assert_eq!(remotes.want(&unit, "r1", one.clone(), true), Ok(()));
        assert!(remotes.is_new(&unit, "r1"));
        assert!(!remotes.is_new(&unit, "r2"));
        assert!(remotes.want(&unit, "r1", one.clone(), false).is_err());
        assert!(remotes.is_new(&unit, "r1"));
        remotes.settled(&unit);
        assert!(!remotes.is_new(&unit, "r1"));
        assert_eq!(remotes.want(&unit, "r2", one, false), Ok(()));
        let many = (0..=MAX_SOURCES).map(|n| file(&format!("http://h/{n}")));
        assert!(remotes.want(&unit, "r2", many.collect(), false).is_err());
    }

    #[test]
    fn files_that_are_kept_are_bounded() {
        let mut kept = Kept::default();
        for n in 0..3 {
            kept.keep(File {
                url: n.to_string(),
                tag: HeaderValue::from_static("x"),
                content: vec![0; MAX_FILES / 2].into(),
            });
        }
        assert!(kept.file("0").is_none());
        assert!(kept.file("2").is_some());
    }
}
