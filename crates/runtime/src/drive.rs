//! The one loop that every kind goes through.

mod attempt;
mod book;
mod close;
mod delete;
mod release;
mod running;
mod settled;
mod written;

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use api::Reconciled;
use futures::FutureExt;
use jiff::Timestamp;
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{Patch, PatchParams},
    runtime::reflector::{ObjectRef, Store},
};
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use self::{
    book::Book,
    running::Entered,
    settled::Settled,
    written::{Standing, Written},
};
use crate::{
    Progress, Reconciler,
    conduct::Begin,
    events::Recorder,
    metrics::Metrics,
    progress::{Ledger, Permits},
    requeue::{Backoff, Jitter},
    status::{StatusWriter, lean},
    traces::{Tracer, Trail},
    turns::Turns,
};

pub use self::running::{Running, wishes};

pub use api::meta::{FINALIZER, RECONCILE_REQUEST as REQUESTED_AT};

/// How often a write of finalizers is computed anew when someone else wrote in between.
const MAX_CONFLICTS: usize = 5;

/// Settings of one kind in one process.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The controller's name as logs and metrics have it: the kind in lower case.
    pub controller: String,
    /// The field manager of metadata and status writes.
    pub field_owner: String,
    /// How many runs go on at once.
    pub concurrent: usize,
    /// The shortest and the longest delay of exponential retries.
    pub retry_delay: (Duration, Duration),
    /// The spread of intervals.
    pub jitter: Jitter,
    /// A permit for each processor, taken by work that keeps one busy.
    pub processors: Arc<Semaphore>,
    /// Takes spans of runs.
    pub tracer: Tracer,
}

/// Everything that the runs of one kind share.
pub struct Driver<R: Reconciler> {
    reconciler: R,
    client: Client,
    recorder: Recorder,
    metrics: Metrics,
    settings: Settings,
    turns: Arc<Turns>,
    backoff: Backoff<ObjectRef<R::Object>>,
    written: Written<R::Object>,
    settled: Settled<R::Object>,
    running: Arc<Running<R::Object>>,
    store: Option<Store<R::Object>>,
    stop: CancellationToken,
}

impl<R: Reconciler> std::fmt::Debug for Driver<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl<R: Reconciler> Driver<R> {
    /// Creates the driver of a kind.
    pub fn new(
        reconciler: R,
        client: Client,
        recorder: Recorder,
        metrics: Metrics,
        settings: Settings,
    ) -> Self {
        let (min, max) = settings.retry_delay;
        let turns = Arc::new(Turns::new(settings.concurrent));
        let (name, concurrent) = (&settings.controller, settings.concurrent.max(1));
        metrics.announce(name, concurrent, turns.permits());
        Self {
            reconciler,
            client,
            recorder,
            metrics,
            turns,
            backoff: Backoff::new(min, max),
            written: Written::default(),
            settled: Settled::default(),
            running: Arc::new(Running::new(R::CONDUCT.heeds_requests)),
            store: None,
            stop: CancellationToken::new(),
            settings,
        }
    }

    /// Lets runs begin with the newest watched copy instead of the one they were queued with.
    #[must_use]
    pub fn reading_from(mut self, store: Store<R::Object>) -> Self {
        self.store = Some(store);
        self
    }

    /// Once the token is cancelled, queued runs do not begin, and waiting ones are dropped.
    #[must_use]
    pub fn until(mut self, stop: CancellationToken) -> Self {
        self.stop = stop;
        self
    }

    /// Returns the reconciler.
    pub fn reconciler(&self) -> &R {
        &self.reconciler
    }

    /// Returns the runs that go on.
    pub fn running(&self) -> &Arc<Running<R::Object>> {
        &self.running
    }

    /// Drops what is remembered of an object that is gone.
    pub fn forget(&self, object: &ObjectRef<R::Object>) {
        self.backoff.reset(object);
        self.written.forget(object);
        self.settled.forget(object);
        self.metrics.forget(
            &R::Object::kind(&()),
            object.namespace.as_deref(),
            &object.name,
        );
        self.reconciler.forget(object);
    }

    /// Drops what is remembered of an object that is gone, or that we let go. Copies of it that the
    /// watch is late with are not acted on.
    fn let_go(&self, object: &R::Object) {
        let reference = ObjectRef::from_obj(object);
        self.forget(&reference);
        if let Some(store) = &self.store {
            let is_held = || {
                let held = store.get(&reference);
                held.is_some_and(|held| held.uid() == object.uid())
            };
            self.written.let_go(object, is_held);
        }
    }

    /// Reconciles one object once. A panic ends this run only. Returns after how long the next run is due; none where only
    /// a change of the object calls for one.
    pub async fn drive(self: Arc<Self>, object: Arc<R::Object>) -> Option<Duration> {
        let reference = ObjectRef::from_obj(&*object);
        let span = span_of(&self.settings.controller, &*object);
        async {
            let queued = self.metrics.enqueue(&self.settings.controller);
            let permit = self.permit().await?;
            let _working = queued.begin();
            let once = AssertUnwindSafe(Box::pin(self.once(object, permit)));
            let again = once.catch_unwind().await.unwrap_or_else(|panic| {
                let cause = attempt::panicked(&*panic);
                tracing::error!(error = cause, "Reconciler error");
                self.metrics.count(&self.settings.controller, "error");
                Some(self.backoff.next(reference))
            });
            crate::memory::tidy();
            again
        }
        .instrument(span)
        .await
    }

    /// Waits for a permit; none where the process stops first.
    async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            permit = self.turns.begin() => permit,
        }
    }

    async fn once(&self, object: Arc<R::Object>, permit: OwnedSemaphorePermit) -> Option<Duration> {
        let reference = ObjectRef::from_obj(&*object);
        let object = match self.newest(object).await {
            Ok(Some(object)) => object,
            Ok(None) => return None,
            Err(error) => return Some(self.troubled(reference, &error)),
        };
        let (again, gone) = self.pass(Arc::clone(&object), permit).await;
        if gone {
            self.let_go(&object);
            return None;
        }
        again
    }

    /// Returns the newest copy: the one of the store, or the server's where even that is older than
    /// our own last write; none, and nothing is remembered, where there is no such object any more.
    async fn newest(&self, object: Arc<R::Object>) -> kube::Result<Option<Arc<R::Object>>> {
        let reference = ObjectRef::from_obj(&*object);
        let held = match &self.store {
            Some(store) => store.get(&reference),
            None => Some(object),
        };
        let Some(object) = held else {
            self.forget(&reference);
            return Ok(None);
        };
        match self.written.standing(&object) {
            Standing::Current => Ok(Some(object)),
            Standing::LetGo => Ok(None),
            Standing::Outdated => {
                let fresh = self.api(&object).get_opt(&object.name_any()).await?;
                if fresh.is_none() {
                    self.let_go(&object);
                }
                Ok(fresh.map(Arc::new))
            }
        }
    }

    /// Deletes, suspends or reconciles. Returns also whether the object turned out to be gone.
    async fn pass(
        &self,
        object: Arc<R::Object>,
        permit: OwnedSemaphorePermit,
    ) -> (Option<Duration>, bool) {
        if object.meta().deletion_timestamp.is_some() {
            return self.delete(object, permit).await;
        }
        if R::is_static(&object) {
            return (self.release(object, permit).await, false);
        }
        let reference = ObjectRef::from_obj(&*object);
        let object = match self.finalized(object).await {
            Ok(Some(object)) => object,
            // Deleted meanwhile: the watch brings what is to be done about it.
            Ok(None) => return (None, false),
            Err(error) => return (Some(self.troubled(reference, &error)), false),
        };
        if object.suspended() {
            tracing::info!("reconciliation is suspended for this object");
            return self.suspended(object).await;
        }
        let entered = self.enter(&object);
        let superseded = entered.superseded();
        let (again, gone) = self
            .reconcile(object, permit, superseded, Timestamp::now())
            .await;
        (again, gone || entered.is_gone())
    }

    /// Lists a run. The watch may have shown a newer copy since this one was taken from the store.
    fn enter(&self, object: &R::Object) -> Entered<R::Object> {
        let entered = self.running.enter(object);
        if let Some(store) = &self.store
            && let Some(newest) = store.get(&ObjectRef::from_obj(object))
        {
            self.running.observe(&newest);
        }
        entered
    }

    /// Says what kept a run from beginning or ending properly, and when it is tried again.
    fn troubled(&self, object: ObjectRef<R::Object>, error: &kube::Error) -> Duration {
        tracing::error!(error = %crate::failure::chain(error), "Reconciler error");
        self.metrics.count(&self.settings.controller, "error");
        self.backoff.next(object)
    }

    fn api(&self, object: &R::Object) -> Api<R::Object> {
        crate::client::api_of(self.client.clone(), object)
    }

    /// Adds the finalizer where it is missing; none where the object is going or gone.
    async fn finalized(&self, object: Arc<R::Object>) -> kube::Result<Option<Arc<R::Object>>> {
        let mut object = object;
        for attempt in 0.. {
            if object.meta().deletion_timestamp.is_some() {
                return Ok(None);
            }
            if object.finalizers().iter().any(|f| f == FINALIZER) {
                break;
            }
            let mut finalizers = object.finalizers().to_vec();
            finalizers.push(FINALIZER.to_owned());
            match self.set_finalizers(&object, &finalizers, attempt).await? {
                Some(written) => object = written,
                None => return Ok(None),
            }
        }
        Ok(Some(object))
    }

    /// Writes the finalizers of a copy. At one of the first conflicts it returns the newest copy,
    /// unwritten; none where that object is gone.
    async fn set_finalizers(
        &self,
        object: &R::Object,
        finalizers: &[String],
        attempt: usize,
    ) -> kube::Result<Option<Arc<R::Object>>> {
        let patch = json!({ "metadata": {
            "finalizers": Some(finalizers).filter(|f| !f.is_empty()),
            "resourceVersion": object.resource_version(), "uid": object.uid() } });
        let params = PatchParams {
            field_manager: Some(self.settings.field_owner.clone()),
            ..PatchParams::default()
        };
        let (api, name) = (self.api(object), object.name_any());
        match api.patch(&name, &params, &Patch::Merge(patch)).await {
            Ok(written) => {
                self.written.remember(&written);
                Ok(Some(lean(written)))
            }
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(kube::Error::Api(status)) if status.code == 409 && attempt < MAX_CONFLICTS => {
                let fresh = api.get_opt(&name).await?;
                Ok(fresh.filter(|f| f.uid() == object.uid()).map(lean))
            }
            Err(error) => Err(error),
        }
    }

    fn book(&self, object: Arc<R::Object>) -> Arc<Book<R::Object>> {
        let (client, owner) = (self.client.clone(), &self.settings.field_owner);
        let writer = StatusWriter::new(client, owner, R::CONDUCT.summary, Arc::clone(&object));
        Book::new(writer, self.recorder.clone(), object)
    }

    /// Remembers what a run wrote. Returns true where it found the object gone.
    async fn settle(&self, book: &Book<R::Object>) -> bool {
        let (current, gone) = book.current().await;
        if current.resource_version() != book.object.resource_version() {
            self.written.remember(&current);
        }
        gone
    }

    fn progress(
        &self,
        book: &Arc<Book<R::Object>>,
        permit: OwnedSemaphorePermit,
        superseded: watch::Receiver<Option<String>>,
        pending: bool,
    ) -> Progress {
        let (words, message) = match R::CONDUCT.begin {
            Begin::AtOnce => (None, Some(close::announcement(&*book.object))),
            Begin::WithFirstNote(words) => (Some(words), None),
        };
        let ledger: Arc<dyn Ledger> = Arc::<Book<R::Object>>::clone(book);
        let permits = Permits::new(Arc::clone(&self.turns), permit, self.stop.clone());
        let trail = Trail::new(self.settings.tracer.is_on());
        Progress::new(ledger, permits, superseded, words, (pending, message)).leaving(trail)
    }
}

fn span_of<K: Reconciled>(controller: &str, object: &K) -> tracing::Span {
    tracing::info_span!(
        "reconcile",
        controller = %controller,
        controllerGroup = %K::group(&()),
        controllerKind = %K::kind(&()),
        namespace = %object.namespace().unwrap_or_default(),
        name = %object.name_any(),
        reconcileID = %uuid::Builder::from_random_bytes(rand::random()).into_uuid(),
    )
}
