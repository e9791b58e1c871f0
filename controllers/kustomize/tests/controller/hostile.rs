//! Repositories of somebody who wants more than a tenant may have.

use std::fmt::Write;

use api::kustomize::Kustomization;
use serde_json::json;

use crate::world::{World, config_map, message};

/// Waits until Kustomization `app` is not ready, and for these words.
async fn refused(world: &World, words: &str) -> Kustomization {
    world
        .until("app", &format!("it fails with {words}"), |k| {
            message(k, "Ready").contains(words)
        })
        .await
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
