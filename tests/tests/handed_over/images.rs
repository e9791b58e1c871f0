//! Image objects as image-reflector-controller 1.2.0 and image-automation-controller 1.2.1 left them.

use kube::api::DynamicObject;
use serde_json::{Value, json};
use testkit::{GitServer, PushedArtifact, Registry, RegistryOptions, Repository};

use super::{Id, World, repository};

pub(super) const NAMESPACE: &str = "s-image-scan-and-policies";
pub(super) const IDS: [Id<'static>; 6] = [
    ("ImageRepository", NAMESPACE, "app"),
    ("ImagePolicy", NAMESPACE, "semver"),
    ("ImagePolicy", NAMESPACE, "prerelease"),
    ("ImagePolicy", NAMESPACE, "alphabetical"),
    ("ImagePolicy", NAMESPACE, "numerical"),
    ("ImageUpdateAutomation", NAMESPACE, "fleet"),
];
const TAGS: [&str; 10] = [
    "1.0.0",
    "1.1.0",
    "1.2.0-rc1",
    "v0.9.0",
    "2.0.0",
    "latest",
    "main-abc1234-1700000001",
    "main-def5678-1700000000",
    "100",
    "sha.sig",
];

pub(super) struct Left {
    registry: Registry,
    repository: Repository,
    head: String,
    _git: GitServer,
}

/// A recording, of the registry at this address.
fn recorded(kind: &str, namespace: &str, name: &str, address: &str) -> Value {
    let file = repository().join("api/tests/recorded/scenarios.jsonl");
    let text = std::fs::read_to_string(file).unwrap();
    let is = |object: &Value| {
        let metadata = &object["metadata"];
        object["kind"] == kind && metadata["namespace"] == namespace && metadata["name"] == name
    };
    let objects = text.lines().map(|line| line.replace("<addr>", address));
    let mut objects = objects.map(|line| serde_json::from_str::<Value>(&line).unwrap());
    objects.find(is).unwrap()
}

impl Left {
    pub(super) async fn leave(world: &World) -> Self {
        let registry = Registry::start(&RegistryOptions::default()).unwrap();
        let address = registry.address();
        for tag in TAGS {
            let image = format!("{NAMESPACE}/app");
            registry
                .push(&image, tag, &PushedArtifact::default())
                .unwrap();
        }
        let git = GitServer::start().unwrap();
        let fleet = git.repository("fleet").unwrap();
        let text = format!(
            "image: {address}/{NAMESPACE}/app:1.1.0 # {{\"$imagepolicy\": \"{NAMESPACE}:semver\"}}\n"
        );
        let head = fleet
            .commit_files("main", "Update", [("apps/app.yaml", &*text)])
            .unwrap();
        let source = json!({ "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": { "name": "fleet", "namespace": NAMESPACE },
            "spec": { "interval": "10m", "url": fleet.url(), "ref": { "branch": "main" } } });
        world.apply("user", &source).await;
        let mut automation = recorded(
            "ImageUpdateAutomation",
            "s-image-update-setters",
            "fleet",
            address,
        );
        let mut chosen = json!({});
        for (kind, namespace, name) in &IDS[..5] {
            let object = recorded(kind, namespace, name, address);
            if *kind == "ImagePolicy" {
                chosen[name] = object["status"]["latestRef"].clone();
            }
            world
                .leave("user", "image-reflector-controller", &object)
                .await;
        }
        automation["metadata"]["namespace"] = NAMESPACE.into();
        let status = &mut automation["status"];
        status["observedPolicies"] = chosen;
        status["lastPushCommit"] = head.clone().into();
        status["observedSourceRevision"] = format!("main@sha1:{head}").into();
        world
            .leave("user", "image-automation-controller", &automation)
            .await;
        Self {
            registry,
            repository: fleet,
            head,
            _git: git,
        }
    }

    pub(super) fn is_untouched(&self) {
        assert_eq!(
            self.repository.id_of("main").unwrap(),
            self.head,
            "nothing was committed"
        );
    }

    /// Has a tag found, chosen and committed.
    pub(super) async fn push(&self, world: &World) {
        let image = format!("{NAMESPACE}/app");
        self.registry
            .push(&image, "1.3.0", &PushedArtifact::default())
            .unwrap();
        world.ask(IDS[0]).await;
        let committed = |object: &DynamicObject| {
            let status = &object.data["status"];
            status["observedPolicies"]["semver"]["tag"] == "1.3.0"
                && status["lastPushCommit"] == self.repository.id_of("main").unwrap()
        };
        world
            .until(IDS[5], "the new tag is committed", committed)
            .await;
        let text = self.repository.read("main", "apps/app.yaml").unwrap();
        assert!(text.contains("app:1.3.0 #"), "{text}");
    }

    /// Every field says what upstream's would.
    pub(super) async fn is_as_upstream_leaves_it(&self, world: &World) {
        let address = self.registry.address();
        let reference =
            |tag: &str| json!({ "name": format!("{address}/{NAMESPACE}/app"), "tag": tag });
        let scanned = world.get(IDS[0]).await.data["status"].clone();
        // The Adler-32 of the tags, as without FluxStorage.
        assert_eq!(scanned["lastScanResult"]["tagCount"], 10);
        assert!(
            scanned["lastScanResult"]["revision"]
                .as_str()
                .unwrap()
                .parse::<u32>()
                .is_ok()
        );
        let policy = world.get(IDS[1]).await.data["status"].clone();
        assert_eq!(policy["latestRef"], reference("1.3.0"));
        assert_eq!(policy["observedPreviousRef"], reference("1.1.0"));
        let kept = world.get(IDS[4]).await.data["status"].clone();
        assert_eq!(kept["latestRef"], reference("main-abc1234-1700000001"));
        assert_eq!(kept["observedPreviousRef"], Value::Null);
        let automation = world.get(IDS[5]).await.data["status"].clone();
        assert_eq!(automation["observedPolicies"]["semver"], reference("1.3.0"));
        assert_eq!(
            automation["observedPolicies"]["alphabetical"],
            reference("v0.9.0")
        );
        assert_eq!(
            automation["observedSourceRevision"],
            format!("main@sha1:{}", self.repository.id_of("main").unwrap())
        );
    }
}
