//! What we did to each object last, so that no run acts on an older copy.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use api::Reconciled;
use kube::{ResourceExt, runtime::reflector::ObjectRef};

use super::running::is_older;

/// What we did to each object last. Holds objects for which the watch has not shown that yet.
pub(super) struct Written<K: Reconciled>(Mutex<HashMap<ObjectRef<K>, Last>>);

enum Last {
    /// We wrote it, at this version.
    Wrote(String),
    /// We let the object with this uid go, or found it gone.
    LetGo(Option<String>),
}

/// What a copy of an object is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing newer is known.
    Current,
    /// We wrote a newer version.
    Outdated,
    /// The object is no longer there, or no longer ours: acting on the copy would bring back what
    /// was cleaned up.
    LetGo,
}

impl<K: Reconciled> Default for Written<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Reconciled> Written<K> {
    /// Remembers what a write returned.
    pub(super) fn remember(&self, object: &K) {
        if let Some(version) = object.resource_version() {
            self.lock()
                .insert(ObjectRef::from_obj(object), Last::Wrote(version));
        }
    }

    /// Remembers that an object was let go while `is_held` says that the store still has it. The
    /// store forgets it before [`Self::forget`] is called, so nothing is remembered for ever.
    pub(super) fn let_go(&self, object: &K, is_held: impl FnOnce() -> bool) {
        let reference = ObjectRef::from_obj(object);
        self.lock()
            .insert(reference.clone(), Last::LetGo(object.uid()));
        if !is_held() {
            self.lock().remove(&reference);
        }
    }

    /// Compares a copy with what we did last; once it is as new, forgets that.
    pub(super) fn standing(&self, object: &K) -> Standing {
        let reference = ObjectRef::from_obj(object);
        let mut all = self.lock();
        let standing = match all.get(&reference) {
            Some(Last::Wrote(written))
                if is_older(object.resource_version().as_deref(), Some(written)) =>
            {
                Standing::Outdated
            }
            Some(Last::LetGo(uid)) if *uid == object.uid() => Standing::LetGo,
            _ => Standing::Current,
        };
        if standing == Standing::Current {
            all.remove(&reference);
        }
        standing
    }

    pub(super) fn forget(&self, object: &ObjectRef<K>) {
        self.lock().remove(object);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectRef<K>, Last>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use api::source::GitRepository;

    use super::*;

    fn at(version: &str) -> GitRepository {
        of("u", version)
    }

    fn of(uid: &str, version: &str) -> GitRepository {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": { "name": "a", "namespace": "ns", "uid": uid,
                "resourceVersion": version },
            "spec": { "url": "https://example.org/a", "interval": "1m" } }))
        .unwrap()
    }

    /// covers: HC-163
    #[test]
    fn copy_older_than_our_write_is_outdated_until_the_watch_catches_up() {
        let written = Written::default();
        assert_eq!(written.standing(&at("9")), Standing::Current);
        written.remember(&at("10"));
        assert_eq!(written.standing(&at("9")), Standing::Outdated);
        assert_eq!(written.standing(&at("10")), Standing::Current);
        assert!(written.lock().is_empty());
    }

    #[test]
    fn versions_that_are_no_numbers_are_compared_for_equality() {
        let written = Written::default();
        written.remember(&at("b"));
        assert_eq!(written.standing(&at("a")), Standing::Outdated);
        assert_eq!(written.standing(&at("b")), Standing::Current);
    }

    /// covers: KC-007
    #[test]
    fn late_copy_of_an_object_that_was_let_go_is_not_acted_on() {
        let written = Written::default();
        written.remember(&of("u", "10"));
        written.let_go(&of("u", "11"), || true);
        assert_eq!(written.standing(&of("u", "9")), Standing::LetGo);
        assert_eq!(written.standing(&of("u", "11")), Standing::LetGo);
        assert_eq!(written.standing(&of("v", "12")), Standing::Current);
        assert!(written.lock().is_empty());
        written.let_go(&of("v", "13"), || false);
        assert!(written.lock().is_empty());
    }
}
