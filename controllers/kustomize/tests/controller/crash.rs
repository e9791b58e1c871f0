//! The controller is killed, the API server goes away: nothing is forgotten.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use testkit::{ApiProxy, ControlPlane, Moment, Program};

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
async fn api_server_that_was_gone_for_a_minute_is_found_again() {
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
    let before = world.config_maps().get("settings").await.unwrap();
    plane.stop_api_server();
    tokio::time::sleep(Duration::from_mins(1)).await;
    program.still_runs().unwrap();
    plane.start_api_server().await.unwrap();
    let settings = config_map("settings", "colour", "red");
    let second = world.publish(&[("settings.yaml", &settings)]).await;
    let object = world.applied("app", &second).await;
    assert_eq!(
        inventory(&object),
        [format!("{}_settings__ConfigMap", world.ns())]
    );
    let after = world.config_maps().get("settings").await.unwrap();
    assert_eq!(after.metadata.uid, before.metadata.uid);
    assert_eq!(after.data.unwrap()["colour"], "red");
}

/// Whatever the API server answers for a while, the next revision is applied by itself: where it is busy the same run asks
/// again, other answers are told and the next run goes on.
#[tokio::test]
async fn answers_of_a_troubled_api_server_cost_a_run_at_most() {
    let plane = ControlPlane::start().await.unwrap();
    testkit::install_definitions(&plane.client(), &definitions())
        .await
        .unwrap();
    let world = World::on(&plane).await;
    let proxy = ApiProxy::start(&plane).unwrap();
    let binary = env!("CARGO_BIN_EXE_kustomize-controller");
    let program = Program::against(binary, &proxy.kubeconfig_path()).unwrap();
    let _program = program.start().await.unwrap();
    let text = |colour: &str| config_map("settings", "colour", colour);
    let first = world.publish(&[("settings.yaml", &text("none"))]).await;
    world.apply(json!({ "retryInterval": "1s" })).await;
    world.applied("app", &first).await;
    let uid = async || {
        let live = world.config_maps().get("settings").await.unwrap();
        live.metadata.uid
    };
    let before = uid().await;
    for (code, is_told) in [
        (429, false),
        (503, false),
        (504, false),
        (500, true),
        (409, true),
        (422, true),
    ] {
        proxy.answer("/configmaps/settings", &[code]);
        let colour = format!("c{code}");
        let revision = world.publish(&[("settings.yaml", &text(&colour))]).await;
        world.applied("app", &revision).await;
        assert_eq!(proxy.unanswered(), 0, "{code} was not answered");
        let words = format!("answered with {code}");
        if is_told {
            world.event("ReconciliationFailed", &words).await;
        }
        let live = world.config_maps().get("settings").await.unwrap();
        assert_eq!(live.data.unwrap()["colour"], colour);
        assert_eq!(uid().await, before, "{code}: it was made again");
    }
}

/// Kills the controller before and after each of its writes, at a first apply, at a new revision that adds, changes
/// and removes objects, and at the end of a Kustomization: each time the next process ends where it should.
#[tokio::test]
async fn killed_at_each_write_it_loses_and_orphans_nothing() {
    // Of its own: on the others' there is a controller that reconciles every namespace.
    let plane = ControlPlane::start().await.unwrap();
    testkit::install_definitions(&plane.client(), &definitions())
        .await
        .unwrap();
    let world = World::on(&plane).await;
    let proxy = ApiProxy::start(&plane).unwrap();
    let binary = env!("CARGO_BIN_EXE_kustomize-controller");
    let program = testkit::Program::against(binary, &proxy.kubeconfig_path()).unwrap();
    let program = program
        .flag("--watch-all-namespaces", "false")
        .env("RUNTIME_NAMESPACE", world.ns());
    let program = Arc::new(program.start().await.unwrap());
    for moment in [Moment::Before, Moment::After] {
        let mut write = 0;
        while walk(&world, &proxy, &program, (moment, write)).await {
            write += 1;
        }
        assert!(
            write >= 8,
            "the walk saw {write} writes only: {:#?}",
            proxy.writes()
        );
    }
}

/// A life of Kustomization `app` with one kill. Returns false where no write was left to be killed at.
async fn walk(
    world: &World,
    proxy: &ApiProxy,
    program: &Arc<Program>,
    at: (Moment, usize),
) -> bool {
    let object = |name: &str, value: &str| (format!("{name}.yaml"), config_map(name, "k", value));
    let first = [object("kept", "one"), object("left", "one")];
    let second = [object("kept", "two"), object("new", "two")];
    let files = |set: &[(String, String)]| set.to_vec();
    let killed = Arc::new(tokio::sync::Notify::new());
    let (process, told) = (Arc::clone(program), Arc::clone(&killed));
    proxy.trap(at.1, at.0, move |_| {
        process.kill();
        told.notify_one();
    });
    let revive = tokio::spawn({
        let (process, told) = (Arc::clone(program), Arc::clone(&killed));
        async move {
            told.notified().await;
            process.restart().await.unwrap();
        }
    });
    for (set, names) in [
        (files(&first), ["kept", "left"]),
        (files(&second), ["kept", "new"]),
    ] {
        let set: Vec<_> = set.iter().map(|(p, t)| (p.as_str(), t.as_str())).collect();
        let revision = world.publish(&set).await;
        world.apply(json!({ "retryInterval": "1s" })).await;
        let applied = world.applied("app", &revision).await;
        let expected = names.map(|n| format!("{}_{n}__ConfigMap", world.ns()));
        assert_eq!(
            inventory(&applied),
            expected,
            "killed {at:?}: {:#?}",
            proxy.writes()
        );
        assert_eq!(
            owned(world).await,
            names,
            "killed {at:?}: {:#?}",
            proxy.writes()
        );
    }
    world.delete("app").await;
    assert!(
        owned(world).await.is_empty(),
        "killed {at:?}: {:#?}",
        proxy.writes()
    );
    let was_killed = !proxy.disarm();
    if was_killed {
        revive.await.unwrap();
    } else {
        revive.abort();
    }
    was_killed
}

/// The names of the ConfigMaps that carry the owner's label.
async fn owned(world: &World) -> Vec<String> {
    let owned = kube::api::ListParams::default().labels("kustomize.toolkit.fluxcd.io/name=app");
    let live = world.config_maps().list(&owned).await.unwrap().items;
    let mut names: Vec<_> = live.into_iter().filter_map(|c| c.metadata.name).collect();
    names.sort();
    names
}
