//! The control plane is real: workloads get Ready, rights count, it can go away and come back.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, ServiceAccount};
use kube::api::{Api, ListParams, ObjectMeta, PostParams};
use serde_json::json;
use testkit::{ControlPlane, control_plane};

const PATIENCE: Duration = Duration::from_mins(1);

/// Asks until `ask` says yes.
async fn until(mut ask: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !ask().await? {
        ensure!(Instant::now() < deadline, "not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

fn deployment(replicas: u32, annotations: &serde_json::Value) -> Result<Deployment> {
    Ok(serde_json::from_value(json!({
        "metadata": { "name": "web" },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web" }, "annotations": annotations },
                "spec": { "containers": [{ "name": "web", "image": "example.org/web:1" }] },
            },
        },
    }))?)
}

fn config_map(name: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        ..ConfigMap::default()
    }
}

#[tokio::test]
async fn deployment_of_two_replicas_becomes_ready() -> Result<()> {
    let plane = control_plane().await;
    let namespace = plane.namespace("deployment").await;
    let deployments: Api<Deployment> = Api::namespaced(plane.client(), namespace.name());
    deployments
        .create(&PostParams::default(), &deployment(2, &json!({}))?)
        .await?;
    until(async || {
        let status = deployments.get("web").await?.status.unwrap_or_default();
        Ok(status.ready_replicas == Some(2))
    })
    .await
}

#[tokio::test]
async fn pod_told_to_stay_unready_does() -> Result<()> {
    let plane = control_plane().await;
    let namespace = plane.namespace("unready").await;
    let deployments: Api<Deployment> = Api::namespaced(plane.client(), namespace.name());
    let unready = json!({ "testkit.lockgate.dev/pod": "unready" });
    deployments
        .create(&PostParams::default(), &deployment(1, &unready)?)
        .await?;
    let pods: Api<Pod> = Api::namespaced(plane.client(), namespace.name());
    until(async || {
        let found = pods.list(&ListParams::default()).await?.items;
        Ok(found
            .iter()
            .filter_map(|pod| pod.status.as_ref())
            .any(|status| {
                let conditions = status.conditions.iter().flatten();
                status.phase.as_deref() == Some("Running")
                    && conditions
                        .into_iter()
                        .any(|c| c.type_ == "Ready" && c.status == "False")
            }))
    })
    .await
}

#[tokio::test]
async fn job_succeeds_or_fails_as_told() -> Result<()> {
    let plane = control_plane().await;
    let namespace = plane.namespace("job").await;
    let jobs: Api<Job> = Api::namespaced(plane.client(), namespace.name());
    let job = |name: &str, annotations: serde_json::Value| -> Job {
        serde_json::from_value(json!({
            "metadata": { "name": name },
            "spec": {
                "backoffLimit": 0,
                "template": {
                    "metadata": { "annotations": annotations },
                    "spec": {
                        "restartPolicy": "Never",
                        "containers": [{ "name": "work", "image": "example.org/work:1" }],
                    },
                },
            },
        }))
        .unwrap()
    };
    let create = PostParams::default();
    jobs.create(&create, &job("good", json!({}))).await?;
    jobs.create(
        &create,
        &job("bad", json!({ "testkit.lockgate.dev/pod": "crash" })),
    )
    .await?;
    let ended = async |name: &str, condition: &str| -> Result<bool> {
        let status = jobs.get(name).await?.status.unwrap_or_default();
        let mut conditions = status.conditions.iter().flatten();
        Ok(conditions.any(|c| c.type_ == condition && c.status == "True"))
    };
    until(async || Ok(ended("good", "Complete").await? && ended("bad", "Failed").await?)).await
}

#[tokio::test]
async fn service_account_without_rights_is_refused() -> Result<()> {
    let plane = control_plane().await;
    let namespace = plane.namespace("rights").await;
    let accounts: Api<ServiceAccount> = Api::namespaced(plane.client(), namespace.name());
    let account = ServiceAccount {
        metadata: ObjectMeta {
            name: Some("reader".to_owned()),
            ..ObjectMeta::default()
        },
        ..ServiceAccount::default()
    };
    accounts.create(&PostParams::default(), &account).await?;
    let client = plane.client_for(namespace.name(), "reader").await?;
    let config_maps: Api<ConfigMap> = Api::namespaced(client, namespace.name());
    let refused = config_maps.list(&ListParams::default()).await.unwrap_err();
    let kube::Error::Api(status) = refused else {
        panic!("not an answer of the server: {refused}")
    };
    assert_eq!(status.code, 403);
    assert!(
        status.message.contains("system:serviceaccount:"),
        "{}",
        status.message
    );
    Ok(())
}

#[tokio::test]
async fn state_survives_the_api_server() -> Result<()> {
    let plane = ControlPlane::start().await?;
    let config_maps: Api<ConfigMap> = Api::namespaced(plane.client(), "default");
    config_maps
        .create(&PostParams::default(), &config_map("kept"))
        .await?;

    plane.stop_api_server();
    assert!(
        config_maps.get("kept").await.is_err(),
        "a stopped API server answers"
    );

    plane.start_api_server().await?;
    config_maps.get("kept").await?;
    // The controller-manager works again too.
    let namespace = plane.namespace("after").await;
    let deployments: Api<Deployment> = Api::namespaced(plane.client(), namespace.name());
    deployments
        .create(&PostParams::default(), &deployment(1, &json!({}))?)
        .await?;
    until(async || {
        let status = deployments.get("web").await?.status.unwrap_or_default();
        Ok(status.ready_replicas == Some(1))
    })
    .await
}

#[tokio::test]
async fn two_control_planes_know_nothing_of_each_other() -> Result<()> {
    let (one, two) = tokio::try_join!(ControlPlane::start(), ControlPlane::start())?;
    let of_one: Api<ConfigMap> = Api::namespaced(one.client(), "default");
    let of_two: Api<ConfigMap> = Api::namespaced(two.client(), "default");
    of_one
        .create(&PostParams::default(), &config_map("mine"))
        .await?;
    assert!(of_one.get_opt("mine").await?.is_some());
    assert!(of_two.get_opt("mine").await?.is_none());
    println!(
        "started in {:?} and {:?}",
        one.started_in(),
        two.started_in()
    );
    Ok(())
}
