//! Creating, repeating, changing, correcting.

use manifest::ignore::IgnoreRule;
use manifest::selector::SelectorSpec;
use serde_json::json;

use crate::fixture::Fixture;

/// covers: KC-098
#[tokio::test]
async fn only_what_differs_is_written() {
    let it = Fixture::new("apply").await;
    let ns = &it.namespace;
    let map = it.config_map("a", &json!({"k": "1"}));
    let secret = it.object("v1", "Secret", "s", &json!({"stringData": {"k": "secret"}}));
    let deployment = it.deployment("web", &json!({}));
    let objects = [deployment.clone(), secret.clone(), map.clone()];
    assert_eq!(
        it.apply(&objects).await,
        format!("ConfigMap/{ns}/a created\nSecret/{ns}/s created\nDeployment/{ns}/web created")
    );
    let before = it.live(&map).await.unwrap();
    assert_eq!(
        it.apply(&objects).await,
        format!(
            "ConfigMap/{ns}/a unchanged\nSecret/{ns}/s unchanged\nDeployment/{ns}/web unchanged"
        )
    );
    assert_eq!(
        it.live(&map).await.unwrap(),
        before,
        "an unchanged object is not written"
    );
    let changed = it.config_map("a", &json!({"k": "2"}));
    assert_eq!(
        it.apply(&[deployment, secret, changed]).await,
        format!(
            "ConfigMap/{ns}/a configured\nSecret/{ns}/s unchanged\nDeployment/{ns}/web unchanged"
        )
    );
    assert_eq!(it.live(&map).await.unwrap()["data"]["k"], "2");
}

/// covers: KC-033
#[tokio::test]
async fn the_inventory_is_known_before_anything_is_written() {
    let it = Fixture::new("inventory").await;
    let ns = &it.namespace;
    let name = format!("system:{ns}");
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": name, "namespace": "injected"}, "rules": [],
    });
    let objects = [it.config_map("a", &json!({})), role.clone()];
    let plan = it
        .cluster
        .plan_apply(objects.to_vec(), it.options())
        .await
        .unwrap();
    let stored: Vec<String> = plan
        .inventory()
        .to_stored()
        .map(|(id, v)| format!("{id} {v}"))
        .collect();
    assert_eq!(
        stored,
        [
            format!("_system__{ns}_rbac.authorization.k8s.io_ClusterRole v1"),
            format!("{ns}_a__ConfigMap v1"),
        ]
    );
    assert!(it.live(&role).await.is_none());
    let applied = it.cluster.apply(&plan).await.unwrap();
    assert_eq!(applied.changes.inventory(), plan.inventory());
    assert_eq!(
        it.live(&role).await.unwrap()["metadata"]["labels"]
            .as_object()
            .unwrap()
            .len(),
        2
    );
    it.delete(&role).await;
}

/// covers: KC-034, KC-035
#[tokio::test]
async fn drift_is_corrected_and_foreign_fields_stay() {
    let it = Fixture::new("drift").await;
    let ns = &it.namespace;
    let map = it.config_map("a", &json!({"k": "1"}));
    it.apply(std::slice::from_ref(&map)).await;
    it.edit(
        &map,
        "someone",
        &json!({"metadata": {"labels": {"team": "x"}}, "data": {"other": "1"}}),
    )
    .await;
    assert_eq!(
        it.apply(std::slice::from_ref(&map)).await,
        format!("ConfigMap/{ns}/a unchanged")
    );
    it.edit(&map, "someone", &json!({"data": {"k": "edited"}}))
        .await;
    let applied = it
        .apply_with(std::slice::from_ref(&map), it.options())
        .await
        .unwrap();
    assert_eq!(
        applied.changes.to_string(),
        format!("ConfigMap/{ns}/a configured")
    );
    let fields: Vec<_> = applied.drifts[0]
        .fields
        .iter()
        .map(|field| field.path.as_str())
        .collect();
    assert_eq!(fields, ["/data/k"]);
    assert_eq!(applied.drifts[0].editors[0].manager, "someone");
    let live = it.live(&map).await.unwrap();
    assert_eq!(live["data"], json!({"k": "1", "other": "1"}));
    assert_eq!(live["metadata"]["labels"]["team"], "x");
}

/// covers: KC-101
#[tokio::test]
async fn server_defaults_are_no_drift() {
    let it = Fixture::new("defaults").await;
    let mut deployment = it.deployment("web", &json!({}));
    let container = &mut deployment["spec"]["template"]["spec"]["containers"][0];
    container["env"] = json!([{"name": "EMPTY", "value": ""}]);
    container["resources"] =
        json!({"limits": {"cpu": "1000m", "memory": "1024Mi"}, "requests": {"cpu": 1}});
    deployment["spec"]["template"]["spec"]["hostNetwork"] = json!(false);
    deployment["spec"]["strategy"] = json!({});
    deployment["metadata"]["creationTimestamp"] = json!(null);
    deployment["status"] = json!({});
    let service = it.object("v1", "Service", "web", &json!({"spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]}}));
    let autoscaler = it.object("autoscaling/v2", "HorizontalPodAutoscaler", "web", &json!({"spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "maxReplicas": 3,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}],
    }}));
    let job = it.object("batch/v1", "CronJob", "job", &json!({"spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": {"spec": {
        "restartPolicy": "Never", "containers": [{"name": "a", "image": "example.com/a:1", "ports": [{"containerPort": 1}]}],
    }}}}}}));
    let objects = [deployment, service, autoscaler, job];
    it.apply(&objects).await;
    let again = it.apply(&objects).await;
    assert!(
        again.lines().all(|line| line.ends_with(" unchanged")),
        "{again}"
    );
}

/// covers: KC-025, KC-110
#[tokio::test]
async fn ignored_fields_keep_their_live_value() {
    let it = Fixture::new("ignore").await;
    let ns = &it.namespace;
    let map = it.config_map("a", &json!({"mine": "1", "theirs": "1"}));
    let mut options = it.options();
    options.ignore =
        vec![IgnoreRule::new(&["/data/theirs".into()], &SelectorSpec::default()).unwrap()];
    it.apply_with(std::slice::from_ref(&map), options.clone())
        .await
        .unwrap();
    it.edit(&map, "someone", &json!({"data": {"theirs": "edited"}}))
        .await;
    let applied = it
        .apply_with(std::slice::from_ref(&map), options.clone())
        .await
        .unwrap();
    assert_eq!(
        applied.changes.to_string(),
        format!("ConfigMap/{ns}/a unchanged")
    );
    it.edit(&map, "someone", &json!({"data": {"mine": "edited"}}))
        .await;
    let applied = it
        .apply_with(std::slice::from_ref(&map), options)
        .await
        .unwrap();
    assert_eq!(
        applied.changes.to_string(),
        format!("ConfigMap/{ns}/a configured")
    );
    assert_eq!(
        it.live(&map).await.unwrap()["data"],
        json!({"mine": "1", "theirs": "edited"})
    );
}
