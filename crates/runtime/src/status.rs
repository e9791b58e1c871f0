//! The one writer of an object's status.
//!
//! A write is a merge patch of what really changed, guarded by the resource version it was
//! computed from; when that has moved, the object is read again and the same change is computed
//! anew, so that conditions of others survive.

use std::{sync::Arc, time::Duration};

use api::Reconciled;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{Patch, PatchParams},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{Change, Summary, conditions};

/// How often a write is computed anew when someone else wrote in between, before the run fails.
const MAX_CONFLICTS: u32 = 8;
/// The pause before the first new try, doubled at each.
const CONFLICT_PAUSE: Duration = Duration::from_millis(5);

/// What the skeleton sets besides a kind's own change.
#[derive(Clone, Debug, Default, Hash)]
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
    let present = read_conditions(status);
    let mut list = present.clone();
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
    } else if !is_same_set(present, &list) {
        next.insert("conditions".into(), json!(list));
    }
    if let Some(observed) = closing.observed_generation
        && !list.is_empty()
    {
        next.insert("observedGeneration".into(), json!(observed));
    }
    if let Some(handled) = &closing.handled {
        next.insert("lastHandledReconcileAt".into(), json!(handled));
    }
    next
}

/// Returns true where these conditions are there already, in whatever order: another writer's
/// order is no reason to write.
fn is_same_set(mut present: Vec<Condition>, sorted: &[Condition]) -> bool {
    conditions::sort(&mut present);
    present == sorted
}

/// Reads the conditions of a status; one that does not parse is left out.
#[must_use]
pub fn read_conditions(status: &Map<String, Value>) -> Vec<Condition> {
    let list = status.get("conditions").and_then(Value::as_array);
    let parse = |c: &Value| Condition::deserialize(c).ok();
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
///
/// Conditions carry the generation of the copy that it was started from: a run says nothing about
/// a specification that it has not seen, even where it meets it at a conflict.
pub struct StatusWriter<K: Reconciled> {
    client: Client,
    field_owner: String,
    summary: Summary,
    generation: i64,
    current: Arc<K>,
    gone: bool,
}

impl<K: Reconciled> std::fmt::Debug for StatusWriter<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StatusWriter")
            .field("current", &self.current)
            .field("gone", &self.gone)
            .finish_non_exhaustive()
    }
}

impl<K: Reconciled> StatusWriter<K> {
    /// Starts from a copy of the object.
    pub fn new(
        client: Client,
        field_owner: &str,
        summary: Summary,
        current: impl Into<Arc<K>>,
    ) -> Self {
        let current = current.into();
        Self {
            client,
            field_owner: field_owner.to_owned(),
            summary,
            generation: current.meta().generation.unwrap_or(0),
            current,
            gone: false,
        }
    }

    // Made only where something is sent.
    fn api(&self) -> Api<K> {
        crate::client::api_of(self.client.clone(), &*self.current)
    }

    /// Returns the last copy read or written.
    pub fn current(&self) -> &K {
        &self.current
    }

    /// Returns the last copy read or written, to keep.
    pub fn shared(&self) -> Arc<K> {
        Arc::clone(&self.current)
    }

    /// Returns true where a write found no such object any more.
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    /// Returns the last copy's status as JSON.
    pub fn status(&self) -> Map<String, Value> {
        status_of(&*self.current)
    }

    /// Writes what a change makes of the status; nothing is sent where nothing changes.
    ///
    /// # Errors
    /// The API server's answer; an object that is gone is no error. A conflict is one only where
    /// others wrote in between each time.
    pub async fn write(&mut self, change: &Change, closing: &Closing) -> kube::Result<()> {
        for attempt in 0.. {
            let from = self.status();
            let now = Timestamp::now();
            let to = next(&from, change, closing, &self.summary, self.generation, now);
            let patch = difference(&from, &to);
            if patch.is_empty() || self.gone {
                return Ok(());
            }
            match self.send(patch).await {
                Err(kube::Error::Api(status)) if status.code == 409 && attempt < MAX_CONFLICTS => {
                    tokio::time::sleep(pause(attempt)).await;
                    self.read_anew().await?;
                }
                Err(kube::Error::Api(status)) if status.code == 404 => self.gone = true,
                result => return result,
            }
        }
        Ok(())
    }

    /// The version and the uid in the patch make it a conflict where someone else wrote, or where
    /// the object of that name is another one by now.
    async fn send(&mut self, patch: Map<String, Value>) -> kube::Result<()> {
        let (version, uid) = (self.current.resource_version(), self.current.uid());
        let body = json!({ "metadata": { "resourceVersion": version, "uid": uid },
            "status": patch });
        let params = PatchParams {
            field_manager: Some(self.field_owner.clone()),
            ..PatchParams::default()
        };
        let name = self.current.name_any();
        let written = self
            .api()
            .patch_status(&name, &params, &Patch::Merge(body))
            .await?;
        self.current = lean(written);
        Ok(())
    }

    async fn read_anew(&mut self) -> kube::Result<()> {
        match self.api().get_opt(&self.current.name_any()).await? {
            Some(fresh) if fresh.uid() == self.current.uid() => self.current = lean(fresh),
            Some(_) | None => self.gone = true,
        }
        Ok(())
    }

    /// Replaces the copy after a write of metadata.
    pub fn replace(&mut self, current: K) {
        self.current = lean(current);
    }
}

/// Shares a copy as watches bring them, without managed fields: they may be larger than all the rest, and a run that
/// waits holds its copy.
pub(crate) fn lean<K: Resource>(mut object: K) -> Arc<K> {
    object.meta_mut().managed_fields = None;
    Arc::new(object)
}

fn pause(attempt: u32) -> Duration {
    let longest = CONFLICT_PAUSE.saturating_mul(1 << attempt.min(8));
    longest.mul_f64(rand::random_range(0.5..=1.0))
}

/// Returns an object's status as JSON; empty where there is none.
pub fn status_of<K: Reconciled>(object: &K) -> Map<String, Value> {
    match object.status_value() {
        Ok(Value::Object(status)) => status,
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

    /// covers: SC-024
    #[test]
    fn generation_counts_as_observed_only_where_there_are_conditions() {
        let closing = Closing {
            observed_generation: Some(4),
            ..Closing::default()
        };
        let observed = |change: &Change| {
            let got = next(&Map::new(), change, &closing, &Summary::Explicit, 4, at(9));
            got.get("observedGeneration").cloned()
        };
        assert_eq!(observed(&Change::default()), None);
        let ready = Change::default().condition("Ready", "True", "Succeeded", "ok");
        assert_eq!(observed(&ready), Some(json!(4)));
    }

    #[test]
    fn order_of_another_writer_is_no_reason_to_write() {
        let condition = |type_: &str| {
            json!({ "type": type_, "status": "True", "reason": "X", "message": "",
                "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z" })
        };
        let status = object(json!({ "conditions": [condition("Other"), condition("Ready")] }));
        let change = Change::default().condition("Ready", "True", "X", "");
        let closing = Closing::default();
        let got = next(&status, &change, &closing, &Summary::Explicit, 1, at(9));
        assert!(difference(&status, &got).is_empty());
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
