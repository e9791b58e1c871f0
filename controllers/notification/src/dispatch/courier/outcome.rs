//! What becomes of a notification after an attempt.

use std::time::{Duration, Instant};

use super::{Courier, Delivery};
use crate::{
    dispatch::{
        limiter,
        queue::{Again, Pending},
    },
    metrics::Outcome,
};

impl Courier {
    /// Puts a notification back, and says so the first time.
    pub(super) fn again(
        &self,
        lane: String,
        pending: Pending,
        delivery: &Delivery,
        cause: &str,
        after: Option<Duration>,
    ) {
        self.count(delivery, Outcome::Retried);
        self.failed(delivery, cause);
        if pending.attempts == 1
            && let Some(alert) = self.alert_of(delivery)
        {
            self.parts.teller.not_sent(&alert, &delivery.event, cause);
        }
        let mut state = self.lock();
        let pause = state
            .queue
            .failed(&lane, pending, Again { after }, Instant::now());
        state.faults.insert(lane, cause.to_owned());
        drop(state);
        let pause = api::meta::Duration::from(Duration::from_secs(pause.as_secs().max(1)));
        tracing::info!(
            namespace = delivery.namespace,
            provider = delivery.provider,
            error = cause,
            "notification not sent, next try in {pause}"
        );
        self.wake.notify_one();
    }

    pub(super) fn give_up(&self, lane: &str, pending: &Pending) {
        let (payload, fault) = {
            let mut state = self.lock();
            let payload = state.spool.get(pending.id);
            state.spool.done(pending.id);
            self.gauge(&state);
            (payload, state.faults.get(lane).cloned().unwrap_or_default())
        };
        if let Some(delivery) = payload.and_then(|p| serde_json::from_slice::<Delivery>(&p).ok()) {
            let patience = api::meta::Duration::from(self.parts.patience);
            self.lose(
                &delivery,
                &format!("given up after {patience}: {fault}"),
                Outcome::Failed,
            );
        }
    }

    /// Says that a notification failed for good.
    pub(super) fn fail(&self, delivery: &Delivery, cause: &str, prepared: bool) {
        self.count(delivery, Outcome::Failed);
        self.failed(delivery, cause);
        self.give_back(delivery);
        if let Some(alert) = self.alert_of(delivery) {
            if prepared {
                self.parts
                    .teller
                    .not_dispatched(&alert, &delivery.event, cause);
            } else {
                self.parts.teller.not_sent(&alert, &delivery.event, cause);
            }
        }
    }

    pub(super) fn lose(&self, delivery: &Delivery, cause: &str, outcome: Outcome) {
        self.count(delivery, outcome);
        self.failed(delivery, cause);
        self.give_back(delivery);
        if let Some(alert) = self.alert_of(delivery) {
            self.parts.teller.not_sent(&alert, &delivery.event, cause);
        }
    }

    fn failed(&self, delivery: &Delivery, cause: &str) {
        let statuses = &self.parts.statuses;
        statuses.failed(&delivery.namespace, &delivery.provider, cause);
    }

    /// Lets the same event be told again, now that it was not.
    fn give_back(&self, delivery: &Delivery) {
        if let Some(key) = delivery.key() {
            self.parts.limiter.give_back(&key);
            let own = limiter::key_for(&delivery.alert_uid, &key);
            self.parts.per_alert.give_back(&own);
        }
    }

    pub(super) fn settle(&self, lane: &str, pending: &Pending, delivered: bool) {
        let mut state = self.lock();
        state.spool.done(pending.id);
        state.queue.finished(lane, pending, delivered);
        if delivered {
            state.faults.remove(lane);
        }
        self.gauge(&state);
        drop(state);
        self.wake.notify_one();
    }
}
