//! Releases come, change and go.

use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use crate::world::{World, is};

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata:\n  revision: {{ .Release.Revision | quote }}\n  colour: {{ .Values.colour | default \"none\" }}\n";

fn named(name: &str) -> String {
    MAP.replace("{name: one}", &format!("{{name: {name}}}"))
}

/// covers: HC-006, HC-008, HC-009, HC-013, HC-087, HC-088
#[tokio::test]
async fn release_follows_chart_and_values_and_goes_with_its_object() {
    let world = World::new().await;
    world
        .publish("1.0.0", &[("one.yaml", MAP), ("two.yaml", &named("two"))])
        .await;
    world.apply(json!({ "values": { "colour": "blue" } })).await;
    let object = world.deployed(1).await;
    assert_eq!(object.status.unwrap().history.len(), 1);
    world.publish("1.1.0", &[("one.yaml", MAP)]).await;
    let object = world.deployed(2).await;
    let history = object.status.unwrap().history;
    assert_eq!(
        (
            history[0].chart_version.as_str(),
            history[1].status.as_str()
        ),
        ("1.1.0", "superseded")
    );
    assert!(world.config_maps().get_opt("two").await.unwrap().is_none());
    world.apply(json!({ "values": { "colour": "red" } })).await;
    world.deployed(3).await;
    let data = world.config_maps().get("one").await.unwrap().data.unwrap();
    assert_eq!(
        (data["revision"].as_str(), data["colour"].as_str()),
        ("3", "red")
    );
    world
        .releases()
        .delete("app", &DeleteParams::default())
        .await
        .unwrap();
    world.gone().await;
    assert!(world.config_maps().get_opt("one").await.unwrap().is_none());
    assert_eq!(world.records().await, []);
}

/// covers: HC-026, HE-127
#[tokio::test]
async fn failed_upgrade_without_retries_stalls_and_new_values_help() {
    let world = World::new().await;
    let key = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: key}\ndata: {{ dict (.Values.key | default \"good\") \"v\" | toJson }}\n";
    world.publish("1.0.0", &[("key.yaml", key)]).await;
    world.apply(json!({})).await;
    world.deployed(1).await;
    world.apply(json!({ "values": { "key": "bad key" } })).await;
    let object = world.until("stalled", |o| is(o, "Stalled", "True")).await;
    assert!(is(&object, "Ready", "False") && is(&object, "Released", "False"));
    let name = |n: i64| format!("sh.helm.release.v1.app.v{n}");
    let pair = |n, status: &str| (name(n), status.to_owned());
    assert_eq!(
        world.records().await,
        [pair(1, "deployed"), pair(2, "failed")]
    );
    world.apply(json!({ "values": { "key": "better" } })).await;
    let object = world.deployed(3).await;
    assert!(!is(&object, "Stalled", "True"));
    assert_eq!(object.status.unwrap().failures, None);
}

/// A record that cannot be read hides nothing and is never written over.
#[tokio::test]
async fn corrupt_record_is_passed_over() {
    let world = World::new().await;
    world.publish("1.0.0", &[("one.yaml", MAP)]).await;
    world.apply(json!({})).await;
    world.deployed(1).await;
    world.apply(json!({ "values": { "colour": "red" } })).await;
    world.deployed(2).await;
    let broken = json!({ "data": { "release": "AAAA" } });
    let params = PatchParams::default();
    let name = "sh.helm.release.v1.app.v2";
    world
        .secrets()
        .patch(name, &params, &Patch::Merge(broken))
        .await
        .unwrap();
    world
        .apply(json!({ "values": { "colour": "green" } }))
        .await;
    world.deployed(3).await;
    let data = world.config_maps().get("one").await.unwrap().data.unwrap();
    assert_eq!(data["colour"], "green");
}
