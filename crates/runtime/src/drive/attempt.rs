//! One run: gather, plan, act, until there is an outcome.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use jiff::Timestamp;
use kube::{Resource, runtime::reflector::ObjectRef};
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::{Book, Driver, close, wishes};
use crate::{
    Failure, Moment, Next, Progress, Reconciler, Report, conduct::Begin, status::Closing,
    traces::Run,
};

/// How a run ended.
pub(super) enum Ended {
    /// It has an outcome.
    Reported(Report),
    /// It failed.
    Failed(Failure),
    /// It was cut short at a point where everything that matters is written; nothing is to be said.
    /// The next one begins at once, or in the next process.
    CutShort,
}

impl<R: Reconciler> Driver<R> {
    /// Runs once and closes. Returns also whether the object turned out to be gone.
    pub(super) async fn reconcile(
        &self,
        object: Arc<R::Object>,
        permit: OwnedSemaphorePermit,
        superseded: watch::Receiver<Option<String>>,
        started: Timestamp,
    ) -> (Option<Duration>, bool) {
        let pending = close::is_pending(&*object);
        let book = self.book(object);
        let progress = self.progress(&book, permit, superseded, pending);
        let begun = if pending && R::CONDUCT.begin == Begin::AtOnce {
            let begin = close::beginning(&*book.object);
            book.close(&begin, &Closing::default()).await
        } else {
            Ok(())
        };
        let ended = match begun {
            Ok(()) => self.attempt(&book, &progress, started).await,
            Err(error) => {
                let cause = crate::failure::chain(&error);
                let message = format!("failed to update status: {cause}");
                Ended::Failed(Failure::retry("Failed", message).quietly())
            }
        };
        let now = Timestamp::now();
        let moment = Moment { started, now };
        let failure = match &ended {
            Ended::Failed(failure) if self.settings.tracer.is_on() => {
                Some(crate::redact::redact(&failure.message).into_owned())
            }
            _ => None,
        };
        let again = match ended {
            Ended::Reported(report) => self.succeed(&book, &progress, report).await,
            Ended::Failed(failure) => self.fail(&book, &progress, failure, moment).await,
            Ended::CutShort => Some(Duration::ZERO),
        };
        if self.settings.tracer.is_on() {
            let run = Run {
                trail: progress.trail(),
                began: started,
                ended: moment.now,
                failure,
            };
            let (current, _) = book.current().await;
            self.settings.tracer.tell(&*book.object, &*current, &run);
        }
        let gone = self.settle(&book).await;
        self.measure(&ObjectRef::from_obj(&*book.object), moment);
        (again, gone)
    }

    fn measure(&self, object: &ObjectRef<R::Object>, moment: Moment) {
        let (kind, took) = (R::Object::kind(&()), moment.elapsed());
        let namespace = object.namespace.as_deref();
        self.metrics.observe(&kind, namespace, &object.name, took);
    }

    /// Runs to an outcome; a panic becomes this object's failure.
    async fn attempt(
        &self,
        book: &Book<R::Object>,
        progress: &Progress,
        started: Timestamp,
    ) -> Ended {
        let run = async {
            tokio::select! {
                result = Box::pin(self.stages(book, progress, started)) => result,
                () = progress.abandoned() => Ok(None),
            }
        };
        match AssertUnwindSafe(run).catch_unwind().await {
            Ok(Ok(Some(report))) => Ended::Reported(report),
            Ok(Ok(None)) => Ended::CutShort,
            Ok(Err(failure)) => Ended::Failed(failure),
            Err(panic) => Ended::Failed(Failure::retry("Failed", panicked(&*panic))),
        }
    }

    /// Gathers, plans and acts. No report: after an action of several the process stops, or the
    /// object is another one than the run was started for.
    async fn stages(
        &self,
        book: &Book<R::Object>,
        progress: &Progress,
        started: Timestamp,
    ) -> Result<Option<Report>, Failure> {
        let mut object = Arc::clone(&book.object);
        loop {
            // Boxed: each future around one is larger than it by its size, and is moved as a whole.
            let gathering = Box::pin(self.reconciler.gather(&object, progress));
            let inputs = progress.stage("gather", gathering).await?;
            let planning = self.plan(&object, inputs);
            let outcome = match progress.stage("plan", planning).await? {
                Next::Done(outcome) => outcome,
                Next::Last(plan) => {
                    let acting = Box::pin(self.reconciler.act(&object, plan, progress));
                    progress.stage("act", acting).await?
                }
                Next::More(plan) => {
                    let acting = Box::pin(self.reconciler.act(&object, plan, progress));
                    progress.stage("act", acting).await?;
                    // What it wrote of itself, the next round has to see.
                    object = book.current().await.0;
                    let other = wishes(&*object) != wishes(&*book.object);
                    if other || self.stop.is_cancelled() {
                        return Ok(None);
                    }
                    continue;
                }
            };
            let now = Timestamp::now();
            return Ok(Some(R::report(&object, &outcome, Moment { started, now })));
        }
    }

    /// Plans, where that takes long on a thread of its own: there are only so many processors.
    async fn plan(
        &self,
        object: &Arc<R::Object>,
        inputs: R::Inputs,
    ) -> Result<Next<R::Plan, R::Outcome>, Failure> {
        if !R::CONDUCT.plans_at_length {
            return R::plan(object, inputs, Timestamp::now());
        }
        let permit = Arc::clone(&self.settings.processors).acquire_owned().await;
        let object = Arc::clone(object);
        let span = tracing::Span::current();
        let work = move || {
            let _permit = permit;
            span.in_scope(|| R::plan(&object, inputs, Timestamp::now()))
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(next) => next,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => Err(Failure::retry("Failed", panicked(&*panic))),
                Err(error) => Err(Failure::retry("Failed", error.to_string())),
            },
        }
    }
}

/// Says what a panic said.
pub(super) fn panicked(panic: &(dyn std::any::Any + Send)) -> String {
    let words = panic
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "unknown".into());
    format!("recovered from panic: {words}")
}
