//! A release of podinfo as helm-controller 1.6.3 left it.

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use testkit::ArtifactServer;

use super::{Id, SYSTEM, World, managers, repository};

/// The namespace of what is released.
pub(super) const TARGET: &str = "podinfo-h";
pub(super) const IDS: [Id<'static>; 2] = [
    ("HelmRelease", SYSTEM, "podinfo"),
    ("HelmChart", SYSTEM, "flux-system-podinfo"),
];

pub(super) struct Left {
    /// Kind and name of what is live, and what it was: UID, generation, who wrote it, version.
    live: Vec<(String, String, Facts)>,
    record: Value,
    _artifacts: ArtifactServer,
}

#[derive(Debug, PartialEq)]
struct Facts {
    uid: Option<String>,
    generation: Option<i64>,
    applied_by: Vec<String>,
    /// Of what has no status that others write.
    version: Option<String>,
}

fn recorded(path: &str) -> Value {
    let text = std::fs::read_to_string(repository().join(path)).unwrap();
    serde_json::from_str(&text).unwrap()
}

async fn facts(world: &World, kind: &str, name: &str) -> Facts {
    let object = world.get((kind, TARGET, name)).await;
    let mut applied_by = managers(&object);
    applied_by.retain(|manager| manager.contains("Apply"));
    Facts {
        uid: object.uid(),
        generation: object.metadata.generation,
        applied_by,
        version: object.resource_version().filter(|_| kind != "Deployment"),
    }
}

impl Left {
    pub(super) async fn leave(world: &World) -> Self {
        let release = recorded("api/tests/recorded/helmrelease.json");
        let record = recorded("controllers/helm/tests/golden/upstream-release.json");
        assert_eq!(
            release["status"]["history"], record["status"]["history"],
            "one and the same release"
        );
        let mut secret = json!({ "apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1",
            "metadata": record["secret"]["metadata"], "data": record["secret"]["data"] });
        secret["metadata"]["namespace"] = SYSTEM.into();
        world.apply("helm-controller", &secret).await;
        let manifest = stored(world).await[0].manifest.clone();
        let live = make_live(world, &manifest).await;

        let artifacts = ArtifactServer::start().unwrap();
        let templates = manifest.replace("replicas: 2", "replicas: {{ .Values.replicaCount }}");
        assert_ne!(templates, manifest);
        let files = [
            (
                "podinfo/Chart.yaml",
                "apiVersion: v1\nname: podinfo\nversion: 6.14.1\nappVersion: 6.14.1\n",
            ),
            ("podinfo/values.yaml", "replicaCount: 1\n"),
            ("podinfo/templates/all.yaml", &*templates),
        ];
        let packed = artifacts.put("podinfo-6.14.1.tgz", testkit::archive(&files).unwrap());
        let mut chart = recorded("api/tests/recorded/helmchart.json");
        let artifact = &mut chart["status"]["artifact"];
        artifact["url"] = packed.url.into();
        artifact["digest"] = packed.digest.into();
        artifact["size"] = packed.size.into();
        world
            .leave("helm-controller", "source-controller", &chart)
            .await;
        world.leave("user", "helm-controller", &release).await;
        Self {
            live,
            record: secret,
            _artifacts: artifacts,
        }
    }

    pub(super) async fn is_untouched(&self, world: &World) {
        for (kind, name, was) in &self.live {
            assert_eq!(&facts(world, kind, name).await, was, "{kind} {name}");
        }
        let records = secrets(world).await;
        assert_eq!(records.len(), 1, "nothing was released");
        assert_eq!(
            json!(records[0].labels()),
            self.record["metadata"]["labels"]
        );
    }

    /// Releases another revision.
    pub(super) async fn upgrade(&self, world: &World) {
        let patch = json!({ "spec": { "values": { "replicaCount": 3 }, "upgrade": { "disableWait": true } } });
        world
            .api("HelmRelease", SYSTEM)
            .patch("podinfo", &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap();
        let upgraded = |o: &kube::api::DynamicObject| {
            let status = &o.data["status"];
            let latest = &status["history"][0];
            latest["version"] == 2
                && latest["status"] == "deployed"
                && status["conditions"][0]["status"] == "True"
                && status["observedGeneration"] == 2
        };
        world
            .until(IDS[0], "revision 2 is deployed", upgraded)
            .await;
    }

    /// Everything is where upstream looks for it.
    pub(super) async fn is_as_upstream_leaves_it(&self, world: &World) {
        for (kind, name, was) in &self.live {
            let now = facts(world, kind, name).await;
            let more = i64::from(kind == "Deployment");
            let wanted = Facts {
                uid: was.uid.clone(),
                generation: was.generation.map(|number| number + more),
                applied_by: was.applied_by.clone(),
                version: was.version.clone(),
            };
            assert_eq!(now, wanted, "{kind} {name} is the one that upstream made");
        }
        let records = stored(world).await;
        let statuses: Vec<_> = records
            .iter()
            .map(|r| (r.version, r.status.as_str()))
            .collect();
        assert_eq!(statuses, [(1, "superseded"), (2, "deployed")]);
        let keys = |labels: &std::collections::BTreeMap<String, String>| {
            labels.keys().cloned().collect::<Vec<_>>()
        };
        let wanted = serde_json::from_value(self.record["metadata"]["labels"].clone()).unwrap();
        for secret in secrets(world).await {
            assert_eq!(keys(secret.labels()), keys(&wanted));
            assert_eq!(secret.type_.as_deref(), Some("helm.sh/release.v1"));
        }
        let status = world.get(IDS[0]).await.data["status"].clone();
        let past = recorded("api/tests/recorded/helmrelease.json")["status"]["history"][0].clone();
        let fields = |entry: &Value| {
            entry
                .as_object()
                .unwrap()
                .keys()
                .cloned()
                .collect::<Vec<_>>()
        };
        assert_eq!(fields(&status["history"][0]), fields(&past));
        // The digest is one of the record, which says that it is superseded; what was done is told of the last one alone.
        let mut first = status["history"][1].clone();
        assert_eq!(first["status"], "superseded");
        for field in ["action", "digest", "status"] {
            first[field] = past[field].clone();
        }
        assert_eq!(first, past);
        assert_eq!(status["helmChart"], "flux-system/flux-system-podinfo");
        assert_eq!(status["lastAttemptedReleaseAction"], "upgrade");
    }
}

/// Makes what a manifest says, as helm-controller does.
async fn make_live(world: &World, manifest: &str) -> Vec<(String, String, Facts)> {
    let limits = yaml::Limits::default();
    let mut made = Vec::new();
    for node in yaml::parse(manifest.as_bytes(), "manifest", yaml::Schema::Core, &limits).unwrap() {
        let mut object = yaml::to_json(&node).unwrap();
        if object.is_null() {
            continue;
        }
        object["metadata"]["namespace"] = TARGET.into();
        object["metadata"]["annotations"] = json!({
            "meta.helm.sh/release-name": "podinfo-h-podinfo", "meta.helm.sh/release-namespace": TARGET });
        world.apply("helm-controller", &object).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (kind, name) = (text(&object["kind"]), text(&object["metadata"]["name"]));
        let facts = facts(world, &kind, &name).await;
        made.push((kind, name, facts));
    }
    assert_eq!(made.len(), 2, "a Service and a Deployment");
    made
}

async fn secrets(world: &World) -> Vec<Secret> {
    let api = Api::<Secret>::namespaced(world.plane.client(), SYSTEM);
    let of_helm = ListParams::default().labels("owner=helm");
    api.list(&of_helm).await.unwrap().items
}

/// The records, oldest first.
async fn stored(world: &World) -> Vec<helm::release::Record> {
    let decode =
        |secret: Secret| helm::release::Record::decode(&secret.data.unwrap()["release"].0).unwrap();
    let mut all: Vec<_> = secrets(world).await.into_iter().map(decode).collect();
    all.sort_by_key(|record| record.version);
    all
}
