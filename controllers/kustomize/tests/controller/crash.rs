//! The controller is killed, the API server goes away: nothing is forgotten.

use std::time::Duration;

use serde_json::json;
use testkit::ControlPlane;

use crate::world::{World, config_map, controller, definitions, inventory};

/// Kills the controller again and again while revisions come; at the end the cluster equals the
/// last one and the inventory names all there is.
#[tokio::test]
async fn killed_at_any_moment_it_ends_where_the_source_is() {
    let plane = testkit::control_plane().await;
    testkit::install_definitions(&plane.client(), &definitions())
        .await
        .unwrap();
    let world = World::on(plane).await;
    let program = controller(plane)
        .flag("--watch-all-namespaces", "false")
        .env("RUNTIME_NAMESPACE", world.ns())
        .start()
        .await
        .unwrap();
    world.apply(json!({ "retryInterval": "1s" })).await;
    let mut revision = String::new();
    for round in 0..12_u64 {
        let names: Vec<String> = (0..8).map(|n| format!("c{}", (n + round) % 12)).collect();
        let texts: Vec<String> = names
            .iter()
            .map(|n| config_map(n, "round", &format!("r{round}")))
            .collect();
        let paths: Vec<String> = names.iter().map(|n| format!("{n}.yaml")).collect();
        let files: Vec<_> = paths
            .iter()
            .zip(&texts)
            .map(|(p, t)| (p.as_str(), t.as_str()))
            .collect();
        revision = world.publish(&files).await;
        // Another moment of the run each round.
        tokio::time::sleep(Duration::from_millis(15 + 23 * round)).await;
        program.kill();
        program.restart().await.unwrap();
    }
    let object = world.applied("app", &revision).await;
    let expect: Vec<String> = (0..8)
        .map(|n| format!("{}_c{}__ConfigMap", world.ns(), (n + 11) % 12))
        .collect();
    let mut expect = expect;
    expect.sort();
    assert_eq!(inventory(&object), expect);
    let owned = kube::api::ListParams::default().labels("kustomize.toolkit.fluxcd.io/name=app");
    let mut live: Vec<_> = world
        .config_maps()
        .list(&owned)
        .await
        .unwrap()
        .items
        .into_iter()
        .map(|c| format!("{}_{}__ConfigMap", world.ns(), c.metadata.name.unwrap()))
        .collect();
    live.sort();
    assert_eq!(live, expect, "objects were orphaned or lost");
}

#[tokio::test]
async fn api_server_that_was_gone_is_found_again() {
    let plane = ControlPlane::start().await.unwrap();
    testkit::install_definitions(&plane.client(), &definitions())
        .await
        .unwrap();
    let program = controller(&plane).start().await.unwrap();
    let world = World::on(&plane).await;
    let settings = config_map("settings", "colour", "blue");
    let first = world.publish(&[("settings.yaml", &settings)]).await;
    world
        .apply(json!({ "retryInterval": "1s", "interval": "2s" }))
        .await;
    world.applied("app", &first).await;
    plane.stop_api_server();
    tokio::time::sleep(Duration::from_secs(30)).await;
    program.still_runs().unwrap();
    plane.start_api_server().await.unwrap();
    let settings = config_map("settings", "colour", "red");
    let second = world.publish(&[("settings.yaml", &settings)]).await;
    let object = world.applied("app", &second).await;
    assert_eq!(
        inventory(&object),
        [format!("{}_settings__ConfigMap", world.ns())]
    );
}
