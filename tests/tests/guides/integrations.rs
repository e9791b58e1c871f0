//! `docs/integrations.md`: what other people's operators do is waited for, by the expressions that the page shows.

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::world::{PATIENCE, UNIT, World, is_ready, map, message, objects, repository, unit};

/// An operator's kind, and statuses as it writes them.
struct Operator {
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    spec: Value,
    /// Neither well nor sick.
    busy: Value,
    /// Sick for good, where it can be.
    failed: Option<Value>,
    well: Value,
}

/// Reads the expressions for a kind out of the page.
fn expressions(kind: &str) -> String {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/integrations.md");
    let page = std::fs::read_to_string(page).unwrap();
    let examples = page.split("```yaml\n").skip(1);
    let examples = examples.filter_map(|rest| rest.split("\n```").next());
    let found = examples.flat_map(objects).find_map(|object| {
        let rules = object["spec"]["healthCheckExprs"].as_array()?;
        rules
            .iter()
            .any(|rule| rule["kind"] == kind)
            .then(|| json!(rules))
    });
    format!("  healthCheckExprs: {}\n", found.unwrap())
}

async fn define(world: &World, operator: &Operator) {
    let (group, version) = operator.version.split_once('/').unwrap();
    let open = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    let definition = json!({ "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{}.{group}", operator.plural) },
        "spec": { "group": group, "scope": "Namespaced",
            "names": { "kind": operator.kind, "plural": operator.plural, "singular": operator.kind.to_lowercase() },
            "versions": [{ "name": version, "served": true, "storage": true, "subresources": { "status": {} },
                "schema": { "openAPIV3Schema": { "type": "object", "properties": { "spec": open, "status": open } } } }] } });
    world.put(&definition).await.unwrap();
}

/// Writes a status, as the operator does after it has seen the newest spec.
async fn tell(world: &World, operator: &Operator, status: &Value) {
    let api = world
        .api(world.ns(), (operator.version, operator.kind))
        .await;
    let began = std::time::Instant::now();
    while api.get_opt("web").await.unwrap().is_none() {
        assert!(
            began.elapsed() < PATIENCE,
            "{} was not applied",
            operator.kind
        );
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let patch = json!({ "status": status });
    api.patch_status("web", &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
}

async fn is_waited_for(operator: &Operator) {
    let world = World::new().await;
    define(&world, operator).await;
    let git = world.git.repository("app").unwrap();
    let object = json!({ "apiVersion": operator.version, "kind": operator.kind,
        "metadata": { "name": "web" }, "spec": operator.spec });
    let first = git
        .commit("main", "first")
        .write("a.json.yaml", object.to_string());
    let first = first.push().unwrap();
    world
        .apply(&repository("app", git.url(), "branch: main"))
        .await;
    let more = format!(
        "  timeout: 5m\n  wait: true\n  targetNamespace: {}\n{}",
        world.ns(),
        expressions(operator.kind)
    );
    world.apply(&unit("app", "app", "./", &more)).await;
    tell(&world, operator, &operator.busy).await;
    let waiting = world
        .until(UNIT, "app", "it is waited for", |unit| {
            let conditions = unit["status"]["conditions"].to_string();
            conditions.contains("Running health checks")
        })
        .await;
    assert!(!is_ready(&waiting, "True"));
    if let Some(failed) = &operator.failed {
        tell(&world, operator, failed).await;
        let verdict = format!("{}/{}/web status: 'Failed'", operator.kind, world.ns());
        world
            .until(UNIT, "app", "the failure is told", |unit| {
                is_ready(unit, "False") && message(unit).contains(&verdict)
            })
            .await;
    }
    tell(&world, operator, &operator.well).await;
    let second = git.commit("main", "second");
    let second = second.write("b.yaml", map("b", "one")).push().unwrap();
    assert_ne!(first, second);
    world.applied("app", &second).await;
}

#[tokio::test]
async fn canary_of_flagger_is_waited_for() {
    is_waited_for(&Operator {
        version: "flagger.app/v1beta1",
        kind: "Canary",
        plural: "canaries",
        spec: json!({ "targetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "web" } }),
        busy: json!({ "phase": "Progressing", "canaryWeight": 20 }),
        failed: Some(json!({ "phase": "Failed", "canaryWeight": 0 })),
        well: json!({ "phase": "Succeeded", "canaryWeight": 0 }),
    })
    .await;
}

#[tokio::test]
async fn rollout_of_argo_is_waited_for() {
    is_waited_for(&Operator {
        version: "argoproj.io/v1alpha1",
        kind: "Rollout",
        plural: "rollouts",
        spec: json!({ "replicas": 2 }),
        busy: json!({ "phase": "Paused", "observedGeneration": "1" }),
        failed: Some(json!({ "phase": "Degraded", "observedGeneration": "1" })),
        well: json!({ "phase": "Healthy", "observedGeneration": "1" }),
    })
    .await;
}

#[tokio::test]
async fn external_secret_is_waited_for() {
    let condition = |status: &str| json!({ "conditions": [{ "type": "Ready", "status": status }] });
    is_waited_for(&Operator {
        version: "external-secrets.io/v1",
        kind: "ExternalSecret",
        plural: "externalsecrets",
        spec: json!({ "target": { "name": "login" } }),
        busy: json!({ "conditions": [] }),
        failed: None,
        well: condition("True"),
    })
    .await;
}

#[tokio::test]
async fn sealed_secret_is_waited_for() {
    let condition =
        |status: &str| json!({ "conditions": [{ "type": "Synced", "status": status }] });
    is_waited_for(&Operator {
        version: "bitnami.com/v1alpha1",
        kind: "SealedSecret",
        plural: "sealedsecrets",
        spec: json!({ "encryptedData": {} }),
        busy: json!({ "conditions": [] }),
        failed: Some(condition("False")),
        well: condition("True"),
    })
    .await;
}
