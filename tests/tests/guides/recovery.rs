//! `docs/disaster-recovery.md`: a cluster that is gone is rebuilt from Git, with two objects that are not in it.

use std::collections::BTreeMap;

use kube::api::ListParams;
use serde_json::{Value, json};
use testkit::ControlPlane;

use crate::world::{World, map, objects, repository, unit};

const OWNED: [(&str, &str); 4] = [
    ("v1", "ConfigMap"),
    ("v1", "Service"),
    ("apps/v1", "Deployment"),
    ("rbac.authorization.k8s.io/v1", "Role"),
];
const APP: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 2\n  \
    selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    \
    spec: {containers: [{name: web, image: \"registry.example/web:1\"}]}\n---\n\
    apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}, ports: [{port: 80}]}\n---\n\
    apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: web}\nrules: []\n";

/// What Git asked for: everything that no cluster fills in by itself.
async fn made(world: &World, namespace: &str) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    let owned = ListParams::default().labels("kustomize.toolkit.fluxcd.io/name=app");
    for of in OWNED {
        for object in world.api(namespace, of).await.list(&owned).await.unwrap() {
            let name = format!("{}/{}", of.1, object.metadata.name.clone().unwrap());
            let mut object = json!(object);
            for own in ["metadata", "status"] {
                object.as_object_mut().unwrap().remove(own);
            }
            for own in ["clusterIP", "clusterIPs"] {
                if let Some(spec) = object["spec"].as_object_mut() {
                    spec.remove(own);
                }
            }
            found.insert(name, object);
        }
    }
    found
}

/// The digest of what a unit applied, and what it owns.
fn outcome(unit: &Value) -> (Value, Value) {
    let status = &unit["status"];
    let mut owned = status["inventory"]["entries"].clone();
    owned
        .as_array_mut()
        .unwrap()
        .sort_by_key(ToString::to_string);
    (status["history"][0]["digest"].clone(), owned)
}

#[tokio::test]
async fn lost_cluster_is_rebuilt_from_git_with_two_objects() {
    let first = ControlPlane::start().await.unwrap();
    let world = World::on(&first).await;
    let git = world.git.repository("fleet").unwrap();
    // The same names on both: nothing but Git goes from one to the other.
    let home = "gitops-home";
    let namespaces = format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {home}}}\n---\n{}---\n{}",
        map("settings", "one").replace("metadata:\n", &format!("metadata:\n  namespace: {home}\n")),
        APP.replace(
            "metadata: {name",
            &format!("metadata: {{namespace: {home}, name")
        ),
    );
    let files = [("app/app.yaml", namespaces.as_str())];
    git.commit_files("main", "first", files).unwrap();
    let bootstrap = format!(
        "{}---\n{}",
        repository("fleet", git.url(), "branch: main"),
        unit("app", "fleet", "./app", "  wait: true\n")
    );
    assert_eq!(objects(&bootstrap).len(), 2);
    world.apply(&bootstrap).await;
    let commit = git.id_of("main").unwrap();
    let before = outcome(&world.applied("app", &commit).await);
    let lost = made(&world, home).await;
    assert_eq!(lost.len(), 4, "{lost:#?}");
    world.source.kill();
    world.kustomize.kill();
    let server = world.git;
    drop(first);

    let second = ControlPlane::start().await.unwrap();
    let world = World {
        git: server,
        ..World::on(&second).await
    };
    world.apply(&bootstrap).await;
    let after = outcome(&world.applied("app", &commit).await);
    assert_eq!(after, before, "the same content, the same inventory");
    assert_eq!(made(&world, home).await, lost);
}
