//! The main job: a Git commit becomes live objects, whatever happens on the way.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::path::Path;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};
use testkit::{ControlPlane, Credentials, GitServer, Namespace, Program, Repository};

const PATIENCE: Duration = Duration::from_mins(1);

/// A namespace with both controllers watching it alone.
struct World {
    client: kube::Client,
    namespace: Namespace,
    git: GitServer,
    repository: Repository,
    source: Program,
    kustomize: Program,
}

impl World {
    async fn new() -> Self {
        let plane = testkit::control_plane().await;
        let definitions = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/crd/bases");
        testkit::install_definitions(&plane.client(), &definitions)
            .await
            .unwrap();
        let namespace = plane.namespace("e2e").await;
        let git = GitServer::start().unwrap();
        let repository = git.repository("app").unwrap();
        let source = controller(plane, "source-controller", &namespace);
        let source = source.stores_artifacts().unwrap().start().await.unwrap();
        let kustomize = controller(plane, "kustomize-controller", &namespace)
            .flag("--http-retry", "3")
            .start()
            .await
            .unwrap();
        Self {
            client: plane.client(),
            namespace,
            git,
            repository,
            source,
            kustomize,
        }
    }

    fn dynamic(&self, group: &str, kind: &str, plural: &str) -> Api<DynamicObject> {
        let gvk = GroupVersionKind::gvk(group, "v1", kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
        Api::namespaced_with(self.client.clone(), self.namespace.name(), &resource)
    }

    fn sources(&self) -> Api<DynamicObject> {
        self.dynamic(
            "source.toolkit.fluxcd.io",
            "GitRepository",
            "gitrepositories",
        )
    }

    fn kustomizations(&self) -> Api<DynamicObject> {
        self.dynamic(
            "kustomize.toolkit.fluxcd.io",
            "Kustomization",
            "kustomizations",
        )
    }

    fn config_maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), self.namespace.name())
    }

    /// Applies GitRepository and Kustomization `app`.
    async fn apply(&self, secret: Option<&str>) {
        let mut spec =
            json!({ "interval": "2s", "url": self.repository.url(), "ref": { "branch": "main" } });
        if let Some(name) = secret {
            spec["secretRef"] = json!({ "name": name });
        }
        let source = json!({ "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": { "name": "app" }, "spec": spec });
        let kustomization = json!({ "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": { "name": "app" },
            "spec": { "interval": "10m", "retryInterval": "1s", "prune": true, "path": "./deploy",
                "targetNamespace": self.namespace.name(),
                "sourceRef": { "kind": "GitRepository", "name": "app" } } });
        let params = PatchParams::apply("test").force();
        self.sources()
            .patch("app", &params, &Patch::Apply(source))
            .await
            .unwrap();
        self.kustomizations()
            .patch("app", &params, &Patch::Apply(kustomization))
            .await
            .unwrap();
    }

    /// Waits until the tip of main is applied.
    async fn caught_up(&self) {
        let commit = self.repository.id_of("main").unwrap();
        self.until(&self.kustomizations(), "the commit is applied", |status| {
            let applied = status["lastAppliedRevision"].as_str().unwrap_or_default();
            applied.ends_with(&commit) && is_ready(status, "True")
        })
        .await;
    }

    async fn until(&self, api: &Api<DynamicObject>, what: &str, wanted: impl Fn(&Value) -> bool) {
        let started = Instant::now();
        loop {
            let object = api.get("app").await.unwrap();
            let status = object.data.get("status").cloned().unwrap_or_default();
            if wanted(&status) {
                return;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "not reached: {what}: {status:#}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The ConfigMaps that the Kustomization owns, with their only value.
    async fn live(&self) -> Vec<(String, String)> {
        let owned = ListParams::default().labels("kustomize.toolkit.fluxcd.io/name=app");
        let list = self.config_maps().list(&owned).await.unwrap();
        let value = |c: &ConfigMap| {
            c.data
                .iter()
                .flatten()
                .map(|(_, v)| v.clone())
                .collect::<String>()
        };
        let mut live: Vec<_> = list
            .items
            .iter()
            .map(|c| (c.metadata.name.clone().unwrap(), value(c)))
            .collect();
        live.sort();
        live
    }
}

fn controller(plane: &ControlPlane, name: &str, namespace: &Namespace) -> Program {
    Program::new(testkit::built(name, name).unwrap(), plane)
        .unwrap()
        .flag("--watch-all-namespaces", "false")
        .env("RUNTIME_NAMESPACE", namespace.name())
}

fn is_ready(status: &Value, wanted: &str) -> bool {
    let conditions = status["conditions"].as_array();
    conditions.is_some_and(|c| {
        c.iter()
            .any(|c| c["type"] == "Ready" && c["status"] == wanted)
    })
}

fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  v: {value}\n")
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[tokio::test]
async fn commit_goes_live_a_removed_file_is_pruned_and_a_revert_rolls_back() {
    let world = World::new().await;
    let (a, b) = (config_map("a", "one"), config_map("b", "one"));
    let files = [("deploy/a.yaml", a.as_str()), ("deploy/b.yaml", b.as_str())];
    world
        .repository
        .commit_files("main", "first", files)
        .unwrap();
    world.apply(None).await;
    world.caught_up().await;
    assert_eq!(world.live().await, [pair("a", "one"), pair("b", "one")]);

    let commit = world
        .repository
        .commit("main", "second")
        .remove("deploy/b.yaml");
    commit
        .write("deploy/a.yaml", config_map("a", "two"))
        .push()
        .unwrap();
    world.caught_up().await;
    assert_eq!(world.live().await, [pair("a", "two")]);

    world.repository.revert("main").unwrap();
    world.caught_up().await;
    assert_eq!(world.live().await, [pair("a", "one"), pair("b", "one")]);
}

/// Both controllers are killed again and again while commits keep coming.
#[tokio::test]
async fn whatever_is_killed_the_cluster_ends_equal_to_git() {
    let world = World::new().await;
    world
        .repository
        .commit_files("main", "first", [("deploy/README", "")])
        .unwrap();
    world.apply(None).await;
    let mut expect = Vec::new();
    for round in 0..8_u64 {
        let names: Vec<_> = (0..4).map(|n| format!("c{}", (n + round) % 6)).collect();
        let texts: Vec<_> = names
            .iter()
            .map(|n| config_map(n, &format!("r{round}")))
            .collect();
        let paths: Vec<_> = names.iter().map(|n| format!("deploy/{n}.yaml")).collect();
        let files = paths
            .iter()
            .zip(&texts)
            .map(|(p, t)| (p.as_str(), t.as_str()));
        world
            .repository
            .commit_files("main", &format!("round {round}"), files)
            .unwrap();
        expect = names
            .iter()
            .map(|n| pair(n, &format!("r{round}")))
            .collect();
        tokio::time::sleep(Duration::from_millis(40 * round)).await;
        world.source.restart().await.unwrap();
        tokio::time::sleep(Duration::from_millis(70 * (8 - round))).await;
        world.kustomize.restart().await.unwrap();
    }
    expect.sort();
    world.caught_up().await;
    assert_eq!(world.live().await, expect, "objects were lost or orphaned");
}

/// A password shows in no status, event, log or metric, right or wrong.
#[tokio::test]
async fn password_shows_nowhere() {
    const RIGHT: &str = "correct-horse-battery";
    const WRONG: &str = "wrong-horse-battery";
    let world = World::new().await;
    let (user, password) = ("robot".to_owned(), RIGHT.to_owned());
    world
        .git
        .demand(Some(Credentials::Basic { user, password }));
    let a = config_map("a", "one");
    world
        .repository
        .commit_files("main", "first", [("deploy/a.yaml", a.as_str())])
        .unwrap();
    let secret = |password: &str| {
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "git" },
            "stringData": { "username": "robot", "password": password } })
    };
    let secrets = Api::<k8s_openapi::api::core::v1::Secret>::namespaced(
        world.client.clone(),
        world.namespace.name(),
    );
    let params = PatchParams::apply("test").force();
    secrets
        .patch("git", &params, &Patch::Apply(secret(WRONG)))
        .await
        .unwrap();
    world.apply(Some("git")).await;
    world
        .until(&world.sources(), "the wrong password is refused", |s| {
            is_ready(s, "False")
        })
        .await;
    secrets
        .patch("git", &params, &Patch::Apply(secret(RIGHT)))
        .await
        .unwrap();
    world.caught_up().await;

    let events = world
        .dynamic("", "Event", "events")
        .list(&ListParams::default())
        .await
        .unwrap();
    let objects = [
        world.sources().get("app").await.unwrap(),
        world.kustomizations().get("app").await.unwrap(),
    ];
    let mut said = serde_json::to_string(&events.items).unwrap();
    said += &serde_json::to_string(&objects).unwrap();
    for program in [&world.source, &world.kustomize] {
        said += &program.log().unwrap();
        said += &program.metrics().await.unwrap();
    }
    for secret in [RIGHT, WRONG, "cm9ib3Q6"] {
        assert!(!said.contains(secret), "{secret} shows");
    }
    assert!(
        said.contains("authentication required"),
        "the cause is not told"
    );
}
