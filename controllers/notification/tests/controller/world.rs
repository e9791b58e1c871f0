//! A namespace, a service that records what it is sent, and a controller.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use api::notification::{Alert, Provider, Receiver};
use k8s_openapi::api::core::v1::{Event, Secret};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams},
    core::GroupVersionKind,
};
use net_http::{ClientConfig, Clients, Environment, HeaderName, HeaderValue, Method, Request};
use serde_json::{Value, json};
use testkit::{ControlPlane, HttpSink, Namespace, Program, ReceivedRequest};
use tokio::sync::OnceCell;

pub(crate) const PATIENCE: Duration = Duration::from_secs(40);
const PAUSE: Duration = Duration::from_millis(20);

static SHARED: OnceCell<Program> = OnceCell::const_new();

/// Where the definitions of the repository lie.
fn definitions() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../config/crd/bases")
}

/// Describes a controller; it is not started yet.
pub(crate) fn controller(plane: &ControlPlane) -> Program {
    let program = Program::new(env!("CARGO_BIN_EXE_notification-controller"), plane).unwrap();
    let spool = program.folder().join("spool");
    program
        .without("--events-addr")
        .listens(&["--events-addr"])
        .listens(&["--receiverAddr"])
        .flag("--spool-path", &spool.to_string_lossy())
}

/// A namespace with a service.
pub(crate) struct World {
    pub client: Client,
    pub namespace: Namespace,
    pub sink: HttpSink,
    pub events: String,
    pub hooks: String,
}

/// An HTTP answer.
pub(crate) struct Answered {
    pub status: u16,
    pub headers: net_http::HeaderMap,
}

impl World {
    /// Starts with the controller that all tests share.
    pub(crate) async fn new() -> Self {
        let plane = testkit::control_plane().await;
        let start = || async {
            testkit::install_definitions(&plane.client(), &definitions())
                .await
                .unwrap();
            controller(plane).start().await.unwrap()
        };
        let program = SHARED.get_or_init(start).await;
        program.still_runs().unwrap();
        Self::with(plane, program).await
    }

    /// Starts with a controller of its own, not started yet.
    pub(crate) async fn alone(change: impl FnOnce(Program) -> Program) -> (Self, Program) {
        let plane = testkit::control_plane().await;
        testkit::install_definitions(&plane.client(), &definitions())
            .await
            .unwrap();
        let program = change(controller(plane)).start().await.unwrap();
        (Self::with(plane, &program).await, program)
    }

    async fn with(plane: &ControlPlane, program: &Program) -> Self {
        let address = |flag| format!("http://{}", program.address(flag).unwrap());
        Self {
            client: plane.client(),
            namespace: plane.namespace("nc").await,
            sink: HttpSink::start().unwrap(),
            events: address("--events-addr"),
            hooks: address("--receiverAddr"),
        }
    }

    pub(crate) fn ns(&self) -> &str {
        self.namespace.name()
    }

    pub(crate) fn alerts(&self) -> Api<Alert> {
        Api::namespaced(self.client.clone(), self.ns())
    }

    pub(crate) fn providers(&self) -> Api<Provider> {
        Api::namespaced(self.client.clone(), self.ns())
    }

    pub(crate) fn receivers(&self) -> Api<Receiver> {
        Api::namespaced(self.client.clone(), self.ns())
    }

    /// Applies an object of this namespace, at any version.
    pub(crate) async fn apply(&self, object: Value) -> DynamicObject {
        let api_version = object["apiVersion"].as_str().unwrap();
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let kind = object["kind"].as_str().unwrap();
        let gvk = GroupVersionKind::gvk(group, version, kind);
        let resource = ApiResource::from_gvk(&gvk);
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), self.ns(), &resource);
        let name = object["metadata"]["name"].as_str().unwrap();
        let params = PatchParams::apply("test").force();
        api.patch(name, &params, &Patch::Apply(&object))
            .await
            .unwrap()
    }

    /// Applies a Provider.
    pub(crate) async fn provider(&self, name: &str, spec: Value) {
        self.apply(
            json!({ "apiVersion": "notification.toolkit.fluxcd.io/v1beta3",
            "kind": "Provider", "metadata": { "name": name }, "spec": spec }),
        )
        .await;
    }

    /// Applies an Alert about all Kustomizations for a Provider.
    pub(crate) async fn alert(&self, name: &str, provider: &str, spec: Value) {
        let mut full = json!({ "providerRef": { "name": provider },
            "eventSources": [{ "kind": "Kustomization", "name": "*" }] });
        full.as_object_mut()
            .unwrap()
            .extend(spec.as_object().unwrap().clone());
        self.apply(
            json!({ "apiVersion": "notification.toolkit.fluxcd.io/v1beta3",
            "kind": "Alert", "metadata": { "name": name }, "spec": full }),
        )
        .await;
    }

    /// Applies a Secret.
    pub(crate) async fn secret(&self, name: &str, data: Value) {
        let secret = json!({ "apiVersion": "v1", "kind": "Secret",
            "metadata": { "name": name }, "stringData": data });
        let api = Api::<Secret>::namespaced(self.client.clone(), self.ns());
        let params = PatchParams::apply("test").force();
        api.patch(name, &params, &Patch::Apply(secret))
            .await
            .unwrap();
    }

    /// The event of a Kustomization `app` with these fields over the usual ones.
    #[expect(clippy::needless_pass_by_value, reason = "values are written in place")]
    pub(crate) fn event(&self, fields: Value) -> Value {
        let mut event = json!({
            "involvedObject": { "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
                "kind": "Kustomization", "namespace": self.ns(), "name": "app",
                "uid": "0c9c2e41-d2f9-4f9b-9c41-bebc1984d67a" },
            "severity": "info", "timestamp": "2026-01-01T00:00:00Z", "message": "all is well",
            "reason": "ReconciliationSucceeded", "metadata": {},
            "reportingController": "kustomize-controller", "reportingInstance": "pod" });
        event
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        event
    }

    /// Posts an event with these fields.
    pub(crate) async fn post(&self, fields: Value) -> Answered {
        let body = self.event(fields).to_string();
        self.send(&self.events, &[], body.into_bytes()).await
    }

    /// Posts until an event with this message reaches the sink: what was applied just now may not
    /// be known to the controller yet. Returns the requests at the sink.
    pub(crate) async fn until_told(&self, fields: Value) -> Vec<ReceivedRequest> {
        let started = Instant::now();
        loop {
            let answer = self.post(fields.clone()).await;
            assert!(matches!(answer.status, 202 | 429), "{}", answer.status);
            let some = self.sink.wait_for(1, Duration::from_millis(200)).await;
            if let Ok(requests) = some {
                return requests;
            }
            assert!(started.elapsed() < PATIENCE, "nothing was sent");
        }
    }

    /// Posts a body.
    pub(crate) async fn send(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Answered {
        let clients = Clients::new("test", Environment::default());
        let client = clients.get(&ClientConfig::default()).unwrap();
        let mut request = Request::new(Method::POST, url).body(body).timeout(PATIENCE);
        for (name, value) in headers {
            let name = HeaderName::try_from(*name).unwrap();
            request = request.header(name, HeaderValue::try_from(*value).unwrap());
        }
        let answer = client.send(request).await.unwrap();
        Answered {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
        }
    }

    /// Waits until an event about an object has this reason and these words.
    pub(crate) async fn told(&self, kind: &str, name: &str, reason: &str, words: &str) -> Event {
        let started = Instant::now();
        loop {
            let events = self.events_of(kind, name).await;
            let fits = |e: &&Event| {
                e.reason.as_deref() == Some(reason)
                    && e.message.as_deref().is_some_and(|m| m.contains(words))
            };
            if let Some(event) = events.iter().find(fits) {
                return event.clone();
            }
            let seen: Vec<_> = events.iter().map(|e| (&e.reason, &e.message)).collect();
            assert!(
                started.elapsed() < PATIENCE,
                "no event {reason} {words} about {kind}/{name}: {seen:#?}"
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Returns the events about an object.
    pub(crate) async fn events_of(&self, kind: &str, name: &str) -> Vec<Event> {
        let api = Api::<Event>::namespaced(self.client.clone(), self.ns());
        let mut events = api.list(&ListParams::default()).await.unwrap().items;
        events.retain(|e| {
            e.involved_object.kind.as_deref() == Some(kind)
                && e.involved_object.name.as_deref() == Some(name)
        });
        events
    }

    /// Waits until something holds.
    pub(crate) async fn until<F: Future<Output = bool>>(&self, what: &str, holds: impl Fn() -> F) {
        let started = Instant::now();
        while !holds().await {
            assert!(started.elapsed() < PATIENCE, "not reached: {what}");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl World {
    pub(crate) fn kustomizations(&self) -> Api<DynamicObject> {
        let gvk = GroupVersionKind::gvk("kustomize.toolkit.fluxcd.io", "v1", "Kustomization");
        let resource = ApiResource::from_gvk_with_plural(&gvk, "kustomizations");
        Api::namespaced_with(self.client.clone(), self.ns(), &resource)
    }

    /// Makes Kustomization `app` with this Ready condition.
    pub(crate) async fn kustomization(&self, ready: &str, message: &str) {
        let made = self
            .apply(json!({ "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
                "kind": "Kustomization", "metadata": { "name": "app" },
                "spec": { "interval": "10m", "prune": true,
                    "sourceRef": { "kind": "GitRepository", "name": "app" } } }))
            .await;
        let condition = json!({ "type": "Ready", "status": ready, "reason": "X",
            "message": message, "lastTransitionTime": "2026-01-01T00:00:00Z" });
        let status = json!({ "status": { "observedGeneration": made.metadata.generation,
            "conditions": [condition] } });
        let params = PatchParams::default();
        self.kustomizations()
            .patch_status("app", &params, &Patch::Merge(status))
            .await
            .unwrap();
    }
}
