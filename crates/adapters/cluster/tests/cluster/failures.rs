//! Bad input: refused objects, missing rights, an API server that is gone.

use std::time::Duration;

use cluster::{Cluster, PlanError, PruneOptions};
use serde_json::json;
use testkit::{ControlPlane, control_plane};

use crate::fixture::{Fixture, annotated};

/// covers: KC-106
#[tokio::test]
async fn what_the_cluster_refuses_is_named_in_familiar_words() {
    let it = Fixture::new("refused").await;
    let ns = &it.namespace;
    let mut elsewhere = it.config_map("cm", &json!({}));
    elsewhere["metadata"]["namespace"] = json!("nobody-made-this");
    let mut nowhere = it.config_map("cm", &json!({}));
    nowhere["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("namespace");
    let unknown =
        json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}});
    for (object, text) in [
        (
            elsewhere,
            "ConfigMap/nobody-made-this/cm not found: namespaces \"nobody-made-this\" not found".to_string(),
        ),
        (
            nowhere,
            "ConfigMap/cm namespace not specified: the server could not find the requested resource".into(),
        ),
        (
            unknown,
            "Widget/w dry-run failed: no matches for kind \"Widget\" in version \"example.com/v1\"".into(),
        ),
        (
            it.object("v1", "Service", "s", &json!({"spec": {"ports": [{"port": 99_999}]}})),
            format!("Service/{ns}/s dry-run failed (Invalid): Service \"s\" is invalid: [spec.ports[0].port: Invalid value: 99999: must be between 1 and 65535, inclusive, spec.ports[0].targetPort: Invalid value: 99999: must be between 1 and 65535, inclusive]"),
        ),
        (
            it.object("v1", "ConfigMap", "Not_A_Name", &json!({})),
            format!("ConfigMap/{ns}/Not_A_Name dry-run failed (Invalid): ConfigMap \"Not_A_Name\" is invalid: metadata.name: Invalid value: \"Not_A_Name\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"),
        ),
    ] {
        assert_eq!(it.refused(&[object]).await, text);
    }
}

#[tokio::test]
async fn all_bad_objects_are_named_and_none_is_written() {
    let it = Fixture::new("all").await;
    let ns = &it.namespace;
    let service = |name: &str| {
        it.object(
            "v1",
            "Service",
            name,
            &json!({"spec": {"ports": [{"port": 0}]}}),
        )
    };
    let good = it.config_map("good", &json!({}));
    let text = it
        .refused(&[service("z"), good.clone(), service("a")])
        .await;
    let starts: Vec<_> = text
        .lines()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(
        starts,
        [format!("Service/{ns}/a"), format!("Service/{ns}/z")],
        "{text}"
    );
    assert!(it.live(&good).await.is_none());
}

#[tokio::test]
async fn who_goes_on_writes_the_others_and_lists_what_failed() {
    let it = Fixture::new("goes-on").await;
    let ns = &it.namespace;
    let bad = it.object(
        "v1",
        "Service",
        "bad",
        &json!({"spec": {"ports": [{"port": 0}]}}),
    );
    let good = it.config_map("good", &json!({}));
    let mut late = it.config_map("late", &json!({}));
    late["metadata"]["namespace"] = json!("nobody-made-this");
    let secret = it.object("v1", "Secret", "s", &json!({"sops": {"mac": "ENC[]"}}));
    let objects = [bad, good.clone(), late, secret.clone()];
    let options = cluster::ApplyOptions {
        continue_on_error: true,
        ..it.options()
    };
    let error = it.apply_with(&objects, options.clone()).await.unwrap_err();
    let failed: Vec<_> = error
        .errors
        .iter()
        .map(|e| (e.id.to_string(), e.may_have_written()))
        .collect();
    let id = |text: &str| (text.to_owned(), false);
    let expected = [
        id("ConfigMap/nobody-made-this/late"),
        id(&format!("Secret/{ns}/s")),
        id(&format!("Service/{ns}/bad")),
    ];
    assert_eq!(failed, expected);
    assert_eq!(
        error.applied.changes.to_string(),
        format!("ConfigMap/{ns}/good created")
    );
    assert!(it.live(&good).await.is_some());
    assert!(it.live(&secret).await.is_none());

    // The same plan for some objects only leaves the others alone.
    let plan = it
        .cluster
        .plan_apply(objects.to_vec(), options)
        .await
        .unwrap();
    let part = plan.only(|id| id.name == "good");
    let applied = it.cluster.apply(&part).await.unwrap();
    assert_eq!(
        applied.changes.to_string(),
        format!("ConfigMap/{ns}/good unchanged")
    );
}

#[tokio::test]
async fn a_name_cannot_reach_another_path() {
    let it = Fixture::new("path").await;
    let ns = &it.namespace;
    let text = it
        .refused(&[it.config_map("../../../default/configmaps/x", &json!({}))])
        .await;
    assert_eq!(
        text,
        format!(
            "ConfigMap/{ns}/../../../default/configmaps/x dry-run failed: \
             invalid resource name \"../../../default/configmaps/x\": [may not contain '/']"
        )
    );
    let text = it.refused(&[it.config_map("..", &json!({}))]).await;
    assert_eq!(
        text,
        format!(
            "ConfigMap/{ns}/.. dry-run failed: invalid resource name \"..\": [may not be '..']"
        )
    );
}

#[tokio::test]
async fn an_undecrypted_secret_is_refused_before_any_request() {
    let it = Fixture::new("sops").await;
    let ns = &it.namespace;
    let secret = it.object(
        "v1",
        "Secret",
        "s",
        &json!({"stringData": {"k": "ENC[AES256_GCM,data:x]"}, "sops": {"mac": "ENC[]"}}),
    );
    assert_eq!(
        it.refused(std::slice::from_ref(&secret)).await,
        format!(
            "Secret/{ns}/s is SOPS encrypted, configuring decryption is required for this secret to be reconciled"
        )
    );
    assert!(it.live(&secret).await.is_none());
    let allowed = annotated(
        it.object("v1", "Secret", "t", &json!({"stringData": {"k": "v"}})),
        "decrypt",
        "disabled",
    );
    it.apply(&[allowed]).await;
}

/// covers: KC-030
#[tokio::test]
async fn missing_rights_name_the_identity() {
    let it = Fixture::new("rights").await;
    let ns = &it.namespace;
    let client = control_plane()
        .await
        .client_for(ns, "default")
        .await
        .unwrap();
    let cluster = it.cluster.with_client(client);
    let plan = cluster
        .plan_apply(vec![it.config_map("cm", &json!({}))], it.options())
        .await
        .unwrap();
    assert_eq!(
        cluster.apply(&plan).await.unwrap_err().to_string(),
        format!(
            "ConfigMap/{ns}/cm dry-run failed (Forbidden): configmaps \"cm\" is forbidden: User \"system:serviceaccount:{ns}:default\" cannot patch resource \"configmaps\" in API group \"\" in the namespace \"{ns}\""
        )
    );
}

#[tokio::test]
async fn an_absent_api_server_is_a_passing_failure_within_seconds() {
    let plane = ControlPlane::start().await.unwrap();
    let namespace = plane.namespace("gone").await;
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": namespace.name()}});
    let cluster = Cluster::new(plane.client());
    let owner = manifest::metadata::Owner {
        group: "x.io".into(),
        name: "n".into(),
        namespace: "n".into(),
    };
    let options = cluster::ApplyOptions::new("m", owner);
    let objects: Vec<_> = (0..50)
        .map(|n| {
            let mut map = map.clone();
            map["metadata"]["name"] = json!(format!("m{n}"));
            map
        })
        .collect();
    let plan = cluster
        .plan_apply(objects.clone(), options.clone())
        .await
        .unwrap();
    plane.stop_api_server();
    let started = std::time::Instant::now();
    let error = cluster.apply(&plan).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!(
        started.elapsed() < Duration::from_mins(1),
        "{:?}",
        started.elapsed()
    );
    let fresh = Cluster::new(plane.client());
    let error = fresh.plan_apply(objects, options).await.unwrap_err();
    assert!(matches!(error, PlanError::Resolve(_)), "{error}");
    let prune = PruneOptions {
        owner: plan.options().owner.clone(),
        concurrency: 4,
    };
    let started = std::time::Instant::now();
    let error = cluster.prune(&plan.inventory(), &prune).await.unwrap_err();
    assert_eq!(error.changes.survivors(&plan.inventory()), plan.inventory());
    assert!(
        started.elapsed() < Duration::from_mins(1),
        "{:?}",
        started.elapsed()
    );
    plane.start_api_server().await.unwrap();
    let applied = cluster.apply(&plan).await.unwrap();
    assert_eq!(applied.changes.modified().entries().len(), 50);
}
