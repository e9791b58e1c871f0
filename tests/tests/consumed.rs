//! Upstream's kustomize-controller fed by our source-controller, from every kind of source, and ours in the place of
//! upstream's source-controller.
//!
//! Run by `make interop`: upstream's controllers are built from their Go modules (`hack/interop/build`,
//! `hack/bench/upstream/build`).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};
use testkit::{
    ControlPlane, FileServer, GitServer, Namespace, ObjectStore, Program, PushedArtifact, Registry,
    RegistryOptions,
};

const PATIENCE: Duration = Duration::from_mins(2);
const SOURCES: &str = "source.toolkit.fluxcd.io";
const UNITS: &str = "kustomize.toolkit.fluxcd.io";
const SOURCE_KINDS: [(&str, &str); 3] = [
    ("GitRepository", "git"),
    ("OCIRepository", "oci"),
    ("Bucket", "bucket"),
];

/// Builds one of upstream's programs by the script that says how.
fn upstream(script: &str, program: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let built = Command::new(root.join(script)).output().unwrap();
    assert!(built.status.success(), "{built:?}");
    let folder = String::from_utf8(built.stdout).unwrap();
    Path::new(folder.trim()).join(program)
}

fn upstream_kustomize() -> PathBuf {
    upstream("hack/interop/build", "kustomize-controller")
}

struct World {
    plane: &'static ControlPlane,
    namespace: Namespace,
}

impl World {
    async fn new() -> Self {
        let plane = testkit::control_plane().await;
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        testkit::install_definitions(&plane.client(), &root.join("config/crd/bases"))
            .await
            .unwrap();
        let namespace = plane.namespace("consumed").await;
        Self { plane, namespace }
    }

    fn api(&self, group: &str, kind: &str) -> Api<DynamicObject> {
        let version = "v1";
        let plural = match kind.to_lowercase() {
            name if name.ends_with('y') => format!("{}ies", name.trim_end_matches('y')),
            name => format!("{name}s"),
        };
        let gvk = GroupVersionKind::gvk(group, version, kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, &plural);
        Api::namespaced_with(self.plane.client(), self.namespace.name(), &resource)
    }

    async fn apply(&self, (group, kind): (&str, &str), name: &str, fields: &Value) {
        let version = if group.is_empty() {
            "v1".to_owned()
        } else {
            format!("{group}/v1")
        };
        let mut object =
            json!({ "apiVersion": version, "kind": kind, "metadata": { "name": name } });
        for (field, value) in fields.as_object().unwrap() {
            object[field] = value.clone();
        }
        let params = PatchParams::apply("test").force();
        let api = self.api(group, kind);
        api.patch(name, &params, &Patch::Apply(object))
            .await
            .unwrap();
    }

    /// Waits until an object is ready as it is specified now, and returns it.
    async fn ready(&self, kind: (&str, &str), name: &str) -> DynamicObject {
        self.until(kind, name, is_ready).await
    }

    /// Waits until a unit has applied what its source publishes.
    async fn applied(&self, name: &str) -> DynamicObject {
        let applied = |object: &DynamicObject| {
            is_ready(object) && object.data["status"]["lastAppliedRevision"].is_string()
        };
        self.until((UNITS, "Kustomization"), name, applied).await
    }

    async fn until(
        &self,
        (group, kind): (&str, &str),
        name: &str,
        holds: impl Fn(&DynamicObject) -> bool,
    ) -> DynamicObject {
        let (api, began) = (self.api(group, kind), Instant::now());
        loop {
            let object = api.get(name).await.unwrap();
            if holds(&object) {
                return object;
            }
            assert!(began.elapsed() < PATIENCE, "{kind} {name}: {object:#?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Starts a controller of this namespace.
    async fn run(&self, binary: PathBuf, set: impl FnOnce(Program) -> Program) -> Program {
        let program = Program::new(binary, self.plane).unwrap();
        let program = program
            .flag("--watch-all-namespaces", "false")
            .env("RUNTIME_NAMESPACE", self.namespace.name());
        set(program).start().await.unwrap()
    }

    /// Asks for a run and returns the object once that was answered.
    async fn ask(&self, (group, kind): (&str, &str), name: &str) -> DynamicObject {
        let patch =
            json!({ "metadata": { "annotations": { "reconcile.fluxcd.io/requestedAt": "now" } } });
        let (api, params) = (self.api(group, kind), PatchParams::default());
        api.patch(name, &params, &Patch::Merge(patch))
            .await
            .unwrap();
        let answered = |object: &DynamicObject| {
            object.data["status"]["lastHandledReconcileAt"] == "now" && is_ready(object)
        };
        self.until((group, kind), name, answered).await
    }

    /// Applies what three kinds of source publish, and returns the units as they are then.
    async fn units(&self) -> Vec<DynamicObject> {
        let mut units = Vec::new();
        for (kind, name) in SOURCE_KINDS {
            let spec = json!({ "interval": "10m", "retryInterval": "1s", "prune": true,
                "targetNamespace": self.namespace.name(), "sourceRef": { "kind": kind, "name": name } });
            let unit = (UNITS, "Kustomization");
            self.apply(unit, name, &json!({ "spec": spec })).await;
            units.push(self.applied(name).await);
        }
        units
    }

    /// Publishes one ConfigMap by each kind of source, each of its own name.
    async fn publish(&self) -> (GitServer, Registry, ObjectStore) {
        let (git, store) = (
            GitServer::start().unwrap(),
            ObjectStore::start(false).unwrap(),
        );
        let repository = git.repository("app").unwrap();
        let commit = repository.commit("main", "first");
        // A chart beside it, which a build of the whole folder leaves alone.
        let chart = "apiVersion: v2\nname: demo\nversion: 0.1.0\n";
        let commit = commit.write("map.yaml", map("git"));
        let commit = commit.write("kustomization.yaml", "resources: [map.yaml]\n");
        commit
            .write("charts/demo/Chart.yaml", chart)
            .push()
            .unwrap();
        let spec =
            json!({ "interval": "10m", "url": repository.url(), "ref": { "branch": "main" } });
        let source = json!({ "spec": spec });
        self.apply((SOURCES, "GitRepository"), "git", &source).await;

        let registry = Registry::start(&RegistryOptions::default()).unwrap();
        let layer = testkit::archive(&[("map.yaml", &map("oci"))]).unwrap();
        let image = PushedArtifact {
            config_type: "application/vnd.cncf.flux.config.v1+json".into(),
            layers: vec![(
                "application/vnd.cncf.flux.content.v1.tar+gzip".into(),
                layer,
            )],
            ..PushedArtifact::default()
        };
        registry.push("app", "1.0.0", &image).unwrap();
        let url = format!("oci://{}/app", registry.address());
        let spec =
            json!({ "interval": "10m", "url": url, "insecure": true, "ref": { "tag": "1.0.0" } });
        let source = json!({ "spec": spec });
        self.apply((SOURCES, "OCIRepository"), "oci", &source).await;

        store.bucket("app").unwrap();
        store
            .put("app", "map.yaml", map("bucket").as_bytes())
            .unwrap();
        let keys = json!({ "stringData": { "accesskey": ObjectStore::ACCESS_KEY,
            "secretkey": ObjectStore::SECRET_KEY } });
        self.apply(("", "Secret"), "keys", &keys).await;
        let spec = json!({ "interval": "10m", "endpoint": store.address(), "insecure": true,
            "region": ObjectStore::REGION, "bucketName": "app", "secretRef": { "name": "keys" } });
        let source = json!({ "spec": spec });
        self.apply((SOURCES, "Bucket"), "bucket", &source).await;
        (git, registry, store)
    }
}

fn is_ready(object: &DynamicObject) -> bool {
    let status = &object.data["status"];
    let conditions = status["conditions"].as_array();
    let ready = |each: &Value| each["type"] == "Ready" && each["status"] == "True";
    conditions.is_some_and(|all| all.iter().any(ready))
        && status["observedGeneration"].as_i64() == object.metadata.generation
}

fn map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: from-{name}}}\n")
}

/// Whatever the source: the artifact is found, trusted by its digest, unpacked and applied.
#[tokio::test]
#[ignore = "builds upstream's controller: run by make interop"]
async fn artifacts_of_every_kind_are_applied_by_upstream() {
    let world = World::new().await;
    let storage = tempfile::tempdir().unwrap();
    let ours = testkit::built("source-controller", "source-controller").unwrap();
    let _source = world
        .run(ours, |program| {
            program
                .listens(&["--storage-addr", "--storage-adv-addr"])
                .flag("--storage-path", &storage.path().to_string_lossy())
        })
        .await;
    let _servers = world.publish().await;
    for (kind, name) in SOURCE_KINDS {
        world.ready((SOURCES, kind), name).await;
    }
    // Somebody else's kind of source, which publishes what we have stored.
    let git = world.ready((SOURCES, "GitRepository"), "git").await;
    let owner = json!({ "apiVersion": "example.com/v1", "kind": "Thing", "name": "t" });
    let external = json!({ "spec": { "sourceRef": owner } });
    let kind = (SOURCES, "ExternalArtifact");
    world.apply(kind, "external", &external).await;
    let ready = json!([{ "type": "Ready", "status": "True", "reason": "Succeeded", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z" }]);
    let artifact = &git.data["status"]["artifact"];
    let status = json!({ "status": { "artifact": artifact, "conditions": ready } });
    let (api, params) = (world.api(kind.0, kind.1), PatchParams::default());
    api.patch_status("external", &params, &Patch::Merge(status))
        .await
        .unwrap();

    let _upstream = world
        .run(upstream_kustomize(), |program| {
            program.flag("--feature-gates", "ExternalArtifact=true")
        })
        .await;
    for (kind, name) in [
        ("GitRepository", "git"),
        ("OCIRepository", "oci"),
        ("Bucket", "bucket"),
        ("ExternalArtifact", "external"),
    ] {
        let spec = json!({ "interval": "10m", "retryInterval": "1s", "prune": true, "wait": true,
            "targetNamespace": world.namespace.name(), "sourceRef": { "kind": kind, "name": name } });
        // Of the same file as `git`: named apart, so that they do not take it from each other.
        let spec = match name {
            "external" => {
                let mut spec = spec;
                spec["namePrefix"] = "external-".into();
                spec
            }
            _ => spec,
        };
        let unit = (UNITS, "Kustomization");
        world.apply(unit, name, &json!({ "spec": spec })).await;
        world.applied(name).await;
    }
    let maps = world.api("", "ConfigMap");
    for name in ["from-git", "from-oci", "from-bucket", "external-from-git"] {
        assert!(maps.get_opt(name).await.unwrap().is_some(), "{name}");
    }
}

/// A chart of the Git repository and an index of a web server.
async fn publish_charts(world: &World) -> FileServer {
    let server = FileServer::start(false).unwrap();
    let index = "apiVersion: v1\nentries:\n  demo:\n  - {apiVersion: v2, name: demo, version: 0.1.0, urls: [demo-0.1.0.tgz]}\n";
    server.put("index.yaml", index);
    let spec = json!({ "interval": "10m", "url": server.url() });
    let source = (SOURCES, "HelmRepository");
    world.apply(source, "index", &json!({ "spec": spec })).await;
    let git = json!({ "kind": "GitRepository", "name": "git" });
    let spec = json!({ "interval": "10m", "chart": "charts/demo", "sourceRef": git });
    let source = (SOURCES, "HelmChart");
    world.apply(source, "chart", &json!({ "spec": spec })).await;
    server
}

/// The storage and the statuses that upstream's source-controller leaves: ours hands the same files out under the same
/// addresses, asked for a run or not, and whoever has applied them has nothing to do.
#[tokio::test]
#[ignore = "builds upstream's controllers: run by make interop"]
async fn what_upstream_stored_is_taken_over_in_place() {
    let world = World::new().await;
    let storage = tempfile::tempdir().unwrap();
    let path = storage.path().to_string_lossy().into_owned();
    let theirs = upstream("hack/bench/upstream/build", "source-controller");
    let theirs = world
        .run(theirs, |program| {
            program
                .listens(&["--storage-addr", "--storage-adv-addr"])
                .flag("--storage-path", &path)
        })
        .await;
    let _servers = world.publish().await;
    let _charts = publish_charts(&world).await;
    let kinds = SOURCE_KINDS
        .into_iter()
        .chain([("HelmRepository", "index"), ("HelmChart", "chart")]);
    let kinds: Vec<_> = kinds.collect();
    for (kind, name) in &kinds {
        world.ready((SOURCES, kind), name).await;
    }
    let _kustomize = world.run(upstream_kustomize(), |program| program).await;
    world.units().await;

    let (address, advertised) = (
        theirs.address("--storage-addr").unwrap().to_owned(),
        theirs.address("--storage-adv-addr").unwrap().to_owned(),
    );
    theirs.terminate(Duration::from_mins(1)).await.unwrap();
    let mut before = Vec::new();
    for (kind, name) in &kinds {
        let object = world.ready((SOURCES, kind), name).await;
        before.push(object.data["status"]["artifact"].clone());
    }
    let units = world.units().await;
    let ours = testkit::built("source-controller", "source-controller").unwrap();
    let _ours = world
        .run(ours, |program| {
            program
                .flag("--storage-addr", &address)
                .flag("--storage-adv-addr", &advertised)
                .flag("--storage-path", &path)
        })
        .await;
    for ((kind, name), before) in kinds.iter().zip(&before) {
        let object = world.ask((SOURCES, kind), name).await;
        assert_eq!(&object.data["status"]["artifact"], before, "{kind}");
    }
    for unit in units {
        let name = unit.metadata.name.as_deref().unwrap();
        let now = world.api(UNITS, "Kustomization").get(name).await.unwrap();
        assert_eq!(
            now.metadata.resource_version, unit.metadata.resource_version,
            "{name} ran again"
        );
    }
}
