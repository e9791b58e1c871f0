//! Commits pushed to a real server.

use std::sync::Arc;
use std::time::Duration;

use net_http::{Clients, Environment};
use select::reference::{Wanted, choose};
use testkit::{GitServer, Repository};

use super::*;
use crate::{Author, Limits, NewContent, Want};

fn git(folder: &tempfile::TempDir) -> Git {
    let clients = Arc::new(Clients::new("test", Environment::default()));
    Git::new(clients, folder.path().to_owned(), Limits::default())
}

fn remote(repository: &Repository) -> Remote {
    Remote {
        url: repository.url().to_owned(),
        ..Remote::default()
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_mins(1)
}

/// Commits `content` as `path` on top of a branch, without pushing it.
async fn commit(git: &Git, remote: &Remote, branch: &str, content: &str) -> NewCommit {
    let prefix = [format!("refs/heads/{branch}")];
    let listing = git.list(remote, &prefix, soon()).await.unwrap();
    let wanted = Wanted {
        branch: Some(branch.to_owned()),
        ..Wanted::default()
    };
    let choice = choose(&wanted, &listing.refs).unwrap();
    let want = Want::Listed {
        object: choice.commit().to_owned(),
        commit: choice.commit().to_owned(),
    };
    let snapshot = git.fetch(remote, &listing, &want, soon()).await.unwrap();
    let files = [NewContent {
        path: "deep/er/a.yaml".into(),
        content: content.as_bytes().to_vec(),
    }];
    let author = Author {
        name: "Bot".into(),
        email: "bot@example.com".into(),
        seconds: 1_700_000_000,
    };
    snapshot
        .commit(&files, &author, "message\n\nbody", None)
        .unwrap()
}

fn seeded(server: &GitServer) -> Repository {
    let repository = server.repository("app").unwrap();
    let commit = repository
        .commit("main", "first")
        .write("deep/er/a.yaml", "1");
    commit.write_executable("other/run", "x").push().unwrap();
    repository
}

fn to(branch: &str) -> PushPlan {
    PushPlan {
        branch: branch.into(),
        ..PushPlan::default()
    }
}

/// covers: IA-135
#[tokio::test]
async fn commit_arrives_whole() {
    let (server, folder) = (GitServer::start().unwrap(), tempfile::tempdir().unwrap());
    let (repository, git) = (seeded(&server), git(&folder));
    let remote = remote(&repository);
    let new = commit(&git, &remote, "main", "2").await;
    git.push(&remote, &new, &to("main"), soon()).await.unwrap();
    assert_eq!(repository.id_of("main").unwrap(), new.id);
    assert_eq!(repository.read("main", "deep/er/a.yaml").unwrap(), "2");
    assert_eq!(repository.read("main", "other/run").unwrap(), "x");
    repository.git(&["fsck", "--strict"]).unwrap();
    let log = repository
        .git(&["log", "-1", "--format=%an <%ae> %B", "main"])
        .unwrap();
    assert_eq!(log.trim(), "Bot <bot@example.com> message\n\nbody");
    let refspec = PushPlan {
        refspec: Some("refs/heads/main:refs/heads/auto".into()),
        ..to("main")
    };
    let third = commit(&git, &remote, "main", "3").await;
    git.push(&remote, &third, &refspec, soon()).await.unwrap();
    assert_eq!(repository.id_of("auto").unwrap(), third.id);
    let fourth = commit(&git, &remote, "main", "4").await;
    git.push(&remote, &fourth, &to("updates"), soon())
        .await
        .unwrap();
    assert_eq!(repository.id_of("updates").unwrap(), fourth.id);
    assert_eq!(repository.id_of("main").unwrap(), third.id);
}

/// covers: IA-157
#[tokio::test]
async fn same_reference_twice_is_pushed_once() {
    let (server, folder) = (GitServer::start().unwrap(), tempfile::tempdir().unwrap());
    let (repository, git) = (seeded(&server), git(&folder));
    let remote = remote(&repository);
    let new = commit(&git, &remote, "main", "2").await;
    let plan = PushPlan {
        refspec: Some("refs/heads/main:refs/heads/main".into()),
        ..to("main")
    };
    git.push(&remote, &new, &plan, soon()).await.unwrap();
    assert_eq!(repository.id_of("main").unwrap(), new.id);
}

#[tokio::test]
async fn branch_that_moved_is_left_alone_unless_it_is_forced() {
    let (server, folder) = (GitServer::start().unwrap(), tempfile::tempdir().unwrap());
    let (repository, git) = (seeded(&server), git(&folder));
    let remote = remote(&repository);
    let new = commit(&git, &remote, "main", "2").await;
    let theirs = repository
        .commit("main", "theirs")
        .write("b", "1")
        .push()
        .unwrap();
    let refused = git
        .push(&remote, &new, &to("main"), soon())
        .await
        .unwrap_err();
    assert!(
        matches!(&refused, Error::Moved { at, .. } if *at == theirs),
        "{refused}"
    );
    assert_eq!(repository.id_of("main").unwrap(), theirs);
    let forced = PushPlan {
        force: true,
        ..to("main")
    };
    git.push(&remote, &new, &forced, soon()).await.unwrap();
    assert_eq!(repository.id_of("main").unwrap(), new.id);
}

#[tokio::test]
async fn refusal_of_a_hook_is_told_in_its_own_words() {
    let (server, folder) = (GitServer::start().unwrap(), tempfile::tempdir().unwrap());
    let (repository, git) = (seeded(&server), git(&folder));
    let hook = repository.path().join("hooks/update");
    std::fs::write(&hook, "#!/bin/sh\necho main is protected >&2\nexit 1\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&hook, mode).unwrap();
    let remote = remote(&repository);
    let before = repository.id_of("main").unwrap();
    let new = commit(&git, &remote, "main", "2").await;
    let refused = git
        .push(&remote, &new, &to("main"), soon())
        .await
        .unwrap_err();
    let words = refused.to_string();
    assert!(
        words.starts_with("command error on refs/heads/main: hook declined"),
        "{words}"
    );
    assert!(words.contains("main is protected"), "{words}");
    assert_eq!(repository.id_of("main").unwrap(), before);
}
