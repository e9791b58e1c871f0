//! What a Kustomization or HelmRelease would change, from the artifact of its source or from files beside it.

use std::process::{Command, Stdio};

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use testkit::{ArtifactServer, PublishedArtifact, archive};

use crate::{SOURCE, UNIT, World, ready};

const CHART: (&str, &str, &str) = ("source.toolkit.fluxcd.io", "HelmChart", "helmcharts");
const RELEASE: (&str, &str, &str) = ("helm.toolkit.fluxcd.io", "HelmRelease", "helmreleases");
const MAP: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {colour: \"${colour}\"}\n";
const SECRET: &str =
    "apiVersion: v1\nkind: Secret\nmetadata: {name: login}\nstringData: {password: hidden-word}\n";

/// A status that names an artifact.
fn published(artifact: &PublishedArtifact, revision: &str) -> Value {
    let mut status = ready("True", "Succeeded", "stored artifact");
    status["artifact"] = json!({"revision": revision, "path": "p", "url": artifact.url,
        "digest": artifact.digest, "lastUpdateTime": "2026-01-01T00:00:00Z"});
    status
}

impl World {
    fn maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.plane.client(), self.namespace.name())
    }

    /// Applies a ConfigMap.
    async fn map(&self, manager: &str, name: &str, labels: Value, data: Value) {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "labels": labels}, "data": data});
        let params = PatchParams::apply(manager).force();
        let maps = self.maps();
        maps.patch(name, &params, &Patch::Apply(map)).await.unwrap();
    }

    /// A Kustomization of an artifact, which applied two ConfigMaps that the artifact has no more.
    async fn unit_of(&self, server: &ArtifactServer) {
        let namespace = self.namespace.name();
        let files = [("deploy/map.yaml", MAP), ("deploy/secret.yaml", SECRET)];
        let packed = server.put("app", archive(&files).unwrap());
        let spec = json!({"interval": "1m", "url": "https://git.example/app.git"});
        let status = published(&packed, "main@sha1:2");
        self.put(SOURCE, "app", spec, status).await;
        self.map("test", "colours", json!({}), json!({"colour": "blue"}))
            .await;
        self.map("test", "old", json!({}), json!({"v": "1"})).await;
        let kept = json!({"kustomize.toolkit.fluxcd.io/prune": "disabled"});
        self.map("test", "kept", kept, json!({"v": "1"})).await;
        let from = json!({"substituteFrom": [{"kind": "ConfigMap", "name": "colours"}]});
        let spec = json!({"interval": "1m", "prune": true, "path": "./deploy", "targetNamespace": namespace,
            "sourceRef": {"kind": "GitRepository", "name": "app"}, "postBuild": from});
        let entry = |name: &str| json!({"id": format!("{namespace}_{name}__ConfigMap"), "v": "v1"});
        let mut status = ready("True", "ReconciliationSucceeded", "Applied");
        status["inventory"] = json!({"entries": [entry("old"), entry("kept"), entry("settings")]});
        self.put(UNIT, "app", spec, status).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn diff_of_a_kustomization_is_what_its_controller_would_change() {
    let world = World::new("diff-unit").await;
    let namespace = world.namespace.name();
    let server = ArtifactServer::start().unwrap();
    world.unit_of(&server).await;
    let (code, out, err) = world.run(&["diff", "ks/app", "-n", namespace]);
    assert_eq!(code, 1, "{err}");
    assert!(out.contains("+++ merged/ConfigMap/settings\n"), "{out}");
    assert!(out.contains("+  colour: blue\n"), "{out}");
    assert!(
        out.contains("+    kustomize.toolkit.fluxcd.io/name: app\n"),
        "{out}"
    );
    assert!(out.contains("--- live/ConfigMap/old\n"), "{out}");
    assert!(!out.contains("ConfigMap/kept"), "{out}");
    assert!(out.contains("+++ merged/Secret/login\n"), "{out}");
    // Neither the word nor its base64.
    assert!(
        !out.contains("hidden-word") && !out.contains("aGlkZGVu"),
        "{out}"
    );

    let owner = json!({"kustomize.toolkit.fluxcd.io/name": "app", "kustomize.toolkit.fluxcd.io/namespace": namespace});
    world
        .map(
            "kustomize-controller",
            "settings",
            owner.clone(),
            json!({"colour": "blue"}),
        )
        .await;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login", "labels": owner},
        "stringData": {"password": "hidden-word"}});
    let secrets = Api::<Secret>::namespaced(world.plane.client(), namespace);
    let params = PatchParams::apply("kustomize-controller");
    secrets
        .patch("login", &params, &Patch::Apply(secret))
        .await
        .unwrap();
    world
        .maps()
        .delete("old", &DeleteParams::default())
        .await
        .unwrap();
    let (code, out, err) = world.run(&["diff", "ks/app", "-n", namespace]);
    assert_eq!((code, out.as_str()), (0, ""), "{err}");

    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("map.yaml"),
        MAP.replace("${colour}", "red"),
    )
    .unwrap();
    let path = folder.path().to_str().unwrap();
    let (code, out, err) = world.run(&["diff", "ks/app", "-n", namespace, "--path", path]);
    assert_eq!(code, 1, "{err}");
    assert!(out.contains("-  colour: blue\n+  colour: red\n"), "{out}");
    assert_eq!(out.matches("\n+++ ").count(), 1, "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn diff_of_a_release_is_what_an_upgrade_would_change() {
    let world = World::new("diff-release").await;
    let namespace = world.namespace.name();
    let server = ArtifactServer::start().unwrap();
    let template = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\ndata:\n  colour: {{ .Values.colour }}\n";
    let hook = "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: hook\n  annotations:\n    helm.sh/hook: pre-upgrade\n";
    let files = [
        (
            "demo/Chart.yaml",
            "apiVersion: v2\nname: demo\nversion: 1.0.0\n",
        ),
        ("demo/values.yaml", "colour: grey\n"),
        ("demo/templates/map.yaml", template),
        ("demo/templates/hook.yaml", hook),
    ];
    let packed = server.put("demo-1.0.0.tgz", archive(&files).unwrap());
    let spec = json!({"interval": "1m", "chart": "demo", "sourceRef": {"kind": "HelmRepository", "name": "charts"}});
    world
        .put(CHART, "demo", spec, published(&packed, "1.0.0"))
        .await;
    world
        .map(
            "test",
            "values",
            json!({}),
            json!({"values.yaml": "colour: blue"}),
        )
        .await;
    let spec = json!({"interval": "1m", "releaseName": "shop", "chartRef": {"kind": "HelmChart", "name": "demo"},
        "valuesFrom": [{"kind": "ConfigMap", "name": "values"}]});
    let status = ready("True", "InstallSucceeded", "Helm install succeeded");
    world.put(RELEASE, "app", spec, status).await;
    let (code, out, err) = world.run(&["diff", "hr/app", "-n", namespace]);
    assert_eq!(code, 1, "{err}");
    assert!(out.contains("+++ merged/ConfigMap/shop\n"), "{out}");
    assert!(out.contains("+  colour: blue\n"), "{out}");
    assert!(
        out.contains("+    meta.helm.sh/release-name: shop\n"),
        "{out}"
    );
    assert!(!out.contains("Job"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn diff_that_fails_ends_above_one() {
    let world = World::new("diff-none").await;
    let namespace = world.namespace.name();
    for (target, why) in [
        ("ks/none", "there is no Kustomization/"),
        ("gitrepo/none", "applies nothing"),
        ("no-such-folder", "no-such-folder"),
    ] {
        let (code, out, err) = world.run(&["diff", target, "-n", namespace]);
        assert_eq!((code, out.as_str()), (2, ""), "{target}");
        assert!(err.contains(why), "{target}: {err}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    for line in [
        ["completion", "bash"],
        ["build", "crates/cli/tests/commands/settings"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let output = Command::new(env!("CARGO_BIN_EXE_lockgate"))
            .args(line)
            .current_dir(root)
            .stdout(writer)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{line:?}");
        assert_eq!(output.status.code(), Some(141), "{line:?}");
    }
}
