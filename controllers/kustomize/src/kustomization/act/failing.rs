//! Goes on without the objects that cannot be applied, and tries those again alone.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use api::kustomize::{FailedObject, Kustomization};
use cluster::ApplyPlan;
use kube::{ResourceExt, runtime::reflector::ObjectRef};
use manifest::{
    ChangeSet, Inventory, ObjectId,
    change_set::{Action, Change as Changed},
};
use runtime::{Change, Class, Failure};

use super::{
    super::report::{self, Checked},
    Run,
    write::Written,
};

/// The most objects of `status.failures`.
const MAX_LISTED: usize = 50;
/// The most objects that a message names.
const MAX_TOLD: usize = 20;

/// What is known of Kustomizations some of whose objects fail, by namespace and name.
#[derive(Debug, Default)]
pub(crate) struct Alone(Mutex<HashMap<(String, String), Tried>>);

/// The last try of all objects, and what came of them since.
#[derive(Debug)]
struct Tried {
    what: Attempt,
    /// When all were tried.
    at: Instant,
    changes: ChangeSet,
    failed: BTreeSet<ObjectId>,
}

/// What was tried: whenever this changes, all objects are tried again.
#[derive(Debug, PartialEq, Eq)]
struct Attempt {
    digest: String,
    generation: Option<i64>,
    requested: Option<String>,
}

impl Attempt {
    fn of(object: &Kustomization, digest: &str) -> Self {
        let requested = object.annotations().get(api::meta::RECONCILE_REQUEST);
        Self {
            digest: digest.to_owned(),
            generation: object.metadata.generation,
            requested: requested.cloned(),
        }
    }
}

fn key(object: &Kustomization) -> (String, String) {
    (object.namespace().unwrap_or_default(), object.name_any())
}

impl Alone {
    fn units(&self) -> MutexGuard<'_, HashMap<(String, String), Tried>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the plan for the objects that failed, where only those are to be tried now: the same
    /// was tried before, and less than an interval ago.
    pub(super) fn part(
        &self,
        object: &Kustomization,
        digest: &str,
        plan: &ApplyPlan,
    ) -> Option<ApplyPlan> {
        let units = self.units();
        let tried = units.get(&key(object))?;
        let interval: Duration = object.spec.interval.into();
        let is_fresh = tried.at.elapsed() < interval && tried.what == Attempt::of(object, digest);
        is_fresh.then(|| plan.only(|id| tried.failed.contains(id)))
    }

    /// Adds to what was just written of some objects the others, as they were left.
    pub(super) fn complete(&self, object: &Kustomization, written: &mut Written) {
        if let Some(tried) = self.units().get(&key(object)) {
            written.changes = joined(&tried.changes, &written.changes);
        }
    }

    /// Remembers which objects failed. `all`: all were tried.
    pub(super) fn record(
        &self,
        object: &Kustomization,
        digest: &str,
        written: &Written,
        all: bool,
    ) {
        let mut units = self.units();
        if written.failed.is_empty() {
            units.remove(&key(object));
            return;
        }
        let before = units.get(&key(object)).filter(|_| !all);
        let tried = Tried {
            what: Attempt::of(object, digest),
            at: before.map_or_else(Instant::now, |tried| tried.at),
            changes: written.changes.clone(),
            failed: written.failed.iter().map(|it| it.id.clone()).collect(),
        };
        units.insert(key(object), tried);
    }

    /// Forgets a Kustomization that is gone.
    pub(in crate::kustomization) fn forget(&self, object: &ObjectRef<Kustomization>) {
        let namespace = object.namespace.clone().unwrap_or_default();
        self.units().remove(&(namespace, object.name.clone()));
    }
}

/// What was done before counts as it stands; what was done now comes after it.
fn joined(before: &ChangeSet, now: &ChangeSet) -> ChangeSet {
    let fresh: BTreeSet<_> = now.entries().iter().map(|change| &change.id).collect();
    let mut all = ChangeSet::default();
    for change in before.entries().iter().filter(|it| !fresh.contains(&it.id)) {
        let action = match change.action {
            Action::Created | Action::Configured => Action::Unchanged,
            action => action,
        };
        all.push(Changed {
            action,
            ..change.clone()
        });
    }
    all.append(now.clone());
    all
}

/// Fails a run in which some objects could not be applied: lists them with their reasons, and says
/// how the others are.
pub(super) fn failure(
    run: &Run<'_>,
    written: &Written,
    inventory: &Inventory,
    health: Option<Result<Checked, Failure>>,
) -> Failure {
    let mut lines: Vec<_> = written
        .failed
        .iter()
        .take(MAX_TOLD)
        .map(|it| it.message.clone())
        .collect();
    if let Some(more) = written
        .failed
        .len()
        .checked_sub(MAX_TOLD)
        .filter(|n| *n > 0)
    {
        lines.push(format!("and {more} more objects failed"));
    }
    let modified = written.changes.modified();
    if !modified.is_empty() {
        lines.push(modified.to_string());
    }
    let others = match health {
        Some(Ok(Checked::Healthy(took))) => report::healthy(Change::default(), took),
        None | Some(Ok(_)) => Change::default(),
        Some(Err(failure)) if failure.class == Class::Superseded => return failure,
        Some(Err(failure)) => {
            lines.push(failure.message);
            failure.change
        }
    };
    let owned = Change::default()
        .set("inventory", report::stored(inventory))
        .set("failures", listed(written));
    let mut failure = run.failed("ReconciliationFailed", lines.join("\n"));
    // The history is that of this failure, whatever else failed.
    failure.change = others.and(failure.change);
    failure.with(owned)
}

fn listed(written: &Written) -> Vec<FailedObject> {
    let first = written.failed.iter().take(MAX_LISTED);
    let listed = first.map(|failed| FailedObject {
        id: failed.id.to_inventory(),
        message: failed.message.clone(),
    });
    listed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(list: &[(&str, Action)]) -> ChangeSet {
        let mut changes = ChangeSet::default();
        for (name, action) in list {
            let id = ObjectId {
                namespace: "ns".into(),
                name: (*name).into(),
                group: String::new(),
                kind: "ConfigMap".into(),
            };
            let (version, action) = ("v1".into(), *action);
            changes.push(Changed {
                id,
                version,
                action,
            });
        }
        changes
    }

    #[test]
    fn what_was_applied_before_counts_as_it_stands() {
        let before = changes(&[
            ("a", Action::Created),
            ("b", Action::Skipped),
            ("c", Action::Configured),
        ]);
        let now = changes(&[("c", Action::Configured), ("d", Action::Created)]);
        let expected = changes(&[
            ("a", Action::Unchanged),
            ("b", Action::Skipped),
            ("c", Action::Configured),
            ("d", Action::Created),
        ]);
        assert_eq!(joined(&before, &now), expected);
    }

    #[test]
    fn another_request_generation_or_build_tries_everything_again() {
        let mut object = Kustomization::default();
        object.metadata.generation = Some(1);
        let first = Attempt::of(&object, "sha256:1");
        assert_eq!(first, Attempt::of(&object, "sha256:1"));
        assert_ne!(first, Attempt::of(&object, "sha256:2"));
        let request = (api::meta::RECONCILE_REQUEST.to_owned(), "now".to_owned());
        object.metadata.annotations = Some([request].into());
        assert_ne!(first, Attempt::of(&object, "sha256:1"));
        object.metadata.annotations = None;
        object.metadata.generation = Some(2);
        assert_ne!(first, Attempt::of(&object, "sha256:1"));
    }
}
