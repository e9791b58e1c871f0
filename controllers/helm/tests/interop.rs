//! Releases shared with the real helm command, versions 3 and 4: what it sees, changes and takes away.
//!
//! Run by `make interop`: the commands are built from Go modules (`hack/interop/helms`), the chart of podinfo is fetched
//! (`hack/interop/podinfo`).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use world::{World, condition, history, is};

#[path = "controller/world.rs"]
#[expect(
    dead_code,
    reason = "shared with the other tests, which use more of it"
)]
mod world;

const CHART: [(&str, &str); 4] = [
    ("values.yaml", "colour: grey\n"),
    (
        "templates/one.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata:\n  colour: {{ .Values.colour }}\n",
    ),
    (
        "templates/hook.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: hook\n  annotations: {helm.sh/hook: post-install}\ndata: {}\n",
    ),
    ("templates/NOTES.txt", "Colour {{ .Values.colour }}.\n"),
];

/// One version of the command, against the tests' control plane.
struct Helm {
    program: PathBuf,
    kubeconfig: PathBuf,
    namespace: String,
}

impl Helm {
    fn of(world: &World, folder: &Path, name: &str, kubeconfig: PathBuf) -> Self {
        Self {
            program: folder.join(name),
            kubeconfig,
            namespace: world.ns().to_owned(),
        }
    }

    /// Runs the command; its output.
    fn run(&self, arguments: &[&str]) -> String {
        let output = Command::new(&self.program)
            .args(arguments)
            .args(["--namespace", &self.namespace])
            .env("KUBECONFIG", &self.kubeconfig)
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "{} {arguments:?}: {}",
            self.program.display(),
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let all: Vec<_> = arguments.iter().copied().chain(["-o", "json"]).collect();
        serde_json::from_str(&self.run(&all)).unwrap()
    }
}

/// Runs a script of `hack/interop` that prints a folder.
fn folder_of(script: &str) -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../hack/interop")
        .join(script);
    let output = Command::new(script).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

fn commands() -> PathBuf {
    folder_of("helms")
}

fn colour(text: &str) -> Value {
    json!({ "values": { "colour": text } })
}

/// What we released, the command lists, shows, rolls back and uninstalls; each time it is put right.
#[tokio::test]
#[ignore = "builds the helm commands; run by make interop"]
async fn command_sees_and_changes_what_the_controller_releases() {
    let folder = commands();
    for name in ["helm4", "helm3"] {
        let world = World::new().await;
        let plane = testkit::control_plane().await;
        let helm = Helm::of(&world, &folder, name, plane.kubeconfig_path());
        world.publish_files("1.0.0", &CHART).await;
        world.apply(colour("blue")).await;
        world.deployed(1).await;
        world.apply(colour("red")).await;
        world.deployed(2).await;

        let list = helm.json(&["ls"]);
        assert_eq!(list[0]["name"], "app", "{name}");
        assert_eq!(
            [&list[0]["revision"], &list[0]["status"], &list[0]["chart"]],
            ["2", "deployed", "app-1.0.0"],
            "{name}"
        );
        let past = helm.json(&["history", "app"]);
        let facts = |n: usize| [past[n]["status"].clone(), past[n]["description"].clone()];
        assert_eq!(facts(0), ["superseded", "Install complete"], "{name}");
        assert_eq!(facts(1), ["deployed", "Upgrade complete"], "{name}");
        let all = helm.run(&["get", "all", "app"]);
        for words in [
            "NAME: app",
            "REVISION: 2",
            "colour: red",
            "# Source: app/templates/hook.yaml",
            "# Source: app/templates/one.yaml",
            "Colour red.",
        ] {
            assert!(all.contains(words), "{name}: {words} is not in {all}");
        }
        assert_eq!(
            helm.json(&["get", "values", "app"]),
            json!({ "colour": "red" })
        );
        let status = helm.json(&["status", "app"]);
        assert_eq!(status["info"]["status"], "deployed", "{name}");

        // Helm 4 applies on the server, where the fields are the controller's.
        let force: &[&str] = if name == "helm4" {
            &["--force-conflicts"]
        } else {
            &[]
        };
        helm.run(&[&["rollback", "app", "1"], force].concat());
        assert_eq!(world.entry("one", "colour").await.as_deref(), Some("blue"));
        world.request(&[]).await;
        let object = world.deployed(4).await;
        assert_eq!(history(&object)[0], (4, "deployed", "upgrade"), "{name}");
        assert_eq!(world.entry("one", "colour").await.as_deref(), Some("red"));

        helm.run(&["uninstall", "app"]);
        assert_eq!(world.records().await, []);
        world.request(&[]).await;
        let object = world.deployed(1).await;
        assert_eq!(history(&object), [(1, "deployed", "install")], "{name}");
        assert_eq!(world.entry("one", "colour").await.as_deref(), Some("red"));
        // What the controller takes away is gone for the command, too.
        world.delete().await;
        assert_eq!(helm.json(&["ls"]).as_array().unwrap().len(), 0);
    }
}

/// What the command installed is adopted without an upgrade where it is as wanted, and upgraded where not.
#[tokio::test]
#[ignore = "builds the helm commands; run by make interop"]
async fn release_of_the_command_is_adopted() {
    let folder = commands();
    for name in ["helm4", "helm3"] {
        for (set, version) in [("colour=blue", 1), ("colour=black", 2)] {
            let world = World::new().await;
            let plane = testkit::control_plane().await;
            let helm = Helm::of(&world, &folder, name, plane.kubeconfig_path());
            world.publish_files("1.0.0", &CHART).await;
            let chart = world.pack("app", "1.0.0", &CHART);
            helm.run(&["install", "app", &chart.url, "--set", set]);
            world.apply(colour("blue")).await;
            let object = world.deployed(version).await;
            let reason = &condition(&object, "Ready").unwrap().reason;
            let expected = if version == 1 {
                "ReleaseAdopted"
            } else {
                "UpgradeSucceeded"
            };
            assert_eq!(reason, expected, "{name} {set}");
            assert_eq!(world.entry("one", "colour").await.as_deref(), Some("blue"));
            world.apply(colour("green")).await;
            world.deployed(version + 1).await;
            let past = helm.json(&["history", "app"]);
            let last = past.as_array().unwrap().last().unwrap();
            assert_eq!(last["status"], "deployed", "{name} {set}");
            assert!(is(&object, "Released", "True"));
            world.delete().await;
        }
    }
}

/// The files of a folder, by their paths in it.
fn files_of(folder: &Path) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut left = vec![folder.to_owned()];
    while let Some(next) = left.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap();
                let text = std::fs::read_to_string(&path).unwrap();
                files.push((name.to_str().unwrap().to_owned(), text));
            }
        }
    }
    files.sort();
    files
}

/// Ends the pods of podinfo's tests as they would end, as long as it is polled: nothing runs on the control plane's nodes.
async fn end_tests(world: &World) {
    let api = Api::<Pod>::namespaced(world.client.clone(), world.ns());
    let params = PatchParams::default();
    loop {
        for pod in api.list(&ListParams::default()).await.unwrap().items {
            let name = pod.name_any();
            if name.contains("-test-") {
                let fails = name.contains("-fault-test-");
                let phase = if fails { "Failed" } else { "Succeeded" };
                let done = json!({ "status": { "phase": phase } });
                // It may be gone meanwhile.
                let _sent = api.patch_status(&name, &params, &Patch::Merge(&done)).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// podinfo, with these values over most of what it can do.
fn podinfo(values: &Value) -> Value {
    let mut all = json!({ "redis": { "enabled": true }, "hpa": { "enabled": true }, "ingress": { "enabled": true },
        "podDisruptionBudget": { "minAvailable": 1 }, "serviceAccount": { "enabled": true } });
    let fields = all.as_object_mut().unwrap();
    fields.extend(values.as_object().unwrap().clone());
    json!({ "releaseName": "podinfo", "test": { "enable": true },
        "driftDetection": { "mode": "enabled", "ignore": [{ "paths": ["/spec/replicas"] }] },
        "upgrade": { "remediation": { "retries": 0, "remediateLastFailure": true } }, "values": all })
}

/// The message that podinfo's Deployment has it show; none where there is no Deployment.
async fn shown(world: &World) -> Option<Value> {
    let api = Api::<Deployment>::namespaced(world.client.clone(), world.ns());
    let web = serde_json::to_value(api.get_opt("podinfo").await.unwrap()?).unwrap();
    let env = web["spec"]["template"]["spec"]["containers"][0]["env"].clone();
    let mut env = env.as_array().unwrap().iter();
    env.find(|e| e["name"] == "PODINFO_UI_MESSAGE")
        .map(|e| e["value"].clone())
}

/// podinfo is installed, tested, upgraded, shown by the command, rolled back after an upgrade whose tests fail, uninstalled.
async fn story_of_podinfo(world: &World, helm: &Helm) {
    world.apply(podinfo(&json!({ "replicaCount": 2 }))).await;
    let object = world.deployed(1).await;
    assert!(is(&object, "TestSuccess", "True"));
    let entries = object.status.unwrap().inventory.unwrap().entries;
    let kinds: BTreeSet<_> = entries
        .iter()
        .map(|e| e.id.rsplit('_').next().unwrap())
        .collect();
    let expected = [
        "ConfigMap",
        "Deployment",
        "HorizontalPodAutoscaler",
        "Ingress",
        "PodDisruptionBudget",
        "Service",
        "ServiceAccount",
    ];
    assert_eq!(kinds, expected.into());
    let object = world.request(&[]).await;
    assert_eq!(
        condition(&object, "Drifted").unwrap().reason,
        "NoDriftDetected"
    );
    assert_eq!(history(&object), [(1, "deployed", "install")]);
    let list = helm.json(&["ls"]);
    assert_eq!(
        [&list[0]["chart"], &list[0]["app_version"]],
        ["podinfo-6.14.1", "6.14.1"]
    );
    world
        .apply(podinfo(&json!({ "ui": { "message": "hello" } })))
        .await;
    world.deployed(2).await;
    assert_eq!(shown(world).await.unwrap(), "hello");
    let bad = json!({ "ui": { "message": "never" }, "faults": { "testFail": true } });
    world.apply(podinfo(&bad)).await;
    let object = world.failed("RollbackSucceeded").await;
    assert_eq!(history(&object)[0], (4, "deployed", "rollback"));
    assert_eq!(shown(world).await.unwrap(), "hello");
    let past = helm.json(&["history", "podinfo"]);
    let statuses: Vec<_> = past
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["status"].clone())
        .collect();
    assert_eq!(
        statuses,
        ["superseded", "superseded", "superseded", "deployed"]
    );
    world.delete().await;
    assert_eq!(helm.json(&["ls"]).as_array().unwrap().len(), 0);
    assert_eq!(shown(world).await, None);
}

/// podinfo's own chart goes through all that a release can.
#[tokio::test]
#[ignore = "builds the helm commands and fetches the chart; run by make interop"]
async fn podinfo_is_released() {
    let chart = files_of(&folder_of("podinfo"));
    let chart: Vec<_> = chart
        .iter()
        .map(|(p, t)| (p.as_str(), t.as_str()))
        .collect();
    let folder = commands();
    let world = World::new().await;
    let plane = testkit::control_plane().await;
    let helm = Helm::of(&world, &folder, "helm4", plane.kubeconfig_path());
    let artifact = world.pack("podinfo", "6.14.1", &chart);
    world.announce("6.14.1", &artifact).await;
    tokio::select! {
        () = story_of_podinfo(&world, &helm) => {}
        () = end_tests(&world) => {}
    }
}
