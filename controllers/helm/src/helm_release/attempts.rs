//! Which revision of its source each run is about, so that news of the same one end no wait.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use api::{helm::HelmRelease, meta::Artifact};
use kube::runtime::reflector::ObjectRef;

/// What runs were begun with.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Mutex<HashMap<ObjectRef<HelmRelease>, Attempt>>);

#[derive(Debug, Default)]
struct Attempt {
    /// The artifact of the last run, and the generation of the object.
    begun: Option<(String, Option<i64>)>,
    /// A run about that artifact goes on.
    active: bool,
    /// A run is reading, and the source had news since it began to.
    news: bool,
}

fn name_of(artifact: &Artifact) -> String {
    format!("{} {}", artifact.revision, artifact.digest)
}

impl Attempts {
    fn all(&self) -> MutexGuard<'_, HashMap<ObjectRef<HelmRelease>, Attempt>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A run is about to read its source: news until it has are no reason to end it.
    pub(super) fn reading(&self, object: &HelmRelease) {
        let mut all = self.all();
        let attempt = all.entry(ObjectRef::from_obj(object)).or_default();
        (attempt.active, attempt.news) = (false, false);
    }

    /// Remembers what a run is about. Returns false where the source had news meanwhile: it is to be read again.
    pub(super) fn begin(&self, object: &HelmRelease, artifact: &Artifact) -> bool {
        let mut all = self.all();
        let attempt = all.entry(ObjectRef::from_obj(object)).or_default();
        if std::mem::take(&mut attempt.news) {
            return false;
        }
        attempt.begun = Some((name_of(artifact), object.metadata.generation));
        attempt.active = true;
        true
    }

    /// A run has ended.
    pub(super) fn end(&self, object: &HelmRelease) {
        if let Some(attempt) = self.all().get_mut(&ObjectRef::from_obj(object)) {
            attempt.active = false;
        }
    }

    /// Whether the last run of an object was about this artifact, for the same generation.
    pub(super) fn knows(&self, object: &HelmRelease, artifact: &Artifact) -> bool {
        let all = self.all();
        let attempt = all.get(&ObjectRef::from_obj(object));
        let begun = attempt.and_then(|a| a.begun.as_ref());
        begun.is_some_and(|(name, generation)| {
            *name == name_of(artifact) && *generation >= object.metadata.generation
        })
    }

    /// Whether a run of an object goes on that is about another artifact than this, which was just seen.
    pub(super) fn differ(&self, object: &ObjectRef<HelmRelease>, artifact: &Artifact) -> bool {
        let mut all = self.all();
        let Some(attempt) = all.get_mut(object) else {
            return false;
        };
        attempt.news = !attempt.active;
        let begun = attempt.begun.as_ref().filter(|_| attempt.active);
        begun.is_some_and(|(name, _)| *name != name_of(artifact))
    }

    /// Forgets an object that is gone.
    pub(super) fn forget(&self, object: &ObjectRef<HelmRelease>) {
        self.all().remove(object);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn artifact(revision: &str) -> Artifact {
        serde_json::from_value(serde_json::json!({ "url": "http://x/y", "path": "y",
            "revision": revision, "digest": "sha256:0", "size": 1,
            "lastUpdateTime": "2026-01-01T00:00:00Z" }))
        .unwrap()
    }

    #[test]
    fn news_end_a_run_that_is_about_something_older_and_no_other() {
        let mut object = HelmRelease::new("app", api::helm::HelmReleaseSpec::default());
        object.metadata.namespace = Some("ns".into());
        object.metadata.generation = Some(1);
        let id = ObjectRef::from_obj(&object);
        let attempts = Attempts::default();
        attempts.reading(&object);
        assert!(attempts.begin(&object, &artifact("1")));
        assert!(!attempts.differ(&id, &artifact("1")) && attempts.differ(&id, &artifact("2")));
        assert!(
            attempts.knows(&object, &artifact("1")) && !attempts.knows(&object, &artifact("2"))
        );
        // Nothing goes on.
        attempts.end(&object);
        assert!(!attempts.differ(&id, &artifact("2")) && attempts.knows(&object, &artifact("1")));
        // The next run has not read yet, and then reads what the news were about.
        attempts.reading(&object);
        assert!(!attempts.differ(&id, &artifact("2")));
        assert!(
            !attempts.begin(&object, &artifact("1")),
            "read before the news"
        );
        assert!(attempts.begin(&object, &artifact("2")));
        assert!(!attempts.differ(&id, &artifact("2")) && attempts.differ(&id, &artifact("3")));
        attempts.forget(&id);
        assert!(!attempts.knows(&object, &artifact("2")));
    }
}
