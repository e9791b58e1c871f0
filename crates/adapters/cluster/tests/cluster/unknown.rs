//! Fields that the API server does not know.

use serde_json::{Value, json};

use crate::fixture::Fixture;

fn misspelt(it: &Fixture) -> Value {
    let mut deployment = it.deployment("web", &json!({}));
    let spec = &mut deployment["spec"];
    spec["replicass"] = json!(2);
    let pod = &mut spec["template"]["spec"];
    pod["containers"][0]["imagePulPolicy"] = json!("Always");
    pod["containers"][0]["ports"][0]["nme"] = json!("http");
    pod["containers"][0]["env"] = json!([{"name": "A", "valuee": "x"}]);
    pod["volumes"] = json!([{"name": "x", "emptyDir": {"a": 1}}]);
    deployment["metadata"]["lables"] = json!({"a": "b"});
    deployment["foo.bar"] = json!({"x": 1});
    deployment
}

#[tokio::test]
async fn unknown_fields_of_built_in_kinds_are_dropped_and_told() {
    let it = Fixture::new("unknown").await;
    let ns = &it.namespace;
    for action in ["created", "unchanged"] {
        let applied = it.apply_with(&[misspelt(&it)], it.options()).await.unwrap();
        assert_eq!(
            applied.changes.to_string(),
            format!("Deployment/{ns}/web {action}")
        );
        let mut paths = applied.dropped[0].paths.clone();
        paths.sort();
        assert_eq!(
            paths,
            [
                ".foo.bar",
                ".metadata.lables",
                ".spec.replicass",
                ".spec.template.spec.containers[name=\"a\"].env[name=\"A\"].valuee",
                ".spec.template.spec.containers[name=\"a\"].imagePulPolicy",
                ".spec.template.spec.containers[name=\"a\"].ports[containerPort=80,protocol=\"TCP\"].nme",
                ".spec.template.spec.volumes[name=\"x\"].emptyDir.a",
            ]
        );
    }
    assert_eq!(
        it.live(&misspelt(&it)).await.unwrap()["spec"]["replicas"],
        1
    );
}

#[tokio::test]
async fn strict_fields_refuses_them() {
    let it = Fixture::new("strict").await;
    let ns = &it.namespace;
    let mut options = it.options();
    options.strict_fields = true;
    let map = it.object("v1", "ConfigMap", "a", &json!({"dta": {}}));
    let error = it
        .apply_with(std::slice::from_ref(&map), options)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "ConfigMap/{ns}/a dry-run failed: failed to create typed patch object ({ns}/a; /v1, Kind=ConfigMap): .dta: field not declared in schema"
        )
    );
    assert!(it.live(&map).await.is_none());
}

#[tokio::test]
async fn a_wrong_type_is_still_refused() {
    let it = Fixture::new("wrongtype").await;
    let mut deployment = it.deployment("web", &json!({}));
    deployment["spec"]["replicas"] = json!("three");
    let text = it.refused(&[deployment]).await;
    assert!(
        text.contains(".spec.replicas: expected numeric (int or float), got string"),
        "{text}"
    );
}
