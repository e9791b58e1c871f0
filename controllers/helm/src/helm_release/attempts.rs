//! Which revision of its source each run is about, so that news of the same one end no wait.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use api::helm::HelmRelease;
use kube::runtime::reflector::ObjectRef;

/// The revisions that runs were begun with.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Mutex<HashMap<ObjectRef<HelmRelease>, String>>);

impl Attempts {
    /// Remembers what a run is about.
    pub(super) fn begin(&self, object: &HelmRelease, revision: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(ObjectRef::from_obj(object), revision.to_owned());
    }

    /// Whether the last run of an object was about another revision.
    pub(super) fn differ(&self, object: &ObjectRef<HelmRelease>, revision: &str) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(object).is_some_and(|known| known != revision)
    }

    /// Forgets an object that is gone.
    pub(super) fn forget(&self, object: &ObjectRef<HelmRelease>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(object);
    }
}
