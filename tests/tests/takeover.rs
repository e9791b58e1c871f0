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
        let source = source
            .flag("--watch-all-namespaces", "false")
            .env("RUNTIME_NAMESPACE", namespace.name())
            .stores_artifacts()
            .unwrap()
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

    /// The GitRepository and the Kustomization `app` of a folder.
    fn sync(&self, path: &str) -> [Value; 2] {
        let source = json!({ "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": { "name": "app" },
            "spec": { "interval": "1s", "url": self.repository.url(), "ref": { "branch": "main" } } });
        let kustomization = json!({ "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": { "name": "app" },
            "spec": { "interval": "10m", "retryInterval": "1s", "prune": true, "path": path,
                "targetNamespace": self.namespace.name(),
                "commonMetadata": { "labels": { "unit": "app" } },
                "postBuild": { "substitute": { "team": "blue team" } },
                "sourceRef": { "kind": "GitRepository", "name": "app" } } });
        [source, kustomization]
    }

    async fn apply(&self, path: &str) {
        let [source, kustomization] = self.sync(path);
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
    world.apply("./deploy").await;
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

/// A Deployment in the shape of Flux's.
fn deployment(name: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\n  labels: {{app.kubernetes.io/part-of: flux, \
         app.kubernetes.io/component: {name}, control-plane: controller}}\nspec:\n  replicas: 1\n  \
         selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec:\n      \
         containers:\n      - name: manager\n        image: ghcr.io/fluxcd/{name}:v1.9.4\n        \
         args: [--watch-all-namespaces=true, --log-level=info]\n"
    )
}

/// What a swap must leave alone, and the image of each Deployment.
async fn standing(world: &World) -> (Vec<String>, BTreeMap<String, String>) {
    let mut uids = Vec::new();
    for api in [world.sources(), world.kustomizations()] {
        uids.push(api.get("app").await.unwrap().uid().unwrap());
    }
    let mut images = BTreeMap::new();
    for (group, kind, plural) in OWNED {
        let of_unit = ListParams::default().labels("kustomize.toolkit.fluxcd.io/name=app");
        let list = world.api(group, "v1", kind, plural).list(&of_unit).await;
        for object in list.unwrap() {
            uids.push(format!(
                "{kind} {} {}",
                object.name_any(),
                object.uid().unwrap()
            ));
            if kind == "Deployment" {
                let image = &object.data["spec"]["template"]["spec"]["containers"][0]["image"];
                images.insert(object.name_any(), image.as_str().unwrap().to_owned());
            }
        }
    }
    (uids, images)
}

const FLUX_SYSTEM: &str = "clusters/production/flux-system";
const COMPONENTS: &str = "resources: [gotk-components.yaml, gotk-sync.yaml]\n";

/// Commits what `flux bootstrap` does, and an application beside it.
fn bootstrap(world: &World, path: &str) {
    let [source, unit] = world.sync(path);
    let components = format!(
        "{}---\n{}",
        deployment("source-controller"),
        deployment("kustomize-controller")
    );
    let sync = format!("{source}\n---\n{unit}\n");
    let commit = world.repository.commit("main", "Add Flux manifests");
    commit
        .write(&format!("{FLUX_SYSTEM}/gotk-components.yaml"), components)
        .write(&format!("{FLUX_SYSTEM}/gotk-sync.yaml"), sync)
        .write(&format!("{FLUX_SYSTEM}/kustomization.yaml"), COMPONENTS)
        .write("clusters/production/apps.yaml", OBJECTS)
        .push()
        .unwrap();
}

#[tokio::test]
#[ignore = "builds upstream's controller: run by make interop"]
async fn bootstrapped_repository_swaps_a_controller_by_a_commit_and_back() {
    let world = World::new().await;
    let path = "./clusters/production";
    bootstrap(&world, path);
    world.apply(path).await;
    let upstream = world.run(&world.upstream).await;
    let (made, fluxs) = standing(&world).await;
    assert_eq!(
        fluxs["kustomize-controller"],
        "ghcr.io/fluxcd/kustomize-controller:v1.9.4"
    );

    let swap = format!(
        "{COMPONENTS}images:\n- name: ghcr.io/fluxcd/kustomize-controller\n  \
         newName: registry.example/kustomize-controller\n  newTag: v0.1.0\n"
    );
    let swapped = world
        .repository
        .commit("main", "Take Lockgate's kustomize-controller");
    swapped
        .write(&format!("{FLUX_SYSTEM}/kustomization.yaml"), swap)
        .push()
        .unwrap();
    world.ask().await;
    let ours_image = "registry.example/kustomize-controller:v0.1.0";
    let with_ours = |images: &BTreeMap<String, String>| {
        let mut wanted = images.clone();
        wanted.insert("kustomize-controller".to_owned(), ours_image.to_owned());
        wanted
    };
    let wanted = (made.clone(), with_ours(&fluxs));
    assert_eq!(standing(&world).await, wanted, "Flux applied the swap");
    let before = world.made().await;
    end(upstream).await;

    let ours = world.run(&World::ours()).await;
    assert_eq!(
        standing(&world).await,
        wanted,
        "ours keeps what was committed"
    );
    assert_eq!(world.made().await, before, "nothing was written");
    world.repository.revert("main").unwrap();
    world.ask().await;
    assert_eq!(
        standing(&world).await,
        (made.clone(), fluxs.clone()),
        "ours applied the way back"
    );
    end(ours).await;

    let upstream = world.run(&world.upstream).await;
    assert_eq!(standing(&world).await, (made, fluxs), "Flux again");
    end(upstream).await;
}
