//! Releases shared with the real helm command, versions 3 and 4: what it sees, changes and takes away.
//!
//! Run by `make interop`: the commands are built from Go modules (`hack/interop/helms`).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::path::{Path, PathBuf};
use std::process::Command;

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

fn commands() -> PathBuf {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../hack/interop/helms");
    let output = Command::new(script).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
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
