//! The one writer of an object's status.
//!
//! A write is a merge patch of what really changed, guarded by the resource version it was
//! computed from; when that has moved, the object is read again and the same change is computed
//! anew, so that conditions of others survive.

use api::Reconciled;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::{Map, Value, json};

use crate::{Change, Summary, conditions};

/// How often a write is computed anew when someone else wrote in between.
const MAX_CONFLICTS: usize = 5;

/// What the skeleton sets besides a kind's own change.
#[derive(Clone, Debug, Default)]
pub struct Closing {
    /// The generation that counts as observed.
    pub observed_generation: Option<i64>,
    /// The value of the request annotation that was acted on.
    pub handled: Option<String>,
    /// Whether Ready is computed from the ranked conditions.
    pub summarise: bool,
    /// Whether a Reconciling that is left says that the run will be tried again.
    pub retrying: bool,
}

/// Computes the status that follows from a change. Pure.
#[must_use]
pub fn next(
    status: &Map<String, Value>,
    change: &Change,
    closing: &Closing,
    summary: &Summary,
    generation: i64,
    now: Timestamp,
) -> Map<String, Value> {
    let mut next = status.clone();
    change.status.apply(&mut next);
    let mut list = read_conditions(status);
    for each in &change.conditions {
        conditions::apply(&mut list, each, generation, now);
    }
    if closing.retrying
        && let Some(going) = conditions::find(&list, conditions::RECONCILING).cloned()
    {
        let again = conditions::PROGRESSING_WITH_RETRY;
        let words = (
            conditions::RECONCILING,
            "True",
            again,
            going.message.as_str(),
        );
        conditions::set(&mut list, words, generation, now);
    }
    if let (true, Summary::Ranked(ranked)) = (closing.summarise, summary)
        && let Some((ready, reason, message)) = conditions::summarise(&list, ranked)
    {
        conditions::set(
            &mut list,
            (conditions::READY, ready, &reason, &message),
            generation,
            now,
        );
    }
    conditions::sort(&mut list);
    if list.is_empty() {
        next.remove("conditions");
    } else {
        next.insert("conditions".into(), json!(list));
    }
    if let Some(observed) = closing.observed_generation {
        next.insert("observedGeneration".into(), json!(observed));
    }
    if let Some(handled) = &closing.handled {
        next.insert("lastHandledReconcileAt".into(), json!(handled));
    }
    next
}

/// Reads the conditions of a status; one that does not parse is left out.
#[must_use]
pub fn read_conditions(status: &Map<String, Value>) -> Vec<Condition> {
    let list = status.get("conditions").and_then(Value::as_array);
    let parse = |c: &Value| serde_json::from_value(c.clone()).ok();
    list.map(|l| l.iter().filter_map(parse).collect())
        .unwrap_or_default()
}

/// Returns the merge patch that turns one status into another; empty where they are equal.
#[must_use]
pub fn difference(from: &Map<String, Value>, to: &Map<String, Value>) -> Map<String, Value> {
    let mut patch = Map::new();
    for (key, value) in to {
        match (from.get(key), value) {
            (Some(Value::Object(old)), Value::Object(new)) => {
                let inner = difference(old, new);
                if !inner.is_empty() {
                    patch.insert(key.clone(), Value::Object(inner));
                }
            }
            (old, new) if old != Some(new) => {
                patch.insert(key.clone(), value.clone());
            }
            _ => {}
        }
    }
    for key in from.keys().filter(|k| !to.contains_key(*k)) {
        patch.insert(key.clone(), Value::Null);
    }
    patch
}

/// Writes the status of one object, knowing the last copy that it wrote.
#[derive(Debug)]
pub struct StatusWriter<K: Reconciled> {
    api: Api<K>,
    field_owner: String,
    summary: Summary,
    current: K,
}

impl<K: Reconciled> StatusWriter<K> {
    /// Starts from a copy of the object.
    pub fn new(api: Api<K>, field_owner: &str, summary: Summary, current: K) -> Self {
        Self {
            api,
            field_owner: field_owner.to_owned(),
            summary,
            current,
        }
    }

    /// Returns the last copy read or written.
    pub fn current(&self) -> &K {
        &self.current
    }

    /// Returns the last copy's status as JSON.
    pub fn status(&self) -> Map<String, Value> {
        status_of(&self.current)
    }

    /// Writes what a change makes of the status; nothing is sent where nothing changes.
    ///
    /// # Errors
    /// The API server's answer; an object that is gone is no error.
    pub async fn write(&mut self, change: &Change, closing: &Closing) -> kube::Result<()> {
        for _ in 0..MAX_CONFLICTS {
            let generation = self.current.meta().generation.unwrap_or(0);
            let from = self.status();
            let to = next(
                &from,
                change,
                closing,
                &self.summary,
                generation,
                Timestamp::now(),
            );
            let patch = difference(&from, &to);
            if patch.is_empty() {
                return Ok(());
            }
            match self.send(patch).await {
                Ok(()) => return Ok(()),
                Err(kube::Error::Api(status)) if status.code == 409 => {
                    let Some(fresh) = self.api.get_opt(&self.current.name_any()).await? else {
                        return Ok(());
                    };
                    self.current = fresh;
                }
                Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        // Someone writes faster than we read: the last word is sent without the guard.
        let generation = self.current.meta().generation.unwrap_or(0);
        let from = self.status();
        let to = next(
            &from,
            change,
            closing,
            &self.summary,
            generation,
            Timestamp::now(),
        );
        self.current.meta_mut().resource_version = None;
        self.send(difference(&from, &to)).await
    }

    async fn send(&mut self, patch: Map<String, Value>) -> kube::Result<()> {
        let mut body = json!({ "status": patch });
        if let Some(version) = self.current.resource_version() {
            body["metadata"] = json!({ "resourceVersion": version });
        }
        let params = PatchParams {
            field_manager: Some(self.field_owner.clone()),
            ..PatchParams::default()
        };
        let name = self.current.name_any();
        self.current = self
            .api
            .patch_status(&name, &params, &Patch::Merge(body))
            .await?;
        Ok(())
    }

    /// Replaces the copy after a write of metadata.
    pub fn replace(&mut self, current: K) {
        self.current = current;
    }
}

/// Returns an object's status as JSON; empty where there is none.
pub fn status_of<K: Reconciled>(object: &K) -> Map<String, Value> {
    match serde_json::to_value(object) {
        Ok(Value::Object(mut map)) => match map.remove("status") {
            Some(Value::Object(status)) => status,
            _ => Map::new(),
        },
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            other => panic!("not an object: {other}"),
        }
    }

    /// covers: SC-033
    #[test]
    fn conditions_of_others_survive() {
        let status = object(json!({ "conditions": [{
            "type": "Custom", "status": "True", "reason": "X", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z" }] }));
        let change = Change::default().condition("Ready", "True", "Succeeded", "ok");
        let got = next(
            &status,
            &change,
            &Closing::default(),
            &Summary::Explicit,
            3,
            at(9),
        );
        let types: Vec<_> = read_conditions(&got).into_iter().map(|c| c.type_).collect();
        assert_eq!(types, ["Ready", "Custom"]);
    }

    /// covers: SC-016
    #[test]
    fn retrying_rewrites_the_reason_and_keeps_the_message() {
        let change = Change::default().condition("Reconciling", "True", "Progressing", "fetching");
        let closing = Closing {
            retrying: true,
            ..Closing::default()
        };
        let got = next(&Map::new(), &change, &closing, &Summary::Explicit, 1, at(9));
        let list = read_conditions(&got);
        assert_eq!(
            (list[0].reason.as_str(), list[0].message.as_str()),
            ("ProgressingWithRetry", "fetching")
        );
    }

    /// covers: SC-026
    #[test]
    fn handled_request_is_copied_verbatim() {
        let closing = Closing {
            handled: Some(" \t".into()),
            ..Closing::default()
        };
        let got = next(
            &Map::new(),
            &Change::default(),
            &closing,
            &Summary::Explicit,
            1,
            at(9),
        );
        assert_eq!(got["lastHandledReconcileAt"], " \t");
    }

    #[test]
    fn equal_statuses_need_no_patch_and_missing_fields_become_null() {
        let a = object(json!({ "x": 1, "y": { "z": [1, 2], "w": 3 } }));
        assert!(difference(&a, &a).is_empty());
        let b = object(json!({ "y": { "z": [1], "w": 3 } }));
        assert_eq!(
            Value::Object(difference(&a, &b)),
            json!({ "x": null, "y": { "z": [1] } })
        );
    }
}
