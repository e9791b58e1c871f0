//! The shipped manifests: what they install is accepted, and each controller can do its job with the rights that they give
//! it and no others.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};
use testkit::{ControlPlane, GitServer, Program, Repository};

#[path = "install/alone.rs"]
mod alone;

const PATIENCE: Duration = Duration::from_mins(1);
const NAMESPACE: &str = "flux-system";
const CONTROLLERS: [&str; 6] = [
    "source-controller",
    "kustomize-controller",
    "helm-controller",
    "notification-controller",
    "image-reflector-controller",
    "image-automation-controller",
];

fn config(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../config")
        .join(folder)
}

/// A controller beside this test, or in the folder that `testkit::built` looks into.
fn binary(name: &str) -> PathBuf {
    if let Some(folder) = std::env::var_os("LOCKGATE_BIN_DIR") {
        return PathBuf::from(folder).join(name);
    }
    let own = std::env::current_exe().unwrap();
    own.parent().unwrap().parent().unwrap().join(name)
}

/// Builds a folder of manifests with our own command.
fn build(folder: &Path) -> Vec<u8> {
    let built = Command::new(testkit::built("lockgate-cli", "lockgate").unwrap())
        .arg("build")
        .arg(folder)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{}: {told}", folder.display());
    built.stdout
}

async fn apply(plane: &ControlPlane, manifests: &[u8]) {
    let kubectl = testkit::control_plane_binaries()
        .await
        .unwrap()
        .join("kubectl");
    let mut applying = Command::new(kubectl)
        .args(["apply", "--server-side", "-f", "-"])
        .env("KUBECONFIG", plane.kubeconfig_path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    applying.stdin.take().unwrap().write_all(manifests).unwrap();
    let output = applying.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A controller with its own account's token and the arguments of its Deployment; only the addresses are others.
async fn start(plane: &ControlPlane, name: &str, folder: &Path) -> Program {
    let kubeconfig = plane.kubeconfig_for(NAMESPACE, name).await.unwrap();
    let path = folder.join(format!("{name}.kubeconfig"));
    std::fs::write(&path, serde_json::to_string(&kubeconfig).unwrap()).unwrap();
    let deployments = Api::<Deployment>::namespaced(plane.client(), NAMESPACE);
    let deployment = deployments.get(name).await.unwrap();
    let pod = deployment.spec.unwrap().template.spec.unwrap();
    assert_eq!(pod.service_account_name.as_deref(), Some(name));
    let mut program = Program::against(binary(name), &path)
        .unwrap()
        .env("RUNTIME_NAMESPACE", NAMESPACE);
    for argument in pod.containers[0].args.clone().unwrap() {
        let (flag, value) = argument.split_once('=').unwrap_or((&argument, "true"));
        program = program.flag(flag, &value.replace("$(RUNTIME_NAMESPACE)", NAMESPACE));
    }
    let data = folder.join(name);
    std::fs::create_dir(&data).unwrap();
    program = match name {
        "source-controller" => program
            .listens(&["--storage-addr", "--storage-adv-addr"])
            .flag("--storage-path", &data.to_string_lossy()),
        "image-reflector-controller" => program.flag("--storage-path", &data.to_string_lossy()),
        "notification-controller" => program
            .listens(&["--events-addr"])
            .listens(&["--receiverAddr"])
            .flag("--spool-path", &data.to_string_lossy()),
        _ => program,
    };
    program.start().await.unwrap()
}

/// Applies object `app` of a kind: group, kind, plural.
async fn put(plane: &ControlPlane, namespace: &str, of: (&str, &str, &str), spec: Value) {
    let (group, kind, plural) = of;
    let gvk = GroupVersionKind::gvk(group, "v1", kind);
    let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
    let api = Api::<DynamicObject>::namespaced_with(plane.client(), namespace, &resource);
    let object = json!({ "apiVersion": format!("{group}/v1"), "kind": kind,
        "metadata": { "name": "app" }, "spec": spec });
    let params = PatchParams::apply("test").force();
    api.patch("app", &params, &Patch::Apply(object))
        .await
        .unwrap();
}

/// Installs a folder and has a commit go live, each controller with its own account and nothing else.
async fn main_job_runs(installed: &str) {
    let plane = ControlPlane::start().await.unwrap();
    apply(&plane, &build(&config("crd"))).await;
    apply(&plane, &build(&config(installed))).await;
    let folder = tempfile::tempdir().unwrap();
    let mut running = Vec::new();
    for name in CONTROLLERS.into_iter().filter(|name| binary(name).exists()) {
        running.push(start(&plane, name, folder.path()).await);
    }
    assert!(running.len() >= 3, "the controllers were not built");
    let git = GitServer::start().unwrap();
    let repository = git.repository("app").unwrap();
    let text =
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: blue\n";
    repository
        .commit("main", "first")
        .write("deploy/settings.yaml", text)
        .push()
        .unwrap();
    let namespace = plane.namespace("tenant").await;
    tenant(&plane, namespace.name()).await;
    let put = async |group, kind, plural, spec| {
        put(&plane, namespace.name(), (group, kind, plural), spec).await;
    };
    let source = json!({ "interval": "10m", "url": repository.url(), "ref": { "branch": "main" } });
    put(
        "source.toolkit.fluxcd.io",
        "GitRepository",
        "gitrepositories",
        source,
    )
    .await;
    let kustomization = json!({ "interval": "10m", "retryInterval": "1s", "prune": true, "path": "./deploy",
        "targetNamespace": namespace.name(), "sourceRef": { "kind": "GitRepository", "name": "app" } });
    put(
        "kustomize.toolkit.fluxcd.io",
        "Kustomization",
        "kustomizations",
        kustomization,
    )
    .await;
    live(&plane, namespace.name(), &running).await;
    follows_git(&plane, namespace.name(), &repository).await;
    dashboards_find_their_metrics(&running).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    for program in &running {
        let log = program.log().unwrap();
        let refused = log.lines().find(|line| line.contains("forbidden"));
        assert_eq!(refused, None, "a right is missing");
    }
}

/// A file that goes is pruned, a revert brings it back, and a hand edit is undone when a run is asked for.
async fn follows_git(plane: &ControlPlane, namespace: &str, repository: &Repository) {
    let maps = Api::<ConfigMap>::namespaced(plane.client(), namespace);
    let colour = async |name: &str| {
        let map = maps.get_opt(name).await.unwrap()?;
        map.data?.get("colour").cloned()
    };
    let until = async |name: &str, wanted: Option<&str>| {
        let deadline = Instant::now() + PATIENCE;
        while colour(name).await.as_deref() != wanted {
            assert!(Instant::now() < deadline, "{name} is never {wanted:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: other\ndata:\n  colour: red\n";
    let second = repository
        .commit("main", "second")
        .remove("deploy/settings.yaml");
    second.write("deploy/other.yaml", text).push().unwrap();
    ask(plane, namespace, "GitRepository", "gitrepositories").await;
    until("other", Some("red")).await;
    until("settings", None).await;
    repository.revert("main").unwrap();
    ask(plane, namespace, "GitRepository", "gitrepositories").await;
    until("settings", Some("blue")).await;
    until("other", None).await;
    let edit = json!({ "data": { "colour": "green" } });
    let params = PatchParams::default();
    maps.patch("settings", &params, &Patch::Merge(edit))
        .await
        .unwrap();
    ask(plane, namespace, "Kustomization", "kustomizations").await;
    until("settings", Some("blue")).await;
}

/// Asks the controller of object `app` for a run.
async fn ask(plane: &ControlPlane, namespace: &str, kind: &str, plural: &str) {
    let group = if kind == "Kustomization" {
        "kustomize.toolkit.fluxcd.io"
    } else {
        "source.toolkit.fluxcd.io"
    };
    let gvk = GroupVersionKind::gvk(group, "v1", kind);
    let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
    let api = Api::<DynamicObject>::namespaced_with(plane.client(), namespace, &resource);
    let request = format!("{:?}", Instant::now());
    let patch =
        json!({ "metadata": { "annotations": { "reconcile.fluxcd.io/requestedAt": request } } });
    api.patch("app", &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
}

/// What alerts and the dashboard ask for is told by the controllers that run.
async fn dashboards_find_their_metrics(running: &[Program]) {
    let mut told = String::new();
    for program in running {
        told += &program.metrics().await.unwrap();
        let resources = program
            .get("--metrics-addr", "/metrics/resources")
            .await
            .unwrap();
        assert_eq!(resources.0, 200);
        told += &resources.1;
    }
    let unit = r#"customresource_kind="Kustomization",exported_namespace="#;
    assert!(told.contains(unit), "objects are not told of");
    for file in ["rules.yaml", "dashboard.json"] {
        let text = std::fs::read_to_string(config("monitoring").join(file)).unwrap();
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let families = [
            "gotk_",
            "controller_runtime_",
            "workqueue_",
            "rest_client_",
            "process_",
            "leader_election_",
        ];
        let asked = words.filter(|word| families.iter().any(|family| word.starts_with(family)));
        for name in asked {
            assert!(
                told.contains(&format!("\n{name}{{")) || told.contains(&format!("\n{name} ")),
                "{file}: {name}"
            );
        }
    }
}

/// Waits until what was committed is live.
async fn live(plane: &ControlPlane, namespace: &str, running: &[Program]) {
    let config_maps = Api::<ConfigMap>::namespaced(plane.client(), namespace);
    let deadline = Instant::now() + PATIENCE;
    while config_maps.get_opt("settings").await.unwrap().is_none() {
        let logs: Vec<_> = running
            .iter()
            .map(|program| program.log().unwrap_or_default())
            .collect();
        assert!(
            Instant::now() < deadline,
            "nothing was applied: {}",
            logs.join("\n---\n")
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Gives the tenant's own account the rights that its objects need: locked down, nothing is applied with others.
async fn tenant(plane: &ControlPlane, namespace: &str) {
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "tenant", "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": namespace}]});
    apply(plane, binding.to_string().as_bytes()).await;
}

#[tokio::test]
async fn shipped_manifests_run_the_main_job_with_least_rights() {
    main_job_runs("default").await;
}

#[tokio::test]
async fn locked_down_manifests_run_the_main_job_with_the_tenants_rights() {
    main_job_runs("lockdown").await;
}

#[test]
fn lockdown_gives_every_controller_its_flags() {
    let built = String::from_utf8(build(&config("lockdown"))).unwrap();
    let count = |text: &str| built.matches(text).count();
    assert_eq!(count("--no-cross-namespace-refs=true"), 5);
    assert_eq!(count("--no-remote-bases=true"), 1);
    assert_eq!(count("--default-service-account=default"), 2);
}

#[test]
fn every_controller_can_be_installed_alone() {
    for name in CONTROLLERS {
        let folder = name.trim_end_matches("-controller");
        let built = String::from_utf8(build(&config(folder))).unwrap();
        let deployments = built
            .split("\n---\n")
            .filter(|d| d.contains("\nkind: Deployment\n"));
        let deployments: Vec<_> = deployments.collect();
        assert_eq!(deployments.len(), 1, "{folder}");
        assert!(
            deployments[0].contains(&format!("\n  name: {name}\n")),
            "{folder}"
        );
        assert!(
            built.split("\n---\n").all(
                |d| d.contains("namespace: flux-system") || d.contains("\nkind: ClusterRole\n")
            ),
            "{folder}"
        );
    }
}

/// The objects of a stream of manifests, by kind, namespace and name.
fn objects(manifests: &[u8]) -> BTreeMap<String, Value> {
    let limits = yaml::Limits::default();
    let nodes = yaml::parse(manifests, "manifests", yaml::Schema::Core, &limits).unwrap();
    let objects = nodes.iter().map(|node| yaml::to_json(node).unwrap());
    let objects = objects.filter(|object| !object.is_null());
    let name = |object: &Value| {
        let text = |pointer: &str| {
            object
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or("-")
                .to_owned()
        };
        format!(
            "{} {}/{}",
            text("/kind"),
            text("/metadata/namespace"),
            text("/metadata/name")
        )
    };
    objects.map(|object| (name(&object), object)).collect()
}

/// Renders the chart with our own command.
fn chart(line: &[&str]) -> Vec<u8> {
    let rendered = Command::new(testkit::built("lockgate-cli", "lockgate").unwrap())
        .args(["template", "lockgate"])
        .arg(config("chart"))
        .args(["--namespace", NAMESPACE, "--include-crds"])
        .args(line)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&rendered.stderr);
    assert!(rendered.status.success(), "{told}");
    rendered.stdout
}

#[test]
fn chart_installs_what_the_manifests_install() {
    for (folder, line) in [
        ("default", [].as_slice()),
        ("lockdown", &["--set", "lockdown=true"]),
    ] {
        let rendered = objects(&chart(line));
        let mut built = objects(&build(&config(folder)));
        // A chart does not make the namespace that it is installed into.
        built.remove("Namespace -/flux-system").unwrap();
        let names = |of: &BTreeMap<String, Value>| of.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&rendered), names(&built), "{folder}");
        for (name, object) in &built {
            // Where the definitions lie, nothing is labelled.
            if !name.starts_with("CustomResourceDefinition") {
                assert_eq!(&rendered[name], object, "{folder}: {name}");
            }
        }
    }
}

#[test]
fn chart_takes_what_clusters_need() {
    let line = [
        "--set",
        "registry=r.example/team,tag=v9,sourceController.replicas=2,helmController.enabled=false",
        "--set",
        "kustomizeController.extraArgs={--concurrent=20},networkPolicies=false",
        "--set",
        "kustomizeController.serviceAccount.annotations.role=arn,pods.imagePullSecrets[0].name=pull",
    ];
    let rendered = objects(&chart(&line));
    assert!(
        rendered
            .keys()
            .all(|name| !name.contains("helm-controller") && !name.contains("NetworkPolicy"))
    );
    let source = &rendered["Deployment flux-system/source-controller"];
    assert_eq!(source["spec"]["replicas"], 2);
    let pod = &source["spec"]["template"]["spec"];
    assert_eq!(
        pod["containers"][0]["image"],
        "r.example/team/source-controller:v9"
    );
    assert_eq!(pod["imagePullSecrets"], json!([{"name": "pull"}]));
    let kustomize = &rendered["Deployment flux-system/kustomize-controller"];
    let args = kustomize["spec"]["template"]["spec"]["containers"][0]["args"]
        .as_array()
        .unwrap();
    assert_eq!(args.last().unwrap(), "--concurrent=20");
    let account = &rendered["ServiceAccount flux-system/kustomize-controller"];
    assert_eq!(account["metadata"]["annotations"]["role"], "arn");
}

#[test]
fn shards_share_nothing_but_rights() {
    let built = objects(&build(&config("sharding")));
    let app = |kind: &str, name: &str| {
        let object = &built[&format!("{kind} flux-system/{name}")];
        let selector = &object["spec"]["selector"];
        selector
            .pointer("/matchLabels/app")
            .unwrap_or(&selector["app"])
            .as_str()
            .unwrap()
            .to_owned()
    };
    for kind in ["Deployment", "Service"] {
        assert_eq!(app(kind, "source-controller"), "source-controller");
        assert_eq!(
            app(kind, "source-controller-shard1"),
            "source-controller-shard1"
        );
    }
    for controller in ["source", "kustomize", "helm"] {
        for (suffix, selector) in [
            ("", "!sharding.fluxcd.io/key"),
            ("-shard1", "sharding.fluxcd.io/key=shard1"),
        ] {
            let object = &built[&format!("Deployment flux-system/{controller}-controller{suffix}")];
            let pod = &object["spec"]["template"]["spec"];
            assert_eq!(
                pod["serviceAccountName"],
                format!("{controller}-controller")
            );
            let args = pod["containers"][0]["args"].as_array().unwrap();
            let selectors = args
                .iter()
                .filter_map(|arg| arg.as_str()?.strip_prefix("--watch-label-selector="));
            assert_eq!(selectors.collect::<Vec<_>>(), [selector]);
        }
    }
}

/// Components go onto `config/default`; the API server takes what comes of it.
#[tokio::test]
async fn components_are_accepted_by_the_api_server() {
    let plane = ControlPlane::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    // A base is named from where the kustomization is; above the root there is only the root.
    let config = config("").canonicalize().unwrap();
    let base = format!(
        "{}{}",
        "../".repeat(8),
        config.strip_prefix("/").unwrap().display()
    );
    let text = format!(
        "resources: [{base}/default]\ncomponents: [{base}/components/ha, {base}/components/persistent]\n"
    );
    std::fs::write(folder.path().join("kustomization.yaml"), text).unwrap();
    let built = build(folder.path());
    apply(&plane, &built).await;
    apply(&plane, &build(&config.join("sharding"))).await;
    let built = objects(&built);
    for name in CONTROLLERS {
        let object = &built[&format!("Deployment flux-system/{name}")];
        assert_eq!(object["spec"]["replicas"], 2, "{name}");
        assert!(
            built.contains_key(&format!("PodDisruptionBudget flux-system/{name}")),
            "{name}"
        );
    }
    let source = &built["Deployment flux-system/source-controller"];
    let volume = &source["spec"]["template"]["spec"]["volumes"][0];
    assert_eq!(
        volume["persistentVolumeClaim"]["claimName"],
        "source-controller"
    );
}
