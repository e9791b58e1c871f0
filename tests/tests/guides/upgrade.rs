//! `docs/install.md`: an upgrade of the manifests and the way back, beside something that is live.

use std::collections::BTreeMap;
use std::process::Command;

use kube::ResourceExt as _;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;
use testkit::ControlPlane;

use crate::world::{PATIENCE, UNIT, World, map, repository, unit};

const CONTROLLERS: &str = "flux-system";
const APP: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 2\n  \
    selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    \
    spec: {containers: [{name: web, image: \"registry.example/web:1\"}]}\n";

/// Installs with our own command, which waits until all Deployments are ready.
fn install(plane: &ControlPlane, line: &[&str]) {
    let done = Command::new(testkit::built("lockgate-cli", "lockgate").unwrap())
        .args(["install", "--timeout=300", "--registry=registry.example"])
        .args(line)
        .env("KUBECONFIG", plane.kubeconfig_path())
        .env_remove("FLUX_SYSTEM_NAMESPACE")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "install {line:?}: {told}");
}

/// UID and generation of the objects of a kind in a namespace, by name.
async fn marks(world: &World, namespace: &str, of: (&str, &str)) -> BTreeMap<String, String> {
    let api = world.api(namespace, of).await;
    let list = api.list(&ListParams::default()).await.unwrap();
    let mark = |o: kube::api::DynamicObject| {
        let generation = o.metadata.generation;
        (o.name_any(), format!("{} {generation:?}", o.uid().unwrap()))
    };
    list.items.into_iter().map(mark).collect()
}

/// Everything that an upgrade has no business with.
async fn live(world: &World) -> BTreeMap<&'static str, BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for of in [
        ("apps/v1", "Deployment"),
        ("apps/v1", "ReplicaSet"),
        ("v1", "Pod"),
        ("v1", "ConfigMap"),
        ("source.toolkit.fluxcd.io/v1", "GitRepository"),
        UNIT,
    ] {
        found.insert(of.1, marks(world, world.ns(), of).await);
    }
    found
}

/// Pods of a controller; those that are on their way out count no more.
async fn pods(world: &World, name: &str) -> Vec<String> {
    let api = world.api(CONTROLLERS, ("v1", "Pod")).await;
    let began = std::time::Instant::now();
    loop {
        let list = api
            .list(&ListParams::default().labels(&format!("app={name}")))
            .await
            .unwrap();
        if list
            .iter()
            .all(|pod| pod.metadata.deletion_timestamp.is_none())
            && list.items.len() == 1
        {
            return list.iter().map(|pod| pod.uid().unwrap()).collect();
        }
        assert!(began.elapsed() < PATIENCE, "{name}: old pods stay");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

/// Starts both controllers anew, as their Deployments do, and waits until each has done a run that was asked for.
async fn replaced(world: &World, request: &str) {
    world.source.restart().await.unwrap();
    world.kustomize.restart().await.unwrap();
    for of in [("source.toolkit.fluxcd.io/v1", "GitRepository"), UNIT] {
        let patch = json!({ "metadata": { "annotations": { "reconcile.fluxcd.io/requestedAt": request } } });
        let api = world.api(world.ns(), of).await;
        api.patch("app", &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap();
        world
            .until(of, "app", "the request was acted on", |object| {
                object["status"]["lastHandledReconcileAt"] == request
                    && crate::world::is_ready(object, "True")
            })
            .await;
    }
}

#[tokio::test]
async fn upgrade_and_rollback_leave_what_is_live_alone() {
    let plane = ControlPlane::start().await.unwrap();
    install(&plane, &["--version=v0.1.0"]);
    let world = World::on(&plane).await;
    let git = world.git.repository("app").unwrap();
    let files = [("app.yaml", format!("{APP}---\n{}", map("settings", "one")))];
    let files = files.iter().map(|(path, text)| (*path, text.as_str()));
    let commit = git.commit_files("main", "first", files).unwrap();
    world
        .apply(&repository("app", git.url(), "branch: main"))
        .await;
    let more = format!("  wait: true\n  targetNamespace: {}\n", world.ns());
    world.apply(&unit("app", "app", "./", &more)).await;
    world.applied("app", &commit).await;
    let before = live(&world).await;
    assert_eq!(before["Pod"].len(), 2, "{before:#?}");
    let names = [
        "source-controller",
        "kustomize-controller",
        "helm-controller",
    ];
    let mut running = Vec::new();
    for name in names {
        running.push(pods(&world, name).await);
    }

    install(&plane, &["--version=v0.1.0"]);
    for (name, pods_before) in names.iter().zip(&running) {
        assert_eq!(
            &pods(&world, name).await,
            pods_before,
            "nothing changed for {name}"
        );
    }
    install(
        &plane,
        &["--version=v0.2.0", "--components=source-controller"],
    );
    assert_ne!(
        pods(&world, names[0]).await,
        running[0],
        "it is the new one"
    );
    assert_eq!(
        pods(&world, names[1]).await,
        running[1],
        "it was not upgraded"
    );
    assert_eq!(
        pods(&world, names[2]).await,
        running[2],
        "it was not upgraded"
    );
    install(&plane, &["--version=v0.2.0"]);
    replaced(&world, "upgraded").await;
    assert_eq!(live(&world).await, before, "after the upgrade");

    install(&plane, &["--version=v0.1.0"]);
    replaced(&world, "rolled back").await;
    assert_eq!(live(&world).await, before, "after the rollback");
}
