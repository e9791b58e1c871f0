//! What a run leaves behind for its spans.

use std::sync::{Mutex, MutexGuard, PoisonError};

use api::meta::Artifact;
use jiff::Timestamp;

use super::Place;

/// A part of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stage {
    /// Its name.
    pub(crate) name: &'static str,
    /// When it began.
    pub(crate) began: Timestamp,
    /// When it ended.
    pub(crate) ended: Timestamp,
}

/// What a run used and in which stages; nothing where no one asks.
#[derive(Debug, Default)]
pub(crate) struct Trail(Option<Mutex<Marks>>);

#[derive(Debug, Default)]
struct Marks {
    used: Option<(Place, String)>,
    stages: Vec<Stage>,
}

impl Trail {
    pub(crate) fn new(is_kept: bool) -> Self {
        Self(is_kept.then(Mutex::default))
    }

    fn marks(&self) -> Option<MutexGuard<'_, Marks>> {
        let marks = self.0.as_ref()?;
        Some(marks.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The run uses an artifact.
    pub(crate) fn uses(&self, artifact: &Artifact) {
        if let Some(mut marks) = self.marks() {
            marks.used = Some((Place::of(artifact), artifact.revision.clone()));
        }
    }

    /// A stage that began then has ended.
    pub(crate) fn add(&self, name: &'static str, began: Timestamp) {
        if let Some(mut marks) = self.marks() {
            let ended = Timestamp::now();
            marks.stages.push(Stage { name, began, ended });
        }
    }

    pub(super) fn used(&self) -> Option<Place> {
        self.marks()?.used.as_ref().map(|(place, _)| *place)
    }

    pub(super) fn revision(&self) -> Option<String> {
        self.marks()?
            .used
            .as_ref()
            .map(|(_, revision)| revision.clone())
    }

    pub(super) fn stages(&self) -> Vec<Stage> {
        self.marks()
            .map(|marks| marks.stages.clone())
            .unwrap_or_default()
    }
}
