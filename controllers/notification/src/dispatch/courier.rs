//! Sends what the spool holds, each notification until it went through or its time is over.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use api::notification::{Alert, Provider};
use jiff::Timestamp;
use kube::{
    ResourceExt,
    runtime::reflector::{ObjectRef, Store},
};
use serde::{Deserialize, Serialize};
use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    limiter::{self, Key, Limiter},
    no_provider,
    queue::{Again, Pending, Queue, Step},
    spool::{Dropped, Id, Spool},
    tell::Teller,
};
use crate::{
    event::Event,
    metrics::{Deliveries, Outcome},
    provider::{self, AlertIdentity, BuildError, Loader, Notice, SendError, Settings},
    provider_status::Statuses,
    status_name,
};

/// How many notifications are on their way at once.
const IN_ALL: usize = 128;
/// How long a notifier is used before its Secrets are read again.
const FRESH: Duration = Duration::from_secs(5);
/// How many notifiers are kept.
const KEPT: usize = 256;
/// What was spooled by an earlier process is tried at least this long.
const GRACE: Duration = Duration::from_mins(1);
/// How long the notifications on their way are waited for at the end.
const DRAIN: Duration = Duration::from_secs(5);

/// One event for one alert, as it is spooled.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Delivery {
    namespace: String,
    alert: String,
    alert_uid: String,
    provider: String,
    /// What happened, in hex.
    key: String,
    /// When it was taken, in milliseconds since 1970.
    accepted: i64,
    event: Event,
}

impl Delivery {
    /// Describes an event, merged with an alert's metadata, on its way to the alert's provider.
    #[must_use]
    pub fn new(alert: &Alert, event: Event, key: Key) -> Self {
        Self {
            namespace: alert.namespace().unwrap_or_default(),
            alert: alert.name_any(),
            alert_uid: alert.uid().unwrap_or_default(),
            provider: alert.spec.provider_ref.name.clone(),
            key: hex::encode(key),
            accepted: Timestamp::now().as_millisecond(),
            event,
        }
    }

    fn lane(&self) -> String {
        format!("{}/{}", self.namespace, self.provider)
    }

    fn pending(&self, id: Id, deadline: Instant) -> Pending {
        let mut object = DefaultHasher::new();
        self.event.involved_object.hash(&mut object);
        Pending {
            id,
            object: object.finish(),
            deadline,
            attempts: 0,
        }
    }

    fn key(&self) -> Option<Key> {
        hex::decode(&self.key).ok()?.try_into().ok()
    }
}

/// A notifier ready to be used.
struct Prepared {
    generation: Option<i64>,
    uid: Option<String>,
    made: Instant,
    notifier: provider::Boxed,
    settings: Arc<Settings>,
}

/// How an attempt failed.
#[derive(Debug)]
enum Fault {
    /// Nothing was sent.
    Prepare(BuildError),
    /// It was tried.
    Send(SendError),
    /// Nobody is to be told any more.
    Moot,
}

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

    async fn send(&self, alert: &Alert, delivery: &Delivery) -> Result<(), Fault> {
        let reference = ObjectRef::new(&delivery.provider).within(&delivery.namespace);
        let Some(provider) = self.parts.providers.get(&reference) else {
            return Err(Fault::Prepare(BuildError::new(no_provider(
                &delivery.provider,
            ))));
        };
        if provider.spec.suspend.unwrap_or_default() {
            return Err(Fault::Moot);
        }
        let prepared = self.prepare(&provider).await.map_err(|error| {
            let what = format!(
                "failed to initialize notifier for provider '{}'",
                delivery.provider
            );
            Fault::Prepare(error.within(&what))
        })?;
        let status = status_name::of(&provider, alert, &delivery.event).map_err(Fault::Prepare)?;
        let notice = Notice {
            event: delivery.event.clone(),
            alert: AlertIdentity {
                namespace: delivery.namespace.clone(),
                name: delivery.alert.clone(),
                uid: delivery.alert_uid.clone(),
            },
            status,
        };
        let timeout = prepared.settings.timeout;
        let sent = tokio::time::timeout(timeout, prepared.notifier.send(&notice)).await;
        let error = match sent {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error,
            Err(_) => {
                let timeout = api::meta::Duration::from(timeout);
                SendError::failed(format!("no answer within {timeout}"))
            }
        };
        // The Secret may have changed.
        self.forget(&delivery.lane());
        let redact = |text: String| prepared.settings.redactor.redact(&text);
        Err(Fault::Send(match error {
            SendError::Rejected(message) => SendError::Rejected(redact(message)),
            SendError::Failed { message, after } => SendError::Failed {
                message: redact(message),
                after,
            },
        }))
    }

    /// Returns the notifier of a provider, made lately or now.
    async fn prepare(&self, provider: &Provider) -> Result<Arc<Prepared>, BuildError> {
        let namespace = provider.namespace().unwrap_or_default();
        let key = format!("{namespace}/{}", provider.name_any());
        {
            let kept = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(prepared) = kept.get(&key)
                && prepared.generation == provider.metadata.generation
                && prepared.uid == provider.uid()
                && prepared.made.elapsed() < FRESH
            {
                return Ok(Arc::clone(prepared));
            }
        }
        let settings = Arc::new(self.parts.loader.load(provider).await?);
        let notifier = provider::build(&settings)
            .map_err(|error| error.redacted(&settings.redactor))
            .map_err(|error| error.within("failed to initialize notifier"))?;
        let prepared = Arc::new(Prepared {
            generation: provider.metadata.generation,
            uid: provider.uid(),
            made: Instant::now(),
            notifier,
            settings,
        });
        let mut kept = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(key, Arc::clone(&prepared));
        Ok(prepared)
    }

    fn forget(&self, lane: &str) {
        let mut kept = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remove(lane);
    }

    /// Puts a notification back, and says so the first time.
    fn again(
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

    fn give_up(&self, lane: &str, pending: &Pending) {
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
    fn fail(&self, delivery: &Delivery, cause: &str, prepared: bool) {
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

    fn lose(&self, delivery: &Delivery, cause: &str, outcome: Outcome) {
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

    fn settle(&self, lane: &str, pending: &Pending, delivered: bool) {
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
