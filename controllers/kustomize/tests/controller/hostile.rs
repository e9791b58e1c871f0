//! Repositories and Secrets of somebody who wants more than a tenant may have.

use std::fmt::Write;

use api::kustomize::Kustomization;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::world::{World, config_map, message};

async fn secret(world: &World, name: &str, data: Value) {
    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name },
        "stringData": data });
    Api::<Secret>::namespaced(world.client.clone(), world.ns())
        .patch(name, &PatchParams::apply("test"), &Patch::Apply(secret))
        .await
        .unwrap();
}

/// Waits until Kustomization `app` is not ready, and for these words.
async fn refused(world: &World, words: &str) -> Kustomization {
    world
        .until("app", &format!("it fails with {words}"), |k| {
            message(k, "Ready").contains(words)
        })
        .await
}

/// Field 6.2: Flux's CVE-2022-24817. What a kubeconfig names is not run, and files of the container are not read.
#[tokio::test]
async fn kubeconfig_runs_no_program_and_reads_no_file() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("was-run");
    world
        .publish(&[("a.yaml", &config_map("a", "k", "v"))])
        .await;
    let exec = json!({ "exec": { "apiVersion": "client.authentication.k8s.io/v1",
        "command": "touch", "args": [trace], "interactiveMode": "Never" } });
    let provider = json!({ "auth-provider": { "name": "gcp", "config": {
        "cmd-path": "touch", "cmd-args": trace } } });
    let file = json!({ "tokenFile": "/var/run/secrets/kubernetes.io/serviceaccount/token" });
    for (name, user, words) in [
        ("exec", exec, "an exec plugin"),
        ("provider", provider, "an auth provider"),
        ("file", file, "a token file"),
    ] {
        let [port] = testkit::free_ports().unwrap();
        let kubeconfig = json!({ "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{ "name": "c", "cluster": { "server": format!("https://127.0.0.1:{port}") } }],
            "users": [{ "name": "u", "user": user }],
            "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "u" } }] });
        secret(&world, name, json!({ "value": kubeconfig.to_string() })).await;
        world
            .apply(json!({ "kubeConfig": { "secretRef": { "name": name } } }))
            .await;
        refused(&world, words).await;
    }
    assert!(!trace.exists());
}

/// Field 6.2: Flux's CVE-2022-24877 and -24878, and aliases that multiply: no file of another place, no build without
/// an end, and the live object stays.
#[tokio::test]
async fn builds_stay_in_the_artifact_and_end() {
    let world = World::new().await;
    let kept = config_map("kept", "k", "v");
    let first = world.publish(&[("deploy/kept.yaml", &kept)]).await;
    world.apply(json!({ "path": "deploy" })).await;
    world.applied("app", &first).await;
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let below = format!("*a{}", level - 1);
        let all = vec![below; 10].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{all}]").unwrap();
    }
    let bomb = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: bomb}}\n{bomb}");
    let cases = [
        ("../../other/artifact", "other/artifact"),
        ("/etc/passwd", "/etc/passwd"),
        ("file:///etc/passwd", "file:///etc/passwd"),
        ("../circle", "cycle detected"),
        ("bomb.yaml", "bomb.yaml"),
    ];
    for (resource, words) in cases {
        let kustomization = format!("resources: [kept.yaml, \"{resource}\"]\n");
        let files = [
            ("deploy/kept.yaml", kept.as_str()),
            ("deploy/kustomization.yaml", &kustomization),
            ("deploy/bomb.yaml", &bomb),
            ("circle/kustomization.yaml", "resources: [../deploy]\n"),
        ];
        world.publish(&files).await;
        let object = refused(&world, words).await;
        let told = message(&object, "Ready");
        assert!(!told.contains("root:") && told.len() < 5_000, "{told}");
        let live = world.config_maps().get("kept").await.unwrap();
        assert_eq!(live.data.unwrap()["k"], "v");
    }
    let last = world.publish(&[("deploy/kept.yaml", &kept)]).await;
    world.applied("app", &last).await;
}

/// Field 6.2: Argo CD's CVE-2025-23216. Values of Secrets are in no condition and no event.
#[tokio::test]
async fn what_a_refused_secret_holds_is_told_nowhere() {
    const HIDDEN: &str = "hunter2-hunter2";
    let world = World::new().await;
    let cases = [
        format!("data: {{password: \"{HIDDEN}!\"}}"),
        format!("stringData: {{\"a bad key\": {HIDDEN}}}"),
        format!("stringData: {{password: [{HIDDEN}]}}"),
        format!("type: kubernetes.io/tls\nstringData: {{tls.crt: {HIDDEN}}}"),
    ];
    for (number, data) in cases.iter().enumerate() {
        let name = format!("s{number}");
        let text = format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\n{data}\n");
        world.publish(&[("s.yaml", &text)]).await;
        world.apply(json!({ "retryInterval": "1h" })).await;
        let object = refused(&world, &format!("/{name}")).await;
        let told = message(&object, "Ready");
        assert!(!told.contains("hunter2"), "{told}");
        let event = world
            .event("ReconciliationFailed", &format!("/{name}"))
            .await;
        assert!(!event.message.unwrap().contains("hunter2"), "{data}");
    }
}
