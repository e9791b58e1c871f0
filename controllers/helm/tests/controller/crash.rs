//! The controller is killed: the next process finds everything as it should be.

use std::{path::Path, sync::Arc};

use futures::future::join_all;
use kube::api::ListParams;
use serde_json::json;
use testkit::{ApiProxy, Moment, Program};

use crate::world::{World, is};

/// How many lives are lived side by side.
const SIDE_BY_SIDE: usize = 6;
/// Of the writes of a life, each so many-th is tried; `WALK_STRIDE=1` tries all, in some minutes.
const STRIDE: usize = 4;
/// More writes than a life has.
const MOST_WRITES: usize = 120;

const MAPS: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata:\n  colour: {{ .Values.colour }}\n{{- if .Values.bad }}\n  a bad key: x\n{{- end }}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Values.second }}}\ndata: {}\n";
const HOOK: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: hook\n  annotations: {helm.sh/hook: \"post-install,pre-upgrade,pre-rollback,pre-delete\"}\ndata: {}\n";

/// Kills the controller after one of its writes, life by life, at an installation, an upgrade, an upgrade that fails and is rolled
/// back, and an uninstallation. A kill before a write leaves the same cluster as one after the write before.
#[tokio::test]
async fn killed_at_each_write_it_recovers_without_hands() {
    let stride = std::env::var("WALK_STRIDE").ok();
    let stride = stride.and_then(|s| s.parse().ok()).unwrap_or(STRIDE);
    let mut first = 0;
    while first < MOST_WRITES {
        let next = first + SIDE_BY_SIDE * stride;
        let round = (first..next).step_by(stride).map(live);
        let was_killed = join_all(round).await;
        first = next;
        if was_killed.contains(&false) {
            break;
        }
    }
    assert!(first > 30, "the walk saw {first} writes only");
    assert!(first < MOST_WRITES, "the walk does not end");
}

/// A life of HelmRelease `app` with one kill, after its `n`th write. Returns false where no write was left to be killed
/// at.
async fn live(n: usize) -> bool {
    let world = World::alone().await;
    let plane = testkit::control_plane().await;
    let proxy = ApiProxy::start(plane).unwrap();
    let kubeconfig = proxy.kubeconfig_path();
    let program = Arc::new(start(&world, &kubeconfig).await);
    let killed = Arc::new(tokio::sync::Notify::new());
    let (process, told) = (Arc::clone(&program), Arc::clone(&killed));
    proxy.trap(n, Moment::After, move |_| {
        process.kill();
        told.notify_one();
    });
    let revive = tokio::spawn({
        let process = Arc::clone(&program);
        async move {
            killed.notified().await;
            process.restart().await.unwrap();
        }
    });
    story(&world, n).await;
    let was_killed = !proxy.disarm();
    if was_killed {
        revive.await.unwrap();
    } else {
        revive.abort();
    }
    program.kill();
    was_killed
}

async fn start(world: &World, kubeconfig: &Path) -> Program {
    world.controller(kubeconfig).start().await.unwrap()
}

async fn story(world: &World, n: usize) {
    let remediation = json!({ "retries": 1, "remediateLastFailure": true });
    let spec = |colour: &str, second: &str, bad: bool| {
        json!({ "upgrade": { "remediation": remediation },
            "values": { "colour": colour, "second": second, "bad": bad } })
    };
    world
        .publish("1.0.0", &[("maps.yaml", MAPS), ("hook.yaml", HOOK)])
        .await;
    for (colour, second) in [("blue", "left"), ("red", "new")] {
        world.apply(spec(colour, second, false)).await;
        world
            .until(&format!("killed at {n}: {colour} is released"), |o| {
                is(o, "Ready", "True")
                    && !is(o, "Reconciling", "True")
                    && o.status.as_ref().unwrap().observed_generation == o.metadata.generation
            })
            .await;
        // Sorted: `hook`, `left` or `new`, `one`.
        assert_eq!(
            objects(world).await,
            ["hook", second, "one"],
            "killed at {n}"
        );
        let colour_now = world.entry("one", "colour").await;
        assert_eq!(colour_now.as_deref(), Some(colour), "killed at {n}");
        one_is_deployed(world, n).await;
    }
    world.apply(spec("green", "worse", true)).await;
    world
        .until(&format!("killed at {n}: rolled back"), |o| {
            is(o, "Remediated", "True") && is(o, "Stalled", "True")
        })
        .await;
    let colour = world.entry("one", "colour").await;
    assert_eq!(colour.as_deref(), Some("red"), "killed at {n}");
    assert_eq!(
        objects(world).await,
        ["hook", "new", "one"],
        "killed at {n}"
    );
    one_is_deployed(world, n).await;
    world.delete().await;
    // Hooks without a policy stay, as Helm has it.
    assert_eq!(objects(world).await, ["hook"], "killed at {n}");
    assert_eq!(world.records().await, [], "killed at {n}");
}

/// The ConfigMaps that the test's chart has made, sorted.
async fn objects(world: &World) -> Vec<String> {
    let all = world
        .config_maps()
        .list(&ListParams::default())
        .await
        .unwrap();
    let names = all.items.into_iter().filter_map(|c| c.metadata.name);
    let mut names: Vec<_> = names.filter(|n| n != "kube-root-ca.crt").collect();
    names.sort();
    names
}

async fn one_is_deployed(world: &World, n: usize) {
    let revisions = world.revisions().await;
    let deployed = revisions.iter().filter(|(_, s)| s == "deployed").count();
    let is_settled = revisions.iter().all(|(_, s)| !s.starts_with("pending"));
    assert!(deployed == 1 && is_settled, "killed at {n}: {revisions:?}");
}
