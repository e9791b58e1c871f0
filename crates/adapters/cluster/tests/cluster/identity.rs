//! Acting as somebody else, and on another cluster.

use std::collections::BTreeMap;

use cluster::{Cluster, KubeconfigOptions};
use serde_json::json;
use testkit::control_plane;

use crate::fixture::Fixture;

fn may_edit_maps(it: &Fixture) -> [serde_json::Value; 2] {
    let group = "rbac.authorization.k8s.io";
    let role = it.object(
        &format!("{group}/v1"),
        "Role",
        "maps",
        &json!({"rules": [
            {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]},
        ]}),
    );
    let binding = it.object(
        &format!("{group}/v1"),
        "RoleBinding",
        "maps",
        &json!({
            "roleRef": {"apiGroup": group, "kind": "Role", "name": "maps"},
            "subjects": [{"kind": "ServiceAccount", "name": "team", "namespace": it.namespace}],
        }),
    );
    [role, binding]
}

/// covers: KC-030, KC-031
#[tokio::test]
async fn an_impersonated_account_has_its_own_rights_and_no_more() {
    let it = Fixture::new("imp").await;
    let ns = &it.namespace;
    let team = it.cluster.impersonate(ns, "team").unwrap();
    let objects = vec![it.config_map("cm", &json!({}))];
    let plan = team
        .plan_apply(objects.clone(), it.options())
        .await
        .unwrap();
    assert_eq!(
        team.apply(&plan).await.unwrap_err().to_string(),
        format!(
            "ConfigMap/{ns}/cm dry-run failed (Forbidden): configmaps \"cm\" is forbidden: User \"system:serviceaccount:{ns}:team\" cannot patch resource \"configmaps\" in API group \"\" in the namespace \"{ns}\""
        )
    );
    it.apply(&may_edit_maps(&it)).await;
    // The authorizer learns of a binding a moment after it is stored.
    let applied = loop {
        match team.apply(&plan).await {
            Ok(applied) => break applied,
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
        }
    };
    assert_eq!(
        applied.changes.to_string(),
        format!("ConfigMap/{ns}/cm created")
    );
    let secret = it.object("v1", "Secret", "s", &json!({}));
    let plan = team.plan_apply(vec![secret], it.options()).await.unwrap();
    assert!(
        team.apply(&plan)
            .await
            .unwrap_err()
            .to_string()
            .contains("(Forbidden)")
    );
}

#[tokio::test]
async fn a_name_cannot_become_another_account() {
    let it = Fixture::new("impname").await;
    for (namespace, name) in [
        ("a", "b:c"),
        ("a:b", "c"),
        ("", "a"),
        ("a", ""),
        ("a", "b\nc"),
    ] {
        assert!(
            it.cluster.impersonate(namespace, name).is_err(),
            "{namespace} {name}"
        );
    }
}

/// covers: KC-032
#[tokio::test]
async fn a_kubeconfig_secret_reaches_its_cluster() {
    let it = Fixture::new("remote").await;
    let kubeconfig = std::fs::read(control_plane().await.kubeconfig_path()).unwrap();
    let data = BTreeMap::from([("value".to_string(), kubeconfig)]);
    let remote = Cluster::from_kubeconfig("a/b", &data, None, KubeconfigOptions::default())
        .await
        .unwrap();
    let plan = remote
        .plan_apply(vec![it.config_map("cm", &json!({}))], it.options())
        .await
        .unwrap();
    let applied = remote.apply(&plan).await.unwrap();
    assert_eq!(applied.changes.modified().entries().len(), 1);
}
