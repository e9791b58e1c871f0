//! What is done about failures.

use api::helm::HelmRelease;
use futures::future::join_all;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::DeleteParams;
use serde_json::{Value, json};

use crate::world::{World, answers, condition, history, is, message};

/// Bad where the values say so: `bad` always, `badUpgrade` in upgrades.
const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata:\n  colour: {{ .Values.colour | default \"none\" }}\n{{- if or .Values.bad (and .Values.badUpgrade .Release.IsUpgrade) }}\n  a bad key: x\n{{- end }}\n";
/// A test that fails where the values say so.
const TEST: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: check\n  annotations: {helm.sh/hook: test}\ndata:\n  {{ .Values.verdict | default \"good\" | quote }}: x\n";

async fn with_chart(spec: Value) -> World {
    let world = World::new().await;
    world
        .publish("1.0.0", &[("one.yaml", MAP), ("check.yaml", TEST)])
        .await;
    world.apply(spec).await;
    world
}

/// A first good release, then the same with these fields.
async fn upgraded(spec: Value) -> World {
    let mut first = spec.clone();
    first["values"] = json!({ "colour": "blue" });
    let world = with_chart(first).await;
    world.deployed(1).await;
    world.apply(spec).await;
    world
}

/// covers: HC-019, HC-061, HC-106
#[tokio::test]
async fn failed_install_without_retries_stalls() {
    let world = with_chart(json!({ "values": { "bad": true } })).await;
    let object = world.stalled().await;
    let ns = world.ns();
    assert_eq!(
        message(&object, "Stalled"),
        "Failed to install after 1 attempt(s)"
    );
    assert_eq!(
        condition(&object, "Stalled").unwrap().reason,
        "RetriesExceeded"
    );
    let ready = message(&object, "Ready");
    let words =
        format!("Helm install failed for release {ns}/app with chart app@1.0.0: server-side apply");
    assert!(ready.starts_with(&words), "{ready}");
    assert!(!is(&object, "Reconciling", "True"));
    assert_eq!(history(&object), [(1, "failed", "install")]);
    let status = object.status.as_ref().unwrap();
    assert_eq!(
        (status.failures, status.install_failures),
        (Some(1), Some(1))
    );
    world.event("InstallFailed", "Last Helm logs:").await;
}

/// covers: HC-020, HC-062
#[tokio::test]
async fn last_failed_install_is_uninstalled_where_that_is_wanted() {
    let install = json!({ "remediation": { "remediateLastFailure": true } });
    let world = with_chart(json!({ "values": { "bad": true }, "install": install,
        "uninstall": { "keepHistory": true } }))
    .await;
    let object = world.stalled().await;
    assert_eq!(
        history(&object),
        [(1, "uninstalled", "uninstall-remediation")]
    );
    assert!(is(&object, "Remediated", "True"));
    let ready = condition(&object, "Ready").unwrap();
    assert_eq!(
        (ready.status.as_str(), ready.reason.as_str()),
        ("False", "InstallFailed")
    );
    assert_eq!(world.entry("one", "colour").await, None);
}

/// covers: HC-021
#[tokio::test]
async fn failed_install_is_tried_again_and_kept_by_the_retry_strategy() {
    let strategy = json!({ "name": "RetryOnFailure" });
    let world =
        with_chart(json!({ "values": { "bad": true }, "install": { "strategy": strategy } })).await;
    let object = world
        .until("retrying", |o| {
            message(o, "Reconciling") == "retrying after 5m0s"
        })
        .await;
    assert_eq!(
        condition(&object, "Reconciling").unwrap().reason,
        "ProgressingWithRetry"
    );
    assert!(condition(&object, "Remediated").is_none() && !is(&object, "Stalled", "True"));
    assert_eq!(world.revisions().await, [(1, "failed".to_owned())]);
}

/// An event that brings nothing new wakes it, and does not hasten the next try.
#[tokio::test]
async fn waiting_for_its_retry_it_spends_no_try_on_what_changes_nothing() {
    let world = World::new().await;
    world
        .publish("1.0.0", &[("one.yaml", MAP), ("check.yaml", TEST)])
        .await;
    let settings = |note: &str| {
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "settings",
            "labels": { "reconcile.fluxcd.io/watch": "Enabled" }, "annotations": { "note": note } },
            "data": { "values.yaml": "bad: true" } })
    };
    world.make::<ConfigMap>("settings", settings("a")).await;
    let strategy = json!({ "name": "RetryOnFailure", "retryInterval": "1h" });
    let from = json!([{ "kind": "ConfigMap", "name": "settings" }]);
    world
        .apply(json!({ "valuesFrom": from, "install": { "strategy": strategy }, "upgrade": { "strategy": strategy } }))
        .await;
    let waits = |o: &HelmRelease| message(o, "Reconciling") == "retrying after 1h0m0s";
    let before = world.until("waiting", waits).await;
    world.make::<ConfigMap>("settings", settings("b")).await;
    let has_run = |o: &HelmRelease| o.metadata.resource_version != before.metadata.resource_version;
    world
        .until("woken and waiting again", |o| has_run(o) && waits(o))
        .await;
    assert_eq!(world.revisions().await, [(1, "failed".to_owned())]);
    // Who asks gets one.
    let token = world.poke().await;
    world
        .until("answered", |o| answers(o, &token) && waits(o))
        .await;
    assert_eq!(world.revisions().await.len(), 2);
}

/// covers: HC-025, HC-102
#[tokio::test]
async fn install_is_tried_as_often_as_told() {
    let install = json!({ "remediation": { "retries": 1 } });
    let world = with_chart(json!({ "values": { "bad": true }, "install": install })).await;
    let object = world.stalled().await;
    assert_eq!(
        message(&object, "Stalled"),
        "Failed to install after 2 attempt(s)"
    );
    // The first was undone, the last is not.
    assert_eq!(world.revisions().await, [(1, "failed".to_owned())]);
    world
        .event("UninstallSucceeded", "uninstall remediation")
        .await;
    // What cannot be rendered is no release: it is not counted.
    world
        .publish("1.0.1", &[("one.yaml", "{{ fail \"no\" }}")])
        .await;
    let object = world
        .until("not rendered", |o| {
            let ready = message(o, "Ready");
            ready.contains("chart app@1.0.1: ") && ready.contains("one.yaml")
        })
        .await;
    assert_eq!(object.status.as_ref().unwrap().install_failures, None);
}

/// covers: HC-022, HC-023, HC-024, HC-082, HC-115
#[tokio::test]
async fn failed_tests_of_an_install_are_failures_unless_told_otherwise() {
    let with = |spec: Value| async move {
        let mut full = json!({ "test": { "enable": true }, "values": { "verdict": "not good" } });
        for (key, value) in spec.as_object().unwrap() {
            full[key.as_str()] = value.clone();
        }
        with_chart(full).await
    };
    let undone = async {
        let remediation = json!({ "remediateLastFailure": true });
        let world = with(json!({ "install": { "remediation": remediation }, "uninstall": { "keepHistory": true } })).await;
        let object = world.stalled().await;
        assert_eq!(
            history(&object),
            [(1, "uninstalled", "uninstall-remediation")]
        );
        assert_eq!(object.status.unwrap().install_failures, Some(1));
        assert_eq!(world.entry("one", "colour").await, None);
    };
    let retried = async {
        let strategy = json!({ "name": "RetryOnFailure", "retryInterval": "1h" });
        let world = with(json!({ "install": { "strategy": strategy } })).await;
        let object = world
            .until("retrying", |o| {
                message(o, "Reconciling") == "retrying after 1h0m0s"
            })
            .await;
        assert!(is(&object, "TestSuccess", "False") && is(&object, "Ready", "False"));
        assert_eq!(history(&object), [(1, "deployed", "install")]);
    };
    let ignored = async {
        let test = json!({ "enable": true, "ignoreFailures": true });
        let world = with(json!({ "test": test })).await;
        let object = world.deployed(1).await;
        assert!(is(&object, "TestSuccess", "False"));
        let status = object.status.unwrap();
        assert_eq!(status.install_failures, None);
        let hooks = status.history[0].test_hooks.clone().unwrap();
        assert_eq!(hooks["check"].phase.as_deref(), Some("Failed"));
    };
    tokio::join!(undone, retried, ignored);
}

/// covers: HC-027, HC-033, HC-034, HC-097
#[tokio::test]
async fn failed_upgrades_are_rolled_back_and_the_last_stalls() {
    let upgrade = json!({ "remediation": { "retries": 1 } });
    let world = upgraded(json!({ "upgrade": upgrade, "values": { "bad": true } })).await;
    let object = world.stalled().await;
    assert_eq!(
        message(&object, "Stalled"),
        "Failed to upgrade after 2 attempt(s)"
    );
    assert!(is(&object, "Remediated", "True"));
    let ready = condition(&object, "Ready").unwrap();
    assert_eq!(
        (ready.status.as_str(), ready.reason.as_str()),
        ("False", "RollbackSucceeded")
    );
    let revisions = world.revisions().await;
    let statuses: Vec<_> = revisions.iter().map(|(_, s)| s.as_str()).collect();
    assert_eq!(
        statuses,
        ["superseded", "failed", "superseded", "failed", "deployed"]
    );
    assert_eq!(history(&object)[0], (5, "deployed", "rollback"));
    assert_eq!(world.entry("one", "colour").await.as_deref(), Some("blue"));
}

/// covers: HC-028
#[tokio::test]
async fn failed_upgrade_is_uninstalled_and_installed_again_by_that_strategy() {
    let remediation =
        json!({ "retries": 0, "remediateLastFailure": true, "strategy": "uninstall" });
    let world = upgraded(json!({ "upgrade": { "remediation": remediation },
        "values": { "badUpgrade": true, "colour": "red" } }))
    .await;
    world
        .event("UninstallSucceeded", "uninstall remediation")
        .await;
    let object = world.deployed(1).await;
    assert_eq!(history(&object)[0], (1, "deployed", "install"));
    assert_eq!(world.entry("one", "colour").await.as_deref(), Some("red"));
}

/// covers: HC-029, HC-035, HC-063, HC-065, HC-108, HC-153
#[tokio::test]
async fn retried_upgrade_never_ends_and_is_never_undone() {
    let strategy = json!({ "name": "RetryOnFailure", "retryInterval": "1s" });
    let world =
        upgraded(json!({ "upgrade": { "strategy": strategy }, "values": { "bad": true } })).await;
    let object = world
        .until("tried four times", |o| {
            o.status
                .as_ref()
                .and_then(|s| s.upgrade_failures)
                .is_some_and(|n| n >= 4)
        })
        .await;
    assert!(!is(&object, "Stalled", "True") && condition(&object, "Remediated").is_none());
    world
        .apply(json!({ "upgrade": { "strategy": strategy }, "values": { "colour": "green" } }))
        .await;
    let object = world.until("deployed", |o| is(o, "Ready", "True")).await;
    // A success forgets the failures.
    let status = object.status.unwrap();
    assert_eq!((status.failures, status.upgrade_failures), (None, None));
    world.until_entry("one", "colour", Some("green")).await;
}

/// covers: HC-030, HC-031, HC-032
#[tokio::test]
async fn failed_tests_of_an_upgrade_are_failures_unless_told_otherwise() {
    let cases = [
        (
            json!({ "remediation": { "retries": 0, "remediateLastFailure": true } }),
            json!({}),
            "RollbackSucceeded",
        ),
        (
            json!({ "strategy": { "name": "RetryOnFailure", "retryInterval": "1h" } }),
            json!({}),
            "TestFailed",
        ),
        (
            json!({}),
            json!({ "ignoreFailures": true }),
            "UpgradeSucceeded",
        ),
    ];
    let all = cases.map(|(upgrade, test, reason)| async move {
        let mut spec = json!({ "test": { "enable": true }, "upgrade": upgrade,
            "values": { "verdict": "not good", "colour": "red" } });
        if let Some(ignore) = test.get("ignoreFailures") {
            spec["test"]["ignoreFailures"] = ignore.clone();
        }
        let world = upgraded(spec).await;
        let object = world
            .until(reason, |o| {
                let ready = condition(o, "Ready");
                ready.is_some_and(|c| c.reason == reason)
                    && is(o, "TestSuccess", "False")
                    && o.status.as_ref().unwrap().history[0].version > 1
            })
            .await;
        let is_back = reason == "RollbackSucceeded";
        let colour = if is_back { "blue" } else { "red" };
        world.until_entry("one", "colour", Some(colour)).await;
        assert_eq!(
            history(&object)[0],
            if is_back {
                (3, "deployed", "rollback")
            } else {
                (2, "deployed", "upgrade")
            }
        );
    });
    join_all(all).await;
}

/// covers: HC-066, HC-117
#[tokio::test]
async fn without_anything_to_go_back_to_it_says_so() {
    let upgrade = json!({ "remediation": { "retries": 1 } });
    let world = with_chart(json!({ "upgrade": upgrade })).await;
    world.deployed(1).await;
    // Somebody else's failure makes it forget its own release.
    world.pause(json!({ "upgrade": upgrade })).await;
    let mut record = world.record(1).await;
    record.status = "failed".to_owned();
    record.description = "by hand".to_owned();
    world.store(&record).await;
    world
        .apply(json!({ "upgrade": upgrade, "values": { "bad": true } }))
        .await;
    let object = world.stalled().await;
    let stalled = condition(&object, "Stalled").unwrap();
    assert_eq!(stalled.reason, "MissingRollbackTarget");
    assert_eq!(history(&object), [(2, "failed", "upgrade")]);
}

/// What the storage still has can be gone back to, even where the status forgot it.
#[tokio::test]
async fn forgotten_release_is_found_in_the_storage() {
    let upgrade = json!({ "remediation": { "retries": 0, "remediateLastFailure": true } });
    let world = with_chart(json!({ "upgrade": upgrade, "values": { "colour": "blue" } })).await;
    world.deployed(1).await;
    world
        .pause(json!({ "upgrade": upgrade, "values": { "colour": "blue" } }))
        .await;
    let mut record = world.record(1).await;
    record.status = "superseded".to_owned();
    world.store(&record).await;
    record.version = 2;
    record.status = "deployed".to_owned();
    world.store(&record).await;
    world
        .apply(json!({ "upgrade": upgrade, "values": { "bad": true } }))
        .await;
    let object = world.failed("RollbackSucceeded").await;
    assert_eq!(history(&object)[0], (4, "deployed", "rollback"));
    world.until_entry("one", "colour", Some("blue")).await;
}

/// covers: HC-067
#[tokio::test]
async fn failed_upgrade_whose_predecessor_is_gone_is_upgraded() {
    let strategy = json!({ "name": "RetryOnFailure", "retryInterval": "1h" });
    let world =
        upgraded(json!({ "upgrade": { "strategy": strategy }, "values": { "bad": true } })).await;
    world
        .until("retrying", |o| {
            message(o, "Reconciling").starts_with("retrying")
        })
        .await;
    let name = "sh.helm.release.v1.app.v1";
    world
        .secrets()
        .delete(name, &DeleteParams::default())
        .await
        .unwrap();
    let remediation = json!({ "retries": 5 });
    world
        .apply(json!({ "upgrade": { "remediation": remediation }, "values": { "colour": "red" } }))
        .await;
    let object = world.deployed(3).await;
    assert_eq!(history(&object)[0], (3, "deployed", "upgrade"));
}

/// covers: HC-043, HC-045, HC-057, HC-152, HC-155
#[tokio::test]
async fn exhausted_retries_start_again_when_any_input_changes() {
    let by_values = async {
        let world = upgraded(json!({ "values": { "bad": true } })).await;
        world.stalled().await;
        // The values that are in place already: nothing is to be done, and it says so.
        world.apply(json!({ "values": { "colour": "blue" } })).await;
        let object = world.until("ready", |o| is(o, "Ready", "True")).await;
        assert!(!is(&object, "Stalled", "True") && is(&object, "Released", "True"));
    };
    let by_chart = async {
        let world = upgraded(json!({ "values": { "bad": true } })).await;
        world.stalled().await;
        let good = MAP.replace("a bad key", "a-good-key");
        world.publish("1.0.1", &[("one.yaml", &good)]).await;
        let object = world.deployed(3).await;
        assert_eq!(object.status.unwrap().failures, None);
    };
    let by_config_map = async {
        let world = World::new().await;
        world.publish("1.0.0", &[("one.yaml", MAP)]).await;
        let settings = |text: &str| {
            json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "settings",
                "labels": { "reconcile.fluxcd.io/watch": "Enabled" } }, "data": { "values.yaml": text } })
        };
        world
            .make::<ConfigMap>("settings", settings("bad: true"))
            .await;
        let from = json!([{ "kind": "ConfigMap", "name": "settings" }]);
        let install = json!({ "replace": true });
        world
            .apply(json!({ "valuesFrom": from, "install": install }))
            .await;
        world.stalled().await;
        world
            .make::<ConfigMap>("settings", settings("bad: false"))
            .await;
        world.deployed(2).await;
    };
    let by_annotation = async {
        let world = upgraded(json!({ "values": { "bad": true } })).await;
        world.stalled().await;
        let object = world.request(&["resetAt"]).await;
        assert!(object.status.unwrap().last_handled_reset_at.is_some());
        let attempts = world.revisions().await.len();
        assert_eq!(attempts, 3);
    };
    tokio::join!(by_values, by_chart, by_config_map, by_annotation);
}
