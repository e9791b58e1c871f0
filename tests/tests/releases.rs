//! Charts in Git become releases: source-controller and helm-controller side by side, with HelmReleases as people wrote them for
//! the versions of before.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::path::Path;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};
use testkit::{GitServer, Namespace, Program, Repository};

const PATIENCE: Duration = Duration::from_mins(2);
const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\ndata:\n  colour: {{ .Values.colour }}\n  size: {{ .Values.size | quote }}\n";

/// A namespace with both controllers watching it alone, and a repository with a chart `myapp`.
struct World {
    client: kube::Client,
    namespace: Namespace,
    repository: Repository,
    _git: GitServer,
    _controllers: [Program; 2],
}

impl World {
    async fn new() -> Self {
        let plane = testkit::control_plane().await;
        let definitions = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/crd/bases");
        testkit::install_definitions(&plane.client(), &definitions)
            .await
            .unwrap();
        let namespace = plane.namespace("rel").await;
        let git = GitServer::start().unwrap();
        let repository = git.repository("app").unwrap();
        let controller = |name: &str| {
            Program::new(testkit::built(name, name).unwrap(), plane)
                .unwrap()
                .flag("--watch-all-namespaces", "false")
                .env("RUNTIME_NAMESPACE", namespace.name())
        };
        let source = controller("source-controller");
        let source = source.stores_artifacts().unwrap().start().await.unwrap();
        let helm = controller("helm-controller").start().await.unwrap();
        Self {
            client: plane.client(),
            namespace,
            repository,
            _git: git,
            _controllers: [source, helm],
        }
    }

    fn api(&self, version: &str, kind: &str, plural: &str) -> Api<DynamicObject> {
        let (group, version) = version.split_once('/').unwrap();
        let gvk = GroupVersionKind::gvk(group, version, kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
        Api::namespaced_with(self.client.clone(), self.namespace.name(), &resource)
    }

    fn releases(&self, version: &str) -> Api<DynamicObject> {
        let version = format!("helm.toolkit.fluxcd.io/{version}");
        self.api(&version, "HelmRelease", "helmreleases")
    }

    /// Makes GitRepository `app` for the repository, as the version of before has it.
    async fn follow(&self, version: &str) {
        let version = format!("source.toolkit.fluxcd.io/{version}");
        let object = json!({ "apiVersion": version, "kind": "GitRepository", "metadata": { "name": "app" },
            "spec": { "interval": "10m", "url": self.repository.url(), "ref": { "branch": "main" } } });
        let params = PatchParams::apply("test").force();
        self.api(&version, "GitRepository", "gitrepositories")
            .patch("app", &params, &Patch::Apply(object))
            .await
            .unwrap();
    }

    async fn apply(&self, version: &str, name: &str, spec: &Value) {
        let object = json!({ "apiVersion": format!("helm.toolkit.fluxcd.io/{version}"), "kind": "HelmRelease",
            "metadata": { "name": name }, "spec": spec });
        let params = PatchParams::apply("test").force();
        self.releases(version)
            .patch(name, &params, &Patch::Apply(object))
            .await
            .unwrap();
    }

    /// Waits until revision `number` of a release is deployed and Ready. Returns the HelmRelease as the newest version has it.
    async fn deployed(&self, name: &str, number: u64) -> Value {
        let api = self.releases("v2");
        let began = Instant::now();
        loop {
            let object = serde_json::to_value(api.get(name).await.unwrap()).unwrap();
            let latest = &object["status"]["history"][0];
            let ready = object["status"]["conditions"].as_array();
            let is_ready = ready.is_some_and(|all| {
                all.iter()
                    .any(|c| c["type"] == "Ready" && c["status"] == "True")
                    && all.iter().all(|c| c["type"] != "Reconciling")
            });
            if is_ready && latest["version"] == number && latest["status"] == "deployed" {
                return object;
            }
            assert!(began.elapsed() < PATIENCE, "{name}: {object:#}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn config_map(&self, name: &str) -> Option<ConfigMap> {
        let api = Api::<ConfigMap>::namespaced(self.client.clone(), self.namespace.name());
        api.get_opt(name).await.unwrap()
    }

    async fn delete(&self, version: &str, name: &str) {
        let api = self.releases(version);
        api.delete(name, &DeleteParams::default()).await.unwrap();
        let began = Instant::now();
        while let Some(object) = api.get_opt(name).await.unwrap() {
            assert!(
                began.elapsed() < PATIENCE,
                "{name} is still there: {object:#?}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn entry<'a>(map: &'a ConfigMap, key: &str) -> Option<&'a str> {
    map.data.as_ref()?.get(key).map(String::as_str)
}

const VERSIONS: [(&str, &str); 2] = [("v2beta1", "oldest"), ("v2beta2", "older")];

fn chart(version: &str) -> String {
    format!("apiVersion: v2\nname: myapp\nversion: {version}\n")
}

/// A HelmRelease's fields as people wrote them then.
fn as_written(name: &str) -> Value {
    let renderers = json!([{ "kustomize": {
        "patchesStrategicMerge": [{ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name },
            "data": { "merged": "yes" } }],
        "patchesJson6902": [{ "target": { "kind": "ConfigMap", "name": name },
            "patch": [{ "op": "add", "path": "/data/patched", "value": "yes" }] }] } }]);
    json!({ "interval": "5m",
        "chart": { "spec": { "chart": "./charts/myapp", "version": ">=0.1.0", "valuesFile": "./charts/myapp/small.yaml",
            "valuesFiles": ["./charts/myapp/large.yaml"],
            "sourceRef": { "kind": "GitRepository", "name": "app" } } },
        "install": { "remediation": { "retries": 3 } }, "upgrade": { "remediation": { "retries": 3 } },
        "postRenderers": renderers, "values": { "colour": "blue" } })
}

/// Checks what became of a HelmRelease of an older version, and that its manifest changes nothing when it is applied again.
async fn is_as_written(world: &World, version: &str, name: &str) {
    let object = world.deployed(name, 1).await;
    // Packed anew with its values files, which the version says.
    assert_eq!(object["status"]["history"][0]["chartVersion"], "0.1.0+1");
    let map = world.config_map(name).await.unwrap();
    let entries = ["colour", "size", "merged", "patched"].map(|key| entry(&map, key));
    let expected = [Some("blue"), Some("9"), Some("yes"), Some("yes")];
    assert_eq!(entries, expected, "{version}");
    let made = object["status"]["helmChart"].as_str().unwrap();
    let (_, made) = made.split_once('/').unwrap();
    let charts = world.api("source.toolkit.fluxcd.io/v1", "HelmChart", "helmcharts");
    let made = charts.get(made).await.unwrap();
    assert_eq!(made.data["spec"]["chart"], "./charts/myapp");
    // Its own interval is that of the release, where it has none.
    assert_eq!(made.data["spec"]["interval"], "5m0s");
    let labels = made.metadata.labels.unwrap();
    assert_eq!(labels["helm.toolkit.fluxcd.io/name"], name);
    let before = world.releases("v2").get(name).await.unwrap();
    world.apply(version, name, &as_written(name)).await;
    let after = world.releases("v2").get(name).await.unwrap();
    assert_eq!(before.metadata.generation, after.metadata.generation);
    let history = |object: &DynamicObject| object.data["status"]["history"].clone();
    assert_eq!(history(&before), history(&after));
}

/// Manifests from the time of `v2beta1` and `v2beta2`, with the fields that only they have, over a chart in a folder of a
/// repository: they are released, follow the repository, and go.
#[tokio::test]
async fn objects_as_written_for_older_versions_are_released() {
    let world = World::new().await;
    world
        .repository
        .commit("main", "first")
        .write("charts/myapp/Chart.yaml", chart("0.1.0"))
        .write("charts/myapp/values.yaml", "colour: grey\nsize: 1\n")
        .write("charts/myapp/small.yaml", "size: 0\n")
        .write("charts/myapp/large.yaml", "size: 9\n")
        .write("charts/myapp/templates/map.yaml", MAP)
        .push()
        .unwrap();
    world.follow("v1beta2").await;
    for (version, name) in VERSIONS {
        world.apply(version, name, &as_written(name)).await;
        is_as_written(&world, version, name).await;
    }
    world
        .repository
        .commit("main", "second")
        .write("charts/myapp/Chart.yaml", chart("0.2.0"))
        .push()
        .unwrap();
    let asked =
        json!({ "metadata": { "annotations": { "reconcile.fluxcd.io/requestedAt": "1" } } });
    world
        .api(
            "source.toolkit.fluxcd.io/v1",
            "GitRepository",
            "gitrepositories",
        )
        .patch("app", &PatchParams::default(), &Patch::Merge(asked))
        .await
        .unwrap();
    for (version, name) in VERSIONS {
        let object = world.deployed(name, 2).await;
        assert_eq!(object["status"]["history"][0]["chartVersion"], "0.2.0+1");
        world.delete(version, name).await;
        assert!(world.config_map(name).await.is_none(), "{version}");
    }
}
