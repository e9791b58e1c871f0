//! Waiting until each part of a control plane works.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use http::Request;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Client;
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::supervisor::Supervised;

const OBJECTS: &str = include_str!("objects.json");

/// Generous, for machines where everything else runs too; a healthy start takes seconds.
const PATIENCE: Duration = Duration::from_mins(2);
const PAUSE: Duration = Duration::from_millis(50);

/// Waits until the API server says that it is ready.
pub(super) async fn api_server(client: &Client, programs: &[&Supervised]) -> Result<()> {
    until("the API server", programs, || async {
        let request = Request::get("/readyz").body(Vec::new())?;
        Ok(client.request_text(request).await? == "ok")
    })
    .await
}

/// Creates the node and the admission policy that places pods on it.
pub(super) async fn create_objects(client: &Client) -> Result<()> {
    let list: Value = serde_json::from_str(OBJECTS).context("reading objects.json")?;
    for object in list["items"].as_array().into_iter().flatten() {
        let path = match object["kind"].as_str() {
            Some("Node") => "/api/v1/nodes",
            Some("MutatingAdmissionPolicy") => {
                "/apis/admissionregistration.k8s.io/v1beta1/mutatingadmissionpolicies"
            }
            Some("MutatingAdmissionPolicyBinding") => {
                "/apis/admissionregistration.k8s.io/v1beta1/mutatingadmissionpolicybindings"
            }
            other => bail!("objects.json holds an unknown kind {other:?}"),
        };
        let request = Request::post(path)
            .header("Content-Type", "application/json")
            .body(serde_json::to_vec(object)?)?;
        client.request_text(request).await.with_context(|| {
            format!("creating {} {}", object["kind"], object["metadata"]["name"])
        })?;
    }
    Ok(())
}

/// Takes the node from the kwok that held it and is gone; a new one would wait until that lease runs out.
pub(super) async fn release_node(client: &Client) -> Result<()> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), "kube-node-lease");
    match leases.delete("node-0", &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        result => result.map(drop).context("deleting the node's lease"),
    }
}

/// Waits until the node is Ready and nothing keeps pods off it.
pub(super) async fn node(client: &Client, programs: &[Supervised]) -> Result<()> {
    let nodes: Api<Node> = Api::all(client.clone());
    until("the node", &programs.iter().collect::<Vec<_>>(), || async {
        let node = nodes.get("node-0").await?;
        let tainted = node
            .spec
            .and_then(|spec| spec.taints)
            .is_some_and(|taints| taints.iter().any(|taint| taint.key.ends_with("/not-ready")));
        let conditions = node
            .status
            .and_then(|status| status.conditions)
            .unwrap_or_default();
        let ready = conditions
            .iter()
            .any(|c| c.type_ == "Ready" && c.status == "True");
        Ok(ready && !tainted)
    })
    .await
}

/// Waits until a pod in the namespace `default` is accepted and placed on the node, without making one.
///
/// This takes the admission policy, which the API server reads with a delay, and the namespace's service account, which
/// the controller-manager makes.
pub(super) async fn pods_are_placed(client: &Client, programs: &[Supervised]) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), "default");
    let probe: Pod = serde_json::from_value(json!({
        "metadata": { "name": "is-placed" },
        "spec": { "containers": [{ "name": "none", "image": "none" }] },
    }))?;
    let dry_run = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    until(
        "the placing of pods",
        &programs.iter().collect::<Vec<_>>(),
        || async {
            let pod = pods.create(&dry_run, &probe).await?;
            Ok(pod.spec.and_then(|spec| spec.node_name).is_some())
        },
    )
    .await
}

/// Asks until the answer is yes. Fails when one of `programs` ends, or after [`PATIENCE`] with the last error.
pub(super) async fn until<F>(
    what: &str,
    programs: &[&Supervised],
    mut ask: impl FnMut() -> F,
) -> Result<()>
where
    F: Future<Output = Result<bool>>,
{
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = ask().await;
        if matches!(answer, Ok(true)) {
            return Ok(());
        }
        for program in programs {
            program.still_runs()?;
        }
        if Instant::now() > deadline {
            let logs: Vec<_> = programs.iter().map(|program| program.log_tail()).collect();
            let reason = answer
                .err()
                .map(|error| format!(": {error:#}"))
                .unwrap_or_default();
            bail!(
                "waited {PATIENCE:?} for {what}{reason}\n{}",
                logs.join("\n")
            );
        }
        sleep(PAUSE).await;
    }
}
