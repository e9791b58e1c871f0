//! Finalizer, generations, requests, suspension, deletion.

use std::time::Duration;

use kube::{ResourceExt, api::DeleteParams};
use serde_json::json;

use crate::{
    rig::{Choice, Rig, find, until},
    toy::{Explicit, Ranked},
};

const FINALIZER: &str = "finalizers.fluxcd.io";

/// covers: SC-002
/// covers: SC-003
#[tokio::test]
async fn new_object_gets_its_finalizer_once_and_becomes_ready() {
    let rig = Rig::new::<Ranked>("life").await;
    rig.make("a", &["ok"]).await;
    let toy = rig.ready("a").await;
    assert_eq!(toy.finalizers(), [FINALIZER]);
    let status = toy.status.as_ref().unwrap();
    assert_eq!(status.observed_generation, toy.metadata.generation);
    assert_eq!(find(&toy, "Built"), Some(("True", "Succeeded")));
    assert!(find(&toy, "Reconciling").is_none() && find(&toy, "Stalled").is_none());
}

/// covers: SC-005
#[tokio::test]
async fn deleted_object_is_cleaned_up_after_and_goes() {
    let rig = Rig::new::<Ranked>("life").await;
    rig.make("a", &["ok"]).await;
    rig.ready("a").await;
    rig.toys
        .delete("a", &DeleteParams::default())
        .await
        .unwrap();
    until("a is gone", async || {
        rig.toys.get_opt("a").await.unwrap().is_none()
    })
    .await;
    assert!(rig.controller.diary.has("a cleans up"));
    rig.said("a forgotten").await;
    let metrics = rig.controller.metrics.print().unwrap();
    assert!(!metrics.contains(r#"name="a""#));
}

#[tokio::test]
async fn cleanup_that_panics_keeps_the_finalizer_and_is_tried_again() {
    let rig = Rig::new::<Ranked>("life").await;
    rig.make("a", &["ok", "panic-at-the-end"]).await;
    rig.ready("a").await;
    rig.toys
        .delete("a", &DeleteParams::default())
        .await
        .unwrap();
    until("a is gone", async || {
        rig.toys.get_opt("a").await.unwrap().is_none()
    })
    .await;
    assert_eq!(rig.controller.diary.runs("end of a"), 2);
}

/// covers: SC-001, IA-071
#[tokio::test]
async fn object_that_goes_before_it_had_our_finalizer_does_not_get_it() {
    let plane = testkit::control_plane().await;
    crate::rig::define(&plane.client(), "toys", "Toy").await;
    let namespace = plane.namespace("life").await;
    let toys: kube::Api<crate::toy::Toy> = kube::Api::namespaced(plane.client(), namespace.name());
    let toy = json!({ "apiVersion": "test.lockgate.dev/v1", "kind": "Toy",
        "metadata": { "name": "a", "finalizers": ["example.org/other"] },
        "spec": { "script": ["ok"] } });
    let toy = serde_json::from_value(toy).unwrap();
    toys.create(&kube::api::PostParams::default(), &toy)
        .await
        .unwrap();
    toys.delete("a", &DeleteParams::default()).await.unwrap();
    let (client, name) = (plane.client(), namespace.name());
    let controller = crate::rig::Controller::start::<Ranked>(&client, name, Choice::default());
    until("a is looked at", async || {
        controller.diary.has("a forgotten")
    })
    .await;
    let toy = toys.get("a").await.unwrap();
    assert_eq!(toy.finalizers(), ["example.org/other"]);
    assert!(!controller.diary.has("a cleans up"));
}

/// covers: SC-004
#[tokio::test]
async fn request_is_answered_with_its_value() {
    let rig = Rig::new::<Ranked>("life").await;
    rig.make("a", &["ok"]).await;
    rig.ready("a").await;
    let runs = rig.controller.diary.runs("a");
    rig.request("a", "2026-01-02T03:04:05Z").await;
    until("the request is handled", async || {
        let status = rig.get("a").await.status.unwrap();
        status.last_handled_reconcile_at.as_deref() == Some("2026-01-02T03:04:05Z")
    })
    .await;
    assert_eq!(rig.controller.diary.runs("a"), runs + 1);
}

#[tokio::test]
async fn steady_runs_without_news_write_nothing() {
    let rig = Rig::new::<Ranked>("life").await;
    let more = json!({ "interval": "200ms" });
    rig.make_with("a", &["ok"], more).await;
    rig.ready("a").await;
    rig.request("a", "now").await;
    until("the request is handled", async || {
        let status = rig.get("a").await.status.unwrap();
        status.last_handled_reconcile_at.is_some()
    })
    .await;
    // Any run that is still closing ends before the next one begins.
    let runs = rig.controller.diary.runs("a");
    until("one more run", async || {
        rig.controller.diary.runs("a") > runs
    })
    .await;
    let (runs, writes) = (
        rig.controller.diary.runs("a"),
        rig.controller.status_writes(),
    );
    let before = rig.get("a").await;
    until("five runs more", async || {
        rig.controller.diary.runs("a") >= runs + 5
    })
    .await;
    let after = rig.get("a").await;
    assert_eq!(before.resource_version(), after.resource_version());
    assert_eq!(rig.controller.status_writes(), writes);
}

#[tokio::test]
async fn suspended_object_is_left_alone_and_its_request_answered() {
    for closes in [true, false] {
        let rig = if closes {
            Rig::new::<Ranked>("life").await
        } else {
            Rig::new::<Explicit>("life").await
        };
        rig.make("a", &["ok"]).await;
        rig.ready("a").await;
        let suspended = rig.merge("a", json!({ "spec": { "suspend": true } })).await;
        let suspended = suspended.metadata.generation;
        rig.request("a", "please").await;
        until("the request is handled", async || {
            let status = rig.get("a").await.status.unwrap();
            status.last_handled_reconcile_at.as_deref() == Some("please")
        })
        .await;
        assert_eq!(rig.controller.diary.runs("a"), 1);
        let toy = rig.get("a").await;
        let observed = toy.status.as_ref().unwrap().observed_generation;
        // Ready stands, so it speaks for the suspended generation: as upstream's recorded runs have it.
        assert_eq!(observed, suspended);
        assert_eq!(find(&toy, "Ready"), Some(("True", "Succeeded")));
    }
}

#[tokio::test]
async fn conditions_of_other_controllers_survive() {
    let rig = Rig::new::<Ranked>("life").await;
    rig.make("a", &["ok"]).await;
    let toy = rig.ready("a").await;
    let mut conditions = toy.status.unwrap().conditions;
    let mut foreign = conditions[0].clone();
    foreign.type_ = "AAA".into();
    foreign.observed_generation = None;
    conditions.insert(0, foreign);
    let patch = json!({ "status": { "conditions": conditions } });
    let params = kube::api::PatchParams::default();
    rig.toys
        .patch_status("a", &params, &kube::api::Patch::Merge(patch))
        .await
        .unwrap();
    rig.merge("a", json!({ "spec": { "interval": "2h" } }))
        .await;
    until("the new generation is observed", async || {
        let toy = rig.get("a").await;
        toy.status.unwrap().observed_generation == toy.metadata.generation
    })
    .await;
    let toy = rig.ready("a").await;
    assert_eq!(find(&toy, "AAA").map(|c| c.0), Some("True"));
}

#[tokio::test]
async fn object_outside_the_selector_is_not_touched_until_it_is_inside() {
    let choice = Choice {
        selector: Some("shard=two".into()),
        ..Choice::default()
    };
    let rig = Rig::with::<Ranked>("life", choice).await;
    rig.make("a", &["ok"]).await;
    rig.make("b", &["ok"]).await;
    let into = |shard: &str| json!({ "metadata": { "labels": { "shard": shard } } });
    rig.merge("b", into("two")).await;
    rig.ready("b").await;
    assert_eq!(rig.controller.diary.runs("a"), 0);
    assert!(rig.get("a").await.finalizers().is_empty());
    // Out and in again: nothing else has changed, and yet it has to be looked at.
    rig.merge("b", into("one")).await;
    rig.said("b forgotten").await;
    rig.merge("b", into("two")).await;
    until("b runs again", async || rig.controller.diary.runs("b") == 2).await;
}

/// Field 6.2: Flux's CVE-2022-39272.
#[tokio::test]
async fn object_that_cannot_be_read_does_not_stop_the_others() {
    let rig = Rig::new::<Ranked>("life").await;
    rig.make("bad", &["ok"]).await;
    rig.ready("bad").await;
    rig.merge("bad", json!({ "spec": { "script": 7 } })).await;
    rig.make("good", &["ok"]).await;
    rig.ready("good").await;
    rig.said("bad forgotten").await;
    rig.merge("bad", json!({ "spec": { "script": ["ok"] } }))
        .await;
    until("bad runs again", async || {
        rig.controller.diary.runs("bad") == 2
    })
    .await;
    rig.ready("bad").await;
    // One that was there, unreadable, before a controller started.
    rig.merge("good", json!({ "spec": { "script": 7 } })).await;
    let second = crate::rig::Controller::start::<Ranked>(
        &rig.client,
        rig.namespace.name(),
        Choice::default(),
    );
    until("the second one runs bad", async || {
        second.diary.runs("bad") == 1
    })
    .await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(second.diary.runs("good"), 0);
}
