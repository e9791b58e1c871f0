//! Notifications that cannot be sent at once, or at all.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::Answer;

use crate::world::{PATIENCE, World};

async fn hooked(world: &World) {
    let address = format!("{}/hook/with/a/secret-path", world.sink.url());
    world
        .provider("hook", json!({ "type": "generic", "address": address }))
        .await;
    world.alert("all", "hook", json!({})).await;
    world.until_told(json!({ "message": "first" })).await;
}

#[tokio::test]
async fn notification_survives_a_kill_while_the_service_is_down() {
    let (world, program) = World::alone(|p| p).await;
    hooked(&world).await;
    world.sink.refuse(true);
    for n in 0..5 {
        assert_eq!(
            world
                .post(json!({ "message": format!("number {n}!") }))
                .await
                .status,
            202
        );
    }
    program.kill();
    world.sink.refuse(false);
    program.restart().await.unwrap();
    // At least once: what was on its way at the kill may come twice.
    let mut expect = std::collections::BTreeSet::from(["first".to_owned()]);
    expect.extend((0..5).map(|n| format!("number {n}!")));
    world
        .until("all are there", || async {
            let requests = world.sink.requests().into_iter();
            let bodies = requests.map(|r| r.json::<Value>().unwrap());
            let messages = bodies.map(|b| b["message"].as_str().unwrap().to_owned());
            messages.collect::<std::collections::BTreeSet<_>>() == expect
        })
        .await;
}

#[tokio::test]
async fn service_that_is_down_for_a_while_gets_everything_and_the_status_says_so() {
    let world = World::new().await;
    hooked(&world).await;
    world.sink.answer_once(Answer::status(503));
    world.post(json!({ "message": "retried" })).await;
    let requests = world.sink.wait_for(3, PATIENCE).await.unwrap();
    let last: Value = requests[2].json().unwrap();
    assert_eq!(last["message"], "retried");
    let words = "failed to send notification for Kustomization/";
    let event = world
        .told("Alert", "all", "NotificationDispatchFailed", words)
        .await;
    let message = event.message.unwrap();
    assert!(message.ends_with("status code 503: "), "{message}");
    world
        .until("the status tells of both", || async {
            let status = world.providers().get("hook").await.unwrap().status;
            status.is_some_and(|s| {
                s.conditions.is_empty()
                    && s.last_delivery_time.is_some()
                    && s.last_failure_message.is_some_and(|m| m.contains("503"))
            })
        })
        .await;
}

#[tokio::test]
async fn refused_notification_is_told_and_may_be_sent_again() {
    let world = World::new().await;
    hooked(&world).await;
    world.sink.answer_once(Answer::status(400));
    assert_eq!(
        world.post(json!({ "message": "refused" })).await.status,
        202
    );
    let event = world
        .told(
            "Alert",
            "all",
            "NotificationDispatchFailed",
            "status code 400",
        )
        .await;
    assert!(!event.message.unwrap().contains("secret-path"));
    world
        .until("the same event is not a duplicate", || async {
            world.post(json!({ "message": "refused" })).await.status == 202
        })
        .await;
    let requests = world.sink.wait_for(3, PATIENCE).await.unwrap();
    let last: Value = requests[2].json().unwrap();
    assert_eq!(last["message"], "refused");
}

#[tokio::test]
async fn hanging_and_redirecting_services_get_no_more_than_their_share() {
    let world = World::new().await;
    let other = testkit::HttpSink::start().unwrap();
    let address = world.sink.url();
    let spec = json!({ "type": "generic", "address": address, "timeout": "1s" });
    world.provider("hook", spec).await;
    world.alert("all", "hook", json!({})).await;
    world.until_told(json!({ "message": "first" })).await;
    world
        .sink
        .answer_once(Answer::status(307).header("location", &other.url()));
    world.post(json!({ "message": "redirected" })).await;
    world
        .told(
            "Alert",
            "all",
            "NotificationDispatchFailed",
            "status code 307",
        )
        .await;
    assert!(
        other.requests().is_empty(),
        "what is sent goes nowhere else"
    );
    world
        .sink
        .answer_once(Answer::status(200).after(Duration::from_secs(20)));
    world.post(json!({ "message": "hanging" })).await;
    world
        .told(
            "Alert",
            "all",
            "NotificationDispatchFailed",
            "no answer within 1s",
        )
        .await;
}

#[tokio::test]
async fn metadata_addresses_are_refused() {
    let world = World::new().await;
    let address = "http://169.254.169.254/latest/meta-data/";
    world
        .provider("hook", json!({ "type": "generic", "address": address }))
        .await;
    world.alert("all", "hook", json!({})).await;
    world
        .until("it is told", || async {
            world.post(json!({})).await;
            let events = world.events_of("Alert", "all").await;
            events.iter().any(|e| {
                e.message
                    .as_deref()
                    .is_some_and(|m| m.contains("it is a metadata address"))
            })
        })
        .await;
}

/// covers: NC-011, NC-012, NC-015, NC-019
#[tokio::test]
async fn providers_that_cannot_be_used_are_told_once_per_alert() {
    let world = World::new().await;
    let url = world.sink.url();
    let generic = |more: Value| {
        let mut spec = json!({ "type": "generic", "address": url });
        spec.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        spec
    };
    let absent = json!({ "secretRef": { "name": "absent" } });
    world.provider("no-secret", generic(absent.clone())).await;
    let mut suspended = absent;
    suspended["suspend"] = json!(true);
    world.provider("suspended", generic(suspended)).await;
    let account = json!({ "type": "googlepubsub", "address": "p", "channel": "t",
        "serviceAccountName": "x" });
    world.provider("account", account).await;
    world.provider("hook", generic(json!({}))).await;
    for name in ["absent", "no-secret", "suspended", "account", "hook"] {
        world.alert(name, name, json!({})).await;
    }
    world.until_told(json!({})).await;
    for (alert, words) in [
        (
            "absent",
            "failed to read provider: Provider.notification.toolkit.fluxcd.io \"absent\" not found",
        ),
        ("no-secret", "failed to get secret"),
        (
            "account",
            "please enable the ObjectLevelWorkloadIdentity feature gate",
        ),
    ] {
        world
            .told("Alert", alert, "NotificationDispatchFailed", words)
            .await;
    }
    assert!(world.events_of("Alert", "suspended").await.is_empty());
}

/// Malformed bodies are refused, and harm nobody.
///
/// covers: NC-050
#[tokio::test]
async fn nonsense_at_the_event_server_is_refused() {
    let world = World::new().await;
    for body in ["", "{", "[]", "null", "\"x\"", r#"{"message":[]}"#, "\u{0}"] {
        let answer = world.send(&world.events, &[], body.into()).await;
        assert_eq!(answer.status, 400, "{body}");
    }
    let limit = 3 * 1024 * 1024;
    let empty = world.event(json!({ "message": "" })).to_string();
    for (size, expect) in [(limit, 202), (limit + 1, 413), (2 * limit, 413)] {
        let filling = "x".repeat(size - empty.len());
        let body = world.event(json!({ "message": filling })).to_string();
        assert_eq!(body.len(), size);
        let answer = world.send(&world.events, &[], body.into()).await;
        assert_eq!(answer.status, expect, "{size}");
    }
    assert_eq!(world.post(json!({})).await.status, 202);
}
