//! The loop: looks at the release, decides, acts, and looks again.

use std::{sync::Arc, time::Duration};

use api::{
    helm::{DriftDetectionMode, HelmRelease, WaitStrategyName},
    meta::Inventory as Stored,
};
use cluster::{Cluster, HealthRule};
use helm::{chart::Chart, release::Record};
use runtime::{Change, Failure, Note, Progress, conditions::READY};
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::{
    Reconciler,
    decide::{Class, Rounds},
    drift::Diff,
    journal::Journal,
    plan::Plan,
    spec,
};
use crate::{
    FIELD_MANAGER, GROUP, features,
    release::{Log, Session, Storage},
};

mod end;
mod look;
mod prepare;

/// A run in its writing part.
pub(super) struct Run<'a> {
    pub(super) controller: &'a Reconciler,
    pub(super) object: &'a HelmRelease,
    pub(super) progress: &'a Progress,
    pub(super) journal: Journal,
    pub(super) chart: Arc<Chart>,
    pub(super) values: Map<String, Value>,
    pub(super) config_digest: String,
    pub(super) cluster: Cluster,
    pub(super) storage: Storage,
    pub(super) rules: Option<Arc<dyn HealthRule>>,
    pub(super) forced: bool,
    pub(super) diff: Option<Diff>,
    pub(super) locked: Option<Record>,
    was_ready: bool,
}

/// How an action ended that cannot simply go on.
#[derive(Debug)]
pub(super) enum Stop {
    /// Nothing was stored; it is tried again.
    Retry(String),
    /// Something newer made it pointless.
    Superseded(String),
    /// The status cannot be written, or the like.
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Reconciler {
    /// Brings a release about. Returns what is left to write.
    pub(super) async fn release(
        &self,
        object: &HelmRelease,
        plan: Plan,
        progress: &Progress,
    ) -> Result<Change, Failure> {
        let mut run = self.run(object, plan, progress);
        if let Some(failure) = run.leave_old_target().await? {
            return Err(failure);
        }
        let namespace = spec::storage_namespace(object);
        run.journal.status.storage_namespace = Some(namespace);
        if let Some(failure) = run.put_off() {
            return Err(failure);
        }
        let mut rounds = Rounds::default();
        loop {
            let state = run.state().await.map_err(|cause| run.no_state(&cause))?;
            tracing::debug!(?state, "release state");
            let next = run.prepare(&state).await?;
            let Some((class, name)) = next.action() else {
                return run.finish(next);
            };
            if !rounds.admit(class) {
                return Err(run.again());
            }
            run.announce(class, name).await?;
            match run.perform(next).await {
                Ok(()) => {}
                Err(stop) => return Err(run.stopped(stop)),
            }
            if !rounds.go_on_after(class) {
                return Err(run.remedied(next));
            }
            run.journal.write(progress).await?;
        }
    }

    pub(super) fn run<'a>(
        &'a self,
        object: &'a HelmRelease,
        plan: Plan,
        progress: &'a Progress,
    ) -> Run<'a> {
        let Plan {
            journal,
            chart,
            values,
            config_digest,
            cluster,
            rules,
            forced,
            was_ready,
        } = plan;
        let (namespace, name) = (spec::storage_namespace(object), spec::release_name(object));
        let storage = Storage::new(cluster.client().clone(), &namespace, &name);
        Run {
            controller: self,
            object,
            progress,
            journal,
            chart,
            values,
            config_digest,
            cluster,
            storage,
            rules,
            forced,
            diff: None,
            locked: None,
            was_ready,
        }
    }
}

impl Run<'_> {
    /// Begins an action that may take this long.
    pub(super) fn session(&self, limit: Duration) -> Session<'_> {
        Session {
            cluster: &self.cluster,
            storage: &self.storage,
            progress: self.progress,
            name: spec::release_name(self.object),
            namespace: spec::release_namespace(self.object),
            manager: FIELD_MANAGER,
            log: Log::default(),
            deadline: Instant::now() + limit,
            rules: self.rules.clone(),
            legacy: self.waits_as_helm_3(),
            selector: selector(self.object),
        }
    }

    fn waits_as_helm_3(&self) -> bool {
        let strategy = self.object.spec.wait_strategy.as_ref();
        let by_default = self.controller.features.enabled(features::HELM_3_DEFAULTS);
        strategy.map_or(by_default, |s| s.name == WaitStrategyName::Legacy)
    }

    pub(super) fn remedy(&self) -> Option<spec::Remedy> {
        spec::remedy(self.object, &self.journal.status)
    }

    pub(super) fn retry(&self) -> Option<Duration> {
        let by_default = self.controller.features.enabled(features::RETRY_BY_DEFAULT);
        spec::retry(self.object, &self.journal.status, by_default)
    }

    fn mode(&self) -> DriftDetectionMode {
        let detection = self.object.spec.drift_detection.as_ref();
        detection.and_then(|d| d.mode).unwrap_or_default()
    }

    /// Says what is done next.
    async fn announce(&mut self, class: Class, name: &str) -> Result<(), Failure> {
        let limit = api::meta::Duration::from(self.limit(name));
        let words = format!("Running '{name}' action with timeout of {limit}");
        self.journal.progressing(words.clone());
        if class == Class::Release {
            self.journal.set(READY, "Unknown", "Progressing", words);
        }
        self.journal.write(self.progress).await
    }

    pub(super) fn limit(&self, action: &str) -> Duration {
        let spec = &self.object.spec;
        let own = match action {
            "install" => spec.install.as_ref().and_then(|i| i.timeout),
            "upgrade" => spec.upgrade.as_ref().and_then(|u| u.timeout),
            "test" => spec.test.as_ref().and_then(|t| t.timeout),
            "rollback" => spec.rollback.as_ref().and_then(|r| r.timeout),
            "uninstall" => spec.uninstall.as_ref().and_then(|u| u.timeout),
            _ => None,
        };
        spec::timeout(self.object, own)
    }

    /// Stores which objects a release has.
    pub(super) fn set_inventory(&mut self, inventory: &manifest::Inventory) {
        let entry = |(id, v)| api::meta::InventoryEntry { id, v };
        self.journal.status.inventory = Some(Stored {
            entries: inventory.to_stored().map(entry).collect(),
        });
    }
}

/// What an event says of a release.
pub(super) struct Facet<'a> {
    /// The chart's version.
    pub revision: &'a str,
    /// The digest of the values.
    pub token: &'a str,
    /// The version of what the chart installs.
    pub app_version: Option<&'a str>,
    /// The digest of the chart in a registry.
    pub oci_digest: Option<&'a str>,
}

impl Facet<'_> {
    /// Returns an event about a chart and its values.
    pub(super) fn annotate(&self, note: Note) -> Note {
        let facts = [
            ("revision", Some(self.revision)),
            ("token", Some(self.token)),
            ("app-version", self.app_version),
            ("oci-digest", self.oci_digest),
        ];
        facts
            .into_iter()
            .fold(note, |note, (key, value)| match value {
                Some(value) if !value.is_empty() => note.with(&format!("{GROUP}/{key}"), value),
                _ => note,
            })
    }
}

/// Returns the label selector of everything that a release applies.
pub(super) fn selector(object: &HelmRelease) -> String {
    let labels = super::chart_object::origin(object);
    let pairs: Vec<_> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    pairs.join(",")
}
