//! What is kept of a remote saves requests and bytes.

use super::*;

fn noise(seed: u32) -> Vec<u8> {
    (0..100_000u32)
        .flat_map(|at| (at ^ seed).wrapping_mul(2_654_435_761).to_le_bytes())
        .collect()
}

#[tokio::test]
async fn later_fetch_brings_only_what_is_new() {
    let (server, repository) = with_repository();
    let large = noise(0);
    let first = repository
        .commit("main", "first")
        .write("large", large.clone())
        .write("a", "1");
    first.push().unwrap();
    // What comes later is bounded to less than the large file.
    let bench = bench_with(Limits {
        max_pack_bytes: 450_000,
        ..Limits::default()
    });
    let remote = remote(repository.url());
    bench.tip(&remote, "refs/heads/main").await.unwrap();
    repository
        .commit("main", "second")
        .write("large2", large)
        .push()
        .unwrap();
    for round in 0..6 {
        let id = repository
            .commit("main", "next")
            .write("a", round.to_string())
            .push()
            .unwrap();
        server.forget_requests();
        let snapshot = bench.tip(&remote, "refs/heads/main").await.unwrap();
        assert!(format!("{snapshot:?}").contains(&id));
        let seen = entries(&snapshot, Some("large*"), &[]).unwrap();
        assert_eq!(seen, ["./".to_owned(), format!("a {round}")]);
        assert_eq!(server.request_count(), 2, "one listing, one fetch");
    }
    assert_eq!(bench.left_behind(), 1);
}

#[tokio::test]
async fn commit_that_is_here_costs_no_request() {
    let (server, repository, first) = with_commit();
    let bench = bench();
    let remote = remote(repository.url());
    let listing = bench.list(&remote).await.unwrap();
    let want = Want::Commit {
        commit: first.clone(),
        branch: None,
    };
    let (one, two) = tokio::join!(
        bench.git.fetch(&remote, &listing, &want, soon()),
        bench.git.fetch(&remote, &listing, &want, soon()),
    );
    assert_eq!(
        entries(&one.unwrap(), None, &[]).unwrap(),
        entries(&two.unwrap(), None, &[]).unwrap()
    );
    let posts = server
        .requests()
        .iter()
        .filter(|each| each.method == "POST")
        .count();
    assert_eq!(posts, 2, "the listing, and one fetch for both");
    server.fail(Some(Fault::Refuse));
    bench
        .git
        .fetch(&remote, &listing, &want, soon())
        .await
        .unwrap();

    // Others may not have the right to see it.
    let stranger = Remote {
        auth: Some(Auth::Bearer("other".into())),
        ..remote
    };
    bench
        .git
        .fetch(&stranger, &listing, &want, soon())
        .await
        .unwrap_err();
}

#[tokio::test]
async fn history_that_was_rewritten_is_followed() {
    let (_server, repository, _) = with_commit();
    repository
        .commit("other", "other")
        .write("b", "2")
        .push()
        .unwrap();
    let bench = bench();
    let remote = remote(repository.url());
    bench.tip(&remote, "refs/heads/main").await.unwrap();
    repository
        .git(&["update-ref", "refs/heads/main", "refs/heads/other"])
        .unwrap();
    repository
        .git(&["reflog", "expire", "--expire=now", "--all"])
        .unwrap();
    repository.git(&["gc", "--prune=now", "--quiet"]).unwrap();
    let snapshot = bench.tip(&remote, "refs/heads/main").await.unwrap();
    assert!(
        entries(&snapshot, None, &[])
            .unwrap()
            .contains(&"b 2".to_owned())
    );
}

#[tokio::test]
async fn damaged_objects_are_fetched_anew() {
    let (_server, repository) = with_repository();
    repository
        .commit("main", "first")
        .write("a", noise(1))
        .push()
        .unwrap();
    let bench = bench();
    let remote = remote(repository.url());
    bench.tip(&remote, "refs/heads/main").await.unwrap();
    let kept = bench
        .directory
        .path()
        .read_dir()
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    std::fs::remove_dir_all(kept.join("objects")).unwrap();
    repository
        .commit("main", "second")
        .write("b", "2")
        .push()
        .unwrap();
    let snapshot = bench.tip(&remote, "refs/heads/main").await.unwrap();
    assert!(
        entries(&snapshot, Some("a"), &[])
            .unwrap()
            .contains(&"b 2".to_owned())
    );
}

/// Only the references that matter are listed, where the server can tell them apart.
#[tokio::test]
async fn listing_holds_what_was_asked_for() {
    let (_server, repository, _) = with_commit();
    repository.annotated_tag("v1.0.0", "main", "note").unwrap();
    let bench = bench();
    let remote = remote(repository.url());
    let names = async |prefixes: &[&str]| {
        let prefixes: Vec<String> = prefixes.iter().map(|each| (*each).to_owned()).collect();
        let listing = bench.git.list(&remote, &prefixes, soon()).await.unwrap();
        listing
            .refs
            .into_iter()
            .map(|each| each.name)
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&["refs/heads/main"]).await, ["refs/heads/main"]);
    assert_eq!(names(&["refs/tags/"]).await, ["refs/tags/v1.0.0"]);
    let all = ["HEAD", "refs/heads/main", "refs/tags/v1.0.0"];
    assert_eq!(names(&[]).await, all);
    assert_eq!(
        names(&["refs/heads/gone"]).await,
        all,
        "the repository is not empty"
    );
}

#[tokio::test]
async fn polls_of_one_remote_share_a_listing_that_is_new_enough_and_nothing_of_others() {
    let (server, repository, first) = with_commit();
    let (bench, began) = (bench(), Instant::now());
    let plain = remote(repository.url());
    let main = ["refs/heads/main".to_owned()];
    let tip = async |remote: &Remote, prefixes: &[String], since: Instant| {
        let times = (since, soon());
        let listing = bench.git.list_since(remote, prefixes, times).await.unwrap();
        listing.refs[0].object.clone()
    };
    assert_eq!(tip(&plain, &main, began).await, first);
    let asked = server.request_count();
    let commit = repository.commit("main", "second").write("a", "2");
    let second = commit.push().unwrap();
    assert_eq!(tip(&plain, &main, began).await, first);
    assert_eq!(server.request_count(), asked, "what was heard will do");
    assert_eq!(tip(&plain, &main, Instant::now()).await, second);
    assert_eq!(tip(&plain, &main, began).await, second, "the newest counts");
    let asked = server.request_count();
    assert_eq!(tip(&plain, &[], began).await, second);
    let other = Remote {
        auth: Some(Auth::Bearer("x".into())),
        ..remote(repository.url())
    };
    assert_eq!(tip(&other, &main, began).await, second);
    assert!(
        server.request_count() >= asked + 2,
        "other references and other credentials are asked for"
    );
}
