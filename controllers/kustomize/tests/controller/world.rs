//! A namespace, a source whose artifacts the test publishes, and a controller.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use api::kustomize::Kustomization;
use k8s_openapi::api::core::v1::{ConfigMap, Event, ServiceAccount};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};
use testkit::{ArtifactServer, ControlPlane, HttpSink, Namespace, Program, PublishedArtifact};
use tokio::sync::OnceCell;

const PATIENCE: Duration = Duration::from_mins(2);
const PAUSE: Duration = Duration::from_millis(20);

/// Stands in for AWS before the controller that all tests share.
pub(crate) static CLOUD: LazyLock<HttpSink> = LazyLock::new(|| HttpSink::start().unwrap());

static SHARED: OnceCell<Program> = OnceCell::const_new();

/// Where the definitions of the repository lie.
pub(crate) fn definitions() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../config/crd/bases")
}

/// Describes a controller; it is not started yet.
pub(crate) fn controller(plane: &ControlPlane) -> Program {
    let binary = env!("CARGO_BIN_EXE_kustomize-controller");
    Program::new(binary, plane)
        .unwrap()
        .flag("--http-retry", "1")
        .flag("--requeue-dependency", "10m")
        .flag("--sops-age-secret", "global-age")
        .flag("--feature-gates", "ObjectLevelWorkloadIdentity=true")
        .env("AWS_ENDPOINT_URL_STS", &CLOUD.url())
        .env("AWS_ENDPOINT_URL_KMS", &CLOUD.url())
}

/// A namespace with a source `app` and a Kustomization `app`.
pub(crate) struct World {
    pub client: kube::Client,
    pub namespace: Namespace,
    pub artifacts: ArtifactServer,
    revision: std::sync::atomic::AtomicU32,
}

impl World {
    /// Starts with the controller that all tests share.
    pub(crate) async fn new() -> Self {
        let plane = testkit::control_plane().await;
        let start = || async {
            testkit::install_definitions(&plane.client(), &definitions())
                .await
                .unwrap();
            controller(plane).start().await.unwrap()
        };
        SHARED.get_or_init(start).await.still_runs().unwrap();
        Self::on(plane).await
    }

    /// Starts without a controller.
    pub(crate) async fn on(plane: &ControlPlane) -> Self {
        let namespace = plane.namespace("ks").await;
        Self {
            client: plane.client(),
            namespace,
            artifacts: ArtifactServer::start().unwrap(),
            revision: 0.into(),
        }
    }

    pub(crate) fn ns(&self) -> &str {
        self.namespace.name()
    }

    pub(crate) fn kustomizations(&self) -> Api<Kustomization> {
        Api::namespaced(self.client.clone(), self.ns())
    }

    pub(crate) fn config_maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), self.ns())
    }

    fn sources(&self) -> Api<DynamicObject> {
        let gvk = GroupVersionKind::gvk("source.toolkit.fluxcd.io", "v1", "GitRepository");
        let resource = ApiResource::from_gvk_with_plural(&gvk, "gitrepositories");
        Api::namespaced_with(self.client.clone(), self.ns(), &resource)
    }

    /// Publishes files as the next revision of source `app`. Returns the revision.
    pub(crate) async fn publish(&self, files: &[(&str, &str)]) -> String {
        let archive = testkit::archive(files).unwrap();
        self.publish_bytes(archive).await
    }

    /// Publishes an archive as the next revision of source `app`. Returns the revision.
    pub(crate) async fn publish_bytes(&self, archive: Vec<u8>) -> String {
        let number = self
            .revision
            .fetch_add(1, std::sync::atomic::Ordering::SeqCst)
            + 1;
        let revision = format!("main@sha1:{number:040}");
        let published = self.artifacts.put(&format!("{number}.tar.gz"), archive);
        self.announce(&revision, &published).await;
        revision
    }

    /// Says in the status of source `app` that there is an artifact.
    pub(crate) async fn announce(&self, revision: &str, artifact: &PublishedArtifact) {
        let source = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": { "name": "app" },
            "spec": { "interval": "10m", "url": "https://git.example/app.git" } });
        let params = PatchParams::apply("test").force();
        self.sources()
            .patch("app", &params, &Patch::Apply(source))
            .await
            .unwrap();
        let status = json!({ "status": { "artifact": {
            "url": artifact.url, "digest": artifact.digest, "revision": revision, "path": "x",
            "size": artifact.size, "lastUpdateTime": "2026-01-01T00:00:00Z" } } });
        let params = PatchParams::default();
        self.sources()
            .patch_status("app", &params, &Patch::Merge(status))
            .await
            .unwrap();
    }

    /// Applies Kustomization `app` with these fields over the usual ones.
    pub(crate) async fn apply(&self, spec: Value) {
        self.apply_named("app", spec).await;
    }

    pub(crate) async fn apply_named(&self, name: &str, spec: Value) {
        let mut full = json!({ "interval": "10m", "prune": true, "targetNamespace": self.ns(),
            "sourceRef": { "kind": "GitRepository", "name": "app" } });
        full.as_object_mut()
            .unwrap()
            .extend(spec.as_object().unwrap().clone());
        // Null leaves a usual field out.
        full.as_object_mut()
            .unwrap()
            .retain(|_, value| !value.is_null());
        let object = json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": { "name": name }, "spec": full });
        let params = PatchParams::apply("test").force();
        self.kustomizations()
            .patch(name, &params, &Patch::Apply(object))
            .await
            .unwrap();
    }

    /// Asks for a run and waits until it was answered.
    pub(crate) async fn request(&self, name: &str) {
        let token = format!("{:?}", Instant::now());
        let patch = json!({ "metadata": { "annotations": {
            "reconcile.fluxcd.io/requestedAt": token } } });
        let params = PatchParams::default();
        self.kustomizations()
            .patch(name, &params, &Patch::Merge(patch))
            .await
            .unwrap();
        self.until(name, "the request is answered", |k| {
            k.status
                .as_ref()
                .and_then(|s| s.last_handled_reconcile_at.as_deref())
                == Some(&token)
        })
        .await;
    }

    /// Waits until Kustomization `name` is as wanted.
    pub(crate) async fn until(
        &self,
        name: &str,
        what: &str,
        wanted: impl Fn(&Kustomization) -> bool,
    ) -> Kustomization {
        let started = Instant::now();
        loop {
            let now = self.kustomizations().get_opt(name).await.unwrap();
            if let Some(object) = &now
                && wanted(object)
            {
                return object.clone();
            }
            assert!(
                started.elapsed() < PATIENCE,
                "not reached: {what}; last seen: {now:#?}"
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until the Kustomization applied this revision.
    pub(crate) async fn applied(&self, name: &str, revision: &str) -> Kustomization {
        self.until(name, &format!("{revision} applied"), |k| {
            is(k, "Ready", "True", "ReconciliationSucceeded")
                && k.status
                    .as_ref()
                    .is_some_and(|s| s.last_applied_revision.as_deref() == Some(revision))
                && k.status.as_ref().and_then(|s| s.observed_generation) == k.metadata.generation
        })
        .await
    }

    /// Waits until Ready is False for this reason.
    pub(crate) async fn failed(&self, name: &str, reason: &str) -> Kustomization {
        self.until(name, &format!("failed with {reason}"), |k| {
            is(k, "Ready", "False", reason)
        })
        .await
    }

    /// Waits until a ConfigMap is as wanted; `None` is gone.
    pub(crate) async fn config_map(&self, name: &str, wanted: impl Fn(Option<&ConfigMap>) -> bool) {
        let started = Instant::now();
        loop {
            let now = self.config_maps().get_opt(name).await.unwrap();
            if wanted(now.as_ref()) {
                return;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "ConfigMap {name} is not as wanted: {now:#?}"
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until an event about a Kustomization with this reason has these words in it.
    pub(crate) async fn event(&self, reason: &str, words: &str) -> Event {
        let api = Api::<Event>::namespaced(self.client.clone(), self.ns());
        let started = Instant::now();
        loop {
            let events = api.list(&ListParams::default()).await.unwrap().items;
            let fits = |e: &&Event| {
                e.reason.as_deref() == Some(reason)
                    && e.message.as_deref().is_some_and(|m| m.contains(words))
            };
            if let Some(event) = events.iter().find(fits) {
                return event.clone();
            }
            let seen: Vec<_> = events.iter().map(|e| (&e.reason, &e.message)).collect();
            assert!(
                started.elapsed() < PATIENCE,
                "no event {reason} {words}: {seen:#?}"
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Makes a further namespace.
    pub(crate) async fn make_namespace(&self, name: &str) {
        let namespace =
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
        let api = Api::<k8s_openapi::api::core::v1::Namespace>::all(self.client.clone());
        let params = PatchParams::apply("test");
        api.patch(name, &params, &Patch::Apply(namespace))
            .await
            .unwrap();
    }

    fn accounts(&self) -> Api<ServiceAccount> {
        Api::namespaced(self.client.clone(), self.ns())
    }

    /// Makes a service account without rights.
    pub(crate) async fn account(&self, name: &str) {
        let account =
            json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": name } });
        let params = PatchParams::apply("test");
        self.accounts()
            .patch(name, &params, &Patch::Apply(account))
            .await
            .unwrap();
    }

    /// Lets a service account do everything in the namespace.
    pub(crate) async fn allow(&self, account: &str) {
        let binding = json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": { "name": account },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin" },
            "subjects": [{ "kind": "ServiceAccount", "name": account, "namespace": self.ns() }] });
        let api = Api::<RoleBinding>::namespaced(self.client.clone(), self.ns());
        let params = PatchParams::apply("test");
        api.patch(account, &params, &Patch::Apply(binding))
            .await
            .unwrap();
    }

    /// Takes back what [`World::allow`] gave.
    pub(crate) async fn disallow(&self, account: &str) {
        let api = Api::<RoleBinding>::namespaced(self.client.clone(), self.ns());
        let params = DeleteParams::default();
        api.delete(account, &params).await.unwrap();
    }

    /// Deletes a service account.
    pub(crate) async fn dismiss(&self, account: &str) {
        self.accounts()
            .delete(account, &DeleteParams::default())
            .await
            .unwrap();
    }

    /// Deletes a Kustomization and waits until it is gone.
    pub(crate) async fn delete(&self, name: &str) {
        self.kustomizations()
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
        self.gone(name).await;
    }

    /// Waits until a Kustomization is gone.
    pub(crate) async fn gone(&self, name: &str) {
        let started = Instant::now();
        while self.kustomizations().get_opt(name).await.unwrap().is_some() {
            assert!(
                started.elapsed() < PATIENCE,
                "Kustomization {name} is not gone"
            );
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Whether a condition has this status and reason.
pub(crate) fn is(object: &Kustomization, type_: &str, status: &str, reason: &str) -> bool {
    let conditions = api::Reconciled::conditions(object).iter();
    conditions
        .into_iter()
        .any(|c| c.type_ == type_ && c.status == status && c.reason == reason)
}

/// The message of a condition.
pub(crate) fn message<'a>(object: &'a Kustomization, type_: &str) -> &'a str {
    let mut conditions = api::Reconciled::conditions(object).iter();
    conditions
        .find(|c| c.type_ == type_)
        .map_or("", |c| c.message.as_str())
}

/// The ids in the inventory, sorted.
pub(crate) fn inventory(object: &Kustomization) -> Vec<String> {
    let inventory = object.status.as_ref().and_then(|s| s.inventory.as_ref());
    let mut ids: Vec<_> = inventory
        .iter()
        .flat_map(|i| &i.entries)
        .map(|e| e.id.clone())
        .collect();
    ids.sort();
    ids
}

/// The manifest of a ConfigMap.
pub(crate) fn config_map(name: &str, key: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  {key}: {value}\n")
}

/// Whether a ConfigMap has this value.
pub(crate) fn has(key: &str, value: &str) -> impl Fn(Option<&ConfigMap>) -> bool {
    let (key, value) = (key.to_owned(), value.to_owned());
    move |map| {
        let data = map.and_then(|map| map.data.as_ref());
        data.and_then(|data| data.get(&key)) == Some(&value)
    }
}
