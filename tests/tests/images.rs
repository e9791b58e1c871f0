//! From a pushed image to a running Deployment: registry, policy, signed commit, Git, apply.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};
use testkit::{
    GitServer, Namespace, Program, PushedArtifact, Registry, RegistryOptions, Repository, SshKey,
    SshOptions, SshServer,
};

const PATIENCE: Duration = Duration::from_mins(1);
/// What users are promised from the scan to the commit, where nothing else takes the machine.
const PROMISED: Duration = Duration::from_secs(5);
/// How many images are pushed until the promise is kept, on a machine that is busy with other things.
const ATTEMPTS: u32 = 10;

const SOURCE: &str = "source.toolkit.fluxcd.io/v1";
const KUSTOMIZE: &str = "kustomize.toolkit.fluxcd.io/v1";
const IMAGE: &str = "image.toolkit.fluxcd.io/v1";

/// A namespace with a registry and the four controllers that have a part in it.
struct World {
    client: kube::Client,
    namespace: Namespace,
    registry: Registry,
    running: Vec<Program>,
}

impl World {
    async fn new() -> Self {
        let plane = testkit::control_plane().await;
        let definitions = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/crd/bases");
        testkit::install_definitions(&plane.client(), &definitions)
            .await
            .unwrap();
        let namespace = plane.namespace("images").await;
        let mut running = Vec::new();
        for (package, name) in [
            ("source-controller", "source-controller"),
            ("kustomize-controller", "kustomize-controller"),
            ("image-automation", "image-reflector-controller"),
            ("image-automation", "image-automation-controller"),
        ] {
            let program = Program::new(testkit::built(package, name).unwrap(), plane)
                .unwrap()
                .flag("--watch-all-namespaces", "false")
                .env("RUNTIME_NAMESPACE", namespace.name());
            let storage = program.folder().join("storage");
            std::fs::create_dir(&storage).unwrap();
            let storage = storage.to_string_lossy().into_owned();
            let program = match name {
                "source-controller" => program
                    .listens(&["--storage-addr", "--storage-adv-addr"])
                    .flag("--storage-path", &storage),
                "image-reflector-controller" => program.flag("--storage-path", &storage),
                _ => program,
            };
            running.push(program.start().await.unwrap());
        }
        let registry = Registry::start(&RegistryOptions {
            credentials: Some(("robot".to_owned(), "marked-registry-password".to_owned())),
            page: Some(2),
            ..RegistryOptions::default()
        })
        .unwrap();
        Self {
            client: plane.client(),
            namespace,
            registry,
            running,
        }
    }

    fn image(&self) -> String {
        format!("{}/team/app", self.registry.address())
    }

    fn push(&self, tag: &str) {
        let artifact = PushedArtifact::default();
        self.registry.push("team/app", tag, &artifact).unwrap();
    }

    fn api(&self, api_version: &str, kind: &str) -> Api<DynamicObject> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let gvk = GroupVersionKind::gvk(group, version, kind);
        let resource = ApiResource::from_gvk(&gvk);
        Api::namespaced_with(self.client.clone(), self.namespace.name(), &resource)
    }

    async fn apply(&self, api_version: &str, kind: &str, name: &str, fields: Value) {
        let mut object =
            json!({ "apiVersion": api_version, "kind": kind, "metadata": { "name": name } });
        let fields = fields.as_object().unwrap().clone();
        object.as_object_mut().unwrap().extend(fields);
        let params = PatchParams::apply("test").force();
        self.api(api_version, kind)
            .patch(name, &params, &Patch::Apply(object))
            .await
            .unwrap();
    }

    /// Applies Secrets, the image's repository and policy, and what applies the repository's manifests.
    async fn apply_all(&self, url: &str, credentials: Value) {
        let host = self.registry.address();
        let docker = json!({ "auths": { host: { "username": "robot", "password": "marked-registry-password" } } });
        let pull = json!({ "type": "kubernetes.io/dockerconfigjson",
            "stringData": { ".dockerconfigjson": docker.to_string() } });
        self.apply("v1", "Secret", "pull", pull).await;
        self.apply("v1", "Secret", "git", json!({ "stringData": credentials }))
            .await;
        let source = json!({ "spec": { "interval": "1s", "url": url, "ref": { "branch": "main" },
            "secretRef": { "name": "git" } } });
        self.apply(SOURCE, "GitRepository", "app", source).await;
        let kustomization = json!({ "spec": { "interval": "1h", "prune": true, "path": "./deploy",
            "targetNamespace": self.namespace.name(),
            "sourceRef": { "kind": "GitRepository", "name": "app" } } });
        self.apply(KUSTOMIZE, "Kustomization", "app", kustomization)
            .await;
        let repository = json!({ "spec": { "image": self.image(), "interval": "1h",
            "secretRef": { "name": "pull" } } });
        self.apply(IMAGE, "ImageRepository", "app", repository)
            .await;
        let policy = json!({ "spec": { "imageRepositoryRef": { "name": "app" },
            "policy": { "semver": { "range": "1.x.x" } } } });
        self.apply(IMAGE, "ImagePolicy", "app", policy).await;
    }

    /// Applies the automation that signs its commits with the key of a Secret.
    async fn automate(&self, key: &str, kind: &str) {
        let template = "Update image to {{range .Updated.Images}}{{.}}{{end}}\n\n{{range .Changed.Changes}}{{.OldValue}} -> {{.NewValue}}\n{{end}}";
        let commit = json!({ "author": { "name": "Flux", "email": "flux@example.com" },
            "messageTemplate": template,
            "signingKey": { "secretRef": { "name": key }, "type": kind } });
        let automation = json!({ "spec": { "interval": "1h",
            "sourceRef": { "kind": "GitRepository", "name": "app" },
            "git": { "commit": commit, "push": { "branch": "main" } },
            "update": { "path": "./deploy", "strategy": "Setters" } } });
        self.apply(IMAGE, "ImageUpdateAutomation", "app", automation)
            .await;
    }

    /// Asks for a scan. Returns when that was.
    async fn scan(&self) -> Instant {
        let began = Instant::now();
        let patch = json!({ "metadata": { "annotations": {
            "reconcile.fluxcd.io/requestedAt": format!("{began:?}") } } });
        let params = PatchParams::default();
        self.api(IMAGE, "ImageRepository")
            .patch("app", &params, &Patch::Merge(patch))
            .await
            .unwrap();
        began
    }

    async fn until<F: Future<Output = bool>>(&self, what: &str, holds: impl Fn() -> F) {
        let began = Instant::now();
        while !holds().await {
            let logs = self.running.iter().map(|p| p.log().unwrap_or_default());
            assert!(
                began.elapsed() < PATIENCE,
                "not reached: {what}\n{}",
                logs.collect::<Vec<_>>().join("\n---\n")
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until the Deployment runs a tag.
    async fn runs(&self, tag: &str) {
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), self.namespace.name());
        let wanted = format!("{}:{tag}", self.image());
        let (api, wanted) = (&api, &wanted);
        self.until(&format!("the Deployment runs {tag}"), || async move {
            let Some(live) = api.get_opt("web").await.unwrap() else {
                return false;
            };
            let containers = live.spec.unwrap().template.spec.unwrap().containers;
            containers[0].image.as_deref() == Some(wanted)
        })
        .await;
    }

    fn deployment(&self) -> String {
        let (namespace, image) = (self.namespace.name(), self.image());
        format!(
            "# What runs in production.\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n    name: web\nspec:\n    selector:\n        matchLabels: {{app: web}}\n    template:\n        metadata:\n            labels: {{app: web}}\n        spec:\n            containers:\n                -   name: web\n                    image: {image}:1.2.3 # {{\"$imagepolicy\": \"{namespace}:app\"}}\n"
        )
    }
}

/// A key that signs, and how Git checks its signatures.
struct Signer {
    folder: tempfile::TempDir,
    secret: (&'static str, String),
    kind: &'static str,
}

impl Signer {
    fn ssh() -> Self {
        let key = SshKey::new("ed25519", "").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let allowed = format!("flux@example.com {}\n", key.public);
        std::fs::write(folder.path().join("allowed"), allowed).unwrap();
        Self {
            folder,
            secret: ("identity", key.private),
            kind: "ssh",
        }
    }

    fn gpg() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let gpg = |arguments: &[&str]| {
            let output = Command::new("gpg")
                .arg("--homedir")
                .arg(folder.path())
                .args(["--batch", "--passphrase", "", "--pinentry-mode", "loopback"])
                .args(arguments)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{said}");
            String::from_utf8(output.stdout).unwrap()
        };
        let user = "Flux <flux@example.com>";
        gpg(&["--quick-generate-key", user, "ed25519", "sign", "never"]);
        let secret = gpg(&["--armor", "--export-secret-keys", user]);
        Self {
            folder,
            secret: ("git.asc", secret),
            kind: "gpg",
        }
    }

    /// Has Git and the signer's own tool say that the tip of main is signed.
    fn verify(&self, repository: &Repository) {
        let allowed = format!(
            "gpg.ssh.allowedSignersFile={}",
            self.folder.path().join("allowed").display()
        );
        let program = format!("gpg.program={}", self.folder.path().join("gpg").display());
        // Git runs gpg without a home; this one has the key.
        let script = format!(
            "#!/bin/sh\nexec gpg --homedir {} \"$@\"\n",
            self.folder.path().display()
        );
        let path = self.folder.path().join("gpg");
        std::fs::write(&path, script).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&path, mode).unwrap();
        repository
            .git(&["-c", &allowed, "-c", &program, "verify-commit", "main"])
            .unwrap();
    }
}

impl Drop for Signer {
    fn drop(&mut self) {
        // The agent that gpg starts outlives it otherwise.
        drop(
            Command::new("gpgconf")
                .arg("--homedir")
                .arg(self.folder.path())
                .args(["--kill", "all"])
                .output(),
        );
    }
}

/// Checks the tip of main: only the marked field changed, and the message is as the template says.
fn check_commit(repository: &Repository, before: &str, image: &str, attempt: u32) {
    let tag = format!("1.2.{attempt}");
    let text = repository.read("main", "deploy/web.yaml").unwrap();
    let expect = before.replace(&format!("{image}:1.2.3 #"), &format!("{image}:{tag} #"));
    assert_eq!(text, expect, "another byte changed");
    let old = format!("1.2.{}", attempt - 1);
    let log = repository
        .git(&["log", "-1", "--format=%an <%ae>%n%B", "main"])
        .unwrap();
    let message = format!(
        "Flux <flux@example.com>\nUpdate image to {image}:{tag}\n\n{image}:{old} -> {image}:{tag}"
    );
    assert_eq!(log.trim(), message);
}

/// The whole way, with this Git repository and this signature.
async fn pushed_image_goes_live(repository: &Repository, credentials: Value, signer: &Signer) {
    let world = World::new().await;
    for tag in ["1.2.3", "2.0.0", "1.3.0-rc.1"] {
        world.push(tag);
    }
    let before = world.deployment();
    repository
        .commit("main", "first")
        .write("deploy/web.yaml", &before)
        .push()
        .unwrap();
    world.apply_all(repository.url(), credentials).await;
    let (key, secret) = &signer.secret;
    let secret = json!({ "stringData": { *key: secret } });
    world.apply("v1", "Secret", "signer", secret).await;
    world.runs("1.2.3").await;
    world.automate("signer", signer.kind).await;
    let api = world.api(IMAGE, "ImageUpdateAutomation");
    let api = &api;
    world
        .until("the automation has looked", || async move {
            let object = api.get("app").await.unwrap();
            object.data["status"]["observedSourceRevision"].is_string()
        })
        .await;
    for attempt in 4.. {
        assert!(
            attempt < 4 + ATTEMPTS,
            "never committed within {PROMISED:?}"
        );
        let tag = format!("1.2.{attempt}");
        world.push(&tag);
        let tip = repository.id_of("main").unwrap();
        let began = world.scan().await;
        let moved = || async { repository.id_of("main").unwrap() != tip };
        world.until("the commit is pushed", moved).await;
        let took = began.elapsed();
        world.runs(&tag).await;
        signer.verify(repository);
        check_commit(repository, &before, &world.image(), attempt);
        if took <= PROMISED {
            report("scan to commit", took);
            report("scan to running", began.elapsed());
            break;
        }
    }
    for program in &world.running {
        let log = program.log().unwrap();
        assert!(!log.contains("marked-"), "a secret shows");
    }
}

#[expect(clippy::print_stdout, reason = "a figure for those who look")]
fn report(what: &str, took: Duration) {
    println!("{what}: {} ms", took.as_millis());
}

/// covers: IA-113, IA-123, IA-126
#[tokio::test]
async fn pushed_image_goes_live_over_http_with_a_commit_signed_by_gpg() {
    let server = GitServer::start().unwrap();
    let (user, password) = ("robot".to_owned(), "marked-git-password".to_owned());
    let credentials = json!({ "username": user, "password": password });
    server.demand(Some(testkit::Credentials::Basic { user, password }));
    let repository = server.repository("org/fleet").unwrap();
    pushed_image_goes_live(&repository, credentials, &Signer::gpg()).await;
}

/// covers: IA-113, IA-124, IA-126
#[tokio::test]
async fn pushed_image_goes_live_over_ssh_with_a_commit_signed_by_ssh() {
    let server = SshServer::start(&SshOptions::default()).unwrap();
    let key = SshKey::new("ed25519", "").unwrap();
    server.authorize(&key.public).unwrap();
    let repository = server.repository("org/fleet").unwrap();
    let credentials =
        json!({ "identity": key.private, "known_hosts": server.known_hosts().unwrap() });
    pushed_image_goes_live(&repository, credentials, &Signer::ssh()).await;
}
