//! The last version that we wrote of each object, so that no run acts on an older copy.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use api::Reconciled;
use kube::{ResourceExt, runtime::reflector::ObjectRef};

use super::running::is_older;

/// The last version that we wrote of each object. Holds objects whose last write the watch has not
/// shown to a run yet.
pub(super) struct Written<K: Reconciled>(Mutex<HashMap<ObjectRef<K>, String>>);

impl<K: Reconciled> Default for Written<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Reconciled> Written<K> {
    /// Remembers what a write returned.
    pub(super) fn remember(&self, object: &K) {
        if let Some(version) = object.resource_version() {
            self.lock().insert(ObjectRef::from_obj(object), version);
        }
    }

    /// Returns true where we wrote a newer version than this copy; else forgets that write.
    pub(super) fn outdates(&self, object: &K) -> bool {
        let reference = ObjectRef::from_obj(object);
        let mut all = self.lock();
        let outdated = all.get(&reference).is_some_and(|written| {
            is_older(object.resource_version().as_deref(), Some(written.as_str()))
        });
        if !outdated {
            all.remove(&reference);
        }
        outdated
    }

    pub(super) fn forget(&self, object: &ObjectRef<K>) {
        self.lock().remove(object);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectRef<K>, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use api::source::GitRepository;

    use super::*;

    fn at(version: &str) -> GitRepository {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": { "name": "a", "namespace": "ns", "resourceVersion": version },
            "spec": { "url": "https://example.org/a", "interval": "1m" } }))
        .unwrap()
    }

    #[test]
    fn copy_older_than_our_write_is_outdated_until_the_watch_catches_up() {
        let written = Written::default();
        assert!(!written.outdates(&at("9")));
        written.remember(&at("10"));
        assert!(written.outdates(&at("9")));
        assert!(!written.outdates(&at("10")));
        assert!(written.lock().is_empty());
    }

    #[test]
    fn versions_that_are_no_numbers_are_compared_for_equality() {
        let written = Written::default();
        written.remember(&at("b"));
        assert!(written.outdates(&at("a")));
        assert!(!written.outdates(&at("b")));
    }
}
