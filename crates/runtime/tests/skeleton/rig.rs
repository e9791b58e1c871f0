//! A controller of toys in a namespace of its own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
    client::Body,
    core::PartialObjectMeta,
};
use runtime::{
    Kind, controller::Surroundings, drive::Settings, events::Recorder, metrics::Metrics,
    probes::Readiness, requeue::Jitter, watch::Scope,
};
use serde_json::{Value, json};
use testkit::{Namespace, control_plane};
use tokio::{sync::Semaphore, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::toy::{Diary, Style, Toy, Toys, definition};

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Asks until `ask` says yes.
pub(crate) async fn until(what: &str, mut ask: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !ask().await {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Installs the toys' definition where it is missing.
pub(crate) async fn define(client: &Client, plural: &str, kind: &str) {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let definition = definition(plural, kind);
    let name = definition["metadata"]["name"].as_str().unwrap().to_owned();
    let params = PatchParams::apply("tests").force();
    api.patch(&name, &params, &Patch::Apply(&definition))
        .await
        .unwrap();
    until("definition is established", async || {
        let found = api.get(&name).await.unwrap().status.unwrap_or_default();
        let conditions = found.conditions.unwrap_or_default();
        conditions
            .iter()
            .any(|c| c.type_ == "Established" && c.status == "True")
    })
    .await;
}

/// What a test may choose.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub(crate) concurrent: usize,
    pub(crate) retry_delay: (Duration, Duration),
    pub(crate) selector: Option<String>,
    pub(crate) webhook: Option<String>,
    /// What earlier processes did.
    pub(crate) diary: Arc<Diary>,
}

impl Default for Choice {
    fn default() -> Self {
        Self {
            concurrent: 4,
            retry_delay: (Duration::from_millis(100), Duration::from_secs(5)),
            selector: None,
            webhook: None,
            diary: Arc::default(),
        }
    }
}

/// A namespace with a controller of toys.
pub(crate) struct Rig {
    pub(crate) namespace: Namespace,
    pub(crate) client: Client,
    pub(crate) toys: Api<Toy>,
    pub(crate) controller: Controller,
}

/// A running controller.
pub(crate) struct Controller {
    pub(crate) diary: Arc<Diary>,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<()>,
    pub(crate) events: JoinHandle<()>,
    pub(crate) readiness: Readiness,
    pub(crate) metrics: Metrics,
    pub(crate) status_writes: Arc<AtomicUsize>,
}

impl Controller {
    pub(crate) fn start<S: Style>(client: &Client, namespace: &str, choice: Choice) -> Self {
        let diary = choice.diary;
        let status_writes = Arc::new(AtomicUsize::new(0));
        let client = counting(client, Arc::clone(&status_writes));
        let webhook = choice.webhook;
        let (recorder, events) =
            Recorder::start(client.clone(), "toy-controller", "pod-1".into(), webhook);
        let (stop, readiness) = (CancellationToken::new(), Readiness::default());
        let metrics = Metrics::new();
        let around = Surroundings {
            client,
            recorder,
            metrics: metrics.clone(),
            scope: Scope {
                namespace: Some(namespace.to_owned()),
                selector: choice.selector,
            },
            settings: Settings {
                controller: String::new(),
                field_owner: "toy-controller".into(),
                concurrent: choice.concurrent,
                retry_delay: choice.retry_delay,
                jitter: Jitter::new(0),
                processors: Arc::new(Semaphore::new(2)),
                tracer: runtime::traces::Tracer::default(),
            },
            readiness: readiness.clone(),
            stop: stop.clone(),
        };
        let kind = Kind::new(Toys::<S>::new(Arc::clone(&diary)));
        Self {
            diary,
            stop,
            task: tokio::spawn(kind.run(around)),
            events,
            readiness,
            metrics,
            status_writes,
        }
    }

    pub(crate) fn status_writes(&self) -> usize {
        self.status_writes.load(Ordering::SeqCst)
    }
}

/// Counts writes of status.
fn counting(client: &Client, count: Arc<AtomicUsize>) -> Client {
    let namespace = client.default_namespace().to_owned();
    let inner = client.clone();
    let service = tower::service_fn(move |request: http::Request<Body>| {
        if request.method() == "PATCH" && request.uri().path().ends_with("/status") {
            count.fetch_add(1, Ordering::SeqCst);
        }
        let inner = inner.clone();
        async move { inner.send(request).await }
    });
    Client::new(service, namespace)
}

impl Rig {
    pub(crate) async fn new<S: Style>(prefix: &str) -> Self {
        Self::with::<S>(prefix, Choice::default()).await
    }

    pub(crate) async fn with<S: Style>(prefix: &str, choice: Choice) -> Self {
        let plane = control_plane().await;
        let client = plane.client();
        define(&client, "toys", "Toy").await;
        let namespace = plane.namespace(prefix).await;
        let controller = Controller::start::<S>(&client, namespace.name(), choice);
        Self {
            toys: Api::namespaced(client.clone(), namespace.name()),
            namespace,
            client,
            controller,
        }
    }

    /// Makes a toy with this script and an interval of an hour.
    pub(crate) async fn make(&self, name: &str, script: &[&str]) -> Toy {
        self.make_with(name, script, json!({})).await
    }

    /// Makes a toy with more in its spec.
    pub(crate) async fn make_with(&self, name: &str, script: &[&str], more: Value) -> Toy {
        let mut toy = json!({ "apiVersion": "test.lockgate.dev/v1", "kind": "Toy",
            "metadata": { "name": name, "labels": { "shard": "one" } },
            "spec": { "interval": "1h", "script": script } });
        for (key, value) in more.as_object().unwrap() {
            toy["spec"][key] = value.clone();
        }
        let toy: Toy = serde_json::from_value(toy).unwrap();
        self.toys
            .create(&PostParams::default(), &toy)
            .await
            .unwrap()
    }

    pub(crate) async fn get(&self, name: &str) -> Toy {
        self.toys.get(name).await.unwrap()
    }

    /// Changes a toy; what comes of it need not be readable.
    pub(crate) async fn merge(&self, name: &str, patch: Value) -> PartialObjectMeta<Toy> {
        let toys = Api::namespaced(self.client.clone(), self.namespace.name());
        let params = PatchParams::default();
        toys.patch(name, &params, &Patch::Merge(patch))
            .await
            .unwrap()
    }

    pub(crate) async fn request(&self, name: &str, value: &str) {
        let annotations = json!({ "reconcile.fluxcd.io/requestedAt": value });
        self.merge(name, json!({ "metadata": { "annotations": annotations } }))
            .await;
    }

    /// Waits until a condition has this status and reason.
    pub(crate) async fn condition(
        &self,
        name: &str,
        type_: &str,
        status: &str,
        reason: &str,
    ) -> Toy {
        let mut got = None;
        until(
            &format!("{name} has {type_}={status} {reason}"),
            async || {
                let toy = self.get(name).await;
                let found = find(&toy, type_).is_some_and(|c| c == (status, reason));
                got = Some(toy);
                found
            },
        )
        .await;
        got.unwrap()
    }

    pub(crate) async fn ready(&self, name: &str) -> Toy {
        self.condition(name, "Ready", "True", "Succeeded").await
    }

    pub(crate) async fn said(&self, entry: &str) {
        until(entry, async || self.controller.diary.has(entry)).await;
    }
}

/// Returns status and reason of a condition.
pub(crate) fn find<'a>(toy: &'a Toy, type_: &str) -> Option<(&'a str, &'a str)> {
    let conditions = &toy.status.as_ref()?.conditions;
    let found = conditions.iter().find(|c| c.type_ == type_)?;
    Some((&found.status, &found.reason))
}
