//! How an object stands, read from its status.

use kube::api::DynamicObject;
use serde::Serialize;
use serde_json::Value;

use super::text;

/// In the order of urgency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) enum State {
    Failed,
    Progressing,
    Suspended,
    Ready,
    /// It has no status: nothing acts on it by itself.
    Static,
}

impl State {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Failed => "Failed",
            Self::Progressing => "Progressing",
            Self::Suspended => "Suspended",
            Self::Ready => "Ready",
            Self::Static => "-",
        }
    }
}

/// How an object stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Standing {
    pub(crate) state: State,
    pub(crate) reason: String,
    pub(crate) message: String,
    /// When the state was reached: RFC 3339.
    pub(crate) since: Option<String>,
    pub(crate) revision: Option<String>,
}

/// Returns the condition of a type.
pub(crate) fn condition<'a>(object: &'a DynamicObject, kind: &str) -> Option<&'a Value> {
    let conditions = object.data.pointer("/status/conditions")?.as_array()?;
    conditions
        .iter()
        .find(|condition| condition["type"] == kind)
}

/// Returns true where a condition says yes.
pub(crate) fn holds(object: &DynamicObject, kind: &str) -> bool {
    condition(object, kind).is_some_and(|found| found["status"] == "True")
}

/// Returns true while a run is under way. A run that failed leaves the condition behind, and says in its reason that another
/// is to come.
pub(crate) fn is_running(object: &DynamicObject) -> bool {
    condition(object, "Reconciling")
        .is_some_and(|found| found["status"] == "True" && found["reason"] != "ProgressingWithRetry")
}

/// Returns true where the object is not to be acted on.
pub(crate) fn is_suspended(object: &DynamicObject) -> bool {
    object.data.pointer("/spec/suspend") == Some(&Value::Bool(true))
}

/// Returns true where the controller has not yet seen what the object says now. A source that could not be fetched keeps the
/// generation of its last success, and tells in Ready which one failed.
pub(crate) fn is_unseen(object: &DynamicObject) -> bool {
    let now = object.metadata.generation;
    let seen = object.data.pointer("/status/observedGeneration");
    let told = condition(object, "Ready").and_then(|ready| ready["observedGeneration"].as_i64());
    let seen = seen.and_then(Value::as_i64);
    seen.is_some_and(|seen| Some(seen) != now) && (told.is_none() || told != now)
}

/// Returns how an object stands.
pub(crate) fn of(object: &DynamicObject) -> Standing {
    let ready = condition(object, "Ready");
    let of_ready = |key: &str| {
        let found = ready.and_then(|ready| ready[key].as_str());
        found.unwrap_or_default().to_owned()
    };
    let (state, message) = match ready {
        _ if is_suspended(object) => (State::Suspended, of_ready("message")),
        None if is_static(object) => (State::Static, String::new()),
        None => (State::Progressing, "waiting to be reconciled".to_owned()),
        Some(_) if is_unseen(object) => (
            State::Progressing,
            "the controller has not yet seen the newest generation".to_owned(),
        ),
        Some(ready) => {
            let state = match ready["status"].as_str() {
                Some("True") => State::Ready,
                Some("False") if !is_under_way(object) => State::Failed,
                _ => State::Progressing,
            };
            (state, of_ready("message"))
        }
    };
    Standing {
        state,
        reason: of_ready("reason"),
        message,
        since: ready
            .and_then(|ready| ready["lastTransitionTime"].as_str())
            .map(str::to_owned),
        revision: revision(object),
    }
}

/// A first run is under way and nothing has failed yet.
fn is_under_way(object: &DynamicObject) -> bool {
    let ready = condition(object, "Ready");
    ready.is_some_and(|ready| ready["reason"] == "Progressing")
        || (holds(object, "Reconciling") && ready.is_some_and(|ready| ready["status"] == "Unknown"))
}

/// Alerts, Providers and Helm repositories in registries have no status.
fn is_static(object: &DynamicObject) -> bool {
    let kind = object
        .types
        .as_ref()
        .map_or("", |types| types.kind.as_str());
    match kind {
        "Alert" | "Provider" | "ExternalArtifact" => true,
        "HelmRepository" => text(object, "/spec/type") == Some("oci"),
        _ => false,
    }
}

/// What is live of an object, in the words of its kind.
fn revision(object: &DynamicObject) -> Option<String> {
    let at = |pointer: &str| text(object, pointer).map(str::to_owned);
    at("/status/artifact/revision")
        .or_else(|| at("/status/lastAppliedRevision"))
        .or_else(|| at("/status/history/0/chartVersion"))
        .or_else(|| {
            let tag = at("/status/latestRef/tag")?;
            Some(tag)
        })
        .or_else(|| at("/status/lastPushCommit"))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    /// An object as the API server would return it.
    pub(crate) fn object(value: Value) -> DynamicObject {
        serde_json::from_value(value).unwrap_or_else(|error| panic!("{error}"))
    }

    fn kustomization(spec: &Value, status: &Value) -> DynamicObject {
        object(
            json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"name": "apps", "namespace": "prod", "generation": 3},
            "spec": spec, "status": status}),
        )
    }

    fn ready(status: &str, reason: &str) -> Value {
        json!({"observedGeneration": 3, "lastAppliedRevision": "main@sha1:1", "conditions": [
            {"type": "Ready", "status": status, "reason": reason, "message": "text", "lastTransitionTime": "2026-01-01T00:00:00Z"}]})
    }

    #[test]
    fn state_is_read_from_conditions_generation_and_suspension() {
        let state = |spec: Value, status: Value| of(&kustomization(&spec, &status)).state;
        assert_eq!(
            state(json!({}), ready("True", "ReconciliationSucceeded")),
            State::Ready
        );
        assert_eq!(
            state(json!({}), ready("False", "BuildFailed")),
            State::Failed
        );
        assert_eq!(
            state(json!({}), ready("False", "Progressing")),
            State::Progressing
        );
        assert_eq!(
            state(json!({}), ready("Unknown", "Progressing")),
            State::Progressing
        );
        assert_eq!(
            state(json!({"suspend": true}), ready("False", "BuildFailed")),
            State::Suspended
        );
        assert_eq!(state(json!({}), json!({})), State::Progressing);
        let mut old = ready("True", "ReconciliationSucceeded");
        old["observedGeneration"] = json!(2);
        assert_eq!(
            state(json!({}), old),
            State::Progressing,
            "an older generation is ready"
        );
    }

    #[test]
    fn a_failed_run_is_over_while_the_next_is_due() {
        let with = |reason: &str| {
            let mut status = ready("False", "BuildFailed");
            let left = json!({"type": "Reconciling", "status": "True", "reason": reason, "message": "Building manifests"});
            if let Some(conditions) = status["conditions"].as_array_mut() {
                conditions.push(left);
            }
            kustomization(&json!({}), &status)
        };
        assert!(is_running(&with("Progressing")));
        assert!(!is_running(&with("ProgressingWithRetry")));
        assert_eq!(of(&with("ProgressingWithRetry")).state, State::Failed);
    }

    #[test]
    fn a_failure_of_the_newest_generation_has_seen_it() {
        let mut status = ready("False", "GitOperationFailed");
        status["observedGeneration"] = json!(-1);
        assert!(is_unseen(&kustomization(&json!({}), &status)));
        status["conditions"][0]["observedGeneration"] = json!(3);
        let seen = kustomization(&json!({}), &status);
        assert_eq!((is_unseen(&seen), of(&seen).state), (false, State::Failed));
    }

    #[test]
    fn what_has_no_status_is_not_waited_for() {
        let alert = object(
            json!({"apiVersion": "notification.toolkit.fluxcd.io/v1beta3", "kind": "Alert",
            "metadata": {"name": "a"}, "spec": {}}),
        );
        assert_eq!(of(&alert).state, State::Static);
    }
}
