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

/// How much of a pod's own message is passed on, in characters.
const MAX_MESSAGE: usize = 300;

/// Says in a pod's own words why a workload is not ready: of the pods that are not being deleted,
/// the first by name with something to say.
///
/// Shape: `pod web-1: ImagePullBackOff: Back-off pulling image "x"`. `None` when no pod is at fault.
pub fn explain(pods: &[Value]) -> Option<String> {
    let mut pods: Vec<&Value> = pods
        .iter()
        .filter(|pod| object::at(pod, &["metadata", "deletionTimestamp"]).is_none())
        .collect();
    pods.sort_by_key(|pod| object::name(pod));
    let with_reason = |reason: fn(&Value) -> Option<String>| {
        let mut pods = pods.iter();
        pods.find_map(|pod| Some(format!("pod {}: {}", object::name(pod), reason(pod)?)))
    };
    with_reason(container_reason).or_else(|| with_reason(condition_reason))
}

/// Says why a container waits or has ended, init containers first.
fn container_reason(pod: &Value) -> Option<String> {
    let statuses = ["initContainerStatuses", "containerStatuses"]
        .into_iter()
        .filter_map(|field| object::at(pod, &["status", field])?.as_array())
        .flatten();
    statuses.into_iter().find_map(|container| {
        let waiting = object::at(container, &["state", "waiting"]);
        let is_normal = |state: &Value| {
            let reason = object::str_at(state, &["reason"]).unwrap_or_default();
            ["", "ContainerCreating", "PodInitializing"].contains(&reason)
        };
        let state = waiting.filter(|state| !is_normal(state)).or_else(|| {
            let ended = object::at(container, &["state", "terminated"])?;
            (object::int_at(ended, &["exitCode"]) != Some(0)).then_some(ended)
        })?;
        Some(words(
            object::str_at(state, &["reason"]).unwrap_or("Error"),
            object::str_at(state, &["message"]).unwrap_or_default(),
        ))
    })
}

/// Says which condition holds a pod back.
fn condition_reason(pod: &Value) -> Option<String> {
    let conditions = conditions(pod).ok()?;
    ["PodScheduled", "ContainersReady", "Ready"]
        .into_iter()
        .find_map(|kind| {
            let held = conditions
                .iter()
                .find(|it| it.kind == kind && it.status == "False")?;
            (held.reason != "PodCompleted").then(|| words(held.reason, held.message))
        })
}

fn words(reason: &str, message: &str) -> String {
    let message: String = message.trim().chars().take(MAX_MESSAGE).collect();
    if message.is_empty() {
        reason.into()
    } else {
        format!("{reason}: {message}")
    }
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

    #[test]
    fn pods_say_why_they_are_not_ready() {
        let named =
            |name: &str, status: &Value| json!({"metadata": {"name": name}, "status": status});
        let pulling = json!({"containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image \"x\""}}}]});
        let creating =
            json!({"containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]});
        let killed = json!({"initContainerStatuses": [{"state": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}]});
        let pending = json!({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}]});
        let unready = json!({"conditions": [{"type": "Ready", "status": "False", "reason": "ContainersNotReady", "message": "containers with unready status: [a]"}]});
        let done =
            json!({"conditions": [{"type": "Ready", "status": "False", "reason": "PodCompleted"}]});
        for (pods, expected) in [
            (
                vec![named("b", &pulling), named("a", &creating)],
                Some("pod b: ImagePullBackOff: Back-off pulling image \"x\""),
            ),
            (
                vec![named("b", &pulling), named("a", &killed)],
                Some("pod a: OOMKilled"),
            ),
            (
                vec![named("a", &pending)],
                Some("pod a: Unschedulable: 0/1 nodes"),
            ),
            (
                vec![named("a", &unready), named("b", &pulling)],
                Some("pod b: ImagePullBackOff: Back-off pulling image \"x\""),
            ),
            (
                vec![named("a", &unready)],
                Some("pod a: ContainersNotReady: containers with unready status: [a]"),
            ),
            (vec![named("a", &done), named("b", &creating)], None),
            (Vec::new(), None),
        ] {
            assert_eq!(explain(&pods).as_deref(), expected);
        }
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
