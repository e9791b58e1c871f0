//! The shipped manifests: what they install is accepted, and each controller can do its job with the rights that they give
//! it and no others.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};
use testkit::{ControlPlane, GitServer, Program};

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

fn binary(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.parent().unwrap().parent().unwrap().join(name)
}

/// Finds our command beside the tests; it is built where no test of its own has had that done.
fn lockgate() -> PathBuf {
    let path = binary("lockgate");
    if !path.exists() {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
        let mut building = Command::new(cargo);
        let built = building
            .args(["build", "-p", "lockgate-cli"])
            .status()
            .unwrap();
        assert!(built.success(), "lockgate does not build");
    }
    path
}

/// Builds a folder of manifests with our own command.
fn build(folder: &Path) -> Vec<u8> {
    let built = Command::new(lockgate())
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

#[tokio::test]
async fn shipped_manifests_run_the_main_job_with_least_rights() {
    let plane = ControlPlane::start().await.unwrap();
    apply(&plane, &build(&config("crd"))).await;
    apply(&plane, &build(&config("default"))).await;
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
    let config_maps = Api::<ConfigMap>::namespaced(plane.client(), namespace.name());
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
    tokio::time::sleep(Duration::from_secs(2)).await;
    for program in &running {
        let log = program.log().unwrap();
        let refused = log.lines().find(|line| line.contains("forbidden"));
        assert_eq!(refused, None, "a right is missing");
    }
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
