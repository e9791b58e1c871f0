//! The commands that ask a cluster, against a real API server. What controllers would write stands in the statuses.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{ConfigMap, Event};
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};
use testkit::{ControlPlane, Namespace, control_plane, install_definitions};
use tokio::sync::OnceCell;

#[path = "commands/diff.rs"]
mod diff;

static DEFINED: OnceCell<()> = OnceCell::const_new();

struct World {
    plane: &'static ControlPlane,
    namespace: Namespace,
}

impl World {
    async fn new(name: &str) -> Self {
        let plane = control_plane().await;
        let bases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/crd/bases");
        DEFINED
            .get_or_init(|| async { install_definitions(&plane.client(), &bases).await.unwrap() })
            .await;
        let namespace = plane.namespace(name).await;
        Self { plane, namespace }
    }

    fn api(&self, (group, kind, plural): (&str, &str, &str)) -> Api<DynamicObject> {
        let gvk = GroupVersionKind::gvk(group, version(group), kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
        Api::namespaced_with(self.plane.client(), self.namespace.name(), &resource)
    }

    /// Puts an object in, with a status as its controller would write it.
    async fn put(&self, of: (&str, &str, &str), name: &str, spec: Value, status: Value) {
        let api = self.api(of);
        let part = |key: &str, value: Value| {
            let version = format!("{}/{}", of.0, version(of.0));
            let mut object =
                json!({"apiVersion": version, "kind": of.1, "metadata": {"name": name}});
            object[key] = value;
            Patch::Apply(object)
        };
        let params = PatchParams::apply("test").force();
        api.patch(name, &params, &part("spec", spec)).await.unwrap();
        api.patch_status(name, &params, &part("status", status))
            .await
            .unwrap();
    }

    async fn repository(&self, revision: &str) {
        let spec = json!({"interval": "1m", "url": "https://git.example/app.git"});
        let mut status = ready("True", "Succeeded", "stored artifact");
        status["artifact"] = json!({"revision": revision, "path": "p", "url": "http://a/b.tar.gz",
            "digest": format!("sha256:{}", "0".repeat(64)), "lastUpdateTime": "2026-01-01T00:00:00Z"});
        self.put(SOURCE, "app", spec, status).await;
    }

    async fn unit(&self, name: &str, applied: &str, mut status: Value) {
        let spec = json!({"interval": "1m", "prune": true,
            "sourceRef": {"kind": "GitRepository", "name": "app"}});
        status["lastAppliedRevision"] = json!(applied);
        self.put(UNIT, name, spec, status).await;
    }

    fn run(&self, line: &[&str]) -> (i32, String, String) {
        run(self.plane, line)
    }
}

/// The version that a group's objects are stored in.
fn version(group: &str) -> &'static str {
    match group {
        "helm.toolkit.fluxcd.io" => "v2",
        _ => "v1",
    }
}

/// Runs the command; its exit code, output and errors.
fn run(plane: &ControlPlane, line: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_lockgate"))
        .args(line)
        .env("KUBECONFIG", plane.kubeconfig_path())
        .env_remove("FLUX_SYSTEM_NAMESPACE")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().unwrap();
    (code, text(&output.stdout), text(&output.stderr))
}

const SOURCE: (&str, &str, &str) = (
    "source.toolkit.fluxcd.io",
    "GitRepository",
    "gitrepositories",
);
const UNIT: (&str, &str, &str) = (
    "kustomize.toolkit.fluxcd.io",
    "Kustomization",
    "kustomizations",
);

fn ready(status: &str, reason: &str, message: &str) -> Value {
    json!({"observedGeneration": 1, "conditions": [{"type": "Ready", "status": status, "reason": reason,
        "message": message, "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1}]})
}

fn applied() -> Value {
    ready("True", "ReconciliationSucceeded", "Applied")
}

#[tokio::test(flavor = "multi_thread")]
async fn get_shows_what_fails_first() {
    let world = World::new("get").await;
    let namespace = world.namespace.name();
    world.repository("main@sha1:2").await;
    world.unit("fine", "main@sha1:2", applied()).await;
    let broken = ready(
        "False",
        "BuildFailed",
        "kustomize build failed:\n  no such file",
    );
    world.unit("broken", "main@sha1:1", broken).await;
    let (code, out, err) = world.run(&["get", "-n", namespace]);
    assert_eq!(code, 0, "{err}");
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[1].starts_with("Failed   Kustomization"), "{out}");
    assert!(
        lines[1].contains("kustomize build failed: no such file"),
        "{out}"
    );
    assert_eq!(lines.len(), 4, "{out}");
    let (_, out, _) = world.run(&["get", "ks", "-n", namespace, "--failing", "-o", "json"]);
    let rows: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 1);
    assert_eq!(rows[0]["name"], "broken");
    let (code, _, err) = world.run(&["get", "ks/none", "-n", namespace]);
    assert_eq!(code, 1);
    assert!(err.contains("there is no Kustomization/"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_names_the_first_stop_on_the_way() {
    let world = World::new("explain").await;
    let namespace = world.namespace.name();
    world.repository("main@sha1:2").await;
    world.unit("live", "main@sha1:2", applied()).await;
    let sick = ready(
        "False",
        "HealthCheckFailed",
        "Deployment/web: image cannot be pulled",
    );
    world.unit("sick", "main@sha1:2", sick).await;
    let (code, out, err) = world.run(&["explain", "ks/live", "-n", namespace]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("has main@sha1:2"), "{out}");
    assert!(out.ends_with("Everything is live.\n"), "{out}");
    let (_, out, _) = world.run(&["explain", "ks/sick", "-n", namespace]);
    let stop = "Blocked at health: HealthCheckFailed: Deployment/web: image cannot be pulled";
    assert!(out.contains(stop), "{out}");
    let line = [
        "suspend",
        "ks/live",
        "-n",
        namespace,
        "--reason",
        "incident 7",
    ];
    let (code, out, err) = world.run(&line);
    assert_eq!((code, out.contains("is suspended")), (0, true), "{err}");
    let (_, out, _) = world.run(&["explain", "ks/live", "-n", namespace]);
    assert!(
        out.contains("Blocked at controller: suspended: incident 7"),
        "{out}"
    );
    assert_eq!(world.run(&["resume", "ks/live", "-n", namespace]).0, 0);
    let resumed = world.api(UNIT).get("live").await.unwrap();
    assert_eq!(resumed.data["spec"]["suspend"], false);
    let annotations = resumed.metadata.annotations.unwrap_or_default();
    assert!(annotations.is_empty(), "the reason stays: {annotations:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reconcile_waits_until_its_own_request_was_handled() {
    let world = World::new("reconcile").await;
    let namespace = world.namespace.name();
    world.repository("main@sha1:2").await;
    let api = world.api(SOURCE);
    let controller = tokio::spawn(async move {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let found = api.get("app").await.unwrap();
            let asked = found.metadata.annotations.unwrap_or_default();
            if let Some(token) = asked.get("reconcile.fluxcd.io/requestedAt") {
                let status = json!({"status": {"lastHandledReconcileAt": token}});
                let params = PatchParams::default();
                let patch = Patch::Merge(status);
                api.patch_status("app", &params, &patch).await.unwrap();
                return;
            }
            assert!(Instant::now() < deadline, "nothing was asked for");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let line = ["reconcile", "gitrepo/app", "-n", namespace];
    let (code, out, err) = tokio::task::block_in_place(|| world.run(&line));
    controller.await.unwrap();
    assert_eq!(code, 0, "{err}");
    assert!(out.ends_with("is ready at main@sha1:2\n"), "{out}");
    world.unit("idle", "main@sha1:2", applied()).await;
    let (code, _, err) = world.run(&["reconcile", "ks/idle", "-n", namespace, "--timeout", "0"]);
    assert_eq!(code, 1);
    assert!(err.contains("not ready in time"), "{err}");
}

/// Puts an event about an object in, of an API group.
async fn event(world: &World, name: &str, group: &str, kind: &str, second: u32) {
    let namespace = world.namespace.name();
    let time = format!("2026-01-01T00:00:0{second}Z");
    let event = json!({"metadata": {"name": name, "namespace": namespace}, "type": "Warning", "reason": "Trouble",
        "message": format!("{name} is told"), "firstTimestamp": time, "lastTimestamp": time,
        "involvedObject": {"apiVersion": format!("{group}/v1"), "kind": kind, "name": name, "namespace": namespace}});
    let events = Api::<Event>::namespaced(world.plane.client(), namespace);
    let event = serde_json::from_value(event).unwrap();
    events.create(&PostParams::default(), &event).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_our_objects_are_shown_oldest_first() {
    let world = World::new("events").await;
    let namespace = world.namespace.name();
    event(&world, "later", UNIT.0, UNIT.1, 2).await;
    event(&world, "earlier", SOURCE.0, SOURCE.1, 1).await;
    event(&world, "others", "apps", "Deployment", 3).await;
    let (code, out, err) = world.run(&["events", "-n", namespace]);
    assert_eq!(code, 0, "{err}");
    let earlier = out.find("earlier is told").unwrap();
    assert!(earlier < out.find("later is told").unwrap(), "{out}");
    assert!(!out.contains("others is told"), "{out}");
    let (_, out, _) = world.run(&["events", "ks/later", "-n", namespace, "-o", "json"]);
    let list: Value = serde_json::from_str(&out).unwrap();
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 1, "{out}");
    assert_eq!(list[0]["message"], "later is told");
}

#[test]
fn every_shell_is_told_of_every_command() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let done = Command::new(env!("CARGO_BIN_EXE_lockgate"))
            .args(["completion", shell])
            .output()
            .unwrap();
        let script = String::from_utf8(done.stdout).unwrap();
        for command in ["build", "diff", "explain", "suspend", "resume", "install"] {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn diff_ends_as_kubectl_diff_does() {
    let world = World::new("diff").await;
    let namespace = world.namespace.name();
    let folder = tempfile::tempdir().unwrap();
    let write = |colour: &str| {
        let text = format!("resources: [map.yaml]\nnamespace: {namespace}\n");
        std::fs::write(folder.path().join("kustomization.yaml"), text).unwrap();
        let text = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings}}\ndata: {{colour: {colour}}}\n"
        );
        std::fs::write(folder.path().join("map.yaml"), text).unwrap();
    };
    write("blue");
    let path = folder.path().to_str().unwrap();
    let (code, out, err) = world.run(&["diff", path]);
    assert_eq!(code, 1, "{err}");
    assert!(out.contains("+  colour: blue"), "{out}");
    let maps = Api::<ConfigMap>::namespaced(world.plane.client(), namespace);
    let found = maps.get_opt("settings").await.unwrap();
    assert!(found.is_none(), "nothing is changed");
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"},
        "data": {"colour": "blue"}});
    let params = PatchParams::apply("kustomize-controller").force();
    let patch = Patch::Apply(object);
    maps.patch("settings", &params, &patch).await.unwrap();
    let same = (0, String::new(), String::new());
    assert_eq!(world.run(&["diff", path]), same);
    write("red");
    let (code, out, _) = world.run(&["diff", path]);
    assert_eq!(code, 1);
    assert!(out.contains("-  colour: blue\n+  colour: red\n"), "{out}");
    let (code, _, err) = world.run(&["diff", "/nowhere"]);
    assert_eq!(code, 2);
    assert!(err.starts_with("Error: "), "{err}");
}

/// Before and after, on a control plane of its own: what is installed belongs to the whole cluster.
#[tokio::test(flavor = "multi_thread")]
async fn check_is_content_after_install() {
    let plane = ControlPlane::start().await.unwrap();
    let (code, out, _) = run(&plane, &["check", "--pre"]);
    assert_eq!(code, 0, "{out}");
    let (code, out, _) = run(&plane, &["check"]);
    assert_eq!(code, 1);
    assert!(
        out.contains("no controller is installed in flux-system"),
        "{out}"
    );
    let only = "--components=source-controller,kustomize-controller";
    let (code, out, err) = run(&plane, &["install", only, "--timeout=120"]);
    assert_eq!(code, 0, "{out}{err}");
    let end = "source-controller is ready\nkustomize-controller is ready\n";
    assert!(out.ends_with(end), "{out}");
    let (code, out, _) = run(&plane, &["check"]);
    assert_eq!(code, 0, "{out}");
    let line = "kustomize-controller: 1 of 1 ready (ghcr.io/lockgate/kustomize-controller:";
    assert!(out.contains(line), "{out}");
}
