//! Faults in the middle of an action, made by policies of the API server that refuse single writes.

use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::world::{PATIENCE, PAUSE, World, condition, history, is, message};

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata:\n  colour: {{ .Values.colour | default \"none\" }}\n{{- if .Values.bad }}\n  a bad key: x\n{{- end }}\n";

/// Refuses a write of a record from here on: `operation` of revision `version`.
async fn refuse(world: &World, operation: &str, version: i64) {
    let ns = world.ns();
    let policy = json!({ "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": { "name": ns }, "spec": { "failurePolicy": "Fail",
            "matchConstraints": { "resourceRules": [{ "apiGroups": [""], "apiVersions": ["v1"],
                "operations": [operation], "resources": ["secrets"] }] },
            "validations": [{ "message": "no room",
                "expression": format!("!has(object.metadata.labels) || !('version' in object.metadata.labels) || object.metadata.labels['version'] != '{version}'") }] } });
    let binding = json!({ "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": { "name": ns }, "spec": { "policyName": ns, "validationActions": ["Deny"],
            "matchResources": { "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": ns } } } } });
    let params = PatchParams::apply("test");
    Api::<ValidatingAdmissionPolicy>::all(world.client.clone())
        .patch(ns, &params, &Patch::Apply(policy))
        .await
        .unwrap();
    Api::<ValidatingAdmissionPolicyBinding>::all(world.client.clone())
        .patch(ns, &params, &Patch::Apply(binding))
        .await
        .unwrap();
    until_it_is(world, operation, version, false).await;
}

/// Refuses nothing any more.
async fn allow(world: &World, operation: &str, version: i64) {
    let (ns, params) = (world.ns(), DeleteParams::default());
    let bindings = Api::<ValidatingAdmissionPolicyBinding>::all(world.client.clone());
    bindings.delete(ns, &params).await.unwrap();
    let policies = Api::<ValidatingAdmissionPolicy>::all(world.client.clone());
    policies.delete(ns, &params).await.unwrap();
    until_it_is(world, operation, version, true).await;
}

/// Waits until the API server, which learns of policies after they are written, refuses such a write or allows it.
async fn until_it_is(world: &World, operation: &str, version: i64, allowed: bool) {
    let probe = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "probe",
        "labels": { "version": version.to_string() } }, "stringData": { "at": format!("{:?}", std::time::Instant::now()) } });
    let api = world.secrets();
    if operation == "UPDATE" && allowed {
        // There since the policy was made.
        assert!(api.get_opt("probe").await.unwrap().is_some());
    } else if operation == "UPDATE" {
        let plain =
            json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "probe" } });
        world.make::<Secret>("probe", plain).await;
    }
    let params = PatchParams::apply("test").force().dry_run();
    let began = std::time::Instant::now();
    loop {
        let sent = api.patch("probe", &params, &Patch::Apply(&probe)).await;
        if sent.is_ok() == allowed {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "still as before: {sent:?}");
        tokio::time::sleep(PAUSE).await;
    }
}

fn spec(values: &Value) -> Value {
    let remediation = json!({ "retries": 0, "remediateLastFailure": true });
    json!({ "upgrade": { "remediation": remediation }, "values": values })
}

/// A rollback whose record cannot be made is tried again until it can; one whose record is there and cannot be finished is a
/// failure like another.
///
/// covers: HC-118
#[tokio::test]
async fn rollback_that_cannot_be_recorded_is_told_and_done_once_it_can() {
    let released = async || {
        let world = World::new().await;
        world.publish("1.0.0", &[("one.yaml", MAP)]).await;
        world.apply(spec(&json!({ "colour": "blue" }))).await;
        world.deployed(1).await;
        world
    };
    let worse = spec(&json!({ "colour": "red", "bad": true }));
    let uncreated = async {
        let world = released().await;
        refuse(&world, "CREATE", 3).await;
        world.apply(worse.clone()).await;
        let object = world
            .until("the rollback is told to fail", |o| {
                message(o, "Ready").contains("no room")
            })
            .await;
        let remedied = condition(&object, "Remediated").unwrap();
        assert_eq!(
            (remedied.status.as_str(), remedied.reason.as_str()),
            ("False", "RollbackFailed")
        );
        // Nothing was recorded, so the newest is the upgrade that failed.
        assert_eq!(history(&object)[0], (2, "failed", "upgrade"));
        assert!(!is(&object, "Stalled", "True"));
        allow(&world, "CREATE", 3).await;
        let object = world.failed("RollbackSucceeded").await;
        assert_eq!(history(&object)[0], (3, "deployed", "rollback"));
        world.until_entry("one", "colour", Some("blue")).await;
    };
    let unfinished = async {
        let world = released().await;
        refuse(&world, "UPDATE", 3).await;
        world.apply(worse.clone()).await;
        let object = world
            .until("the rollback is told to fail", |o| {
                is(o, "Remediated", "False") && message(o, "Remediated").contains("no room")
            })
            .await;
        assert!(object.status.as_ref().unwrap().failures > Some(1));
        allow(&world, "UPDATE", 3).await;
        world.apply(spec(&json!({ "colour": "green" }))).await;
        let object = world.until("released", |o| is(o, "Ready", "True")).await;
        assert!(history(&object)[0].0 > 3);
        world.until_entry("one", "colour", Some("green")).await;
    };
    tokio::join!(uncreated, unfinished);
}

/// A release without objects is one like any other: it has no drift, and an object that comes later is new.
///
/// covers: HC-135
#[tokio::test]
async fn release_without_objects_never_drifts() {
    let world = World::new().await;
    let text = format!("{{{{ if .Values.colour }}}}\n{MAP}{{{{ end }}}}");
    world.publish("1.0.0", &[("one.yaml", &text)]).await;
    let detection = json!({ "mode": "enabled" });
    world.apply(json!({ "driftDetection": detection })).await;
    let object = world.deployed(1).await;
    assert_eq!(world.record(1).await.manifest, "");
    let entries = object.status.unwrap().inventory.map(|i| i.entries);
    assert!(entries.is_none_or(|e| e.is_empty()));
    let object = world.request(&[]).await;
    assert_eq!(
        condition(&object, "Drifted").unwrap().reason,
        "NoDriftDetected"
    );
    assert_eq!(history(&object), [(1, "deployed", "install")]);
    world
        .apply(json!({ "driftDetection": detection, "values": { "colour": "red" } }))
        .await;
    world.deployed(2).await;
    world.until_entry("one", "colour", Some("red")).await;
}
