//! `docs/observability.md`: a commit and what became of it are one trace, in a collector that someone else could have written.

use std::time::Instant;

use serde_json::Value;
use testkit::{GitServer, HttpSink};

use crate::world::{PATIENCE, config, controller, map, objects, put, repository, unit};

/// The spans that a collector was sent so far, each with the name of the process that sent it.
fn spans(sink: &HttpSink) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for request in sink.requests() {
        assert_eq!(request.target, "/v1/traces");
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        for resource in body["resourceSpans"].as_array().unwrap() {
            let facts = resource["resource"]["attributes"].as_array().unwrap();
            let service = facts
                .iter()
                .find(|fact| fact["key"] == "service.name")
                .unwrap();
            let service = service["value"]["stringValue"].as_str().unwrap();
            for scope in resource["scopeSpans"].as_array().unwrap() {
                let spans = scope["spans"].as_array().unwrap().iter();
                all.extend(spans.map(|span| (service.to_owned(), span.clone())));
            }
        }
    }
    all
}

fn find<'s>(all: &'s [(String, Value)], name: &str, parent: Option<&Value>) -> Option<&'s Value> {
    let of = |span: &Value| parent.is_none_or(|parent| span["parentSpanId"] == parent["spanId"]);
    let mut spans = all.iter().map(|(_, span)| span);
    spans.find(|span| span["name"] == name && of(span))
}

/// Waits until the span is told of the unit that waited for its objects' health.
async fn until_healthy(sink: &HttpSink) -> Vec<(String, Value)> {
    let began = Instant::now();
    loop {
        let all = spans(sink);
        let run = find(&all, "Kustomization app", None);
        if run.is_some_and(|run| find(&all, "health", Some(run)).is_some()) {
            return all;
        }
        assert!(began.elapsed() < PATIENCE, "{all:#?}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_commit_and_what_became_of_it_are_one_trace() {
    let plane = testkit::control_plane().await;
    let client = plane.client();
    testkit::install_definitions(&client, &config("crd/bases"))
        .await
        .unwrap();
    let namespace = plane.namespace("traces").await;
    let ns = namespace.name();
    let sink = HttpSink::start().unwrap();
    let git = GitServer::start().unwrap();
    let origin = git.repository("app").unwrap();
    let first = origin.commit("main", "first");
    let commit = first
        .write("deploy/app.yaml", map("app", "one"))
        .push()
        .unwrap();
    let traced = |name: &str| {
        controller(plane, name, &namespace).env("OTEL_EXPORTER_OTLP_ENDPOINT", &sink.url())
    };
    let source = traced("source-controller");
    let _source = source.stores_artifacts().unwrap().start().await.unwrap();
    let _kustomize = traced("kustomize-controller").start().await.unwrap();
    let more = format!("  wait: true\n  targetNamespace: {ns}\n");
    for text in [
        repository("app", origin.url(), "branch: main"),
        unit("app", "app", "./deploy", &more),
    ] {
        put(&client, &objects(&text)[0], ns).await.unwrap();
    }
    let all = until_healthy(&sink).await;
    let published = find(&all, "GitRepository app", None).unwrap();
    let applied = find(&all, "Kustomization app", Some(published)).unwrap();
    for stage in ["gather", "plan", "act", "health"] {
        let span = find(&all, stage, Some(applied));
        let span = span.unwrap_or_else(|| panic!("no {stage}: {all:#?}"));
        assert_eq!(span["traceId"], published["traceId"], "{stage}");
    }
    assert_eq!(applied["status"]["code"], 1);
    let revision = format!("main@sha1:{commit}");
    let named = |span: &Value| {
        let facts = span["attributes"].as_array().unwrap().iter();
        let mut facts = facts.filter(|fact| fact["key"] == "gitops.revision");
        facts.next().unwrap()["value"]["stringValue"].clone()
    };
    assert_eq!(named(published), revision.as_str());
    assert_eq!(named(applied), revision.as_str());
    let senders: Vec<_> = all.iter().map(|(service, _)| service.as_str()).collect();
    assert!(senders.contains(&"source-controller") && senders.contains(&"kustomize-controller"));
}
