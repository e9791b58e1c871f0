//! How runs end: well, badly, with a panic; and when they are tried again.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    rig::{Choice, Rig, find, until},
    toy::{Explicit, Ranked},
};

/// covers: SC-006
/// covers: SC-016
#[tokio::test]
async fn failure_is_retried_ever_later_and_does_not_count_as_observed() {
    let choice = Choice {
        retry_delay: (Duration::from_millis(200), Duration::from_mins(1)),
        ..Choice::default()
    };
    let rig = Rig::with::<Ranked>("runs", choice).await;
    let began = Instant::now();
    rig.make("a", &["retry", "retry", "retry", "ok"]).await;
    let toy = rig
        .condition("a", "Reconciling", "True", "ProgressingWithRetry")
        .await;
    assert_eq!(toy.status.as_ref().unwrap().observed_generation, None);
    assert_eq!(find(&toy, "Ready").unwrap().0, "False");
    rig.ready("a").await;
    // 200 + 400 + 800 ms.
    assert!(began.elapsed() >= Duration::from_millis(1400));
    assert_eq!(rig.controller.diary.runs("a"), 4);
}

#[tokio::test]
async fn flat_retries_come_at_their_interval() {
    let rig = Rig::new::<Explicit>("runs").await;
    let began = Instant::now();
    let more = json!({ "retryInterval": "300ms" });
    rig.make_with("a", &["retry", "retry", "retry", "ok"], more)
        .await;
    rig.condition("a", "Ready", "False", "Broken").await;
    rig.ready("a").await;
    assert!(began.elapsed() >= Duration::from_millis(900));
    assert_eq!(rig.controller.diary.runs("a"), 4);
}

#[tokio::test]
async fn flat_retry_without_an_interval_is_retried_all_the_same() {
    let rig = Rig::new::<Explicit>("runs").await;
    rig.make("a", &["retry", "ok"]).await;
    rig.ready("a").await;
}

/// covers: SC-018
#[tokio::test]
async fn run_that_succeeds_and_leaves_the_object_unready_counts_as_failed_and_is_retried() {
    let choice = Choice {
        retry_delay: (Duration::from_millis(500), Duration::from_mins(1)),
        ..Choice::default()
    };
    let rig = Rig::with::<Ranked>("runs", choice).await;
    let began = Instant::now();
    rig.make("a", &["sour", "sour", "ok"]).await;
    let toy = rig.condition("a", "Ready", "False", "Sour").await;
    let ready = &toy.status.as_ref().unwrap().conditions;
    let ready = ready.iter().find(|condition| condition.type_ == "Ready");
    assert_eq!(ready.unwrap().message, "it went sour");
    rig.ready("a").await;
    // 500 + 1000 ms.
    assert!(began.elapsed() >= Duration::from_millis(1500));
    let metrics = rig.controller.metrics.print().unwrap();
    assert!(metrics.contains(r#"reconcile_errors_total{controller="toy"} 2"#));
    assert!(metrics.contains(r#"retries_total{controller="toy",name="toy"} 2"#));
}

/// covers: SC-012
/// covers: SC-013
#[tokio::test]
async fn waiting_is_no_error_and_comes_back_when_it_said() {
    let rig = Rig::new::<Ranked>("runs").await;
    rig.make("a", &["wait:300ms", "ok"]).await;
    rig.ready("a").await;
    assert_eq!(rig.controller.diary.runs("a"), 2);
    let more = json!({ "interval": "300ms" });
    rig.make_with("b", &["wait:0s", "ok"], more).await;
    let metrics = || rig.controller.metrics.print().unwrap();
    assert!(metrics().contains(r#"total{controller="toy",result="error"} 0"#));
    rig.ready("b").await;
}

/// covers: SC-010
#[tokio::test]
async fn stalled_object_is_not_tried_again_until_it_changes() {
    let rig = Rig::new::<Explicit>("runs").await;
    rig.make_with("a", &["stall", "ok"], json!({ "interval": "100ms" }))
        .await;
    let toy = rig.condition("a", "Stalled", "True", "Wrong").await;
    assert_eq!(
        toy.status.as_ref().unwrap().observed_generation,
        toy.metadata.generation
    );
    assert_eq!(find(&toy, "Ready"), Some(("False", "Wrong")));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(rig.controller.diary.runs("a"), 1);
    rig.request("a", "again").await;
    let toy = rig.ready("a").await;
    assert!(find(&toy, "Stalled").is_none());
}

/// covers: SC-014
/// covers: SC-015
/// covers: SC-027
#[tokio::test]
async fn failure_ends_the_run_at_its_stage_and_the_stall_before_it() {
    let choice = Choice {
        retry_delay: (Duration::from_secs(1), Duration::from_mins(1)),
        ..Choice::default()
    };
    let rig = Rig::with::<Ranked>("runs", choice).await;
    rig.make("a", &["stall", "retry", "wait:1s", "slow:0s"])
        .await;
    rig.condition("a", "Stalled", "True", "Wrong").await;
    rig.request("a", "again").await;
    let toy = rig
        .condition("a", "Reconciling", "True", "ProgressingWithRetry")
        .await;
    assert!(find(&toy, "Stalled").is_none());
    rig.ready("a").await;
    assert_eq!(rig.controller.diary.runs("a"), 4);
    assert_eq!(
        rig.controller.diary.count("a acts"),
        1,
        "those that failed before it did not begin it"
    );
}

/// covers: KC-084
#[tokio::test]
async fn panic_fails_its_own_object_and_stops_nothing_else() {
    let rig = Rig::new::<Explicit>("runs").await;
    let more = || json!({ "retryInterval": "100ms" });
    for stage in ["panic-gather", "panic-plan", "panic-act"] {
        rig.make_with(stage, &[stage, stage, "ok"], more()).await;
    }
    rig.make("calm", &["ok"]).await;
    rig.ready("calm").await;
    for stage in ["panic-gather", "panic-plan", "panic-act"] {
        rig.ready(stage).await;
        assert_eq!(rig.controller.diary.runs(stage), 3);
    }
    assert!(!rig.controller.task.is_finished());
    let metrics = rig.controller.metrics.print().unwrap();
    assert!(metrics.contains(r#"reconcile_errors_total{controller="toy"} 6"#));
    assert!(metrics.contains(r#"active_workers{controller="toy"} 0"#));
}

#[tokio::test]
async fn each_action_of_several_sees_what_the_one_before_wrote() {
    let rig = Rig::new::<Explicit>("runs").await;
    rig.make("a", &["more", "more", "more", "ok"]).await;
    let toy = rig.ready("a").await;
    assert_eq!(toy.status.unwrap().step, Some(3));
}

#[tokio::test]
async fn checkpoint_is_durable_before_the_act_goes_on() {
    let rig = Rig::new::<Explicit>("runs").await;
    rig.make("a", &["checkpoint"]).await;
    rig.said("a goes on").await;
    // As a kill does it: nothing more is written.
    rig.controller.task.abort();
    let toy = rig.get("a").await;
    assert_eq!(toy.status.unwrap().step, Some(1));
}

#[tokio::test]
async fn object_made_anew_under_the_same_name_is_reconciled() {
    let rig = Rig::new::<Ranked>("runs").await;
    rig.make("a", &["ok"]).await;
    rig.ready("a").await;
    rig.toys
        .delete("a", &kube::api::DeleteParams::default())
        .await
        .unwrap();
    until("a is gone", async || {
        rig.toys.get_opt("a").await.unwrap().is_none()
    })
    .await;
    rig.make("a", &["ok"]).await;
    rig.ready("a").await;
}
