//! What goes wrong outside: a clear condition and event, nothing forgotten, nothing pruned.

use serde_json::json;

use crate::world::{World, config_map, inventory, message};

async fn started() -> (World, String) {
    let world = World::new().await;
    let settings = config_map("settings", "colour", "blue");
    let revision = world.publish(&[("deploy/settings.yaml", &settings)]).await;
    world
        .apply(json!({ "path": "deploy", "retryInterval": "1h" }))
        .await;
    world.applied("app", &revision).await;
    (world, revision)
}

/// The live object and the inventory are as they were.
async fn unharmed(world: &World) {
    let object = world.kustomizations().get("app").await.unwrap();
    assert_eq!(
        inventory(&object),
        [format!("{}_settings__ConfigMap", world.ns())]
    );
    assert!(
        world
            .config_maps()
            .get_opt("settings")
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn path_that_does_not_exist_is_told() {
    let (world, _) = started().await;
    world.publish(&[("elsewhere/settings.yaml", "{}")]).await;
    let object = world.failed("app", "ArtifactFailed").await;
    assert_eq!(
        message(&object, "Ready"),
        "kustomization path not found: stat deploy: no such file or directory"
    );
    world
        .event("ArtifactFailed", "kustomization path not found")
        .await;
    unharmed(&world).await;
}

#[tokio::test]
async fn broken_yaml_is_refused_with_file_and_line() {
    let (world, _) = started().await;
    world
        .publish(&[(
            "deploy/settings.yaml",
            "apiVersion: v1\nkind: ConfigMap\n  broken: [\n",
        )])
        .await;
    let object = world.failed("app", "BuildFailed").await;
    let words = message(&object, "Ready");
    assert!(
        words.contains("deploy/settings.yaml") && words.contains(":3"),
        "{words}"
    );
    world.event("BuildFailed", "settings.yaml").await;
    unharmed(&world).await;
}

/// Field 6.2: Argo CD's CVE-2024-31989. What lies between the controllers is checked against the status.
#[tokio::test]
async fn tampered_artifact_is_refused() {
    let (world, _) = started().await;
    let settings = config_map("settings", "colour", "red");
    let mut published = world
        .artifacts
        .publish("t.tar.gz", &[("deploy/s.yaml", &settings)])
        .unwrap();
    published.digest = format!("sha256:{}", "0".repeat(64));
    world.announce("main@sha1:tampered", &published).await;
    let object = world.failed("app", "ArtifactFailed").await;
    let words = message(&object, "Ready");
    assert!(words.contains("computed digest doesn't match"), "{words}");
    unharmed(&world).await;
}

#[tokio::test]
async fn truncated_artifact_is_refused() {
    let (world, _) = started().await;
    let settings = config_map("settings", "colour", "red");
    let mut archive = testkit::archive(&[("deploy/s.yaml", &settings)]).unwrap();
    archive.truncate(archive.len() / 2);
    world.publish_bytes(archive).await;
    let object = world.failed("app", "ArtifactFailed").await;
    let words = message(&object, "Ready");
    assert!(words.contains("failed to extract archive"), "{words}");
    unharmed(&world).await;
}

/// covers: KC-027
#[tokio::test]
async fn artifact_that_is_gone_is_waited_for() {
    let (world, _) = started().await;
    let settings = config_map("settings", "colour", "red");
    let published = world
        .artifacts
        .publish("gone.tar.gz", &[("deploy/s.yaml", &settings)])
        .unwrap();
    world.artifacts.remove("gone.tar.gz");
    world.announce("main@sha1:gone", &published).await;
    let object = world.failed("app", "ArtifactFailed").await;
    let words = message(&object, "Ready");
    assert_eq!(
        words,
        "Source is not ready, artifact not found, retrying in 10m0s"
    );
    let settings = config_map("settings", "colour", "green");
    let revision = world.publish(&[("deploy/settings.yaml", &settings)]).await;
    world.applied("app", &revision).await;
}

/// Field 6.2: Argo CD's CVE-2022-24904 and -24731.
#[tokio::test]
async fn path_and_links_cannot_leave_the_artifact() {
    let (world, _) = started().await;
    let climbing = "resources: [../../../../etc/passwd]\n";
    world
        .publish(&[("deploy/kustomization.yaml", climbing)])
        .await;
    let object = world.failed("app", "BuildFailed").await;
    let words = message(&object, "Ready").to_owned();
    assert!(
        words.contains("etc/passwd") && !words.contains("root:"),
        "{words}"
    );
    unharmed(&world).await;
}

/// covers: KC-029
#[tokio::test]
async fn object_that_the_api_server_refuses_is_told_and_its_neighbours_are_not_written() {
    let (world, _) = started().await;
    let bad =
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: bad\nspec:\n  ports:\n  - port: 99999\n";
    let settings = config_map("settings", "colour", "red");
    let neighbour = config_map("neighbour", "k", "v");
    let files = [
        ("deploy/bad.yaml", bad),
        ("deploy/settings.yaml", settings.as_str()),
        ("deploy/neighbour.yaml", neighbour.as_str()),
    ];
    world.publish(&files).await;
    let object = world.failed("app", "ReconciliationFailed").await;
    let words = message(&object, "Ready");
    assert!(
        words.contains(&format!(
            "Service/{}/bad dry-run failed (Invalid)",
            world.ns()
        )),
        "{words}"
    );
    world.event("ReconciliationFailed", "dry-run failed").await;
    let settings = world.config_maps().get("settings").await.unwrap();
    assert_eq!(settings.data.unwrap()["colour"], "blue");
    assert!(
        world
            .config_maps()
            .get_opt("neighbour")
            .await
            .unwrap()
            .is_none()
    );
    assert!(inventory(&object).contains(&format!("{}_settings__ConfigMap", world.ns())));
}

#[tokio::test]
async fn unknown_kind_is_told() {
    let (world, _) = started().await;
    let widget = "apiVersion: example.com/v1\nkind: Widget\nmetadata:\n  name: w\n";
    let settings = config_map("settings", "colour", "blue");
    let files = [
        ("deploy/w.yaml", widget),
        ("deploy/settings.yaml", settings.as_str()),
    ];
    world.publish(&files).await;
    let object = world.failed("app", "ReconciliationFailed").await;
    let words = message(&object, "Ready");
    assert!(
        words.contains("no matches for kind \"Widget\" in version \"example.com/v1\""),
        "{words}"
    );
}

/// covers: KC-042
#[tokio::test]
async fn empty_source_prunes_everything_and_is_ready() {
    let (world, _) = started().await;
    let revision = world.publish(&[("deploy/README.md", "nothing here")]).await;
    let object = world.applied("app", &revision).await;
    assert!(inventory(&object).is_empty());
    world.config_map("settings", |c| c.is_none()).await;
}

#[tokio::test]
async fn config_map_that_names_no_cluster_is_told() {
    let (world, _) = started().await;
    let spec = json!({ "path": "deploy", "kubeConfig": { "configMapRef": { "name": "there" } } });
    world.apply(spec).await;
    let object = world.failed("app", "ReconciliationFailed").await;
    let words = format!("failed to get configmap {}/there", world.ns());
    let ready = message(&object, "Ready");
    assert!(ready.contains(&words), "{ready}");
    unharmed(&world).await;
}

/// covers: KC-030, KC-031
#[tokio::test]
async fn account_without_rights_is_refused_and_one_that_is_gone_orphans_its_objects() {
    let world = World::new().await;
    let settings = config_map("settings", "colour", "blue");
    let revision = world.publish(&[("settings.yaml", &settings)]).await;
    world.account("tenant").await;
    world
        .apply(json!({ "serviceAccountName": "tenant", "retryInterval": "1s" }))
        .await;
    let object = world.failed("app", "ReconciliationFailed").await;
    let user = format!("system:serviceaccount:{}:tenant", world.ns());
    let words = message(&object, "Ready");
    assert!(
        words.contains(&user) && words.contains("forbidden"),
        "{words}"
    );
    world.event("ReconciliationFailed", &user).await;

    world.allow("tenant").await;
    world.applied("app", &revision).await;
    world.dismiss("tenant").await;
    world.delete("app").await;
    world
        .event("ReconciliationSucceeded", "unable to prune objects")
        .await;
    assert!(
        world
            .config_maps()
            .get_opt("settings")
            .await
            .unwrap()
            .is_some()
    );
}
