//! The one loop that every kind goes through.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use api::Reconciled;
use futures::{FutureExt, future::BoxFuture};
use jiff::Timestamp;
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{Patch, PatchParams},
    runtime::{controller::Action, reflector::ObjectRef},
};
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tracing::Instrument;

use crate::{
    Change, Class, Failure, Moment, Next, Note, Progress, Reconciler, Report, Summary,
    conditions::{self, PROGRESSING, READY, RECONCILING, STALLED},
    conduct::{Begin, Retry},
    events::Recorder,
    metrics::Metrics,
    progress::Ledger,
    requeue::{Backoff, Jitter},
    status::{Closing, StatusWriter},
};

/// The annotation by which a user asks for a run; any change of its value does.
pub const REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";
/// The finalizer that all Flux kinds share.
pub const FINALIZER: &str = "finalizers.fluxcd.io";

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
}

/// Everything that the runs of one kind share.
pub struct Driver<R: Reconciler> {
    reconciler: R,
    client: Client,
    recorder: Recorder,
    metrics: Metrics,
    settings: Settings,
    permits: Arc<Semaphore>,
    backoff: Backoff<ObjectRef<R::Object>>,
    written: Mutex<HashMap<ObjectRef<R::Object>, String>>,
    running: Arc<Running<R::Object>>,
}

impl<R: Reconciler> std::fmt::Debug for Driver<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// The runs that go on, so that they can be told that they became pointless.
#[derive(Debug)]
pub struct Running<K: Reconciled>(Mutex<HashMap<ObjectRef<K>, Run>>);

/// What a run was started for, and where it listens for what supersedes it.
#[derive(Debug)]
struct Run {
    wishes: u64,
    superseded: watch::Sender<Option<String>>,
}

impl<K: Reconciled> Default for Running<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Reconciled> Running<K> {
    /// Tells the object's run, if one goes on, that `by` made it pointless.
    pub fn supersede(&self, object: &ObjectRef<K>, by: &str) {
        let running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(run) = running.get(object) {
            run.superseded.send_replace(Some(by.to_owned()));
        }
    }

    /// Tells the object's run, if one goes on for an older copy, that this copy made it pointless.
    pub fn observe(&self, object: &K) {
        let running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let reference = ObjectRef::from_obj(object);
        if let Some(run) = running.get(&reference)
            && run.wishes != wishes(object)
        {
            let kind = K::kind(&());
            let namespace = object.namespace().unwrap_or_default();
            run.superseded
                .send_replace(Some(format!("{kind}/{namespace}/{}", object.name_any())));
        }
    }

    fn enter(&self, object: &K) -> watch::Receiver<Option<String>> {
        let (superseded, receiver) = watch::channel(None);
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        running.insert(
            ObjectRef::from_obj(object),
            Run {
                wishes: wishes(object),
                superseded,
            },
        );
        receiver
    }

    fn leave(&self, object: &ObjectRef<K>) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(object);
    }
}

/// Returns a fingerprint of what a user wishes of an object: generation, request, deletion.
pub fn wishes<K: Resource>(object: &K) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let meta = object.meta();
    let mut hasher = DefaultHasher::new();
    meta.generation.hash(&mut hasher);
    meta.annotations
        .as_ref()
        .and_then(|a| a.get(REQUESTED_AT))
        .hash(&mut hasher);
    meta.deletion_timestamp.is_some().hash(&mut hasher);
    hasher.finish()
}

/// The status writer and recorder of one run, shared with its [`Progress`].
struct Book<K: Reconciled> {
    writer: tokio::sync::Mutex<StatusWriter<K>>,
    recorder: Recorder,
    object: K,
}

impl<K: Reconciled> Ledger for Book<K> {
    fn write<'a>(&'a self, change: &'a Change) -> BoxFuture<'a, kube::Result<()>> {
        async move {
            self.writer
                .lock()
                .await
                .write(change, &Closing::default())
                .await
        }
        .boxed()
    }

    fn emit(&self, note: Note) {
        self.recorder.emit(&self.object, note);
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
        Self {
            reconciler,
            client,
            recorder,
            metrics,
            permits: Arc::new(Semaphore::new(settings.concurrent.max(1))),
            backoff: Backoff::new(min, max),
            written: Mutex::default(),
            running: Arc::default(),
            settings,
        }
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
        self.written
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(object);
        self.metrics.forget(
            &R::Object::kind(&()),
            object.namespace.as_deref(),
            &object.name,
        );
        self.reconciler.forget(object);
    }

    /// Reconciles one object once.
    pub async fn drive(self: Arc<Self>, object: Arc<R::Object>) -> Action {
        let kind = R::Object::kind(&()).into_owned();
        let span = tracing::info_span!(
            "reconcile",
            controller = %self.settings.controller,
            controllerGroup = %R::Object::group(&()),
            controllerKind = %kind,
            namespace = %object.namespace().unwrap_or_default(),
            name = %object.name_any(),
            reconcileID = %uuid::Uuid::new_v4(),
        );
        let reference = ObjectRef::from_obj(&*object);
        async {
            let _busy = self.metrics.enter(&self.settings.controller);
            match self.fresh(&object).await {
                Ok(Some(object)) => Box::pin(self.pass(object)).await,
                Ok(None) => Action::await_change(),
                Err(error) => {
                    tracing::error!(error = %crate::failure::chain(&error), "Reconciler error");
                    Action::requeue(self.backoff.next(reference))
                }
            }
        }
        .instrument(span)
        .await
    }

    /// Returns the object, read anew where the watched copy is older than our own last write.
    async fn fresh(&self, object: &R::Object) -> kube::Result<Option<R::Object>> {
        let reference = ObjectRef::from_obj(object);
        let written = {
            let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
            written.get(&reference).cloned()
        };
        let number = |v: &str| v.parse::<u64>().ok();
        let stale = written.as_deref().is_some_and(|w| {
            let seen = object.resource_version().unwrap_or_default();
            match (number(&seen), number(w)) {
                (Some(seen), Some(written)) => seen < written,
                _ => seen != w,
            }
        });
        if !stale {
            return Ok(Some(object.clone()));
        }
        self.api(object).get_opt(&object.name_any()).await
    }

    fn api(&self, object: &R::Object) -> Api<R::Object> {
        crate::client::api_of(self.client.clone(), object)
    }

    fn remember(&self, object: &R::Object) {
        if let Some(version) = object.resource_version() {
            let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
            written.insert(ObjectRef::from_obj(object), version);
        }
    }

    async fn pass(&self, object: R::Object) -> Action {
        let reference = ObjectRef::from_obj(&object);
        if object.meta().deletion_timestamp.is_some() {
            return self.delete(object).await;
        }
        let object = match self.finalized(object).await {
            Ok(object) => object,
            Err(error) => {
                tracing::error!(error = %crate::failure::chain(&error), "Reconciler error");
                return Action::requeue(self.backoff.next(reference));
            }
        };
        if object.suspended() {
            tracing::info!("reconciliation is suspended for this object");
            return self.suspended(object).await;
        }
        let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else {
            return Action::await_change();
        };
        let moment = Timestamp::now();
        let superseded = self.running.enter(&object);
        let action = self.reconcile(object, permit, superseded, moment).await;
        self.running.leave(&reference);
        action
    }

    /// Adds the finalizer where it is missing.
    async fn finalized(&self, object: R::Object) -> kube::Result<R::Object> {
        if object.finalizers().iter().any(|f| f == FINALIZER) {
            return Ok(object);
        }
        let mut finalizers = object.finalizers().to_vec();
        finalizers.push(FINALIZER.to_owned());
        let patch = json!({ "metadata": {
            "finalizers": finalizers, "resourceVersion": object.resource_version() } });
        let object = self.patch_metadata(&object, patch).await?;
        self.remember(&object);
        Ok(object)
    }

    async fn patch_metadata(
        &self,
        object: &R::Object,
        patch: serde_json::Value,
    ) -> kube::Result<R::Object> {
        let owner = Some(self.settings.field_owner.clone());
        let params = PatchParams {
            field_manager: owner,
            ..PatchParams::default()
        };
        self.api(object)
            .patch(&object.name_any(), &params, &Patch::Merge(patch))
            .await
    }

    /// Answers a request on a suspended object, and nothing else.
    async fn suspended(&self, object: R::Object) -> Action {
        let closes = R::CONDUCT.closes_suspended;
        let has_conditions = !object.conditions().is_empty();
        let closing = Closing {
            observed_generation: object
                .meta()
                .generation
                .filter(|_| closes && has_conditions),
            handled: requested(&object),
            summarise: closes,
            retrying: closes,
        };
        let change = if closes {
            Change::default().remove(STALLED)
        } else {
            Change::default()
        };
        let reference = ObjectRef::from_obj(&object);
        let mut writer = self.writer(object);
        if let Err(error) = writer.write(&change, &closing).await {
            tracing::error!(error = %crate::failure::chain(&error), "Reconciler error");
            return Action::requeue(self.backoff.next(reference));
        }
        self.remember(writer.current());
        Action::await_change()
    }

    fn writer(&self, object: R::Object) -> StatusWriter<R::Object> {
        let api = self.api(&object);
        StatusWriter::new(api, &self.settings.field_owner, R::CONDUCT.summary, object)
    }

    fn progress(
        &self,
        book: &Arc<Book<R::Object>>,
        permit: OwnedSemaphorePermit,
        superseded: watch::Receiver<Option<String>>,
        pending: bool,
    ) -> Progress {
        let (words, message) = match R::CONDUCT.begin {
            Begin::AtOnce => (None, Some(announcement(&book.object))),
            Begin::WithFirstNote(words) => (Some(words), None),
        };
        let ledger: Arc<dyn Ledger> = Arc::<Book<R::Object>>::clone(book);
        let permits = Arc::clone(&self.permits);
        Progress::new(
            ledger,
            permits,
            permit,
            superseded,
            words,
            (pending, message),
        )
    }

    async fn reconcile(
        &self,
        object: R::Object,
        permit: OwnedSemaphorePermit,
        superseded: watch::Receiver<Option<String>>,
        started: Timestamp,
    ) -> Action {
        let reference = ObjectRef::from_obj(&object);
        let pending = is_pending(&object);
        let book = Arc::new(Book {
            writer: tokio::sync::Mutex::new(self.writer(object.clone())),
            recorder: self.recorder.clone(),
            object,
        });
        let progress = self.progress(&book, permit, superseded, pending);
        let begun = if pending && R::CONDUCT.begin == Begin::AtOnce {
            let begin = beginning(&book.object);
            book.writer
                .lock()
                .await
                .write(&begin, &Closing::default())
                .await
        } else {
            Ok(())
        };
        let result = match begun {
            Ok(()) => self.attempt(&book.object, &progress, started).await,
            Err(error) => Err(Failure::retry("Failed", crate::failure::chain(&error)).quietly()),
        };
        let moment = Moment {
            started,
            now: Timestamp::now(),
        };
        let action = match result {
            Ok(report) => self.succeed(&book, &progress, report).await,
            Err(failure) => self.fail(&book, &progress, failure, moment).await,
        };
        self.remember(book.writer.lock().await.current());
        let kind = R::Object::kind(&());
        self.metrics.observe(
            &kind,
            reference.namespace.as_deref(),
            &reference.name,
            moment.elapsed(),
        );
        action
    }

    /// Gathers, plans and acts until there is an outcome; a panic becomes this object's failure.
    async fn attempt(
        &self,
        object: &R::Object,
        progress: &Progress,
        started: Timestamp,
    ) -> Result<Report, Failure> {
        let run = async {
            loop {
                let inputs = self.reconciler.gather(object, progress).await?;
                let outcome = match self.plan(object, inputs).await? {
                    Next::Done(outcome) => outcome,
                    Next::Last(plan) => self.reconciler.act(object, plan, progress).await?,
                    Next::More(plan) => {
                        self.reconciler.act(object, plan, progress).await?;
                        continue;
                    }
                };
                let moment = Moment {
                    started,
                    now: Timestamp::now(),
                };
                return Ok(R::report(object, &outcome, moment));
            }
        };
        match AssertUnwindSafe(run).catch_unwind().await {
            Ok(result) => result,
            Err(panic) => Err(Failure::retry("Failed", panicked(&*panic))),
        }
    }

    /// Plans on a thread of its own: renders take long, and there are only so many processors.
    async fn plan(
        &self,
        object: &R::Object,
        inputs: R::Inputs,
    ) -> Result<Next<R::Plan, R::Outcome>, Failure> {
        let permit = Arc::clone(&self.settings.processors).acquire_owned().await;
        let object = object.clone();
        let work = move || {
            let _permit = permit;
            R::plan(&object, inputs, Timestamp::now())
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(next) => next,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => Err(Failure::retry("Failed", panicked(&*panic))),
                Err(error) => Err(Failure::retry("Failed", error.to_string())),
            },
        }
    }

    async fn succeed(&self, book: &Book<R::Object>, progress: &Progress, report: Report) -> Action {
        let reference = ObjectRef::from_obj(&book.object);
        let change = report.change.remove(RECONCILING).remove(STALLED);
        let closing = Closing {
            observed_generation: book.object.meta().generation,
            handled: requested(&book.object),
            summarise: true,
            retrying: false,
        };
        if let Err(error) = book.writer.lock().await.write(&change, &closing).await {
            tracing::error!(error = %crate::failure::chain(&error), "failed to update status");
            self.metrics.count(&self.settings.controller, "error");
            return Action::requeue(self.backoff.next(reference));
        }
        for note in report.notes {
            self.recorder.emit(&book.object, note);
        }
        // What superseded the run comes as a trigger of its own.
        tracing::debug!(superseded = ?progress.superseded(), "Reconciliation finished");
        self.backoff.reset(&reference);
        let delay = report.requeue.or_else(|| {
            book.object
                .interval()
                .map(|i| self.settings.jitter.apply(i.into()))
        });
        let result = if delay.is_some() {
            "requeue_after"
        } else {
            "success"
        };
        self.metrics.count(&self.settings.controller, result);
        delay.map_or_else(Action::await_change, Action::requeue)
    }

    async fn fail(
        &self,
        book: &Book<R::Object>,
        progress: &Progress,
        failure: Failure,
        moment: Moment,
    ) -> Action {
        let reference = ObjectRef::from_obj(&book.object);
        let change = failed::<R>(&failure, progress.message().as_deref());
        let stalled = failure.class == Class::Stall;
        let observed = failure.observed.unwrap_or(stalled);
        let closing = Closing {
            observed_generation: book.object.meta().generation.filter(|_| observed),
            handled: requested(&book.object),
            summarise: true,
            retrying: !stalled,
        };
        if let Err(error) = book.writer.lock().await.write(&change, &closing).await {
            tracing::error!(error = %crate::failure::chain(&error), "failed to update status");
        }
        let delay = self.delay(&book.object, &failure);
        let took = api::meta::Duration::from(moment.elapsed());
        say(&failure, delay, &took.to_string());
        for note in failure.events() {
            self.recorder.emit(&book.object, note);
        }
        if matches!(failure.class, Class::Wait(_)) {
            self.backoff.reset(&reference);
        }
        let result = if failure.class == Class::Retry {
            "error"
        } else {
            "requeue_after"
        };
        self.metrics.count(&self.settings.controller, result);
        delay.map_or_else(Action::await_change, Action::requeue)
    }

    fn delay(&self, object: &R::Object, failure: &Failure) -> Option<Duration> {
        match (failure.class, R::CONDUCT.retry) {
            (Class::Stall, _) => None,
            (Class::Superseded, _) => Some(Duration::ZERO),
            (Class::Wait(delay), _) => Some(delay),
            (Class::Retry, Retry::Flat) => R::retry_interval(object),
            (Class::Retry, Retry::Exponential) => {
                Some(self.backoff.next(ObjectRef::from_obj(object)))
            }
        }
    }

    /// Cleans up after a deleted object and lets it go.
    async fn delete(&self, object: R::Object) -> Action {
        let reference = ObjectRef::from_obj(&object);
        if !object.finalizers().iter().any(|f| f == FINALIZER) {
            self.forget(&reference);
            return Action::await_change();
        }
        let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else {
            return Action::await_change();
        };
        let superseded = self.running.enter(&object);
        let action = self.release(object, permit, superseded).await;
        self.running.leave(&reference);
        action
    }

    async fn release(
        &self,
        object: R::Object,
        permit: OwnedSemaphorePermit,
        superseded: watch::Receiver<Option<String>>,
    ) -> Action {
        let reference = ObjectRef::from_obj(&object);
        let book = Arc::new(Book {
            writer: tokio::sync::Mutex::new(self.writer(object.clone())),
            recorder: self.recorder.clone(),
            object,
        });
        let progress = self.progress(&book, permit, superseded, false);
        let cleanup = self.reconciler.cleanup(&book.object, &progress);
        let result = match AssertUnwindSafe(cleanup).catch_unwind().await {
            Ok(result) => result,
            Err(panic) => Err(Failure::retry("Failed", panicked(&*panic))),
        };
        match result {
            Ok(notes) => {
                for note in notes {
                    self.recorder.emit(&book.object, note);
                }
                self.unfinalize(&book.object, &reference).await
            }
            Err(failure) => {
                for note in failure.events() {
                    self.recorder.emit(&book.object, note);
                }
                tracing::error!(error = %failure.message, "cleanup failed");
                let delay = match failure.class {
                    Class::Wait(delay) => delay,
                    _ => self.backoff.next(reference),
                };
                Action::requeue(delay)
            }
        }
    }

    async fn unfinalize(&self, object: &R::Object, reference: &ObjectRef<R::Object>) -> Action {
        let Some(version) = object.resource_version() else {
            return Action::await_change();
        };
        let left: Vec<_> = object
            .finalizers()
            .iter()
            .filter(|f| *f != FINALIZER)
            .collect();
        let left = if left.is_empty() {
            serde_json::Value::Null
        } else {
            json!(left)
        };
        let patch = json!({ "metadata": { "finalizers": left, "resourceVersion": version } });
        match self.patch_metadata(object, patch).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(kube::Error::Api(status)) if status.code == 409 => {
                // The object moved on; its newest copy is cleaned up again, which is harmless.
                self.written
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(reference.clone(), u64::MAX.to_string());
                return Action::requeue(Duration::from_millis(50));
            }
            Err(error) => {
                tracing::error!(error = %crate::failure::chain(&error), "Reconciler error");
                return Action::requeue(self.backoff.next(reference.clone()));
            }
        }
        self.forget(reference);
        Action::await_change()
    }
}

/// What a run that has something new to do writes before it begins.
fn beginning<K: Reconciled>(object: &K) -> Change {
    let words = announcement(object);
    let change = Change::default().condition(RECONCILING, "True", PROGRESSING, words.clone());
    match conditions::find(object.conditions(), READY) {
        Some(ready) if ready.status != "Unknown" => change,
        _ => change.condition(READY, "Unknown", PROGRESSING, words),
    }
}

fn announcement<K: Reconciled>(object: &K) -> String {
    let generation = object.meta().generation.unwrap_or(0);
    let observed = object.observed_generation().unwrap_or(-1);
    if generation == observed {
        "reconciliation in progress".into()
    } else {
        format!("processing object: new generation {observed} -> {generation}")
    }
}

fn requested<K: Resource>(object: &K) -> Option<String> {
    object
        .meta()
        .annotations
        .as_ref()?
        .get(REQUESTED_AT)
        .cloned()
}

/// Returns true where the user wishes something that no run has answered yet.
fn is_pending<K: Reconciled>(object: &K) -> bool {
    let handled = object.last_handled_reconcile_at().unwrap_or_default();
    object.meta().generation != object.observed_generation()
        || requested(object).is_some_and(|r| r != handled)
}

/// Maps a failure to conditions.
fn failed<R: Reconciler>(failure: &Failure, message: Option<&str>) -> Change {
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

fn panicked(panic: &(dyn std::any::Any + Send)) -> String {
    let words = panic
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "unknown".into());
    format!("recovered from panic: {words}")
}

fn say(failure: &Failure, delay: Option<Duration>, took: &str) {
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
