//! A namespace and a controller over it.

use std::path::Path;
use std::time::{Duration, Instant};

use api::Reconciled;
use api::image::{ImagePolicy, ImageRepository};
use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};
use testkit::{Namespace, Program};

pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(20);
const GROUP: &str = "image.toolkit.fluxcd.io";

pub(crate) struct World {
    pub(crate) client: kube::Client,
    pub(crate) namespace: Namespace,
    pub(crate) controller: Program,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|program| program).await
    }

    /// With a controller that is described further.
    pub(crate) async fn with(change: impl FnOnce(Program) -> Program) -> Self {
        let plane = testkit::control_plane().await;
        let client = plane.client();
        let definitions = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/crd/bases");
        testkit::install_definitions(&client, &definitions)
            .await
            .unwrap();
        let namespace = plane.namespace("reflector").await;
        let binary = env!("CARGO_BIN_EXE_image-reflector-controller");
        let program = Program::new(binary, plane).unwrap();
        let storage = program.folder().join("data");
        let program = program
            .flag("--watch-all-namespaces", "false")
            .flag("--max-retry-delay", "2s")
            .flag("--requeue-dependency", "2s")
            .flag("--storage-path", &storage.to_string_lossy())
            .env("RUNTIME_NAMESPACE", namespace.name());
        let controller = change(program).start().await.unwrap();
        Self {
            client,
            namespace,
            controller,
        }
    }

    pub(crate) fn ns(&self) -> &str {
        self.namespace.name()
    }

    pub(crate) fn repositories(&self) -> Api<ImageRepository> {
        Api::namespaced(self.client.clone(), self.ns())
    }

    pub(crate) fn policies(&self) -> Api<ImagePolicy> {
        Api::namespaced(self.client.clone(), self.ns())
    }

    /// Applies an object; what the API server says of it is the result.
    pub(crate) async fn put(
        &self,
        namespace: &str,
        api_version: &str,
        kind: &str,
        name: &str,
        fields: Value,
    ) -> kube::Result<DynamicObject> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let gvk = GroupVersionKind::gvk(group, version, kind);
        let resource = ApiResource::from_gvk(&gvk);
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), namespace, &resource);
        let mut object =
            json!({ "apiVersion": api_version, "kind": kind, "metadata": { "name": name } });
        let fields = fields.as_object().unwrap().clone();
        object.as_object_mut().unwrap().extend(fields);
        let params = PatchParams::apply("test").force();
        api.patch(name, &params, &Patch::Apply(&object)).await
    }

    /// Applies ImageRepository of an image, with these fields over the usual ones.
    pub(crate) async fn image(&self, name: &str, image: &str, fields: Value) {
        let mut spec = json!({ "image": image, "interval": "1h", "timeout": "20s" });
        spec.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        let version = format!("{GROUP}/v1");
        let spec = json!({ "spec": spec });
        self.put(self.ns(), &version, "ImageRepository", name, spec)
            .await
            .unwrap();
    }

    /// Applies ImagePolicy of an ImageRepository of the same name, with these fields over the usual ones.
    pub(crate) async fn policy(&self, name: &str, fields: Value) {
        let mut spec = json!({ "imageRepositoryRef": { "name": name },
            "policy": { "semver": { "range": "1.x.x" } } });
        spec.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        let version = format!("{GROUP}/v1");
        let spec = json!({ "spec": spec });
        self.put(self.ns(), &version, "ImagePolicy", name, spec)
            .await
            .unwrap();
    }

    /// Applies a Secret of a type.
    pub(crate) async fn secret(&self, name: &str, kind: &str, data: Value) {
        let fields = json!({ "type": kind, "stringData": data });
        self.put(self.ns(), "v1", "Secret", name, fields)
            .await
            .unwrap();
    }

    pub(crate) async fn until<K>(&self, api: &Api<K>, name: &str, holds: impl Fn(&K) -> bool) -> K
    where
        K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
    {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = api.get_opt(name).await.unwrap();
            if let Some(object) = &now
                && holds(object)
            {
                return object.clone();
            }
            assert!(
                Instant::now() < deadline,
                "{name} is not as wanted: {now:#?}\n{}",
                self.controller.log().unwrap_or_default()
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until an ImageRepository is Ready with so many tags.
    pub(crate) async fn scanned(&self, name: &str, tags: i64) -> ImageRepository {
        let is = |object: &ImageRepository| {
            let status = object.status.as_ref();
            let last = status.and_then(|status| status.last_scan_result.as_ref());
            last.is_some_and(|last| last.tag_count == tags) && ready(object, "True").is_some()
        };
        self.until(&self.repositories(), name, is).await
    }

    /// Waits until an ImageRepository is not Ready with these words. Returns reason and message.
    pub(crate) async fn fails(&self, name: &str, words: &str) -> (String, String) {
        let failed = |object: &ImageRepository| {
            ready(object, "False").filter(|(_, message)| message.contains(words))
        };
        let object = self
            .until(&self.repositories(), name, |o| failed(o).is_some())
            .await;
        failed(&object).unwrap()
    }

    /// Waits until an ImagePolicy is not Ready for this reason. Returns the message.
    pub(crate) async fn policy_fails(&self, name: &str, reason: &str) -> String {
        let failed =
            |object: &ImagePolicy| ready(object, "False").filter(|(found, _)| found == reason);
        let object = self
            .until(&self.policies(), name, |o| failed(o).is_some())
            .await;
        failed(&object).unwrap().1
    }

    /// Waits until an ImagePolicy is Ready with this tag.
    pub(crate) async fn chosen(&self, name: &str, tag: &str) -> ImagePolicy {
        let is = |object: &ImagePolicy| {
            latest(object).is_some_and(|latest| latest.tag == tag)
                && ready(object, "True").is_some()
        };
        self.until(&self.policies(), name, is).await
    }

    /// Asks for a run of an ImageRepository, and waits until it was answered where that is wanted.
    pub(crate) async fn request(&self, name: &str) -> ImageRepository {
        let token = format!("{:?}", Instant::now());
        let patch = json!({ "metadata": { "annotations": {
            "reconcile.fluxcd.io/requestedAt": token } } });
        let params = PatchParams::default();
        self.repositories()
            .patch(name, &params, &Patch::Merge(patch))
            .await
            .unwrap();
        let handled =
            |object: &ImageRepository| object.last_handled_reconcile_at() == Some(&*token);
        self.until(&self.repositories(), name, handled).await
    }

    /// Returns the reasons of warnings about an object.
    pub(crate) async fn warnings(&self, name: &str) -> Vec<String> {
        let events = Api::<Event>::namespaced(self.client.clone(), self.ns());
        let events = events.list(&ListParams::default()).await.unwrap();
        let about = events.items.into_iter().filter(|event| {
            event.involved_object.name.as_deref() == Some(name)
                && event.type_.as_deref() == Some("Warning")
        });
        about.filter_map(|event| event.message).collect()
    }
}

/// What a policy chose.
pub(crate) fn latest(object: &ImagePolicy) -> Option<api::image::ImageReference> {
    object.status.as_ref()?.latest()
}

/// Reason and message of Ready where it has this status.
pub(crate) fn ready(object: &impl Reconciled, status: &str) -> Option<(String, String)> {
    let mut conditions = object.conditions().iter();
    let ready = conditions.find(|c| c.type_ == "Ready" && c.status == status)?;
    Some((ready.reason.clone(), ready.message.clone()))
}
