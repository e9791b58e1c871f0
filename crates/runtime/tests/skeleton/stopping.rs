//! The end of a process: what acts is waited for, what waits is not.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    rig::{Choice, Controller, Rig, find, until},
    toy::Explicit,
};

#[tokio::test]
async fn running_act_is_waited_for_and_its_result_written() {
    let rig = Rig::new::<Explicit>("stop").await;
    rig.make("a", &["slow:1s"]).await;
    rig.said("a acts").await;
    rig.controller.stop.cancel();
    (rig.controller.task).await.unwrap();
    let toy = rig.toys.get("a").await.unwrap();
    assert_eq!(find(&toy, "Ready"), Some(("True", "Succeeded")));
}

#[tokio::test]
async fn waiting_run_ends_at_once_and_says_nothing() {
    let rig = Rig::new::<Explicit>("stop").await;
    rig.make("a", &["note:1h"]).await;
    rig.said("a parks").await;
    let before = rig.get("a").await;
    let began = Instant::now();
    rig.controller.stop.cancel();
    (rig.controller.task).await.unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    let after = rig.toys.get("a").await.unwrap();
    assert_eq!(
        before.metadata.resource_version,
        after.metadata.resource_version
    );
    assert_eq!(find(&after, "Reconciling"), Some(("True", "Progressing")));
}

#[tokio::test]
async fn next_process_goes_on_with_what_waited_at_the_end_of_the_last() {
    let rig = Rig::new::<Explicit>("stop").await;
    rig.make("a", &["note:1h", "ok"]).await;
    rig.said("a parks").await;
    let diary = Arc::clone(&rig.controller.diary);
    rig.controller.stop.cancel();
    rig.controller.task.await.unwrap();
    let choice = Choice {
        diary,
        ..Choice::default()
    };
    let next = Controller::start::<Explicit>(&rig.client, rig.namespace.name(), choice);
    until("the object is ready", async || {
        let toy = rig.toys.get("a").await.unwrap();
        find(&toy, "Ready") == Some(("True", "Succeeded")) && find(&toy, "Reconciling").is_none()
    })
    .await;
    assert_eq!(next.diary.runs("a"), 2);
}

#[tokio::test]
async fn queued_runs_do_not_begin() {
    let choice = Choice {
        concurrent: 1,
        ..Choice::default()
    };
    let rig = Rig::with::<Explicit>("stop", choice).await;
    rig.make("a", &["slow:500ms"]).await;
    rig.said("a acts").await;
    for n in 0..10 {
        rig.make(&format!("q{n}"), &["slow:1h"]).await;
    }
    rig.controller.stop.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(10), rig.controller.task).await;
    ended.expect("queued runs went on").unwrap();
    assert!((0..10).all(|n| rig.controller.diary.runs(&format!("q{n}")) == 0));
}

#[tokio::test]
async fn waiting_cleanup_ends_and_keeps_the_finalizer() {
    let rig = Rig::new::<Explicit>("stop").await;
    rig.make("a", &["ok", "park-at-the-end"]).await;
    rig.ready("a").await;
    let params = kube::api::DeleteParams::default();
    rig.toys.delete("a", &params).await.unwrap();
    rig.said("a cleans up").await;
    rig.controller.stop.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(5), rig.controller.task).await;
    ended.expect("the cleanup went on").unwrap();
    let toy = rig.toys.get("a").await.unwrap();
    assert_eq!(toy.metadata.finalizers.unwrap(), ["finalizers.fluxcd.io"]);
}
