//! A namespace, a Git server, a controller over that namespace.

use std::path::Path;
use std::time::{Duration, Instant};

use api::image::ImageUpdateAutomation;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};
use testkit::{GitServer, Namespace, Program, Repository};

const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(20);

pub(crate) struct World {
    pub(crate) client: kube::Client,
    pub(crate) namespace: Namespace,
    pub(crate) server: GitServer,
    controller: Program,
}

/// A file with one marked field.
pub(crate) fn marked(world: &World, policy: &str, value: &str) -> String {
    let namespace = world.namespace.name();
    format!(
        "# kept\napiVersion: v1\nkind: Pod\nmetadata:\n    name: x\n\nspec:\n    image: {value} # {{\"$imagepolicy\": \"{namespace}:{policy}\"}}\n"
    )
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(false).await
    }

    /// With a controller that allows no references across namespaces.
    pub(crate) async fn strict() -> Self {
        Self::with(true).await
    }

    async fn with(strict: bool) -> Self {
        let plane = testkit::control_plane().await;
        let client = plane.client();
        let definitions = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/crd/bases");
        testkit::install_definitions(&client, &definitions)
            .await
            .unwrap();
        let namespace = plane.namespace("image").await;
        let controller = Program::new(env!("CARGO_BIN_EXE_image-automation-controller"), plane)
            .unwrap()
            .flag("--watch-all-namespaces", "false")
            .flag(
                "--no-cross-namespace-refs",
                if strict { "true" } else { "false" },
            )
            .flag("--max-retry-delay", "2s")
            .env("RUNTIME_NAMESPACE", namespace.name())
            // An identity of Azure whose proof is missing: no cloud is asked.
            .env("AZURE_TENANT_ID", "tenant")
            .env("AZURE_CLIENT_ID", "client")
            .env("AZURE_FEDERATED_TOKEN_FILE", "/nowhere/token")
            .start()
            .await
            .unwrap();
        Self {
            client,
            namespace,
            server: GitServer::start().unwrap(),
            controller,
        }
    }

    pub(crate) fn repository(&self, files: &[(&str, &str)]) -> Repository {
        let repository = self.server.repository("org/fleet").unwrap();
        let mut commit = repository.commit("main", "first");
        for (path, text) in files {
            commit = commit.write(path, text);
        }
        commit.push().unwrap();
        repository
    }

    fn dynamic(&self, group: &str, version: &str, kind: &str, plural: &str) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk(group, version, kind);
        let resource = ApiResource::from_gvk_with_plural(&kind, plural);
        Api::namespaced_with(self.client.clone(), self.namespace.name(), &resource)
    }

    async fn put(&self, api: &Api<DynamicObject>, object: Value) {
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let params = PatchParams::apply("test").force();
        api.patch(&name, &params, &Patch::Apply(object))
            .await
            .unwrap();
    }

    /// Applies GitRepository `repo`, with these fields over the usual ones.
    pub(crate) async fn source(&self, url: &str, fields: Value) {
        let mut spec = json!({ "interval": "10m", "url": url, "ref": { "branch": "main" } });
        spec.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        let api = self.dynamic(
            "source.toolkit.fluxcd.io",
            "v1",
            "GitRepository",
            "gitrepositories",
        );
        let object = json!({ "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": { "name": "repo" }, "spec": spec });
        self.put(&api, object).await;
    }

    /// Lets a policy choose.
    pub(crate) async fn choose(&self, policy: &str, image: &str, tag: &str) {
        let api = self.dynamic(
            "image.toolkit.fluxcd.io",
            "v1",
            "ImagePolicy",
            "imagepolicies",
        );
        let object = json!({ "apiVersion": "image.toolkit.fluxcd.io/v1", "kind": "ImagePolicy",
            "metadata": { "name": policy },
            "spec": { "imageRepositoryRef": { "name": "x" }, "policy": { "alphabetical": {} } } });
        self.put(&api, object).await;
        let status = json!({ "status": { "latestRef": { "name": image, "tag": tag } } });
        let params = PatchParams::default();
        api.patch_status(policy, &params, &Patch::Merge(status))
            .await
            .unwrap();
    }

    /// Puts a label on a policy.
    pub(crate) async fn label(&self, policy: &str, label: &str, value: &str) {
        let api = self.dynamic(
            "image.toolkit.fluxcd.io",
            "v1",
            "ImagePolicy",
            "imagepolicies",
        );
        let patch = json!({ "metadata": { "labels": { label: value } } });
        api.patch(policy, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap();
    }

    /// Applies an automation with these fields over the usual ones; null removes one.
    pub(crate) async fn apply(&self, name: &str, fields: Value) {
        let mut spec = json!({ "interval": "10m", "sourceRef": { "kind": "GitRepository", "name": "repo" },
            "git": { "commit": { "author": { "email": "bot@example.com" } } } });
        for (field, value) in fields.as_object().unwrap() {
            spec[field] = value.clone();
        }
        spec.as_object_mut()
            .unwrap()
            .retain(|_, value| !value.is_null());
        self.apply_version("v1", name, spec).await;
    }

    pub(crate) async fn apply_version(&self, version: &str, name: &str, spec: Value) {
        let group = "image.toolkit.fluxcd.io";
        let kind = "ImageUpdateAutomation";
        let api = self.dynamic(group, version, kind, "imageupdateautomations");
        let object = json!({ "apiVersion": format!("{group}/{version}"), "kind": kind,
            "metadata": { "name": name }, "spec": spec });
        self.put(&api, object).await;
    }

    pub(crate) async fn secret(&self, name: &str, key: &str, value: &str) {
        let secrets: Api<k8s_openapi::api::core::v1::Secret> =
            Api::namespaced(self.client.clone(), self.namespace.name());
        let secret = json!({ "metadata": { "name": name }, "stringData": { key: value } });
        let secret = serde_json::from_value(secret).unwrap();
        secrets
            .create(&kube::api::PostParams::default(), &secret)
            .await
            .unwrap();
    }

    /// Creates a Secret of several keys.
    pub(crate) async fn secret_of(&self, name: &str, pairs: Value) {
        let secrets: Api<k8s_openapi::api::core::v1::Secret> =
            Api::namespaced(self.client.clone(), self.namespace.name());
        let secret = json!({ "metadata": { "name": name }, "stringData": pairs });
        let secret = serde_json::from_value(secret).unwrap();
        secrets
            .create(&kube::api::PostParams::default(), &secret)
            .await
            .unwrap();
    }

    /// Ends the controller.
    pub(crate) async fn stop(&self) {
        self.controller.terminate(PATIENCE).await.unwrap();
    }

    /// Starts the controller again.
    pub(crate) async fn start(&self) {
        self.controller.restart().await.unwrap();
    }

    /// Applies an automation that somebody else holds, so that it stays for a while when it is deleted.
    pub(crate) async fn apply_held(&self, name: &str, fields: Value) {
        self.apply(name, fields).await;
        self.hold(name, json!(["test/hold"])).await;
    }

    /// Lets an automation go.
    pub(crate) async fn release(&self, name: &str) {
        self.hold(name, Value::Null).await;
    }

    async fn hold(&self, name: &str, by: Value) {
        let patch = json!({ "metadata": { "finalizers": by } });
        let params = PatchParams::default();
        self.automations()
            .patch(name, &params, &Patch::Merge(patch))
            .await
            .unwrap();
    }

    /// Asks for an automation's deletion.
    pub(crate) async fn delete(&self, name: &str) {
        let params = kube::api::DeleteParams::default();
        self.automations().delete(name, &params).await.unwrap();
    }

    /// Applies an automation that the API server does not take. Returns its words.
    pub(crate) async fn refused(&self, name: &str, fields: Value) -> String {
        let group = "image.toolkit.fluxcd.io";
        let kind = "ImageUpdateAutomation";
        let api = self.dynamic(group, "v1", kind, "imageupdateautomations");
        let object = json!({ "apiVersion": format!("{group}/v1"), "kind": kind,
            "metadata": { "name": name }, "spec": fields });
        let params = PatchParams::apply("test").force();
        let answer = api.patch(name, &params, &Patch::Apply(object)).await;
        answer.unwrap_err().to_string()
    }

    pub(crate) fn log(&self) -> String {
        self.controller.log().unwrap()
    }

    fn automations(&self) -> Api<ImageUpdateAutomation> {
        Api::namespaced(self.client.clone(), self.namespace.name())
    }

    pub(crate) async fn object(&self, name: &str) -> ImageUpdateAutomation {
        self.automations().get(name).await.unwrap()
    }

    async fn until(
        &self,
        name: &str,
        what: &str,
        holds: impl Fn(&ImageUpdateAutomation) -> bool,
    ) -> ImageUpdateAutomation {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = self.automations().get_opt(name).await.unwrap();
            if let Some(object) = &now
                && holds(object)
            {
                return object.clone();
            }
            assert!(
                Instant::now() < deadline,
                "not reached: {what}; last seen: {now:#?}\n{}",
                self.controller.log().unwrap_or_default()
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until an automation is Ready and knows this choice of a policy.
    pub(crate) async fn synced(
        &self,
        name: &str,
        policy: &str,
        tag: &str,
    ) -> ImageUpdateAutomation {
        self.until(name, &format!("{policy} {tag}"), |object| {
            let status = object.status.as_ref();
            let known = status.and_then(|status| status.observed_policies.get(policy));
            known.is_some_and(|known| known.tag == tag) && ready(object, "True").is_some()
        })
        .await
    }

    /// Waits until an automation is not Ready for this reason. Returns the message.
    pub(crate) async fn fails(&self, name: &str, reason: &str) -> String {
        let failed = |object: &ImageUpdateAutomation| {
            let (found, message) = ready(object, "False")?;
            (found == reason).then_some(message)
        };
        let object = self
            .until(name, reason, |object| failed(object).is_some())
            .await;
        failed(&object).unwrap()
    }

    /// Waits until an automation is not Ready with these words in its message.
    pub(crate) async fn fails_with(&self, name: &str, words: &str) -> String {
        let failed = |object: &ImageUpdateAutomation| {
            let (_, message) = ready(object, "False")?;
            message.contains(words).then_some(message)
        };
        let object = self
            .until(name, words, |object| failed(object).is_some())
            .await;
        failed(&object).unwrap()
    }

    /// Returns when an automation ran last, once that second is over: times are kept in whole
    /// seconds, and another run in the same one could not be told from it.
    pub(crate) async fn ran(&self, name: &str) -> Option<jiff::Timestamp> {
        loop {
            let status = self.object(name).await.status?;
            let last = status.last_automation_run_time?.0;
            if jiff::Timestamp::now().as_second() > last.as_second() {
                return Some(last);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until an automation ran again.
    pub(crate) async fn ran_after(&self, name: &str, before: Option<jiff::Timestamp>) {
        let later = |object: &ImageUpdateAutomation| {
            let status = object.status.as_ref();
            let last = status.and_then(|status| status.last_automation_run_time.as_ref());
            last.map(|time| time.0) > before
        };
        self.until(name, "it runs again", later).await;
    }

    /// Waits until an event about an automation has this reason. Returns its message.
    pub(crate) async fn told(&self, name: &str, reason: &str) -> String {
        let events: Api<k8s_openapi::api::core::v1::Event> =
            Api::namespaced(self.client.clone(), self.namespace.name());
        let deadline = Instant::now() + PATIENCE;
        loop {
            let all = events
                .list(&kube::api::ListParams::default())
                .await
                .unwrap();
            let mut about = all.items.into_iter().filter(|event| {
                event.involved_object.name.as_deref() == Some(name)
                    && event.reason.as_deref() == Some(reason)
            });
            if let Some(event) = about.next() {
                return event.message.unwrap_or_default();
            }
            assert!(Instant::now() < deadline, "no event {reason} about {name}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Asks for a run and waits until it was answered.
    pub(crate) async fn request(&self, name: &str) {
        let token = self.request_only(name).await;
        self.until(name, "the request is answered", |object| {
            let status = object.status.as_ref();
            status.and_then(|s| s.last_handled_reconcile_at.as_ref()) == Some(&token)
        })
        .await;
    }

    pub(crate) async fn request_only(&self, name: &str) -> String {
        let token = format!("{:?}", Instant::now());
        let patch = json!({ "metadata": { "annotations": {
            "reconcile.fluxcd.io/requestedAt": token } } });
        let params = PatchParams::default();
        self.automations()
            .patch(name, &params, &Patch::Merge(patch))
            .await
            .unwrap();
        token
    }
}

/// Reason and message of Ready where it has this status.
fn ready(object: &ImageUpdateAutomation, status: &str) -> Option<(String, String)> {
    let conditions = api::Reconciled::conditions(object);
    let ready = conditions
        .iter()
        .find(|c| c.type_ == "Ready" && c.status == status)?;
    Some((ready.reason.clone(), ready.message.clone()))
}
