//! Expressions, encrypted files, drift seen at once, guards.

use std::time::{Duration, Instant};

use api::kustomize::Kustomization;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Secret};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::world::{World, config_map, has, is, message};

async fn edit(world: &World, name: &str, change: Value) {
    let params = PatchParams {
        field_manager: Some("somebody".into()),
        ..PatchParams::default()
    };
    let api = world.config_maps();
    api.patch(name, &params, &Patch::Merge(change))
        .await
        .unwrap();
}

/// covers: KC-063
#[tokio::test]
async fn expressions_decide_over_health_and_dependencies() {
    let world = World::new().await;
    let first = config_map("first", "k", "v");
    let revision = world.publish(&[("first.yaml", &first)]).await;
    world
        .apply_named(
            "waits",
            json!({ "path": "./", "dependsOn": [{ "name": "app",
                "readyExpr": "dep.metadata.?labels.?open.orValue('') == 'yes'" }] }),
        )
        .await;
    // No rule of its own would ever call a ConfigMap unhealthy.
    let rule = json!([{ "apiVersion": "v1", "kind": "ConfigMap",
        "current": "data.k == 'v'", "failed": "data.k == 'broken'" }]);
    world
        .apply(json!({ "wait": true, "timeout": "40s", "healthCheckExprs": rule }))
        .await;
    world.applied("app", &revision).await;
    let blocked = world.failed("waits", "DependencyNotReady").await;
    let ns = world.ns();
    assert_eq!(
        message(&blocked, "Ready"),
        format!("dependency '{ns}/app' is not ready according to readyExpr eval")
    );
    let open = json!({ "metadata": { "labels": { "open": "yes" } } });
    let params = PatchParams::default();
    let api = world.kustomizations();
    api.patch("app", &params, &Patch::Merge(open))
        .await
        .unwrap();
    world.applied("waits", &revision).await;

    let broken = config_map("first", "k", "broken");
    world.publish(&[("first.yaml", &broken)]).await;
    let sick = world.failed("app", "HealthCheckFailed").await;
    let words = message(&sick, "Ready");
    assert!(
        words.contains(&format!("ConfigMap/{ns}/first status: 'Failed'")),
        "{words}"
    );
}

/// covers: KC-021
#[tokio::test]
async fn expression_with_an_unknown_variable_stalls() {
    let world = World::new().await;
    world
        .publish(&[("a.yaml", &config_map("a", "k", "v"))])
        .await;
    let depends = json!([{ "name": "other", "readyExpr": "nobody.ready" }]);
    world.apply(json!({ "dependsOn": depends })).await;
    let stalled = world
        .until("app", "stalled", |k| {
            is(k, "Stalled", "True", "InvalidCELExpression")
        })
        .await;
    let words = message(&stalled, "Ready");
    assert!(
        words.contains("undeclared reference to 'nobody'"),
        "{words}"
    );
}

#[tokio::test]
async fn circle_stalls_its_members_and_names_them() {
    let world = World::new().await;
    let revision = world
        .publish(&[("a.yaml", &config_map("a", "k", "v"))])
        .await;
    world
        .apply_named("a", json!({ "dependsOn": [{ "name": "b" }] }))
        .await;
    world
        .apply_named("b", json!({ "dependsOn": [{ "name": "a" }] }))
        .await;
    let ns = world.ns().to_owned();
    let in_circle = |k: &Kustomization| is(k, "Stalled", "True", "DependencyCycle");
    let settled = world.until("b", "stalled or waiting", |k| {
        in_circle(k) || is(k, "Ready", "False", "DependencyNotReady")
    });
    settled.await;
    world.request("a").await;
    let a = world.until("a", "stalled", in_circle).await;
    assert_eq!(
        message(&a, "Ready"),
        format!("circular dependency detected: {ns}/a -> {ns}/b -> {ns}/a")
    );
    // Whoever opens the circle frees all.
    world.apply_named("b", json!({ "dependsOn": [] })).await;
    world.applied("b", &revision).await;
    world.applied("a", &revision).await;
}

const GOLDEN: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../crates/engines/sops/tests/golden"
);

fn golden(path: &str) -> String {
    std::fs::read_to_string(format!("{GOLDEN}/{path}")).unwrap()
}

/// covers: KC-008, KC-009, KC-069
#[tokio::test]
async fn encrypted_objects_and_files_reach_the_cluster_decrypted() {
    let world = World::new().await;
    let keys = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "keys" },
        "stringData": { "age.agekey": golden("keys/age.agekey"), "rsa.asc": golden("keys/rsa.asc") } });
    let secrets = Api::<Secret>::namespaced(world.client.clone(), world.ns());
    let params = PatchParams::apply("test");
    secrets
        .patch("keys", &params, &Patch::Apply(keys))
        .await
        .unwrap();
    let kustomization = "resources: [s.yaml]\nsecretGenerator:\n- name: files\n  files: [app.json, app.bin=app.txt]\n  envs: [app.env]\n  options: {disableNameSuffixHash: true}\n";
    let (secret, json, text) = (
        golden("encrypted/regex.yaml"),
        golden("encrypted/app.json"),
        golden("encrypted/app.txt"),
    );
    let dotenv = golden("encrypted/app.env");
    let files = [
        ("kustomization.yaml", kustomization),
        ("s.yaml", &secret),
        ("app.json", &json),
        ("app.txt", &text),
        ("app.env", &dotenv),
    ];
    let revision = world.publish(&files).await;
    let decryption = json!({ "provider": "sops", "secretRef": { "name": "keys" } });
    world.apply(json!({ "decryption": decryption })).await;
    world.applied("app", &revision).await;
    let value = |secret: &Secret, key: &str| {
        let data = secret.data.clone().unwrap();
        String::from_utf8(data[key].0.clone()).unwrap()
    };
    let whole = secrets.get("s").await.unwrap();
    assert_eq!(value(&whole, "user"), "admin");
    assert_eq!(value(&whole, "config"), "a = 1\nb = 2\n");
    let files = secrets.get("files").await.unwrap();
    assert_eq!(value(&files, "app.json"), golden("decrypted/app.json"));
    assert_eq!(value(&files, "app.bin"), golden("decrypted/app.txt"));
    assert_eq!(value(&files, "USER"), "admin");
    let version = whole.metadata.resource_version;
    world.request("app").await;
    let again = secrets.get("s").await.unwrap();
    assert_eq!(again.metadata.resource_version, version);
}

#[tokio::test]
async fn wrong_key_and_missing_decryption_are_told() {
    let world = World::new().await;
    let other = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "keys" },
        "stringData": { "age.agekey": golden("keys/other.agekey") } });
    let secrets = Api::<Secret>::namespaced(world.client.clone(), world.ns());
    let params = PatchParams::apply("test");
    secrets
        .patch("keys", &params, &Patch::Apply(other))
        .await
        .unwrap();
    world
        .publish(&[("s.yaml", &golden("encrypted/regex.yaml"))])
        .await;
    let decryption = json!({ "provider": "sops", "secretRef": { "name": "keys" } });
    world.apply(json!({ "decryption": decryption })).await;
    let failed = world.failed("app", "BuildFailed").await;
    let words = message(&failed, "Ready");
    assert!(
        words.starts_with("decryption failed for 'Secret.v1.[noGrp]/s': cannot get sops data key"),
        "{words}"
    );
    let gone = json!({ "provider": "sops", "secretRef": { "name": "gone" } });
    world.apply(json!({ "decryption": gone })).await;
    world
        .until("app", "the missing Secret is named", |k| {
            message(k, "Ready") == "secrets \"gone\" not found"
        })
        .await;
}

/// Whether the edit of `one` is undone within some seconds.
async fn taken_back(world: &World) -> bool {
    let is_blue = has("colour", "blue");
    for _ in 0..60 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        if is_blue(world.config_maps().get_opt("one").await.unwrap().as_ref()) {
            return true;
        }
    }
    false
}

#[tokio::test]
async fn drift_is_taken_back_at_once_and_told_once() {
    let world = World::new().await;
    let one = config_map("one", "colour", "blue");
    let revision = world.publish(&[("one.yaml", &one)]).await;
    world
        .apply(json!({ "driftDetection": { "mode": "enabled" } }))
        .await;
    world.applied("app", &revision).await;
    // The watch opens a moment after the inventory is known; what is edited before is not seen.
    for attempt in 0.. {
        assert!(attempt < 20, "no edit was taken back");
        let colour = format!("green-{attempt}");
        edit(&world, "one", json!({ "data": { "colour": colour } })).await;
        if taken_back(&world).await {
            break;
        }
    }
    let event = world.event("DriftDetected", "/data/colour").await;
    assert_eq!(event.type_.as_deref(), Some("Warning"));
    let words = event.message.unwrap();
    assert!(words.starts_with("Drift detected in app\n"), "{words}");
    assert!(words.contains(" instead of \"blue\""), "{words}");
    assert!(words.contains("(by somebody at "), "{words}");
    let api = world.config_maps();
    api.delete("one", &DeleteParams::default()).await.unwrap();
    world.config_map("one", has("colour", "blue")).await;
    world.event("DriftDetected", "one deleted").await;
}

/// An autoscaler writes `replicas` again whenever it is not what it wants; Git names it too.
#[tokio::test]
async fn autoscaler_against_a_git_that_names_replicas_is_no_fight() {
    const WANTED: i32 = 5;
    let world = World::new().await;
    let web = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 2\n  \
               selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    \
               spec: {containers: [{name: web, image: example.com/web}]}\n";
    let revision = world.publish(&[("web.yaml", web)]).await;
    world
        .apply(json!({ "driftDetection": { "mode": "enabled" } }))
        .await;
    world.applied("app", &revision).await;
    let deployments = Api::<Deployment>::namespaced(world.client.clone(), world.ns());
    let scaled = deployments.clone();
    let autoscaler = tokio::spawn(async move {
        let params = PatchParams {
            field_manager: Some("autoscaler".into()),
            ..PatchParams::default()
        };
        let patch = Patch::Merge(json!({ "spec": { "replicas": WANTED } }));
        loop {
            let now = scaled.get_scale("web").await.unwrap();
            if now.spec.and_then(|spec| spec.replicas) != Some(WANTED) {
                scaled.patch_scale("web", &params, &patch).await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    world
        .event(
            "DriftDetected",
            "autoscaler keeps changing /spec/replicas of Deployment/",
        )
        .await;
    // What was going on as that was told ends; then nobody writes any more.
    let mut generation = None;
    let mut calm = 0;
    let began = Instant::now();
    while calm < 30 {
        assert!(began.elapsed() < Duration::from_mins(1), "they go on");
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = deployments.get("web").await.unwrap();
        let is_still = now.metadata.generation == generation;
        calm = if is_still { calm + 1 } else { 0 };
        generation = now.metadata.generation;
    }
    let calm = deployments.get("web").await.unwrap();
    assert_eq!(calm.spec.unwrap().replicas, Some(WANTED));
    assert!(generation < Some(16), "{generation:?}");
    assert!(!autoscaler.is_finished());
    autoscaler.abort();
    // Whoever asks gets what Git says.
    world.request("app").await;
    let asked = deployments.get("web").await.unwrap();
    assert_eq!(asked.spec.unwrap().replicas, Some(2));
}

#[tokio::test]
async fn drift_is_only_told_where_it_is_to_be_left() {
    let world = World::new().await;
    let one = config_map("one", "colour", "blue");
    let revision = world.publish(&[("one.yaml", &one)]).await;
    world
        .apply(json!({ "driftDetection": { "mode": "warn" } }))
        .await;
    world.applied("app", &revision).await;
    edit(&world, "one", json!({ "data": { "colour": "green" } })).await;
    world.request("app").await;
    world.event("DriftDetected", "/data/colour").await;
    world.config_map("one", has("colour", "green")).await;
    let seen = world
        .until("app", "the drift is in the status", |k| {
            k.status.as_ref().is_some_and(|s| s.drift.is_some())
        })
        .await;
    let drift = seen.status.unwrap().drift.unwrap();
    assert_eq!(drift.objects[0].paths, ["/data/colour"]);
    assert_eq!(drift.objects[0].manager.as_deref(), Some("somebody"));
    let next = world
        .publish(&[("one.yaml", &config_map("one", "colour", "red"))])
        .await;
    let object = world.applied("app", &next).await;
    world.config_map("one", has("colour", "red")).await;
    assert!(object.status.unwrap().drift.is_none());
}

#[tokio::test]
async fn guard_holds_deletions_back_until_somebody_agrees() {
    let world = World::new().await;
    let (a, b) = (config_map("a", "k", "v"), config_map("b", "k", "v"));
    let first = world.publish(&[("a.yaml", &a), ("b.yaml", &b)]).await;
    world
        .apply(json!({ "pruneGuard": { "maxCount": 0 } }))
        .await;
    world.applied("app", &first).await;
    let second = world.publish(&[("a.yaml", &a)]).await;
    let failed = world.failed("app", "PruneFailed").await;
    let words = message(&failed, "Ready");
    assert!(
        words.starts_with("pruneGuard: 1 of 2 objects would be deleted"),
        "{words}"
    );
    world.config_map("b", |c| c.is_some()).await;
    let agree = json!({ "metadata": { "annotations": { api::extension::CONFIRM_PRUNE: second } } });
    let params = PatchParams::default();
    let api = world.kustomizations();
    api.patch("app", &params, &Patch::Merge(agree))
        .await
        .unwrap();
    world.request("app").await;
    world.applied("app", &second).await;
    world.config_map("b", |c| c.is_none()).await;
}
