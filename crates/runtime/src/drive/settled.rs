//! What each object's last run found nothing to write for, so that the next one need not compute it again.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, MutexGuard, PoisonError},
};

use api::Reconciled;
use kube::runtime::reflector::ObjectRef;

use crate::{Change, status::Closing};

/// A fingerprint for each object whose status is what its last run made of it.
pub(super) struct Settled<K: Reconciled>(Mutex<HashMap<ObjectRef<K>, u64>>);

impl<K: Reconciled> Default for Settled<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Reconciled> Settled<K> {
    /// Returns true where the last run of this object, with the same copy, the same change and the same closing, found
    /// nothing to write.
    pub(super) fn is(&self, object: &ObjectRef<K>, mark: Option<u64>) -> bool {
        mark.is_some() && self.lock().get(object).copied() == mark
    }

    /// Remembers that there was nothing to write.
    pub(super) fn remember(&self, object: ObjectRef<K>, mark: Option<u64>) {
        match mark {
            Some(mark) => self.lock().insert(object, mark),
            None => self.lock().remove(&object),
        };
    }

    pub(super) fn forget(&self, object: &ObjectRef<K>) {
        self.lock().remove(object);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectRef<K>, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns a fingerprint of all that a status is computed from, but for the time, which counts only where something else
/// changes; none for an object without a version, of which two copies cannot be told apart.
pub(super) fn fingerprint<K: Reconciled>(
    object: &K,
    change: &Change,
    closing: &Closing,
) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    let (uid, version) = (
        object.meta().uid.as_ref()?,
        object.meta().resource_version.as_ref()?,
    );
    (uid, version, change, closing).hash(&mut hasher);
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    use api::source::GitRepository;

    use super::*;

    fn object(version: Option<&str>) -> GitRepository {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": { "name": "a", "namespace": "ns", "uid": "u", "resourceVersion": version },
            "spec": { "url": "https://example.org/a", "interval": "1m" } }))
        .unwrap()
    }

    #[test]
    fn only_what_is_the_same_in_everything_is_settled() {
        let settled = Settled::default();
        let reference = ObjectRef::from_obj(&object(None));
        let change = Change::default().condition("Ready", "True", "Succeeded", "ok");
        let closing = Closing::default();
        let print = |version, change: &Change, closing: &Closing| {
            fingerprint(&object(Some(version)), change, closing)
        };
        let same = print("7", &change, &closing);
        assert!(!settled.is(&reference, same), "nothing is known yet");
        settled.remember(reference.clone(), same);
        assert!(settled.is(&reference, print("7", &change, &closing)));
        let handled = Closing {
            handled: Some("now".into()),
            ..Closing::default()
        };
        for other in [
            print("8", &change, &closing),
            print("7", &change.clone().set("url", "http://x"), &closing),
            print("7", &change.clone().remove("Stalled"), &closing),
            print("7", &change, &handled),
            fingerprint(&object(None), &change, &closing),
        ] {
            assert!(!settled.is(&reference, other));
        }
        settled.remember(reference.clone(), None);
        assert!(!settled.is(&reference, same), "what was known is forgotten");
    }
}
