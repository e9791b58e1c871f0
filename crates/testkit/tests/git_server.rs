//! The Git server is real: the `git` command clones from it, pushes to it, and meets its faults.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::Result;
use testkit::{Credentials, Fault, GitServer};

fn git(folder: &Path, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new("git");
    command.current_dir(folder).args(arguments);
    // Neither the machine's settings nor its proxy nor a prompt.
    for (name, _) in std::env::vars() {
        if name.starts_with("GIT_") || name.to_ascii_lowercase().ends_with("_proxy") {
            command.env_remove(name);
        }
    }
    Ok(command
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .output()?)
}

fn clone(server_url: &str, extra: &[&str]) -> Result<(tempfile::TempDir, Output)> {
    let folder = tempfile::tempdir()?;
    let output = git(
        folder.path(),
        &[extra, &["clone", "-q", server_url, "work"]].concat(),
    )?;
    Ok((folder, output))
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn clone_holds_what_was_committed() -> Result<()> {
    let server = GitServer::start()?;
    let repository = server.repository("team/app")?;
    repository
        .commit("main", "First")
        .write("base/a.yaml", "a: 1\n")
        .write("odd \"näme\"", "odd")
        .write_executable("run", "#!/bin/sh\n")
        .symlink("link", "base/a.yaml")
        .push()?;
    let second = repository
        .commit("main", "Second")
        .write("b", "b")
        .remove("base")
        .push()?;
    repository.tag("v1", "main")?;
    repository.annotated_tag("v1-signed", "main", "One")?;

    let (folder, output) = clone(repository.url(), &[])?;
    assert!(output.status.success(), "{}", said(&output));
    let work = folder.path().join("work");
    assert_eq!(std::fs::read_to_string(work.join("b"))?, "b");
    assert_eq!(std::fs::read_to_string(work.join("odd \"näme\""))?, "odd");
    assert_eq!(
        std::fs::read_link(work.join("link"))?,
        Path::new("base/a.yaml")
    );
    assert!(!work.join("base").exists());
    let head = git(&work, &["rev-parse", "HEAD", "v1", "v1-signed^{commit}"])?;
    assert_eq!(
        String::from_utf8(head.stdout)?,
        format!("{second}\n{second}\n{second}\n")
    );
    assert!(server.request_count() >= 2, "{:?}", server.requests());
    Ok(())
}

#[test]
fn same_steps_give_the_same_ids() -> Result<()> {
    let server = GitServer::start()?;
    let steps = |name: &str| -> Result<(String, String)> {
        let repository = server.repository(name)?;
        repository.commit_files("main", "One", [("a", "1"), ("b", "2")])?;
        repository.commit_files("main", "Two", [("a", "3")])?;
        let tag = repository.annotated_tag("v1", "main", "v1")?;
        Ok((repository.id_of("main")?, tag))
    };
    assert_eq!(steps("one")?, steps("two")?);
    Ok(())
}

#[test]
fn revert_brings_the_former_files_back() -> Result<()> {
    let server = GitServer::start()?;
    let repository = server.repository("app")?;
    repository.commit_files("main", "One", [("a", "1"), ("b", "2")])?;
    repository.commit_files("main", "Two", [("a", "3")])?;
    repository.revert("main")?;
    assert_eq!(repository.read("main", "a")?, "1");
    assert_eq!(repository.read("main", "b")?, "2");
    assert_eq!(repository.git(&["rev-list", "--count", "main"])?, "3");
    Ok(())
}

#[test]
fn branches_and_tags_move_and_go() -> Result<()> {
    let server = GitServer::start()?;
    let repository = server.repository("app")?;
    let one = repository.commit_files("main", "One", [("a", "1")])?;
    let two = repository.commit_files("main", "Two", [("a", "2")])?;
    repository.set_branch("release", &one)?;
    repository.tag("latest", &one)?;
    repository.set_branch("release", &two)?;
    repository.tag("latest", &two)?;
    assert_eq!(repository.id_of("refs/heads/release")?, two);
    assert_eq!(repository.id_of("refs/tags/latest")?, two);
    repository.delete_branch("release")?;
    repository.delete_tag("latest")?;
    assert!(repository.id_of("refs/heads/release").is_err());
    assert!(repository.delete_branch("release").is_err());
    assert!(repository.id_of("refs/tags/latest").is_err());
    repository.vanish()?;
    let (_folder, output) = clone(repository.url(), &[])?;
    assert!(!output.status.success());
    Ok(())
}

#[test]
fn client_can_push() -> Result<()> {
    let server = GitServer::start()?;
    let repository = server.repository("app")?;
    repository.commit_files("main", "One", [("a", "1")])?;
    let (folder, _) = clone(repository.url(), &[])?;
    let work = folder.path().join("work");
    std::fs::write(work.join("a"), "2")?;
    let who = ["-c", "user.name=T", "-c", "user.email=t@example.org"];
    git(&work, &[&who[..], &["commit", "-qam", "Two"]].concat())?;
    let output = git(&work, &["push", "-q", "origin", "main"])?;
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(repository.read("main", "a")?, "2");
    Ok(())
}

#[test]
fn credentials_are_demanded() -> Result<()> {
    let server = GitServer::start()?;
    let repository = server.repository("app")?;
    repository.commit_files("main", "One", [("a", "1")])?;
    let (user, password) = ("git".to_owned(), "s3cret".to_owned());
    server.demand(Some(Credentials::Basic { user, password }));
    assert!(!clone(repository.url(), &[])?.1.status.success());
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.status == Some(401))
    );
    let with_wrong = repository.url().replace("http://", "http://git:wrong@");
    assert!(!clone(&with_wrong, &[])?.1.status.success());
    let with_right = repository.url().replace("http://", "http://git:s3cret@");
    assert!(clone(&with_right, &[])?.1.status.success());

    server.demand(Some(Credentials::Bearer("token".to_owned())));
    assert!(!clone(&with_right, &[])?.1.status.success());
    let bearer = ["-c", "http.extraHeader=Authorization: Bearer token"];
    assert!(clone(repository.url(), &bearer)?.1.status.success());
    Ok(())
}

#[test]
fn tls_is_checked_both_ways() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = |name: &str, content: &str| -> Result<String> {
        let path = folder.path().join(name);
        std::fs::write(&path, content)?;
        Ok(path.to_string_lossy().into_owned())
    };
    let server = GitServer::start_mutual_tls()?;
    let authority = server.authority().unwrap();
    let repository = server.repository("app")?;
    repository.commit_files("main", "One", [("a", "1")])?;
    let trust = format!("http.sslCAInfo={}", file("ca", &authority.pem())?);
    let identity = authority.client("me", None)?;
    let certificate = format!("http.sslCert={}", file("crt", &identity.certificate)?);
    let key = format!("http.sslKey={}", file("key", &identity.key)?);
    let known = ["-c", &certificate, "-c", &key];
    let trusting = ["-c", trust.as_str()];

    let (_folder, output) = clone(repository.url(), &[&known[..], &trusting].concat())?;
    assert!(output.status.success(), "{}", said(&output));
    assert!(
        !clone(repository.url(), &known)?.1.status.success(),
        "trusts a stranger"
    );
    assert!(
        !clone(repository.url(), &trusting)?.1.status.success(),
        "lets a stranger in"
    );
    Ok(())
}

#[test]
fn faults_are_met_until_they_are_over() -> Result<()> {
    let server = GitServer::start()?;
    let other = GitServer::start()?;
    let repository = server.repository("app")?;
    let long = "0123456789".repeat(10_000);
    repository.commit_files("main", "One", [("a", long.as_str())])?;

    server.fail(Some(Fault::Refuse));
    assert!(!clone(repository.url(), &[])?.1.status.success());
    server.fail(Some(Fault::Status(503)));
    assert!(said(&clone(repository.url(), &[])?.1).contains("503"));
    server.fail(Some(Fault::CutPack(100)));
    let (_folder, output) = clone(repository.url(), &[])?;
    assert!(!output.status.success());
    server.fail(Some(Fault::Redirect(other.url())));
    assert!(!clone(repository.url(), &[])?.1.status.success());
    assert_eq!(other.request_count(), 1);
    server.fail(Some(Fault::Delay(Duration::from_millis(300))));
    let began = Instant::now();
    assert!(clone(repository.url(), &[])?.1.status.success());
    assert!(
        began.elapsed() >= Duration::from_millis(600),
        "two requests, each delayed"
    );
    server.fail(None);
    server.forget_requests();
    assert!(clone(repository.url(), &[])?.1.status.success());
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.status == Some(200))
    );
    Ok(())
}
