//! Definitions before what they define, namespaces before what lives in them.

use serde_json::{Value, json};

use crate::fixture::Fixture;

/// A definition of a kind whose group only this test uses.
fn definition(group: &str, scope: &str) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("things.{group}")},
        "spec": {
            "group": group, "scope": scope,
            "names": {"kind": "Thing", "plural": "things", "singular": "thing", "listKind": "ThingList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "x-kubernetes-preserve-unknown-fields": true,
            }}}],
        },
    })
}

/// covers: KC-006, KC-064
#[tokio::test]
async fn a_definition_its_object_and_a_namespace_go_in_one_pass() {
    let it = Fixture::new("stages").await;
    let ns = &it.namespace;
    let group = format!("{ns}.example.com");
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": format!("{ns}-new")}});
    let thing = json!({"apiVersion": format!("{group}/v1"), "kind": "Thing",
        "metadata": {"name": "t", "namespace": format!("{ns}-new")}, "spec": {"a": 1}});
    let objects = [thing, namespace, definition(&group, "Namespaced")];
    assert_eq!(
        it.apply(&objects).await,
        format!(
            "CustomResourceDefinition/things.{group} created\nNamespace/{ns}-new created\nThing/{ns}-new/t created"
        )
    );
    let again = it.apply(&objects).await;
    assert!(
        again.lines().all(|line| line.ends_with(" unchanged")),
        "{again}"
    );
}

/// covers: KC-104
#[tokio::test]
async fn a_cluster_scoped_object_loses_an_injected_namespace() {
    let it = Fixture::new("scope").await;
    let ns = &it.namespace;
    let group = format!("{ns}.example.com");
    let mut thing = json!({"apiVersion": format!("{group}/v1"), "kind": "Thing",
        "metadata": {"name": "t", "namespace": ns}, "spec": {}});
    let definition = definition(&group, "Cluster");
    let plan = it
        .cluster
        .plan_apply(vec![thing.clone(), definition.clone()], it.options())
        .await
        .unwrap();
    let ids: Vec<String> = plan.inventory().to_stored().map(|(id, _)| id).collect();
    assert_eq!(
        ids[1],
        format!("_t_{group}_Thing"),
        "the definition in the set says so"
    );
    it.cluster.apply(&plan).await.unwrap();
    thing["metadata"]["annotations"] = json!({"kustomize.toolkit.fluxcd.io/ssa": "Ignore"});
    let skipped = it.apply(&[thing]).await;
    assert_eq!(skipped, "Thing/t skipped");
}

/// covers: KC-098
#[tokio::test]
async fn a_cluster_role_comes_before_its_binding() {
    let it = Fixture::new("roles").await;
    let name = it.namespace.clone();
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": name}, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]});
    let binding = it.object("rbac.authorization.k8s.io/v1", "RoleBinding", "b", &json!({
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": name}],
    }));
    let lines = it.apply(&[binding, role.clone()]).await;
    assert_eq!(
        lines,
        format!("ClusterRole/{name} created\nRoleBinding/{name}/b created")
    );
    it.delete(&role).await;
}

/// covers: KC-099
#[tokio::test]
async fn a_failing_stage_reports_what_the_stages_before_did() {
    let it = Fixture::new("partial").await;
    let ns = &it.namespace;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": format!("{ns}-made")}});
    let bad = it.object(
        "v1",
        "Service",
        "bad",
        &json!({"spec": {"ports": [{"port": 99_999}]}}),
    );
    let good = it.config_map("good", &json!({}));
    let error = it
        .apply_with(&[namespace, bad, good.clone()], it.options())
        .await
        .unwrap_err();
    assert_eq!(
        error.applied.changes.to_string(),
        format!("Namespace/{ns}-made created")
    );
    assert!(
        error
            .report()
            .starts_with(&format!("Service/{ns}/bad dry-run failed (Invalid): "))
    );
    assert!(
        error
            .report()
            .ends_with(&format!("\nNamespace/{ns}-made created"))
    );
    assert!(
        it.live(&good).await.is_none(),
        "nothing of a refused stage is written"
    );
}

/// covers: KC-047
#[tokio::test]
async fn a_binding_of_a_new_role_needs_the_custom_stage() {
    let it = Fixture::new("custom").await;
    let ns = &it.namespace;
    let group = "rbac.authorization.k8s.io";
    // May make and bind only roles whose rights it has itself; to compare, the API server reads the role.
    let rights = it.object(
        &format!("{group}/v1"),
        "Role",
        "deployer",
        &json!({"rules": [
            {"apiGroups": [group], "resources": ["roles"], "verbs": ["get", "create", "patch"]},
            {"apiGroups": [group], "resources": ["rolebindings"], "verbs": ["get", "create", "patch"]},
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
        ]}),
    );
    let bind = |role: &str, account: &str| {
        it.object(
            &format!("{group}/v1"),
            "RoleBinding",
            role,
            &json!({
                "roleRef": {"apiGroup": group, "kind": "Role", "name": role},
                "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": ns}],
            }),
        )
    };
    it.apply(&[rights, bind("deployer", "deployer")]).await;
    let account = it.cluster.impersonate(ns, "deployer").unwrap();
    let role = it.object(
        &format!("{group}/v1"),
        "Role",
        "reader",
        &json!({"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}),
    );
    let objects = vec![bind("reader", "reader"), role];
    let mut options = it.options();
    let plan = account
        .plan_apply(objects.clone(), options.clone())
        .await
        .unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
    loop {
        let text = account.apply(&plan).await.unwrap_err().to_string();
        // Until the authorizer knows the new rights, it is those that are missing.
        if text.contains("\"reader\" not found") {
            assert!(
                text.starts_with(&format!("RoleBinding/{ns}/reader not found: ")),
                "{text}"
            );
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{text}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    options.custom_stage_kinds = vec![format!("{group}/Role").parse().unwrap()];
    let plan = account.plan_apply(objects, options).await.unwrap();
    let applied = account.apply(&plan).await.unwrap();
    assert_eq!(
        applied.changes.to_string(),
        format!("Role/{ns}/reader created\nRoleBinding/{ns}/reader created")
    );
}

#[tokio::test]
async fn a_namespace_that_is_being_deleted_is_made_again() {
    let it = Fixture::new("again").await;
    let name = format!("{}-apps", it.namespace);
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": name}});
    let objects = [namespace.clone(), map.clone()];
    it.apply(&objects).await;
    let uid = it.live(&namespace).await.unwrap()["metadata"]["uid"].clone();
    it.delete(&namespace).await;
    assert_eq!(
        it.apply(&objects).await,
        format!("Namespace/{name} created\nConfigMap/{name}/a created")
    );
    assert_ne!(it.live(&namespace).await.unwrap()["metadata"]["uid"], uid);
    assert!(it.live(&map).await.is_some());
}
