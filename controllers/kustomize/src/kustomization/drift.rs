//! Changes that others make to applied objects: seen within a second, told once, taken back.

mod follow;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use api::{
    kustomize::{DriftDetectionMode, DriftStatus, DriftedObject, Kustomization},
    meta::Time,
};
use cluster::Drift;
use jiff::Timestamp;
use kube::{ResourceExt, runtime::reflector::ObjectRef};
use manifest::{ObjectId, diff::FieldChange};

pub(super) use follow::watch;

/// How often one manager may change the same field back before it is left alone until the interval.
const FIGHTS: usize = 3;
/// Within how long.
const FIGHT_WINDOW: Duration = Duration::from_mins(5);
/// The most objects of a status, and of an event.
const MAX_OBJECTS: usize = 50;
const MAX_TOLD: usize = 20;
/// The most fields of one object.
const MAX_FIELDS: usize = 20;
/// The longest value in an event, in characters.
const MAX_VALUE: usize = 100;

/// Returns what is done about drift; nothing where the annotation cannot be read.
pub(super) fn mode(object: &Kustomization) -> DriftDetectionMode {
    let setting = object.drift_detection().ok().flatten();
    setting.and_then(|s| s.mode).unwrap_or_default()
}

/// What is known of all Kustomizations that look for drift.
#[derive(Debug, Default)]
pub(crate) struct Book {
    units: Mutex<HashMap<(String, String), Unit>>,
    /// The kinds whose changes are seen.
    synced: Mutex<BTreeSet<(String, String)>>,
}

#[derive(Debug, Default)]
struct Unit {
    /// The digest that was verified last, unless something has changed since.
    verified: Option<String>,
    /// Something changed after the current run began.
    changed: bool,
    taken_back: Vec<(ObjectId, String, String, Instant)>,
    /// Objects that are left alone, and until when.
    muted: HashMap<ObjectId, Instant>,
}

fn key(object: &Kustomization) -> (String, String) {
    (object.namespace().unwrap_or_default(), object.name_any())
}

impl Book {
    fn units(&self) -> MutexGuard<'_, HashMap<(String, String), Unit>> {
        self.units.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn synced(&self) -> MutexGuard<'_, BTreeSet<(String, String)>> {
        self.synced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A run begins: what changes from here on counts against it.
    pub(super) fn begin(&self, object: &Kustomization) {
        let mut units = self.units();
        let unit = units.entry(key(object)).or_default();
        unit.changed = false;
        unit.verified = None;
    }

    /// A run found or made everything as this digest says.
    pub(super) fn verified(&self, object: &Kustomization, digest: &str) {
        let mut units = self.units();
        let unit = units.entry(key(object)).or_default();
        unit.verified = (!unit.changed).then(|| digest.to_owned());
    }

    /// Whether nothing changed since this digest was verified, as far as all kinds are watched.
    pub(super) fn is_untouched<'i>(
        &self,
        object: &Kustomization,
        digest: &str,
        mut ids: impl Iterator<Item = &'i ObjectId>,
    ) -> bool {
        let is_verified = self
            .units()
            .get(&key(object))
            .is_some_and(|unit| unit.verified.as_deref() == Some(digest));
        let synced = self.synced();
        is_verified && ids.all(|id| synced.contains(&(id.group.clone(), id.kind.clone())))
    }

    /// Something changed that this run did not do. Returns whether to look at it now.
    fn changed(&self, unit: &(String, String), id: &ObjectId) -> bool {
        let mut units = self.units();
        let unit = units.entry(unit.clone()).or_default();
        unit.changed = true;
        unit.verified = None;
        let now = Instant::now();
        unit.muted.retain(|_, until| *until > now);
        !unit.muted.contains_key(id)
    }

    /// Notes what was taken back. Returns what to tell of those who change the same field again and
    /// again: their objects are left to the interval from here on.
    pub(super) fn taken_back(&self, object: &Kustomization, drifts: &[Drift]) -> Option<String> {
        let mut units = self.units();
        let unit = units.entry(key(object)).or_default();
        let now = Instant::now();
        let is_recent = |at: &Instant| now.duration_since(*at) < FIGHT_WINDOW;
        unit.taken_back.retain(|(.., at)| is_recent(at));
        let interval: Duration = object.spec.interval.into();
        let mut told = Vec::new();
        for drift in drifts {
            let manager = manager(drift).unwrap_or_default();
            for field in drift.fields.iter().take(MAX_FIELDS) {
                let own = (drift.id.clone(), field.path.clone(), manager.clone(), now);
                let is_same = |other: &&(ObjectId, String, String, Instant)| {
                    other.0 == own.0 && other.1 == own.1 && other.2 == own.2
                };
                let before = unit.taken_back.iter().filter(is_same).count();
                if before + 1 >= FIGHTS && !unit.muted.contains_key(&drift.id) {
                    unit.muted.insert(drift.id.clone(), now + interval);
                    told.push(format!(
                        "{} keeps changing {} of {}: it is taken back at the interval only",
                        if manager.is_empty() {
                            "somebody"
                        } else {
                            &manager
                        },
                        field.path,
                        drift.id
                    ));
                }
                unit.taken_back.push(own);
            }
        }
        (!told.is_empty())
            .then(|| format!("Drift detected in {}\n{}", key(object).1, told.join("\n")))
    }

    /// Forgets a Kustomization that is gone.
    pub(super) fn forget(&self, object: &ObjectRef<Kustomization>) {
        let namespace = object.namespace.clone().unwrap_or_default();
        self.units().remove(&(namespace, object.name.clone()));
    }
}

fn manager(drift: &Drift) -> Option<String> {
    drift.editors.first().map(|editor| editor.manager.clone())
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
            let id = stored_id(id);
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
            entry(&drift.id, paths, manager(drift))
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

fn stored_id(id: &ObjectId) -> String {
    let entry = manifest::inventory::Entry {
        id: id.clone(),
        version: String::new(),
    };
    let stored = manifest::Inventory::new([entry]);
    let first = stored.to_stored().next();
    first.map(|(id, _)| id).unwrap_or_default()
}

/// One field: where, what it was, what it is to be. Values of Secrets are masked already.
fn field_words(field: &FieldChange) -> String {
    let value = |value: &Option<serde_json::Value>| match value {
        None => "nothing".to_owned(),
        Some(_) if is_sensitive(&field.path) => "***".to_owned(),
        Some(value) => {
            let text = value.to_string();
            match text.char_indices().nth(MAX_VALUE) {
                Some((at, _)) => format!("{}…", &text[..at]),
                None => text,
            }
        }
    };
    format!(
        "{}: {} instead of {}",
        field.path,
        value(&field.old),
        value(&field.new)
    )
}

/// Whether a field's name says that its value is for few eyes.
fn is_sensitive(path: &str) -> bool {
    let name = path.to_ascii_lowercase();
    [
        "password",
        "passwd",
        "secret",
        "token",
        "apikey",
        "api_key",
        "api-key",
        "credential",
        "private",
    ]
    .iter()
    .any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use manifest::managed_fields::Editor;
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
        book.synced().insert(("apps".into(), "Deployment".into()));
        assert!(book.is_untouched(&object, "sha256:1", ids.iter()));
        assert!(!book.is_untouched(&object, "sha256:2", ids.iter()));
        book.changed(&key(&object), &ids[0]);
        assert!(!book.is_untouched(&object, "sha256:1", ids.iter()));
        // A change during a run counts against it.
        book.begin(&object);
        book.changed(&key(&object), &ids[0]);
        book.verified(&object, "sha256:1");
        assert!(!book.is_untouched(&object, "sha256:1", ids.iter()));
    }
}
