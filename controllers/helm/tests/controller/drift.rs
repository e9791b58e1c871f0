//! Changes that others make to a release's objects.

use std::time::Duration;

use kube::api::DeleteParams;
use serde_json::json;

use crate::world::{World, history, is};

const MAPS: &str = "{{- range list \"one\" \"two\" \"free\" }}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ . }}\n{{- if eq . \"free\" }}\n  annotations: {helm.toolkit.fluxcd.io/driftDetection: disabled}\n{{- end }}\ndata:\n  colour: blue\n  password: secret\n{{- end }}\n";

async fn looking(detection: serde_json::Value) -> World {
    let world = World::new().await;
    world.publish("1.0.0", &[("maps.yaml", MAPS)]).await;
    world.apply(json!({ "driftDetection": detection })).await;
    world.deployed(1).await;
    // Whatever is edited from here on is seen: by the watches, or when they have opened.
    world
}

/// covers: HC-091, HC-092, HC-128, HC-131, HC-134, HC-136
#[tokio::test]
async fn changed_and_deleted_objects_are_put_right_at_once() {
    let world = looking(json!({ "mode": "enabled" })).await;
    let ns = world.ns();
    let changed = json!({ "data": { "colour": "red", "password": "open" } });
    world.edit("free", changed.clone()).await;
    world.edit("one", changed).await;
    // Long before the interval, or the patience of this is at its end.
    world.until_entry("one", "colour", Some("blue")).await;
    let told = world.event("DriftDetected", "has drifted").await;
    let lines: Vec<_> = told.lines().collect();
    assert_eq!(
        lines[1..],
        [
            format!("ConfigMap/{ns}/one changed (0 additions, 2 changes, 0 removals)"),
            "  /data/colour: \"red\" instead of \"blue\" (by somebody)".to_owned(),
            "  /data/password: *** instead of *** (by somebody)".to_owned(),
            format!("ConfigMap/{ns}/free excluded"),
        ]
    );
    world
        .event("DriftCorrected", &format!("ConfigMap/{ns}/one configured"))
        .await;
    let params = DeleteParams::default();
    world.config_maps().delete("two", &params).await.unwrap();
    world.until_entry("two", "colour", Some("blue")).await;
    // Helm's own marks belong to what is wanted.
    let label = "app.kubernetes.io/managed-by";
    world
        .edit("two", json!({ "metadata": { "labels": { label: "me" } } }))
        .await;
    world
        .event("DriftDetected", "managed-by: \"me\" instead of \"Helm\"")
        .await;
    assert_eq!(world.entry("free", "colour").await.as_deref(), Some("red"));
    let object = world.until("ready", |o| is(o, "Ready", "True")).await;
    // A correction is no release.
    assert_eq!(history(&object), [(1, "deployed", "install")]);
    assert_eq!(object.status.unwrap().failures, None);
}

/// covers: HC-093, HC-132
#[tokio::test]
async fn change_is_only_told_where_that_is_wanted_and_ignored_where_a_rule_says_so() {
    let told = async {
        let world = looking(json!({ "mode": "warn" })).await;
        world
            .edit("one", json!({ "data": { "colour": "red" } }))
            .await;
        let object = world.until("drifted", |o| is(o, "Drifted", "True")).await;
        assert!(is(&object, "Ready", "True"));
        world.event("DriftDetected", "instead of \"blue\"").await;
        assert_eq!(world.entry("one", "colour").await.as_deref(), Some("red"));
    };
    let ignored = async {
        let rule =
            json!({ "paths": ["/data/colour"], "target": { "kind": "ConfigMap", "name": "o.*" } });
        let world = looking(json!({ "mode": "enabled", "ignore": [rule] })).await;
        world
            .edit("one", json!({ "data": { "colour": "red" } }))
            .await;
        world
            .edit("two", json!({ "data": { "colour": "red" } }))
            .await;
        world.until_entry("two", "colour", Some("blue")).await;
        assert_eq!(world.entry("one", "colour").await.as_deref(), Some("red"));
    };
    tokio::join!(told, ignored);
}

/// covers: HC-094
#[tokio::test]
async fn change_is_nothing_where_nobody_looks() {
    let world = looking(json!({ "mode": "disabled" })).await;
    world
        .edit("one", json!({ "data": { "colour": "red" } }))
        .await;
    let object = world.request(&[]).await;
    assert!(is(&object, "Ready", "True") && !is(&object, "Drifted", "True"));
    assert_eq!(world.entry("one", "colour").await.as_deref(), Some("red"));
}

/// Who insists is left alone until the interval.
#[tokio::test]
async fn field_that_is_taken_back_again_and_again_is_left_to_the_interval() {
    let world = looking(json!({ "mode": "enabled" })).await;
    for _ in 0..3 {
        world
            .edit("one", json!({ "data": { "colour": "red" } }))
            .await;
        world.until_entry("one", "colour", Some("blue")).await;
    }
    let words = "somebody keeps changing /data/colour";
    world.event("DriftDetected", words).await;
    // What the last edit asked for is done by then: the next edit is for nobody to look at.
    world.request(&[]).await;
    world
        .edit("one", json!({ "data": { "colour": "red" } }))
        .await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(world.entry("one", "colour").await.as_deref(), Some("red"));
    world.request(&[]).await;
    world.until_entry("one", "colour", Some("blue")).await;
}
