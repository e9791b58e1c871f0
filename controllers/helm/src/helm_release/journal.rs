//! What a run makes of the status, kept here until it is written.

use api::{
    helm::{HelmRelease, HelmReleaseStatus},
    meta::Condition,
};
use jiff::Timestamp;
use runtime::{
    Change, Failure, Progress,
    conditions::{self, PROGRESSING, PROGRESSING_WITH_RETRY, READY, RECONCILING, STALLED},
    report::ConditionChange,
};
use serde_json::{Map, Value};

use super::spec;

pub(super) const RELEASED: &str = "Released";
pub(super) const TESTED: &str = "TestSuccess";
pub(super) const REMEDIATED: &str = "Remediated";
pub(super) const DRIFTED: &str = "Drifted";

/// Fields of the status that the skeleton writes.
const NOT_OURS: [&str; 3] = ["conditions", "observedGeneration", "lastHandledReconcileAt"];

/// The status as a run has changed it so far.
#[derive(Clone, Debug)]
pub(super) struct Journal {
    /// The status; its conditions are changed through the journal only.
    pub status: HelmReleaseStatus,
    generation: i64,
    written: Map<String, Value>,
    changes: Vec<ConditionChange>,
}

impl Journal {
    /// Starts with the status as it is.
    pub(super) fn new(object: &HelmRelease) -> Self {
        let status = object.status.clone().unwrap_or_default();
        Self {
            written: fields(&status),
            status,
            generation: object.metadata.generation.unwrap_or(0),
            changes: Vec::new(),
        }
    }

    /// Sets a condition.
    pub(super) fn set(
        &mut self,
        type_: &str,
        status: &'static str,
        reason: &str,
        message: impl Into<String>,
    ) {
        self.change(ConditionChange::Set {
            type_: type_.to_owned(),
            status,
            reason: reason.to_owned(),
            message: message.into(),
        });
    }

    /// Removes a condition.
    pub(super) fn remove(&mut self, type_: &str) {
        if self.find(type_).is_some() {
            self.change(ConditionChange::Remove(type_.to_owned()));
        }
    }

    fn change(&mut self, change: ConditionChange) {
        let list = &mut self.status.conditions;
        conditions::apply(list, &change, self.generation, Timestamp::now());
        self.changes.push(change);
    }

    /// Returns a condition.
    pub(super) fn find(&self, type_: &str) -> Option<&Condition> {
        conditions::find(&self.status.conditions, type_)
    }

    /// Whether a condition is True.
    pub(super) fn is_true(&self, type_: &str) -> bool {
        conditions::is_true(&self.status.conditions, type_)
    }

    /// Sets `instead` to True in place of a condition that is True; a condition that is not stays as it is.
    pub(super) fn replace(
        &mut self,
        old: &str,
        instead: &str,
        reason: &str,
        message: impl Into<String>,
    ) {
        if self.is_true(old) {
            self.remove(old);
            self.set(instead, "True", reason, message);
        }
    }

    /// Returns the message of a condition.
    pub(super) fn message(&self, type_: &str) -> String {
        self.find(type_)
            .map(|c| c.message.clone())
            .unwrap_or_default()
    }

    /// Says what goes on.
    pub(super) fn progressing(&mut self, message: impl Into<String>) {
        self.set(RECONCILING, "True", PROGRESSING, message);
    }

    /// Says that the run is tried again.
    pub(super) fn retrying(&mut self, message: impl Into<String>) {
        self.set(RECONCILING, "True", PROGRESSING_WITH_RETRY, message);
    }

    /// Takes a failure of these reasons off Ready: what they stand for went well.
    pub(super) fn passed(&mut self, reasons: &[&str]) {
        let is_one = |c: &Condition| reasons.contains(&c.reason.as_str());
        if self.find(READY).is_some_and(is_one) {
            self.set(READY, "Unknown", PROGRESSING, "reconciliation in progress");
        }
    }

    /// Takes everything that was changed and not written yet.
    pub(super) fn take(&mut self) -> Change {
        let now = fields(&self.status);
        let mut change = Change::default();
        for (key, value) in &now {
            if self.written.get(key) != Some(value) {
                change = change.set(key, value);
            }
        }
        for key in self.written.keys().filter(|k| !now.contains_key(*k)) {
            change = change.unset(key);
        }
        self.written = now;
        change.conditions = std::mem::take(&mut self.changes);
        change
    }

    /// Writes what was changed.
    ///
    /// # Errors
    /// The status cannot be written; the run must not go on.
    pub(super) async fn write(&mut self, progress: &Progress) -> Result<(), Failure> {
        let change = self.take();
        if change.is_empty() {
            return Ok(());
        }
        progress.checkpoint(change).await
    }

    /// Ends a run with a failure whose conditions are those of the journal.
    pub(super) fn end(&mut self, failure: Failure) -> Failure {
        let change = self.take();
        failure.with(change).verbatim()
    }

    /// Derives Ready from what was done last: an action undone, tests, the release itself.
    pub(super) fn summarise(&mut self, object: &HelmRelease) {
        if !spec::tests(object) {
            self.remove(TESTED);
        }
        let counts = spec::tests(object) && !spec::ignores_tests(object);
        let ranked = [Some(REMEDIATED), counts.then_some(TESTED), Some(RELEASED)];
        let best = ranked
            .into_iter()
            .flatten()
            .filter_map(|type_| self.find(type_))
            // Of those of the newest generation, the first.
            .rev()
            .max_by_key(|c| c.observed_generation)
            .cloned();
        let Some(best) = best else { return };
        let status = match (best.type_.as_str(), best.status.as_str()) {
            (REMEDIATED, _) | (_, "False") => "False",
            (_, "True") => "True",
            _ => "Unknown",
        };
        if status == "True" {
            self.remove(STALLED);
        }
        self.set(READY, status, &best.reason, best.message);
    }
}

/// Returns the fields of a status that this kind writes itself.
fn fields(status: &HelmReleaseStatus) -> Map<String, Value> {
    let Ok(Value::Object(mut map)) = serde_json::to_value(status) else {
        return Map::new();
    };
    map.retain(|key, _| !NOT_OURS.contains(&key.as_str()));
    map
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(test: bool, conditions: &[(&str, &str, i64)]) -> HelmRelease {
        let list: Vec<_> = conditions
            .iter()
            .map(|(type_, status, generation)| {
                json!({ "type": type_, "status": status, "reason": format!("{type_}Reason"),
                    "message": "m", "observedGeneration": generation,
                    "lastTransitionTime": "2026-01-01T00:00:00Z" })
            })
            .collect();
        serde_json::from_value(json!({ "metadata": { "name": "a", "generation": 2 },
            "spec": { "interval": "1m", "test": { "enable": test } },
            "status": { "conditions": list } }))
        .unwrap()
    }

    fn ready(object: &HelmRelease) -> (String, String) {
        let mut journal = Journal::new(object);
        journal.summarise(object);
        let ready = journal.find(READY).unwrap();
        (ready.status.clone(), ready.reason.clone())
    }

    /// covers: HC-095, HC-097, HC-098, HC-099
    #[test]
    fn ready_is_what_was_done_last() {
        let of = |test, list: &[_]| ready(&object(test, list));
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let all = [
            ("Released", "True", 2),
            ("TestSuccess", "True", 2),
            ("Remediated", "True", 2),
        ];
        assert_eq!(of(true, &all), pair("False", "RemediatedReason"));
        assert_eq!(of(true, &all[..2]), pair("True", "TestSuccessReason"));
        assert_eq!(of(false, &all[..2]), pair("True", "ReleasedReason"));
        let stale = [
            ("Released", "True", 2),
            ("Remediated", "True", 1),
            ("Ready", "False", 1),
        ];
        assert_eq!(of(false, &stale), pair("True", "ReleasedReason"));
    }

    /// covers: HC-096, HC-104
    #[test]
    fn tests_that_are_awaited_make_ready_unknown_and_those_not_wanted_are_forgotten() {
        let list = [("Released", "True", 2), ("TestSuccess", "Unknown", 2)];
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let ready = |test| ready(&object(test, &list));
        assert_eq!(ready(true), pair("Unknown", "TestSuccessReason"));
        assert_eq!(ready(false), pair("True", "ReleasedReason"));
        let mut journal = Journal::new(&object(false, &list));
        journal.summarise(&object(false, &list));
        assert!(journal.find(TESTED).is_none());
    }

    /// covers: HC-070
    #[test]
    fn condition_takes_the_place_of_one_that_is_true() {
        let replaced = |list: &[_]| {
            let mut journal = Journal::new(&object(false, list));
            journal.replace(REMEDIATED, RELEASED, "UpgradeSucceeded", "m");
            let reason = |type_| journal.find(type_).map(|c| c.reason.clone());
            (reason(REMEDIATED), reason(RELEASED))
        };
        let some = |text: &str| Some(text.to_owned());
        let both = [("Remediated", "True", 2), ("Released", "False", 2)];
        assert_eq!(replaced(&both), (None, some("UpgradeSucceeded")));
        assert_eq!(replaced(&both[..1]), (None, some("UpgradeSucceeded")));
        assert_eq!(replaced(&both[1..]), (None, some("ReleasedReason")));
        let untrue = [("Remediated", "False", 2)];
        assert_eq!(replaced(&untrue), (some("RemediatedReason"), None));
        assert_eq!(replaced(&[]), (None, None));
    }

    #[test]
    fn only_what_changed_is_written() {
        let mut journal = Journal::new(&object(false, &[]));
        journal.status.failures = Some(1);
        let change = journal.take();
        assert_eq!(change.status.get("failures"), Some(&json!(1)));
        assert!(journal.take().is_empty());
        journal.status.failures = None;
        assert_eq!(journal.take().status.get("failures"), Some(&Value::Null));
    }
}
