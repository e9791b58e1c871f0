//! A thousand events a second from eight senders: to a service that answers in 5 ms, then to one
//! that is down all that time and comes back. Prints what was delivered and the controller's memory.
//!
//! `BENCH_SECONDS` says how long each part sends (default: 60), `BENCH_BINARY` names another build of the controller.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on ends")]

use std::{
    collections::HashSet,
    path::PathBuf,
    time::{Duration, Instant},
};

use net_http::{Client, ClientConfig, Clients, Environment, Method, Request};
use serde_json::{Value, json};
use testkit::{Answer, ControlPlane, HttpSink, Program};
use tokio::task::JoinSet;

const SENDERS: u64 = 8;
const RATE: u64 = 1000;
const PATIENCE: Duration = Duration::from_mins(9);

#[tokio::main]
async fn main() {
    let seconds = std::env::var("BENCH_SECONDS").ok();
    let seconds: u64 = seconds.and_then(|s| s.parse().ok()).unwrap_or(60);
    let plane = testkit::control_plane().await;
    let definitions = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../config/crd/bases");
    testkit::install_definitions(&plane.client(), &definitions)
        .await
        .unwrap();
    for down in [false, true] {
        part(plane, seconds, down).await;
    }
}

#[expect(clippy::print_stdout, reason = "this is what it is for")]
async fn part(plane: &ControlPlane, seconds: u64, down: bool) {
    let own = env!("CARGO_BIN_EXE_notification-controller").to_owned();
    let binary = std::env::var("BENCH_BINARY").unwrap_or(own);
    let program = Program::new(binary, plane).unwrap();
    let spool = program.folder().join("spool");
    let program = program
        .without("--events-addr")
        .listens(&["--events-addr"])
        .listens(&["--receiverAddr"])
        .flag("--spool-path", &spool.to_string_lossy())
        .start()
        .await
        .unwrap();
    let sink = HttpSink::start().unwrap();
    sink.answer(Answer::status(200).after(Duration::from_millis(5)));
    let namespace = plane.namespace("bench").await;
    objects(plane, namespace.name(), &sink.url()).await;
    let url = format!("http://{}/", program.address("--events-addr").unwrap());
    warm(&url, namespace.name(), &sink).await;
    sink.refuse(down);
    let began = Instant::now();
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let (url, namespace) = (url.clone(), namespace.name().to_owned());
        senders.spawn(async move { send(&url, &namespace, sender, seconds).await });
    }
    let mut peak = 0;
    while !senders.is_empty() {
        peak = peak.max(program.resident_bytes().unwrap());
        let pause = tokio::time::sleep(Duration::from_millis(200));
        tokio::select! {
            ended = senders.join_next() => { ended.unwrap().unwrap(); }
            () = pause => {}
        }
    }
    let sent = began.elapsed();
    sink.refuse(false);
    let wanted = usize::try_from(seconds * RATE).unwrap();
    let mut told = 0;
    while told < wanted && began.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(500)).await;
        told = distinct(&sink);
        peak = peak.max(program.resident_bytes().unwrap());
    }
    println!(
        "{}: {wanted} events in {:.1} s, {told} delivered after {:.1} s, peak {} KiB",
        if down {
            "down, then back"
        } else {
            "answering in 5 ms"
        },
        sent.as_secs_f64(),
        began.elapsed().as_secs_f64(),
        peak / 1024,
    );
    assert_eq!(told, wanted, "events were lost");
}

/// How many different events of the measurement came.
fn distinct(sink: &HttpSink) -> usize {
    let requests = sink.requests();
    let messages = requests.iter().filter_map(|r| {
        let message = r.json::<Value>().ok()?["message"].as_str()?.to_owned();
        message.starts_with("event").then_some(message)
    });
    messages.collect::<HashSet<_>>().len()
}

async fn objects(plane: &ControlPlane, namespace: &str, address: &str) {
    use kube::api::{Api, PostParams};
    let client = plane.client();
    let provider: api::notification::Provider = serde_json::from_value(json!({
        "metadata": { "name": "hook" }, "spec": { "type": "generic", "address": address } }))
    .unwrap();
    let alert: api::notification::Alert = serde_json::from_value(json!({
        "metadata": { "name": "all" }, "spec": { "providerRef": { "name": "hook" },
            "eventSources": [{ "kind": "Kustomization", "name": "*" }] } }))
    .unwrap();
    let params = PostParams::default();
    let providers = Api::namespaced(client.clone(), namespace);
    providers.create(&params, &provider).await.unwrap();
    let alerts = Api::namespaced(client, namespace);
    alerts.create(&params, &alert).await.unwrap();
}

fn client() -> Client {
    let clients = Clients::new("bench", Environment::default());
    clients.get(&ClientConfig::default()).unwrap()
}

/// Sends until the alert is known to the controller.
async fn warm(url: &str, namespace: &str, sink: &HttpSink) {
    let client = client();
    while sink.requests().is_empty() {
        post(&client, url, namespace, "app", "warming up").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn send(url: &str, namespace: &str, sender: u64, seconds: u64) {
    let client = client();
    let count = seconds * RATE / SENDERS;
    let step = Duration::from_micros(1_000_000 * SENDERS / RATE);
    let began = Instant::now();
    for n in 0..count {
        let name = format!("app-{}", (n * SENDERS + sender) % 200);
        let message = format!("event {sender}-{n} of a Kustomization that goes on and on");
        post(&client, url, namespace, &name, &message).await;
        let due = began + step * u32::try_from(n + 1).unwrap();
        tokio::time::sleep_until(due.into()).await;
    }
}

async fn post(client: &Client, url: &str, namespace: &str, name: &str, message: &str) {
    let body = json!({ "involvedObject": { "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization", "namespace": namespace, "name": name, "uid": "u" },
        "severity": "info", "timestamp": "2026-01-01T00:00:00Z", "message": message,
        "reason": "ReconciliationSucceeded", "metadata": {},
        "reportingController": "kustomize-controller", "reportingInstance": "pod" });
    let request = Request::new(Method::POST, url)
        .body(body.to_string())
        .timeout(Duration::from_secs(30));
    let answer = client.send(request).await.unwrap();
    let status = answer.status().as_u16();
    assert!(matches!(status, 202 | 429), "{status}");
    drop(answer.bytes(1024).await);
}
