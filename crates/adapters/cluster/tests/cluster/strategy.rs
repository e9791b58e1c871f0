//! Labels and annotations that say how an object wants to be treated, and replacement by force.

use serde_json::json;

use crate::fixture::{Fixture, annotated, labelled};

/// covers: KC-102
#[tokio::test]
async fn disabled_objects_are_skipped() {
    let it = Fixture::new("skip").await;
    let ns = &it.namespace;
    let map = it.config_map("a", &json!({"k": "1"}));
    let disabled = labelled(map.clone(), "reconcile", "disabled");
    assert_eq!(
        it.apply(&[disabled]).await,
        format!("ConfigMap/{ns}/a skipped")
    );
    assert!(it.live(&map).await.is_none());
    it.apply(std::slice::from_ref(&map)).await;
    let live = annotated(json!({}), "reconcile", "Disabled");
    it.edit(&map, "someone", &live).await;
    let changed = it.config_map("a", &json!({"k": "2"}));
    assert_eq!(
        it.apply(&[changed]).await,
        format!("ConfigMap/{ns}/a skipped")
    );
    assert_eq!(it.live(&map).await.unwrap()["data"]["k"], "1");
}

/// covers: KC-103
#[tokio::test]
async fn if_not_present_creates_once() {
    let it = Fixture::new("present").await;
    let ns = &it.namespace;
    let with = |value: &str| {
        annotated(
            it.config_map("a", &json!({"k": value})),
            "ssa",
            "IfNotPresent",
        )
    };
    assert_eq!(
        it.apply(&[with("1")]).await,
        format!("ConfigMap/{ns}/a created")
    );
    assert_eq!(
        it.apply(&[with("2")]).await,
        format!("ConfigMap/{ns}/a skipped")
    );
    let plain = it.config_map("a", &json!({"k": "3"}));
    assert_eq!(
        it.apply(std::slice::from_ref(&plain)).await,
        format!("ConfigMap/{ns}/a configured")
    );
    assert_eq!(it.live(&plain).await.unwrap()["data"]["k"], "3");
}

fn immutable(it: &Fixture, value: &str) -> serde_json::Value {
    it.object(
        "v1",
        "Secret",
        "s",
        &json!({"immutable": true, "stringData": {"k": value}}),
    )
}

/// covers: KC-028, KC-100
#[tokio::test]
async fn an_immutable_secret_is_replaced_only_by_force() {
    let it = Fixture::new("force").await;
    let ns = &it.namespace;
    it.apply(&[immutable(&it, "1")]).await;
    let uid = it.live(&immutable(&it, "1")).await.unwrap()["metadata"]["uid"].clone();
    assert_eq!(
        it.refused(&[immutable(&it, "2")]).await,
        format!(
            "Secret/{ns}/s dry-run failed (Invalid): Secret \"s\" is invalid: data: Forbidden: field is immutable when `immutable` is set"
        )
    );
    let forced = annotated(immutable(&it, "2"), "force", "enabled");
    assert_eq!(
        it.apply(std::slice::from_ref(&forced)).await,
        format!("Secret/{ns}/s created")
    );
    assert_ne!(it.live(&forced).await.unwrap()["metadata"]["uid"], uid);
    let mut options = it.options();
    options.force = true;
    let applied = it
        .apply_with(&[immutable(&it, "3")], options)
        .await
        .unwrap();
    assert_eq!(
        applied.changes.to_string(),
        format!("Secret/{ns}/s created")
    );
}

/// covers: KC-100
#[tokio::test]
async fn force_does_not_delete_over_a_plain_mistake() {
    let it = Fixture::new("mistake").await;
    let service = |port: u32| {
        it.object(
            "v1",
            "Service",
            "s",
            &json!({"spec": {"ports": [{"port": port}]}}),
        )
    };
    it.apply(&[service(80)]).await;
    let uid = it.live(&service(80)).await.unwrap()["metadata"]["uid"].clone();
    let mut options = it.options();
    options.force = true;
    let error = it
        .apply_with(&[service(99_999)], options)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("must be between 1 and 65535"),
        "{error}"
    );
    assert_eq!(it.live(&service(80)).await.unwrap()["metadata"]["uid"], uid);
}

/// covers: KC-100
#[tokio::test]
async fn other_fixed_fields_are_replaced_by_force_too() {
    let it = Fixture::new("fixed").await;
    let ns = it.namespace.clone();
    let binding = |role: &str| {
        it.object("rbac.authorization.k8s.io/v1", "RoleBinding", "b", &json!({
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [],
    }))
    };
    let class = |server: &str| {
        json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
        "metadata": {"name": ns}, "provisioner": "example.com/x", "parameters": {"server": server}})
    };
    let deployment = |label: &str| {
        let mut deployment = it.deployment("web", &json!({}));
        deployment["spec"]["selector"]["matchLabels"] = json!({"app": label});
        deployment["spec"]["template"]["metadata"]["labels"] = json!({"app": label});
        deployment
    };
    let set = |service: &str| {
        it.object("apps/v1", "StatefulSet", "set", &json!({"spec": {
        "serviceName": service, "selector": {"matchLabels": {"app": "set"}},
        "template": {"metadata": {"labels": {"app": "set"}}, "spec": {"containers": [{"name": "a", "image": "x"}]}},
    }}))
    };
    it.apply(&[binding("view"), class("a"), deployment("a"), set("a")])
        .await;
    let mut options = it.options();
    options.force = true;
    let changed = [binding("edit"), class("b"), deployment("b"), set("b")];
    let applied = it.apply_with(&changed, options).await.unwrap();
    let lines = applied.changes.to_string();
    assert_eq!(
        lines
            .lines()
            .filter(|line| line.ends_with(" created"))
            .count(),
        4,
        "{lines}"
    );
    it.delete(&class("b")).await;
}
