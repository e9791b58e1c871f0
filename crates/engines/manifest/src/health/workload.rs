//! Deployments, StatefulSets, DaemonSets and ReplicaSets.

use serde_json::Value;

use super::{Health, HealthError, conditions, int, int_or};
use crate::object;

/// The value of `progressDeadlineSeconds` that means "no deadline".
const NO_DEADLINE: i64 = 2_147_483_647;

/// Returns the first comparison that says that something is still missing.
fn first_missing(checks: &[(bool, &str, &dyn Fn() -> String)]) -> Option<Health> {
    checks
        .iter()
        .find(|(missing, _, _)| *missing)
        .map(|(_, reason, message)| Health::in_progress(reason, message()))
}

pub(super) fn deployment(value: &Value) -> Result<Health, HealthError> {
    let deadline = int(value, &["spec", "progressDeadlineSeconds"])?;
    let mut progressing = deadline.is_none_or(|seconds| seconds == NO_DEADLINE);
    let mut available = false;
    for condition in conditions(value)? {
        match condition.kind {
            "Progressing" if condition.reason == "ProgressDeadlineExceeded" => {
                return Ok(Health::failed(
                    "ProgressDeadlineExceeded",
                    "Progress deadline exceeded",
                ));
            }
            "Progressing" => {
                progressing |=
                    condition.status == "True" && condition.reason == "NewReplicaSetAvailable";
            }
            "Available" => available |= condition.status == "True",
            _ => {}
        }
    }
    let wanted = int_or(value, &["spec", "replicas"], 1)?;
    let replicas = int_or(value, &["status", "replicas"], 0)?;
    let updated = int_or(value, &["status", "updatedReplicas"], 0)?;
    let available_count = int_or(value, &["status", "availableReplicas"], 0)?;
    let ready = int_or(value, &["status", "readyReplicas"], 0)?;
    let missing = first_missing(&[
        (wanted > replicas, "LessReplicas", &|| {
            format!("Replicas: {replicas}/{wanted}")
        }),
        (wanted > updated, "LessUpdated", &|| {
            format!("Updated: {updated}/{wanted}")
        }),
        (replicas > wanted, "ExtraPods", &|| {
            format!("Pending termination: {}", replicas - wanted)
        }),
        (updated > available_count, "LessAvailable", &|| {
            format!("Available: {available_count}/{updated}")
        }),
        (wanted > ready, "LessReady", &|| {
            format!("Ready: {ready}/{wanted}")
        }),
        (!progressing, "ReplicaSetNotAvailable", &|| {
            "ReplicaSet not Available".into()
        }),
        (!available, "DeploymentNotAvailable", &|| {
            "Deployment not Available".into()
        }),
    ]);
    Ok(missing.unwrap_or_else(|| {
        Health::current(format!("Deployment is available. Replicas: {replicas}"))
    }))
}

pub(super) fn stateful_set(value: &Value) -> Result<Health, HealthError> {
    if object::str_at(value, &["spec", "updateStrategy", "type"]) == Some("OnDelete") {
        return Ok(Health::current(
            "StatefulSet is using the ondelete update strategy",
        ));
    }
    let wanted = int_or(value, &["spec", "replicas"], 1)?;
    let replicas = int_or(value, &["status", "replicas"], 0)?;
    let ready = int_or(value, &["status", "readyReplicas"], 0)?;
    let current = int_or(value, &["status", "currentReplicas"], 0)?;
    let updated = int_or(value, &["status", "updatedReplicas"], 0)?;
    let missing = first_missing(&[
        (wanted > replicas, "LessReplicas", &|| {
            format!("Replicas: {replicas}/{wanted}")
        }),
        (wanted > ready, "LessReady", &|| {
            format!("Ready: {ready}/{wanted}")
        }),
        (replicas > wanted, "ExtraPods", &|| {
            format!("Pending termination: {}", replicas - wanted)
        }),
    ]);
    if let Some(missing) = missing {
        return Ok(missing);
    }
    let partition = int(
        value,
        &["spec", "updateStrategy", "rollingUpdate", "partition"],
    )?;
    if let Some(partition) = partition {
        let target = wanted - partition;
        return Ok(if updated < target {
            Health::in_progress("PartitionRollout", format!("updated: {updated}/{target}"))
        } else {
            Health::current(format!("Partition rollout complete. updated: {updated}"))
        });
    }
    let revision = |field| object::str_at(value, &["status", field]).unwrap_or_default();
    let differs = revision("currentRevision") != revision("updateRevision");
    let missing = first_missing(&[
        (wanted > current, "LessCurrent", &|| {
            format!("current: {current}/{wanted}")
        }),
        (differs, "RevisionMismatch", &|| {
            "Waiting for updated revision to match current".into()
        }),
    ]);
    Ok(missing.unwrap_or_else(|| all_scheduled(replicas)))
}

pub(super) fn daemon_set(value: &Value) -> Result<Health, HealthError> {
    if int(value, &["metadata", "generation"])?.is_none() {
        let message = "DaemonSet metadata.generation not found";
        return Ok(Health::in_progress("NoGeneration", message));
    }
    if int(value, &["status", "observedGeneration"])?.is_none() {
        let message = "DaemonSet status.observedGeneration not found";
        return Ok(Health::in_progress("NoObservedGeneration", message));
    }
    let Some(desired) = int(value, &["status", "desiredNumberScheduled"])? else {
        let message = "Missing .status.desiredNumberScheduled";
        return Ok(Health::in_progress("NoDesiredNumber", message));
    };
    let current = int_or(value, &["status", "currentNumberScheduled"], 0)?;
    let updated = int_or(value, &["status", "updatedNumberScheduled"], 0)?;
    let available = int_or(value, &["status", "numberAvailable"], 0)?;
    let ready = int_or(value, &["status", "numberReady"], 0)?;
    let missing = first_missing(&[
        (desired > current, "LessCurrent", &|| {
            format!("Current: {current}/{desired}")
        }),
        (desired > updated, "LessUpdated", &|| {
            format!("Updated: {updated}/{desired}")
        }),
        (desired > available, "LessAvailable", &|| {
            format!("Available: {available}/{desired}")
        }),
        (desired > ready, "LessReady", &|| {
            format!("Ready: {ready}/{desired}")
        }),
    ]);
    Ok(missing.unwrap_or_else(|| all_scheduled(desired)))
}

pub(super) fn replica_set(value: &Value) -> Result<Health, HealthError> {
    let failing = conditions(value)?
        .iter()
        .any(|it| it.kind == "ReplicaFailure" && it.status == "True");
    if failing {
        let message = "Replica Failure condition. Check Pods";
        return Ok(Health::in_progress("ReplicaFailure", message));
    }
    let wanted = int_or(value, &["spec", "replicas"], 1)?;
    let replicas = int_or(value, &["status", "replicas"], 0)?;
    let labelled = int_or(value, &["status", "fullyLabeledReplicas"], 0)?;
    let available = int_or(value, &["status", "availableReplicas"], 0)?;
    let ready = int_or(value, &["status", "readyReplicas"], 0)?;
    let missing = first_missing(&[
        (wanted > labelled, "LessLabelled", &|| {
            format!("Labelled: {labelled}/{wanted}")
        }),
        (wanted > available, "LessAvailable", &|| {
            format!("Available: {available}/{wanted}")
        }),
        (wanted > ready, "LessReady", &|| {
            format!("Ready: {ready}/{wanted}")
        }),
        (replicas > wanted, "ExtraPods", &|| {
            format!("Pending termination: {}", replicas - wanted)
        }),
    ]);
    Ok(missing.unwrap_or_else(|| {
        Health::current(format!("ReplicaSet is available. Replicas: {replicas}"))
    }))
}

fn all_scheduled(replicas: i64) -> Health {
    Health::current(format!(
        "All replicas scheduled as expected. Replicas: {replicas}"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{
        Status::{self, Current, Failed, InProgress},
        tests::check,
    };

    /// Status fields that differ from the finished ones (`field=json`, comma separated), and what
    /// comes of it.
    type Case<'a> = (&'a str, Status, &'a str, &'a str);

    fn workload(kind: &str, spec: &Value, status: &Value) -> Value {
        json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"generation": 1}, "spec": spec, "status": status})
    }

    #[track_caller]
    fn check_all(kind: &str, spec: &Value, finished: &Value, cases: &[Case<'_>]) {
        for (changes, status, reason, message) in cases {
            let mut object = workload(kind, spec, finished);
            for change in changes.split(',').filter(|change| !change.is_empty()) {
                let (field, value) = change.split_once('=').unwrap();
                object["status"][field] = serde_json::from_str(value).unwrap();
            }
            check(&object, (*status, reason, message));
        }
    }

    fn conditions(progressing: &str, available: &str) -> Value {
        json!([
            {"type": "Progressing", "status": "True", "reason": progressing},
            {"type": "Available", "status": available},
        ])
    }

    fn deployed(conditions: &Value) -> Value {
        json!({"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2,
               "readyReplicas": 2, "conditions": conditions})
    }

    /// covers: KC-115
    #[test]
    fn deployments_are_counted() {
        let spec = json!({"replicas": 2, "progressDeadlineSeconds": 600});
        let finished = deployed(&conditions("NewReplicaSetAvailable", "True"));
        check_all(
            "Deployment",
            &spec,
            &finished,
            &[
                ("", Current, "", "Deployment is available. Replicas: 2"),
                ("replicas=1", InProgress, "LessReplicas", "Replicas: 1/2"),
                (
                    "updatedReplicas=1",
                    InProgress,
                    "LessUpdated",
                    "Updated: 1/2",
                ),
                (
                    "replicas=3",
                    InProgress,
                    "ExtraPods",
                    "Pending termination: 1",
                ),
                (
                    "availableReplicas=1",
                    InProgress,
                    "LessAvailable",
                    "Available: 1/2",
                ),
                ("readyReplicas=0", InProgress, "LessReady", "Ready: 0/2"),
            ],
        );
    }

    /// covers: KC-115
    #[test]
    fn deployments_need_their_conditions() {
        let spec = json!({"replicas": 2, "progressDeadlineSeconds": 600});
        for (progressing, available, expected) in [
            (
                "ReplicaSetUpdated",
                "True",
                (
                    InProgress,
                    "ReplicaSetNotAvailable",
                    "ReplicaSet not Available",
                ),
            ),
            (
                "NewReplicaSetAvailable",
                "False",
                (
                    InProgress,
                    "DeploymentNotAvailable",
                    "Deployment not Available",
                ),
            ),
            (
                "ProgressDeadlineExceeded",
                "True",
                (
                    Failed,
                    "ProgressDeadlineExceeded",
                    "Progress deadline exceeded",
                ),
            ),
        ] {
            let status = deployed(&conditions(progressing, available));
            check(&workload("Deployment", &spec, &status), expected);
        }
    }

    /// covers: KC-115
    #[test]
    fn a_deployment_without_deadline_needs_no_progress_condition() {
        let available = json!([{"type": "Available", "status": "True"}]);
        for spec in [
            json!({"replicas": 2}),
            json!({"replicas": 2, "progressDeadlineSeconds": 2_147_483_647}),
        ] {
            check(
                &workload("Deployment", &spec, &deployed(&available)),
                (Current, "", "Deployment is available. Replicas: 2"),
            );
        }
        check(
            &workload("Deployment", &json!({}), &json!({})),
            (InProgress, "LessReplicas", "Replicas: 0/1"),
        );
    }

    fn stateful() -> Value {
        json!({"replicas": 2, "readyReplicas": 2, "currentReplicas": 2, "updatedReplicas": 2,
               "currentRevision": "a", "updateRevision": "a"})
    }

    /// covers: KC-115
    #[test]
    fn stateful_sets_are_counted_and_follow_revisions() {
        check_all(
            "StatefulSet",
            &json!({"replicas": 2}),
            &stateful(),
            &[
                (
                    "",
                    Current,
                    "",
                    "All replicas scheduled as expected. Replicas: 2",
                ),
                ("replicas=1", InProgress, "LessReplicas", "Replicas: 1/2"),
                ("readyReplicas=1", InProgress, "LessReady", "Ready: 1/2"),
                (
                    "replicas=3",
                    InProgress,
                    "ExtraPods",
                    "Pending termination: 1",
                ),
                (
                    "currentReplicas=1",
                    InProgress,
                    "LessCurrent",
                    "current: 1/2",
                ),
                (
                    "updateRevision=\"b\"",
                    InProgress,
                    "RevisionMismatch",
                    "Waiting for updated revision to match current",
                ),
            ],
        );
    }

    /// covers: KC-115
    #[test]
    fn stateful_sets_honour_their_update_strategy() {
        check_all(
            "StatefulSet",
            &json!({"replicas": 2, "updateStrategy": {"rollingUpdate": {"partition": 1}}}),
            &stateful(),
            &[
                (
                    "updatedReplicas=0",
                    InProgress,
                    "PartitionRollout",
                    "updated: 0/1",
                ),
                (
                    "updatedReplicas=1,updateRevision=\"b\"",
                    Current,
                    "",
                    "Partition rollout complete. updated: 1",
                ),
            ],
        );
        check_all(
            "StatefulSet",
            &json!({"updateStrategy": {"type": "OnDelete"}}),
            &json!({}),
            &[(
                "",
                Current,
                "",
                "StatefulSet is using the ondelete update strategy",
            )],
        );
    }

    /// covers: KC-115
    #[test]
    fn daemon_sets() {
        let finished = json!({
            "observedGeneration": 1, "desiredNumberScheduled": 2, "currentNumberScheduled": 2,
            "updatedNumberScheduled": 2, "numberAvailable": 2, "numberReady": 2,
        });
        check_all(
            "DaemonSet",
            &json!({}),
            &finished,
            &[
                (
                    "",
                    Current,
                    "",
                    "All replicas scheduled as expected. Replicas: 2",
                ),
                (
                    "currentNumberScheduled=1",
                    InProgress,
                    "LessCurrent",
                    "Current: 1/2",
                ),
                (
                    "updatedNumberScheduled=1",
                    InProgress,
                    "LessUpdated",
                    "Updated: 1/2",
                ),
                (
                    "numberAvailable=1",
                    InProgress,
                    "LessAvailable",
                    "Available: 1/2",
                ),
                ("numberReady=1", InProgress, "LessReady", "Ready: 1/2"),
                (
                    "observedGeneration=null",
                    InProgress,
                    "NoObservedGeneration",
                    "DaemonSet status.observedGeneration not found",
                ),
                (
                    "desiredNumberScheduled=null",
                    InProgress,
                    "NoDesiredNumber",
                    "Missing .status.desiredNumberScheduled",
                ),
            ],
        );
        check(
            &json!({"apiVersion": "apps/v1", "kind": "DaemonSet"}),
            (
                InProgress,
                "NoGeneration",
                "DaemonSet metadata.generation not found",
            ),
        );
    }

    /// covers: KC-115
    #[test]
    fn replica_sets() {
        let finished = json!({"replicas": 2, "fullyLabeledReplicas": 2, "availableReplicas": 2, "readyReplicas": 2});
        check_all(
            "ReplicaSet",
            &json!({"replicas": 2}),
            &finished,
            &[
                ("", Current, "", "ReplicaSet is available. Replicas: 2"),
                (
                    "fullyLabeledReplicas=1",
                    InProgress,
                    "LessLabelled",
                    "Labelled: 1/2",
                ),
                (
                    "availableReplicas=1",
                    InProgress,
                    "LessAvailable",
                    "Available: 1/2",
                ),
                ("readyReplicas=1", InProgress, "LessReady", "Ready: 1/2"),
                (
                    "replicas=3",
                    InProgress,
                    "ExtraPods",
                    "Pending termination: 1",
                ),
                (
                    r#"conditions=[{"type":"ReplicaFailure"}]"#,
                    Current,
                    "",
                    "ReplicaSet is available. Replicas: 2",
                ),
            ],
        );
        check(
            &workload(
                "ReplicaSet",
                &json!({}),
                &json!({"conditions": [{"type": "ReplicaFailure", "status": "True"}]}),
            ),
            (
                InProgress,
                "ReplicaFailure",
                "Replica Failure condition. Check Pods",
            ),
        );
    }
}
