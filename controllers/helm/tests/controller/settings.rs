//! What a HelmRelease asks for beside chart and values.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Api, DeleteParams};
use serde_json::{Value, json};

use crate::world::{World, history, is, message};

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata:\n  colour: {{ .Values.colour | default \"none\" }}\n  revision: {{ .Release.Revision | quote }}\n";

async fn deployed(spec: Value) -> World {
    let world = World::new().await;
    world.publish("1.0.0", &[("one.yaml", MAP)]).await;
    world.apply(spec).await;
    world.deployed(1).await;
    world
}

/// covers: HC-036, HC-037, HC-040, HC-089, HC-090
#[tokio::test]
async fn post_renderers_and_common_metadata_make_one_upgrade_when_they_change() {
    let world = deployed(json!({})).await;
    let patch = "- {op: add, path: /data/patched, value: \"yes\"}";
    let renderers = json!([{ "kustomize": { "patches": [{ "patch": patch, "target": { "kind": "ConfigMap" } }] } }]);
    world.apply(json!({ "postRenderers": renderers })).await;
    let object = world.deployed(2).await;
    assert!(
        object
            .status
            .unwrap()
            .observed_post_renderers_digest
            .is_some()
    );
    assert_eq!(world.entry("one", "patched").await.as_deref(), Some("yes"));
    let metadata = json!({ "labels": { "team": "a" }, "annotations": { "note": "b" } });
    world
        .apply(json!({ "postRenderers": renderers, "commonMetadata": metadata }))
        .await;
    world.deployed(3).await;
    let one = world.config_maps().get("one").await.unwrap();
    assert_eq!(one.metadata.labels.as_ref().unwrap()["team"], "a");
    assert_eq!(one.metadata.annotations.as_ref().unwrap()["note"], "b");
    // Both and the values at once: one upgrade.
    world.apply(json!({ "values": { "colour": "red" } })).await;
    let object = world.deployed(4).await;
    let status = object.status.as_ref().unwrap();
    assert_eq!(status.observed_post_renderers_digest, None);
    assert_eq!(status.observed_common_metadata_digest, None);
    // And what was seen once makes no other.
    let object = world.request(&[]).await;
    assert_eq!(history(&object)[0].0, 4);
    assert_eq!(world.entry("one", "patched").await, None);
}

/// covers: HC-042, HC-054, HC-055, HC-060, HC-154
#[tokio::test]
async fn forced_it_upgrades_whatever_the_state() {
    let world = deployed(json!({})).await;
    world.request(&["forceAt"]).await;
    let object = world.deployed(2).await;
    let status = object.status.unwrap();
    assert_eq!(
        status.last_handled_force_at,
        status.last_handled_reconcile_at
    );
    assert_eq!(status.last_attempted_revision.as_deref(), Some("1.0.0"));
    assert_eq!(status.last_attempted_generation, object.metadata.generation);
    world.request(&[]).await;
    assert_eq!(world.revisions().await.len(), 2);
    // Out of retries, too.
    let text = format!("{MAP}{{{{ if .Values.bad }}}}\n  a bad key: x\n{{{{ end }}}}");
    world.publish("1.1.0", &[("one.yaml", &text)]).await;
    world.deployed(3).await;
    world.apply(json!({ "values": { "bad": true } })).await;
    world.stalled().await;
    assert_eq!(world.revisions().await.len(), 4);
    world.request(&[]).await;
    // A second run that finds no try left changes nothing.
    assert_eq!(world.revisions().await.len(), 4);
    world.request(&["forceAt"]).await;
    assert_eq!(world.revisions().await.len(), 5);
}

/// covers: HC-150
#[tokio::test]
async fn release_moves_when_its_target_changes() {
    let renamed = async {
        let world = deployed(json!({})).await;
        world.apply(json!({ "releaseName": "other" })).await;
        let object = world.deployed(1).await;
        let latest = object.status.unwrap().history[0].clone();
        if latest.name != "other" {
            world
                .until("renamed", |o| {
                    is(o, "Ready", "True") && o.status.as_ref().unwrap().history[0].name == "other"
                })
                .await;
        }
        let name = "sh.helm.release.v1.other.v1".to_owned();
        assert_eq!(world.records().await, [(name, "deployed".to_owned())]);
    };
    let moved = async {
        let world = deployed(json!({})).await;
        let there = format!("{}-there", world.ns());
        world
            .apply(json!({ "targetNamespace": there, "install": { "createNamespace": true } }))
            .await;
        let object = world
            .until("moved", |o| {
                let latest = o.status.as_ref().and_then(|s| s.history.first());
                is(o, "Ready", "True") && latest.is_some_and(|l| l.namespace == there)
            })
            .await;
        assert_eq!(
            object.status.unwrap().history[0].name,
            format!("{there}-app")
        );
        assert_eq!(world.entry("one", "colour").await, None);
        let maps = Api::<ConfigMap>::namespaced(world.client.clone(), &there);
        assert!(maps.get_opt("one").await.unwrap().is_some());
        world.delete().await;
        assert!(maps.get_opt("one").await.unwrap().is_none());
        let namespaces = Api::<Namespace>::all(world.client.clone());
        // The namespace is nobody's to delete.
        namespaces
            .delete(&there, &DeleteParams::default())
            .await
            .unwrap();
    };
    tokio::join!(renamed, moved);
}

/// covers: HC-151
#[tokio::test]
async fn chart_of_another_name_is_a_new_release_unless_told_otherwise() {
    let publish = async |world: &World, name: &str| {
        let chart = world.pack(name, "1.0.0", &[("templates/one.yaml", MAP)]);
        world.announce("1.0.0", &chart).await;
    };
    let anew = async {
        let world = deployed(json!({})).await;
        publish(&world, "renamed").await;
        world.request(&[]).await;
        let object = world
            .until("installed again", |o| {
                let latest = o.status.as_ref().and_then(|s| s.history.first());
                is(o, "Ready", "True") && latest.is_some_and(|l| l.chart_name == "renamed")
            })
            .await;
        assert_eq!(history(&object), [(1, "deployed", "install")]);
    };
    let in_place = async {
        let upgrade = json!({ "chartNameChangeStrategy": "InPlaceUpdate" });
        let world = deployed(json!({ "upgrade": upgrade })).await;
        publish(&world, "renamed").await;
        world.request(&[]).await;
        let object = world.deployed(2).await;
        assert_eq!(object.status.unwrap().history[0].chart_name, "renamed");
    };
    tokio::join!(anew, in_place);
}

#[tokio::test]
async fn objects_of_others_are_taken_over_only_where_that_is_wanted() {
    let foreign = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "one" }, "data": { "colour": "theirs" } });
    let refused = async {
        let world = World::new().await;
        world.publish("1.0.0", &[("one.yaml", MAP)]).await;
        world.make::<ConfigMap>("one", foreign.clone()).await;
        world
            .apply(json!({ "install": { "disableTakeOwnership": true } }))
            .await;
        let object = world.failed("InstallFailed").await;
        let words = "exists and cannot be imported into the current release";
        assert!(message(&object, "Ready").contains(words), "{object:#?}");
        assert_eq!(
            world.entry("one", "colour").await.as_deref(),
            Some("theirs")
        );
    };
    let taken = async {
        let world = World::new().await;
        world.publish("1.0.0", &[("one.yaml", MAP)]).await;
        world.make::<ConfigMap>("one", foreign.clone()).await;
        world.apply(json!({})).await;
        world.deployed(1).await;
        assert_eq!(world.entry("one", "colour").await.as_deref(), Some("none"));
    };
    tokio::join!(refused, taken);
}

/// covers: HC-122
#[tokio::test]
async fn what_is_to_be_kept_stays_when_the_release_goes() {
    let kept = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kept, annotations: {helm.sh/resource-policy: keep}}\ndata: {}\n";
    let world = World::new().await;
    world
        .publish("1.0.0", &[("one.yaml", MAP), ("kept.yaml", kept)])
        .await;
    world
        .apply(json!({ "uninstall": { "keepHistory": true } }))
        .await;
    world.deployed(1).await;
    world.delete().await;
    assert!(world.config_maps().get_opt("kept").await.unwrap().is_some());
    assert!(world.config_maps().get_opt("one").await.unwrap().is_none());
    assert_eq!(world.revisions().await, [(1, "uninstalled".to_owned())]);
}

/// Client-side patches, and the way from them to server-side apply.
///
/// covers: HE-107
#[tokio::test]
async fn release_applied_by_patches_becomes_one_applied_on_the_server() {
    let world = World::new().await;
    let text = format!("{MAP}{{{{ if .Values.more }}}}  more: here\n{{{{ end }}}}");
    world.publish("1.0.0", &[("one.yaml", &text)]).await;
    let spec = |values: Value, method: &str| json!({ "install": { "serverSideApply": false }, "upgrade": { "serverSideApply": method }, "values": values });
    world.apply(spec(json!({ "more": true }), "auto")).await;
    world.deployed(1).await;
    world
        .edit("one", json!({ "data": { "theirs": "stays" } }))
        .await;
    world.apply(spec(json!({ "colour": "red" }), "auto")).await;
    world.deployed(2).await;
    let data = world.config_maps().get("one").await.unwrap().data.unwrap();
    // What the chart dropped is gone, what others added is not.
    assert!(!data.contains_key("more") && data["theirs"] == "stays" && data["colour"] == "red");
    world.apply(spec(json!({ "more": true }), "enabled")).await;
    world.deployed(3).await;
    world.apply(spec(json!({ "colour": "blue" }), "auto")).await;
    world.deployed(4).await;
    let data = world.config_maps().get("one").await.unwrap().data.unwrap();
    assert!(!data.contains_key("more") && data["theirs"] == "stays" && data["colour"] == "blue");
}

#[tokio::test]
async fn no_more_records_are_kept_than_told() {
    let world = deployed(json!({ "maxHistory": 2 })).await;
    for n in 2..=4 {
        let values = json!({ "colour": format!("c{n}") });
        world
            .apply(json!({ "maxHistory": 2, "values": values }))
            .await;
        world.deployed(n).await;
    }
    let expected = [(3, "superseded".to_owned()), (4, "deployed".to_owned())];
    assert_eq!(world.revisions().await, expected);
}
