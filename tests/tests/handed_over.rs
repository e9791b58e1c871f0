//! What upstream's helm, notification and image controllers left in a cluster is taken over and handed back: nothing is
//! released, committed, sent or made again, and what we leave says to upstream what it said before.
//!
//! The objects are recordings of upstream's (`api/tests/recorded`), written at upstream's definitions as upstream's controllers
//! write them. For source and kustomize upstream's programs run themselves: `takeover.rs`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kube::ResourceExt;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};
use testkit::{ControlPlane, HttpSink, Program};

use facts::Facts;

#[path = "../../api/tests/shared/definitions.rs"]
mod definitions;
#[path = "../../api/tests/shared/facts.rs"]
mod facts;
#[path = "handed_over/images.rs"]
mod images;
#[path = "handed_over/release.rs"]
mod release;

/// What upstream's newest definitions do not know, by kind: what readers of `v1beta1` look for, and what was delivered.
const BEYOND: [(&str, &str); 2] = [("ImagePolicy", "/latestImage"), ("Provider", "")];
/// What changes when a controller starts and is asked for a run, upstream's too: when it ran last, which run that was, and the
/// first scan of an image whose tags it does not hold.
const MOVING: [(&str, &str); 9] = [
    BEYOND[0],
    ("Receiver", "/lastHandledReconcileAt"),
    ("HelmRelease", "/lastHandledReconcileAt"),
    ("ImageRepository", "/lastHandledReconcileAt"),
    ("ImageRepository", "/lastScanResult/scanTime"),
    ("ImageRepository", "/conditions/0/lastTransitionTime"),
    ("ImagePolicy", "/lastHandledReconcileAt"),
    ("ImageUpdateAutomation", "/lastHandledReconcileAt"),
    ("ImageUpdateAutomation", "/lastAutomationRunTime"),
];
const PATIENCE: Duration = Duration::from_mins(2);
/// Where the recorded HelmRelease is, and everything about notifications.
const SYSTEM: &str = "flux-system";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// An object: kind, namespace, name.
type Id<'a> = (&'a str, &'a str, &'a str);

struct World {
    plane: ControlPlane,
    upstream: tempfile::TempDir,
    facts: std::collections::BTreeMap<String, Facts>,
}

impl World {
    /// A cluster with upstream's definitions.
    async fn new() -> Self {
        let upstream = tempfile::tempdir().unwrap();
        let facts = Facts::all();
        for (kind, of_kind) in &facts {
            let crd = definitions::definition(of_kind, newest(of_kind));
            std::fs::write(
                upstream.path().join(format!("{kind}.yaml")),
                crd.to_string(),
            )
            .unwrap();
        }
        let world = Self {
            plane: ControlPlane::start().await.unwrap(),
            upstream,
            facts,
        };
        world.install(world.upstream.path()).await;
        world
    }

    async fn install(&self, folder: &Path) {
        testkit::install_definitions(&self.plane.client(), folder)
            .await
            .unwrap();
    }

    async fn install_ours(&self) {
        self.install(&repository().join("config/crd/bases")).await;
    }

    async fn make_namespace(&self, name: &str) {
        let object =
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
        let api = Api::<DynamicObject>::all_with(
            self.plane.client(),
            &ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Namespace")),
        );
        let params = PatchParams::apply("user").force();
        api.patch(name, &params, &Patch::Apply(object))
            .await
            .unwrap();
    }

    fn api(&self, kind: &str, namespace: &str) -> Api<DynamicObject> {
        let resource = match self.facts.get(kind) {
            Some(facts) => ApiResource::from_gvk_with_plural(
                &GroupVersionKind::gvk(&facts.group, newest(facts), kind),
                facts.names["plural"].as_str().unwrap(),
            ),
            None if kind == "Deployment" => {
                ApiResource::from_gvk(&GroupVersionKind::gvk("apps", "v1", kind))
            }
            None => ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", kind)),
        };
        Api::namespaced_with(self.plane.client(), namespace, &resource)
    }

    async fn get(&self, (kind, namespace, name): Id<'_>) -> DynamicObject {
        self.api(kind, namespace).get(name).await.unwrap()
    }

    /// Applies an object without its status, as somebody.
    async fn apply(&self, manager: &str, object: &Value) {
        let metadata = &object["metadata"];
        let text = |field: &str| metadata[field].as_str().unwrap().to_owned();
        let mut bare = object.clone();
        bare.as_object_mut().unwrap().remove("status");
        bare["metadata"] = json!({ "name": metadata["name"], "namespace": metadata["namespace"] });
        for field in ["labels", "annotations"] {
            if metadata[field].is_object() {
                bare["metadata"][field] = metadata[field].clone();
            }
        }
        let kind = object["kind"].as_str().unwrap();
        let params = PatchParams::apply(manager).force();
        self.api(kind, &text("namespace"))
            .patch(&text("name"), &params, &Patch::Apply(bare))
            .await
            .unwrap();
    }

    /// Makes an object as one of upstream's controllers leaves it: applied by somebody, finalizer and status by the controller.
    async fn leave(&self, applied_by: &str, controller: &str, object: &Value) {
        self.apply(applied_by, object).await;
        let metadata = &object["metadata"];
        let api = self.api(
            object["kind"].as_str().unwrap(),
            metadata["namespace"].as_str().unwrap(),
        );
        let name = metadata["name"].as_str().unwrap();
        let params = PatchParams {
            field_manager: Some(controller.to_owned()),
            ..PatchParams::default()
        };
        if metadata["finalizers"].is_array() {
            let held = json!({ "metadata": { "finalizers": metadata["finalizers"] } });
            api.patch(name, &params, &Patch::Merge(held)).await.unwrap();
        }
        if object["status"].is_object() {
            let status = json!({ "status": object["status"] });
            api.patch_status(name, &params, &Patch::Merge(status))
                .await
                .unwrap();
        }
    }

    /// Asks for a run, and waits until it was answered and the object is ready.
    async fn ask(&self, (kind, namespace, name): Id<'_>) {
        let token = format!("{:?}", Instant::now());
        let patch =
            json!({ "metadata": { "annotations": { "reconcile.fluxcd.io/requestedAt": token } } });
        let api = self.api(kind, namespace);
        api.patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap();
        let answered = |object: &DynamicObject| {
            let status = &object.data["status"];
            let conditions = status["conditions"].as_array();
            let is = |wanted: &str, c: &Value| c["type"] == wanted && c["status"] == "True";
            status["lastHandledReconcileAt"] == token
                && conditions.is_some_and(|all| {
                    all.iter().any(|c| is("Ready", c)) && !all.iter().any(|c| is("Reconciling", c))
                })
        };
        self.until((kind, namespace, name), "it answered", answered)
            .await;
    }

    async fn until(
        &self,
        id: Id<'_>,
        what: &str,
        holds: impl Fn(&DynamicObject) -> bool,
    ) -> DynamicObject {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let object = self.get(id).await;
            if holds(&object) {
                return object;
            }
            assert!(
                Instant::now() < deadline,
                "not reached: {what}: {object:#?}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What a change of hands must leave alone: identity, what users and controllers wrote, and who owns it. Without what
    /// asking for a run changes, and these fields of the status of kinds.
    async fn standing(&self, ids: &[Id<'_>], without: &[(&str, &str)]) -> Vec<Value> {
        let mut all = Vec::new();
        for id in ids {
            let object = self.get(*id).await;
            let metadata = &object.metadata;
            let mut annotations = object.annotations().clone();
            annotations.remove("reconcile.fluxcd.io/requestedAt");
            let mut status = object.data["status"].clone();
            for (_, pointer) in without.iter().filter(|(kind, _)| *kind == id.0) {
                match pointer.rsplit_once('/') {
                    None => status = Value::Null,
                    Some((parent, field)) => {
                        if let Some(Value::Object(fields)) = status.pointer_mut(parent) {
                            fields.remove(field);
                        }
                    }
                }
            }
            all.push(json!({ "id": id, "uid": metadata.uid, "generation": metadata.generation,
                "finalizers": metadata.finalizers, "labels": metadata.labels, "annotations": annotations,
                "managers": managers(&object), "spec": object.data["spec"], "status": status }));
        }
        all
    }

    async fn version(&self, id: Id<'_>) -> String {
        self.get(id).await.resource_version().unwrap()
    }

    /// Fields of an object's status that upstream's definition does not know, and drops.
    async fn beyond(&self, id: Id<'_>) -> Vec<String> {
        let facts = &self.facts[id.0];
        let fields = &facts.versions[newest(facts)].fields;
        let mut found = Vec::new();
        unknown(
            fields,
            "status",
            &self.get(id).await.data["status"],
            &mut found,
        );
        found
    }

    fn program(&self, package: &str, name: &str, events: &str) -> Program {
        Program::new(testkit::built(package, name).unwrap(), &self.plane)
            .unwrap()
            .flag("--events-addr", events)
    }
}

/// The version that upstream stores.
fn newest(facts: &Facts) -> &str {
    let mut names = facts.versions.keys();
    let stable = names.clone().find(|name| !name.contains("beta"));
    stable.or(names.next_back()).unwrap()
}

/// Who wrote an object, and how. Whoever asks for a run is left out.
fn managers(object: &DynamicObject) -> Vec<String> {
    let one = |entry: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry| {
        let text = |part: &Option<String>| part.clone().unwrap_or_default();
        format!(
            "{} {} {}",
            text(&entry.manager),
            text(&entry.operation),
            text(&entry.subresource)
        )
    };
    let mut all: Vec<_> = object.managed_fields().iter().map(one).collect();
    all.retain(|manager| !manager.starts_with("unknown") && !manager.starts_with("handed_over"));
    all.sort();
    all
}

fn same(now: &[Value], before: &[Value]) {
    for (now, before) in now.iter().zip(before) {
        assert_eq!(now, before, "{now:#} was {before:#}");
    }
}

fn unknown(fields: &facts::Fields, path: &str, value: &Value, found: &mut Vec<String>) {
    if value.is_null() {
        return;
    }
    if !fields.contains_key(path) {
        found.push(path.to_owned());
        return;
    }
    match value {
        Value::Object(map) => {
            let of_map = format!("{path}{{}}");
            for (key, value) in map {
                let path = if fields.contains_key(&of_map) {
                    of_map.clone()
                } else {
                    format!("{path}.{key}")
                };
                unknown(fields, &path, value, found);
            }
        }
        Value::Array(list) => {
            for value in list {
                unknown(fields, &format!("{path}[]"), value, found);
            }
        }
        _ => {}
    }
    found.dedup();
}

/// Provider and Alert for what all the controllers tell, and a Receiver with its Secret, as upstream leaves them.
async fn leave_notifications(world: &World, sink: &HttpSink) {
    let controller = "notification-controller";
    let held =
        json!({ "name": "sink", "namespace": SYSTEM, "finalizers": ["finalizers.fluxcd.io"] });
    let provider = json!({ "apiVersion": "notification.toolkit.fluxcd.io/v1beta3", "kind": "Provider",
        "metadata": held, "spec": { "type": "generic", "address": sink.url() } });
    world.leave("user", controller, &provider).await;
    let every =
        |kind: &str, namespace: &str| json!({ "kind": kind, "name": "*", "namespace": namespace });
    let sources = json!([
        every("HelmRelease", SYSTEM),
        every("HelmChart", SYSTEM),
        every("ImageRepository", images::NAMESPACE),
        every("ImagePolicy", images::NAMESPACE),
        every("ImageUpdateAutomation", images::NAMESPACE)
    ]);
    let alert = json!({ "apiVersion": "notification.toolkit.fluxcd.io/v1beta3", "kind": "Alert",
        "metadata": { "name": "all", "namespace": SYSTEM },
        "spec": { "providerRef": { "name": "sink" }, "eventSeverity": "info", "eventSources": sources } });
    world.leave("user", controller, &alert).await;
    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "token", "namespace": SYSTEM },
        "data": { "token": "czNjcmV0" } });
    world.apply("user", &secret).await;
    // The SHA-256 of token, name and namespace, in one.
    let path = HOOK;
    let receiver = json!({ "apiVersion": "notification.toolkit.fluxcd.io/v1", "kind": "Receiver",
        "metadata": { "name": "plain", "namespace": SYSTEM, "finalizers": ["finalizers.fluxcd.io"] },
        "spec": { "type": "generic", "interval": "10m", "secretRef": { "name": "token" },
            "resources": [{ "kind": "HelmChart", "name": "flux-system-podinfo" }] },
        "status": { "observedGeneration": 1, "webhookPath": path, "conditions": [{ "type": "Ready", "status": "True",
            "reason": "Succeeded", "message": format!("Receiver initialized for path: {path}"), "observedGeneration": 1,
            "lastTransitionTime": "2026-11-21T00:03:54Z" }] } });
    world.leave("user", controller, &receiver).await;
}

/// Where the Receiver was called at before.
const HOOK: &str = "/hook/7c3774fb352ff8b408364aa9ba00cdcaf7c93f935072b6a7f4c147cda9f4068b";

/// Calls a webhook without a body; the status line.
fn call(address: &str, path: &str) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "POST {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: 2\r\n\r\n{{}}"
    )
    .unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    said.lines().next().unwrap_or_default().to_owned()
}

/// Waits until an event with a reason was sent.
async fn told(sink: &HttpSink, reason: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let events = sink.requests();
        let mut events = events
            .iter()
            .map(|request| request.json::<Value>().unwrap());
        if events.any(|event| event["reason"] == reason) {
            return;
        }
        assert!(Instant::now() < deadline, "{:?}", sink.requests());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Our four controllers.
struct Ours {
    programs: Vec<Program>,
    hooks: String,
}

impl Ours {
    async fn start(world: &World) -> Self {
        let name = "notification-controller";
        let notifications = world
            .program(name, name, "")
            .listens(&["--events-addr"])
            .listens(&["--receiverAddr"]);
        let spool = notifications.folder().join("spool");
        let notifications = notifications.flag("--spool-path", &spool.to_string_lossy());
        let notifications = notifications.start().await.unwrap();
        let events = format!(
            "http://{}/",
            notifications.address("--events-addr").unwrap()
        );
        let hooks = notifications.address("--receiverAddr").unwrap().to_owned();
        let helm = world.program("helm-controller", "helm-controller", &events);
        let automation = world.program("image-automation", "image-automation-controller", &events);
        let reflector = world.program("image-automation", "image-reflector-controller", &events);
        let tags = reflector.folder().join("data");
        let reflector = reflector.flag("--storage-path", &tags.to_string_lossy());
        let mut programs = vec![notifications];
        for program in [helm, reflector, automation] {
            programs.push(program.start().await.unwrap());
        }
        Self { programs, hooks }
    }

    async fn end(self) {
        for program in self.programs.iter().rev() {
            program.terminate(PATIENCE).await.unwrap();
        }
    }
}

/// The statuses have no other fields than those that are named here.
async fn nothing_is_beyond_upstream(world: &World, ids: &[Id<'_>]) {
    for id in ids {
        let more: &[&str] = match id.0 {
            "ImagePolicy" => &["status.latestImage"],
            "Provider" => &["status"],
            _ => &[],
        };
        assert_eq!(world.beyond(*id).await, more, "{id:?}");
    }
}

#[tokio::test]
async fn recorded_objects_change_hands_and_back() {
    let world = World::new().await;
    for namespace in [SYSTEM, release::TARGET, images::NAMESPACE] {
        world.make_namespace(namespace).await;
    }
    let sink = HttpSink::start().unwrap();
    leave_notifications(&world, &sink).await;
    let chart = release::Left::leave(&world).await;
    let image = images::Left::leave(&world).await;
    let untouched: [Id; 2] = [("Provider", SYSTEM, "sink"), ("Alert", SYSTEM, "all")];
    let ids: Vec<Id> = [
        untouched.as_slice(),
        &[("Receiver", SYSTEM, "plain")],
        &release::IDS,
        &images::IDS,
    ]
    .concat();
    let before = world.standing(&ids, &MOVING).await;
    let versions = [
        world.version(untouched[0]).await,
        world.version(untouched[1]).await,
    ];

    world.install_ours().await;
    let ours = Ours::start(&world).await;
    for id in ids
        .iter()
        .filter(|id| !matches!(id.0, "Provider" | "Alert" | "HelmChart"))
    {
        world.ask(*id).await;
    }
    same(&world.standing(&ids, &MOVING).await, &before);
    chart.is_untouched(&world).await;
    image.is_untouched();
    assert_eq!(sink.requests().len(), 0, "{:?}", sink.requests());

    for (id, version) in untouched.iter().zip(&versions) {
        assert_eq!(&world.version(*id).await, version, "{id:?} was written");
    }

    // What upstream left works on.
    assert!(call(&ours.hooks, HOOK).contains(" 200 "));
    let called = |o: &DynamicObject| {
        o.annotations()
            .contains_key("reconcile.fluxcd.io/requestedAt")
    };
    world
        .until(release::IDS[1], "the hook asks for a run", called)
        .await;
    chart.upgrade(&world).await;
    image.push(&world).await;
    told(&sink, "UpgradeSucceeded").await;
    ours.end().await;

    nothing_is_beyond_upstream(&world, &ids).await;
    let left = world.standing(&ids, &BEYOND).await;
    world.install(world.upstream.path()).await;
    same(&world.standing(&ids, &BEYOND).await, &left);
    chart.is_as_upstream_leaves_it(&world).await;
    image.is_as_upstream_leaves_it(&world).await;
}
