//! Webhooks of services.

use std::time::Duration;

use api::Reconciled;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, DynamicObject, PostParams},
    core::GroupVersionKind,
};
use serde_json::{Value, json};

use crate::world::{PATIENCE, World};

impl World {
    async fn source(&self, name: &str, labels: Value) {
        self.apply(
            json!({ "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": { "name": name, "labels": labels },
            "spec": { "interval": "10m", "url": "https://git.example/app.git" } }),
        )
        .await;
    }

    fn sources(&self) -> Api<DynamicObject> {
        let gvk = GroupVersionKind::gvk("source.toolkit.fluxcd.io", "v1", "GitRepository");
        let kind = kube::api::ApiResource::from_gvk_with_plural(&gvk, "gitrepositories");
        Api::namespaced_with(self.client.clone(), self.ns(), &kind)
    }

    async fn requested(&self, name: &str) -> Option<String> {
        let found = self.sources().get(name).await.unwrap();
        found
            .annotations()
            .get("reconcile.fluxcd.io/requestedAt")
            .cloned()
    }

    /// Applies a Receiver and waits until it has a path. Returns its address.
    async fn hook(&self, name: &str, spec: Value) -> String {
        self.receiver(name, spec).await;
        self.ready(name).await
    }

    async fn receiver(&self, name: &str, spec: Value) {
        let mut full = json!({ "type": "generic", "secretRef": { "name": "token" },
            "resources": [{ "kind": "GitRepository", "name": "app" }] });
        full.as_object_mut()
            .unwrap()
            .extend(spec.as_object().unwrap().clone());
        full.as_object_mut().unwrap().retain(|_, v| !v.is_null());
        self.apply(json!({ "apiVersion": "notification.toolkit.fluxcd.io/v1",
            "kind": "Receiver", "metadata": { "name": name }, "spec": full }))
            .await;
    }

    async fn ready(&self, name: &str) -> String {
        let path = std::sync::Mutex::new(String::new());
        self.until("the receiver is ready", || async {
            let receiver = self.receivers().get(name).await.unwrap();
            let ready = receiver.conditions().iter().any(|c| {
                c.type_ == "Ready"
                    && c.status == "True"
                    && c.observed_generation == receiver.metadata.generation
            });
            let found = receiver.status.as_ref().and_then(|s| s.path());
            found
                .unwrap_or_default()
                .clone_into(&mut path.lock().unwrap());
            ready
        })
        .await;
        format!("{}{}", self.hooks, path.into_inner().unwrap())
    }

    /// Calls until the answer is this one: the server may not know the path yet.
    async fn call(&self, url: &str, headers: &[(&str, &str)], body: &str, expect: u16) {
        let started = std::time::Instant::now();
        loop {
            let got = self
                .send(url, headers, body.as_bytes().to_vec())
                .await
                .status;
            if got == expect {
                return;
            }
            let waits = matches!(got, 404 | 503) && started.elapsed() < PATIENCE;
            assert!(waits, "{got} instead of {expect}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// covers: NC-120, NC-125
#[tokio::test]
async fn receiver_gets_a_path_that_stays_and_a_call_asks_for_a_run() {
    let world = World::new().await;
    world.secret("token", json!({ "token": "s3cret" })).await;
    world.source("app", json!({})).await;
    let url = world.hook("r", json!({})).await;
    let receiver = world.receivers().get("r").await.unwrap();
    assert!(
        receiver
            .finalizers()
            .iter()
            .any(|f| f == "finalizers.fluxcd.io")
    );
    assert!(
        receiver
            .conditions()
            .iter()
            .all(|c| c.type_ != "Reconciling")
    );
    assert_eq!(receiver.spec.interval.unwrap().to_string(), "10m0s");
    world.call(&url, &[], "{}", 200).await;
    let first = world.requested("app").await.unwrap();
    assert_eq!(world.hook("r", json!({ "interval": "5m" })).await, url);
    world.call(&url, &[], "{}", 200).await;
    assert_ne!(world.requested("app").await.unwrap(), first);
    world
        .told("Receiver", "r", "Succeeded", "next run in 5m0s")
        .await;
}

/// covers: NC-108
#[tokio::test]
async fn unknown_suspended_and_bereft_receivers_answer_so() {
    let world = World::new().await;
    world.secret("token", json!({ "token": "s3cret" })).await;
    world.source("app", json!({})).await;
    let url = world.hook("r", json!({})).await;
    world.call(&url, &[], "{}", 200).await;
    let unknown = format!("{}/hook/abc", world.hooks);
    assert_eq!(world.send(&unknown, &[], Vec::new()).await.status, 404);
    let huge = vec![b'x'; 3 * 1024 * 1024 + 1];
    assert_eq!(world.send(&unknown, &[], huge).await.status, 413);
    world.receiver("r", json!({ "suspend": true })).await;
    world
        .until("it refuses", || async {
            world.send(&url, &[], Vec::new()).await.status == 503
        })
        .await;
    world.hook("r", json!({ "suspend": false })).await;
    world.call(&url, &[], "{}", 200).await;
    // A filter that cannot be compiled: the receiver is there, and not ready.
    world
        .receiver("r", json!({ "resourceFilter": "nonsense(" }))
        .await;
    world
        .until("it is not ready", || async {
            world.send(&url, &[], Vec::new()).await.status == 503
        })
        .await;
    world.hook("r", json!({ "resourceFilter": "true" })).await;
    world.call(&url, &[], "{}", 200).await;
    let secrets: Api<k8s_openapi::api::core::v1::Secret> =
        Api::namespaced(world.client.clone(), world.ns());
    secrets
        .delete("token", &DeleteParams::default())
        .await
        .unwrap();
    world.call(&url, &[], "{}", 400).await;
}

/// covers: NC-109, NC-110, NC-112
#[tokio::test]
async fn only_the_objects_meant_are_asked() {
    let world = World::new().await;
    world.secret("token", json!({ "token": "s3cret" })).await;
    for (name, team) in [("app", "a"), ("other", "a"), ("third", "b")] {
        world.source(name, json!({ "team": team })).await;
    }
    let of = |resource: Value| json!({ "resources": [resource] });
    let one = json!({ "kind": "GitRepository", "name": "app", "matchLabels": { "no": "such" } });
    let url = world.hook("one", of(one)).await;
    world.call(&url, &[], "{}", 200).await;
    assert!(
        world.requested("app").await.is_some(),
        "labels do not count beside a name"
    );
    assert!(world.requested("other").await.is_none());
    let labels = json!({ "kind": "GitRepository", "name": "*", "matchLabels": { "team": "a" } });
    let url = world.hook("all", of(labels)).await;
    world.call(&url, &[], "{}", 200).await;
    assert!(world.requested("other").await.is_some());
    assert!(world.requested("third").await.is_none());
    for (name, resource) in [
        ("wild", json!({ "kind": "GitRepository", "name": "*" })),
        (
            "absent",
            json!({ "kind": "GitRepository", "name": "absent" }),
        ),
        ("version", json!({ "kind": "Kustomization", "name": "x" })),
    ] {
        let url = world.hook(name, of(resource)).await;
        world.call(&url, &[], "{}", 500).await;
    }
    let filter = json!({ "resourceFilter": "req.tag == res.metadata.name", "resources": [
        { "kind": "GitRepository", "name": "third" }] });
    let url = world.hook("filter", filter).await;
    let kind = [("content-type", "application/json")];
    world.call(&url, &kind, r#"{"tag":"x"}"#, 200).await;
    assert!(world.requested("third").await.is_none());
    world.call(&url, &kind, r#"{"tag":"third"}"#, 200).await;
    assert!(world.requested("third").await.is_some());
}

/// covers: NC-121
#[tokio::test]
async fn broken_filter_stalls_until_it_is_mended() {
    let world = World::new().await;
    world.secret("token", json!({ "token": "s3cret" })).await;
    world.source("app", json!({})).await;
    let broken = json!({ "type": "generic", "secretRef": { "name": "token" },
        "resourceFilter": "'text'",
        "resources": [{ "kind": "GitRepository", "name": "app" }] });
    world
        .apply(
            json!({ "apiVersion": "notification.toolkit.fluxcd.io/v1", "kind": "Receiver",
            "metadata": { "name": "r" }, "spec": broken }),
        )
        .await;
    world
        .until("it stalls", || async {
            let receiver = world.receivers().get("r").await.unwrap();
            let is = |type_: &str, status: &str| {
                let mut all = receiver.conditions().iter();
                all.any(|c| {
                    c.type_ == type_ && c.status == status && c.reason == "InvalidCELExpression"
                })
            };
            is("Ready", "False")
                && is("Stalled", "True")
                && receiver.observed_generation() == receiver.metadata.generation
        })
        .await;
    let words = "Reconciliation failed terminally due to configuration error: invalid resourceFilter expression: ";
    world
        .told("Receiver", "r", "InvalidCELExpression", words)
        .await;
    world.hook("r", json!({ "resourceFilter": "true" })).await;
}

/// covers: NC-122, NC-123
#[tokio::test]
async fn missing_secret_is_said_and_a_request_is_answered_once_it_is_there() {
    let world = World::new().await;
    world.source("app", json!({})).await;
    let spec = json!({ "type": "generic", "secretRef": { "name": "token" },
        "resources": [{ "kind": "GitRepository", "name": "app" }] });
    let receiver = |annotations: Value| {
        json!({
        "apiVersion": "notification.toolkit.fluxcd.io/v1", "kind": "Receiver",
        "metadata": { "name": "r", "annotations": annotations }, "spec": spec })
    };
    world.apply(receiver(json!({}))).await;
    world
        .until("it says what is missing", || async {
            let receiver = world.receivers().get("r").await.unwrap();
            let is = |type_: &str, reason: &str| {
                let mut all = receiver.conditions().iter();
                all.any(|c| c.type_ == type_ && c.reason == reason)
            };
            is("Ready", "TokenNotFound") && is("Reconciling", "ProgressingWithRetry")
        })
        .await;
    world.secret("token", json!({ "token": "s3cret" })).await;
    world
        .apply(receiver(
            json!({ "reconcile.fluxcd.io/requestedAt": "now" }),
        ))
        .await;
    world.ready("r").await;
    let receiver = world.receivers().get("r").await.unwrap();
    assert_eq!(receiver.last_handled_reconcile_at(), Some("now"));
}

/// covers: NC-124
#[tokio::test]
async fn suspended_receiver_can_be_deleted() {
    let world = World::new().await;
    world.secret("token", json!({ "token": "s3cret" })).await;
    world.hook("r", json!({})).await;
    world.receiver("r", json!({ "suspend": true })).await;
    world
        .receivers()
        .delete("r", &DeleteParams::default())
        .await
        .unwrap();
    world
        .until("it is gone", || async {
            world.receivers().get_opt("r").await.unwrap().is_none()
        })
        .await;
}

/// covers: NC-126
#[tokio::test]
async fn api_server_refuses_receivers_that_break_the_rules() {
    let world = World::new().await;
    let provider = json!({ "issuerURL": "https://i", "validations": [
        { "expression": "true", "message": "m" }] });
    for (spec, words) in [
        (json!({ "type": "generic" }), "secretRef is required"),
        (
            json!({ "type": "generic-oidc" }),
            "at least one oidcProvider",
        ),
        (
            json!({ "type": "generic-oidc", "oidcProviders": [provider], "secretRef": { "name": "x" } }),
            "secretRef cannot be set",
        ),
        (
            json!({ "type": "generic", "oidcProviders": [provider], "secretRef": { "name": "x" } }),
            "can only be set when type is generic-oidc",
        ),
    ] {
        let mut spec = spec;
        spec["resources"] = json!([]);
        let object = serde_json::from_value(json!({
            "metadata": { "name": "r" }, "spec": spec }))
        .unwrap();
        let error = world
            .receivers()
            .create(&PostParams::default(), &object)
            .await
            .unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
}

/// covers: NC-111
#[tokio::test]
async fn objects_of_other_namespaces_are_out_of_reach_where_that_is_forbidden() {
    let (world, _program) = World::alone(|p| p.flag("--no-cross-namespace-refs", "true")).await;
    world.secret("token", json!({ "token": "s3cret" })).await;
    world.source("app", json!({})).await;
    let of = |namespace: &str| json!({ "resources": [{ "kind": "GitRepository", "name": "app", "namespace": namespace }] });
    let near = world.hook("near", of(world.ns())).await;
    world.call(&near, &[], "{}", 200).await;
    assert!(world.requested("app").await.is_some());
    let far = world.hook("far", of("elsewhere")).await;
    world.call(&far, &[], "{}", 500).await;
}

/// covers: NC-111
#[tokio::test]
async fn body_that_is_too_large_is_refused_before_anything_is_looked_at() {
    let world = World::new().await;
    world.source("app", json!({})).await;
    world.secret("token", json!({ "token": "s3cret" })).await;
    let url = world.hook("push", json!({})).await;
    let limit = 3 * 1024 * 1024;
    world.call(&url, &[], &"x".repeat(limit), 200).await;
    // The second path is nobody's, and the third one's Secret is gone.
    for url in [&url, &format!("{}/hook/none", world.hooks)] {
        world.call(url, &[], &"x".repeat(limit + 1), 413).await;
    }
    let secrets =
        Api::<k8s_openapi::api::core::v1::Secret>::namespaced(world.client.clone(), world.ns());
    secrets
        .delete("token", &DeleteParams::default())
        .await
        .unwrap();
    world.call(&url, &[], "{}", 400).await;
    world.call(&url, &[], &"x".repeat(limit + 1), 413).await;
}
