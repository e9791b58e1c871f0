//! What a person hears of a cluster, and what a push sets off: all controllers that have a part in it together.
//!
//! How fast that is shows `cargo bench -p lockgate-tests --bench told`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::time::Duration;

#[path = "told/world.rs"]
mod world;

use world::{PATIENCE, World};

/// How often an edit is tried: one that is made before the object is watched is seen at the next interval only.
const EDITS: usize = 4;

#[tokio::test]
async fn hand_edit_is_told_in_slack_with_its_fields_and_taken_back() {
    let world = World::new().await;
    world.alert().await;
    world.sync().await;
    assert!(world.messages().is_empty(), "all is well so far");
    let mut told = None;
    for edit in 0..EDITS {
        let replicas = 5 + edit;
        // Each by another hand: what one hand does again and again is left alone.
        world.edit(&format!("hand-{edit}"), replicas).await;
        let words = format!("/spec/replicas: {replicas} instead of 3");
        let within = PATIENCE / u32::try_from(EDITS).unwrap();
        if let Some(body) = world.told(&words, within).await {
            told = Some((edit, body));
            break;
        }
    }
    let (edit, body) = told.unwrap();
    let attachment = &body["attachments"][0];
    assert_eq!(attachment["color"], "danger");
    let text = attachment["text"].as_str().unwrap();
    assert!(text.starts_with("Drift detected in myapp-prod\n"), "{text}");
    assert!(text.contains("Deployment"), "{text}");
    assert!(text.contains(&format!("by hand-{edit}")), "{text}");
    world.as_in_git().await;
    // What follows is not about the same edit once more.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let all = world.messages();
    let same = all.iter().filter(|m| m["attachments"][0]["text"] == text);
    assert_eq!(same.count(), 1, "{all:#?}");
    let first = &all[0]["attachments"][0]["text"];
    assert!(
        first
            .as_str()
            .unwrap()
            .starts_with("Drift detected in myapp-prod\n")
    );
}

#[tokio::test]
async fn push_is_applied_by_its_hook() {
    let world = World::new().await;
    world.sync().await;
    world.hook().await;
    let checkout = world.checkout();
    checkout.commit(10);
    checkout.push();
    // The interval is an hour: only the hook can have asked for it.
    world.applied(&world.head()).await;
    let live = world.deployments().get("web").await.unwrap();
    assert_eq!(live.spec.unwrap().replicas, Some(10));
}
