//! Everything that runs: a control plane, the six controllers, what they read from and tell, and the links between them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};
use testkit::{
    ControlPlane, Credentials, GitServer, HttpSink, Link, Namespace, Program, PushedArtifact,
    Registry, RegistryOptions, Repository,
};

use crate::disk::Disk;
use crate::fleet::{CHARTS, UNITS};

pub(crate) const SOURCE: &str = "source.toolkit.fluxcd.io/v1";
pub(crate) const KUSTOMIZE: &str = "kustomize.toolkit.fluxcd.io/v1";
pub(crate) const HELM: &str = "helm.toolkit.fluxcd.io/v2";
pub(crate) const IMAGE: &str = "image.toolkit.fluxcd.io/v1";
const NOTIFICATION: &str = "notification.toolkit.fluxcd.io/v1beta3";

/// The package and the name of each controller.
pub(crate) const CONTROLLERS: [(&str, &str); 6] = [
    ("source-controller", "source-controller"),
    ("kustomize-controller", "kustomize-controller"),
    ("helm-controller", "helm-controller"),
    ("notification-controller", "notification-controller"),
    ("image-automation", "image-reflector-controller"),
    ("image-automation", "image-automation-controller"),
];

/// Where the links lead.
pub(crate) const LINKS: [&str; 5] = ["api server", "git", "artifacts", "events", "registry"];
const API: usize = 0;
const GIT: usize = 1;
const ARTIFACTS: usize = 2;
const EVENTS: usize = 3;
const REGISTRY: usize = 4;

/// The API server may be away at any time, and on a busy machine takes minutes to start.
const PATIENCE: Duration = Duration::from_mins(10);

pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) namespace: Namespace,
    pub(crate) fleet: Repository,
    pub(crate) apps: Repository,
    pub(crate) sink: HttpSink,
    pub(crate) links: Vec<Link>,
    pub(crate) programs: Vec<Program>,
    /// Which of them are meant to run.
    pub(crate) wanted: Vec<AtomicBool>,
    /// What ended although nobody had killed it, with the end of its log.
    pub(crate) ended: Mutex<Vec<String>>,
    pub(crate) disk: Disk,
    git: GitServer,
    registry: Registry,
    token_file: PathBuf,
    tokens: AtomicU64,
    tags: AtomicU64,
    /// The number of the token that the Git server demands.
    git_token: AtomicU64,
    began: Instant,
    /// Last: its folder goes after all that lies in it.
    pub(crate) plane: ControlPlane,
}

impl World {
    pub(crate) async fn new() -> Self {
        let plane = ControlPlane::start().await.unwrap();
        let client = plane.client();
        let definitions = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/crd/bases");
        testkit::install_definitions(&client, &definitions)
            .await
            .unwrap();
        let namespace = plane.namespace("chaos").await;
        let git = GitServer::start().unwrap();
        let registry = Registry::start(&RegistryOptions::default()).unwrap();
        let host = |url: &str| url.trim_start_matches("https://").replace("http://", "");
        let targets = [
            Some(host(&plane.url())),
            Some(host(&git.url())),
            None,
            None,
            Some(registry.address().to_owned()),
        ];
        let links: Vec<_> = targets
            .iter()
            .map(|target| Link::start(target.as_deref()).unwrap())
            .collect();
        let token_file = plane.folder().join("controllers.token");
        let fleet = git.repository("fleet").unwrap();
        let apps = git.repository("apps").unwrap();
        let world = Self {
            wanted: CONTROLLERS.iter().map(|_| AtomicBool::new(true)).collect(),
            programs: Vec::new(),
            disk: Disk::new(&plane.folder().join("disk")),
            sink: HttpSink::start().unwrap(),
            ended: Mutex::default(),
            tokens: AtomicU64::new(0),
            tags: AtomicU64::new(0),
            git_token: AtomicU64::new(0),
            began: Instant::now(),
            plane,
            client,
            namespace,
            fleet,
            apps,
            links,
            git,
            registry,
            token_file,
        };
        world.let_robot_do_everything().await;
        world.renew_api_token().await;
        world.with_programs().await
    }

    /// Starts the controllers, which reach everything through the links.
    async fn with_programs(mut self) -> Self {
        let kubeconfig = self.controllers_kubeconfig();
        let events = format!("http://{}/", self.links[EVENTS].address());
        for (package, name) in CONTROLLERS {
            let folder = self.disk.folder(name);
            let storage = folder.to_string_lossy().into_owned();
            let program = Program::against(testkit::built(package, name).unwrap(), &kubeconfig)
                .unwrap()
                .flag("--watch-all-namespaces", "false")
                .flag("--max-retry-delay", "10s")
                .flag("--events-addr", &events)
                .env("TMPDIR", &self.disk.folder("tmp").to_string_lossy())
                .env("RUNTIME_NAMESPACE", self.namespace.name());
            let program = match name {
                "source-controller" => program
                    .listens(&["--storage-addr"])
                    .flag("--storage-adv-addr", &self.links[ARTIFACTS].address())
                    .flag("--artifact-retention-ttl", "10s")
                    .flag("--storage-path", &storage),
                "image-reflector-controller" => program.flag("--storage-path", &storage),
                "notification-controller" => program
                    .without("--events-addr")
                    .listens(&["--events-addr"])
                    .listens(&["--receiverAddr"])
                    .flag("--spool-path", &storage),
                _ => program,
            };
            let program = program.start().await.unwrap();
            if name == "source-controller" {
                self.links[ARTIFACTS].lead_to(program.address("--storage-addr").unwrap());
            }
            if name == "notification-controller" {
                self.links[EVENTS].lead_to(program.address("--events-addr").unwrap());
            }
            self.programs.push(program);
        }
        self
    }

    /// Writes the kubeconfig of the controllers: through the link, with a token that is read from a file.
    fn controllers_kubeconfig(&self) -> PathBuf {
        let mut kubeconfig = serde_json::to_value(self.plane.kubeconfig()).unwrap();
        let server = format!("https://{}", self.links[API].address());
        kubeconfig["clusters"][0]["cluster"]["server"] = server.into();
        kubeconfig["users"][0]["user"] = json!({ "tokenFile": self.token_file });
        let path = self.plane.folder().join("controllers.kubeconfig");
        std::fs::write(&path, kubeconfig.to_string()).unwrap();
        path
    }

    pub(crate) fn say(&self, what: &str) {
        say(&format!(
            "{:7.1} {what}",
            self.began.elapsed().as_secs_f64()
        ));
    }

    pub(crate) fn api(&self, api_version: &str, kind: &str) -> Api<DynamicObject> {
        Api::namespaced_with(
            self.client.clone(),
            self.namespace.name(),
            &resource(api_version, kind),
        )
    }

    /// Applies an object, again and again while the API server is away.
    async fn apply(&self, api_version: &str, kind: &str, name: &str, fields: Value) {
        let mut object =
            json!({ "apiVersion": api_version, "kind": kind, "metadata": { "name": name } });
        let fields = fields.as_object().unwrap().clone();
        object.as_object_mut().unwrap().extend(fields);
        let api = self.api(api_version, kind);
        let (params, patch) = (PatchParams::apply("test").force(), Patch::Apply(&object));
        insist(name, || api.patch(name, &params, &patch)).await;
    }

    async fn let_robot_do_everything(&self) {
        self.apply("v1", "ServiceAccount", "robot", json!({})).await;
        let binding = json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": { "name": "robot" },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin" },
            "subjects": [{ "kind": "ServiceAccount", "name": "robot", "namespace": self.namespace.name() }] });
        let resource = resource("rbac.authorization.k8s.io/v1", "ClusterRoleBinding");
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
        let (params, patch) = (PatchParams::apply("test").force(), Patch::Apply(&binding));
        insist("robot", || api.patch("robot", &params, &patch)).await;
    }

    fn bound_secret(&self) -> String {
        format!("bound-{}", self.tokens.load(Ordering::SeqCst))
    }

    /// Takes away what the controllers' token is bound to: from now on it is refused.
    pub(crate) async fn expire_api_token(&self) {
        let api = self.api("v1", "Secret");
        let name = self.bound_secret();
        let params = kube::api::DeleteParams::default();
        insist(&name, || async {
            match api.delete(&name, &params).await {
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
                result => result.map(drop),
            }
        })
        .await;
    }

    /// Puts a new token where the controllers find it.
    pub(crate) async fn renew_api_token(&self) {
        self.tokens.fetch_add(1, Ordering::SeqCst);
        let name = self.bound_secret();
        self.apply("v1", "Secret", &name, json!({})).await;
        let token = insist(&name, || {
            self.plane
                .token_bound_to(self.namespace.name(), "robot", &name)
        })
        .await;
        let beside = self.token_file.with_extension("new");
        std::fs::write(&beside, token).unwrap();
        std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::rename(&beside, &self.token_file).unwrap();
    }

    /// Makes the Git server demand a new token.
    pub(crate) fn expire_git_token(&self) {
        let number = self.git_token.fetch_add(1, Ordering::SeqCst) + 1;
        self.git.demand(Some(Credentials::Basic {
            user: "robot".to_owned(),
            password: format!("token-{number}"),
        }));
    }

    /// Brings the new token to the cluster.
    pub(crate) async fn renew_git_token(&self) {
        let number = self.git_token.load(Ordering::SeqCst);
        let secret =
            json!({ "stringData": { "username": "robot", "password": format!("token-{number}") } });
        self.apply("v1", "Secret", "git", secret).await;
    }

    /// Pushes an image with the next tag.
    pub(crate) fn push_tag(&self) {
        let number = self.tags.fetch_add(1, Ordering::SeqCst) + 1;
        let artifact = PushedArtifact::default();
        let tag = format!("1.{number}.0");
        self.registry.push("team/app", &tag, &artifact).unwrap();
    }

    pub(crate) fn newest_tag(&self) -> u64 {
        self.tags.load(Ordering::SeqCst)
    }

    pub(crate) fn image(&self) -> String {
        format!("{}/team/app", self.links[REGISTRY].address())
    }

    pub(crate) fn unit(number: usize) -> String {
        format!("u{number}")
    }

    pub(crate) fn release(number: usize) -> String {
        format!("h{number}")
    }

    fn url(&self, repository: &str) -> String {
        format!("http://{}/{repository}.git", self.links[GIT].address())
    }

    /// Applies everything that makes the cluster follow the repositories.
    pub(crate) async fn follow(&self) {
        self.expire_git_token();
        self.renew_git_token().await;
        for name in ["fleet", "apps"] {
            let source = json!({ "spec": { "interval": "3s", "timeout": "20s", "url": self.url(name),
                "ref": { "branch": "main" }, "secretRef": { "name": "git" } } });
            self.apply(SOURCE, "GitRepository", name, source).await;
        }
        for number in 0..UNITS {
            let mut unit = self.kustomization("fleet", &format!("./units/u{number}"));
            if number % 3 == 2 {
                unit["spec"]["dependsOn"] = json!([{ "name": Self::unit(number - 1) }]);
            }
            unit["spec"]["wait"] = (number % 2 == 0).into();
            self.apply(KUSTOMIZE, "Kustomization", &Self::unit(number), unit)
                .await;
        }
        let apps = self.kustomization("apps", "./deploy");
        self.apply(KUSTOMIZE, "Kustomization", "apps", apps).await;
        for number in 0..CHARTS {
            let chart = json!({ "chart": format!("./charts/c{number}"), "interval": "3s",
                "sourceRef": { "kind": "GitRepository", "name": "fleet" } });
            let retry = json!({ "strategy": { "name": "RetryOnFailure", "retryInterval": "2s" } });
            let release = json!({ "spec": { "interval": "10m", "timeout": "1m", "chart": { "spec": chart },
                "install": retry, "upgrade": retry, "values": { "colour": "blue" } } });
            self.apply(HELM, "HelmRelease", &Self::release(number), release)
                .await;
        }
        self.follow_images().await;
        let provider = json!({ "spec": { "type": "generic", "address": self.sink.url() } });
        self.apply(NOTIFICATION, "Provider", "sink", provider).await;
        let kinds = ["Kustomization", "HelmRelease"];
        let sources = kinds.map(|kind| json!({ "kind": kind, "name": "*" }));
        let alert = json!({ "spec": { "providerRef": { "name": "sink" }, "eventSeverity": "info",
            "eventSources": sources } });
        self.apply(NOTIFICATION, "Alert", "all", alert).await;
    }

    fn kustomization(&self, source: &str, path: &str) -> Value {
        json!({ "spec": { "interval": "10m", "retryInterval": "2s", "timeout": "1m", "prune": true,
            "path": path, "targetNamespace": self.namespace.name(),
            "sourceRef": { "kind": "GitRepository", "name": source } } })
    }

    async fn follow_images(&self) {
        let repository = json!({ "spec": { "image": self.image(), "interval": "3s" } });
        self.apply(IMAGE, "ImageRepository", "app", repository)
            .await;
        let policy = json!({ "spec": { "imageRepositoryRef": { "name": "app" },
            "policy": { "semver": { "range": "1.x.x" } } } });
        self.apply(IMAGE, "ImagePolicy", "app", policy).await;
        let commit = json!({ "author": { "name": "Flux", "email": "flux@example.com" },
            "messageTemplate": "{{range .Changed.Changes}}{{.OldValue}} -> {{.NewValue}}\n{{end}}" });
        let automation = json!({ "spec": { "interval": "3s",
            "sourceRef": { "kind": "GitRepository", "name": "apps" },
            "git": { "commit": commit, "push": { "branch": "main" } },
            "update": { "path": "./deploy", "strategy": "Setters" } } });
        self.apply(IMAGE, "ImageUpdateAutomation", "app", automation)
            .await;
    }

    /// Commits the Deployment whose image follows the policy.
    pub(crate) fn commit_app(&self) {
        let marker = format!("{{\"$imagepolicy\": \"{}:app\"}}", self.namespace.name());
        let image = self.image();
        let text = format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: app}}\nspec:\n  selector: {{matchLabels: {{app: app}}}}\n  \
             template:\n    metadata: {{labels: {{app: app}}}}\n    spec:\n      containers:\n      - name: app\n        \
             image: {image}:1.0.0 # {marker}\n"
        );
        let commit = self.apps.commit("main", "first");
        commit
            .write("deploy/app.yaml", text)
            .write("deploy/kustomization.yaml", "resources: [app.yaml]\n")
            .push()
            .unwrap();
    }

    /// Starts again what ended by itself, as a kubelet does, and notes it.
    pub(crate) async fn keep_running(&self) {
        loop {
            for (number, program) in self.programs.iter().enumerate() {
                if !self.wanted[number].load(Ordering::SeqCst) {
                    continue;
                }
                if let Err(error) = program.still_runs() {
                    let what = format!("{} ended by itself: {error:#}", CONTROLLERS[number].1);
                    self.say(&what);
                    let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
                    ended.push(what);
                    drop(ended);
                    program.launch().unwrap();
                }
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

pub(crate) fn resource(api_version: &str, kind: &str) -> ApiResource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let gvk = GroupVersionKind::gvk(group, version, kind);
    ApiResource::from_gvk(&gvk)
}

/// Tries until it works.
pub(crate) async fn insist<T, E: std::fmt::Debug, F>(what: &str, mut act: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, E>>,
{
    let began = Instant::now();
    loop {
        match act().await {
            Ok(value) => return value,
            Err(error) => assert!(began.elapsed() < PATIENCE, "{what}: {error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

#[expect(clippy::print_stdout, reason = "whoever runs it wants to see it")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}
