//! What a run of a Kustomization says of itself. Pure.

use std::time::Duration;

use api::{
    kustomize::{DriftStatus, HistoryEntry, Kustomization},
    meta::{Inventory as Stored, InventoryEntry, Time},
};
use jiff::Timestamp;
use manifest::{Inventory, ObjectId};
use runtime::{Change, Failure, Moment, Note, Report};

/// The most entries of `status.history`.
const MAX_HISTORY: usize = 5;
/// Prefix of the metadata of events.
const GROUP: &str = "kustomize.toolkit.fluxcd.io";

/// A revision of the source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revision {
    /// As the source names it.
    pub name: String,
    /// The revision it was made from elsewhere.
    pub origin: Option<String>,
}

impl Revision {
    /// Adds the revision to an event.
    #[must_use]
    pub fn annotate(&self, note: Note) -> Note {
        let note = note.with(&format!("{GROUP}/revision"), &self.name);
        match &self.origin {
            Some(origin) => note.with(&format!("{GROUP}/originRevision"), origin),
            None => note,
        }
    }
}

/// Makes a failure of a revision: retried, with an event that names it.
#[must_use]
pub(super) fn failed(revision: &Revision, reason: &str, message: impl Into<String>) -> Failure {
    let message = message.into();
    let note = revision.annotate(Note::error(reason, message.clone()));
    let attempt = Change::default();
    let attempt = match reason {
        // The artifact could not be had: the revision was not attempted.
        "ArtifactFailed" => attempt,
        _ => attempt.set("lastAttemptedRevision", &revision.name),
    };
    Failure::retry(reason, message).note(note).with(attempt)
}

/// What came of a health check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checked {
    /// There was none.
    #[default]
    Nothing,
    /// Nothing has changed since everything was healthy.
    StillHealthy,
    /// Everything is, after so long.
    Healthy(Duration),
}

/// What became of the objects of a plan.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The revision that was applied.
    pub revision: Revision,
    /// The digest of the YAML that was built.
    pub digest: String,
    /// What is owned now.
    pub inventory: Inventory,
    /// What came of the health check.
    pub health: Checked,
    /// What others changed, where that is looked for.
    pub drift: Option<DriftStatus>,
    /// Whether nothing was asked for, and nothing had changed.
    pub rested: bool,
}

/// The status of what is owned.
#[must_use]
pub(super) fn stored(inventory: &Inventory) -> Stored {
    let entry = |(id, v)| InventoryEntry { id, v };
    Stored {
        entries: inventory.to_stored().map(entry).collect(),
    }
}

/// Reads what is owned from a status.
///
/// # Errors
/// An entry that cannot be read: nothing may be written then, since what it names would be forgotten.
pub(super) fn owned(object: &Kustomization) -> Result<Inventory, String> {
    let entries = entries(object);
    Inventory::from_stored(entries.iter().map(|e| (e.id.as_str(), e.v.as_str())))
        .map_err(|error| runtime::failure::chain(&error))
}

/// Whether it owns an object.
pub(super) fn owns(object: &Kustomization, id: &ObjectId) -> bool {
    Inventory::names(entries(object).iter().map(|e| e.id.as_str()), id)
}

fn entries(object: &Kustomization) -> &[InventoryEntry] {
    let stored = object.status.as_ref().and_then(|s| s.inventory.as_ref());
    stored.map(|s| s.entries.as_slice()).unwrap_or_default()
}

/// Reports a run that succeeded.
#[must_use]
pub(super) fn succeeded(object: &Kustomization, outcome: &Outcome, moment: Moment) -> Report {
    let Outcome {
        revision,
        digest,
        inventory,
        health,
        drift,
        rested,
    } = outcome;
    let entry = attempt(
        revision,
        digest,
        "ReconciliationSucceeded",
        moment.now,
        moment.elapsed(),
    );
    let mut change = Change::default()
        .set("inventory", stored(inventory))
        .set("lastAppliedRevision", &revision.name)
        .set("lastAttemptedRevision", &revision.name)
        .set("history", history(object, entry))
        .unset("failures");
    change = match drift
        .as_ref()
        .filter(|drift| **drift != DriftStatus::default())
    {
        Some(drift) => change.set("drift", drift),
        None => change.unset("drift"),
    };
    change = match &revision.origin {
        Some(origin) => change.set("lastAppliedOriginRevision", origin),
        None => change.unset("lastAppliedOriginRevision"),
    };
    change = match health {
        Checked::Healthy(took) => healthy(change, *took),
        Checked::StillHealthy => change,
        Checked::Nothing => change.remove("Healthy"),
    };
    let applied = format!("Applied revision: {}", revision.name);
    change = change.condition("Ready", "True", "ReconciliationSucceeded", applied);
    let took = api::meta::Duration::from(moment.elapsed());
    let words = format!(
        "Reconciliation finished in {took}, next run in {}",
        object.spec.interval
    );
    let finished = revision
        .annotate(Note::info("ReconciliationSucceeded", words.clone()))
        .with(&format!("{GROUP}/commit_status"), "update")
        .repeated(*rested);
    tracing::info!(revision = %revision.name, "{words}");
    Report {
        change,
        notes: vec![finished],
        requeue: None,
    }
}

/// Says that what was applied is healthy.
#[must_use]
pub(super) fn healthy(change: Change, took: Duration) -> Change {
    let took = api::meta::Duration::from(took);
    let words = format!("Health check passed in {took}");
    change.condition("Healthy", "True", "Succeeded", words)
}

/// Makes the history entry of one run.
#[must_use]
pub(super) fn attempt(
    revision: &Revision,
    digest: &str,
    reason: &str,
    now: Timestamp,
    took: Duration,
) -> HistoryEntry {
    let mut metadata =
        std::collections::BTreeMap::from([("revision".into(), revision.name.clone())]);
    if let Some(origin) = &revision.origin {
        metadata.insert("originRevision".into(), origin.clone());
    }
    let now = Time(runtime::conditions::whole_seconds(now));
    HistoryEntry {
        digest: digest.to_owned(),
        first_reconciled: now.clone(),
        last_reconciled: now,
        last_reconciled_duration: took.into(),
        last_reconciled_status: reason.to_owned(),
        total_reconciliations: 1,
        metadata,
    }
}

/// Puts a run into the history: the same content with the same result only counts up.
#[must_use]
pub(super) fn history(object: &Kustomization, run: HistoryEntry) -> Vec<HistoryEntry> {
    let mut list = object
        .status
        .as_ref()
        .map(|s| s.history.clone())
        .unwrap_or_default();
    let same = |e: &HistoryEntry| {
        e.digest == run.digest && e.last_reconciled_status == run.last_reconciled_status
    };
    let entry = match list.iter().position(same) {
        Some(index) => {
            let old = list.remove(index);
            HistoryEntry {
                first_reconciled: old.first_reconciled,
                total_reconciliations: old.total_reconciliations.saturating_add(1),
                ..run
            }
        }
        None => run,
    };
    list.insert(0, entry);
    list.truncate(MAX_HISTORY);
    list
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn object(history: &[HistoryEntry]) -> Kustomization {
        serde_json::from_value(json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": { "name": "app", "namespace": "ns", "generation": 1 },
            "spec": { "interval": "10m", "prune": true,
                "sourceRef": { "kind": "GitRepository", "name": "app" } },
            "status": { "history": history },
        }))
        .unwrap()
    }

    fn run(digest: &str, reason: &str, second: i64) -> HistoryEntry {
        let revision = Revision {
            name: "main@sha1:abc".into(),
            origin: None,
        };
        attempt(
            &revision,
            digest,
            reason,
            at(second),
            Duration::from_millis(20),
        )
    }

    #[test]
    fn same_content_with_the_same_result_counts_up_and_moves_to_the_front() {
        let old = [
            run("b", "ReconciliationSucceeded", 5),
            run("a", "ReconciliationSucceeded", 1),
        ];
        let list = history(&object(&old), run("a", "ReconciliationSucceeded", 9));
        let seen: Vec<_> = list
            .iter()
            .map(|e| (e.digest.as_str(), e.total_reconciliations))
            .collect();
        assert_eq!(seen, [("a", 2), ("b", 1)]);
        assert_eq!(list[0].first_reconciled.0, at(1));
        assert_eq!(list[0].last_reconciled.0, at(9));
    }

    #[test]
    fn history_keeps_five() {
        let old: Vec<_> = (0..5)
            .map(|n| run(&n.to_string(), "ReconciliationSucceeded", n))
            .collect();
        let list = history(&object(&old), run("new", "HealthCheckFailed", 9));
        assert_eq!(list.len(), 5);
        assert_eq!(list[0].digest, "new");
    }

    #[test]
    fn success_names_the_revision_and_the_next_run() {
        let outcome = Outcome {
            revision: Revision {
                name: "main@sha1:abc".into(),
                origin: None,
            },
            digest: "sha256:1".into(),
            inventory: Inventory::default(),
            health: Checked::Nothing,
            drift: None,
            rested: false,
        };
        let moment = Moment {
            started: at(1),
            now: at(2),
        };
        let report = succeeded(&object(&[]), &outcome, moment);
        assert_eq!(
            report.notes[0].message,
            "Reconciliation finished in 1s, next run in 10m0s"
        );
        assert_eq!(
            report.notes[0].metadata["kustomize.toolkit.fluxcd.io/commit_status"],
            "update"
        );
        assert_eq!(
            report.change.status.get("lastAppliedRevision").unwrap(),
            "main@sha1:abc"
        );
    }
}
