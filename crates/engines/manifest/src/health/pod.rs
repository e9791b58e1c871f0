//! Pods, and what failed pods mean for the workload above them.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{Health, HealthError, Status, conditions, evaluate};
use crate::object;

/// How long a pod may be unschedulable before that counts as failure.
const SCHEDULE_WINDOW: SignedDuration = SignedDuration::from_secs(15);

pub(super) fn pod(value: &Value, now: Timestamp) -> Result<Health, HealthError> {
    match object::str_at(value, &["status", "phase"]).unwrap_or_default() {
        "Succeeded" => Ok(Health::current("Pod has completed successfully")),
        "Failed" => Ok(Health::current("Pod has completed, but not successfully")),
        "Running" => running(value),
        "Pending" => pending(value, now),
        "" => Ok(Health::in_progress(
            "PodNotObserved",
            "Pod phase not available",
        )),
        phase => Err(HealthError(format!("unknown phase {phase}"))),
    }
}

fn running(value: &Value) -> Result<Health, HealthError> {
    if conditions(value)?
        .iter()
        .any(|it| it.kind == "Ready" && it.status == "True")
    {
        return Ok(Health::current("Pod is Ready"));
    }
    let is_looping = |container: &&Value| {
        object::str_at(container, &["state", "waiting", "reason"]) == Some("CrashLoopBackOff")
    };
    let looping: Vec<&str> = object::at(value, &["status", "containerStatuses"])
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter(is_looping)
        .map(|container| object::str_at(container, &["name"]).unwrap_or_default())
        .collect();
    if looping.is_empty() {
        Ok(Health::in_progress(
            "PodRunningNotReady",
            "Pod is running but is not Ready",
        ))
    } else {
        let message = format!("Containers in CrashLoop state: {}", looping.join(","));
        Ok(Health::failed("ContainerCrashLooping", message))
    }
}

fn pending(value: &Value, now: Timestamp) -> Result<Health, HealthError> {
    let unschedulable = conditions(value)?.iter().any(|it| {
        it.kind == "PodScheduled" && it.status == "False" && it.reason == "Unschedulable"
    });
    if !unschedulable {
        return Ok(Health::in_progress(
            "PodPending",
            "Pod is in the Pending phase",
        ));
    }
    let created = object::str_at(value, &["metadata", "creationTimestamp"])
        .and_then(|time| time.parse::<Timestamp>().ok());
    if created.is_some_and(|created| now.duration_since(created) < SCHEDULE_WINDOW) {
        Ok(Health::in_progress(
            "PodNotScheduled",
            "Pod has not been scheduled",
        ))
    } else {
        Ok(Health::failed(
            "PodUnschedulable",
            "Pod could not be scheduled",
        ))
    }
}

/// Judges a StatefulSet or ReplicaSet that is in progress by its pods: one that has failed means
/// that the workload has. Pods that are being deleted or could not be scheduled do not count.
///
/// `None` when no pod has failed.
pub fn failed_pods(pods: &[Value], now: Timestamp) -> Option<Health> {
    let has_failed = |pod: &&Value| {
        evaluate(pod, now).is_ok_and(|health| {
            health.status == Status::Failed && health.reason != "PodUnschedulable"
        })
    };
    let count = pods.iter().filter(has_failed).count();
    (count > 0).then(|| Health::failed("PodsFailed", format!("{count} pods have failed")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::tests::check, *};

    fn pod_with(status: &Value) -> Value {
        json!({"apiVersion": "v1", "kind": "Pod",
               "metadata": {"creationTimestamp": "2026-01-01T00:00:50Z"}, "status": status})
    }

    fn looping() -> Value {
        let waiting = |name: &str, reason: &str| json!({"name": name, "state": {"waiting": {"reason": reason}}});
        pod_with(&json!({"phase": "Running", "containerStatuses": [
            waiting("a", "CrashLoopBackOff"), waiting("b", "Creating"), waiting("c", "CrashLoopBackOff"),
        ]}))
    }

    fn unschedulable(created: &str) -> Value {
        let mut pod = pod_with(&json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"},
        ]}));
        pod["metadata"]["creationTimestamp"] = json!(created);
        pod
    }

    /// covers: KC-115
    #[test]
    fn phases_decide() {
        use Status::{Current, Failed, InProgress};
        let phase = |phase: &str| pod_with(&json!({"phase": phase}));
        check(
            &phase("Succeeded"),
            (Current, "", "Pod has completed successfully"),
        );
        check(
            &phase("Failed"),
            (Current, "", "Pod has completed, but not successfully"),
        );
        check(
            &phase(""),
            (InProgress, "PodNotObserved", "Pod phase not available"),
        );
        check(
            &phase("Pending"),
            (InProgress, "PodPending", "Pod is in the Pending phase"),
        );
        check(
            &phase("Running"),
            (
                InProgress,
                "PodRunningNotReady",
                "Pod is running but is not Ready",
            ),
        );
        check(
            &pod_with(
                &json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}),
            ),
            (Current, "", "Pod is Ready"),
        );
        check(
            &looping(),
            (
                Failed,
                "ContainerCrashLooping",
                "Containers in CrashLoop state: a,c",
            ),
        );
        check(
            &unschedulable("2026-01-01T00:00:50Z"),
            (InProgress, "PodNotScheduled", "Pod has not been scheduled"),
        );
        check(
            &unschedulable("2026-01-01T00:00:40Z"),
            (Failed, "PodUnschedulable", "Pod could not be scheduled"),
        );
        let error = evaluate(&phase("Odd"), Timestamp::UNIX_EPOCH).unwrap_err();
        assert_eq!(error.to_string(), "unknown phase Odd");
    }

    /// covers: KC-116
    #[test]
    fn failed_pods_fail_their_workload() {
        let now: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
        let mut deleting = looping();
        deleting["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        let ignored = [
            deleting,
            unschedulable("2026-01-01T00:00:00Z"),
            pod_with(&json!({})),
        ];
        assert_eq!(failed_pods(&ignored, now), None);
        let health = failed_pods(&[looping(), looping()], now).unwrap();
        assert_eq!(health.status, Status::Failed);
        assert_eq!(health.message, "2 pods have failed");
    }
}
