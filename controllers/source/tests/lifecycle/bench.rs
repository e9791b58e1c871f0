//! One controller over one namespace, a Git server, and what tests ask of them.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::meta::{Artifact, Condition, LocalReference};
use api::source::{GitReference, GitRepository, GitRepositorySpec};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::{Event, Secret};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use testkit::{ControlPlane, GitServer, Namespace, Program, Repository};

const PATIENCE: Duration = Duration::from_secs(40);
const PAUSE: Duration = Duration::from_millis(20);

pub(crate) struct Bench {
    pub(crate) client: Client,
    pub(crate) namespace: Namespace,
    pub(crate) server: GitServer,
    pub(crate) controller: Arc<Program>,
    pub(crate) storage: tempfile::TempDir,
    pub(crate) scratch: tempfile::TempDir,
}

fn as_bytes<'a>(pairs: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a [u8])> {
    let pairs = pairs.iter().map(|(key, value)| (*key, value.as_bytes()));
    pairs.collect()
}

impl Bench {
    pub(crate) async fn start(plane: &ControlPlane) -> Self {
        Self::start_with(plane, GitServer::start().unwrap()).await
    }

    /// Starts with the empty repository `app`.
    pub(crate) async fn with_repository() -> (Self, Repository) {
        let bench = Self::start(testkit::control_plane().await).await;
        let repository = bench.server.repository("app").unwrap();
        (bench, repository)
    }

    /// Starts with the repository `app`, whose branch `main` has a commit with the file `a`. Returns also the id of the
    /// commit.
    pub(crate) async fn with_commit() -> (Self, Repository, String) {
        let (bench, repository) = Self::with_repository().await;
        let commit = repository.commit("main", "first").write("a", "1");
        let id = commit.push().unwrap();
        (bench, repository, id)
    }

    pub(crate) async fn start_with(plane: &ControlPlane, server: GitServer) -> Self {
        Self::start_on(plane, server, &plane.kubeconfig_path()).await
    }

    /// Starts a controller that `set` has had its way with.
    pub(crate) async fn start_as(
        plane: &ControlPlane,
        set: impl FnOnce(Program) -> Program,
    ) -> Self {
        let server = GitServer::start().unwrap();
        Self::launch(plane, server, &plane.kubeconfig_path(), set).await
    }

    pub(crate) async fn start_on(
        plane: &ControlPlane,
        server: GitServer,
        kubeconfig: &Path,
    ) -> Self {
        Self::launch(plane, server, kubeconfig, |program| program).await
    }

    async fn launch(
        plane: &ControlPlane,
        server: GitServer,
        kubeconfig: &Path,
        set: impl FnOnce(Program) -> Program,
    ) -> Self {
        let client = plane.client();
        let definitions = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/crd/bases");
        testkit::install_definitions(&client, &definitions)
            .await
            .unwrap();
        let namespace = plane.namespace("source").await;
        let (storage, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let program = Program::against(env!("CARGO_BIN_EXE_source-controller"), kubeconfig)
            .unwrap()
            .flag("--watch-all-namespaces", "false")
            .flag("--storage-path", &storage.path().to_string_lossy())
            .listens(&["--storage-addr", "--storage-adv-addr"])
            .flag("--log-level", "debug")
            .env("RUNTIME_NAMESPACE", namespace.name())
            .env("TMPDIR", &scratch.path().to_string_lossy());
        let controller = set(program).start().await.unwrap();
        Self {
            client,
            namespace,
            server,
            controller: Arc::new(controller),
            storage,
            scratch,
        }
    }

    pub(crate) fn objects(&self) -> Api<GitRepository> {
        Api::namespaced(self.client.clone(), self.namespace.name())
    }

    pub(crate) async fn create(&self, name: &str, spec: GitRepositorySpec) {
        let object = GitRepository::new(name, spec);
        self.objects()
            .create(&PostParams::default(), &object)
            .await
            .unwrap();
    }

    pub(crate) async fn secret(&self, name: &str, pairs: &[(&str, &str)]) {
        self.secret_of("Opaque", name, &as_bytes(pairs)).await;
    }

    /// Writes a Secret whose values need not be text.
    pub(crate) async fn secret_of_bytes(&self, name: &str, pairs: &[(&str, &[u8])]) {
        self.secret_of("Opaque", name, pairs).await;
    }

    /// Writes a Secret with logins for registries.
    pub(crate) async fn docker_secret(&self, name: &str, config: &str) {
        let pairs = [(".dockerconfigjson", config)];
        self.secret_of("kubernetes.io/dockerconfigjson", name, &as_bytes(&pairs))
            .await;
    }

    async fn secret_of(&self, kind: &str, name: &str, pairs: &[(&str, &[u8])]) {
        let data: serde_json::Map<_, _> = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), json!(STANDARD.encode(value))))
            .collect();
        let secret: Secret = serde_json::from_value(
            json!({ "metadata": { "name": name }, "type": kind, "data": data }),
        )
        .unwrap();
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), self.namespace.name());
        let params = PostParams::default();
        match secrets.create(&params, &secret).await {
            Err(kube::Error::Api(status)) if status.code == 409 => {
                secrets.replace(name, &params, &secret).await.unwrap();
            }
            created => drop(created.unwrap()),
        }
    }

    pub(crate) async fn patch(&self, name: &str, patch: serde_json::Value) {
        let params = PatchParams::default();
        self.objects()
            .patch(name, &params, &Patch::Merge(patch))
            .await
            .unwrap();
    }

    /// Asks for a run and waits until it was answered.
    pub(crate) async fn reconcile(&self, name: &str) -> GitRepository {
        let token = Instant::now().elapsed().as_nanos().to_string()
            + &std::time::UNIX_EPOCH
                .elapsed()
                .unwrap()
                .as_nanos()
                .to_string();
        let annotations = json!({ "reconcile.fluxcd.io/requestedAt": token });
        self.patch(name, json!({ "metadata": { "annotations": annotations } }))
            .await;
        self.wait(name, "the request to be handled", |object| {
            let status = object.status.as_ref();
            status.and_then(|status| status.last_handled_reconcile_at.as_ref()) == Some(&token)
        })
        .await
    }

    pub(crate) async fn wait(
        &self,
        name: &str,
        what: &str,
        holds: impl Fn(&GitRepository) -> bool,
    ) -> GitRepository {
        let deadline = Instant::now() + PATIENCE;
        let mut last = None;
        loop {
            if let Ok(object) = self.objects().get(name).await {
                if holds(&object) {
                    return object;
                }
                last = Some(object);
            }
            assert!(
                Instant::now() < deadline,
                "no {what}: {last:#?}\n{}",
                self.controller.log().unwrap_or_default()
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until the object is ready with this revision.
    pub(crate) async fn ready(&self, name: &str, revision: &str) -> Artifact {
        let object = self
            .wait(name, revision, |object| {
                let generation = object.metadata.generation;
                let status = object.status.as_ref();
                artifact(object).is_some_and(|artifact| artifact.revision == revision)
                    && condition(object, "Ready").is_some_and(|ready| ready.status == "True")
                    && status.and_then(|status| status.observed_generation) == generation
            })
            .await;
        artifact(&object).unwrap().clone()
    }

    /// Waits until the object is not ready for this reason, and returns its message.
    pub(crate) async fn fails(&self, name: &str, reason: &str) -> String {
        let object = self
            .wait(name, reason, |object| {
                condition(object, "Ready")
                    .is_some_and(|ready| ready.status == "False" && ready.reason == reason)
            })
            .await;
        condition(&object, "Ready").unwrap().message.clone()
    }

    /// Returns the events of an object as `<type> <reason> <message>`.
    pub(crate) async fn events(&self, name: &str) -> Vec<String> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), self.namespace.name());
        let all = events
            .list(&kube::api::ListParams::default())
            .await
            .unwrap();
        let of = |event: &Event| event.involved_object.name.as_deref() == Some(name);
        let shown = all.items.into_iter().filter(of).map(|event| {
            let text = |text: Option<String>| text.unwrap_or_default();
            format!(
                "{} {} {}",
                text(event.type_),
                text(event.reason),
                text(event.message)
            )
        });
        shown.collect()
    }

    /// Waits until there is an event that holds `text`.
    pub(crate) async fn event(&self, name: &str, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let events = self.events(name).await;
            if events.iter().any(|event| event.contains(text)) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "no event {text:?} among {events:#?}"
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Downloads an artifact as a consumer does, its digest checked, and returns its files.
    pub(crate) async fn files(&self, artifact: &Artifact) -> Vec<String> {
        let clients = net_http::Clients::new("test", net_http::Environment::default());
        let client = clients.get(&net_http::ClientConfig::default()).unwrap();
        let cache = artifact::ArtifactCache::new(client, artifact::fetch::FetchConfig::default());
        let tree = cache.get(&artifact.url, &artifact.digest).await.unwrap();
        tree.files().map(str::to_owned).collect()
    }

    /// Returns the names in the object's folder of the storage.
    pub(crate) fn stored(&self, name: &str) -> Vec<String> {
        let folder = self
            .storage
            .path()
            .join("gitrepository")
            .join(self.namespace.name());
        let Ok(entries) = folder.join(name).read_dir() else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

pub(crate) fn artifact(object: &GitRepository) -> Option<&Artifact> {
    object.status.as_ref()?.artifact.as_ref()
}

pub(crate) fn condition<'a>(object: &'a GitRepository, type_: &str) -> Option<&'a Condition> {
    object
        .status
        .as_ref()?
        .conditions
        .iter()
        .find(|each| each.type_ == type_)
}

/// A spec that follows the branch `main`.
pub(crate) fn spec(url: &str) -> GitRepositorySpec {
    GitRepositorySpec {
        url: url.to_owned(),
        interval: "10m".parse().unwrap(),
        reference: Some(GitReference {
            branch: Some("main".to_owned()),
            ..GitReference::default()
        }),
        ..GitRepositorySpec::default()
    }
}

pub(crate) fn with_secret(url: &str, name: &str) -> GitRepositorySpec {
    GitRepositorySpec {
        secret_ref: Some(LocalReference {
            name: name.to_owned(),
        }),
        ..spec(url)
    }
}
