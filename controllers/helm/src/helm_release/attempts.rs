//! Which revision of its source each run is about, so that news of the same one end no wait; and when the next try with
//! the same inputs is due, so that no event that brings nothing new hastens it.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use api::{helm::HelmRelease, meta::Artifact};
use kube::runtime::reflector::ObjectRef;
use tokio::time::Instant;

/// Of a wait, the part that is held even against events: the wait itself is shortened by its jitter.
const HELD: f64 = 0.9;

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
    /// Until when another try with these inputs is put off.
    retry: Option<(String, Instant)>,
}

impl Attempt {
    fn stamp(&self, inputs: &str) -> String {
        let artifact = self.begun.as_ref().map(|(name, _)| name.as_str());
        format!("{} {inputs}", artifact.unwrap_or_default())
    }
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

    /// Puts off another try with the same artifact and these inputs.
    pub(super) fn put_off(
        &self,
        object: &HelmRelease,
        inputs: &str,
        delay: Duration,
        now: Instant,
    ) {
        if let Some(attempt) = self.all().get_mut(&ObjectRef::from_obj(object)) {
            let until = now + delay.mul_f64(HELD);
            attempt.retry = Some((attempt.stamp(inputs), until));
        }
    }

    /// How long another try with the same artifact and these inputs is put off still.
    pub(super) fn left(
        &self,
        object: &HelmRelease,
        inputs: &str,
        now: Instant,
    ) -> Option<Duration> {
        let all = self.all();
        let attempt = all.get(&ObjectRef::from_obj(object))?;
        let (stamp, until) = attempt.retry.as_ref()?;
        let left = until.saturating_duration_since(now);
        (*stamp == attempt.stamp(inputs) && !left.is_zero()).then_some(left)
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

    #[test]
    fn try_is_put_off_while_nothing_is_new() {
        let mut object = HelmRelease::new("app", api::helm::HelmReleaseSpec::default());
        object.metadata.namespace = Some("ns".into());
        let attempts = Attempts::default();
        let now = Instant::now();
        let later = |seconds| now + Duration::from_secs(seconds);
        let left = |inputs: &str, now| attempts.left(&object, inputs, now);
        attempts.reading(&object);
        attempts.begin(&object, &artifact("1"));
        assert_eq!(left("values", now), None);
        attempts.put_off(&object, "values", Duration::from_secs(100), now);
        assert_eq!(left("values", now), Some(Duration::from_secs(90)));
        assert_eq!(left("other values", now), None);
        attempts.begin(&object, &artifact("2"));
        assert_eq!(left("values", now), None);
        attempts.begin(&object, &artifact("1"));
        assert_eq!(left("values", later(89)), Some(Duration::from_secs(1)));
        assert_eq!(left("values", later(91)), None);
    }
}
