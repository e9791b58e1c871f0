//! Runs that wait: without a permit, and not for what has become pointless.

use std::time::{Duration, Instant};

use kube::api::DeleteParams;
use serde_json::json;

use crate::{
    rig::{Choice, Rig, until},
    toy::Explicit,
};

fn one_permit() -> Choice {
    Choice {
        concurrent: 1,
        ..Choice::default()
    }
}

#[tokio::test]
async fn waiting_objects_hold_no_permit() {
    let rig = Rig::with::<Explicit>("waits", one_permit()).await;
    for n in 0..50 {
        rig.make(&format!("w{n}"), &["park:1h"]).await;
    }
    for n in 0..50 {
        rig.said(&format!("w{n} parks")).await;
    }
    let began = Instant::now();
    rig.make("other", &["ok"]).await;
    rig.ready("other").await;
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn wait_takes_its_permit_back_before_it_goes_on() {
    let rig = Rig::with::<Explicit>("waits", one_permit()).await;
    rig.make("a", &["park:200ms"]).await;
    rig.said("a parks").await;
    rig.make("b", &["slow:1s"]).await;
    rig.said("b acts").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!rig.controller.diary.has("a acted"));
    rig.ready("b").await;
    rig.ready("a").await;
}

#[tokio::test]
async fn newer_generation_request_and_suspension_end_a_wait() {
    let rig = Rig::new::<Explicit>("waits").await;
    let changes = [
        json!({ "spec": { "interval": "2h" } }),
        json!({ "metadata": { "annotations": { "reconcile.fluxcd.io/requestedAt": "x" } } }),
        json!({ "spec": { "suspend": true } }),
    ];
    for (n, change) in changes.into_iter().enumerate() {
        let name = format!("a{n}");
        rig.make(&name, &["note:1h", "ok"]).await;
        rig.said(&format!("{name} parks")).await;
        rig.condition(&name, "Reconciling", "True", "Progressing")
            .await;
        rig.merge(&name, change).await;
        let by = format!("Toy/{}/{name}", rig.namespace.name());
        rig.said(&format!("{name} superseded by {by}")).await;
    }
    rig.ready("a0").await;
    rig.ready("a1").await;
    assert_eq!(rig.controller.diary.runs("a2"), 1);
}

#[tokio::test]
async fn deletion_ends_a_wait() {
    let rig = Rig::new::<Explicit>("waits").await;
    rig.make("a", &["park:1h"]).await;
    rig.said("a parks").await;
    rig.toys
        .delete("a", &DeleteParams::default())
        .await
        .unwrap();
    until("a is gone", async || {
        rig.toys.get_opt("a").await.unwrap().is_none()
    })
    .await;
    assert!(rig.controller.diary.has("a cleans up"));
}

#[tokio::test]
async fn object_torn_away_ends_a_wait() {
    let rig = Rig::new::<Explicit>("waits").await;
    rig.make("a", &["park:1h"]).await;
    rig.said("a parks").await;
    // Gone at once: no deletion for us to see, and no finalizer of ours to wait for.
    rig.merge("a", json!({ "metadata": { "finalizers": null } }))
        .await;
    rig.toys
        .delete("a", &DeleteParams::default())
        .await
        .unwrap();
    let by = format!("Toy/{}/a", rig.namespace.name());
    rig.said(&format!("a superseded by {by}")).await;
    until("nothing is left of a", async || {
        !rig.controller
            .metrics
            .print()
            .unwrap()
            .contains(r#"name="a""#)
    })
    .await;
}

#[tokio::test]
async fn change_that_comes_while_a_run_is_queued_is_what_it_acts_on() {
    let rig = Rig::with::<Explicit>("waits", one_permit()).await;
    rig.make("busy", &["slow:1s"]).await;
    rig.said("busy acts").await;
    rig.make("a", &["park:1h"]).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    rig.merge("a", json!({ "spec": { "script": ["ok"] } }))
        .await;
    rig.ready("a").await;
    assert!(!rig.controller.diary.has("a parks"));
}
