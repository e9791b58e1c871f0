//! Decides from an object's own fields whether it is ready: the kstatus rules.
//!
//! Generic rules come first, then the rule of the kind, then the `Ready` condition; an object that
//! says nothing about itself is ready.
//!
//! Source: fluxcd/cli-utils v0.37 `pkg/kstatus/status`.

mod crd;
mod job;
mod pod;
mod service;
mod workload;

use std::fmt;

use jiff::Timestamp;
use serde_json::Value;

pub use pod::{explain, failed_pods};

use crate::object;

/// How far an object has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// On its way to what its spec says.
    InProgress,
    /// Will not get there by itself.
    Failed,
    /// Is what its spec says.
    Current,
    /// Is being deleted.
    Terminating,
    /// Does not exist.
    NotFound,
    /// Cannot be told.
    Unknown,
}

impl Status {
    /// Returns the word that messages print.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "InProgress",
            Self::Failed => "Failed",
            Self::Current => "Current",
            Self::Terminating => "Terminating",
            Self::NotFound => "NotFound",
            Self::Unknown => "Unknown",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An object's status, why, and in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The status.
    pub status: Status,
    /// A word for the cause, for example `LessReplicas`; empty where there is none.
    pub reason: String,
    /// A sentence for people.
    pub message: String,
}

/// A field that the rules need and that has the wrong type or an impossible value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HealthError(String);

impl Health {
    fn new(status: Status, reason: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            reason: reason.into(),
            message: message.into(),
        }
    }

    fn current(message: impl Into<String>) -> Self {
        Self::new(Status::Current, "", message)
    }

    fn in_progress(reason: &str, message: impl Into<String>) -> Self {
        Self::new(Status::InProgress, reason, message)
    }

    fn failed(reason: &str, message: impl Into<String>) -> Self {
        Self::new(Status::Failed, reason, message)
    }
}

/// Computes an object's health. `now` is only used to tell how long a pod has been unschedulable.
///
/// # Errors
/// [`HealthError`] naming the field that has the wrong type.
pub fn evaluate(value: &Value, now: Timestamp) -> Result<Health, HealthError> {
    if let Some(health) = generic(value)? {
        return Ok(health);
    }
    match (object::group(value), object::kind(value)) {
        ("", "Service") => Ok(service::service(value)),
        ("", "PersistentVolumeClaim") => Ok(service::claim(value)),
        ("", "Secret" | "ConfigMap") | ("batch", "CronJob") => {
            Ok(Health::current("Resource is always ready"))
        }
        ("policy", "PodDisruptionBudget") => {
            Ok(Health::current("AllowedDisruptions has been computed."))
        }
        ("", "Pod") => pod::pod(value, now),
        ("batch", "Job") => job::job(value),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => crd::definition(value),
        ("apps" | "extensions", "Deployment") => workload::deployment(value),
        ("apps", "StatefulSet") => workload::stateful_set(value),
        ("apps" | "extensions", "DaemonSet") => workload::daemon_set(value),
        ("apps" | "extensions", "ReplicaSet") => workload::replica_set(value),
        _ => ready_condition(value),
    }
}

/// Applies the rules that hold for every kind; `None` when they decide nothing.
fn generic(value: &Value) -> Result<Option<Health>, HealthError> {
    let deletion = object::str_at(value, &["metadata", "deletionTimestamp"]);
    if deletion.is_some_and(|time| !time.is_empty()) {
        let health = Health::new(Status::Terminating, "", "Resource scheduled for deletion");
        return Ok(Some(health));
    }
    let generation = int(value, &["metadata", "generation"])?;
    let observed = int(value, &["status", "observedGeneration"])?;
    if let (Some(generation), Some(observed)) = (generation, observed)
        && generation != observed
    {
        let kind = object::kind(value);
        let message = format!(
            "{kind} generation is {generation}, but latest observed generation is {observed}"
        );
        return Ok(Some(Health::in_progress(
            "LatestGenerationNotObserved",
            message,
        )));
    }
    for condition in conditions(value)? {
        match (condition.kind, condition.status) {
            ("Reconciling", "True") => {
                return Ok(Some(Health::in_progress(
                    condition.reason,
                    condition.message,
                )));
            }
            ("Stalled", "True") => {
                return Ok(Some(Health::failed(condition.reason, condition.message)));
            }
            _ => {}
        }
    }
    Ok(None)
}

/// Looks at the `Ready` condition of a kind without a rule of its own.
fn ready_condition(value: &Value) -> Result<Health, HealthError> {
    for condition in conditions(value)?
        .into_iter()
        .filter(|it| it.kind == "Ready")
    {
        match condition.status {
            "True" => return Ok(Health::current("Resource is Ready")),
            "False" | "Unknown" => {
                return Ok(Health::in_progress(condition.reason, condition.message));
            }
            _ => {}
        }
    }
    Ok(Health::current("Resource is current"))
}

/// One entry of `status.conditions`; missing fields are empty.
struct Condition<'a> {
    kind: &'a str,
    status: &'a str,
    reason: &'a str,
    message: &'a str,
}

fn conditions(value: &Value) -> Result<Vec<Condition<'_>>, HealthError> {
    let list = match object::at(value, &["status", "conditions"]) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(HealthError(".status.conditions is not a list".into())),
    };
    let field = |entry| move |key: &str| object::str_at(entry, &[key]).unwrap_or_default();
    let condition = |entry| {
        let field = field(entry);
        Condition {
            kind: field("type"),
            status: field("status"),
            reason: field("reason"),
            message: field("message"),
        }
    };
    Ok(list.iter().map(condition).collect())
}

/// Reads an integer that may be missing.
fn int(value: &Value, path: &[&str]) -> Result<Option<i64>, HealthError> {
    match object::at(value, path) {
        None | Some(Value::Null) => Ok(None),
        Some(found) => match found.as_i64() {
            Some(number) => Ok(Some(number)),
            None => Err(HealthError(format!(
                ".{} is not an integer",
                path.join(".")
            ))),
        },
    }
}

/// Reads an integer with a default.
fn int_or(value: &Value, path: &[&str], default: i64) -> Result<i64, HealthError> {
    Ok(int(value, path)?.unwrap_or(default))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Checks one object against `status`, `reason` and `message`.
    #[track_caller]
    pub(super) fn check(value: &Value, expected: (Status, &str, &str)) {
        let now: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
        let health = evaluate(value, now).unwrap();
        assert_eq!(
            (
                health.status,
                health.reason.as_str(),
                health.message.as_str()
            ),
            expected,
            "{value}"
        );
    }

    fn thing(metadata: &Value, status: &Value) -> Value {
        json!({"apiVersion": "x.io/v1", "kind": "Thing", "metadata": metadata, "status": status})
    }

    /// covers: KC-115
    #[test]
    fn generic_rules_come_first() {
        check(
            &thing(
                &json!({"deletionTimestamp": "2026-01-01T00:00:00Z", "generation": 2}),
                &json!({"observedGeneration": 1}),
            ),
            (Status::Terminating, "", "Resource scheduled for deletion"),
        );
        check(
            &thing(
                &json!({"generation": 2}),
                &json!({"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True"}]}),
            ),
            (
                Status::InProgress,
                "LatestGenerationNotObserved",
                "Thing generation is 2, but latest observed generation is 1",
            ),
        );
        let both = |first: &str, second: &str| {
            let condition = |kind: &str| json!({"type": kind, "status": "True", "reason": "R", "message": kind});
            thing(
                &json!({}),
                &json!({"conditions": [condition("Ready"), condition(first), condition(second)]}),
            )
        };
        check(
            &both("Stalled", "Reconciling"),
            (Status::Failed, "R", "Stalled"),
        );
        check(
            &both("Reconciling", "Stalled"),
            (Status::InProgress, "R", "Reconciling"),
        );
    }

    /// covers: KC-115
    #[test]
    fn kinds_without_a_rule_follow_their_ready_condition() {
        let ready = |status: &str| {
            thing(
                &json!({}),
                &json!({"conditions": [{"type": "Ready", "status": status, "reason": "R", "message": "m"}]}),
            )
        };
        check(&ready("True"), (Status::Current, "", "Resource is Ready"));
        check(&ready("False"), (Status::InProgress, "R", "m"));
        check(&ready("Unknown"), (Status::InProgress, "R", "m"));
        check(
            &ready("maybe"),
            (Status::Current, "", "Resource is current"),
        );
        check(
            &thing(&json!({"generation": 1}), &json!({})),
            (Status::Current, "", "Resource is current"),
        );
    }

    /// covers: KC-115
    #[test]
    fn some_kinds_are_always_ready() {
        for (api, kind, message) in [
            ("v1", "Secret", "Resource is always ready"),
            ("v1", "ConfigMap", "Resource is always ready"),
            ("batch/v1", "CronJob", "Resource is always ready"),
            (
                "policy/v1",
                "PodDisruptionBudget",
                "AllowedDisruptions has been computed.",
            ),
        ] {
            let value = json!({"apiVersion": api, "kind": kind, "status": {"conditions": [{"type": "Ready", "status": "False"}]}});
            check(&value, (Status::Current, "", message));
        }
    }

    #[test]
    fn wrong_types_are_named() {
        let error = evaluate(
            &thing(&json!({"generation": "2"}), &json!({})),
            Timestamp::UNIX_EPOCH,
        );
        assert_eq!(
            error.unwrap_err().to_string(),
            ".metadata.generation is not an integer"
        );
        let error = evaluate(
            &thing(&json!({}), &json!({"conditions": {}})),
            Timestamp::UNIX_EPOCH,
        );
        assert_eq!(
            error.unwrap_err().to_string(),
            ".status.conditions is not a list"
        );
    }
}
