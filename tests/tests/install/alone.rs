//! Each controller by itself, the other five absent: it does its job, or says what it lacks.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, WatchParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};
use testkit::{
    ArtifactServer, ControlPlane, GitServer, Program, PushedArtifact, Registry, RegistryOptions,
};

use super::{PATIENCE, apply, build, config, live, put, start};

const SOURCE: &str = "source.toolkit.fluxcd.io";
const IMAGE: &str = "image.toolkit.fluxcd.io";
type Of = (&'static str, &'static str, &'static str);
const GIT: Of = (SOURCE, "GitRepository", "gitrepositories");
const UNIT: Of = (
    "kustomize.toolkit.fluxcd.io",
    "Kustomization",
    "kustomizations",
);

struct World {
    plane: ControlPlane,
    folder: tempfile::TempDir,
    git: GitServer,
}

impl World {
    fn api(&self, namespace: &str, (group, kind, plural): Of) -> Api<DynamicObject> {
        let gvk = GroupVersionKind::gvk(group, "v1", kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
        Api::namespaced_with(self.plane.client(), namespace, &resource)
    }

    /// Waits until object `app` is ready, or not, and says so with some words.
    async fn says(&self, program: &Program, namespace: &str, of: Of, ready: &str, words: &str) {
        let api = self.api(namespace, of);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let object = api.get("app").await.unwrap();
            let conditions = object.data["status"]["conditions"].as_array().cloned();
            let found = conditions
                .unwrap_or_default()
                .into_iter()
                .find(|condition| {
                    let message = condition["message"].as_str().unwrap_or_default();
                    condition["type"] == "Ready"
                        && condition["status"] == ready
                        && message.contains(words)
                });
            if found.is_some() {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{} never says '{words}': {:#}\n{}",
                of.1,
                object.data["status"],
                program.log().unwrap()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn put(&self, namespace: &str, of: Of, spec: Value) {
        put(&self.plane, namespace, of, spec).await;
    }

    async fn start(&self, name: &str) -> Program {
        testkit::built(package(name), name).unwrap();
        start(&self.plane, name, self.folder.path()).await
    }

    fn git_spec(&self) -> Value {
        let repository = self.git.repository("app").unwrap();
        let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n";
        repository
            .commit_files("main", "first", [("deploy/settings.yaml", text)])
            .unwrap();
        json!({ "interval": "10m", "url": repository.url(), "ref": { "branch": "main" } })
    }
}

fn package(name: &str) -> &str {
    match name {
        "image-reflector-controller" | "image-automation-controller" => "image-automation",
        other => other,
    }
}

async fn sources(world: &World, namespace: &str, git: &Value) {
    let program = world.start("source-controller").await;
    world.put(namespace, GIT, git.clone()).await;
    world
        .says(&program, namespace, GIT, "True", "stored artifact")
        .await;
}

async fn units(world: &World, namespace: &str, git: &Value) {
    let program = world.start("kustomize-controller").await;
    let spec = json!({ "interval": "10m", "retryInterval": "1s", "prune": true, "path": "./deploy",
        "targetNamespace": namespace, "sourceRef": { "kind": "GitRepository", "name": "app" } });
    world.put(namespace, UNIT, spec).await;
    world
        .says(&program, namespace, UNIT, "False", "gitrepositories")
        .await;
    world.put(namespace, GIT, git.clone()).await;
    world
        .says(&program, namespace, UNIT, "False", "artifact")
        .await;
    // An artifact may come from anybody who fills in the status of a source.
    let server = ArtifactServer::start().unwrap();
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n";
    let artifact = server
        .publish("app.tar.gz", &[("deploy/settings.yaml", text)])
        .unwrap();
    let status = json!({ "apiVersion": format!("{SOURCE}/v1"), "kind": "GitRepository",
        "metadata": { "name": "app" }, "status": { "observedGeneration": 1,
        "artifact": { "revision": "main@sha1:0000000000000000000000000000000000000001", "path": "app.tar.gz",
            "url": artifact.url, "digest": artifact.digest, "lastUpdateTime": "2026-01-01T00:00:00Z" } } });
    let params = PatchParams::apply("test").force();
    let api = world.api(namespace, GIT);
    api.patch_status("app", &params, &Patch::Apply(status))
        .await
        .unwrap();
    live(&world.plane, namespace, &[program]).await;
}

async fn releases(world: &World, namespace: &str) {
    let program = world.start("helm-controller").await;
    let of = ("helm.toolkit.fluxcd.io", "HelmRelease", "helmreleases");
    let gvk = GroupVersionKind::gvk(of.0, "v2", of.1);
    let resource = ApiResource::from_gvk_with_plural(&gvk, of.2);
    let api = Api::<DynamicObject>::namespaced_with(world.plane.client(), namespace, &resource);
    let object = json!({ "apiVersion": format!("{}/v2", of.0), "kind": of.1, "metadata": { "name": "app" },
        "spec": { "interval": "10m", "chart": { "spec": { "chart": "app",
            "sourceRef": { "kind": "HelmRepository", "name": "charts" } } } } });
    let params = PatchParams::apply("test").force();
    api.patch("app", &params, &Patch::Apply(object))
        .await
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    let chart = format!("HelmChart '{namespace}/{namespace}-app' is not ready");
    loop {
        let status = api.get("app").await.unwrap().data["status"].clone();
        if status.to_string().contains(&chart) {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{status:#}\n{}",
            program.log().unwrap()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn notifications(world: &World, namespace: &str) {
    let program = world.start("notification-controller").await;
    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "hook", "namespace": namespace },
        "stringData": { "token": "t0ken" } });
    apply(&world.plane, secret.to_string().as_bytes()).await;
    let of = ("notification.toolkit.fluxcd.io", "Receiver", "receivers");
    let spec = json!({ "type": "generic", "secretRef": { "name": "hook" },
        "resources": [{ "kind": "GitRepository", "name": "app" }] });
    world.put(namespace, of, spec).await;
    world.says(&program, namespace, of, "True", "/hook/").await;
}

async fn scans(world: &World, namespace: &str) {
    let program = world.start("image-reflector-controller").await;
    let registry = Registry::start(&RegistryOptions::default()).unwrap();
    registry
        .push("app", "1.0.0", &PushedArtifact::default())
        .unwrap();
    let of = (IMAGE, "ImageRepository", "imagerepositories");
    let spec = json!({ "interval": "10m", "image": format!("{}/app", registry.address()), "insecure": true });
    world.put(namespace, of, spec).await;
    world
        .says(&program, namespace, of, "True", "found 1 tags")
        .await;
}

async fn automations(world: &World, namespace: &str, git: &Value) {
    let program = world.start("image-automation-controller").await;
    let of = (IMAGE, "ImageUpdateAutomation", "imageupdateautomations");
    let spec = json!({ "interval": "10m", "sourceRef": { "kind": "GitRepository", "name": "app" },
        "git": { "commit": { "author": { "email": "a@example.com" } } } });
    world.put(namespace, of, spec).await;
    world.says(&program, namespace, of, "False", "app").await;
    // The object says where the repository is; nobody has to have fetched it.
    world.put(namespace, GIT, git.clone()).await;
    world.says(&program, namespace, of, "True", "").await;
}

/// Asks for a listing as a stream. Returns why there is none.
async fn refusal_of_streams(plane: &ControlPlane) -> String {
    let params = WatchParams::default().initial_events();
    let api = Api::<Namespace>::all(plane.client());
    let answer = api.watch(&params, "0").await.map(drop);
    answer.unwrap_err().to_string()
}

/// Everywhere else the API server streams listings; here it is one that does not.
#[tokio::test]
async fn each_controller_alone_does_its_job_or_says_what_it_lacks() {
    let plane = ControlPlane::start_with(&["WatchList=false"])
        .await
        .unwrap();
    let refusal = refusal_of_streams(&plane).await;
    assert!(refusal.contains("sendInitialEvents"), "{refusal}");
    let world = World {
        plane,
        folder: tempfile::tempdir().unwrap(),
        git: GitServer::start().unwrap(),
    };
    apply(&world.plane, &build(&config("crd"))).await;
    apply(&world.plane, &build(&config("default"))).await;
    let git = world.git_spec();
    let namespace = async |name: &str| world.plane.namespace(name).await.name().to_owned();
    sources(&world, &namespace("sources").await, &git).await;
    units(&world, &namespace("units").await, &git).await;
    releases(&world, &namespace("releases").await).await;
    notifications(&world, &namespace("notifications").await).await;
    scans(&world, &namespace("scans").await).await;
    automations(&world, &namespace("automations").await, &git).await;
}
