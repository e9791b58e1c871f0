use jiff::Timestamp;
use serde_json::{Value, json};
use testkit::{Answer as Reply, HttpSink};

use super::*;
use crate::Note;

/// So long is no machine busy with something else.
const PATIENT: Pace = Pace {
    timeout: Duration::from_secs(1),
    pause: Duration::from_millis(10),
    patience: Duration::from_mins(1),
};
const ANSWERS_AFTER: Duration = Duration::from_mins(1);

fn entry(message: &str) -> Entry {
    Entry {
        about: ObjectReference {
            api_version: Some("kustomize.toolkit.fluxcd.io/v1".into()),
            kind: Some("Kustomization".into()),
            name: Some("apps".into()),
            namespace: Some("ns".into()),
            uid: Some("u".into()),
            resource_version: Some("7".into()),
            field_path: None,
        },
        note: Note::info("Succeeded", message).with("kustomize.toolkit.fluxcd.io/revision", "r1"),
        at: Timestamp::now(),
    }
}

fn webhook(url: String) -> Webhook {
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    Webhook::with_pace(url, "kustomize-controller", "pod-1".into(), PATIENT).unwrap()
}

#[tokio::test]
async fn body_has_the_shape_that_the_receiver_reads() {
    let sink = HttpSink::start().unwrap();
    let mut entry = entry("done");
    entry.at = Timestamp::new(1_800_000_000, 5).unwrap();
    let answer = webhook(sink.url()).post(&entry).await;
    assert!(matches!(answer, super::Answer::Done));
    let requests = sink.requests();
    assert_eq!(requests[0].method, "POST");
    assert_eq!(requests[0].header("content-type"), Some("application/json"));
    let body: Value = requests[0].json().unwrap();
    let expect = json!({
        "involvedObject": { "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization", "name": "apps", "namespace": "ns", "uid": "u",
            "resourceVersion": "7" },
        "severity": "info", "timestamp": "2027-01-15T08:00:00Z", "message": "done",
        "reason": "Succeeded", "metadata": { "kustomize.toolkit.fluxcd.io/revision": "r1" },
        "reportingController": "kustomize-controller", "reportingInstance": "pod-1" });
    assert_eq!(body, expect);
}

#[tokio::test]
async fn server_errors_are_tried_again_in_order() {
    let sink = HttpSink::start().unwrap();
    sink.answer_once(Reply::status(503));
    sink.answer_once(Reply::status(500));
    let (queue, entries) = mpsc::channel(8);
    let running = tokio::spawn(webhook(sink.url()).run(entries));
    queue.send(entry("one")).await.unwrap();
    queue.send(entry("two")).await.unwrap();
    drop(queue);
    running.await.unwrap();
    let messages: Vec<_> = sink
        .requests()
        .iter()
        .map(|r| r.json::<Value>().unwrap()["message"].clone())
        .collect();
    assert_eq!(messages, ["one", "one", "one", "two"]);
}

#[tokio::test]
async fn duplicate_and_refused_notifications_are_not_tried_again() {
    for code in [429, 400, 413] {
        let sink = HttpSink::start().unwrap();
        sink.answer(Reply::status(code));
        webhook(sink.url())
            .send(&entry("one"), Instant::now())
            .await;
        assert_eq!(sink.requests().len(), 1, "{code}");
    }
}

#[tokio::test]
async fn notification_waits_for_a_receiver_that_comes_back() {
    let sink = HttpSink::start().unwrap();
    sink.refuse(true);
    let hook = webhook(sink.url());
    let sending = tokio::spawn(async move { hook.send(&entry("one"), Instant::now()).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(sink.requests().is_empty());
    sink.refuse(false);
    sending.await.unwrap();
    assert_eq!(sink.requests().len(), 1);
}

#[tokio::test]
async fn old_notification_is_tried_once_so_that_the_queue_drains() {
    let sink = HttpSink::start().unwrap();
    sink.answer(Reply::status(503));
    let mut late = entry("one");
    late.at = Timestamp::now() - jiff::SignedDuration::from_secs(60);
    webhook(sink.url()).send(&late, Instant::now()).await;
    assert_eq!(sink.requests().len(), 1);
}

#[tokio::test]
async fn receiver_that_does_not_answer_is_given_up_after_the_patience() {
    let sink = HttpSink::start().unwrap();
    sink.answer(Reply::status(200).after(ANSWERS_AFTER));
    let mut hook = webhook(sink.url());
    hook.client = reqwest::Client::builder()
        .timeout(Duration::from_millis(300))
        .build()
        .unwrap();
    hook.pace.patience = Duration::from_secs(2);
    let began = Instant::now();
    hook.send(&entry("one"), began).await;
    assert!(began.elapsed() < ANSWERS_AFTER);
}
