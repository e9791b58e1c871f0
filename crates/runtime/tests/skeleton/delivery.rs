//! Events as they arrive.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Event;
use kube::{Api, api::ListParams};
use serde_json::json;
use testkit::HttpSink;

use crate::{
    rig::{Choice, Rig, until},
    toy::Explicit,
};

#[tokio::test]
async fn same_words_about_the_same_object_count_one_event_up() {
    let rig = Rig::new::<Explicit>("events").await;
    let toy = rig
        .make_with("a", &["retry"], json!({ "retryInterval": "100ms" }))
        .await;
    let annotations = json!({ "event.toolkit.fluxcd.io/team": "blue", "example.org/x": "y" });
    rig.merge("a", json!({ "metadata": { "annotations": annotations } }))
        .await;
    let events: Api<Event> = Api::namespaced(rig.client.clone(), rig.namespace.name());
    let mut found = Vec::new();
    until("an event counts three", async || {
        found = events.list(&ListParams::default()).await.unwrap().items;
        found.iter().any(|e| e.count >= Some(3))
    })
    .await;
    assert_eq!(found.len(), 1);
    let event = &found[0];
    assert_eq!(event.type_.as_deref(), Some("Warning"));
    assert_eq!(event.reason.as_deref(), Some("Broken"));
    assert_eq!(event.message.as_deref(), Some("it is broken"));
    assert_eq!(event.involved_object.uid, toy.metadata.uid);
    assert_eq!(event.involved_object.kind.as_deref(), Some("Toy"));
    let source = event.source.as_ref().unwrap();
    assert_eq!(source.component.as_deref(), Some("toy-controller"));
    let annotations = event.metadata.annotations.as_ref().unwrap();
    assert_eq!(annotations["event.toolkit.fluxcd.io/team"], "blue");
    assert!(!annotations.contains_key("example.org/x"));
}

#[tokio::test]
async fn receiver_that_hangs_holds_no_run_back() {
    let sink = HttpSink::start().unwrap();
    sink.answer(testkit::Answer::status(200).after(Duration::from_mins(1)));
    let choice = Choice {
        webhook: Some(sink.url()),
        concurrent: 1,
        ..Choice::default()
    };
    let rig = Rig::with::<Explicit>("events", choice).await;
    let began = Instant::now();
    for n in 0..20 {
        rig.make(&format!("a{n}"), &["stall"]).await;
    }
    for n in 0..20 {
        rig.condition(&format!("a{n}"), "Stalled", "True", "Wrong")
            .await;
    }
    // Each of the twenty would have waited five seconds for an answer.
    let took = began.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
    sink.wait_for(1, Duration::from_secs(5)).await.unwrap();
    // Nor does it hold the other receiver back.
    let events: Api<Event> = Api::namespaced(rig.client.clone(), rig.namespace.name());
    until("all events are written", async || {
        events
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
            .len()
            == 20
    })
    .await;
}

#[tokio::test]
async fn events_are_delivered_before_the_process_ends() {
    let sink = HttpSink::start().unwrap();
    let choice = Choice {
        webhook: Some(sink.url()),
        ..Choice::default()
    };
    let rig = Rig::with::<Explicit>("events", choice).await;
    rig.make("a", &["stall"]).await;
    rig.condition("a", "Stalled", "True", "Wrong").await;
    rig.controller.stop.cancel();
    rig.controller.task.await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(5), rig.controller.events).await;
    ended.expect("the recorder goes on").unwrap();
    let body: serde_json::Value = sink.requests()[0].json().unwrap();
    assert_eq!(body["reason"], "Wrong");
    assert_eq!(body["severity"], "error");
    assert_eq!(body["involvedObject"]["name"], "a");
    assert_eq!(body["reportingInstance"], "pod-1");
}
