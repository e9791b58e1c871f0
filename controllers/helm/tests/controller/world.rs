//! A namespace, a HelmChart whose artifacts the test publishes, and a controller.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use api::helm::HelmRelease;
use api::source::HelmChart;
use helm::release::Record;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Secret};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use testkit::{ArtifactServer, ControlPlane, Namespace, Program, PublishedArtifact};
use tokio::sync::OnceCell;

pub(crate) const PATIENCE: Duration = Duration::from_mins(2);
pub(crate) const PAUSE: Duration = Duration::from_millis(50);
/// Objects with this label are not the shared controller's, but one's of the test's own.
const OWN: &str = "lockgate.test/own";

static SHARED: OnceCell<Program> = OnceCell::const_new();

/// Where the definitions of the repository lie.
fn definitions() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../config/crd/bases")
}

/// A namespace with a HelmChart `app` and room for HelmReleases.
pub(crate) struct World {
    pub client: kube::Client,
    namespace: Namespace,
    pub artifacts: ArtifactServer,
    is_own: bool,
}

impl World {
    /// Starts with the controller that all tests share.
    pub(crate) async fn new() -> Self {
        let plane = testkit::control_plane().await;
        let start = || async {
            testkit::install_definitions(&plane.client(), &definitions())
                .await
                .unwrap();
            let program = Program::new(env!("CARGO_BIN_EXE_helm-controller"), plane).unwrap();
            program
                .flag("--http-retry", "1")
                .flag("--concurrent", "10")
                .flag("--watch-label-selector", &format!("!{OWN}"))
                .start()
                .await
                .unwrap()
        };
        SHARED.get_or_init(start).await.still_runs().unwrap();
        Self::on(plane, false).await
    }

    /// Starts without a controller: the HelmReleases are those of [`World::controller`] only.
    pub(crate) async fn alone() -> Self {
        let plane = testkit::control_plane().await;
        testkit::install_definitions(&plane.client(), &definitions())
            .await
            .unwrap();
        Self::on(plane, true).await
    }

    async fn on(plane: &ControlPlane, is_own: bool) -> Self {
        Self {
            client: plane.client(),
            namespace: plane.namespace("hr").await,
            artifacts: ArtifactServer::start().unwrap(),
            is_own,
        }
    }

    /// Describes a controller for this world alone; it is not started yet.
    pub(crate) fn controller(&self, kubeconfig: &std::path::Path) -> Program {
        let binary = env!("CARGO_BIN_EXE_helm-controller");
        Program::against(binary, kubeconfig)
            .unwrap()
            .flag("--http-retry", "1")
            .flag("--watch-label-selector", OWN)
            .flag("--watch-all-namespaces", "false")
            .env("RUNTIME_NAMESPACE", self.ns())
    }

    pub(crate) fn ns(&self) -> &str {
        self.namespace.name()
    }

    pub(crate) fn releases(&self) -> Api<HelmRelease> {
        Api::namespaced(self.client.clone(), self.ns())
    }

    pub(crate) fn config_maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), self.ns())
    }

    pub(crate) fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), self.ns())
    }

    /// Publishes a chart `app` of this version with these templates as the artifact of HelmChart `app`.
    pub(crate) async fn publish(&self, version: &str, templates: &[(&str, &str)]) {
        let named: Vec<_> = templates
            .iter()
            .map(|(n, t)| (format!("templates/{n}"), *t))
            .collect();
        let files: Vec<_> = named.iter().map(|(n, t)| (n.as_str(), *t)).collect();
        self.publish_files(version, &files).await;
    }

    /// Publishes a chart `app` of this version with these files as the artifact of HelmChart `app`.
    pub(crate) async fn publish_files(&self, version: &str, files: &[(&str, &str)]) {
        let artifact = self.pack("app", version, files);
        self.announce(version, &artifact).await;
    }

    /// Packs a chart.
    pub(crate) fn pack(
        &self,
        name: &str,
        version: &str,
        files: &[(&str, &str)],
    ) -> PublishedArtifact {
        let metadata = format!("apiVersion: v2\nname: {name}\nversion: {version}\n");
        let mut named = vec![(format!("{name}/Chart.yaml"), metadata.as_str())];
        named.retain(|_| !files.iter().any(|(path, _)| *path == "Chart.yaml"));
        named.extend(files.iter().map(|(p, t)| (format!("{name}/{p}"), *t)));
        let files: Vec<_> = named.iter().map(|(p, t)| (p.as_str(), *t)).collect();
        let archive = testkit::archive(&files).unwrap();
        self.artifacts
            .put(&format!("{name}-{version}.tgz"), archive)
    }

    /// Says in the status of HelmChart `app` that there is an artifact.
    pub(crate) async fn announce(&self, revision: &str, artifact: &PublishedArtifact) {
        let api = Api::<HelmChart>::namespaced(self.client.clone(), self.ns());
        let chart = json!({ "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmChart",
            "metadata": { "name": "app" }, "spec": { "chart": "app", "interval": "10m",
                "sourceRef": { "kind": "HelmRepository", "name": "repo" } } });
        let params = PatchParams::apply("test").force();
        let made = api
            .patch("app", &params, &Patch::Apply(chart))
            .await
            .unwrap();
        let status = json!({ "status": { "observedGeneration": made.metadata.generation, "artifact": {
            "url": artifact.url, "digest": artifact.digest, "revision": revision, "path": "x",
            "size": artifact.size, "lastUpdateTime": "2026-01-01T00:00:00Z" } } });
        api.patch_status("app", &PatchParams::default(), &Patch::Merge(status))
            .await
            .unwrap();
    }

    /// Applies HelmRelease `app` with these fields over the usual ones.
    pub(crate) async fn apply(&self, spec: Value) {
        self.apply_named("app", spec).await;
    }

    /// Applies a HelmRelease with these fields over the usual ones; those that are null are left out.
    pub(crate) async fn apply_named(&self, name: &str, spec: Value) {
        let mut full =
            json!({ "interval": "10m", "chartRef": { "kind": "HelmChart", "name": "app" } });
        let fields = full.as_object_mut().unwrap();
        fields.extend(spec.as_object().unwrap().clone());
        fields.retain(|_, value| !value.is_null());
        let labels = if self.is_own {
            json!({ OWN: "yes" })
        } else {
            json!({})
        };
        let object = json!({ "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
            "metadata": { "name": name, "labels": labels }, "spec": full });
        let params = PatchParams::apply("test").force();
        self.releases()
            .patch(name, &params, &Patch::Apply(object))
            .await
            .unwrap();
    }

    /// Suspends HelmRelease `app`, with these fields, and waits until its controller knows: from here on no run that was
    /// queued before looks at what the test is about to change.
    pub(crate) async fn pause(&self, mut spec: Value) {
        spec["suspend"] = true.into();
        self.apply(spec).await;
        self.until("suspended", |o| {
            let seen = o.status.as_ref().and_then(|s| s.observed_generation);
            seen == o.metadata.generation
        })
        .await;
    }

    /// Asks for a run, and for what other annotations ask for with it, and waits until it was answered.
    pub(crate) async fn request(&self, with: &[&str]) -> HelmRelease {
        let token = self.ask(with).await;
        self.until("the request is answered", |o| {
            answers(o, &token) && !is(o, "Reconciling", "True")
        })
        .await
    }

    /// Asks for a run. Returns what its answer will be known by.
    pub(crate) async fn poke(&self) -> String {
        self.ask(&[]).await
    }

    async fn ask(&self, with: &[&str]) -> String {
        let token = format!("{:?}", Instant::now());
        let mut annotations = json!({ "reconcile.fluxcd.io/requestedAt": token });
        for name in with {
            annotations[format!("reconcile.fluxcd.io/{name}")] = token.clone().into();
        }
        let patch = json!({ "metadata": { "annotations": annotations } });
        self.releases()
            .patch("app", &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap();
        token
    }

    /// Waits until HelmRelease `app` is as wanted.
    pub(crate) async fn until(
        &self,
        what: &str,
        wanted: impl Fn(&HelmRelease) -> bool,
    ) -> HelmRelease {
        self.until_named("app", what, wanted).await
    }

    /// Waits until a HelmRelease is as wanted.
    pub(crate) async fn until_named(
        &self,
        name: &str,
        what: &str,
        wanted: impl Fn(&HelmRelease) -> bool,
    ) -> HelmRelease {
        let started = Instant::now();
        loop {
            let now = self.releases().get_opt(name).await.unwrap();
            if let Some(object) = now.as_ref().filter(|o| wanted(o)) {
                return object.clone();
            }
            assert!(
                started.elapsed() < PATIENCE,
                "not reached: {what}; last seen: {now:#?}"
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until revision `version` of the release is deployed and Ready.
    pub(crate) async fn deployed(&self, version: i64) -> HelmRelease {
        self.until(&format!("revision {version} deployed"), |o| {
            let latest = o.status.as_ref().and_then(|s| s.history.first());
            latest.is_some_and(|l| l.version == version && l.status == "deployed")
                && is(o, "Ready", "True")
                && !is(o, "Reconciling", "True")
        })
        .await
    }

    /// Waits until HelmRelease `app` is not Ready for this reason, and nothing goes on.
    pub(crate) async fn failed(&self, reason: &str) -> HelmRelease {
        self.until(&format!("Ready is False: {reason}"), |o| {
            let ready = condition(o, "Ready");
            ready.is_some_and(|c| c.status == "False" && c.reason == reason)
        })
        .await
    }

    /// Waits until HelmRelease `app` is stalled.
    pub(crate) async fn stalled(&self) -> HelmRelease {
        self.until("stalled", |o| is(o, "Stalled", "True")).await
    }

    /// Waits until an event with this reason has these words in it.
    pub(crate) async fn event(&self, reason: &str, words: &str) -> String {
        let api = Api::<Event>::namespaced(self.client.clone(), self.ns());
        let started = Instant::now();
        loop {
            let events = api.list(&ListParams::default()).await.unwrap().items;
            let fits = |e: &&Event| {
                e.reason.as_deref() == Some(reason)
                    && e.message.as_deref().is_some_and(|m| m.contains(words))
            };
            if let Some(event) = events.iter().find(fits) {
                return event.message.clone().unwrap_or_default();
            }
            let seen: Vec<_> = events.iter().map(|e| (&e.reason, &e.message)).collect();
            assert!(
                started.elapsed() < PATIENCE,
                "no event {reason} {words}: {seen:#?}"
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Returns an entry of a ConfigMap; none where either is missing.
    pub(crate) async fn entry(&self, name: &str, key: &str) -> Option<String> {
        let map = self.config_maps().get_opt(name).await.unwrap();
        map.and_then(|m| m.data?.remove(key))
    }

    /// Waits until an entry of a ConfigMap is as wanted.
    pub(crate) async fn until_entry(&self, name: &str, key: &str, wanted: Option<&str>) {
        let started = Instant::now();
        loop {
            let now = self.entry(name, key).await;
            if now.as_deref() == wanted {
                return;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "{key} of {name} is {now:?}, not {wanted:?}"
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Changes a ConfigMap as somebody else.
    pub(crate) async fn edit(&self, name: &str, change: Value) {
        let params = PatchParams {
            field_manager: Some("somebody".to_owned()),
            ..PatchParams::default()
        };
        self.config_maps()
            .patch(name, &params, &Patch::Merge(change))
            .await
            .unwrap();
    }

    /// Makes an object, or changes it.
    pub(crate) async fn make<K>(&self, name: &str, object: Value)
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
        K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
    {
        let api = Api::<K>::namespaced(self.client.clone(), self.ns());
        let params = PatchParams::apply("test").force();
        api.patch(name, &params, &Patch::Apply(object))
            .await
            .unwrap();
    }

    /// Returns name and status label of the release's records, sorted.
    pub(crate) async fn records(&self) -> Vec<(String, String)> {
        let list = self
            .secrets()
            .list(&ListParams::default().labels("owner=helm"))
            .await
            .unwrap();
        let one = |s: Secret| {
            let labels = s.metadata.labels.unwrap_or_default();
            (
                s.metadata.name.unwrap_or_default(),
                labels.get("status").cloned().unwrap_or_default(),
            )
        };
        let mut all: Vec<_> = list.items.into_iter().map(one).collect();
        all.sort();
        all
    }

    /// Returns revision and status of the records of release `app`, oldest first.
    pub(crate) async fn revisions(&self) -> Vec<(i64, String)> {
        let number = |name: &str| name.rsplit(".v").next().unwrap().parse().unwrap();
        let records = self.records().await;
        let mut all: Vec<_> = records.into_iter().map(|(n, s)| (number(&n), s)).collect();
        all.sort();
        all
    }

    /// Reads a record of release `app`.
    pub(crate) async fn record(&self, version: i64) -> Record {
        let name = format!("sh.helm.release.v1.app.v{version}");
        let secret = self.secrets().get(&name).await.unwrap();
        Record::decode(&secret.data.unwrap()["release"].0).unwrap()
    }

    /// Writes a record as another program does.
    pub(crate) async fn store(&self, record: &Record) {
        let (name, version) = (&record.name, record.version);
        let labels = json!({ "name": name, "owner": "helm", "status": record.status,
            "version": version.to_string() });
        let data = ByteString(record.encode().unwrap());
        let id = format!("sh.helm.release.v1.{name}.v{version}");
        let secret = json!({ "apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1",
            "metadata": { "name": id, "labels": labels }, "data": { "release": data } });
        let params = PatchParams::apply("another").force();
        self.secrets()
            .patch(&id, &params, &Patch::Apply(secret))
            .await
            .unwrap();
    }

    /// Deletes HelmRelease `app` and waits until it is gone.
    pub(crate) async fn delete(&self) {
        self.releases()
            .delete("app", &DeleteParams::default())
            .await
            .unwrap();
        self.gone().await;
    }

    /// Waits until there is no HelmRelease `app` any more.
    pub(crate) async fn gone(&self) {
        let started = Instant::now();
        while let Some(object) = self.releases().get_opt("app").await.unwrap() {
            assert!(
                started.elapsed() < PATIENCE,
                "HelmRelease app is not gone: {:#?}",
                object.status
            );
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Returns a condition.
pub(crate) fn condition<'a>(
    object: &'a HelmRelease,
    type_: &str,
) -> Option<&'a api::meta::Condition> {
    let mut conditions = api::Reconciled::conditions(object).iter();
    conditions.find(|c| c.type_ == type_)
}

/// Whether a request has been answered.
pub(crate) fn answers(object: &HelmRelease, token: &str) -> bool {
    let status = object.status.as_ref();
    status.and_then(|s| s.last_handled_reconcile_at.as_deref()) == Some(token)
}

/// Whether a condition has this status.
pub(crate) fn is(object: &HelmRelease, type_: &str, status: &str) -> bool {
    condition(object, type_).is_some_and(|c| c.status == status)
}

/// Returns the message of a condition.
pub(crate) fn message<'a>(object: &'a HelmRelease, type_: &str) -> &'a str {
    condition(object, type_).map_or("", |c| c.message.as_str())
}

/// Returns revision, status and action of what the status remembers, newest first.
pub(crate) fn history(object: &HelmRelease) -> Vec<(i64, &str, &str)> {
    let status = object.status.as_ref().unwrap();
    status
        .history
        .iter()
        .map(|s| {
            (
                s.version,
                s.status.as_str(),
                s.action.as_deref().unwrap_or_default(),
            )
        })
        .collect()
}
