//! Troubles of the cluster: rights that go, namespaces and definitions that are deleted, policies
//! that refuse, clusters and keys that do not fit. Nothing is forgotten, and nobody else suffers.

use base64::{Engine, engine::general_purpose::STANDARD};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{
    Api,
    api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams},
    core::GroupVersionKind,
};
use serde_json::{Value, json};
use testkit::{Answer, HttpSink, ReceivedRequest};

use crate::world::{World, config_map, has, inventory, message};

async fn put(world: &World, plural: &str, object: Value) {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap();
    let (api_version, kind) = (text("/apiVersion"), text("/kind"));
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let gvk = GroupVersionKind::gvk(group, version, kind);
    let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
    let api: Api<DynamicObject> = match object.pointer("/metadata/namespace") {
        Some(namespace) => {
            let namespace = namespace.as_str().unwrap();
            Api::namespaced_with(world.client.clone(), namespace, &resource)
        }
        None => Api::all_with(world.client.clone(), &resource),
    };
    let name = text("/metadata/name").to_owned();
    let params = PatchParams::apply("test").force();
    api.patch(&name, &params, &Patch::Apply(&object))
        .await
        .unwrap();
}

#[tokio::test]
async fn rights_that_go_between_two_revisions_cost_nothing_that_is_owned() {
    let world = World::new().await;
    let (one, two) = (config_map("one", "k", "old"), config_map("two", "k", "old"));
    let first = world
        .publish(&[("one.yaml", &one), ("two.yaml", &two)])
        .await;
    world.account("tenant").await;
    world.allow("tenant").await;
    let spec = json!({ "serviceAccountName": "tenant", "retryInterval": "1s" });
    world.apply(spec).await;
    world.applied("app", &first).await;
    world.disallow("tenant").await;
    let one = config_map("one", "k", "new");
    let second = world.publish(&[("one.yaml", &one)]).await;
    let failed = world.failed("app", "ReconciliationFailed").await;
    assert!(
        message(&failed, "Ready").contains("forbidden"),
        "{}",
        message(&failed, "Ready")
    );
    assert_eq!(inventory(&failed).len(), 2);
    world.config_map("one", has("k", "old")).await;
    world.config_map("two", |c| c.is_some()).await;
    world.allow("tenant").await;
    world.applied("app", &second).await;
    world.config_map("one", has("k", "new")).await;
    world.config_map("two", |c| c.is_none()).await;
}

#[tokio::test]
async fn namespace_that_does_not_end_is_told_and_holds_up_no_other_unit() {
    let world = World::new().await;
    let other = format!("{}-stuck", world.ns());
    world.make_namespace(&other).await;
    let held = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "held",
        "namespace": other, "finalizers": ["example.com/held"] } });
    put(&world, "configmaps", held.clone()).await;
    let namespaces = Api::<Namespace>::all(world.client.clone());
    namespaces
        .delete(&other, &DeleteParams::default())
        .await
        .unwrap();
    let inside = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: inside, namespace: {other}}}\ndata: {{k: v}}\n"
    );
    let outside = config_map("outside", "k", "v");
    let files = [
        ("stuck/a.yaml", inside.as_str()),
        ("fine/a.yaml", outside.as_str()),
    ];
    let revision = world.publish(&files).await;
    let spec = json!({ "path": "stuck", "targetNamespace": null, "retryInterval": "1s" });
    world.apply_named("stuck", spec).await;
    world.apply_named("fine", json!({ "path": "fine" })).await;
    let failed = world.failed("stuck", "ReconciliationFailed").await;
    let words = message(&failed, "Ready");
    assert!(words.contains("because it is being terminated"), "{words}");
    world.applied("fine", &revision).await;
    let mut freed = held;
    freed["metadata"]["finalizers"] = json!([]);
    put(&world, "configmaps", freed).await;
    let words = format!("namespaces \"{other}\" not found");
    world
        .until("stuck", "the namespace is gone", |k| {
            message(k, "Ready").contains(&words)
        })
        .await;
    world.make_namespace(&other).await;
    world.applied("stuck", &revision).await;
}

#[tokio::test]
async fn refusal_of_a_policy_is_told_in_its_words() {
    let world = World::new().await;
    let name = format!("{}-no-red", world.ns());
    let policy = json!({ "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy", "metadata": { "name": name },
        "spec": { "failurePolicy": "Fail", "matchConstraints": { "resourceRules": [{
            "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"],
            "resources": ["configmaps"] }] },
        "validations": [{ "expression": "!has(object.data) || !('colour' in object.data) || object.data.colour != 'red'",
            "message": "red is not wanted here" }] } });
    put(&world, "validatingadmissionpolicies", policy).await;
    let binding = json!({ "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding", "metadata": { "name": name },
        "spec": { "policyName": name, "validationActions": ["Deny"], "matchResources": {
            "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": world.ns() } } } } });
    put(&world, "validatingadmissionpolicybindings", binding).await;
    refused_in_its_words(&world, "red is not wanted here").await;
    let blue = config_map("one", "colour", "blue");
    let blue = world.publish(&[("one.yaml", &blue)]).await;
    world.applied("app", &blue).await;
}

/// Applies red until it is refused: what refuses takes a moment until it counts.
async fn refused_in_its_words(world: &World, refusal: &str) {
    world.apply(json!({ "retryInterval": "1h" })).await;
    let mut refused = false;
    for round in 0..60 {
        let colour = match round % 2 {
            0 => "red".to_owned(),
            _ => format!("grey-{round}"),
        };
        let revision = world
            .publish(&[("one.yaml", &config_map("one", "colour", &colour))])
            .await;
        let settled = world
            .until("app", "a verdict", |k| {
                let words = message(k, "Ready");
                words.contains(refusal) || words.ends_with(&revision)
            })
            .await;
        refused = message(&settled, "Ready").contains(refusal);
        if refused {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
    assert!(refused, "red was never refused");
    world.event("ReconciliationFailed", refusal).await;
}

/// Lets no red object in, and fails over a broken one.
fn admission(request: &ReceivedRequest) -> Answer {
    let review: Value = request.json().unwrap();
    let colour = &review["request"]["object"]["data"]["colour"];
    if colour == "broken" {
        return Answer::status(500);
    }
    let verdict = json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "response": { "uid": review["request"]["uid"], "allowed": colour != "red",
            "status": { "message": "red is not wanted there" } } });
    Answer::body(verdict.to_string()).header("content-type", "application/json")
}

#[tokio::test]
async fn refusal_of_a_webhook_is_told_in_its_words_and_its_fault_is_passing() {
    let world = World::new().await;
    let sink = HttpSink::start_tls().unwrap();
    sink.answer_by(admission);
    let name = format!("{}-no-red-hook", world.ns());
    let webhook = json!({ "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration", "metadata": { "name": name },
        "webhooks": [{ "name": "colours.example.com", "admissionReviewVersions": ["v1"],
            "sideEffects": "None", "failurePolicy": "Fail", "timeoutSeconds": 30,
            "clientConfig": { "url": format!("{}/colours", sink.url()),
                "caBundle": STANDARD.encode(sink.authority().unwrap().pem()) },
            "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": world.ns() } },
            "rules": [{ "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"],
                "resources": ["configmaps"] }] }] });
    put(&world, "validatingwebhookconfigurations", webhook).await;
    let words =
        "admission webhook \"colours.example.com\" denied the request: red is not wanted there";
    refused_in_its_words(&world, words).await;
    let broken = config_map("one", "colour", "broken");
    let broken = world.publish(&[("one.yaml", &broken)]).await;
    let words = "failed calling webhook \"colours.example.com\"";
    let failed = world
        .until("app", words, |k| message(k, "Ready").contains(words))
        .await;
    assert_eq!(failed.status.unwrap().last_attempted_revision, Some(broken));
    let blue = config_map("one", "colour", "blue");
    let blue = world.publish(&[("one.yaml", &blue)]).await;
    world.applied("app", &blue).await;
    world.config_map("one", has("colour", "blue")).await;
}

/// covers: KC-006
#[tokio::test]
async fn definition_that_is_removed_comes_back_with_its_objects() {
    let world = World::new().await;
    let group = format!("{}.example.com", world.ns());
    let definition = format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n\
         metadata: {{name: robots.{group}}}\nspec:\n  group: {group}\n  scope: Namespaced\n  \
         names: {{kind: Robot, plural: robots}}\n  versions:\n  - name: v1\n    served: true\n    \
         storage: true\n    schema: {{openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}\n"
    );
    let robot = format!("apiVersion: {group}/v1\nkind: Robot\nmetadata: {{name: r}}\n");
    let files = [
        ("crd.yaml", definition.as_str()),
        ("robot.yaml", robot.as_str()),
    ];
    let revision = world.publish(&files).await;
    world.apply(json!({ "retryInterval": "1s" })).await;
    let object = world.applied("app", &revision).await;
    assert_eq!(inventory(&object).len(), 2);
    let gvk = GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    let definitions = ApiResource::from_gvk_with_plural(&gvk, "customresourcedefinitions");
    let definitions: Api<DynamicObject> = Api::all_with(world.client.clone(), &definitions);
    let name = format!("robots.{group}");
    definitions
        .delete(&name, &DeleteParams::default())
        .await
        .unwrap();
    world.request("app").await;
    world.applied("app", &revision).await;
    let gvk = GroupVersionKind::gvk(&group, "v1", "Robot");
    let robots = ApiResource::from_gvk_with_plural(&gvk, "robots");
    let robots: Api<DynamicObject> =
        Api::namespaced_with(world.client.clone(), world.ns(), &robots);
    robots.get("r").await.unwrap();
    // Without its definition an object is gone: it holds up no deletion.
    let settings = config_map("settings", "k", "v");
    let next = world.publish(&[("settings.yaml", &settings)]).await;
    let object = world.applied("app", &next).await;
    assert_eq!(inventory(&object).len(), 1);
    assert!(
        definitions
            .get_opt(&name)
            .await
            .unwrap()
            .is_none_or(|d| d.metadata.deletion_timestamp.is_some())
    );
}

#[tokio::test]
async fn remote_cluster_that_does_not_answer_holds_up_nobody_else() {
    let world = World::new().await;
    let [port] = testkit::free_ports().unwrap();
    let kubeconfig = json!({ "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{ "name": "c", "cluster": { "server": format!("https://127.0.0.1:{port}") } }],
        "users": [{ "name": "u", "user": { "token": "t" } }],
        "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "u" } }] });
    let secret = json!({ "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": "remote", "namespace": world.ns() },
        "stringData": { "value": kubeconfig.to_string() } });
    put(&world, "secrets", secret).await;
    let revision = world
        .publish(&[("a.yaml", &config_map("a", "k", "v"))])
        .await;
    let remote =
        json!({ "kubeConfig": { "secretRef": { "name": "remote" } }, "retryInterval": "1h" });
    for n in 0..6 {
        world
            .apply_named(&format!("remote-{n}"), remote.clone())
            .await;
    }
    world.apply_named("local", json!({})).await;
    world.applied("local", &revision).await;
    let failed = world.failed("remote-0", "ReconciliationFailed").await;
    assert!(
        message(&failed, "Ready").contains("request to the API server failed"),
        "{}",
        message(&failed, "Ready")
    );
}

const GOLDEN: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../crates/engines/sops/tests/golden"
);

fn golden(path: &str) -> String {
    std::fs::read_to_string(format!("{GOLDEN}/{path}")).unwrap()
}

async fn keys(world: &World, namespace: &str, name: &str, key: &str) {
    let secret = json!({ "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": name, "namespace": namespace },
        "stringData": { "age.agekey": golden(&format!("keys/{key}.agekey")) } });
    put(world, "secrets", secret).await;
}

#[tokio::test]
async fn encrypted_file_that_was_tampered_with_is_refused() {
    let world = World::new().await;
    keys(&world, world.ns(), "keys", "age").await;
    let kustomization = "secretGenerator:\n- name: files\n  files: [app.env]\n";
    let env = golden("encrypted/app.env");
    // Each value that is left is authentic; that one is missing only the MAC shows.
    let left = env.lines().filter(|line| !line.starts_with("TEXT="));
    let tampered = left.collect::<Vec<_>>().join("\n");
    let files = [
        ("kustomization.yaml", kustomization),
        ("app.env", tampered.as_str()),
    ];
    world.publish(&files).await;
    let decryption = json!({ "provider": "sops", "secretRef": { "name": "keys" } });
    world
        .apply(json!({ "decryption": decryption, "retryInterval": "1h" }))
        .await;
    let failed = world.failed("app", "BuildFailed").await;
    let words = message(&failed, "Ready");
    assert!(
        words.contains("'app.env'") && words.contains("MAC mismatch"),
        "{words}"
    );
}

/// covers: KC-010, KC-011
#[tokio::test]
async fn keys_of_the_controller_serve_those_who_name_none() {
    let world = World::new().await;
    world.make_namespace("flux-system").await;
    keys(&world, "flux-system", "global-age", "age").await;
    keys(&world, world.ns(), "wrong", "other").await;
    let secret = golden("encrypted/regex.yaml");
    let revision = world.publish(&[("s.yaml", &secret)]).await;
    world
        .apply(json!({ "decryption": { "provider": "sops" } }))
        .await;
    world.applied("app", &revision).await;
    let secrets = Api::<Secret>::namespaced(world.client.clone(), world.ns());
    let live = secrets.get("s").await.unwrap();
    assert_eq!(live.data.unwrap()["user"].0, b"admin");
    let decryption = json!({ "provider": "sops", "secretRef": { "name": "wrong" } });
    world.apply(json!({ "decryption": decryption })).await;
    let failed = world.failed("app", "BuildFailed").await;
    assert!(message(&failed, "Ready").contains("cannot get sops data key"));
}
