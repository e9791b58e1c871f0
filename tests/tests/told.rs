//! What a person hears of a cluster, and what a push sets off: all controllers that have a part in it together.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};
use testkit::{GitServer, HttpSink, Namespace, Program, Repository};

const PATIENCE: Duration = Duration::from_mins(1);
/// What users are promised, where nothing else takes the machine.
const PROMISED: Duration = Duration::from_secs(3);
/// How often a promise may be missed on a machine that is busy with other things.
const ATTEMPTS: u32 = 20;

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
struct World {
    client: kube::Client,
    namespace: Namespace,
    repository: Repository,
    slack: HttpSink,
    notification: Program,
    _git: GitServer,
    _running: [Program; 2],
}

impl World {
    async fn new() -> Self {
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
        let storage = source.folder().join("storage");
        std::fs::create_dir(&storage).unwrap();
        let source = source
            .listens(&["--storage-addr", "--storage-adv-addr"])
            .flag("--storage-path", &storage.to_string_lossy())
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
        let plural = match kind {
            "GitRepository" => "gitrepositories".to_owned(),
            kind => format!("{}s", kind.to_lowercase()),
        };
        let gvk = GroupVersionKind::gvk(group, version, kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, &plural);
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
    async fn sync(&self) {
        let source = json!({ "spec": { "interval": "1h", "url": self.repository.url(),
            "ref": { "branch": "main" } } });
        self.apply(SOURCE, "GitRepository", "myapp-repo", source)
            .await;
        let kustomization = json!({ "spec": { "interval": "1h", "prune": true, "path": "./deploy",
            "targetNamespace": self.namespace.name(), "driftDetection": { "mode": "enabled" },
            "sourceRef": { "kind": "GitRepository", "name": "myapp-repo" } } });
        self.apply(KUSTOMIZE, "Kustomization", "myapp-prod", kustomization)
            .await;
        let commit = self.repository.id_of("main").unwrap();
        self.applied(&commit).await;
    }

    /// Waits until a commit is applied.
    async fn applied(&self, commit: &str) {
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
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn deployments(&self) -> Api<Deployment> {
        Api::namespaced(self.client.clone(), self.namespace.name())
    }

    /// Waits until a message about this many replicas is there. Returns it, or nothing after a time.
    async fn told_of(&self, replicas: u32, within: Duration) -> Option<Value> {
        let began = Instant::now();
        let wanted = format!("/spec/replicas: {replicas} instead of 3");
        while began.elapsed() < within {
            let bodies = self.slack.requests().into_iter().map(|r| r.json::<Value>());
            let found = bodies.filter_map(Result::ok).find(|body| {
                let text = body["attachments"][0]["text"].as_str();
                text.is_some_and(|text| text.contains(&wanted))
            });
            if found.is_some() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        None
    }
}

const SOURCE: &str = "source.toolkit.fluxcd.io/v1";
const KUSTOMIZE: &str = "kustomize.toolkit.fluxcd.io/v1";
const NOTIFICATION: &str = "notification.toolkit.fluxcd.io/v1";

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

#[tokio::test]
async fn hand_edit_is_told_in_slack_with_its_fields_within_three_seconds() {
    let world = World::new().await;
    let address = format!("{}/services/T0/B0/x", world.slack.url());
    let provider = json!({ "spec": { "type": "slack", "address": address } });
    world
        .apply(
            &format!("{NOTIFICATION}beta3"),
            "Provider",
            "slack",
            provider,
        )
        .await;
    let alert = sample_alert();
    let params = PatchParams::apply("test").force();
    world
        .api(&format!("{NOTIFICATION}beta1"), "Alert")
        .patch("drift-alert", &params, &Patch::Apply(alert))
        .await
        .unwrap();
    world.sync().await;
    let edited = PatchParams {
        field_manager: Some("kubectl-edit".to_owned()),
        ..PatchParams::default()
    };
    for attempt in 0.. {
        assert!(attempt < ATTEMPTS, "never told within {PROMISED:?}");
        let replicas = 5 + attempt;
        let edit = json!({ "spec": { "replicas": replicas } });
        let began = Instant::now();
        world
            .deployments()
            .patch("web", &edited, &Patch::Merge(edit))
            .await
            .unwrap();
        let Some(body) = world.told_of(replicas, PROMISED).await else {
            continue;
        };
        report("hand edit to message", began.elapsed());
        let attachment = &body["attachments"][0];
        assert_eq!(attachment["color"], "danger");
        let text = attachment["text"].as_str().unwrap();
        assert!(text.starts_with("Drift detected in myapp-prod\n"), "{text}");
        assert!(text.contains("Deployment"), "{text}");
        assert!(text.contains("by kubectl-edit"), "{text}");
        break;
    }
    let began = Instant::now();
    loop {
        let live = world.deployments().get("web").await.unwrap();
        if live.spec.unwrap().replicas == Some(3) {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "the edit is not taken back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn push_is_applied_within_three_seconds_by_its_hook() {
    let world = World::new().await;
    world.sync().await;
    let token = json!({ "stringData": { "token": "s3cret-hook" } });
    world.apply("v1", "Secret", "token", token).await;
    let receiver = json!({ "spec": { "type": "gitlab", "events": ["Push Hook"],
        "secretRef": { "name": "token" },
        "resources": [{ "kind": "GitRepository", "name": "myapp-repo" }] } });
    world
        .apply(NOTIFICATION, "Receiver", "push", receiver)
        .await;
    let api = world.api(NOTIFICATION, "Receiver");
    let began = Instant::now();
    let path = loop {
        let receiver = api.get("push").await.unwrap();
        if let Some(path) = receiver.data["status"]["webhookPath"].as_str() {
            break path.to_owned();
        }
        assert!(began.elapsed() < PATIENCE, "the receiver is not ready");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    // The server calls the receiver after each push, as a forge does.
    let hooks = world.notification.address("--receiverAddr").unwrap();
    let script = format!(
        "#!/bin/sh\nexec curl -sf --retry 3 --retry-all-errors -H 'X-Gitlab-Token: s3cret-hook' \
         -H 'X-Gitlab-Event: Push Hook' -d '{{\"object_kind\":\"push\",\"ref\":\"refs/heads/main\"}}' \
         'http://{hooks}{path}' >&2\n"
    );
    let hook = world.repository.path().join("hooks/post-receive");
    std::fs::write(&hook, script).unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(["-c", "user.name=dev", "-c", "user.email=dev@example.com"])
            .args(arguments)
            .current_dir(folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
        said
    };
    git(&["clone", "-q", world.repository.url(), "."]);
    for attempt in 0.. {
        assert!(attempt < ATTEMPTS, "never applied within {PROMISED:?}");
        let replicas = format!("replicas: {}", 10 + attempt);
        let text = DEPLOYMENT.replace("replicas: 3", &replicas);
        std::fs::write(folder.path().join("deploy/web.yaml"), text).unwrap();
        git(&["commit", "-qam", "scale"]);
        let began = Instant::now();
        git(&["push", "-q", "origin", "HEAD:main"]);
        let commit = world.repository.id_of("main").unwrap();
        world.applied(&commit).await;
        let took = began.elapsed();
        if took <= PROMISED {
            report("git push to applied", took);
            break;
        }
    }
}

#[expect(clippy::print_stdout, reason = "a figure for those who look")]
fn report(what: &str, took: Duration) {
    println!("{what}: {} ms", took.as_millis());
}
