//! The runs that go on, so that they can be told that they became pointless.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use api::Reconciled;
use kube::{Resource, ResourceExt, runtime::reflector::ObjectRef};
use tokio::sync::watch;

/// The runs that go on, so that they can be told that they became pointless.
#[derive(Debug)]
pub struct Running<K: Reconciled> {
    runs: Mutex<HashMap<ObjectRef<K>, Run>>,
    /// Whether a mere request makes a run pointless.
    heeds_requests: bool,
}

/// What a run was started for, and where it listens for what supersedes it.
#[derive(Debug)]
struct Run {
    aims: u64,
    version: Option<String>,
    gone: bool,
    superseded: watch::Sender<Option<String>>,
}

impl Run {
    /// Returns true where this version is not older than the copy that the run acts on: a watch
    /// lags behind what was read anew.
    fn is_older_than(&self, version: Option<&str>) -> bool {
        is_older(self.version.as_deref(), version)
    }
}

impl<K: Reconciled> Running<K> {
    /// Lists none yet. `heeds_requests`: whether a mere request makes a run pointless.
    pub fn new(heeds_requests: bool) -> Self {
        Self {
            runs: Mutex::default(),
            heeds_requests,
        }
    }

    /// Returns a fingerprint of what a run is for.
    fn aims(&self, object: &K) -> u64 {
        if self.heeds_requests {
            wishes(object)
        } else {
            standing_wishes(object)
        }
    }

    /// Tells the object's run, if one goes on, that `by` made it pointless.
    pub fn supersede(&self, object: &ObjectRef<K>, by: &str) {
        if let Some(run) = self.lock().get(object) {
            run.superseded.send_replace(Some(by.to_owned()));
        }
    }

    /// Tells the object's run, if one goes on for an older copy, that this copy made it pointless.
    pub fn observe(&self, object: &K) {
        if let Some(run) = self.lock().get(&ObjectRef::from_obj(object))
            && run.aims != self.aims(object)
            && run.is_older_than(object.resource_version().as_deref())
        {
            run.superseded.send_replace(Some(name_of(object)));
        }
    }

    /// Tells the object's run, if one goes on, that the object is gone. `version` is the one that
    /// it was deleted at, where that is known.
    pub fn vanish(&self, object: &ObjectRef<K>, version: Option<&str>) {
        if let Some(run) = self.lock().get_mut(object)
            && (version.is_none() || run.is_older_than(version))
        {
            run.gone = true;
            let namespace = object.namespace.as_deref().unwrap_or_default();
            let by = format!("{}/{namespace}/{}", K::kind(&()), object.name);
            run.superseded.send_replace(Some(by));
        }
    }

    /// Compares every run with what is known of its object by now.
    pub(crate) fn review(&self, look_up: impl Fn(&ObjectRef<K>) -> Option<Arc<K>>) {
        let references: Vec<_> = self.lock().keys().cloned().collect();
        for reference in references {
            match look_up(&reference) {
                Some(object) => self.observe(&object),
                None => self.vanish(&reference, None),
            }
        }
    }

    /// Lists a run until what this returns is dropped.
    pub(super) fn enter(self: &Arc<Self>, object: &K) -> Entered<K> {
        let (sender, superseded) = watch::channel(None);
        let reference = ObjectRef::from_obj(object);
        let run = Run {
            aims: self.aims(object),
            version: object.resource_version(),
            gone: false,
            superseded: sender,
        };
        self.lock().insert(reference.clone(), run);
        Entered {
            running: Arc::clone(self),
            reference,
            superseded,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectRef<K>, Run>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A run in the list, taken out of it when dropped: also by a panic, also when the run is cut off.
pub(super) struct Entered<K: Reconciled> {
    running: Arc<Running<K>>,
    reference: ObjectRef<K>,
    superseded: watch::Receiver<Option<String>>,
}

impl<K: Reconciled> Entered<K> {
    /// Returns where the run listens for what supersedes it.
    pub(super) fn superseded(&self) -> watch::Receiver<Option<String>> {
        self.superseded.clone()
    }

    /// Returns true where the object went away while the run went on.
    pub(super) fn is_gone(&self) -> bool {
        let running = self.running.lock();
        running.get(&self.reference).is_some_and(|run| run.gone)
    }
}

impl<K: Reconciled> Drop for Entered<K> {
    fn drop(&mut self) {
        self.running.lock().remove(&self.reference);
    }
}

/// Returns a fingerprint of what a user wishes of an object: which object it is, its generation,
/// request and deletion, and the annotations that stand for fields of ours.
pub fn wishes<K: Resource>(object: &K) -> u64 {
    let mut hasher = DefaultHasher::new();
    standing_wishes(object).hash(&mut hasher);
    api::meta::requested_at(object.meta()).hash(&mut hasher);
    hasher.finish()
}

/// Returns a fingerprint of the same without the request.
fn standing_wishes<K: Resource>(object: &K) -> u64 {
    let meta = object.meta();
    let mut hasher = DefaultHasher::new();
    meta.uid.hash(&mut hasher);
    meta.generation.hash(&mut hasher);
    meta.deletion_timestamp.is_some().hash(&mut hasher);
    for annotation in meta.annotations.iter().flatten() {
        if annotation.0.starts_with(api::extension::PREFIX) {
            annotation.hash(&mut hasher);
        }
    }
    hasher.finish()
}

/// Returns true where version `a` came before version `b`. Versions that are no numbers cannot be
/// ordered; of those any other one is taken for a newer one.
pub(super) fn is_older(a: Option<&str>, b: Option<&str>) -> bool {
    let number = |v: Option<&str>| v.and_then(|v| v.parse::<u64>().ok());
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a < b,
        _ => a != b,
    }
}

fn name_of<K: Reconciled>(object: &K) -> String {
    let namespace = object.namespace().unwrap_or_default();
    format!("{}/{namespace}/{}", K::kind(&()), object.name_any())
}

#[cfg(test)]
mod tests {
    use api::source::GitRepository;

    use super::*;

    fn object(uid: &str, version: &str, generation: i64) -> GitRepository {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": { "name": "a", "namespace": "ns", "uid": uid,
                "resourceVersion": version, "generation": generation },
            "spec": { "url": "https://example.org/a", "interval": "1m" } }))
        .unwrap()
    }

    fn superseded(entered: &Entered<GitRepository>) -> Option<String> {
        entered.superseded().borrow().clone()
    }

    #[test]
    fn newer_generation_supersedes_a_run() {
        let running = Arc::new(Running::new(true));
        let entered = running.enter(&object("u", "10", 1));
        running.observe(&object("u", "11", 2));
        assert_eq!(superseded(&entered).as_deref(), Some("GitRepository/ns/a"));
    }

    #[test]
    fn request_supersedes_a_run_only_where_it_is_heeded() {
        let asked = |version: &str, generation| {
            let mut object = object("u", version, generation);
            let request = (super::super::REQUESTED_AT.to_owned(), "now".to_owned());
            object.metadata.annotations = Some([request].into());
            object
        };
        for heeds_requests in [true, false] {
            let running = Arc::new(Running::new(heeds_requests));
            let entered = running.enter(&object("u", "10", 1));
            running.observe(&asked("11", 1));
            assert_eq!(superseded(&entered).is_some(), heeds_requests);
            running.observe(&asked("12", 2));
            assert!(
                superseded(&entered).is_some(),
                "the generation counts for all"
            );
        }
    }

    #[test]
    fn annotation_that_stands_for_a_field_is_a_wish_and_no_other_one() {
        let plain = object("u", "10", 1);
        let with = |name: &str| {
            let mut object = plain.clone();
            let annotation = (name.to_owned(), "on".to_owned());
            object.metadata.annotations = Some([annotation].into());
            wishes(&object)
        };
        assert_eq!(with("team"), wishes(&plain));
        assert_ne!(with("lockgate.dev/driftDetection"), wishes(&plain));
    }

    #[test]
    fn late_event_of_an_older_copy_supersedes_nothing() {
        let running = Arc::new(Running::new(true));
        let entered = running.enter(&object("u", "12", 3));
        running.observe(&object("u", "11", 2));
        assert_eq!(superseded(&entered), None);
    }

    #[test]
    fn status_write_supersedes_nothing() {
        let running = Arc::new(Running::new(true));
        let entered = running.enter(&object("u", "10", 1));
        running.observe(&object("u", "11", 1));
        assert_eq!(superseded(&entered), None);
    }

    #[test]
    fn object_of_the_same_name_made_anew_supersedes_the_run_of_the_old_one() {
        let running = Arc::new(Running::new(true));
        let entered = running.enter(&object("u", "10", 1));
        running.observe(&object("v", "12", 1));
        assert!(superseded(&entered).is_some());
    }

    #[test]
    fn late_deletion_of_an_older_object_leaves_the_run_of_the_new_one_alone() {
        let running = Arc::new(Running::new(true));
        let entered = running.enter(&object("v", "12", 1));
        running.vanish(&ObjectRef::from_obj(&object("u", "11", 1)), Some("11"));
        assert!(!entered.is_gone());
        running.vanish(&ObjectRef::from_obj(&object("v", "13", 1)), Some("13"));
        assert!(entered.is_gone() && superseded(&entered).is_some());
    }

    #[test]
    fn review_finds_what_changed_before_the_run_was_listed() {
        let running = Arc::new(Running::new(true));
        let entered = running.enter(&object("u", "10", 1));
        running.review(|_| Some(Arc::new(object("u", "11", 2))));
        assert!(superseded(&entered).is_some() && !entered.is_gone());
        running.review(|_| None);
        assert!(entered.is_gone());
    }

    #[test]
    fn run_leaves_the_list_however_it_ends() {
        let running = Arc::new(Running::new(true));
        let other = Arc::clone(&running);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _entered = other.enter(&object("u", "10", 1));
            panic!("on purpose");
        }));
        assert!(panicked.is_err());
        assert!(running.lock().is_empty());
    }
}
