//! Repositories that somebody made to do harm.

use super::*;

/// Writes a tree object as it is: mode, name and id of each entry.
fn tree(repository: &Repository, entries: &[(&str, &[u8], &str)]) -> String {
    let mut content = Vec::new();
    for (mode, name, id) in entries {
        content.extend_from_slice(mode.as_bytes());
        content.push(b' ');
        content.extend_from_slice(name);
        content.push(0);
        content.extend_from_slice(git2::Oid::from_str(id).unwrap().as_bytes());
    }
    repository.store_object("tree", &content).unwrap()
}

/// Makes a commit of a tree the tip of `main`.
fn publish(repository: &Repository, tree: &str) {
    let commit = format!(
        "tree {tree}\nauthor A <a@b.example> 1700000000 +0000\ncommitter A <a@b.example> 1700000000 +0000\n\nx\n"
    );
    let id = repository
        .store_object("commit", commit.as_bytes())
        .unwrap();
    repository.set_branch("main", &id).unwrap();
}

/// Field 6.2: names in trees as go-git's CVE-2023-49569 and CVE-2026-45571 had them.
#[tokio::test]
async fn tree_entries_that_lead_elsewhere_are_refused_by_name() {
    for name in [
        "..",
        ".",
        "a/b",
        "a\\b",
        ".git",
        ".GIT",
        ".git::$INDEX_ALLOCATION",
    ] {
        let (_server, repository) = with_repository();
        let blob = repository.store_object("blob", b"evil").unwrap();
        let inner = tree(&repository, &[("100644", name.as_bytes(), &blob)]);
        let outer = tree(&repository, &[("40000", b"dir", &inner)]);
        publish(&repository, &outer);
        let fetched = bench()
            .tip(&remote(repository.url()), "refs/heads/main")
            .await;
        let error = match fetched {
            Ok(snapshot) => entries(&snapshot, None, &[]).unwrap_err(),
            Err(error) => error,
        };
        assert!(
            error.contains(&format!("'dir/{name}' cannot be the path of a file"))
                || error.contains("invalid"),
            "{name}: {error}"
        );
    }
}

/// A few small trees that name each other again and again are as many files as one likes.
#[tokio::test]
async fn trees_that_multiply_are_bounded() {
    let (_server, repository) = with_repository();
    let mut below = repository.store_object("blob", b"x").unwrap();
    let mut mode = "100644";
    for _ in 0..9 {
        let names: Vec<String> = (0..10).map(|at| at.to_string()).collect();
        let level: Vec<_> = names
            .iter()
            .map(|name| (mode, name.as_bytes(), below.as_str()))
            .collect();
        below = tree(&repository, &level);
        mode = "40000";
    }
    publish(&repository, &below);
    let remote = remote(repository.url());
    let snapshot = bench().tip(&remote, "refs/heads/main").await.unwrap();
    let error = entries(&snapshot, None, &[]).unwrap_err();
    assert_eq!(
        error,
        "the repository has more than 1000000 files and directories"
    );
}

/// Field 6.2: go-git's CVE-2025-21613. No program is run, so nothing can be its argument.
#[tokio::test]
async fn references_and_addresses_are_never_arguments() {
    let (server, repository, _) = with_commit();
    let marker = tempfile::tempdir().unwrap();
    let evil = format!("--upload-pack=touch {}/x", marker.path().display());
    let bench = bench();
    let listing = bench
        .git
        .list(
            &remote(repository.url()),
            std::slice::from_ref(&evil),
            soon(),
        )
        .await;
    assert!(
        listing
            .unwrap()
            .refs
            .iter()
            .all(|each| !each.name.starts_with('-'))
    );
    for url in [
        format!(
            "ssh://-oProxyCommand=touch%20{}/x/repo",
            marker.path().display()
        ),
        format!("ext::sh -c touch% {}/x", marker.path().display()),
        format!("file://{}", marker.path().display()),
        format!("{}/{evil}", server.url()),
    ] {
        bench.list(&remote(&url)).await.unwrap_err();
    }
    assert_eq!(marker.path().read_dir().unwrap().count(), 0);
}
