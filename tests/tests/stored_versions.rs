//! Controllers bring objects of older stored versions up to date when they start, unless they are told not to.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::{
    path::Path,
    time::{Duration, Instant},
};

use k8s_openapi::{
    api::core::v1::Event,
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Client,
    api::{Api, ListParams, PostParams},
};
use testkit::{ControlPlane, Program};

const SOURCES: &str = "gitrepositories.source.toolkit.fluxcd.io";
const KUSTOMIZATIONS: &str = "kustomizations.kustomize.toolkit.fluxcd.io";
const PATIENCE: Duration = Duration::from_mins(1);

fn definitions(client: &Client) -> Api<CustomResourceDefinition> {
    Api::all(client.clone())
}

/// Has new objects stored at a version from now on.
async fn store_at(client: &Client, name: &str, version: &str) {
    let mut definition = definitions(client).get(name).await.unwrap();
    for one in &mut definition.spec.versions {
        one.storage = one.name == version;
    }
    let params = PostParams::default();
    definitions(client)
        .replace(name, &params, &definition)
        .await
        .unwrap();
}

async fn stored(client: &Client, name: &str) -> Vec<String> {
    let definition = definitions(client).get(name).await.unwrap();
    definition.status.unwrap().stored_versions.unwrap()
}

async fn until(what: &str, mut ask: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !ask().await {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn controller(plane: &ControlPlane, name: &str) -> Program {
    let exe = std::env::current_exe().unwrap();
    let path = exe.parent().and_then(Path::parent).unwrap().join(name);
    if !path.exists() {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
        let mut build = std::process::Command::new(cargo);
        let status = build.args(["build", "-p", name]).status().unwrap();
        assert!(status.success(), "{name} does not build");
    }
    Program::new(path, plane)
        .unwrap()
        .env("RUNTIME_NAMESPACE", "default")
}

fn source_controller(plane: &ControlPlane) -> Program {
    let program = controller(plane, "source-controller");
    program.stores_artifacts().unwrap()
}

/// A cluster that once stored Kustomizations and GitRepositories at older versions, with one definition that lacks a field.
async fn old_cluster() -> ControlPlane {
    let plane = ControlPlane::start().await.unwrap();
    let client = plane.client();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/crd/bases");
    testkit::install_definitions(&client, &folder)
        .await
        .unwrap();
    for name in [SOURCES, KUSTOMIZATIONS] {
        store_at(&client, name, "v1beta2").await;
        store_at(&client, name, "v1").await;
        assert_eq!(stored(&client, name).await.len(), 2);
    }
    let mut definition = definitions(&client).get(KUSTOMIZATIONS).await.unwrap();
    for version in &mut definition.spec.versions {
        let root = version.schema.as_mut().unwrap();
        let root = root.open_api_v3_schema.as_mut().unwrap();
        let spec = root.properties.as_mut().unwrap().get_mut("spec").unwrap();
        spec.properties.as_mut().unwrap().remove("pruneGuard");
    }
    let params = PostParams::default();
    let all = definitions(&client);
    all.replace(KUSTOMIZATIONS, &params, &definition)
        .await
        .unwrap();
    plane
}

#[tokio::test]
async fn controllers_migrate_and_warn_at_start_unless_told_not_to() {
    let plane = old_cluster().await;
    let client = plane.client();
    let kustomize = controller(&plane, "kustomize-controller")
        .flag("--migrate-stored-versions", "false")
        .start()
        .await
        .unwrap();
    let events: Api<Event> = Api::namespaced(client.clone(), "default");
    let warnings = ListParams::default().fields("reason=NarrowerDefinition");
    until("the narrower definition is told of", async || {
        let found = events.list(&warnings).await.unwrap();
        let message = found.items.first().and_then(|event| event.message.clone());
        let hint = "use annotation lockgate.dev/pruneGuard";
        message.is_some_and(|message| message.contains(hint))
    })
    .await;
    assert!(kustomize.log().unwrap().contains("lockgate.dev/pruneGuard"));
    // There is no object: what it would migrate, it would a moment later.
    tokio::time::sleep(Duration::from_secs(2)).await;
    kustomize.terminate(PATIENCE).await.unwrap();
    assert_eq!(stored(&client, KUSTOMIZATIONS).await.len(), 2);

    let kustomize = controller(&plane, "kustomize-controller")
        .flag("--enable-leader-election", "true")
        .start()
        .await
        .unwrap();
    let source = source_controller(&plane).start().await.unwrap();
    for name in [SOURCES, KUSTOMIZATIONS] {
        until("only the newest version is stored", async || {
            stored(&client, name).await == ["v1"]
        })
        .await;
    }
    for program in [kustomize, source] {
        program.terminate(PATIENCE).await.unwrap();
    }
}
