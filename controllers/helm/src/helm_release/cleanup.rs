//! What becomes of the release of a deleted HelmRelease.

use std::sync::Arc;

use api::helm::HelmRelease;
use helm::chart::Chart;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{Api, ResourceExt};
use runtime::{Failure, Note, Progress, conditions::READY};
use serde_json::Map;

use super::{Reconciler, act::Stop, journal::Journal, plan::Plan, undo::Target};
use crate::release::Storage;

impl Reconciler {
    /// Uninstalls the release and deletes the HelmChart that was made for it. A suspended object
    /// leaves both, as upstream does.
    pub(super) async fn clean(
        &self,
        object: &HelmRelease,
        progress: &Progress,
    ) -> Result<Vec<Note>, Failure> {
        if object.spec.suspend.unwrap_or(false) {
            return Ok(Vec::new());
        }
        self.uninstall(object, progress).await?;
        let made = object.status.as_ref().and_then(|s| s.helm_chart.clone());
        if let Some(chart) = made.filter(|c| !c.is_empty()) {
            self.delete_chart(object, &chart, progress).await?;
        }
        Ok(Vec::new())
    }

    async fn uninstall(&self, object: &HelmRelease, progress: &Progress) -> Result<(), Failure> {
        let status = object.status.clone().unwrap_or_default();
        let storage = status.storage_namespace.clone().filter(|n| !n.is_empty());
        let (Some(namespace), Some(latest)) = (storage, status.history.first().cloned()) else {
            return Ok(());
        };
        if !self.is_reachable(object).await? {
            return Ok(());
        }
        let cluster = match self.cluster_of(object).await {
            Ok(cluster) => cluster,
            Err(cause) => {
                let words =
                    format!("failed to build REST client getter to uninstall release: {cause}");
                let mut journal = Journal::new(object);
                journal.set(READY, "False", "UninstallFailed", words.clone());
                journal.write(progress).await?;
                return Err(Failure::retry("UninstallFailed", words).quietly());
            }
        };
        let target = Target {
            storage: Storage::new(cluster.client().clone(), &namespace, &latest.name),
            name: latest.name.clone(),
            namespace: latest.namespace.clone(),
        };
        let plan = Plan {
            journal: Journal::new(object),
            chart: Arc::new(Chart::default()),
            values: Map::new(),
            config_digest: String::new(),
            cluster,
            rules: None,
            forced: false,
            was_ready: false,
        };
        let mut run = self.run(object, plan, progress);
        match run.uninstall_for_good(&target).await {
            Ok(()) => Ok(()),
            Err(Stop::Failed(failure)) => Err(failure),
            Err(Stop::Retry(cause) | Stop::Superseded(cause)) => {
                run.journal.write(progress).await?;
                Err(Failure::retry("UninstallFailed", cause).quietly())
            }
        }
    }

    /// Whether there is still what the release was made with: nobody else may undo it.
    async fn is_reachable(&self, object: &HelmRelease) -> Result<bool, Failure> {
        let namespace = object.namespace().unwrap_or_default();
        let failed = |error: &kube::Error| {
            Failure::retry("UninstallFailed", runtime::failure::chain(error)).quietly()
        };
        if let Some(config) = &object.spec.kube_config {
            let Some(reference) = &config.secret_ref else {
                return Ok(true);
            };
            let api = Api::<k8s_openapi::api::core::v1::Secret>::namespaced(
                self.client.clone(),
                &namespace,
            );
            let found = api.get_metadata_opt(&reference.name).await;
            let found = found.map_err(|error| failed(&error))?.is_some();
            if !found {
                tracing::info!("kubeconfig secret is gone: skipping the uninstallation");
            }
            return Ok(found);
        }
        let Some(account) = self.account(object) else {
            return Ok(true);
        };
        let api = Api::<ServiceAccount>::namespaced(self.client.clone(), &namespace);
        let found = api.get_metadata_opt(account).await;
        let found = found.map_err(|error| failed(&error))?.is_some();
        if !found {
            tracing::info!("service account is gone: skipping the uninstallation");
        }
        Ok(found)
    }
}
