//! Which revision of its source each run is about, so that news of the same one end no wait.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use api::{helm::HelmRelease, meta::Artifact};
use kube::runtime::reflector::ObjectRef;

/// The artifacts, and the generations of the object, that runs were begun with.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Mutex<HashMap<ObjectRef<HelmRelease>, Begun>>);

/// An artifact and a generation.
type Begun = (String, Option<i64>);

fn name_of(artifact: &Artifact) -> String {
    format!("{} {}", artifact.revision, artifact.digest)
}

impl Attempts {
    /// Remembers what a run is about.
    pub(super) fn begin(&self, object: &HelmRelease, artifact: &Artifact) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = (name_of(artifact), object.metadata.generation);
        all.insert(ObjectRef::from_obj(object), begun);
    }

    /// Whether the last run of an object was about this artifact, for the same generation.
    pub(super) fn knows(&self, object: &HelmRelease, artifact: &Artifact) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = all.get(&ObjectRef::from_obj(object));
        begun.is_some_and(|(name, generation)| {
            *name == name_of(artifact) && *generation >= object.metadata.generation
        })
    }

    /// Whether the last run of an object was about another artifact.
    pub(super) fn differ(&self, object: &ObjectRef<HelmRelease>, artifact: &Artifact) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(object)
            .is_some_and(|(name, _)| *name != name_of(artifact))
    }

    /// Forgets an object that is gone.
    pub(super) fn forget(&self, object: &ObjectRef<HelmRelease>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(object);
    }
}
