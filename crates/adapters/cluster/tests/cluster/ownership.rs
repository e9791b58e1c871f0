//! Field managers: whose fields are taken over, and whose stay.

use manifest::managed_fields;
use serde_json::{Value, json};

use crate::fixture::{Fixture, MANAGER, annotated};

fn managers(live: &Value) -> Vec<String> {
    let mut names: Vec<String> = managed_fields::entries(live)
        .iter()
        .map(|entry| {
            format!(
                "{}/{}",
                entry["manager"].as_str().unwrap(),
                entry["operation"].as_str().unwrap()
            )
        })
        .collect();
    names.sort();
    names
}

/// covers: KC-105
#[tokio::test]
async fn what_kubectl_added_goes_away() {
    let it = Fixture::new("kubectl").await;
    let ns = &it.namespace;
    let map = it.config_map("a", &json!({"k": "1"}));
    it.apply(std::slice::from_ref(&map)).await;
    let last = json!({"kubectl.kubernetes.io/last-applied-configuration": "{}"});
    it.edit(
        &map,
        "kubectl-edit",
        &json!({"metadata": {"annotations": last}, "data": {"added": "1"}}),
    )
    .await;
    assert_eq!(
        it.apply(std::slice::from_ref(&map)).await,
        format!("ConfigMap/{ns}/a configured")
    );
    let live = it.live(&map).await.unwrap();
    assert_eq!(live["data"], json!({"k": "1"}));
    assert_eq!(live["metadata"].get("annotations"), None);
    assert_eq!(managers(&live), [format!("{MANAGER}/Apply")]);
    assert_eq!(
        it.apply(std::slice::from_ref(&map)).await,
        format!("ConfigMap/{ns}/a unchanged")
    );
}

/// covers: KC-105
#[tokio::test]
async fn a_server_side_apply_of_kubectl_is_replaced() {
    let it = Fixture::new("kubectlssa").await;
    let map = it.config_map("a", &json!({"k": "1", "gone": "1"}));
    it.apply_as(&map, "kubectl").await;
    let desired = it.config_map("a", &json!({"k": "1"}));
    it.apply(std::slice::from_ref(&desired)).await;
    let live = it.live(&map).await.unwrap();
    assert_eq!(live["data"], json!({"k": "1"}));
    assert_eq!(managers(&live), [format!("{MANAGER}/Apply")]);
}

/// covers: KC-024
#[tokio::test]
async fn another_manager_is_taken_over_only_when_listed() {
    let it = Fixture::new("override").await;
    let map = it.config_map("a", &json!({"k": "1"}));
    it.apply(std::slice::from_ref(&map)).await;
    it.edit(&map, "intruder", &json!({"data": {"added": "1"}}))
        .await;
    it.apply(std::slice::from_ref(&map)).await;
    assert_eq!(it.live(&map).await.unwrap()["data"]["added"], "1");
    let mut options = it.options();
    options.override_managers = vec!["intruder".into()];
    it.apply_with(std::slice::from_ref(&map), options)
        .await
        .unwrap();
    assert_eq!(it.live(&map).await.unwrap()["data"], json!({"k": "1"}));
}

/// covers: KC-105
#[tokio::test]
async fn merge_takes_over_nothing() {
    let it = Fixture::new("merge").await;
    let map = annotated(it.config_map("a", &json!({"k": "1"})), "ssa", "Merge");
    it.apply(std::slice::from_ref(&map)).await;
    it.edit(
        &map,
        "kubectl-edit",
        &json!({"data": {"added": "1", "k": "edited"}}),
    )
    .await;
    it.apply(std::slice::from_ref(&map)).await;
    assert_eq!(
        it.live(&map).await.unwrap()["data"],
        json!({"k": "1", "added": "1"})
    );
}

/// covers: KC-108
#[tokio::test]
async fn managed_fields_follow_the_applied_version() {
    let it = Fixture::new("migrate").await;
    let ns = &it.namespace;
    let scaler = |version: &str| {
        it.object(version, "HorizontalPodAutoscaler", "a", &json!({"spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "maxReplicas": 3,
    }}))
    };
    it.apply(&[scaler("autoscaling/v1")]).await;
    let mut options = it.options();
    options.migrate_api_version = true;
    let applied = it
        .apply_with(&[scaler("autoscaling/v2")], options)
        .await
        .unwrap();
    assert_eq!(
        applied.changes.to_string(),
        format!("HorizontalPodAutoscaler/{ns}/a unchanged")
    );
    let live = it.live(&scaler("autoscaling/v2")).await.unwrap();
    for entry in managed_fields::entries(&live) {
        assert_eq!(entry["apiVersion"], "autoscaling/v2");
    }
}

/// covers: KC-105
#[tokio::test]
async fn a_field_dropped_from_the_desired_state_is_removed() {
    let it = Fixture::new("dropped").await;
    let both = it.config_map("a", &json!({"k": "1", "gone": "1"}));
    it.apply(std::slice::from_ref(&both)).await;
    it.apply(&[it.config_map("a", &json!({"k": "1"}))]).await;
    assert_eq!(it.live(&both).await.unwrap()["data"], json!({"k": "1"}));
}
