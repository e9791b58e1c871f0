//! A control plane with the two controllers that bring Git into a cluster.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, pinned_kind};
use serde_json::{Value, json};
use testkit::{ControlPlane, GitServer, Namespace, Program};

pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(50);

/// One namespace, watched by controllers of its own.
pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) namespace: Namespace,
    pub(crate) git: GitServer,
    pub(crate) source: Program,
    pub(crate) kustomize: Program,
}

impl World {
    /// Starts both controllers on a control plane.
    pub(crate) async fn on(plane: &ControlPlane) -> Self {
        testkit::install_definitions(&plane.client(), &config("crd/bases"))
            .await
            .unwrap();
        let namespace = plane.namespace("guide").await;
        let source = controller(plane, "source-controller", &namespace);
        let source = source.stores_artifacts().unwrap();
        Self {
            client: plane.client(),
            source: source.start().await.unwrap(),
            kustomize: controller(plane, "kustomize-controller", &namespace)
                .start()
                .await
                .unwrap(),
            git: GitServer::start().unwrap(),
            namespace,
        }
    }

    /// Starts both controllers on the control plane that the tests share.
    pub(crate) async fn new() -> Self {
        Self::on(testkit::control_plane().await).await
    }

    pub(crate) fn ns(&self) -> &str {
        self.namespace.name()
    }

    /// Applies a stream of manifests; what names no namespace goes into the one that is watched.
    pub(crate) async fn apply(&self, text: &str) {
        for object in objects(text) {
            self.put(&object).await.unwrap();
        }
    }

    /// Applies an object.
    pub(crate) async fn put(&self, object: &Value) -> kube::Result<DynamicObject> {
        put(&self.client, object, self.ns()).await
    }

    pub(crate) async fn get(
        &self,
        namespace: &str,
        of: (&str, &str),
        name: &str,
    ) -> Option<DynamicObject> {
        let api = self.api(namespace, of).await;
        api.get_opt(name).await.unwrap()
    }

    pub(crate) async fn api(
        &self,
        namespace: &str,
        (version, kind): (&str, &str),
    ) -> Api<DynamicObject> {
        api(&self.client, namespace, (version, kind)).await
    }

    /// Waits until an object is what is wanted.
    pub(crate) async fn until(
        &self,
        of: (&str, &str),
        name: &str,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let api = self.api(self.ns(), of).await;
        let began = Instant::now();
        loop {
            let found = api.get_opt(name).await.unwrap();
            let found = found.map(|object| json!(object)).unwrap_or_default();
            if wanted(&found) {
                return found;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "{what}: {name} is {found:#}\n{}",
                self.kustomize.log().unwrap()
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until a Kustomization has applied a commit and is ready.
    pub(crate) async fn applied(&self, name: &str, commit: &str) -> Value {
        self.until(UNIT, name, "the commit is applied", |unit| {
            let revision = unit["status"]["lastAppliedRevision"].as_str();
            revision.is_some_and(|revision| revision.ends_with(commit)) && is_ready(unit, "True")
        })
        .await
    }

    /// Waits until a ConfigMap says `value`, and nothing where that is `None`.
    pub(crate) async fn says(&self, namespace: &str, name: &str, value: Option<&str>) {
        let began = Instant::now();
        loop {
            let found = self.get(namespace, ("v1", "ConfigMap"), name).await;
            let said = found
                .as_ref()
                .and_then(|map| map.data["data"]["v"].as_str());
            if said == value {
                return;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "{namespace}/{name} says {said:?}, not {value:?}\n{}",
                self.kustomize.log().unwrap()
            );
            tokio::time::sleep(PAUSE).await;
        }
    }
}

pub(crate) const UNIT: (&str, &str) = ("kustomize.toolkit.fluxcd.io/v1", "Kustomization");

pub(crate) fn config(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../config")
        .join(folder)
}

pub(crate) fn controller(plane: &ControlPlane, name: &str, namespace: &Namespace) -> Program {
    Program::new(testkit::built(name, name).unwrap(), plane)
        .unwrap()
        .flag("--watch-all-namespaces", "false")
        .env("RUNTIME_NAMESPACE", namespace.name())
}

/// Reads a stream of manifests.
pub(crate) fn objects(text: &str) -> Vec<Value> {
    let limits = yaml::Limits::default();
    let nodes = yaml::parse(text.as_bytes(), "manifests", yaml::Schema::Core, &limits).unwrap();
    let objects = nodes.iter().map(|node| yaml::to_json(node).unwrap());
    objects.filter(|object| !object.is_null()).collect()
}

/// Finds a kind; waits for one whose definition was made a moment ago.
async fn kind_of(client: &Client, version: &str, kind: &str) -> kube::Result<(ApiResource, Scope)> {
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let gvk = GroupVersionKind::gvk(group, version, kind);
    let began = Instant::now();
    loop {
        match pinned_kind(client, &gvk).await {
            Ok((resource, capabilities)) => return Ok((resource, capabilities.scope)),
            Err(error) if began.elapsed() > PATIENCE => return Err(error),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

fn access(
    client: &Client,
    namespace: &str,
    resource: &ApiResource,
    scope: &Scope,
) -> Api<DynamicObject> {
    match scope {
        Scope::Cluster => Api::all_with(client.clone(), resource),
        Scope::Namespaced => Api::namespaced_with(client.clone(), namespace, resource),
    }
}

/// Gives access to objects of an API version and kind, in a namespace unless they are the cluster's.
pub(crate) async fn api(
    client: &Client,
    namespace: &str,
    (version, kind): (&str, &str),
) -> Api<DynamicObject> {
    let (resource, scope) = kind_of(client, version, kind).await.unwrap();
    access(client, namespace, &resource, &scope)
}

/// Applies an object; one that names no namespace goes into `home`.
pub(crate) async fn put(
    client: &Client,
    object: &Value,
    home: &str,
) -> kube::Result<DynamicObject> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let (version, kind) = (text("/apiVersion").unwrap(), text("/kind").unwrap());
    let (resource, scope) = kind_of(client, version, kind).await?;
    let namespace = text("/metadata/namespace").unwrap_or(home);
    let params = PatchParams::apply("test").force();
    access(client, namespace, &resource, &scope)
        .patch(
            text("/metadata/name").unwrap(),
            &params,
            &Patch::Apply(object),
        )
        .await
}

pub(crate) fn is_ready(object: &Value, wanted: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    let is = |c: &Value| c["type"] == "Ready" && c["status"] == wanted;
    // The generation counts as observed once a run has succeeded.
    let current = wanted != "True"
        || object["status"]["observedGeneration"] == object["metadata"]["generation"];
    current && conditions.is_some_and(|conditions| conditions.iter().any(is))
}

/// The message of the condition `Ready`.
pub(crate) fn message(object: &Value) -> &str {
    let conditions = object["status"]["conditions"].as_array();
    let ready = conditions.and_then(|found| found.iter().find(|c| c["type"] == "Ready"));
    ready
        .and_then(|c| c["message"].as_str())
        .unwrap_or_default()
}

/// A ConfigMap with one value.
pub(crate) fn map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  v: \"{value}\"\n")
}

/// A GitRepository that looks every second.
pub(crate) fn repository(name: &str, url: &str, reference: &str) -> String {
    format!(
        "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {{name: {name}}}\n\
         spec: {{interval: 1s, url: \"{url}\", ref: {{{reference}}}}}\n"
    )
}

/// A Kustomization of a repository's folder.
pub(crate) fn unit(name: &str, source: &str, path: &str, more: &str) -> String {
    format!(
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: {name}}}\n\
         spec:\n  interval: 10m\n  retryInterval: 1s\n  prune: true\n  path: {path}\n  \
         sourceRef: {{kind: GitRepository, name: {source}}}\n{more}"
    )
}
