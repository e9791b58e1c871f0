//! A kind and what wakes it: one loop that follows its objects and begins their runs.

mod observer;

use std::{pin::pin, sync::Arc, time::Duration};

use api::Reconciled;
use futures::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{BoxStream, SelectAll},
};
use kube::{
    Client, Resource,
    runtime::{
        reflector::{ObjectRef, Store, store},
        watcher::Event,
    },
};

use tokio::{
    task::{JoinError, JoinSet},
    time::Instant,
};

use self::observer::Observer;
use crate::{
    Reconciler,
    agenda::Agenda,
    drive::{Driver, Running, Settings},
    events::Recorder,
    metrics::{Metrics, resources},
    probes::{Condition, Readiness},
    watch::{self, Scope},
};

/// What a kind's own triggers are built from.
pub struct Triggers<K: Reconciled> {
    client: Client,
    store: Store<K>,
    running: Arc<Running<K>>,
    scope: Scope,
}

impl<K: Reconciled> std::fmt::Debug for Triggers<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Triggers")
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

impl<K: Reconciled> Triggers<K> {
    /// Returns the client.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Returns the objects of the kind, as last watched.
    pub fn store(&self) -> Store<K> {
        self.store.clone()
    }

    /// Returns which objects the controller sees.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Returns the runs that go on, to tell them that a trigger made them pointless.
    pub fn running(&self) -> Arc<Running<K>> {
        Arc::clone(&self.running)
    }
}

/// What every kind of a process gets to work with.
#[derive(Clone)]
pub struct Surroundings {
    /// The API server.
    pub client: Client,
    /// Takes events.
    pub recorder: Recorder,
    /// Counts and measures.
    pub metrics: Metrics,
    /// Which objects the controller sees.
    pub scope: Scope,
    /// The settings of the flags; a kind's own name is filled in.
    pub settings: Settings,
    /// What has to be there before the process is ready.
    pub readiness: Readiness,
    /// Ends the kind gracefully.
    pub stop: tokio_util::sync::CancellationToken,
}

impl std::fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings")
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

type Start = Box<dyn FnOnce(Surroundings) -> BoxFuture<'static, ()> + Send>;

/// A kind that a process reconciles.
pub struct Kind {
    name: String,
    served: Option<&'static api::served::Kind>,
    start: Start,
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kind")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Kind {
    /// Wraps a reconciler.
    pub fn new<R: Reconciler>(reconciler: R) -> Self {
        let name = R::Object::kind(&()).to_lowercase();
        let (group, kind) = (R::Object::group(&()), R::Object::kind(&()));
        let mut served = api::served::kinds();
        Self {
            name,
            served: served.find(|served| served.group == group && served.kind == kind),
            start: Box::new(|around| {
                let name = R::Object::kind(&()).to_lowercase();
                let synced = around.readiness.condition(&format!("{name} watch"));
                watched(reconciler, around, synced).boxed()
            }),
        }
    }

    /// Returns the kind in lower case.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the versions that the kind is served in; none for one that is not the toolkit's.
    #[must_use]
    pub const fn served(&self) -> Option<&'static api::served::Kind> {
        self.served
    }

    /// Reconciles until it is told to stop and every run has ended. From this call on, the process
    /// is not ready before the kind's objects have been listed.
    pub fn run(self, around: Surroundings) -> BoxFuture<'static, ()> {
        (self.start)(around)
    }
}

async fn watched<R: Reconciler>(reconciler: R, around: Surroundings, synced: Condition) {
    let Surroundings {
        client,
        recorder,
        metrics,
        scope,
        mut settings,
        readiness: _,
        stop,
    } = around;
    settings.controller = R::Object::kind(&()).to_lowercase();
    let (store, mut writer) = store::<R::Object>();
    let shown = store.clone();
    metrics.add_resources(move |out| resources::print(&shown, out));
    let driver = Driver::new(reconciler, client.clone(), recorder, metrics, settings)
        .reading_from(store.clone())
        .until(stop.clone());
    let driver = Arc::new(driver);
    let mut wakes = triggers(&driver, &client, &store, &scope);
    let (wake, woken) = futures::channel::mpsc::unbounded();
    wakes.push(woken.boxed());

    let mut observer = Observer::new(Arc::clone(&driver), store.clone(), wake);
    let absent = synced.clone();
    let objects = watch::events_or_absent::<R::Object, _>(client, &scope, move || absent.meet());
    let mut objects = pin!(objects);
    let mut agenda = Agenda::default();
    let mut runs = JoinSet::new();
    let mut is_listed = false;
    let stopped = pin!(stop.cancelled());
    let mut stopped = stopped.fuse();
    loop {
        tokio::select! {
            biased;
            () = &mut stopped => break,
            event = objects.next() => {
                let Some(event) = event else { break };
                writer.apply_watcher_event(&event);
                observer.observe(&event);
                if matches!(event, Event::InitDone) {
                    synced.meet();
                }
            }
            Some(ended) = runs.join_next() => {
                let (object, again) = left(ended);
                agenda.ended(object, again);
            }
            Some(object) = wakes.next() => agenda.ask(object, Instant::now()),
            object = agenda.next(), if is_listed => match store.get(&object) {
                Some(held) => {
                    let run = Arc::clone(&driver).drive(held);
                    runs.spawn(run.map(|again| (object, again.map(|after| Instant::now() + after))));
                }
                // It went away while its next run was due.
                None => agenda.ended(object, None),
            },
            ready = store.wait_until_ready(), if !is_listed => is_listed = ready.is_ok(),
        }
    }
    // Nothing begins any more; what goes on may end.
    runs.join_all().await;
}

/// Returns what a run left. A panic that it did not catch is the kind's, and ends the process.
fn left<T>(ended: Result<T, JoinError>) -> T {
    match ended {
        Ok(left) => left,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Returns what wakes a kind besides its own objects.
fn triggers<R: Reconciler>(
    driver: &Driver<R>,
    client: &Client,
    store: &Store<R::Object>,
    scope: &Scope,
) -> SelectAll<BoxStream<'static, ObjectRef<R::Object>>> {
    let triggers = Triggers {
        client: client.clone(),
        store: store.clone(),
        running: Arc::clone(driver.running()),
        scope: scope.clone(),
    };
    driver
        .reconciler()
        .triggers(&triggers)
        .into_iter()
        .collect()
}

/// How long a stopping process waits for the runs that go on.
pub const GRACE: Duration = Duration::from_mins(10);
