//! How a run begins and ends in the status, and when the next one is due.

use std::{sync::Arc, time::Duration};

use api::Reconciled;
use kube::{Resource, runtime::reflector::ObjectRef};

use super::{Book, Driver, settled};
use crate::{
    Change, Class, Failure, Moment, Progress, Reconciler, Report, Summary,
    conditions::{self, PROGRESSING, READY, RECONCILING, STALLED},
    conduct::Retry,
    status::Closing,
};

impl<R: Reconciler> Driver<R> {
    /// Answers a request on a suspended object, and nothing else. Returns also whether the object
    /// turned out to be gone.
    pub(super) async fn suspended(
        &self,
        object: std::sync::Arc<R::Object>,
    ) -> (Option<Duration>, bool) {
        let closes = R::CONDUCT.closes_suspended;
        let closing = Closing {
            // A Ready that stands speaks for the suspended generation too, as upstream has it.
            observed_generation: object.meta().generation.filter(|_| {
                closes || crate::conditions::is_true(object.conditions(), crate::conditions::READY)
            }),
            handled: requested(&*object),
            summarise: closes,
            retrying: closes,
        };
        let change = if closes {
            Change::default().remove(STALLED)
        } else {
            Change::default()
        };
        let book = self.book(object);
        let again = match book.close(&change, &closing).await {
            Ok(()) => None,
            Err(error) => Some(self.troubled(ObjectRef::from_obj(&*book.object), &error)),
        };
        (again, self.settle(&book).await)
    }

    pub(super) async fn succeed(
        &self,
        book: &Book<R::Object>,
        progress: &Progress,
        report: Report,
    ) -> Option<Duration> {
        let reference = ObjectRef::from_obj(&*book.object);
        let change = report.change.remove(RECONCILING).remove(STALLED);
        let closing = Closing {
            observed_generation: book.object.meta().generation,
            handled: requested(&*book.object),
            summarise: true,
            retrying: false,
        };
        if let Err(error) = self.close(book, &reference, &change, &closing).await {
            return Some(self.troubled(reference, &error));
        }
        book.tell(report.notes);
        let (current, _) = book.current().await;
        if is_not_ready::<R>(&current) {
            let ready = conditions::find(current.conditions(), READY);
            let cause = ready.map(|r| r.message.clone()).unwrap_or_default();
            tracing::error!(error = cause, "Reconciler error");
            self.metrics.count(&self.settings.controller, "error");
            return Some(self.backoff.next(reference));
        }
        self.backoff.reset(&reference);
        tracing::debug!(superseded = ?progress.superseded(), "Reconciliation finished");
        let delay = match progress.superseded() {
            Some(_) => Some(Duration::ZERO),
            None => report.requeue.or_else(|| self.interval(&book.object)),
        };
        let result = if delay.is_some() {
            "requeue_after"
        } else {
            "success"
        };
        self.metrics.count(&self.settings.controller, result);
        delay
    }

    /// Writes what a change makes of the status. What was found to change nothing is not computed again.
    async fn close(
        &self,
        book: &Book<R::Object>,
        reference: &ObjectRef<R::Object>,
        change: &Change,
        closing: &Closing,
    ) -> kube::Result<()> {
        let (before, _) = book.current().await;
        let mark = settled::fingerprint(&*before, change, closing);
        if self.settled.is(reference, mark) {
            return Ok(());
        }
        book.close(change, closing).await?;
        let (after, gone) = book.current().await;
        let stays = Arc::ptr_eq(&before, &after) && !gone;
        self.settled
            .remember(reference.clone(), mark.filter(|_| stays));
        Ok(())
    }

    pub(super) async fn fail(
        &self,
        book: &Book<R::Object>,
        progress: &Progress,
        failure: Failure,
        moment: Moment,
    ) -> Option<Duration> {
        let reference = ObjectRef::from_obj(&*book.object);
        let change = failed::<R>(&failure, progress.message().as_deref());
        let stalled = failure.class == Class::Stall;
        let observed = failure.observed.unwrap_or(stalled);
        let closing = Closing {
            observed_generation: book.object.meta().generation.filter(|_| observed),
            handled: requested(&*book.object),
            summarise: true,
            retrying: !stalled && !failure.verbatim,
        };
        let delay = match book.close(&change, &closing).await {
            Ok(()) => self.delay(&book.object, &failure, progress),
            // Nobody has been told: this is tried again even where the failure itself is not.
            Err(error) => {
                let cause = crate::failure::chain(&error);
                tracing::error!(error = %cause, "failed to update status");
                Some(self.backoff.next(reference))
            }
        };
        say(&failure, delay, moment);
        book.tell(failure.events());
        let result = if failure.class == Class::Retry {
            "error"
        } else {
            "requeue_after"
        };
        self.metrics.count(&self.settings.controller, result);
        delay
    }

    /// Returns when a failed run is tried again; none: only a change of the object helps.
    fn delay(
        &self,
        object: &R::Object,
        failure: &Failure,
        progress: &Progress,
    ) -> Option<Duration> {
        let reference = ObjectRef::from_obj(object);
        match (failure.class, R::CONDUCT.retry) {
            (Class::Stall, _) => None,
            (Class::Superseded, _) if progress.superseded().is_some() => Some(Duration::ZERO),
            (Class::Wait(delay), _) => {
                self.backoff.reset(&reference);
                Some(delay)
                    .filter(|d| !d.is_zero())
                    .or_else(|| self.interval(object))
            }
            (Class::Retry, Retry::Flat) => R::retry_interval(object)
                .map(|delay| delay.max(self.settings.retry_delay.0))
                .or_else(|| Some(self.backoff.next(reference))),
            (Class::Retry, Retry::Exponential) => {
                let delay = self.backoff.next(reference);
                Some(delay.max(failure.no_sooner.unwrap_or_default()))
            }
            (Class::Superseded, _) => Some(self.backoff.next(reference)),
        }
    }

    /// Returns the object's interval, spread; none where it has none or one of zero.
    fn interval(&self, object: &R::Object) -> Option<Duration> {
        let interval: Duration = object.interval()?.into();
        (!interval.is_zero()).then(|| self.settings.jitter.apply(interval))
    }
}

/// What a run that has something new to do writes before it begins.
pub(super) fn beginning<K: Reconciled>(object: &K) -> Change {
    let words = announcement(object);
    let change = Change::default().condition(RECONCILING, "True", PROGRESSING, words.clone());
    match conditions::find(object.conditions(), READY) {
        Some(ready) if ready.status != "Unknown" => change,
        _ => change.condition(READY, "Unknown", PROGRESSING, words),
    }
}

/// Says what a run is about before it has found out more.
pub(super) fn announcement<K: Reconciled>(object: &K) -> String {
    let generation = object.meta().generation.unwrap_or(0);
    let observed = object.observed_generation().unwrap_or(-1);
    if generation == observed {
        "reconciliation in progress".into()
    } else {
        format!("processing object: new generation {observed} -> {generation}")
    }
}

fn requested<K: Resource>(object: &K) -> Option<String> {
    api::meta::requested_at(object.meta()).map(str::to_owned)
}

/// Returns true where the user wishes something that no run has answered yet.
pub(super) fn is_pending<K: Reconciled>(object: &K) -> bool {
    let handled = object.last_handled_reconcile_at().unwrap_or_default();
    object.meta().generation != object.observed_generation()
        || requested(object).is_some_and(|r| r != handled)
}

/// Maps a failure to conditions.
fn failed<R: Reconciler>(failure: &Failure, message: Option<&str>) -> Change {
    if failure.verbatim {
        return failure.change.clone();
    }
    let mut change = Change::default();
    let explicit = matches!(R::CONDUCT.summary, Summary::Explicit);
    match failure.class {
        Class::Stall => {
            change = change.condition(STALLED, "True", &failure.reason, failure.message.clone());
        }
        Class::Retry | Class::Wait(_) | Class::Superseded => {
            change = change.remove(STALLED);
            change = match message {
                Some(going) => change.condition(RECONCILING, "True", PROGRESSING, going),
                None => change.remove(RECONCILING),
            };
        }
    }
    change = change.and(failure.change.clone());
    if explicit {
        change = change.condition(READY, "False", &failure.reason, failure.message.clone());
    }
    change
}

/// Returns true where Ready is computed and bad although the run succeeded: the run counts as
/// failed then, and is tried again.
fn is_not_ready<R: Reconciler>(object: &R::Object) -> bool {
    let ranked = matches!(R::CONDUCT.summary, Summary::Ranked(_));
    let ready = conditions::find(object.conditions(), READY);
    ranked && ready.is_some_and(|ready| ready.status != "True")
}

fn say(failure: &Failure, delay: Option<Duration>, moment: Moment) {
    let took = api::meta::Duration::from(moment.elapsed());
    let next = delay
        .map(|d| api::meta::Duration::from(d).to_string())
        .unwrap_or_default();
    match failure.class {
        Class::Retry => tracing::error!(
            error = %failure.message, "Reconciliation failed after {took}, next try in {next}"
        ),
        Class::Stall => tracing::error!(error = %failure.message, "reconciliation stalled"),
        Class::Wait(_) => tracing::info!(reason = %failure.message, "reconciliation waiting"),
        Class::Superseded => tracing::info!(reason = %failure.message, "run superseded"),
    }
}
