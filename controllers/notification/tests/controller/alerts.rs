//! Events to services.

use std::time::Duration;

use serde_json::{Value, json};

use crate::world::{PATIENCE, World};

/// covers: NC-010, NC-028, NC-073
#[tokio::test]
async fn event_reaches_a_generic_webhook_with_merged_metadata() {
    let world = World::new().await;
    world
        .secret(
            "headers",
            json!({ "headers": "Authorization: Basic abc\n" }),
        )
        .await;
    let address = format!("{}/hook", world.sink.url());
    let spec = json!({ "type": "generic", "address": address, "secretRef": { "name": "headers" } });
    world.provider("hook", spec).await;
    let metadata = json!({ "eventMetadata": { "env": "prod" } });
    world.alert("all", "hook", metadata).await;
    let facts = json!({ "kustomize.toolkit.fluxcd.io/revision": "main@sha1:1", "plain": "x" });
    let requests = world.until_told(json!({ "metadata": facts })).await;
    let request = &requests[0];
    assert_eq!(
        (request.method.as_str(), request.target.as_str()),
        ("POST", "/hook")
    );
    assert_eq!(
        request.header("gotk-component"),
        Some("kustomize-controller")
    );
    assert_eq!(request.header("authorization"), Some("Basic abc"));
    let body: Value = request.json().unwrap();
    assert_eq!(
        body["metadata"],
        json!({ "env": "prod", "revision": "main@sha1:1" })
    );
    let other = world
        .post(json!({ "involvedObject": { "kind": "Bucket", "name": "x", "namespace": "y" } }))
        .await;
    assert_eq!(other.status, 202, "filtered, and accepted all the same");
}

/// covers: NC-035
#[tokio::test]
async fn same_event_again_is_a_duplicate_and_sent_once() {
    let world = World::new().await;
    let address = world.sink.url();
    world
        .provider("hook", json!({ "type": "generic", "address": address }))
        .await;
    world.alert("all", "hook", json!({})).await;
    world.until_told(json!({ "message": "took 1.5s" })).await;
    let again = world.post(json!({ "message": "took 2.5s" })).await;
    assert_eq!(again.status, 429);
    assert_eq!(again.headers["x-ratelimit-remaining"], "0");
    assert!(again.headers.contains_key("retry-after"));
    assert_eq!(world.post(json!({ "message": "other" })).await.status, 202);
    let requests = world.sink.wait_for(2, PATIENCE).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.sink.requests().len(), requests.len());
    assert_eq!(requests.len(), 2);
}

/// covers: NC-001, NC-002, NC-004
#[tokio::test]
async fn each_alert_that_is_meant_sends_one() {
    let world = World::new().await;
    let address = world.sink.url();
    world
        .provider("hook", json!({ "type": "generic", "address": address }))
        .await;
    let named = |name: &str| json!({ "eventMetadata": { "alert": name } });
    let with = |name: &str, more: Value| {
        let mut spec = named(name);
        spec.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        spec
    };
    let sources = json!({ "eventSources": [{ "kind": "Kustomization", "name": "app" },
        { "kind": "Kustomization", "name": "*" }] });
    world.alert("exact", "hook", with("exact", sources)).await;
    world
        .alert(
            "suspended",
            "hook",
            with("suspended", json!({ "suspend": true })),
        )
        .await;
    world
        .alert(
            "other",
            "hook",
            with("other", json!({ "inclusionList": ["^other"] })),
        )
        .await;
    world
        .alert(
            "well",
            "hook",
            with("well", json!({ "inclusionList": ["well"] })),
        )
        .await;
    world.alert("any", "hook", named("any")).await;
    world
        .until_told(json!({ "message": "warming up, well" }))
        .await;
    world.post(json!({ "message": "all is well" })).await;
    let want = |told: &[Value], name: &str| {
        told.iter()
            .filter(|b| b["metadata"]["alert"] == name)
            .count()
    };
    world
        .until("all three are told", || async {
            let told = told(&world, "all is well");
            ["exact", "well", "any"]
                .iter()
                .all(|name| want(&told, name) == 1)
        })
        .await;
    let told = told(&world, "all is well");
    assert_eq!(told.len(), 3, "{told:?}");
}

/// The bodies at the sink with this message.
fn told(world: &World, message: &str) -> Vec<Value> {
    let bodies = world.sink.requests().into_iter();
    let bodies = bodies.map(|r| r.json::<Value>().unwrap());
    bodies.filter(|b| b["message"] == message).collect()
}

/// covers: NC-027, NC-033
#[tokio::test]
async fn labels_of_the_object_decide_where_an_alert_names_some() {
    let world = World::new().await;
    let address = world.sink.url();
    world
        .provider("hook", json!({ "type": "generic", "address": address }))
        .await;
    let source = json!({ "kind": "GitRepository", "name": "*", "matchLabels": { "team": "a" } });
    world
        .alert("labels", "hook", json!({ "eventSources": [source] }))
        .await;
    for (name, team) in [("match", "a"), ("mismatch", "b")] {
        world
            .apply(
                json!({ "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
                "metadata": { "name": name, "labels": { "team": team } },
                "spec": { "interval": "10m", "url": "https://git.example/app.git" } }),
            )
            .await;
    }
    let about = |name: &str| {
        json!({ "message": name, "involvedObject": {
        "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository", "name": name,
        "namespace": world.ns() } })
    };
    world.until_told(about("match")).await;
    for name in ["mismatch", "absent"] {
        assert_eq!(world.post(about(name)).await.status, 202);
    }
    let words = format!(
        "error getting source object GitRepository/{}/absent",
        world.ns()
    );
    world
        .told("Alert", "labels", "SourceFetchFailed", &words)
        .await;
    assert_eq!(world.sink.requests().len(), 1);
}

/// covers: NC-013, NC-014, NC-034
#[tokio::test]
async fn objects_of_other_namespaces_are_told_of_unless_that_is_forbidden() {
    for forbidden in [false, true] {
        let flag = if forbidden { "true" } else { "false" };
        let (world, _program) = World::alone(|p| p.flag("--no-cross-namespace-refs", flag)).await;
        let address = world.sink.url();
        world
            .provider("hook", json!({ "type": "generic", "address": address }))
            .await;
        let source = json!({ "kind": "Kustomization", "name": "*", "namespace": "elsewhere" });
        world
            .alert("far", "hook", json!({ "eventSources": [source] }))
            .await;
        world.alert("near", "hook", json!({})).await;
        world.until_told(json!({ "message": "near" })).await;
        let event = json!({ "message": "far", "involvedObject": {
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "name": world.ns(), "namespace": "elsewhere" } });
        world.post(event).await;
        if forbidden {
            let words = "cross-namespace references have been blocked";
            world
                .told("Alert", "far", "NotificationDispatchFailed", words)
                .await;
            assert!(told(&world, "far").is_empty());
        } else {
            world
                .until("it is told", || async { told(&world, "far").len() == 1 })
                .await;
        }
    }
}

/// covers: NC-020, NC-021, NC-022, NC-023, NC-024
#[expect(clippy::too_many_lines, reason = "one story")]
#[tokio::test]
async fn commit_statuses_follow_commits_errors_and_updates_only() {
    const COMMIT: &str = "69b59063470310ebbd88a9156325322a124e55a3";
    let world = World::new().await;
    world.secret("token", json!({ "token": "t0ken" })).await;
    let sink = world.sink.url();
    world.sink.answer(testkit::Answer::body("[]"));
    let with = |kind: &str, path: &str| {
        json!({ "type": kind,
        "address": format!("{sink}/{path}"), "secretRef": { "name": "token" } })
    };
    world.provider("github", with("github", "org/repo")).await;
    world.provider("generic", with("generic", "generic")).await;
    world
        .provider("signed", with("generic-hmac", "signed"))
        .await;
    world.provider("chat", with("slack", "chat")).await;
    for name in ["github", "generic", "signed", "chat"] {
        world.alert(name, name, json!({})).await;
    }
    let revision = format!("main@sha1:{COMMIT}");
    let facts = |more: &[(&str, &str)]| {
        let mut all = json!({ "kustomize.toolkit.fluxcd.io/revision": revision });
        for (key, value) in more {
            all[*key] = json!(value);
        }
        all
    };
    let posts = |path: &str| {
        let all = world.sink.requests().into_iter();
        all.filter(|r| r.method == "POST" && r.target.ends_with(path))
            .count()
    };
    let statuses = format!("/api/v3/repos/org/repo/statuses/{COMMIT}");
    world
        .until("all alerts are known", || async {
            let message = format!("plain {}", world.sink.requests().len());
            let plain = json!({ "message": message, "metadata": facts(&[]) });
            world.post(plain).await;
            let rest = Duration::from_millis(100);
            tokio::time::sleep(rest).await;
            ["/chat", "/generic", "/signed"]
                .iter()
                .all(|path| posts(path) >= 1)
        })
        .await;
    let generic = posts("/generic");
    assert_eq!(posts(&statuses), 0, "no commit, no error, no update");
    let chats = posts("/chat");
    let update = facts(&[("kustomize.toolkit.fluxcd.io/commit_status", "update")]);
    world
        .post(json!({ "message": "update", "metadata": update }))
        .await;
    world
        .until("the status is set", || async { posts(&statuses) == 1 })
        .await;
    let both = || async { posts("/generic") > generic && posts("/signed") >= 2 };
    world.until("generic ones are told", both).await;
    assert_eq!(posts("/chat"), chats, "chats are not told of updates");
    world
        .post(json!({ "message": "bad", "severity": "error", "metadata": facts(&[]) }))
        .await;
    world
        .until("errors need no commit", || async { posts(&statuses) == 2 })
        .await;
    let status = world
        .sink
        .requests()
        .into_iter()
        .rev()
        .find(|r| r.target == statuses)
        .unwrap();
    assert_eq!(status.header("authorization"), Some("Bearer t0ken"));
    let body: Value = status.json().unwrap();
    assert_eq!(body["state"], "failure");
    assert_eq!(body["description"], "reconciliation succeeded");
    assert!(
        body["context"]
            .as_str()
            .unwrap()
            .starts_with("kustomization/app/")
    );
}

/// covers: NC-127
#[tokio::test]
async fn alerts_of_old_versions_lose_their_finalizer() {
    let world = World::new().await;
    let alert = |name: &str, suspend: bool| {
        json!({
        "apiVersion": "notification.toolkit.fluxcd.io/v1beta1", "kind": "Alert",
        "metadata": { "name": name, "finalizers": ["finalizers.fluxcd.io"] },
        "spec": { "providerRef": { "name": "p" }, "suspend": suspend,
            "eventSources": [{ "kind": "Kustomization", "name": "*" }] } })
    };
    world.apply(alert("suspended", true)).await;
    world.apply(alert("old", false)).await;
    let has = |name: &'static str| async {
        let alert = world.alerts().get_opt(name).await.unwrap();
        alert.is_some_and(|a| a.metadata.finalizers.is_some_and(|f| !f.is_empty()))
    };
    world
        .until("it is released", || async { !has("old").await })
        .await;
    let words = "removed finalizer from Alert to migrate to static Alert";
    world.told("Alert", "old", "Migration", words).await;
    assert!(has("suspended").await);
    let params = kube::api::DeleteParams::default();
    world.alerts().delete("suspended", &params).await.unwrap();
    world
        .until("it goes", || async {
            world.alerts().get_opt("suspended").await.unwrap().is_none()
        })
        .await;
}

/// covers: NC-128
#[tokio::test]
async fn provider_holds_a_finalizer_until_it_is_deleted() {
    let world = World::new().await;
    let spec = json!({ "type": "generic", "address": "https://host.example" });
    world.provider("p", spec).await;
    let of = |name: &'static str| {
        let api = world.providers();
        async move { api.get_opt(name).await.unwrap() }
    };
    world
        .until("it is held", || async {
            let provider = of("p").await.unwrap();
            assert!(provider.status.is_none(), "nothing waits on a status");
            provider
                .metadata
                .finalizers
                .is_some_and(|f| f == ["finalizers.fluxcd.io"])
        })
        .await;
    let params = kube::api::DeleteParams::default();
    world.providers().delete("p", &params).await.unwrap();
    world
        .until("it is gone", || async { of("p").await.is_none() })
        .await;
}

/// The alert of the samples, at the version that it is written at: severity error, no summary.
#[tokio::test]
async fn drift_reaches_slack_with_its_diff_by_the_sample_alert() {
    let world = World::new().await;
    let address = format!("{}/services/T0/B0/x", world.sink.url());
    world
        .provider(
            "slack",
            json!({ "type": "slack", "address": address, "channel": "general" }),
        )
        .await;
    world
        .apply(
            json!({ "apiVersion": "notification.toolkit.fluxcd.io/v1beta1", "kind": "Alert",
            "metadata": { "name": "drift" },
            "spec": { "providerRef": { "name": "slack" }, "eventSeverity": "error",
                "eventSources": [{ "kind": "Kustomization", "name": "*" }] } }),
        )
        .await;
    let diff =
        "Drift detected in myapp-prod\nDeployment/prod/web: /spec/replicas 3 -> 5, by kubectl-edit";
    let event = json!({ "severity": "error", "reason": "DriftDetected", "message": diff });
    let requests = world.until_told(event).await;
    let body: Value = requests[0].json().unwrap();
    let attachment = &body["attachments"][0];
    assert_eq!(attachment["color"], "danger");
    assert_eq!(attachment["text"], diff);
    let fallback = attachment["fallback"].as_str().unwrap();
    assert!(
        fallback.ends_with(": Drift detected in myapp-prod"),
        "{fallback}"
    );
}

#[tokio::test]
async fn recovery_is_told_once_to_those_who_ask() {
    let world = World::new().await;
    let address = world.sink.url();
    world
        .provider("hook", json!({ "type": "generic", "address": address }))
        .await;
    let spec = json!({ "eventSeverity": "error", "recovered": true });
    world.alert("asks", "hook", spec).await;
    world.kustomization("False", "it failed").await;
    let error = json!({ "severity": "error", "message": "it failed" });
    world.until_told(error.clone()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.kustomization("True", "Applied revision: x").await;
    world
        .post(json!({ "message": "Reconciliation finished" }))
        .await;
    let recovered = || {
        let all = world.sink.requests().into_iter();
        let bodies = all.map(|r| r.json::<Value>().unwrap());
        bodies
            .filter(|b| b["reason"] == "Recovered")
            .collect::<Vec<_>>()
    };
    world
        .until("it is told", || async { !recovered().is_empty() })
        .await;
    let told = recovered();
    let text = told[0]["message"].as_str().unwrap();
    assert!(
        text.ends_with("/app is ready again: Applied revision: x"),
        "{text}"
    );
    assert_eq!(told[0]["severity"], "info");
    world.kustomization("False", "it failed").await;
    assert_eq!(
        world.post(error).await.status,
        202,
        "the same failure is news again"
    );
    assert_eq!(recovered().len(), 1);
}
