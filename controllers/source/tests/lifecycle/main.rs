//! Sources of all kinds from real servers, against a real API server.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

mod any;
mod bad_input;
mod bench;
mod charts;
mod crash;
mod hostile;
mod identities;
mod images;
mod include;
mod limits;
mod misbehaving;
mod objects;
mod replicas;
mod secure_shell;
mod signatures;
mod start;
mod storage;

use std::collections::BTreeSet;
use std::pin::pin;
use std::time::Duration;

use api::source::GitRepositorySpec;
use futures::TryStreamExt;
use kube::api::{WatchEvent, WatchParams};

use bench::{Bench, artifact, condition, spec};

/// covers: SC-002, SC-003, SC-004, SC-007, SC-071, SC-076
#[tokio::test]
async fn commits_become_artifacts_that_can_be_fetched() {
    let bench = Bench::start(testkit::control_plane().await).await;
    let repository = bench.server.repository("team/app").unwrap();
    let first = repository
        .commit("main", "first commit\n\nbody")
        .write("deploy/app.yaml", "kind: A\n")
        .write("README.md", "read me")
        .push()
        .unwrap();
    bench.create("app", spec(repository.url())).await;
    let published = bench.ready("app", &format!("main@sha1:{first}")).await;
    let path = format!(
        "gitrepository/{}/app/{first}.tar.gz",
        bench.namespace.name()
    );
    assert_eq!(published.path, path);
    let address = bench.controller.address("--storage-addr").unwrap();
    assert_eq!(published.url, format!("http://{address}/{path}"));
    assert_eq!(
        bench.files(&published).await,
        ["README.md", "deploy/app.yaml"]
    );
    bench
        .event(
            "app",
            "Normal NewArtifact stored artifact for commit 'first commit'",
        )
        .await;

    let second = repository
        .commit("main", "second")
        .write("new", "x")
        .push()
        .unwrap();
    let object = bench.reconcile("app").await;
    assert_eq!(
        artifact(&object).unwrap().revision,
        format!("main@sha1:{second}")
    );
    assert!(condition(&object, "Reconciling").is_none(), "{object:#?}");
    assert!(
        condition(&object, "ArtifactOutdated").is_none(),
        "{object:#?}"
    );
    bench
        .event("app", "stored artifact for commit 'second'")
        .await;
    let requests = bench.server.requests();
    assert_eq!(
        requests.len(),
        5,
        "what the server can once, one listing and one fetch each: {requests:#?}"
    );
}

/// covers: SC-067
#[tokio::test]
async fn poll_without_a_change_is_one_listing_and_no_write() {
    let (bench, repository, id) = Bench::with_commit().await;
    let every_second = GitRepositorySpec {
        interval: "1s".parse().unwrap(),
        ..spec(repository.url())
    };
    bench.create("app", every_second).await;
    bench.ready("app", &format!("main@sha1:{id}")).await;
    bench.event("app", "NewArtifact").await;
    let before = bench
        .objects()
        .get("app")
        .await
        .unwrap()
        .metadata
        .resource_version;
    let events = bench.events("app").await;
    bench.server.forget_requests();
    tokio::time::timeout(Duration::from_secs(20), async {
        while bench.server.request_count() < 3 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .unwrap();
    let after = bench
        .objects()
        .get("app")
        .await
        .unwrap()
        .metadata
        .resource_version;
    assert_eq!(before, after, "nothing is written");
    assert_eq!(events, bench.events("app").await);
    let asked = bench.server.requests();
    assert!(
        asked
            .iter()
            .all(|each| each.protocol.as_deref() == Some("version=2") && each.method == "POST"),
        "{asked:#?}"
    );
}

/// What a user who watches sees: each state once, as `<type>=<status> <reason> <message>`.
async fn watched(bench: &Bench, name: &str, since: &str, until: &str) -> BTreeSet<String> {
    let objects = bench.objects();
    let params = WatchParams::default().fields(&format!("metadata.name={name}"));
    let mut events = pin!(objects.watch(&params, since).await.unwrap());
    let mut seen = BTreeSet::new();
    let ended = async {
        while let Some(event) = events.try_next().await.unwrap() {
            let (WatchEvent::Added(object) | WatchEvent::Modified(object)) = event else {
                continue;
            };
            let conditions = object
                .status
                .map(|status| status.conditions)
                .unwrap_or_default();
            seen.extend(conditions.into_iter().map(|each| {
                format!(
                    "{}={} {} {}",
                    each.type_, each.status, each.reason, each.message
                )
            }));
            if seen.contains(until) {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), ended)
        .await
        .expect(until);
    seen
}

/// The version of everything there is now: a watch from here misses nothing that comes.
async fn version(bench: &Bench) -> String {
    let list = bench
        .objects()
        .list(&kube::api::ListParams::default())
        .await;
    list.unwrap().metadata.resource_version.unwrap()
}

/// covers: SC-028, SC-029, SC-035, SC-055, SC-062
#[tokio::test]
async fn states_on_the_way_are_told() {
    let (bench, repository, first) = Bench::with_commit().await;
    let ready =
        |id: &str| format!("Ready=True Succeeded stored artifact for revision 'main@sha1:{id}'");
    let building = |id: &str| format!("building artifact: new upstream revision 'main@sha1:{id}'");
    let since = version(&bench).await;
    bench.create("app", spec(repository.url())).await;
    let seen = watched(&bench, "app", &since, &ready(&first)).await;
    for message in [
        "processing object: new generation -1 -> 1",
        "building artifact",
        &building(&first),
    ] {
        for condition in ["Reconciling=True", "Ready=Unknown"] {
            let expected = format!("{condition} Progressing {message}");
            assert!(seen.contains(&expected), "{expected}: {seen:#?}");
        }
    }
    assert!(
        !seen.iter().any(|each| each.starts_with("ArtifactOutdated")),
        "{seen:#?}"
    );

    let second = repository
        .commit("main", "second")
        .write("a", "2")
        .push()
        .unwrap();
    let until = ready(&second);
    let since = version(&bench).await;
    bench.reconcile("app").await;
    let seen = watched(&bench, "app", &since, &until).await;
    for expected in [
        "Reconciling=True Progressing reconciliation in progress".to_owned(),
        format!("ArtifactOutdated=True NewRevision new upstream revision 'main@sha1:{second}'"),
        format!("Ready=Unknown Progressing {}", building(&second)),
    ] {
        assert!(seen.contains(&expected), "{expected}: {seen:#?}");
    }
}

/// covers: SC-068, SC-074
#[tokio::test]
async fn changed_rules_make_the_artifact_anew_at_the_same_revision() {
    let (bench, repository) = Bench::with_repository().await;
    let commit = repository
        .commit("main", "first")
        .write("a.md", "1")
        .write("dir/b.txt", "2");
    let id = commit.push().unwrap();
    bench.create("app", spec(repository.url())).await;
    let revision = format!("main@sha1:{id}");
    let all = bench.ready("app", &revision).await;
    bench
        .patch("app", serde_json::json!({ "spec": { "ignore": "*.md" } }))
        .await;
    let less = bench.ready("app", &revision).await;
    assert_ne!(all.digest, less.digest);
    assert_eq!(bench.files(&less).await, ["dir/b.txt"]);
    let sparse = serde_json::json!({ "spec": { "ignore": null, "sparseCheckout": ["dir"] } });
    bench.patch("app", sparse).await;
    let sparse = bench.ready("app", &revision).await;
    assert_eq!(bench.files(&sparse).await, ["dir/b.txt"]);
    let status = bench.objects().get("app").await.unwrap().status.unwrap();
    assert_eq!(status.observed_sparse_checkout, ["dir"]);
    assert_eq!(status.observed_ignore, None);
}

/// covers: SC-014
#[tokio::test]
async fn run_that_finds_nothing_new_counts_for_the_new_generation() {
    let (bench, repository, id) = Bench::with_commit().await;
    bench.create("app", spec(repository.url())).await;
    let revision = format!("main@sha1:{id}");
    let published = bench.ready("app", &revision).await;
    let patch = serde_json::json!({ "spec": { "interval": "11m" } });
    bench.patch("app", patch).await;
    assert_eq!(bench.ready("app", &revision).await, published);
    let object = bench.objects().get("app").await.unwrap();
    assert!(condition(&object, "Reconciling").is_none(), "{object:#?}");
    let words = format!("no changes since last reconciliation: observed revision '{revision}'");
    bench
        .event("app", &format!("Normal GitOperationSucceeded {words}"))
        .await;
}

#[tokio::test]
async fn fixed_commit_is_asked_for_once() {
    let (bench, repository, id) = Bench::with_commit().await;
    repository
        .commit("main", "second")
        .write("a", "2")
        .push()
        .unwrap();
    let mut pinned = spec(repository.url());
    pinned.reference.as_mut().unwrap().commit = Some(id.clone());
    bench.create("app", pinned).await;
    bench.ready("app", &format!("main@sha1:{id}")).await;
    bench.server.forget_requests();
    bench.reconcile("app").await;
    assert_eq!(bench.server.request_count(), 0);
}

#[tokio::test]
async fn controller_ends_in_order_and_leaves_no_temporary_file() {
    let bench = Bench::start(testkit::control_plane().await).await;
    let status = bench
        .controller
        .terminate(Duration::from_secs(10))
        .await
        .unwrap();
    assert!(status.success(), "{status}");
    assert_eq!(
        bench.scratch.path().read_dir().unwrap().count(),
        0,
        "no temporary file is left"
    );
}
