//! Waits: for objects, hooks and their ends.

use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use crate::world::{World, answers, condition, history, is, message};

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata:\n  done: {{ .Values.done | default \"yes\" | quote }}\n";
/// Of no parallelism: it never even begins.
const ENDLESS: &str = "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: endless\n  annotations: {helm.sh/hook: pre-upgrade}\nspec:\n  parallelism: {{ .Values.parallelism | default 0 }}\n  template:\n    spec:\n      restartPolicy: Never\n      containers: [{name: c, image: example.org/none}]\n";

/// A timeout that runs out in a test, and not before what comes ahead of the wait is done.
const SOON: &str = "10s";

fn rule() -> serde_json::Value {
    json!([{ "apiVersion": "v1", "kind": "ConfigMap", "current": "data.done == 'yes'",
        "inProgress": "data.done == 'later'", "failed": "data.done == 'no'" }])
}

/// A wait of an hour ends when the values change, and the new values are released.
#[tokio::test]
async fn long_wait_never_blocks_newer_values() {
    let world = World::new().await;
    world.publish("1.0.0", &[("one.yaml", MAP)]).await;
    let with = |done: &str| json!({ "timeout": "1h", "healthCheckExprs": rule(), "values": { "done": done } });
    world.apply(with("later")).await;
    world
        .until("waiting", |o| {
            message(o, "Reconciling") == "Running 'install' action with timeout of 1h0m0s"
        })
        .await;
    world.until_entry("one", "done", Some("later")).await;
    world.apply(with("yes")).await;
    let object = world.until("ready", |o| is(o, "Ready", "True")).await;
    assert_eq!(object.status.unwrap().failures, None);
    // The same by a new chart, in an upgrade.
    world.apply(with("later")).await;
    world.until_entry("one", "done", Some("later")).await;
    let text = MAP.replace(".Values.done | default \"yes\"", "\"yes\"");
    world.publish("1.1.0", &[("one.yaml", &text)]).await;
    let object = world
        .until("the new chart is released", |o| {
            let latest = o.status.as_ref().and_then(|s| s.history.first());
            is(o, "Ready", "True") && latest.is_some_and(|l| l.chart_version == "1.1.0")
        })
        .await;
    assert!(!is(&object, "Stalled", "True"));
}

/// To end the wait of an install for it would be to upgrade for it: the next run finds a release that failed.
#[tokio::test]
async fn request_during_a_wait_is_answered_after_it_and_upgrades_nothing() {
    let world = World::new().await;
    world.publish("1.0.0", &[("one.yaml", MAP)]).await;
    world
        .apply(
            json!({ "timeout": "1h", "healthCheckExprs": rule(), "values": { "done": "later" } }),
        )
        .await;
    world.until_entry("one", "done", Some("later")).await;
    let token = world.poke().await;
    // Time to be taken for a reason to stop waiting.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    world
        .edit("one", json!({ "data": { "done": "yes" } }))
        .await;
    let object = world
        .until("the request is answered", |o| {
            answers(o, &token) && is(o, "Ready", "True")
        })
        .await;
    assert_eq!(history(&object), [(1, "deployed", "install")]);
}

#[tokio::test]
async fn objects_that_do_not_become_ready_fail_the_release() {
    let timed_out = async {
        let world = World::new().await;
        world.publish("1.0.0", &[("one.yaml", MAP)]).await;
        let spec =
            json!({ "timeout": SOON, "healthCheckExprs": rule(), "values": { "done": "later" } });
        world.apply(spec).await;
        let object = world.stalled().await;
        let ns = world.ns();
        let words = format!("ConfigMap/{ns}/one status: 'InProgress'");
        assert!(message(&object, "Ready").contains(&words), "{object:#?}");
    };
    let failed = async {
        let world = World::new().await;
        world.publish("1.0.0", &[("one.yaml", MAP)]).await;
        let spec =
            json!({ "timeout": "1h", "healthCheckExprs": rule(), "values": { "done": "no" } });
        world.apply(spec).await;
        let object = world.stalled().await;
        let ns = world.ns();
        let words = format!("ConfigMap/{ns}/one status: 'Failed'");
        assert!(message(&object, "Ready").contains(&words), "{object:#?}");
    };
    // Nothing is waited for where that is not wanted.
    let unwaited = async {
        let world = World::new().await;
        world.publish("1.0.0", &[("one.yaml", MAP)]).await;
        world
            .apply(json!({ "install": { "disableWait": true }, "healthCheckExprs": rule(), "values": { "done": "later" } }))
            .await;
        world.deployed(1).await;
    };
    tokio::join!(timed_out, failed, unwaited);
}

/// A service without a load balancer is ready, but was not for Helm 3.
#[tokio::test]
async fn legacy_wait_is_for_what_helm_3_waited_for() {
    let world = World::new().await;
    let balanced = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {type: LoadBalancer, ports: [{port: 80}], selector: {app: web}}\n";
    world
        .publish("1.0.0", &[("one.yaml", MAP), ("web.yaml", balanced)])
        .await;
    world.apply(json!({})).await;
    world.deployed(1).await;
    let strategy = json!({ "name": "legacy" });
    let values = json!({ "done": "again" });
    world
        .apply(json!({ "timeout": SOON, "waitStrategy": strategy, "values": values }))
        .await;
    let object = world.stalled().await;
    let words = format!("Service/{}/web status: 'InProgress'", world.ns());
    assert!(message(&object, "Ready").contains(&words), "{object:#?}");

    let values = json!({ "done": "at last" });
    world
        .apply(json!({ "timeout": "1h", "waitStrategy": strategy, "values": values }))
        .await;
    world.until_entry("one", "done", Some("at last")).await;
    let services = kube::Api::<k8s_openapi::api::core::v1::Service>::namespaced(
        world.client.clone(),
        world.ns(),
    );
    let ingress = json!({ "status": { "loadBalancer": { "ingress": [{ "ip": "192.0.2.1" }] } } });
    services
        .patch_status("web", &PatchParams::default(), &Patch::Merge(ingress))
        .await
        .unwrap();
    world.until("ready", |o| is(o, "Ready", "True")).await;
}

/// A hook's job that never ends: it fails at its deadline, is undone, or ends when something newer comes.
///
/// covers: HE-133
#[tokio::test]
async fn hook_that_never_ends_fails_at_its_deadline_and_gives_way() {
    let chart = [("one.yaml", MAP), ("endless.yaml", ENDLESS)];
    let remediation = json!({ "retries": 0, "remediateLastFailure": true });
    let undone = async {
        let world = World::new().await;
        world.publish("1.0.0", &chart).await;
        world.apply(json!({})).await;
        world.deployed(1).await;
        let upgrade = json!({ "timeout": SOON, "remediation": remediation });
        world
            .apply(json!({ "upgrade": upgrade, "values": { "done": "never" } }))
            .await;
        let object = world.failed("RollbackSucceeded").await;
        let released = message(&object, "Released");
        assert!(released.contains("pre-upgrade hooks failed"), "{released}");
        // Nothing but the hook was applied.
        assert_eq!(world.entry("one", "done").await.as_deref(), Some("yes"));
        // Without the hook it goes on.
        let upgrade = json!({ "disableHooks": true });
        world
            .apply(json!({ "upgrade": upgrade, "values": { "done": "last" } }))
            .await;
        world.until("ready", |o| is(o, "Ready", "True")).await;
        world.until_entry("one", "done", Some("last")).await;
    };
    let gives_way = async {
        let world = World::new().await;
        world.publish("1.0.0", &chart).await;
        world.apply(json!({})).await;
        world.deployed(1).await;
        world
            .apply(json!({ "timeout": "1h", "values": { "done": "never" } }))
            .await;
        world.until("waiting", |o| is(o, "Ready", "Unknown")).await;
        let values = json!({ "done": "at last", "parallelism": 1 });
        world.apply(json!({ "values": values })).await;
        world.until("ready", |o| is(o, "Ready", "True")).await;
        world.until_entry("one", "done", Some("at last")).await;
    };
    tokio::join!(undone, gives_way);
}

/// An object with a finalizer holds the uninstallation, not the process: the HelmRelease says so and goes when it does.
#[tokio::test]
async fn uninstallation_waits_for_objects_to_be_gone() {
    let world = World::new().await;
    let held = MAP.replace(
        "{name: one}",
        "{name: one, finalizers: [lockgate.test/held]}",
    );
    world.publish("1.0.0", &[("one.yaml", &held)]).await;
    world
        .apply(json!({ "uninstall": { "timeout": SOON } }))
        .await;
    world.deployed(1).await;
    let params = DeleteParams::default();
    world.releases().delete("app", &params).await.unwrap();
    let object = world.failed("UninstallFailed").await;
    let ready = message(&object, "Ready");
    assert!(
        ready.contains("Helm uninstall failed for release"),
        "{ready}"
    );
    let free = json!({ "metadata": { "finalizers": null } });
    world.edit("one", free).await;
    world.gone().await;
    assert_eq!(world.records().await, []);
}

/// What the cluster itself fills in is no drift.
///
/// covers: HC-133, HC-175
#[tokio::test]
async fn deployment_is_waited_for() {
    let world = World::new().await;
    let web = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 2\n  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    spec:\n      containers: [{name: c, image: example.org/none}]\n";
    world.publish("1.0.0", &[("web.yaml", web)]).await;
    world
        .apply(json!({ "driftDetection": { "mode": "enabled" } }))
        .await;
    let object = world.deployed(1).await;
    let looked = world.request(&[]).await;
    assert_eq!(
        condition(&looked, "Drifted").unwrap().reason,
        "NoDriftDetected"
    );
    let api = kube::Api::<k8s_openapi::api::apps::v1::Deployment>::namespaced(
        world.client.clone(),
        world.ns(),
    );
    let web = api.get("web").await.unwrap();
    assert_eq!(web.status.unwrap().available_replicas, Some(2));
    assert!(condition(&object, "Released").is_some());
}
