//! Running it: shards, measurements, events, suspension.

use std::time::Duration;

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use testkit::HttpSink;

use crate::world::{PATIENCE, World, answers, condition, history, is};

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\ndata:\n  colour: {{ .Values.colour | default \"none\" }}\n";

/// Puts labels on a HelmRelease.
async fn label(world: &World, name: &str, labels: Value) {
    let patch = Patch::Merge(json!({ "metadata": { "labels": labels } }));
    let params = PatchParams::default();
    world.releases().patch(name, &params, &patch).await.unwrap();
}

/// Two processes with a selector each: every object is reconciled by the one whose label it carries, one without by none.
#[tokio::test]
async fn each_shard_reconciles_its_own_objects() {
    const KEY: &str = "sharding.fluxcd.io/key";
    let world = World::alone().await;
    let plane = testkit::control_plane().await;
    let shard = async |name: &str| {
        world
            .controller(&plane.kubeconfig_path())
            .without("--watch-label-selector")
            .flag("--watch-label-selector", &format!("{KEY}={name}"))
            .start()
            .await
            .unwrap()
    };
    let (first, second) = (shard("one").await, shard("two").await);
    world.publish("1.0.0", &[("one.yaml", MAP)]).await;
    for name in ["a", "b", "neither"] {
        world.apply_named(name, json!({})).await;
    }
    label(&world, "a", json!({ KEY: "one" })).await;
    label(&world, "b", json!({ KEY: "two" })).await;
    for name in ["a", "b"] {
        world
            .until_named(name, "ready", |o| is(o, "Ready", "True"))
            .await;
    }
    let untouched = world.releases().get("neither").await.unwrap();
    assert!(untouched.metadata.finalizers.is_none());
    assert!(condition(&untouched, "Ready").is_none());
    let saw = |log: &str, name: &str| log.contains(&format!("\"name\":\"{name}\""));
    let (first, second) = (first.log().unwrap(), second.log().unwrap());
    assert!(!saw(&first, "b") && !saw(&second, "a"), "{first}\n{second}");
    // An object that changes shards is taken over as it is.
    label(&world, "a", json!({ KEY: "two" })).await;
    let token =
        json!({ "metadata": { "annotations": { "reconcile.fluxcd.io/requestedAt": "now" } } });
    world
        .releases()
        .patch("a", &PatchParams::default(), &Patch::Merge(token))
        .await
        .unwrap();
    let object = world
        .until_named("a", "answered", |o| {
            answers(o, "now") && is(o, "Ready", "True") && !is(o, "Reconciling", "True")
        })
        .await;
    assert_eq!(history(&object), [(1, "deployed", "install")]);
}

/// Events reach the address that was given, with the chart's version and the values' digest; the measurements have upstream's
/// names.
#[tokio::test]
async fn events_are_sent_and_runs_are_measured() {
    let world = World::alone().await;
    let plane = testkit::control_plane().await;
    let sink = HttpSink::start().unwrap();
    let program = world
        .controller(&plane.kubeconfig_path())
        .flag("--events-addr", &sink.url())
        .start()
        .await
        .unwrap();
    world.publish("1.0.0", &[("one.yaml", MAP)]).await;
    world.apply(json!({})).await;
    let object = world.deployed(1).await;
    let sent = sink.wait_for(1, PATIENCE).await.unwrap();
    let event: Value = sent[0].json().unwrap();
    let involved = &event["involvedObject"];
    assert_eq!(
        [&involved["kind"], &involved["name"]],
        ["HelmRelease", "app"]
    );
    assert_eq!(involved["apiVersion"], "helm.toolkit.fluxcd.io/v2");
    assert_eq!(event["severity"], "info");
    assert_eq!(event["reason"], "InstallSucceeded");
    assert_eq!(event["reportingController"], "helm-controller");
    let ns = world.ns();
    let words = format!("Helm install succeeded for release {ns}/app.v1 with chart app@1.0.0");
    assert_eq!(event["message"], words);
    let digest = &object.status.unwrap().history[0].config_digest;
    let metadata = &event["metadata"];
    assert_eq!(metadata["helm.toolkit.fluxcd.io/revision"], "1.0.0");
    assert_eq!(metadata["helm.toolkit.fluxcd.io/token"], digest.as_str());
    // A run is measured once it has ended, after its status is written.
    let measured = [
        format!(
            "gotk_reconcile_duration_seconds_count{{kind=\"HelmRelease\",name=\"app\",namespace=\"{ns}\"}}"
        ),
        "controller_runtime_reconcile_total{controller=\"helmrelease\",result=\"success\"}"
            .to_owned(),
        "workqueue_depth{".to_owned(),
    ];
    let began = std::time::Instant::now();
    loop {
        let metrics = program.metrics().await.unwrap();
        let Some(line) = measured.iter().find(|line| !metrics.contains(*line)) else {
            break;
        };
        assert!(began.elapsed() < PATIENCE, "{line} is not in {metrics}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // What goes is measured no more.
    world.delete().await;
    let series = format!("name=\"app\",namespace=\"{ns}\"");
    let began = std::time::Instant::now();
    while program.metrics().await.unwrap().contains(&series) {
        assert!(began.elapsed() < PATIENCE, "{series} is still there");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A suspended object answers requests and does nothing else; resumed, it catches up.
#[tokio::test]
async fn suspended_it_answers_and_does_nothing() {
    let world = World::new().await;
    world.publish("1.0.0", &[("one.yaml", MAP)]).await;
    world.apply(json!({})).await;
    world.deployed(1).await;
    world.pause(json!({ "values": { "colour": "red" } })).await;
    world.publish("1.1.0", &[("one.yaml", MAP)]).await;
    let object = world.request(&[]).await;
    assert!(is(&object, "Ready", "True"));
    assert_eq!(history(&object), [(1, "deployed", "install")]);
    assert_eq!(world.entry("app", "colour").await.as_deref(), Some("none"));
    world.apply(json!({ "values": { "colour": "red" } })).await;
    let object = world.deployed(2).await;
    let latest = &object.status.as_ref().unwrap().history[0];
    assert_eq!(latest.chart_version, "1.1.0");
    assert_eq!(world.entry("app", "colour").await.as_deref(), Some("red"));
}
