//! The contract of a kind: what it reads, decides, writes and reports.

use std::time::Duration;

use api::Reconciled;
use futures::Stream;
use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;

use crate::{Conduct, Failure, Note, Progress, Report, Triggers};

/// Says what follows a plan.
#[derive(Debug)]
pub enum Next<Plan, Outcome> {
    /// Nothing is to be written; the run ends with this outcome.
    Done(Outcome),
    /// This plan is carried out and the run ends with what came of it.
    Last(Plan),
    /// This plan is carried out, then the kind gathers and plans again (Helm's loop of actions).
    More(Plan),
}

/// The time at which a run began and the time of its report.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// When the run got its permit.
    pub started: Timestamp,
    /// When the run ended.
    pub now: Timestamp,
}

impl Moment {
    /// Returns how long the run took; never negative.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.now
            .duration_since(self.started)
            .try_into()
            .unwrap_or_default()
    }
}

/// One kind's reconciliation. The fields of the implementing type are its adapters.
///
/// `plan` and `report` take no `self`: they hold no handle to do I/O with.
pub trait Reconciler: Send + Sync + 'static {
    /// The kind of object.
    type Object: Reconciled;
    /// What `gather` read.
    type Inputs: Send + 'static;
    /// What `act` is to do.
    type Plan: Send + 'static;
    /// What came of it.
    type Outcome: Send + Sync + 'static;

    /// How the skeleton treats this kind: data, not code.
    const CONDUCT: Conduct;

    /// Reads everything that the decision needs. Writes nothing but local caches.
    fn gather(
        &self,
        object: &Self::Object,
        progress: &Progress,
    ) -> impl Future<Output = Result<Self::Inputs, Failure>> + Send;

    /// Decides what to do. Pure; runs where it may take a processor for itself.
    ///
    /// # Errors
    /// Whatever makes the object's own specification impossible to carry out.
    fn plan(
        object: &Self::Object,
        inputs: Self::Inputs,
        now: Timestamp,
    ) -> Result<Next<Self::Plan, Self::Outcome>, Failure>;

    /// Carries a plan out.
    fn act(
        &self,
        object: &Self::Object,
        plan: Self::Plan,
        progress: &Progress,
    ) -> impl Future<Output = Result<Self::Outcome, Failure>> + Send;

    /// Says what the status and the events of a finished run are. Pure.
    fn report(object: &Self::Object, outcome: &Self::Outcome, moment: Moment) -> Report;

    /// Undoes what the object stands for before its finalizer is removed. Returns what to tell.
    ///
    /// Deletion never depends on a source, a render or health.
    fn cleanup(
        &self,
        object: &Self::Object,
        progress: &Progress,
    ) -> impl Future<Output = Result<Vec<Note>, Failure>> + Send;

    /// Says whether the object only names something and is not reconciled. What runs have left on it, because it was of
    /// another sort before, is taken back once: `cleanup`, then finalizer and status go.
    fn is_static(_object: &Self::Object) -> bool {
        false
    }

    /// Returns the delay after a failed run where [`Conduct::retry`] is flat.
    fn retry_interval(object: &Self::Object) -> Option<Duration> {
        object.interval().map(Into::into)
    }

    /// Returns streams of objects to reconcile beside the kind's own changes: its sources,
    /// dependencies, configuration.
    fn triggers(
        &self,
        _triggers: &Triggers<Self::Object>,
    ) -> Vec<futures::stream::BoxStream<'static, ObjectRef<Self::Object>>> {
        Vec::new()
    }

    /// Drops what is remembered of an object that is gone.
    fn forget(&self, _object: &ObjectRef<Self::Object>) {}
}

/// A stream of objects to reconcile.
pub trait Trigger<K: Reconciled>: Stream<Item = ObjectRef<K>> + Send + 'static {}
impl<K: Reconciled, S: Stream<Item = ObjectRef<K>> + Send + 'static> Trigger<K> for S {}
