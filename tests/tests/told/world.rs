//! A namespace with the controllers that fetch, apply and tell; the Git server and the chat that they talk to.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};
use testkit::{GitServer, HttpSink, Namespace, Program, Repository};

/// Enough for a machine that is busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);
const PAUSE: Duration = Duration::from_millis(10);

const SOURCE: &str = "source.toolkit.fluxcd.io/v1";
const KUSTOMIZE: &str = "kustomize.toolkit.fluxcd.io/v1";
const NOTIFICATION: &str = "notification.toolkit.fluxcd.io/v1";

const DEPLOYMENT: &str = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 3
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      containers:
      - name: web
        image: registry.example/web:1.0.0
";

/// A namespace with the controllers that fetch, apply and tell, and the service that is told.
pub(crate) struct World {
    client: kube::Client,
    namespace: Namespace,
    repository: Repository,
    slack: HttpSink,
    notification: Program,
    _git: GitServer,
    _running: [Program; 2],
}

impl World {
    pub(crate) async fn new() -> Self {
        let plane = testkit::control_plane().await;
        let definitions = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/crd/bases");
        testkit::install_definitions(&plane.client(), &definitions)
            .await
            .unwrap();
        let namespace = plane.namespace("told").await;
        let program = |name: &str| {
            Program::new(testkit::built(name, name).unwrap(), plane)
                .unwrap()
                .flag("--watch-all-namespaces", "false")
                .env("RUNTIME_NAMESPACE", namespace.name())
        };
        let notification = program("notification-controller");
        let spool = notification.folder().join("spool");
        let notification = notification
            .without("--events-addr")
            .listens(&["--events-addr"])
            .listens(&["--receiverAddr"])
            .flag("--spool-path", &spool.to_string_lossy())
            .start()
            .await
            .unwrap();
        let events = format!("http://{}/", notification.address("--events-addr").unwrap());
        let source = program("source-controller");
        let source = source
            .stores_artifacts()
            .unwrap()
            .flag("--events-addr", &events)
            .start()
            .await
            .unwrap();
        let kustomize = program("kustomize-controller")
            .flag("--events-addr", &events)
            .start()
            .await
            .unwrap();
        let git = GitServer::start().unwrap();
        let repository = git.repository("myapp").unwrap();
        repository
            .commit("main", "first")
            .write("deploy/web.yaml", DEPLOYMENT)
            .push()
            .unwrap();
        Self {
            client: plane.client(),
            namespace,
            repository,
            slack: HttpSink::start().unwrap(),
            notification,
            _git: git,
            _running: [source, kustomize],
        }
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

    /// Applies the source and the Kustomization `myapp-prod`, and waits until it is applied.
    pub(crate) async fn sync(&self) {
        let source = json!({ "spec": { "interval": "1h", "url": self.repository.url(),
            "ref": { "branch": "main" } } });
        self.apply(SOURCE, "GitRepository", "myapp-repo", source)
            .await;
        let kustomization = json!({ "spec": { "interval": "1h", "prune": true, "path": "./deploy",
            "targetNamespace": self.namespace.name(), "driftDetection": { "mode": "enabled" },
            "sourceRef": { "kind": "GitRepository", "name": "myapp-repo" } } });
        self.apply(KUSTOMIZE, "Kustomization", "myapp-prod", kustomization)
            .await;
        self.applied(&self.head()).await;
    }

    /// Waits until a commit is applied.
    pub(crate) async fn applied(&self, commit: &str) {
        let api = self.api(KUSTOMIZE, "Kustomization");
        let began = Instant::now();
        loop {
            let object = api.get("myapp-prod").await.unwrap();
            let revision = object.data["status"]["lastAppliedRevision"].as_str();
            if revision.is_some_and(|revision| revision.ends_with(commit)) {
                return;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "not applied: {:#}",
                object.data["status"]
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    pub(crate) fn deployments(&self) -> Api<Deployment> {
        Api::namespaced(self.client.clone(), self.namespace.name())
    }

    /// Returns the texts that Slack was sent, oldest first.
    pub(crate) fn messages(&self) -> Vec<Value> {
        let requests = self.slack.requests().into_iter();
        requests.map(|r| r.json::<Value>().unwrap()).collect()
    }

    /// Waits until a message holds these words, or a time is over.
    pub(crate) async fn told(&self, words: &str, within: Duration) -> Option<Value> {
        let began = Instant::now();
        while began.elapsed() < within {
            let found = self.messages().into_iter().find(|body| {
                let text = body["attachments"][0]["text"].as_str();
                text.is_some_and(|text| text.contains(words))
            });
            if found.is_some() {
                return found;
            }
            tokio::time::sleep(PAUSE).await;
        }
        None
    }

    /// Has Slack told by the Alert of the samples.
    pub(crate) async fn alert(&self) {
        let address = format!("{}/services/T0/B0/x", self.slack.url());
        let provider = json!({ "spec": { "type": "slack", "address": address } });
        let version = format!("{NOTIFICATION}beta3");
        self.apply(&version, "Provider", "slack", provider).await;
        let params = PatchParams::apply("test").force();
        self.api(&format!("{NOTIFICATION}beta1"), "Alert")
            .patch("drift-alert", &params, &Patch::Apply(sample_alert()))
            .await
            .unwrap();
    }

    /// Edits the Deployment by hand.
    pub(crate) async fn edit(&self, manager: &str, replicas: usize) {
        let params = PatchParams {
            field_manager: Some(manager.to_owned()),
            ..PatchParams::default()
        };
        let edit = Patch::Merge(json!({ "spec": { "replicas": replicas } }));
        self.deployments()
            .patch("web", &params, &edit)
            .await
            .unwrap();
    }

    /// Waits until the Deployment is as Git has it.
    pub(crate) async fn as_in_git(&self) {
        let began = Instant::now();
        loop {
            let live = self.deployments().get("web").await.unwrap();
            if live.spec.unwrap().replicas == Some(3) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "the edit is not taken back");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Makes a Receiver, and has the Git server call it after each push, as a forge does.
    pub(crate) async fn hook(&self) {
        let token = json!({ "stringData": { "token": "s3cret-hook" } });
        self.apply("v1", "Secret", "token", token).await;
        let receiver = json!({ "spec": { "type": "gitlab", "events": ["Push Hook"],
            "secretRef": { "name": "token" },
            "resources": [{ "kind": "GitRepository", "name": "myapp-repo" }] } });
        self.apply(NOTIFICATION, "Receiver", "push", receiver).await;
        let api = self.api(NOTIFICATION, "Receiver");
        let began = Instant::now();
        let path = loop {
            let receiver = api.get("push").await.unwrap();
            if let Some(path) = receiver.data["status"]["webhookPath"].as_str() {
                break path.to_owned();
            }
            assert!(began.elapsed() < PATIENCE, "the receiver is not ready");
            tokio::time::sleep(PAUSE).await;
        };
        let hooks = self.notification.address("--receiverAddr").unwrap();
        // The controller may not have seen its own status yet: it answers 404 until it has.
        let script = format!(
            "#!/bin/sh\nexec curl -sf --retry 30 --retry-delay 1 --retry-all-errors \
             -H 'X-Gitlab-Token: s3cret-hook' -H 'X-Gitlab-Event: Push Hook' \
             -d '{{\"object_kind\":\"push\",\"ref\":\"refs/heads/main\"}}' \
             'http://{hooks}{path}' >&2\n"
        );
        let hook = self.repository.path().join("hooks/post-receive");
        std::fs::write(&hook, script).unwrap();
        std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Clones the repository, as a developer does.
    pub(crate) fn checkout(&self) -> Checkout {
        let checkout = Checkout {
            folder: tempfile::tempdir().unwrap(),
        };
        checkout.git(&["clone", "-q", self.repository.url(), "."]);
        checkout
    }

    /// Returns the newest commit of the branch that is applied.
    pub(crate) fn head(&self) -> String {
        self.repository.id_of("main").unwrap()
    }
}

/// A developer's clone.
pub(crate) struct Checkout {
    folder: tempfile::TempDir,
}

impl Checkout {
    /// Commits another number of replicas.
    pub(crate) fn commit(&self, replicas: usize) {
        let text = DEPLOYMENT.replace("replicas: 3", &format!("replicas: {replicas}"));
        std::fs::write(self.folder.path().join("deploy/web.yaml"), text).unwrap();
        self.git(&["commit", "-qam", "scale"]);
    }

    /// Pushes; returns when the server's hook has returned.
    pub(crate) fn push(&self) {
        self.git(&["push", "-q", "origin", "HEAD:main"]);
    }

    fn git(&self, arguments: &[&str]) {
        let output = Command::new("git")
            .args(["-c", "user.name=dev", "-c", "user.email=dev@example.com"])
            .args(arguments)
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
    }
}

/// The Alert of the samples, as it is written there.
fn sample_alert() -> DynamicObject {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/samples/mixed_versions.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let mut documents = yaml::parse(
        text.as_bytes(),
        "samples",
        yaml::Schema::Core,
        &yaml::Limits::default(),
    )
    .unwrap();
    documents.retain(|document| document.get("kind").and_then(yaml::Node::as_str) == Some("Alert"));
    assert_eq!(documents.len(), 1);
    let json = yaml::to_json(&documents[0]).unwrap();
    assert_eq!(json["apiVersion"], "notification.toolkit.fluxcd.io/v1beta1");
    assert_eq!(json["spec"]["eventSeverity"], "error");
    assert!(json["spec"].get("summary").is_none());
    serde_json::from_value(json).unwrap()
}
