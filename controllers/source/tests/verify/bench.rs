//! One controller, one registry, and images signed by cosign and notation.

use std::path::Path;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client};
use serde_json::{Value, json};
use testkit::registry::MANIFEST;
use testkit::{Namespace, Program, PushedArtifact, Registry, RegistryOptions};

const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(50);
pub(crate) const CONFIG_TYPE: &str = "application/vnd.cncf.notary.signature";

pub(crate) fn golden(name: &str) -> Vec<u8> {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../crates/net/signature/tests/golden"
    );
    std::fs::read(format!("{folder}/{name}")).unwrap()
}

pub(crate) struct Bench {
    pub(crate) registry: Registry,
    client: Client,
    namespace: Namespace,
    program: Program,
    _storage: tempfile::TempDir,
}

impl Bench {
    pub(crate) async fn start() -> Self {
        let plane = testkit::control_plane().await;
        let client = plane.client();
        let definitions = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/crd/bases");
        let installed = testkit::install_definitions(&client, &definitions).await;
        installed.unwrap();
        let namespace = plane.namespace("verify").await;
        let storage = tempfile::tempdir().unwrap();
        let program = Program::against(
            env!("CARGO_BIN_EXE_source-controller"),
            &plane.kubeconfig_path(),
        );
        let program = program
            .unwrap()
            .flag("--watch-all-namespaces", "false")
            .flag("--storage-path", &storage.path().to_string_lossy())
            .listens(&["--storage-addr", "--storage-adv-addr"])
            .env("RUNTIME_NAMESPACE", namespace.name())
            .start()
            .await
            .unwrap();
        Self {
            registry: Registry::start(&RegistryOptions::default()).unwrap(),
            client,
            namespace,
            program,
            _storage: storage,
        }
    }

    pub(crate) fn namespace(&self) -> &str {
        self.namespace.name()
    }

    /// Puts the image that is signed into a repository and returns its digest.
    pub(crate) fn push(&self, repository: &str) -> String {
        for blob in ["layer.tgz", "config.json"] {
            let content = golden(&format!("cosign/{blob}"));
            self.registry.push_blob(repository, &content).unwrap();
        }
        let manifest = golden("cosign/manifest.json");
        let pushed = self
            .registry
            .push_manifest(repository, "1.0.0", MANIFEST, &manifest);
        pushed.unwrap()
    }

    /// Puts signatures of the older form beside the image.
    pub(crate) fn sign_classic(&self, repository: &str, digest: &str, files: &[&str]) {
        let mut layers = Vec::new();
        for file in files {
            let signed: Value = serde_json::from_slice(&golden(file)).unwrap();
            let payload = signed["payload"].as_str().unwrap().as_bytes();
            layers.push(json!({
                "mediaType": "application/vnd.dev.cosign.simplesigning.v1+json",
                "digest": self.registry.push_blob(repository, payload).unwrap(),
                "size": payload.len(),
                "annotations": signed["annotations"],
            }));
        }
        let config = self.registry.push_blob(repository, b"{}").unwrap();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2},
            "layers": layers,
        });
        let tag = format!("{}.sig", digest.replace(':', "-"));
        let manifest = manifest.to_string();
        let pushed = self
            .registry
            .push_manifest(repository, &tag, MANIFEST, manifest.as_bytes());
        pushed.unwrap();
    }

    /// Puts something that refers to the image beside it.
    pub(crate) fn refer(
        &self,
        repository: &str,
        digest: &str,
        (config_type, artifact_type): (&str, Option<&str>),
        (layer_type, content): (&str, Vec<u8>),
    ) {
        let size = golden("cosign/manifest.json").len();
        let artifact = PushedArtifact {
            config_type: config_type.to_owned(),
            artifact_type: artifact_type.map(str::to_owned),
            layers: vec![(layer_type.to_owned(), content)],
            subject: Some((digest.to_owned(), size)),
            ..PushedArtifact::default()
        };
        self.registry.push(repository, "", &artifact).unwrap();
    }

    pub(crate) fn sign_bundle(&self, repository: &str, digest: &str, content: Vec<u8>) {
        let kind = "application/vnd.dev.sigstore.bundle.v0.3+json";
        self.refer(repository, digest, ("", Some(kind)), (kind, content));
    }

    pub(crate) fn sign_notation(&self, repository: &str, digest: &str, file: &str) {
        let kind = if file.contains(".jws") {
            "application/jose+json"
        } else {
            "application/cose"
        };
        let content = golden(&format!("notation/{file}"));
        self.refer(repository, digest, (CONFIG_TYPE, None), (kind, content));
    }

    /// Writes a Secret of golden files and texts.
    pub(crate) async fn secret(&self, name: &str, pairs: &[(&str, Vec<u8>)]) {
        let text = |value: &Vec<u8>| String::from_utf8(value.clone()).unwrap();
        let data: serde_json::Map<_, _> = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), json!(text(value))))
            .collect();
        let secret: Secret =
            serde_json::from_value(json!({"metadata": {"name": name}, "stringData": data}))
                .unwrap();
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), self.namespace());
        let params = PostParams::default();
        match secrets.create(&params, &secret).await {
            Err(kube::Error::Api(status)) if status.code == 409 => {
                secrets.replace(name, &params, &secret).await.unwrap();
            }
            created => drop(created.unwrap()),
        }
    }

    fn objects(&self, kind: &str) -> Api<DynamicObject> {
        let gvk = GroupVersionKind::gvk("source.toolkit.fluxcd.io", "v1", kind);
        let resource = ApiResource::from_gvk(&gvk);
        Api::namespaced_with(self.client.clone(), self.namespace(), &resource)
    }

    pub(crate) async fn create(&self, kind: &str, name: &str, spec: Value) {
        let object = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": kind,
            "metadata": {"name": name},
            "spec": spec,
        });
        let object = serde_json::from_value(object).unwrap();
        let (objects, params) = (self.objects(kind), PostParams::default());
        objects.create(&params, &object).await.unwrap();
    }

    /// Follows the image of a repository, if it is signed as `verify` says.
    pub(crate) async fn follow(&self, name: &str, repository: &str, verify: Value) {
        let spec = json!({
            "url": format!("oci://{}/{repository}", self.registry.address()),
            "interval": "10m",
            "insecure": true,
            "ref": {"tag": "1.0.0"},
            "verify": verify,
        });
        self.create("OCIRepository", name, spec).await;
    }

    pub(crate) async fn patch(&self, kind: &str, name: &str, patch: Value) {
        let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
        let objects = self.objects(kind);
        objects.patch(name, &params, &patch).await.unwrap();
    }

    /// Asks for a run.
    pub(crate) async fn ask(&self, kind: &str, name: &str, token: &str) {
        let annotations = json!({"reconcile.fluxcd.io/requestedAt": token});
        let patch = json!({"metadata": {"annotations": annotations}});
        self.patch(kind, name, patch).await;
    }

    /// Waits for an object to be as it should, and returns it.
    pub(crate) async fn wait(
        &self,
        kind: &str,
        name: &str,
        holds: impl Fn(&Value) -> bool,
    ) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let object = self.objects(kind).get(name).await.unwrap();
            let object = serde_json::to_value(&object).unwrap();
            if holds(&object) {
                return object;
            }
            let log = || self.program.log().unwrap_or_default();
            assert!(Instant::now() < deadline, "{object:#}\n{}", log());
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until an object is ready and verified, and returns what is said of its signature.
    pub(crate) async fn verified(&self, kind: &str, name: &str) -> String {
        let object = self
            .wait(kind, name, |object| {
                status_of(object, "Ready") == "True"
                    && status_of(object, "SourceVerified") == "True"
            })
            .await;
        said(&object, "SourceVerified")
    }

    /// Waits until an object is refused for its signature, and returns why.
    pub(crate) async fn refused(&self, kind: &str, name: &str) -> String {
        let object = self
            .wait(kind, name, |object| {
                status_of(object, "Ready") == "False"
                    && status_of(object, "SourceVerified") == "False"
            })
            .await;
        let found = condition(&object, "SourceVerified").unwrap();
        assert_eq!(found["reason"], "VerificationError");
        said(&object, "SourceVerified")
    }
}

pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let all = object.pointer("/status/conditions")?.as_array()?;
    all.iter().find(|each| each["type"] == kind)
}

/// Returns the status of a condition of this generation; nothing where there is none.
pub(crate) fn status_of<'a>(object: &'a Value, kind: &str) -> &'a str {
    let generation = &object["metadata"]["generation"];
    let found = condition(object, kind).filter(|each| each["observedGeneration"] == *generation);
    found.map_or("", |found| found["status"].as_str().unwrap())
}

pub(crate) fn said(object: &Value, kind: &str) -> String {
    let found = condition(object, kind).unwrap();
    found["message"].as_str().unwrap().to_owned()
}
