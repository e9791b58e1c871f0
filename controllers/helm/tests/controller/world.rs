//! A namespace, a HelmChart whose artifacts the test publishes, and a controller.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use api::helm::HelmRelease;
use api::source::HelmChart;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use testkit::{ArtifactServer, Namespace, Program};
use tokio::sync::OnceCell;

const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(50);

static SHARED: OnceCell<Program> = OnceCell::const_new();

/// A namespace with a HelmChart `app` and room for HelmReleases.
pub(crate) struct World {
    client: kube::Client,
    namespace: Namespace,
    artifacts: ArtifactServer,
}

impl World {
    /// Starts with the controller that all tests share.
    pub(crate) async fn new() -> Self {
        let plane = testkit::control_plane().await;
        let start = || async {
            let definitions =
                PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../config/crd/bases");
            testkit::install_definitions(&plane.client(), &definitions)
                .await
                .unwrap();
            let program = Program::new(env!("CARGO_BIN_EXE_helm-controller"), plane).unwrap();
            program.flag("--http-retry", "1").start().await.unwrap()
        };
        SHARED.get_or_init(start).await.still_runs().unwrap();
        Self {
            client: plane.client(),
            namespace: plane.namespace("hr").await,
            artifacts: ArtifactServer::start().unwrap(),
        }
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
        let metadata = format!("apiVersion: v2\nname: app\nversion: {version}\n");
        let named: Vec<_> = templates
            .iter()
            .map(|(n, t)| (format!("app/templates/{n}"), *t))
            .collect();
        let mut files = vec![("app/Chart.yaml", metadata.as_str())];
        files.extend(named.iter().map(|(n, t)| (n.as_str(), *t)));
        let archive = testkit::archive(&files).unwrap();
        let artifact = self.artifacts.put(&format!("app-{version}.tgz"), archive);
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
            "url": artifact.url, "digest": artifact.digest, "revision": version, "path": "x",
            "size": artifact.size, "lastUpdateTime": "2026-01-01T00:00:00Z" } } });
        api.patch_status("app", &PatchParams::default(), &Patch::Merge(status))
            .await
            .unwrap();
    }

    /// Applies HelmRelease `app` with these fields over the usual ones.
    pub(crate) async fn apply(&self, spec: Value) {
        let mut full =
            json!({ "interval": "10m", "chartRef": { "kind": "HelmChart", "name": "app" } });
        full.as_object_mut()
            .unwrap()
            .extend(spec.as_object().unwrap().clone());
        let object = json!({ "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
            "metadata": { "name": "app" }, "spec": full });
        let params = PatchParams::apply("test").force();
        self.releases()
            .patch("app", &params, &Patch::Apply(object))
            .await
            .unwrap();
    }

    /// Waits until HelmRelease `app` is as wanted.
    pub(crate) async fn until(
        &self,
        what: &str,
        wanted: impl Fn(&HelmRelease) -> bool,
    ) -> HelmRelease {
        let started = Instant::now();
        loop {
            let now = self.releases().get_opt("app").await.unwrap();
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
        })
        .await
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

    /// Waits until there is no HelmRelease `app` any more.
    pub(crate) async fn gone(&self) {
        let started = Instant::now();
        while self.releases().get_opt("app").await.unwrap().is_some() {
            assert!(started.elapsed() < PATIENCE, "HelmRelease app is not gone");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Whether a condition has this status.
pub(crate) fn is(object: &HelmRelease, type_: &str, status: &str) -> bool {
    let mut conditions = api::Reconciled::conditions(object).iter();
    conditions.any(|c| c.type_ == type_ && c.status == status)
}
