//! The controller is killed before and after each of its writes.

use std::sync::Arc;
use std::time::Duration;

use kube::api::DeleteParams;
use serde_json::json;
use testkit::{ApiProxy, GitServer, Moment};
use tokio::sync::Notify;

use crate::bench::{Bench, spec};

/// Walks through every boundary that can be seen from outside in the life of a source: its creation, a new commit
/// and its deletion.
#[tokio::test]
async fn killed_at_each_write_it_serves_what_its_status_names() {
    let plane = testkit::control_plane().await;
    let proxy = ApiProxy::start(plane).unwrap();
    let server = GitServer::start().unwrap();
    let bench = Bench::start_on(plane, server, &proxy.kubeconfig_path()).await;
    for moment in [Moment::Before, Moment::After] {
        let mut write = 0;
        while walk(&bench, &proxy, (moment, write)).await {
            write += 1;
        }
        assert!(
            write >= 5,
            "the walk saw {write} writes only: {:#?}",
            proxy.writes()
        );
    }
}

/// A life of source `app` with one kill. Returns false where no write was left to be killed at.
async fn walk(bench: &Bench, proxy: &ApiProxy, at: (Moment, usize)) -> bool {
    let killed = Arc::new(Notify::new());
    let (controller, told) = (Arc::clone(&bench.controller), Arc::clone(&killed));
    proxy.trap(at.1, at.0, move |_| {
        controller.kill();
        told.notify_one();
    });
    let controller = Arc::clone(&bench.controller);
    let revive = tokio::spawn(async move {
        killed.notified().await;
        controller.restart().await.unwrap();
    });
    let repository = bench
        .server
        .repository(&format!("app-{:?}-{}", at.0, at.1))
        .unwrap();
    let first = repository
        .commit("main", "first")
        .write("a", "1")
        .push()
        .unwrap();
    bench.create("app", spec(repository.url())).await;
    let published = bench.ready("app", &format!("main@sha1:{first}")).await;
    assert_eq!(bench.files(&published).await, ["a"], "killed {at:?}");
    let second = repository
        .commit("main", "second")
        .write("b", "2")
        .push()
        .unwrap();
    let asked = json!({ "reconcile.fluxcd.io/requestedAt": format!("{at:?}") });
    bench
        .patch("app", json!({ "metadata": { "annotations": asked } }))
        .await;
    let published = bench.ready("app", &format!("main@sha1:{second}")).await;
    assert_eq!(bench.files(&published).await, ["a", "b"], "killed {at:?}");
    bench
        .objects()
        .delete("app", &DeleteParams::default())
        .await
        .unwrap();
    tokio::time::timeout(Duration::from_mins(1), async {
        while bench.objects().get_opt("app").await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
    assert_eq!(bench.stored("app"), [""; 0], "killed {at:?}");
    let was_killed = !proxy.disarm();
    if was_killed {
        revive.await.unwrap();
    } else {
        revive.abort();
    }
    was_killed
}
