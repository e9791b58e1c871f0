//! Deleting what is no longer wanted, and leaving the rest.

use std::time::Duration;

use cluster::WaitOptions;
use manifest::{Inventory, change_set::Action};
use serde_json::json;

use crate::fixture::{Fixture, annotated, labelled};

/// covers: KC-036, KC-109
#[tokio::test]
async fn stale_objects_are_deleted_in_reverse_order() {
    let it = Fixture::new("prune").await;
    let ns = &it.namespace;
    let objects = [
        it.config_map("a", &json!({})),
        it.object("v1", "ServiceAccount", "sa", &json!({})),
        it.object(
            "v1",
            "Service",
            "svc",
            &json!({"spec": {"ports": [{"port": 80}]}}),
        ),
    ];
    it.apply(&objects).await;
    let renamed = [it.config_map("b", &json!({}))];
    it.apply(&renamed).await;
    let stale = it
        .inventory(&objects)
        .await
        .stale(&it.inventory(&renamed).await);
    let pruned = it.prune(&stale).await.unwrap();
    assert_eq!(
        pruned.changes.to_string(),
        format!(
            "Service/{ns}/svc deleted\nConfigMap/{ns}/a deleted\nServiceAccount/{ns}/sa deleted"
        )
    );
    for object in &objects {
        assert!(it.live(object).await.is_none());
    }
    assert!(it.live(&renamed[0]).await.is_some());
    let again = it.prune(&stale).await.unwrap();
    assert_eq!(
        again
            .changes
            .filter(|action| action == Action::Deleted)
            .entries()
            .len(),
        3
    );
}

/// covers: KC-040, KC-044, KC-045, KC-046
#[tokio::test]
async fn who_opts_out_or_belongs_to_another_stays() {
    let it = Fixture::new("keep").await;
    let ns = &it.namespace;
    let map = |name: &str| it.config_map(name, &json!({}));
    let objects = [
        map("plain"),
        annotated(map("present"), "ssa", "IfNotPresent"),
        annotated(map("kept"), "prune", "disabled"),
        labelled(map("kept-by-label"), "prune", "Disabled"),
    ];
    it.apply(&objects).await;
    let adopted = map("adopted");
    let ignored = map("ignored");
    it.apply(&[adopted.clone(), ignored.clone()]).await;
    it.edit(&adopted, "other", &labelled(json!({}), "name", "other"))
        .await;
    it.edit(&ignored, "other", &annotated(json!({}), "ssa", "Ignore"))
        .await;
    let all: Vec<_> = objects.iter().cloned().chain([adopted, ignored]).collect();
    let pruned = it.prune(&it.inventory(&all).await).await.unwrap();
    let mut lines: Vec<String> = pruned
        .changes
        .to_string()
        .lines()
        .map(String::from)
        .collect();
    lines.sort();
    assert_eq!(
        lines,
        [
            format!("ConfigMap/{ns}/adopted skipped"),
            format!("ConfigMap/{ns}/ignored skipped"),
            format!("ConfigMap/{ns}/kept skipped"),
            format!("ConfigMap/{ns}/kept-by-label skipped"),
            format!("ConfigMap/{ns}/plain deleted"),
            format!("ConfigMap/{ns}/present deleted"),
        ]
    );
}

/// covers: KC-041
#[tokio::test]
async fn a_refused_deletion_stays_in_the_inventory() {
    let it = Fixture::new("refuse").await;
    let ns = &it.namespace;
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": ns},
        "spec": {"failurePolicy": "Fail", "matchConstraints": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": ns}},
            "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["DELETE"], "resources": ["configmaps"]}],
        }, "validations": [{"expression": "oldObject.metadata.name != 'held'", "message": "held back"}]},
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": ns}, "spec": {"policyName": ns, "validationActions": ["Deny"]},
    });
    it.apply(&[policy.clone(), binding.clone()]).await;
    let objects = [
        it.config_map("held", &json!({})),
        it.config_map("z", &json!({})),
    ];
    it.apply(&objects).await;
    let stale = it.inventory(&objects).await;
    // The policy takes a moment to reach the admission chain.
    let error = loop {
        it.apply(&objects).await;
        match it.prune(&stale).await {
            Err(error) => break error,
            Ok(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    };
    let text = error.to_string();
    let start = format!("delete failed, errors: ConfigMap/{ns}/held delete failed: ");
    assert!(
        text.starts_with(&start) && text.ends_with("held back;"),
        "{text}"
    );
    let left: Vec<String> = error
        .changes
        .survivors(&stale)
        .to_stored()
        .map(|(id, _)| id)
        .collect();
    assert_eq!(left, [format!("{ns}_held__ConfigMap")]);
    it.delete(&binding).await;
    it.delete(&policy).await;
}

#[tokio::test]
async fn an_object_whose_kind_is_gone_counts_as_deleted() {
    let it = Fixture::new("nokind").await;
    let stale = Inventory::from_stored([("a_b_nowhere.example.com_Thing", "v1")]).unwrap();
    let pruned = it.prune(&stale).await.unwrap();
    assert_eq!(pruned.changes.to_string(), "Thing/a/b deleted");
}

#[tokio::test]
async fn an_object_stored_with_an_old_version_is_found() {
    let it = Fixture::new("oldversion").await;
    let ns = &it.namespace;
    let deployment = it.deployment("web", &json!({}));
    it.apply(std::slice::from_ref(&deployment)).await;
    let id = format!("{ns}_web_apps_Deployment");
    let stale = Inventory::from_stored([(id.as_str(), "v1beta1")]).unwrap();
    let pruned = it.prune(&stale).await.unwrap();
    assert_eq!(
        pruned.changes.to_string(),
        format!("Deployment/{ns}/web deleted")
    );
    assert!(it.live(&deployment).await.is_none());
}

/// covers: KC-109
#[tokio::test]
async fn termination_is_waited_for() {
    let it = Fixture::new("terminate").await;
    let ns = &it.namespace;
    let mut held = it.config_map("held", &json!({}));
    it.apply(std::slice::from_ref(&held)).await;
    it.edit(
        &held,
        "someone",
        &json!({"metadata": {"finalizers": ["example.com/hold"]}}),
    )
    .await;
    let stale = it.inventory(std::slice::from_ref(&held)).await;
    it.prune(&stale).await.unwrap();
    let options = WaitOptions::new(Duration::from_millis(400));
    let error = it
        .cluster
        .wait_for_termination(&stale, &options)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "timeout waiting for: [ConfigMap/{ns}/held status: 'Terminating': Resource scheduled for deletion]"
        )
    );
    held["metadata"]["finalizers"] = json!([]);
    it.edit(&held, "someone", &json!({"metadata": {"finalizers": null}}))
        .await;
    let options = WaitOptions::new(Duration::from_secs(10));
    it.cluster
        .wait_for_termination(&stale, &options)
        .await
        .unwrap();
}
