use std::time::Duration;

use net_http::{Auth, ClientConfig, Clients, Environment, Identity};
use select::IgnoreRules;
use testkit::{Credentials, Fault, GitServer, Repository};

use super::*;
use crate::{Entry, Limits};

mod hostile;
mod kept;
mod modules;
mod secure_shell;

struct Bench {
    git: Git,
    directory: tempfile::TempDir,
}

fn bench() -> Bench {
    bench_with(Limits::default())
}

fn bench_with(limits: Limits) -> Bench {
    let directory = tempfile::tempdir().unwrap();
    let clients = std::sync::Arc::new(Clients::new("test", Environment::default()));
    let git = Git::new(clients, directory.path().to_owned(), limits);
    Bench { git, directory }
}

/// Starts a server with the empty repository `app`.
fn with_repository() -> (GitServer, Repository) {
    let server = GitServer::start().unwrap();
    let repository = server.repository("app").unwrap();
    (server, repository)
}

/// Starts a server with the repository `app`, whose branch `main` has a commit with the file `a`. Returns also the id of
/// the commit.
fn with_commit() -> (GitServer, Repository, String) {
    let (server, repository) = with_repository();
    let commit = repository.commit("main", "first").write("a", "1");
    let id = commit.push().unwrap();
    (server, repository, id)
}

fn remote(url: &str) -> Remote {
    Remote {
        url: url.to_owned(),
        ..Remote::default()
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn text(error: &Error) -> String {
    net_http::chain(error)
}

impl Bench {
    async fn list(&self, remote: &Remote) -> Result<Listing, String> {
        self.git
            .list(remote, &[], soon())
            .await
            .map_err(|error| text(&error))
    }

    async fn tip(&self, remote: &Remote, reference: &str) -> Result<Snapshot, String> {
        let listing = self.list(remote).await?;
        let found = listing
            .refs
            .iter()
            .find(|each| each.name == reference)
            .unwrap();
        let commit = found.peeled.clone().unwrap_or_else(|| found.object.clone());
        let want = Want::Listed {
            object: found.object.clone(),
            commit,
        };
        let fetched = self.git.fetch(remote, &listing, &want, soon()).await;
        fetched.map_err(|error| text(&error))
    }

    async fn pinned(
        &self,
        remote: &Remote,
        commit: &str,
        branch: Option<&str>,
    ) -> Result<Snapshot, String> {
        let listing = self.list(remote).await?;
        let branch = branch.map(|branch| format!("refs/heads/{branch}"));
        let want = Want::Commit {
            commit: commit.to_owned(),
            branch,
        };
        let fetched = self.git.fetch(remote, &listing, &want, soon()).await;
        fetched.map_err(|error| text(&error))
    }

    fn left_behind(&self) -> usize {
        self.directory.path().read_dir().unwrap().count()
    }
}

fn entries(
    snapshot: &Snapshot,
    ignore: Option<&str>,
    only: &[&str],
) -> Result<Vec<String>, String> {
    let mut rules = IgnoreRules::new(ignore);
    let read = snapshot.read_ignore_files(&mut rules);
    read.map_err(|error| error.to_string())?;
    let only: Vec<String> = only.iter().map(|each| (*each).to_owned()).collect();
    let mut seen = Vec::new();
    let walked = snapshot.walk(&rules, &only, &mut |entry| {
        seen.push(match entry {
            Entry::Directory(path) => format!("{}/", String::from_utf8_lossy(path)),
            Entry::File {
                path,
                executable,
                content,
            } => format!(
                "{}{} {}",
                String::from_utf8_lossy(path),
                if executable { "*" } else { "" },
                String::from_utf8_lossy(content)
            ),
        });
        Ok(())
    });
    walked.map(|_| seen).map_err(|error| error.to_string())
}

#[tokio::test]
async fn tip_of_a_branch_comes_with_one_listing_and_without_history() {
    let server = GitServer::start().unwrap();
    let repository = server.repository("team/app").unwrap();
    repository
        .commit("main", "first")
        .write("a", "1")
        .push()
        .unwrap();
    let id = repository
        .commit("main", "second\n\nbody")
        .write("dir/b", "2")
        .write_executable("dir.sh", "#!/bin/sh\n")
        .symlink("link", "a")
        .push()
        .unwrap();
    let bench = bench();
    let snapshot = bench
        .tip(&remote(repository.url()), "refs/heads/main")
        .await
        .unwrap();
    assert_eq!(snapshot.message().unwrap().trim_end(), "second\n\nbody");
    assert_eq!(
        entries(&snapshot, None, &[]).unwrap(),
        ["./", "a 1", "dir/", "dir/b 2", "dir.sh* #!/bin/sh\n"]
    );
    let methods: Vec<_> = server
        .requests()
        .into_iter()
        .map(|each| each.method)
        .collect();
    assert_eq!(
        methods,
        ["GET", "POST", "POST"],
        "what it can, what it has, the objects"
    );
    let count = git2::Repository::open_bare(
        bench
            .directory
            .path()
            .read_dir()
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path(),
    )
    .unwrap()
    .find_commit(git2::Oid::from_str(&id).unwrap())
    .unwrap()
    .parent(0)
    .is_err();
    assert!(count, "the parent is not there");
    drop(snapshot);
    assert_eq!(bench.left_behind(), 1, "kept for the next fetch");
    drop(bench.git);
    assert_eq!(bench.directory.path().read_dir().unwrap().count(), 0);
}

#[tokio::test]
async fn annotated_and_light_tags_lead_to_their_commit() {
    let (_server, repository, id) = with_commit();
    repository.tag("light", "main").unwrap();
    repository.annotated_tag("heavy", "main", "note").unwrap();
    repository
        .commit("main", "second")
        .write("a", "2")
        .push()
        .unwrap();
    let bench = bench();
    let remote = remote(repository.url());
    for tag in ["refs/tags/light", "refs/tags/heavy"] {
        let snapshot = bench.tip(&remote, tag).await.unwrap();
        assert_eq!(
            entries(&snapshot, None, &[]).unwrap(),
            ["./", "a 1"],
            "{tag}"
        );
        assert!(format!("{snapshot:?}").contains(&id));
    }
}

#[tokio::test]
async fn commit_that_is_not_listed_is_found_by_id_or_in_the_history() {
    let (_server, repository, first) = with_commit();
    repository
        .commit("main", "second")
        .write("a", "2")
        .push()
        .unwrap();
    repository
        .commit("other", "third")
        .write("b", "3")
        .push()
        .unwrap();
    let other = repository.id_of("other").unwrap();
    let bench = bench();
    let remote = remote(repository.url());
    for allow in ["false", "true"] {
        repository
            .git(&["config", "uploadpack.allowReachableSHA1InWant", allow])
            .unwrap();
        for branch in [None, Some("main")] {
            let snapshot = bench.pinned(&remote, &first, branch).await.unwrap();
            assert_eq!(entries(&snapshot, None, &[]).unwrap(), ["./", "a 1"]);
        }
        let snapshot = bench.pinned(&remote, &other, None).await.unwrap();
        assert!(
            entries(&snapshot, None, &[])
                .unwrap()
                .contains(&"b 3".to_owned())
        );
        let missing = "a111111111111111111111111111111111111111";
        for branch in [None, Some("main")] {
            assert_eq!(
                bench.pinned(&remote, missing, branch).await.unwrap_err(),
                format!("unable to resolve commit object for '{missing}': object not found")
            );
        }
    }
    let no_id = bench.pinned(&remote, "short", None).await.unwrap_err();
    assert_eq!(
        no_id,
        "unable to resolve commit object for 'short': object not found"
    );
}

#[tokio::test]
async fn empty_repository_lists_nothing() {
    let (_server, repository) = with_repository();
    let listing = bench().list(&remote(repository.url())).await.unwrap();
    assert_eq!(listing.refs, []);
}

#[tokio::test]
async fn refusals_are_told_apart_and_hold_no_credential() {
    let (server, repository, _) = with_commit();
    let bench = bench();
    let gone = remote(&format!("{}/gone.git", server.url()));
    assert_eq!(
        bench.list(&gone).await.unwrap_err(),
        "repository not found: "
    );

    let basic = |password: &str| Remote {
        auth: Some(Auth::Basic {
            username: "user".into(),
            password: password.into(),
        }),
        ..remote(repository.url())
    };
    let user = Credentials::Basic {
        user: "user".into(),
        password: "pass".into(),
    };
    server.demand(Some(user));
    for wrong in [remote(repository.url()), basic("wrong-secret")] {
        let error = bench.list(&wrong).await.unwrap_err();
        assert_eq!(error, "authentication required: credentials, please");
    }
    let snapshot = bench.tip(&basic("pass"), "refs/heads/main").await.unwrap();
    assert_eq!(entries(&snapshot, None, &[]).unwrap(), ["./", "a 1"]);
    drop(snapshot);

    server.demand(Some(Credentials::Bearer("t0ken".into())));
    let bearer = Remote {
        auth: Some(Auth::Bearer("t0ken".into())),
        ..remote(repository.url())
    };
    bench.tip(&bearer, "refs/heads/main").await.unwrap();
}

#[tokio::test]
async fn servers_that_fail_are_named_with_their_cause() {
    let (server, repository) = with_repository();
    let bench = bench();
    let bearer = Remote {
        auth: Some(Auth::Bearer("t0ken".into())),
        ..remote(repository.url())
    };
    server.fail(Some(Fault::Status(403)));
    assert_eq!(
        bench.list(&bearer).await.unwrap_err(),
        "authorization failed: "
    );
    server.fail(Some(Fault::Status(500)));
    let error = bench.list(&bearer).await.unwrap_err();
    assert_eq!(error, "unexpected status 500 Internal Server Error: ");
    server.fail(Some(Fault::Refuse));
    assert!(!bench.list(&bearer).await.unwrap_err().contains("t0ken"));
    let unknown = remote("http://no-such-host.invalid/x.git");
    let error = bench.list(&unknown).await.unwrap_err();
    assert!(
        error.starts_with("cannot connect to no-such-host.invalid: "),
        "{error}"
    );
    assert_eq!(bench.left_behind(), 0);
}

#[tokio::test]
async fn server_that_is_no_git_server_is_named() {
    let sink = testkit::HttpSink::start().unwrap();
    let error = bench().list(&remote(&sink.url())).await.unwrap_err();
    assert!(
        error.starts_with("server does not speak Git's smart protocol"),
        "{error}"
    );
}

#[tokio::test]
async fn redirected_repository_is_fetched_without_credentials() {
    let (server, front) = (GitServer::start().unwrap(), GitServer::start().unwrap());
    let repository = server.repository("app").unwrap();
    repository
        .commit("main", "first")
        .write("a", "1")
        .push()
        .unwrap();
    front.fail(Some(Fault::Redirect(server.url())));
    let remote = Remote {
        auth: Some(Auth::Bearer("t0ken".into())),
        ..remote(&format!("{}/app.git", front.url()))
    };
    bench().tip(&remote, "refs/heads/main").await.unwrap();
    assert!(
        front
            .requests()
            .iter()
            .all(|each| each.authorization.is_some())
    );
    assert!(
        server
            .requests()
            .iter()
            .all(|each| each.authorization.is_none())
    );
    assert_eq!(server.request_count(), 3);
}

#[tokio::test]
async fn deadline_names_the_phase_and_leaves_nothing() {
    let (server, repository, _) = with_commit();
    let bench = bench();
    let remote = remote(repository.url());
    let listing = bench.list(&remote).await.unwrap();
    server.fail(Some(Fault::Hang));
    let deadline = || Instant::now() + Duration::from_millis(80);
    let error = bench.git.list(&remote, &[], deadline()).await.unwrap_err();
    assert_eq!(text(&error), "timed out while listing references");
    let main = listing.refs[0].object.clone();
    let want = Want::Listed {
        object: main.clone(),
        commit: main,
    };
    let error = bench
        .git
        .fetch(&remote, &listing, &want, deadline())
        .await
        .unwrap_err();
    assert_eq!(text(&error), "timed out while fetching objects");
    assert_eq!(bench.left_behind(), 0);
}

#[tokio::test]
async fn transfer_that_breaks_off_is_an_error_and_leaves_nothing() {
    let (server, repository, _) = with_commit();
    let bench = bench();
    for bytes in [1, 20, 120] {
        server.fail(Some(Fault::CutPack(bytes)));
        let error = bench
            .tip(&remote(repository.url()), "refs/heads/main")
            .await
            .unwrap_err();
        assert!(!error.is_empty(), "{bytes}");
    }
    assert_eq!(bench.left_behind(), 0);
}

#[tokio::test]
async fn what_a_server_sends_is_bounded() {
    let (_server, repository) = with_repository();
    let noise: Vec<u8> = (0..200_000u32)
        .flat_map(|at| (at.wrapping_mul(2_654_435_761)).to_le_bytes())
        .collect();
    repository
        .commit("main", "first")
        .write("a", noise)
        .push()
        .unwrap();
    let remote = remote(repository.url());
    let small = bench_with(Limits {
        max_listing_bytes: 100,
        ..Limits::default()
    });
    assert!(
        small
            .list(&remote)
            .await
            .unwrap_err()
            .contains("is larger than 100 bytes")
    );
    let small = bench_with(Limits {
        max_pack_bytes: 100_000,
        ..Limits::default()
    });
    let error = small.tip(&remote, "refs/heads/main").await.unwrap_err();
    assert_eq!(error, "answer is larger than 100000 bytes");
    assert_eq!(small.left_behind(), 0);
}

/// covers: SC-055
#[tokio::test]
async fn own_authority_and_client_certificate_are_used() {
    let server = GitServer::start_mutual_tls().unwrap();
    let repository = server.repository("app").unwrap();
    repository
        .commit("main", "first")
        .write("a", "1")
        .push()
        .unwrap();
    let authority = server.authority().unwrap();
    let person = authority.client("someone", None).unwrap();
    let http = ClientConfig {
        certificate_authority: Some(authority.pem().into_bytes()),
        identity: Some(Identity {
            certificate: person.certificate.into_bytes(),
            key: person.key.into_bytes(),
        }),
        ..ClientConfig::default()
    };
    let bench = bench();
    let with = Remote {
        http: http.clone(),
        ..remote(repository.url())
    };
    bench.tip(&with, "refs/heads/main").await.unwrap();
    let without = Remote {
        http: ClientConfig {
            identity: None,
            ..http.clone()
        },
        ..remote(repository.url())
    };
    bench.list(&without).await.unwrap_err();
    let stranger = bench.list(&remote(repository.url())).await.unwrap_err();
    assert!(
        stranger.contains("x509: certificate signed by unknown authority"),
        "{stranger}"
    );
}

/// covers: SC-075
#[tokio::test]
async fn ignore_files_links_submodules_and_order_follow_the_archive_rules() {
    let (_server, repository) = with_repository();
    repository
        .commit("main", "first")
        .write(".sourceignore", "*.md\n/build\n")
        .write(".gitignore", "x")
        .write("README.md", "a")
        .write("build/keep/x", "a")
        .write("foo/y", "a")
        .write("foo-bar", "a")
        .write("foo.txt", "a")
        .write("sub/.sourceignore", "!keep.md\n")
        .write("sub/keep.md", "k")
        .write("sub/drop.md", "d")
        .symlink("link", "/etc/passwd")
        .submodule("module", "5394cb7f48332b2de7c17dd8b8384bbc84b7e738")
        .push()
        .unwrap();
    let snapshot = bench()
        .tip(&remote(repository.url()), "refs/heads/main")
        .await
        .unwrap();
    assert_eq!(
        entries(&snapshot, Some("!/build/keep/*"), &[]).unwrap(),
        [
            "./",
            ".sourceignore *.md\n/build\n",
            "build/keep/x a",
            "foo/",
            "foo/y a",
            "foo-bar a",
            "foo.txt a",
            "module/",
            "sub/",
            "sub/.sourceignore !keep.md\n",
            "sub/keep.md k",
        ]
    );
}

/// covers: SC-083, SC-096
#[tokio::test]
async fn sparse_directories_are_all_that_is_handed_out() {
    let (_server, repository) = with_repository();
    repository
        .commit("main", "first")
        .write("a/b/c/file", "1")
        .write("a/b/other", "2")
        .write("a/bc/other", "3")
        .write("z/file", "4")
        .write("top", "5")
        .push()
        .unwrap();
    let snapshot = bench()
        .tip(&remote(repository.url()), "refs/heads/main")
        .await
        .unwrap();
    assert_eq!(
        entries(&snapshot, None, &["./a/b", "/z/"]).unwrap(),
        [
            "./",
            "a/",
            "a/b/",
            "a/b/c/",
            "a/b/c/file 1",
            "a/b/other 2",
            "z/",
            "z/file 4"
        ]
    );
    assert_eq!(entries(&snapshot, None, &["."]).unwrap().len(), 11);
    for missing in ["none", "top", "a/none"] {
        assert_eq!(
            entries(&snapshot, None, &["z", missing]).unwrap_err(),
            format!("sparse checkout dir '{missing}' does not exist in repository")
        );
    }
}
