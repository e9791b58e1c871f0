//! When Helm 3 took an object for ready.
//!
//! Source: helm v4.2.1 `pkg/kube/ready.go`, read. It counts the ready pods of a Deployment's new ReplicaSet; here they are
//! the ready pods without as many as may be old ones, which comes to the same once these are gone.

use manifest::{
    health::{Health, Status},
    object,
};
use serde_json::Value;

use super::{condition, health};

/// Judges an object; kinds without a rule are ready at once, Jobs too unless they are to be waited for.
pub(super) fn judge(value: &Value, jobs: bool) -> Health {
    let unready = match (object::group(value), object::kind(value)) {
        ("", "Pod") => (condition(value, "Ready").is_none()).then_some("Pod is not ready"),
        ("", "PersistentVolumeClaim") => claim(value),
        ("", "Service") => service(value),
        ("" | "apps", "ReplicationController" | "ReplicaSet") => replicas(value),
        ("apps", "Deployment") => deployment(value),
        ("apps", "StatefulSet") => stateful_set(value),
        ("apps", "DaemonSet") => daemon_set(value),
        ("batch", "Job") if jobs => return job(value),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(value),
        _ => None,
    };
    match unready {
        Some(why) => health(Status::InProgress, why),
        None => health(Status::Current, "Resource is current"),
    }
}

fn count(value: &Value, path: &[&str]) -> i64 {
    object::int_at(value, path).unwrap_or(0)
}

fn wanted(value: &Value) -> i64 {
    object::int_at(value, &["spec", "replicas"]).unwrap_or(1)
}

fn is_observed(value: &Value) -> bool {
    count(value, &["status", "observedGeneration"]) >= count(value, &["metadata", "generation"])
}

/// Reads a number or a share of `whole`.
fn share(value: Option<&Value>, whole: i64, round_up: bool) -> i64 {
    match value {
        Some(Value::Number(number)) => number.as_i64().unwrap_or(0),
        Some(Value::String(text)) => {
            let percent = text.strip_suffix('%').and_then(|t| t.parse::<i64>().ok());
            let parts = percent.unwrap_or(0).clamp(0, 100).saturating_mul(whole);
            let up = if round_up { 99 } else { 0 };
            parts.saturating_add(up) / 100
        }
        _ => 0,
    }
}

fn claim(value: &Value) -> Option<&'static str> {
    let is_bound = object::str_at(value, &["status", "phase"]) == Some("Bound");
    (!is_bound).then_some("PersistentVolumeClaim is not bound")
}

fn service(value: &Value) -> Option<&'static str> {
    let type_ = object::str_at(value, &["spec", "type"]);
    let is_listed = |path: &[&str]| {
        let list = object::at(value, path).and_then(Value::as_array);
        list.is_some_and(|list| !list.is_empty())
    };
    if type_ == Some("ExternalName") {
        return None;
    }
    let address = object::str_at(value, &["spec", "clusterIP"]);
    if address.is_none_or(str::is_empty) {
        return Some("Service has no address");
    }
    let is_reached = type_ != Some("LoadBalancer")
        || is_listed(&["spec", "externalIPs"])
        || is_listed(&["status", "loadBalancer", "ingress"]);
    (!is_reached).then_some("Service has no load balancer")
}

fn replicas(value: &Value) -> Option<&'static str> {
    let ready = count(value, &["status", "readyReplicas"]);
    (!is_observed(value) || ready < wanted(value)).then_some("Pods are not ready")
}

fn deployment(value: &Value) -> Option<&'static str> {
    if object::at(value, &["spec", "paused"]) == Some(&Value::Bool(true)) {
        return None;
    }
    if !is_observed(value) {
        return Some("Deployment was not looked at yet");
    }
    let status = |field: &str| count(value, &["status", field]);
    let (all, updated, ready) = (
        status("replicas"),
        status("updatedReplicas"),
        status("readyReplicas"),
    );
    let old = (all - updated).max(0);
    let fresh = (ready - old).min(updated);
    (fresh < wanted(value) - may_be_missing(value)).then_some("Deployment is not ready")
}

/// How many pods of a Deployment may be missing while it is rolled out.
fn may_be_missing(value: &Value) -> i64 {
    let strategy = object::at(value, &["spec", "strategy"]);
    let is_rolled = strategy.is_some_and(|s| s["type"] == "RollingUpdate");
    let wanted = wanted(value);
    if !is_rolled || wanted == 0 {
        return 0;
    }
    let field = |name: &str| strategy.and_then(|s| s["rollingUpdate"].get(name));
    let surge = share(field("maxSurge"), wanted, true);
    let missing = share(field("maxUnavailable"), wanted, false);
    // With none of both nothing could ever be replaced.
    let missing = if surge == 0 && missing == 0 {
        1
    } else {
        missing
    };
    missing.min(wanted)
}

fn stateful_set(value: &Value) -> Option<&'static str> {
    let strategy = object::at(value, &["spec", "updateStrategy"]);
    if strategy.is_some_and(|s| s["type"] != "RollingUpdate") {
        return None;
    }
    let status = |field: &str| count(value, &["status", field]);
    let partition = strategy.and_then(|s| s["rollingUpdate"]["partition"].as_i64());
    let (partition, wanted) = (partition.unwrap_or(0), wanted(value));
    let revision = |field: &str| object::str_at(value, &["status", field]);
    let is_ready = is_observed(value)
        && status("updatedReplicas") >= wanted - partition
        && status("readyReplicas") == wanted
        && (partition != 0 || revision("currentRevision") == revision("updateRevision"));
    (!is_ready).then_some("StatefulSet is not ready")
}

fn daemon_set(value: &Value) -> Option<&'static str> {
    if !is_observed(value) {
        return Some("DaemonSet was not looked at yet");
    }
    let strategy = object::at(value, &["spec", "updateStrategy"]);
    if strategy.is_some_and(|s| s["type"] != "RollingUpdate") {
        return None;
    }
    let status = |field: &str| count(value, &["status", field]);
    let wanted = status("desiredNumberScheduled");
    let missing = strategy.and_then(|s| s["rollingUpdate"].get("maxUnavailable"));
    let is_ready = status("updatedNumberScheduled") == wanted
        && status("numberReady") >= wanted - share(missing, wanted, true);
    (!is_ready).then_some("DaemonSet is not ready")
}

fn job(value: &Value) -> Health {
    let failed = count(value, &["status", "failed"]);
    let done = count(value, &["status", "succeeded"]);
    // The API server fills in six; without a number of completions one is enough, and Helm does not wait for it.
    let limit = object::int_at(value, &["spec", "backoffLimit"]).unwrap_or(6);
    if failed > limit {
        return health(Status::Failed, format!("Job Failed. failed: {failed}"));
    }
    let completions = object::int_at(value, &["spec", "completions"]);
    if completions.is_some_and(|completions| done < completions) {
        return health(
            Status::InProgress,
            format!("Job in progress. success:{done}"),
        );
    }
    health(Status::Current, "Job Completed")
}

fn definition(value: &Value) -> Option<&'static str> {
    let conditions = object::at(value, &["status", "conditions"]).and_then(Value::as_array);
    let mut conditions = conditions.into_iter().flatten();
    let is_done = conditions.any(|c| {
        (c["type"] == "Established" && c["status"] == "True")
            || (c["type"] == "NamesAccepted" && c["status"] == "False")
    });
    (!is_done).then_some("CustomResourceDefinition is not established")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn is_ready(api_version: &str, kind: &str, spec: Value, status: Value) -> bool {
        let mut value =
            json!({ "apiVersion": api_version, "kind": kind, "metadata": { "generation": 2 } });
        value["spec"] = spec;
        value["status"] = status;
        judge(&value, true).status == Status::Current
    }

    #[test]
    fn deployments_are_ready_with_as_many_new_pods_as_the_roll_out_promises() {
        let rolled = |surge: Value, missing: Value| {
            json!({ "replicas": 4, "strategy": { "type": "RollingUpdate",
                "rollingUpdate": { "maxSurge": surge, "maxUnavailable": missing } } })
        };
        let status = |all: i64, updated: i64, ready: i64| json!({ "observedGeneration": 2, "replicas": all, "updatedReplicas": updated, "readyReplicas": ready });
        let is = |spec: Value, status: Value| is_ready("apps/v1", "Deployment", spec, status);
        let quarter = || rolled(json!("25%"), json!("25%"));
        assert!(is(quarter(), status(4, 4, 3)));
        assert!(!is(quarter(), status(4, 4, 2)));
        // Pods of before do not count.
        assert!(!is(quarter(), status(5, 2, 5)));
        assert!(is(rolled(json!(0), json!(0)), status(4, 4, 3)));
        assert!(!is(rolled(json!(1), json!(0)), status(4, 4, 3)));
        assert!(!is(
            json!({ "strategy": { "type": "Recreate" } }),
            status(1, 1, 0)
        ));
        assert!(!is(
            quarter(),
            json!({ "observedGeneration": 1, "updatedReplicas": 4, "readyReplicas": 4 })
        ));
        assert!(is(json!({ "paused": true }), json!({})));
    }

    #[test]
    fn sets_are_ready_as_their_strategy_says() {
        let is = |spec: Value, status: Value| is_ready("apps/v1", "StatefulSet", spec, status);
        let rolled = json!({ "replicas": 3, "updateStrategy": { "type": "RollingUpdate" } });
        let status = |ready: i64, revision: &str| {
            json!({ "observedGeneration": 2, "updatedReplicas": 3, "readyReplicas": ready,
                "currentRevision": revision, "updateRevision": "b" })
        };
        assert!(is(rolled.clone(), status(3, "b")));
        assert!(!is(rolled.clone(), status(2, "b")));
        assert!(!is(rolled, status(3, "a")));
        assert!(is(
            json!({ "updateStrategy": { "type": "OnDelete" } }),
            json!({})
        ));

        let is = |spec: Value, ready: i64| {
            is_ready(
                "apps/v1",
                "DaemonSet",
                spec,
                json!({ "observedGeneration": 2,
                "desiredNumberScheduled": 10, "updatedNumberScheduled": 10, "numberReady": ready }),
            )
        };
        let rolled = |missing: Value| json!({ "updateStrategy": { "type": "RollingUpdate", "rollingUpdate": { "maxUnavailable": missing } } });
        assert!(is(rolled(json!(1)), 9) && !is(rolled(json!(1)), 8));
        assert!(is(rolled(json!("15%")), 8) && !is(rolled(json!("15%")), 7));
        assert!(is(json!({ "updateStrategy": { "type": "OnDelete" } }), 0));
        let set = |ready: i64| {
            is_ready(
                "apps/v1",
                "ReplicaSet",
                json!({ "replicas": 2 }),
                json!({ "observedGeneration": 2, "readyReplicas": ready }),
            )
        };
        assert!(set(2) && !set(1));
    }

    #[test]
    fn other_kinds_are_ready_when_they_can_be_used() {
        let service = |spec: Value, status: Value| is_ready("v1", "Service", spec, status);
        let balanced = || json!({ "type": "LoadBalancer", "clusterIP": "10.0.0.1" });
        assert!(!service(balanced(), json!({ "loadBalancer": {} })));
        assert!(service(
            balanced(),
            json!({ "loadBalancer": { "ingress": [{ "ip": "1.2.3.4" }] } })
        ));
        assert!(!service(json!({}), json!({})));
        assert!(service(json!({ "clusterIP": "None" }), json!({})));
        assert!(service(json!({ "type": "ExternalName" }), json!({})));
        let claim = |phase: &str| {
            is_ready(
                "v1",
                "PersistentVolumeClaim",
                json!({}),
                json!({ "phase": phase }),
            )
        };
        assert!(claim("Bound") && !claim("Pending"));
        let pod = |ready: &str| {
            is_ready(
                "v1",
                "Pod",
                json!({}),
                json!({ "conditions": [{ "type": "Ready", "status": ready }] }),
            )
        };
        assert!(pod("True") && !pod("False"));
        let definition = |type_: &str, status: &str| {
            let conditions = json!([{ "type": type_, "status": status }]);
            is_ready(
                "apiextensions.k8s.io/v1",
                "CustomResourceDefinition",
                json!({}),
                json!({ "conditions": conditions }),
            )
        };
        assert!(definition("Established", "True") && !definition("Established", "False"));
        assert!(definition("NamesAccepted", "False") && !definition("NamesAccepted", "True"));
        assert!(is_ready("v1", "ConfigMap", json!({}), json!({})));
    }

    #[test]
    fn jobs_are_waited_for_only_where_that_is_wanted() {
        let job = |failed: i64, done: i64| {
            json!({ "apiVersion": "batch/v1", "kind": "Job", "spec": { "backoffLimit": 2, "completions": 2 },
                "status": { "failed": failed, "succeeded": done } })
        };
        let status = |failed, done| judge(&job(failed, done), true).status;
        assert_eq!(status(0, 1), Status::InProgress);
        assert_eq!(status(2, 2), Status::Current);
        assert_eq!(status(3, 0), Status::Failed);
        assert_eq!(judge(&job(3, 0), false).status, Status::Current);
    }
}
