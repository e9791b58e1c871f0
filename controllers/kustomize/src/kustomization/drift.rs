//! Changes that others make to applied objects: seen within a second, told once, taken back.

mod watch;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use api::{
    kustomize::{DriftDetectionMode, DriftStatus, DriftedObject, Kustomization, UnwatchedKind},
    meta::Time,
};
use cluster::Drift;
use cluster::drift::{DriftBook, Kind, MAX_FIELDS, Name, field_words};
use jiff::Timestamp;
use kube::{ResourceExt, runtime::reflector::ObjectRef};
use manifest::ObjectId;

pub(super) use watch::watch;

/// How long a verified apply is trusted without another dry run, whatever the watches show.
const TRUSTED: Duration = Duration::from_hours(1);
/// The most objects of a status, and of an event.
const MAX_OBJECTS: usize = 50;
const MAX_TOLD: usize = 20;

/// Returns what is done about drift; nothing where the annotation cannot be read.
pub(super) fn mode(object: &Kustomization) -> DriftDetectionMode {
    let setting = object.drift_detection().ok().flatten();
    setting.and_then(|s| s.mode).unwrap_or_default()
}

/// What is known of all Kustomizations and of the kinds that they own.
#[derive(Debug, Default)]
pub(crate) struct Book {
    units: Mutex<BTreeMap<Name, Unit>>,
    kinds: Mutex<Kinds>,
    fights: DriftBook,
}

#[derive(Debug, Default)]
struct Kinds {
    /// Those whose changes are seen.
    synced: BTreeSet<Kind>,
    /// Those that cannot be watched, and why.
    refused: BTreeMap<Kind, String>,
}

#[derive(Debug, Default)]
struct Unit {
    /// The digest that was verified last and when, unless something has changed since.
    verified: Option<(String, Instant)>,
    /// The digest whose objects were all healthy, unless anything about them has changed since.
    healthy: Option<String>,
    /// Something changed after the current run began.
    changed: bool,
    /// Something, were it a status, changed after the current run began to look at health.
    stirred: bool,
}

fn key(object: &Kustomization) -> Name {
    (object.namespace().unwrap_or_default(), object.name_any())
}

impl Book {
    fn units(&self) -> MutexGuard<'_, BTreeMap<Name, Unit>> {
        self.units.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kinds(&self) -> MutexGuard<'_, Kinds> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A run begins: what changes from here on counts against it.
    pub(super) fn begin(&self, object: &Kustomization) {
        let mut units = self.units();
        let unit = units.entry(key(object)).or_default();
        unit.changed = false;
        unit.verified = None;
        unit.healthy = None;
    }

    /// A run found or made everything as this digest says.
    pub(super) fn verified(&self, object: &Kustomization, digest: &str) {
        let mut units = self.units();
        let unit = units.entry(key(object)).or_default();
        let since = unit.verified.take().filter(|(own, _)| own == digest);
        let since = since.map_or_else(Instant::now, |(_, since)| since);
        unit.verified = (!unit.changed).then(|| (digest.to_owned(), since));
    }

    /// A run begins to look at the health of everything.
    pub(super) fn looks_at_health(&self, object: &Kustomization) {
        let mut units = self.units();
        units.entry(key(object)).or_default().stirred = false;
    }

    /// Everything was healthy as this run looked.
    pub(super) fn found_healthy(&self, object: &Kustomization, digest: &str) {
        let mut units = self.units();
        let unit = units.entry(key(object)).or_default();
        unit.healthy = (!unit.stirred).then(|| digest.to_owned());
    }

    /// Whether nothing changed since this digest was verified, as far as all kinds are watched.
    pub(super) fn is_untouched<'i>(
        &self,
        object: &Kustomization,
        digest: &str,
        ids: impl Iterator<Item = &'i ObjectId>,
    ) -> bool {
        let units = self.units();
        let verified = units.get(&key(object)).and_then(|it| it.verified.as_ref());
        let is_verified =
            verified.is_some_and(|(own, since)| own == digest && since.elapsed() < TRUSTED);
        drop(units);
        is_verified && self.are_watched(object, ids)
    }

    /// Whether nothing about any of the objects changed since they were healthy.
    pub(super) fn is_still_healthy<'i>(
        &self,
        object: &Kustomization,
        digest: &str,
        ids: impl Iterator<Item = &'i ObjectId>,
    ) -> bool {
        let units = self.units();
        let healthy = units.get(&key(object)).and_then(|it| it.healthy.as_ref());
        let is_healthy = healthy.is_some_and(|own| own == digest);
        drop(units);
        is_healthy && self.are_watched(object, ids)
    }

    /// Whether all changes of a unit's objects are seen. Those of remote clusters are not.
    fn are_watched<'i>(
        &self,
        object: &Kustomization,
        mut ids: impl Iterator<Item = &'i ObjectId>,
    ) -> bool {
        if object.spec.kube_config.is_some() {
            return false;
        }
        let kinds = self.kinds();
        ids.all(|id| kinds.synced.contains(&(id.group.clone(), id.kind.clone())))
    }

    /// The watch over a kind is complete. Returns false where it was before. What was verified while
    /// it was not may have changed unseen.
    fn synced(&self, kind: &Kind) -> bool {
        let mut kinds = self.kinds();
        kinds.refused.remove(kind);
        let is_new = kinds.synced.insert(kind.clone());
        drop(kinds);
        if is_new {
            for unit in self.units().values_mut() {
                (unit.verified, unit.healthy, unit.changed) = (None, None, true);
            }
        }
        is_new
    }

    /// A kind is not watched any more.
    fn unsynced(&self, kind: &Kind) {
        let mut kinds = self.kinds();
        kinds.synced.remove(kind);
        kinds.refused.remove(kind);
    }

    /// A kind cannot be watched.
    fn refused(&self, kind: &Kind, cause: String) {
        let mut kinds = self.kinds();
        kinds.synced.remove(kind);
        kinds.refused.insert(kind.clone(), cause);
    }

    /// Lists the kinds of a unit whose changes are not seen, and why.
    pub(super) fn unwatched<'i>(
        &self,
        object: &Kustomization,
        ids: impl Iterator<Item = &'i ObjectId>,
    ) -> Vec<UnwatchedKind> {
        let all: BTreeSet<_> = ids.map(|id| (id.group.clone(), id.kind.clone())).collect();
        let kinds = self.kinds();
        let reason = |kind: &Kind| match object.spec.kube_config {
            Some(_) => Some("objects of remote clusters are not watched".to_owned()),
            None => kinds.refused.get(kind).cloned(),
        };
        let unwatched = all.into_iter().filter_map(|kind| {
            let reason = reason(&kind)?;
            let (group, kind) = kind;
            Some(UnwatchedKind {
                group,
                kind,
                reason,
            })
        });
        unwatched.collect()
    }

    /// Something about an object changed, were it only its status.
    fn stirred(&self, unit: &Name) {
        if let Some(unit) = self.units().get_mut(unit) {
            unit.stirred = true;
            unit.healthy = None;
        }
    }

    /// Something changed that this run did not do. Returns whether to look at it now.
    fn changed(&self, name: &Name, id: &ObjectId) -> bool {
        let mut units = self.units();
        let unit = units.entry(name.clone()).or_default();
        unit.changed = true;
        unit.verified = None;
        drop(units);
        self.fights.looks_at(name, id)
    }

    /// Notes what was taken back. Returns what to tell of those who change the same field again and
    /// again: their objects are left to the interval from here on.
    pub(super) fn taken_back(&self, object: &Kustomization, drifts: &[Drift]) -> Option<String> {
        let interval = object.spec.interval.into();
        self.fights.taken_back(&key(object), interval, drifts)
    }

    /// Whether something changed after the last run that looked at everything began.
    pub(super) fn has_changed(&self, object: &Kustomization) -> bool {
        self.units()
            .get(&key(object))
            .is_some_and(|unit| unit.changed)
    }

    /// Forgets a Kustomization that is gone.
    pub(super) fn forget(&self, object: &ObjectRef<Kustomization>) {
        let namespace = object.namespace.clone().unwrap_or_default();
        let name = (namespace, object.name.clone());
        self.units().remove(&name);
        self.fights.forget(&name);
    }
}

/// What a run found changed: objects with fields, and objects that were gone.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) drifts: Vec<Drift>,
    pub(super) gone: Vec<ObjectId>,
}

impl Findings {
    pub(super) fn is_empty(&self) -> bool {
        self.drifts.is_empty() && self.gone.is_empty()
    }

    /// The text of the one event about them.
    pub(super) fn words(&self, name: &str) -> String {
        let mut lines = vec![format!("Drift detected in {name}")];
        for drift in self.drifts.iter().take(MAX_TOLD) {
            let by = drift
                .editors
                .first()
                .map(|editor| match editor.time.as_str() {
                    "" => format!(" (by {})", editor.manager),
                    time => format!(" (by {} at {time})", editor.manager),
                });
            lines.push(format!("{} changed{}", drift.id, by.unwrap_or_default()));
            let fields = drift.fields.iter().take(MAX_FIELDS);
            lines.extend(fields.map(|field| format!("  {}", field_words(field))));
        }
        let gone = self.gone.iter().take(MAX_TOLD);
        lines.extend(gone.map(|id| format!("{id} deleted")));
        let all = self.drifts.len() + self.gone.len();
        if all > 2 * MAX_TOLD {
            lines.push(format!("{all} objects in all"));
        }
        lines.join("\n")
    }

    /// What the status shows, with the time that a change was first seen kept from before.
    pub(super) fn status(&self, object: &Kustomization, now: Timestamp) -> DriftStatus {
        let before: BTreeMap<_, _> = object
            .status
            .iter()
            .filter_map(|s| s.drift.as_ref())
            .flat_map(|d| &d.objects)
            .map(|o| (o.id.clone(), o.since.clone()))
            .collect();
        let now = Time(runtime::conditions::whole_seconds(now));
        let entry = |id: &ObjectId, paths: Vec<String>, manager: Option<String>| {
            let id = id.to_inventory();
            let since = before.get(&id).cloned().unwrap_or_else(|| now.clone());
            DriftedObject {
                id,
                paths,
                manager,
                since,
            }
        };
        let changed = self.drifts.iter().map(|drift| {
            let paths = drift.fields.iter().take(MAX_FIELDS);
            let paths = paths.map(|field| field.path.clone()).collect();
            entry(&drift.id, paths, drift.manager().map(str::to_owned))
        });
        let gone = self.gone.iter().map(|id| entry(id, Vec::new(), None));
        DriftStatus {
            objects: changed.chain(gone).take(MAX_OBJECTS).collect(),
            ..DriftStatus::default()
        }
    }
}

/// Whether two statuses tell of the same changes.
pub(super) fn is_told(object: &Kustomization, status: &DriftStatus) -> bool {
    let told = object.status.as_ref().and_then(|s| s.drift.as_ref());
    let facts = |d: &DriftStatus| -> Vec<(String, Vec<String>)> {
        d.objects
            .iter()
            .map(|o| (o.id.clone(), o.paths.clone()))
            .collect()
    };
    told.map(facts).unwrap_or_default() == facts(status)
}

#[cfg(test)]
mod tests {
    use manifest::{diff::FieldChange, managed_fields::Editor};
    use serde_json::json;

    use super::*;

    fn id(name: &str) -> ObjectId {
        ObjectId {
            namespace: "ns".into(),
            name: name.into(),
            group: "apps".into(),
            kind: "Deployment".into(),
        }
    }

    fn drift(path: &str) -> Drift {
        Drift {
            id: id("web"),
            fields: vec![FieldChange {
                path: path.into(),
                old: Some(json!(5)),
                new: Some(json!(2)),
            }],
            editors: vec![Editor {
                manager: "kubectl-scale".into(),
                time: "2026-01-01T00:00:00Z".into(),
            }],
        }
    }

    fn object() -> Kustomization {
        let mut object = Kustomization::default();
        object.metadata.name = Some("app".into());
        object.metadata.namespace = Some("ns".into());
        object.spec.interval = "10m".parse().unwrap();
        object
    }

    #[test]
    fn event_names_object_field_values_and_who_did_it() {
        let findings = Findings {
            drifts: vec![drift("/spec/replicas"), drift("/spec/adminPassword")],
            gone: vec![id("gone")],
        };
        assert_eq!(
            findings.words("app"),
            "Drift detected in app\n\
             Deployment/ns/web changed (by kubectl-scale at 2026-01-01T00:00:00Z)\n  \
             /spec/replicas: 5 instead of 2\n\
             Deployment/ns/web changed (by kubectl-scale at 2026-01-01T00:00:00Z)\n  \
             /spec/adminPassword: *** instead of ***\n\
             Deployment/ns/gone deleted"
        );
    }

    #[test]
    fn third_time_in_a_row_is_left_to_the_interval() {
        let book = Book::default();
        let object = object();
        let drifts = [drift("/spec/replicas")];
        assert_eq!(book.taken_back(&object, &drifts), None);
        assert_eq!(book.taken_back(&object, &drifts), None);
        let told = book.taken_back(&object, &drifts).unwrap();
        assert!(
            told.starts_with("Drift detected in app\nkubectl-scale keeps changing"),
            "{told}"
        );
        assert_eq!(book.taken_back(&object, &drifts), None);
        assert!(!book.changed(&key(&object), &id("web")));
        assert!(book.changed(&key(&object), &id("other")));
    }

    #[test]
    fn run_is_spared_only_while_nothing_changed_and_everything_is_watched() {
        let book = Book::default();
        let object = object();
        let ids = [id("web")];
        book.begin(&object);
        book.verified(&object, "sha256:1");
        assert!(!book.is_untouched(&object, "sha256:1", ids.iter()));
        let kind = ("apps".into(), "Deployment".into());
        assert!(book.synced(&kind));
        assert!(!book.synced(&kind));
        // What happened before the watch was complete, nobody has seen.
        assert!(!book.is_untouched(&object, "sha256:1", ids.iter()));
        book.begin(&object);
        book.verified(&object, "sha256:1");
        assert!(book.is_untouched(&object, "sha256:1", ids.iter()));
        assert!(!book.is_untouched(&object, "sha256:2", ids.iter()));
        let mut remote = object.clone();
        remote.spec.kube_config = Some(api::meta::KubeConfigReference::default());
        assert!(!book.is_untouched(&remote, "sha256:1", ids.iter()));
        book.changed(&key(&object), &ids[0]);
        assert!(!book.is_untouched(&object, "sha256:1", ids.iter()));
        // A change during a run counts against it.
        book.begin(&object);
        book.changed(&key(&object), &ids[0]);
        book.verified(&object, "sha256:1");
        assert!(!book.is_untouched(&object, "sha256:1", ids.iter()));
    }

    #[test]
    fn health_is_trusted_until_anything_about_an_object_changes() {
        let book = Book::default();
        let object = object();
        let ids = [id("web")];
        book.synced(&("apps".into(), "Deployment".into()));
        let is_healthy = || book.is_still_healthy(&object, "sha256:1", ids.iter());
        book.looks_at_health(&object);
        book.found_healthy(&object, "sha256:1");
        assert!(is_healthy());
        book.stirred(&key(&object));
        assert!(!is_healthy());
        // A change while it was looked counts.
        book.looks_at_health(&object);
        book.stirred(&key(&object));
        book.found_healthy(&object, "sha256:1");
        assert!(!is_healthy());
    }

    #[test]
    fn kinds_that_cannot_be_watched_are_named() {
        let book = Book::default();
        let mut object = object();
        let ids = [id("web"), id("other")];
        let unwatched = |object: &Kustomization| book.unwatched(object, ids.iter());
        assert_eq!(unwatched(&object), []);
        let kind = ("apps".to_owned(), "Deployment".to_owned());
        book.refused(&kind, "forbidden".into());
        assert_eq!(unwatched(&object)[0].reason, "forbidden");
        book.synced(&kind);
        assert_eq!(unwatched(&object), []);
        object.spec.kube_config = Some(api::meta::KubeConfigReference::default());
        assert_eq!(unwatched(&object).len(), 1);
    }
}
