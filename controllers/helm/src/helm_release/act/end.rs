//! How a run ends.

use std::time::Duration;

use kube::ResourceExt;
use runtime::{
    Change, Class, Failure, Note,
    conditions::{READY, STALLED},
};
use tokio::time::Instant;

use super::{
    super::{decide::Next, journal::REMEDIATED, spec},
    Run, Stop,
};

impl Run<'_> {
    /// Ends a run in which nothing is left to do.
    pub(super) fn finish(mut self, next: Next) -> Result<Change, Failure> {
        if next == Next::Exhausted {
            return Err(self.exhausted());
        }
        self.journal.summarise(self.object);
        if self.journal.is_true(READY) {
            self.observe_digests();
        }
        Ok(self.journal.take())
    }

    /// The same kind of action would follow: another run is to do it.
    pub(super) fn again(mut self) -> Failure {
        if let Some(delay) = self.retry() {
            return self.retry_after(delay);
        }
        if self.remedy().is_some_and(|r| r.is_exhausted()) {
            return self.exhausted();
        }
        self.requeue()
    }

    fn requeue(&mut self) -> Failure {
        let words = self.journal.message(READY);
        self.journal.retrying(words.clone());
        let failure = Failure::retry("ProgressingWithRetry", words).quietly();
        self.journal.end(failure)
    }

    fn retry_after(&mut self, delay: Duration) -> Failure {
        let inputs = self.inputs();
        self.controller
            .attempts
            .put_off(self.object, &inputs, delay, Instant::now());
        self.wait_for_retry(delay, delay)
    }

    /// Goes on waiting where something woke this object that brings nothing new: no try is spent on it.
    pub(super) fn put_off(&mut self) -> Option<Failure> {
        let delay = self.retry()?;
        let inputs = self.inputs();
        let left = self
            .controller
            .attempts
            .left(self.object, &inputs, Instant::now())?;
        tracing::debug!("nothing new since the last try: the next one keeps its time");
        Some(self.wait_for_retry(delay, left))
    }

    fn wait_for_retry(&mut self, delay: Duration, left: Duration) -> Failure {
        let words = format!("retrying after {}", api::meta::Duration::from(delay));
        self.journal.retrying(words.clone());
        let failure = Failure::wait(left, "ProgressingWithRetry", words).observed(true);
        self.journal.end(failure)
    }

    /// What a try depends on beside the chart: the specification, a user's request, the values.
    fn inputs(&self) -> String {
        let generation = self.object.metadata.generation;
        let requested = self.object.annotations().get(api::meta::RECONCILE_REQUEST);
        format!("{generation:?} {requested:?} {}", self.config_digest)
    }

    /// Ends a run that undid something.
    pub(super) fn remedied(mut self, next: Next) -> Failure {
        let upgraded = self.journal.status.last_attempted_release_action
            == Some(api::helm::ReleaseAction::Upgrade);
        let installs_next = next == Next::Uninstall && upgraded && self.journal.is_true(REMEDIATED);
        if self.remedy().is_some_and(|r| r.is_exhausted()) && !installs_next {
            return self.exhausted();
        }
        self.requeue()
    }

    /// No try is left: says what would help.
    pub(super) fn exhausted(&mut self) -> Failure {
        let action = match self.journal.status.last_attempted_release_action {
            Some(api::helm::ReleaseAction::Upgrade) => "upgrade",
            _ => "install",
        };
        let attempts = self.remedy().map_or(0, |r| r.failures);
        let words = format!("Failed to {action} after {attempts} attempt(s)");
        self.journal
            .set(STALLED, "True", "RetriesExceeded", words.clone());
        self.journal
            .end(Failure::stall("RetriesExceeded", words).quietly())
    }

    /// The release is another object's.
    pub(super) fn taken(&mut self, owner: &str) -> Failure {
        const REASON: &str = "ReleaseTaken";
        let (namespace, name) = (
            spec::release_namespace(self.object),
            spec::release_name(self.object),
        );
        let words = format!(
            "release {namespace}/{name} belongs to {owner}: give one of the two another spec.releaseName, or delete one"
        );
        self.journal.set(READY, "False", REASON, words.clone());
        self.journal.end(Failure::retry(REASON, words))
    }

    pub(super) fn no_state(&mut self, cause: &str) -> Failure {
        let words = format!("Could not determine release state: {cause}");
        self.journal
            .set(READY, "False", "StateError", words.clone());
        self.journal
            .end(Failure::retry("StateError", words).quietly())
    }

    /// Ends a run whose action could not be carried out.
    pub(super) fn stopped(mut self, stop: Stop) -> Failure {
        match stop {
            Stop::Failed(failure) => failure,
            Stop::Superseded(by) => {
                let words = format!("New reconciliation triggered by {by}");
                self.journal
                    .set(READY, "False", "HealthCheckCanceled", words.clone());
                let class = Class::Superseded;
                let failure = Failure::new(class, "HealthCheckCanceled", words.clone());
                self.journal
                    .end(failure.note(Note::info("HealthCheckCanceled", words)))
            }
            Stop::Retry(cause) => {
                if self.journal.is_true(READY)
                    || self.was_ready
                        && self
                            .journal
                            .find(READY)
                            .is_some_and(|c| c.status == "Unknown")
                {
                    self.journal
                        .set(READY, "False", "ReconcileError", cause.clone());
                }
                if let Some(delay) = self.retry() {
                    tracing::error!(error = cause, "action failed");
                    return self.retry_after(delay);
                }
                self.journal
                    .end(Failure::retry("ReconcileError", cause).quietly())
            }
        }
    }
}
