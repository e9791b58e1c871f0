//! Sends what the spool holds, each notification until it went through or its time is over.

mod outcome;
mod send;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use api::notification::{Alert, Provider};
use jiff::Timestamp;
use kube::{
    ResourceExt,
    runtime::reflector::{ObjectRef, Store},
};
use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;

use self::send::{Fault, Prepared};
use super::{
    delivery::Delivery,
    limiter::Limiter,
    queue::{Pending, Queue, Step},
    spool::{Dropped, Spool},
    tell::Teller,
};
use crate::{
    metrics::{Deliveries, Outcome},
    provider::{Loader, SendError},
    provider_status::Statuses,
};

/// How many notifications are on their way at once.
const IN_ALL: usize = 128;
/// What was spooled by an earlier process is tried at least this long.
const GRACE: Duration = Duration::from_mins(1);
/// How long the notifications on their way are waited for at the end.
const DRAIN: Duration = Duration::from_secs(5);

/// What a courier works with.
pub(crate) struct Parts {
    pub alerts: Store<Alert>,
    pub providers: Store<Provider>,
    pub loader: Loader,
    pub limiter: Arc<Limiter>,
    pub per_alert: Arc<Limiter>,
    pub teller: Arc<Teller>,
    pub metrics: Deliveries,
    pub statuses: Arc<Statuses>,
    pub patience: Duration,
    pub per_provider: usize,
}

/// Sends notifications.
pub struct Courier {
    state: Mutex<State>,
    wake: Notify,
    prepared: Mutex<HashMap<String, Arc<Prepared>>>,
    parts: Parts,
}

struct State {
    spool: Spool,
    queue: Queue,
    /// Why each lane failed last.
    faults: HashMap<String, String>,
}

impl std::fmt::Debug for Courier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Courier").finish_non_exhaustive()
    }
}

impl Courier {
    /// Takes over a spool; what it holds is queued first.
    pub(crate) fn new(spool: Spool, parts: Parts) -> Arc<Self> {
        let mut queue = Queue::new(parts.per_provider, IN_ALL);
        let mut spool = spool;
        let (now, wall) = (Instant::now(), Timestamp::now().as_millisecond());
        for id in spool.ids() {
            let read = spool.get(id);
            let delivery = read.and_then(|p| serde_json::from_slice::<Delivery>(&p).ok());
            let Some(delivery) = delivery else {
                tracing::error!("a spooled notification cannot be understood and is dropped");
                spool.done(id);
                continue;
            };
            let age = u64::try_from(wall - delivery.accepted).unwrap_or_default();
            let left = parts.patience.saturating_sub(Duration::from_millis(age));
            let pending = delivery.pending(id, now + left.max(GRACE.min(parts.patience)));
            queue.push(&delivery.lane(), pending);
        }
        let (records, _) = spool.load();
        if records > 0 {
            tracing::info!(
                notifications = records,
                "going on with spooled notifications"
            );
        }
        let state = State {
            spool,
            queue,
            faults: HashMap::new(),
        };
        Arc::new(Self {
            state: Mutex::new(state),
            wake: Notify::new(),
            prepared: Mutex::default(),
            parts,
        })
    }

    /// Spools a notification. It survives this process from now on.
    pub fn take(&self, delivery: &Delivery) {
        // Nothing here has a map key that is no string, the one thing that can fail.
        let payload = serde_json::to_vec(delivery).unwrap_or_default();
        let lane = delivery.lane();
        let mut state = self.lock();
        match state.spool.append(&payload) {
            Ok((id, dropped)) => {
                let pending = delivery.pending(id, Instant::now() + self.parts.patience);
                state.queue.push(&lane, pending);
                let dropped: Vec<_> = dropped.iter().map(|d| state.forget(d)).collect();
                self.gauge(&state);
                drop(state);
                for lost in dropped.into_iter().flatten() {
                    self.lose(
                        &lost,
                        "dropped, as too many notifications wait",
                        Outcome::Dropped,
                    );
                }
                self.wake.notify_one();
            }
            Err(error) => {
                drop(state);
                tracing::error!(%error, "a notification cannot be spooled");
                self.lose(
                    delivery,
                    "the notification cannot be spooled",
                    Outcome::Dropped,
                );
            }
        }
    }

    /// Sends until told to stop, then waits a little for what is on its way.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut flying = JoinSet::new();
        while !stop.is_cancelled() {
            let (steps, wakes) = {
                let mut state = self.lock();
                let steps = state.queue.steps(Instant::now());
                (steps, state.queue.wakes())
            };
            for step in steps {
                match step {
                    Step::Send(lane, pending) => {
                        flying.spawn(Arc::clone(&self).attempt(lane, pending));
                    }
                    Step::GiveUp(lane, pending) => self.give_up(&lane, &pending),
                }
            }
            let due = async {
                match wakes {
                    // A lane that is busy may have a deadline that nothing can be done about yet.
                    Some(at) => {
                        let soon = Instant::now() + Duration::from_millis(20);
                        tokio::time::sleep_until(at.max(soon).into()).await;
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.wake.notified() => {}
                () = due => {}
                Some(ended) = flying.join_next(), if !flying.is_empty() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "sending a notification ended badly");
                    }
                }
            }
        }
        let drained = async { while flying.join_next().await.is_some() {} };
        drop(tokio::time::timeout(DRAIN, drained).await);
    }

    async fn attempt(self: Arc<Self>, lane: String, pending: Pending) {
        let payload = self.lock().spool.get(pending.id);
        let delivery = payload.and_then(|p| serde_json::from_slice::<Delivery>(&p).ok());
        let Some(delivery) = delivery else {
            self.settle(&lane, &pending, false);
            return;
        };
        let alert = self.alert_of(&delivery);
        let began = Instant::now();
        let result = match &alert {
            Some(alert) => Box::pin(self.send(alert, &delivery)).await,
            None => Err(Fault::Moot),
        };
        self.parts
            .metrics
            .took(&delivery.namespace, &delivery.provider, began.elapsed());
        match result {
            Ok(()) => {
                self.count(&delivery, Outcome::Sent);
                let statuses = &self.parts.statuses;
                statuses.delivered(&delivery.namespace, &delivery.provider);
                self.settle(&lane, &pending, true);
            }
            Err(Fault::Moot) => self.settle(&lane, &pending, false),
            Err(Fault::Send(SendError::Failed { message, after })) => {
                self.again(lane, pending, &delivery, &message, after);
            }
            Err(Fault::Prepare(error)) if error.is_transient() => {
                self.again(lane, pending, &delivery, &error.to_string(), None);
            }
            Err(Fault::Prepare(error)) => {
                self.settle(&lane, &pending, false);
                self.fail(&delivery, &error.to_string(), true);
            }
            Err(Fault::Send(error)) => {
                self.settle(&lane, &pending, false);
                self.fail(&delivery, &error.to_string(), false);
            }
        }
    }

    fn alert_of(&self, delivery: &Delivery) -> Option<Arc<Alert>> {
        let reference = ObjectRef::new(&delivery.alert).within(&delivery.namespace);
        let alert = self.parts.alerts.get(&reference)?;
        (alert.uid().unwrap_or_default() == delivery.alert_uid).then_some(alert)
    }

    fn count(&self, delivery: &Delivery, outcome: Outcome) {
        let metrics = &self.parts.metrics;
        metrics.count(&delivery.namespace, &delivery.provider, outcome);
    }

    fn gauge(&self, state: &State) {
        let (records, bytes) = state.spool.load();
        self.parts.metrics.waiting(records, bytes);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes out of the queue what the spool had to drop.
    fn forget(&mut self, dropped: &Dropped) -> Option<Delivery> {
        let delivery: Delivery = serde_json::from_slice(&dropped.payload).ok()?;
        self.queue.remove(&delivery.lane(), dropped.id);
        Some(delivery)
    }
}
