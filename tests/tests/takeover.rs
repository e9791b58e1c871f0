//! Upstream's kustomize-controller and ours on the same objects, one after the other and back, fed by our
//! source-controller.
//!
//! Run by `make interop`: upstream's controller is built from its Go module (`hack/interop/build`).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use kube::ResourceExt;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};
use testkit::{ControlPlane, GitServer, Namespace, Program, Repository};

const PATIENCE: Duration = Duration::from_secs(90);
const OWNED: [(&str, &str, &str); 7] = [
    ("", "ConfigMap", "configmaps"),
    ("", "Secret", "secrets"),
    ("", "Service", "services"),
    ("", "ServiceAccount", "serviceaccounts"),
    ("apps", "Deployment", "deployments"),
    ("batch", "CronJob", "cronjobs"),
    ("rbac.authorization.k8s.io", "Role", "roles"),
];
const OBJECTS: &str = r#"apiVersion: v1
kind: ConfigMap
metadata: {name: settings, annotations: {team: "${team}"}}
data: {colour: blue, long: "${team} of ${team}"}
---
apiVersion: v1
kind: Secret
metadata: {name: login}
stringData: {password: hidden}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "registry.example/web:1", ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: web}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec:
  schedule: "0 3 * * *"
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: x, image: x}]}}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: "team:web"}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get]}]
"#;

/// What a change of hands must leave alone.
#[derive(Debug, PartialEq)]
struct Made {
    /// By kind and name: UID, generation, and the version of what has no status that others write.
    objects: BTreeMap<String, (String, Option<i64>, Option<String>)>,
    inventory: Vec<Value>,
    digests: Vec<Value>,
}

struct World {
    plane: &'static ControlPlane,
    namespace: Namespace,
    repository: Repository,
    upstream: PathBuf,
    requests: std::cell::Cell<u32>,
    _git: GitServer,
    _source: Program,
}

impl World {
    async fn new() -> Self {
        let plane = testkit::control_plane().await;
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        testkit::install_definitions(&plane.client(), &root.join("config/crd/bases"))
            .await
            .unwrap();
        let built = Command::new(root.join("hack/interop/build"))
            .output()
            .unwrap();
        assert!(built.status.success(), "{built:?}");
        let folder = String::from_utf8(built.stdout).unwrap();
        let namespace = plane.namespace("takeover").await;
        let git = GitServer::start().unwrap();
        let repository = git.repository("app").unwrap();
        let name = "source-controller";
        let source = Program::new(testkit::built(name, name).unwrap(), plane).unwrap();
        let storage = source.folder().join("storage");
        std::fs::create_dir(&storage).unwrap();
        let source = source
            .flag("--watch-all-namespaces", "false")
            .env("RUNTIME_NAMESPACE", namespace.name())
            .listens(&["--storage-addr", "--storage-adv-addr"])
            .flag("--storage-path", &storage.to_string_lossy())
            .start()
            .await
            .unwrap();
        Self {
            plane,
            namespace,
            repository,
            upstream: Path::new(folder.trim()).join("kustomize-controller"),
            requests: 0.into(),
            _git: git,
            _source: source,
        }
    }

    fn api(&self, group: &str, version: &str, kind: &str, plural: &str) -> Api<DynamicObject> {
        let gvk = GroupVersionKind::gvk(group, version, kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
        Api::namespaced_with(self.plane.client(), self.namespace.name(), &resource)
    }

    fn sources(&self) -> Api<DynamicObject> {
        let group = "source.toolkit.fluxcd.io";
        self.api(group, "v1", "GitRepository", "gitrepositories")
    }

    fn kustomizations(&self) -> Api<DynamicObject> {
        let group = "kustomize.toolkit.fluxcd.io";
        self.api(group, "v1", "Kustomization", "kustomizations")
    }

    async fn apply(&self) {
        let source = json!({ "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": { "name": "app" },
            "spec": { "interval": "1s", "url": self.repository.url(), "ref": { "branch": "main" } } });
        let kustomization = json!({ "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": { "name": "app" },
            "spec": { "interval": "10m", "retryInterval": "1s", "prune": true, "path": "./deploy",
                "targetNamespace": self.namespace.name(),
                "commonMetadata": { "labels": { "unit": "app" } },
                "postBuild": { "substitute": { "team": "blue team" } },
                "sourceRef": { "kind": "GitRepository", "name": "app" } } });
        let params = PatchParams::apply("test").force();
        let sources = self.sources();
        sources
            .patch("app", &params, &Patch::Apply(source))
            .await
            .unwrap();
        let units = self.kustomizations();
        units
            .patch("app", &params, &Patch::Apply(kustomization))
            .await
            .unwrap();
    }

    /// Runs one of the two, and waits until it has done a run that was asked for.
    async fn run(&self, binary: &Path) -> Program {
        let program = Program::new(binary, self.plane).unwrap();
        let program = program
            .flag("--watch-all-namespaces", "false")
            .env("RUNTIME_NAMESPACE", self.namespace.name())
            .start()
            .await
            .unwrap();
        self.ask().await;
        program
    }

    fn ours() -> PathBuf {
        testkit::built("kustomize-controller", "kustomize-controller").unwrap()
    }

    /// Asks for a run, and waits until the tip of main is applied by it.
    async fn ask(&self) {
        let request = self.requests.get() + 1;
        self.requests.set(request);
        let request = format!("request-{request}");
        let patch = json!({ "metadata": { "annotations": { "reconcile.fluxcd.io/requestedAt": request } } });
        let units = self.kustomizations();
        units
            .patch("app", &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap();
        let commit = self.repository.id_of("main").unwrap();
        let began = Instant::now();
        loop {
            let object = units.get("app").await.unwrap();
            let status = &object.data["status"];
            let applied = status["lastAppliedRevision"].as_str().unwrap_or_default();
            let ready = status["conditions"].as_array().is_some_and(|conditions| {
                let is = |c: &Value| c["type"] == "Ready" && c["status"] == "True";
                conditions.iter().any(is)
            });
            if status["lastHandledReconcileAt"] == request && applied.ends_with(&commit) && ready {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{request}: {status:#}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn made(&self) -> Made {
        let mut objects = BTreeMap::new();
        let of_unit = ListParams::default().labels("kustomize.toolkit.fluxcd.io/name=app");
        for (group, kind, plural) in OWNED {
            let api = self.api(group, "v1", kind, plural);
            for object in api.list(&of_unit).await.unwrap() {
                // Controllers write the status of these.
                let version = object.resource_version();
                let version =
                    version.filter(|_| !matches!(kind, "Deployment" | "CronJob" | "Service"));
                let facts = (object.uid().unwrap(), object.metadata.generation, version);
                objects.insert(format!("{kind} {}", object.name_any()), facts);
            }
        }
        let unit = self.kustomizations().get("app").await.unwrap();
        let status = &unit.data["status"];
        let mut inventory = status["inventory"]["entries"].as_array().unwrap().clone();
        inventory.sort_by_key(ToString::to_string);
        let history = status["history"].as_array().unwrap();
        Made {
            objects,
            inventory,
            digests: history
                .iter()
                .map(|entry| entry["digest"].clone())
                .collect(),
        }
    }
}

async fn end(program: Program) {
    program.terminate(PATIENCE).await.unwrap();
}

/// A unit is taken over and handed back: no object is written, let alone made again; what the one made the other prunes.
#[tokio::test]
#[ignore = "builds upstream's controller: run by make interop"]
async fn unit_changes_hands_and_back_without_a_trace() {
    let world = World::new().await;
    let first = world.repository.commit("main", "first");
    first.write("deploy/all.yaml", OBJECTS).push().unwrap();
    world.apply().await;
    let upstream = world.run(&world.upstream).await;
    let made = world.made().await;
    assert_eq!(made.objects.len(), OWNED.len(), "{made:#?}");
    end(upstream).await;

    let ours = world.run(&World::ours()).await;
    assert_eq!(world.made().await, made, "taken over");
    let (kept, _) = OBJECTS.split_once("---\napiVersion: batch/v1").unwrap();
    let more = format!(
        "{kept}---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: ours}}\ndata: {{a: b}}\n"
    );
    let second = world.repository.commit("main", "second");
    second.write("deploy/all.yaml", more).push().unwrap();
    world.ask().await;
    let ours_made = world.made().await;
    let names: Vec<_> = ours_made.objects.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "ConfigMap ours",
            "ConfigMap settings",
            "Deployment web",
            "Secret login",
            "Service web",
            "ServiceAccount web"
        ],
        "what upstream made is pruned"
    );
    for (name, facts) in &ours_made.objects {
        assert!(
            name == "ConfigMap ours" || made.objects[name] == *facts,
            "{name} was written"
        );
    }
    end(ours).await;

    let upstream = world.run(&world.upstream).await;
    assert_eq!(world.made().await, ours_made, "handed back");
    let third = world.repository.commit("main", "third");
    third.write("deploy/all.yaml", OBJECTS).push().unwrap();
    world.ask().await;
    let back = world.made().await;
    assert!(
        !back.objects.contains_key("ConfigMap ours"),
        "what we made is pruned"
    );
    assert_eq!(back.inventory, made.inventory);
    assert_eq!(
        back.digests[0], made.digests[0],
        "the same content has the same digest"
    );
    end(upstream).await;
}
