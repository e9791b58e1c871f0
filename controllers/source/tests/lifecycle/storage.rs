//! The stored artifact: lost, damaged, collected, deleted, and interrupted by a kill.

use std::fs;
use std::time::Duration;

use kube::api::{Patch, PatchParams};
use testkit::Fault;

use crate::bench::{Bench, artifact, condition, spec};

/// covers: SC-036, SC-038
#[tokio::test]
async fn lost_and_damaged_artifacts_are_made_anew() {
    let (bench, repository, id) = Bench::with_commit().await;
    bench.create("app", spec(repository.url())).await;
    let revision = format!("main@sha1:{id}");
    let published = bench.ready("app", &revision).await;
    let file = bench.storage.path().join(&published.path);

    fs::write(&file, "tampered").unwrap();
    let object = bench.reconcile("app").await;
    assert_eq!(artifact(&object).unwrap().digest, published.digest);
    bench
        .event(
            "app",
            &format!(
                "Warning ArtifactVerificationFailed failed to verify integrity of artifact: \
                 computed digest doesn't match '{}'",
                published.digest
            ),
        )
        .await;
    assert_eq!(
        bench.files(&bench.ready("app", &revision).await).await,
        ["a"]
    );

    fs::remove_file(&file).unwrap();
    let object = bench.reconcile("app").await;
    assert_eq!(bench.files(artifact(&object).unwrap()).await, ["a"]);
}

/// What an earlier controller stored, packed by another compressor, stays what it is: whoever applied it need not do so
/// again.
#[tokio::test]
async fn artifact_of_another_controller_is_taken_over_in_place() {
    let (bench, repository, id) = Bench::with_commit().await;
    bench.create("app", spec(repository.url())).await;
    let revision = format!("main@sha1:{id}");
    let published = bench.ready("app", &revision).await;
    let patience = Duration::from_secs(20);
    bench.controller.terminate(patience).await.unwrap();
    let other = testkit::archive(&[("a", "1")]).unwrap();
    fs::write(bench.storage.path().join(&published.path), &other).unwrap();
    let mut digest = artifact::digest::Hasher::new(artifact::Algorithm::Sha256);
    digest.update(&other);
    let digest = digest.finish().to_string();
    assert_ne!(digest, published.digest);
    let status = serde_json::json!({ "status": { "artifact": {
        "digest": digest, "size": other.len(), "lastUpdateTime": "2026-01-01T00:00:00Z" } } });
    let patch = Patch::Merge(status);
    let before = bench
        .objects()
        .patch_status("app", &PatchParams::default(), &patch)
        .await
        .unwrap();
    bench.controller.restart().await.unwrap();
    let object = bench.reconcile("app").await;
    assert_eq!(artifact(&object), artifact(&before));
    assert_eq!(bench.files(artifact(&object).unwrap()).await, ["a"]);
    assert!(condition(&object, "Ready").is_some_and(|ready| ready.status == "True"));
}

/// covers: SC-039
#[tokio::test]
async fn address_in_the_status_follows_the_advertised_one_and_nothing_else_changes() {
    let (bench, repository, id) = Bench::with_commit().await;
    bench.create("app", spec(repository.url())).await;
    let published = bench.ready("app", &format!("main@sha1:{id}")).await;
    let elsewhere = serde_json::json!({ "status": { "artifact": { "url": "http://old/x" } } });
    let patch = Patch::Merge(elsewhere);
    bench
        .objects()
        .patch_status("app", &PatchParams::default(), &patch)
        .await
        .unwrap();
    let object = bench.reconcile("app").await;
    assert_eq!(artifact(&object), Some(&published));
}

/// covers: SC-005, SC-034
#[tokio::test]
async fn old_artifacts_go_and_deletion_removes_all() {
    let (bench, repository) = Bench::with_repository().await;
    let mut ids = Vec::new();
    for round in 0..4 {
        let content = round.to_string();
        let id = repository
            .commit("main", "next")
            .write("a", content)
            .push()
            .unwrap();
        if round == 0 {
            bench.create("app", spec(repository.url())).await;
            bench.ready("app", &format!("main@sha1:{id}")).await;
        } else {
            bench.reconcile("app").await;
        }
        ids.push(id);
    }
    bench.reconcile("app").await;
    let mut expected: Vec<String> = ids[2..]
        .iter()
        .flat_map(|id| [format!("{id}.tar.gz"), format!("{id}.tar.gz.lock")])
        .collect();
    expected.sort();
    assert_eq!(bench.stored("app"), expected);
    bench
        .event(
            "app",
            "Normal GarbageCollectionSucceeded garbage collected 1 artifacts",
        )
        .await;

    bench
        .objects()
        .delete("app", &kube::api::DeleteParams::default())
        .await
        .unwrap();
    bench
        .event(
            "app",
            "Normal GarbageCollectionSucceeded garbage collected artifacts for deleted resource",
        )
        .await;
    assert_eq!(bench.stored("app"), [""; 0]);
    tokio::time::timeout(Duration::from_secs(10), async {
        while bench.objects().get_opt("app").await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn killed_controller_carries_on_wherever_it_was() {
    let (bench, repository) = Bench::with_repository().await;
    let first = repository
        .commit("main", "first")
        .write("a", "0")
        .push()
        .unwrap();
    bench.create("app", spec(repository.url())).await;
    bench.ready("app", &format!("main@sha1:{first}")).await;
    // While it lists, while it fetches, and at several moments on the way from there to the last status.
    for round in 0..8u64 {
        let id = repository
            .commit("main", "next")
            .write("a", round.to_string())
            .write("noise", vec![u8::try_from(round).unwrap(); 300_000])
            .push()
            .unwrap();
        let slow = match round {
            0 => Some(Fault::Hang),
            1 => Some(Fault::Delay(Duration::from_millis(150))),
            _ => None,
        };
        bench.server.fail(slow);
        bench.server.forget_requests();
        let asked = serde_json::json!({ "reconcile.fluxcd.io/requestedAt": round.to_string() });
        bench
            .patch(
                "app",
                serde_json::json!({ "metadata": { "annotations": asked } }),
            )
            .await;
        while bench.server.request_count() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(12 * round.saturating_sub(1))).await;
        bench.controller.kill();
        bench.server.fail(None);
        let object = bench.objects().get("app").await.unwrap();
        if let Some(published) = artifact(&object) {
            let file = bench.storage.path().join(&published.path);
            assert!(
                file.exists(),
                "round {round}: the status names a file that is not there"
            );
        }
        bench.controller.restart().await.unwrap();
        let published = bench.ready("app", &format!("main@sha1:{id}")).await;
        assert_eq!(
            bench.files(&published).await,
            ["a", "noise"],
            "round {round}"
        );
    }
    // One is in use, those of the killed are gone.
    assert_eq!(bench.scratch.path().read_dir().unwrap().count(), 1);
}
