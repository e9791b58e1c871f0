//! Sync, change, drift, prune, suspend, delete.

use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::world::{World, config_map, has, inventory, is, message};

/// covers: KC-033, KC-040
#[tokio::test]
async fn revision_becomes_live_objects_and_what_leaves_it_is_pruned() {
    let world = World::new().await;
    let settings = config_map("settings", "colour", "blue");
    let extra = config_map("extra", "k", "v");
    let files = [
        ("deploy/settings.yaml", settings.as_str()),
        ("deploy/extra.yaml", extra.as_str()),
    ];
    let first = world.publish(&files).await;
    world.apply(json!({ "path": "./deploy" })).await;
    let object = world.applied("app", &first).await;
    world.config_map("settings", has("colour", "blue")).await;
    let ns = world.ns();
    assert_eq!(
        inventory(&object),
        [
            format!("{ns}_extra__ConfigMap"),
            format!("{ns}_settings__ConfigMap")
        ]
    );
    assert_eq!(
        message(&object, "Ready"),
        format!("Applied revision: {first}")
    );
    let created = world.event("Progressing", "created").await;
    let words = created.message.unwrap();
    assert_eq!(
        words,
        format!("ConfigMap/{ns}/extra created\nConfigMap/{ns}/settings created")
    );
    let annotations = created.metadata.annotations.unwrap();
    assert_eq!(annotations["kustomize.toolkit.fluxcd.io/revision"], first);

    let settings = config_map("settings", "colour", "red");
    let second = world.publish(&[("deploy/settings.yaml", &settings)]).await;
    let object = world.applied("app", &second).await;
    world.config_map("settings", has("colour", "red")).await;
    world.config_map("extra", |c| c.is_none()).await;
    assert_eq!(inventory(&object), [format!("{ns}_settings__ConfigMap")]);
    world
        .event("Progressing", &format!("ConfigMap/{ns}/extra deleted"))
        .await;
}

/// covers: KC-034, KC-035
#[tokio::test]
async fn managed_field_is_put_back_and_the_field_of_another_manager_stays() {
    let world = World::new().await;
    let settings = config_map("settings", "colour", "blue");
    let revision = world.publish(&[("settings.yaml", &settings)]).await;
    world.apply(json!({})).await;
    world.applied("app", &revision).await;
    let edit = json!({ "data": { "colour": "green" }, "metadata": { "labels": { "by": "hand" } } });
    let params = PatchParams {
        field_manager: Some("somebody".into()),
        ..PatchParams::default()
    };
    world
        .config_maps()
        .patch("settings", &params, &Patch::Merge(edit))
        .await
        .unwrap();
    world.request("app").await;
    world.config_map("settings", has("colour", "blue")).await;
    world.event("Progressing", "settings configured").await;
    let labels = world
        .config_maps()
        .get("settings")
        .await
        .unwrap()
        .metadata
        .labels
        .unwrap();
    assert_eq!(labels["by"], "hand");
    assert_eq!(labels["kustomize.toolkit.fluxcd.io/name"], "app");
}

#[tokio::test]
async fn steady_run_changes_neither_objects_nor_conditions() {
    let world = World::new().await;
    let settings = config_map("settings", "colour", "blue");
    let revision = world.publish(&[("settings.yaml", &settings)]).await;
    world.apply(json!({})).await;
    let before = world.applied("app", &revision).await;
    let version = world
        .config_maps()
        .get("settings")
        .await
        .unwrap()
        .metadata
        .resource_version;
    world.request("app").await;
    let after = world.applied("app", &revision).await;
    let again = world
        .config_maps()
        .get("settings")
        .await
        .unwrap()
        .metadata
        .resource_version;
    assert_eq!(version, again, "the object was written");
    let runs = |k: &api::kustomize::Kustomization| {
        k.status.as_ref().unwrap().history[0].total_reconciliations
    };
    assert_eq!(runs(&after), runs(&before) + 1);
    assert_eq!(after.status.unwrap().history.len(), 1);
}

/// covers: KC-043
#[tokio::test]
async fn suspended_object_is_left_alone_even_when_deleted() {
    let world = World::new().await;
    let settings = config_map("settings", "colour", "blue");
    let revision = world.publish(&[("settings.yaml", &settings)]).await;
    world.apply(json!({})).await;
    world.applied("app", &revision).await;
    world.apply(json!({ "suspend": true })).await;
    let settings = config_map("settings", "colour", "red");
    world.publish(&[("settings.yaml", &settings)]).await;
    world.request("app").await;
    world.config_map("settings", has("colour", "blue")).await;
    world.delete("app").await;
    world.config_map("settings", has("colour", "blue")).await;
}

/// covers: KC-014, KC-015
#[tokio::test]
async fn deletion_takes_objects_along_unless_they_are_orphaned() {
    let world = World::new().await;
    let settings = config_map("settings", "colour", "blue");
    let revision = world.publish(&[("settings.yaml", &settings)]).await;
    world.apply(json!({})).await;
    world.applied("app", &revision).await;
    world.delete("app").await;
    world.config_map("settings", |c| c.is_none()).await;

    world
        .apply_named("kept", json!({ "deletionPolicy": "Orphan" }))
        .await;
    world.applied("kept", &revision).await;
    world.delete("kept").await;
    world.config_map("settings", has("colour", "blue")).await;
}

/// covers: KC-018
#[tokio::test]
async fn dependant_goes_on_as_soon_as_its_dependency_is_ready() {
    let world = World::new().await;
    let settings = config_map("settings", "colour", "blue");
    let other = config_map("other", "k", "v");
    let files = [
        ("a/settings.yaml", settings.as_str()),
        ("b/other.yaml", other.as_str()),
    ];
    let revision = world.publish(&files).await;
    world
        .apply_named("b", json!({ "path": "b", "dependsOn": [{ "name": "a" }] }))
        .await;
    let waiting = world.failed("b", "DependencyNotReady").await;
    assert!(
        message(&waiting, "Ready").contains("not found"),
        "{}",
        message(&waiting, "Ready")
    );
    assert!(!is(&waiting, "Reconciling", "True", "Progressing"));
    // It is woken: the time after which it would be polled is beyond all patience.
    world.apply_named("a", json!({ "path": "a" })).await;
    world.applied("b", &revision).await;
    world
        .event(
            "DependencyNotReady",
            "Dependencies do not meet ready condition, retrying in 10m0s",
        )
        .await;
}

/// covers: KC-060, KC-061
#[tokio::test]
async fn wait_tells_when_a_deployment_is_ready() {
    let world = World::new().await;
    let web = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 2\n  \
        selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    \
        spec: {containers: [{name: web, image: registry.example/web:1}]}\n";
    let revision = world.publish(&[("web.yaml", web)]).await;
    world.apply(json!({ "wait": true, "timeout": "1m" })).await;
    let object = world.applied("app", &revision).await;
    assert!(is(&object, "Healthy", "True", "Succeeded"), "{object:#?}");
    world.event("Progressing", "Health check passed in").await;
}

/// covers: KC-119
#[tokio::test]
async fn source_that_comes_late_starts_the_run() {
    let world = World::new().await;
    world.apply(json!({})).await;
    let object = world.failed("app", "ArtifactFailed").await;
    assert!(
        message(&object, "Ready").contains("not found"),
        "{}",
        message(&object, "Ready")
    );
    let settings = config_map("settings", "colour", "blue");
    let revision = world.publish(&[("settings.yaml", &settings)]).await;
    world.applied("app", &revision).await;
}

#[tokio::test]
async fn object_that_moves_to_another_unit_is_neither_deleted_nor_made_again() {
    let world = World::new().await;
    let (moving, other) = (
        config_map("moving", "k", "v"),
        config_map("other", "k", "v"),
    );
    let mut from_a = true;
    let files = |in_a: bool| {
        let place = if in_a {
            "a/moving.yaml"
        } else {
            "b/moving.yaml"
        };
        [
            (place, moving.clone()),
            ("a/a.yaml", other.replace("other", "of-a")),
            ("b/b.yaml", other.replace("other", "of-b")),
        ]
    };
    let publish = async |in_a: bool| {
        let files = files(in_a);
        let files: Vec<_> = files.iter().map(|(p, t)| (*p, t.as_str())).collect();
        world.publish(&files).await
    };
    let first = publish(from_a).await;
    world.apply_named("a", json!({ "path": "a" })).await;
    world.apply_named("b", json!({ "path": "b" })).await;
    world.applied("a", &first).await;
    world.applied("b", &first).await;
    let uid = world
        .config_maps()
        .get("moving")
        .await
        .unwrap()
        .metadata
        .uid;
    // There and back, so that each of the two has to give it up.
    for _ in 0..4 {
        from_a = !from_a;
        let revision = publish(from_a).await;
        let a = world.applied("a", &revision).await;
        let b = world.applied("b", &revision).await;
        let counts = (inventory(&a).len(), inventory(&b).len());
        assert_eq!(counts, if from_a { (2, 1) } else { (1, 2) });
        let live = world.config_maps().get("moving").await.unwrap();
        assert_eq!(live.metadata.uid, uid, "it was made again");
    }
}

/// An object that two units name carries the name of whoever applied it last, and goes with that one alone.
#[tokio::test]
async fn object_of_two_units_belongs_to_who_applied_it_last() {
    let world = World::new().await;
    let (blue, red) = (
        config_map("shared", "colour", "blue"),
        config_map("shared", "colour", "red"),
    );
    let revision = world
        .publish(&[("a/shared.yaml", &blue), ("b/shared.yaml", &red)])
        .await;
    let is_of = async |unit: &str, colour: &str| {
        let live = world.config_maps().get("shared").await.unwrap();
        let labels = live.metadata.labels.clone().unwrap();
        assert_eq!(labels["kustomize.toolkit.fluxcd.io/name"], unit);
        assert_eq!(live.data.unwrap()["colour"], colour);
        live.metadata.uid
    };
    world.apply_named("a", json!({ "path": "a" })).await;
    world.applied("a", &revision).await;
    let uid = is_of("a", "blue").await;
    world.apply_named("b", json!({ "path": "b" })).await;
    let b = world.applied("b", &revision).await;
    assert_eq!(is_of("b", "red").await, uid, "it was made again");
    world.request("a").await;
    let a = world.applied("a", &revision).await;
    assert_eq!(is_of("a", "blue").await, uid, "it was made again");
    assert_eq!(inventory(&a), inventory(&b));
    world.delete("b").await;
    assert_eq!(is_of("a", "blue").await, uid, "it went with another unit");
    world.delete("a").await;
    world.config_map("shared", |c| c.is_none()).await;
}
