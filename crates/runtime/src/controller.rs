//! A kind and what wakes it, put on kube's controller.

use std::{sync::Arc, time::Duration};

use api::Reconciled;
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::SelectAll};
use kube::{
    Client, Resource,
    runtime::{
        Controller, WatchStreamExt,
        controller::{Action, Config},
        reflector::{ObjectRef, Store, store},
        watcher,
    },
};

use crate::{
    Reconciler,
    drive::{Driver, Running, Settings, wishes},
    events::Recorder,
    metrics::Metrics,
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
        Self {
            name,
            start: Box::new(|around| watched(reconciler, around).boxed()),
        }
    }

    /// Returns the kind in lower case.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reconciles until it is told to stop and every run has ended.
    pub(crate) fn run(self, around: Surroundings) -> BoxFuture<'static, ()> {
        (self.start)(around)
    }
}

async fn watched<R: Reconciler>(reconciler: R, around: Surroundings) {
    let Surroundings {
        client,
        recorder,
        metrics,
        scope,
        mut settings,
        stop,
    } = around;
    settings.controller = R::Object::kind(&()).to_lowercase();
    metrics.announce(&settings.controller, settings.concurrent);
    let driver = Arc::new(Driver::new(
        reconciler,
        client.clone(),
        recorder,
        metrics,
        settings,
    ));
    let (reader, writer) = store::<R::Object>();
    let triggers = Triggers {
        client: client.clone(),
        store: reader.clone(),
        running: Arc::clone(driver.running()),
        scope: scope.clone(),
    };
    let mut extra = SelectAll::new();
    for stream in driver.reconciler().triggers(&triggers) {
        extra.push(stream);
    }
    // SelectAll ends when it is empty; a kind without triggers waits for ever instead.
    extra.push(futures::stream::pending().boxed());

    let observer = Arc::clone(&driver);
    let objects = watch::events::<R::Object>(client, &scope)
        .inspect(move |event| observe(&observer, event))
        .map(Ok)
        .reflect(writer)
        .applied_objects()
        .predicate_filter(
            |object: &R::Object| Some(wishes(object)),
            kube::runtime::PredicateConfig::default(),
        );
    Controller::for_stream(objects, reader)
        .with_config(Config::default())
        .reconcile_on(extra)
        .graceful_shutdown_on(stop.cancelled_owned())
        .run(
            |object, driver: Arc<Driver<R>>| async move {
                Ok::<Action, std::convert::Infallible>(driver.drive(object).await)
            },
            |_, never, _| match *never {},
            driver,
        )
        .for_each(|result| async move {
            if let Err(error) = result {
                // An object that is gone while its next run was due, mostly.
                tracing::debug!(%error, "nothing to reconcile");
            }
        })
        .await;
}

fn observe<R: Reconciler>(driver: &Driver<R>, event: &watcher::Event<R::Object>) {
    match event {
        watcher::Event::Apply(object) | watcher::Event::InitApply(object) => {
            driver.running().observe(object);
        }
        watcher::Event::Delete(object) => driver.forget(&ObjectRef::from_obj(object)),
        watcher::Event::Init | watcher::Event::InitDone => {}
    }
}

/// How long a stopping process waits for the runs that go on.
pub const GRACE: Duration = Duration::from_mins(10);
