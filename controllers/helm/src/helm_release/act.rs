//! The loop: looks at the release, decides, acts, and looks again.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use api::{
    helm::{DriftDetectionMode, HelmRelease},
    meta::Inventory as Stored,
};
use cluster::{Cluster, HealthRule};
use helm::{chart::Chart, release::Record};
use runtime::{
    Change, Class as FailureClass, Failure, Note, Progress,
    conditions::{READY, STALLED},
};
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::{
    Reconciler,
    decide::{self, Class, Facts, Next, State},
    digest,
    drift::Diff,
    history,
    journal::{DRIFTED, Journal, RELEASED, REMEDIATED},
    plan::Plan,
    spec,
};
use crate::{
    FIELD_MANAGER, GROUP, features,
    release::{Log, Session, Storage},
};

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
        let mut done = BTreeSet::new();
        loop {
            let state = run.state().await.map_err(|cause| run.no_state(&cause))?;
            tracing::debug!(?state, "release state");
            let next = run.prepare(&state).await?;
            let Some((class, name)) = next.action() else {
                return run.finish(next);
            };
            if done.contains(&class) {
                return Err(run.again());
            }
            run.announce(class, name).await?;
            match run.perform(next).await {
                Ok(()) => {}
                Err(stop) => return Err(run.stopped(stop)),
            }
            if class == Class::Remedy {
                return Err(run.remedied(next));
            }
            done.insert(class);
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
            selector: selector(self.object),
        }
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

    /// Looks at the release.
    async fn state(&mut self) -> Result<State, String> {
        let (last, _) = self
            .storage
            .last()
            .await
            .map_err(|error| error.to_string())?;
        let Some(last) = last else {
            return Ok(State::Absent);
        };
        if last.status.starts_with("pending-") {
            self.locked = Some(last);
            return Ok(State::Locked);
        }
        let Some(latest) = self.journal.status.history.first() else {
            return Ok(match last.status.as_str() {
                "uninstalled" => State::Absent,
                _ => State::Unmanaged("found existing release in storage"),
            });
        };
        let is_same = latest.name == last.name && latest.version == last.version;
        if last.status == "uninstalling" && is_same {
            return Ok(State::Leaving);
        }
        if let Err(why) = history::verifies(latest, &last) {
            return Ok(State::Unmanaged(why));
        }
        match last.status.as_str() {
            "failed" => return Ok(State::Failed),
            "uninstalled" => return Ok(State::Absent),
            "deployed" => {}
            other => {
                return Err(format!(
                    "unable to determine state for release with status '{other}'"
                ));
            }
        }
        if let Some(why) = self.out_of_sync(&last) {
            return Ok(State::OutOfSync(why));
        }
        if spec::tests(self.object) {
            if !history::was_tested(latest) {
                return Ok(State::Untested);
            }
            let counts = self.remedy().is_some_and(|r| !r.ignore_tests);
            if history::failed_tests(latest) && counts {
                return Ok(State::Failed);
            }
        }
        if self.mode() != DriftDetectionMode::Disabled {
            let diff = self.detect_drift(&last).await?;
            let drifted = diff.has_changes();
            self.diff = Some(diff);
            if drifted {
                return Ok(State::Drifted);
            }
        }
        Ok(State::InSync)
    }

    /// Says what of a deployed release is not as wanted.
    fn out_of_sync(&self, last: &Record) -> Option<&'static str> {
        let metadata = last.chart_metadata();
        let chart = &self.chart.metadata;
        if metadata["name"] != chart.name || metadata["version"] != chart.version {
            return Some("release chart changed");
        }
        let latest = self.journal.status.history.first()?;
        let text = digest::values_text(&self.values);
        if !digest::fits(&latest.config_digest, &text) {
            return Some("release config values changed");
        }
        let status = &self.journal.status;
        if status.observed_generation == self.object.metadata.generation {
            return None;
        }
        if status.observed_post_renderers_digest != digest::post_renderers(self.object) {
            return Some("postrenderers digest has changed");
        }
        if status.observed_common_metadata_digest != digest::common_metadata(self.object) {
            return Some("common metadata digest has changed");
        }
        None
    }

    /// Decides what is done about a state, and says what the state alone lets say.
    async fn prepare(&mut self, state: &State) -> Result<Next, Failure> {
        let facts = Facts {
            remedy: self.remedy(),
            install: spec::install_remedy(self.object, &self.journal.status),
            upgrade: spec::upgrade_remedy(self.object, &self.journal.status),
            retries: self.retry().is_some(),
            forced: self.forced,
            corrects: self.mode() == DriftDetectionMode::Enabled,
        };
        let next = decide::decide(state, facts);
        match (state, next) {
            (State::InSync, _) => self.in_sync(),
            (State::Untested, _) => self.released_again(),
            (State::Drifted, _) => self.tell_drift(),
            (State::Unmanaged(why), _) => {
                tracing::info!("release is not managed by this object: {why}");
                self.journal.status.history.clear();
            }
            (State::OutOfSync(why), Next::Upgrade) => {
                tracing::info!("release out-of-sync with desired state: {why}");
            }
            (State::Failed, Next::RollBack | Next::Uninstall) => {
                return self.choose_undo(next).await;
            }
            _ => {}
        }
        if next == Next::Exhausted {
            return Err(self.exhausted());
        }
        Ok(next)
    }

    fn in_sync(&mut self) {
        let ignore = self.remedy().is_some_and(|r| r.ignore_tests);
        let keeps = self.retry().is_some();
        let history = &mut self.journal.status.history;
        if keeps {
            history::keep_newest(history);
        } else {
            history::truncate(history, ignore);
        }
        self.released_again();
        let stale = self
            .journal
            .find(RELEASED)
            .map(|c| (c.status.clone(), c.reason.clone()));
        if let (Some((status, reason)), Some(latest)) = (stale, self.journal.status.history.first())
            && status == "False"
        {
            let (full, chart) = (history::full_name(latest), history::versioned_chart(latest));
            let done = match reason.as_str() {
                "InstallFailed" => Some(("InstallSucceeded", "install")),
                "UpgradeFailed" => Some(("UpgradeSucceeded", "upgrade")),
                _ => None,
            };
            if let Some((reason, action)) = done {
                let words =
                    format!("Helm {action} succeeded for release {full} with chart {chart}");
                self.journal.set(RELEASED, "True", reason, words);
            }
        }
        self.journal.summarise(self.object);
        if self.mode() == DriftDetectionMode::Disabled {
            self.journal.remove(DRIFTED);
        } else {
            let words = "No drift detected against the cluster state";
            self.journal.set(DRIFTED, "False", "NoDriftDetected", words);
        }
    }

    /// A release that was remedied is in place again: it counts as released.
    fn released_again(&mut self) {
        if !self.journal.is_true(REMEDIATED) {
            return;
        }
        if let Some(latest) = self.journal.status.history.first() {
            let (full, chart) = (history::full_name(latest), history::versioned_chart(latest));
            let words = format!("Helm upgrade succeeded for release {full} with chart {chart}");
            self.journal.remove(REMEDIATED);
            self.journal
                .set(RELEASED, "True", "UpgradeSucceeded", words);
        }
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

    /// Ends a run in which nothing is left to do.
    fn finish(mut self, next: Next) -> Result<Change, Failure> {
        if next == Next::Exhausted {
            return Err(self.exhausted());
        }
        self.journal.summarise(self.object);
        if self.journal.is_true(READY) {
            self.observe_digests();
        }
        Ok(self.journal.take())
    }

    /// Remembers the post-renderers and common metadata of the release in place.
    pub(super) fn observe_digests(&mut self) {
        let status = &mut self.journal.status;
        status.observed_post_renderers_digest = digest::post_renderers(self.object);
        status.observed_common_metadata_digest = digest::common_metadata(self.object);
    }

    /// The same kind of action would follow: another run is to do it.
    fn again(mut self) -> Failure {
        if let Some(delay) = self.retry() {
            return self.retry_after(delay);
        }
        if self.remedy().is_some_and(|r| r.is_exhausted()) {
            return self.exhausted();
        }
        self.requeue()
    }

    fn requeue(&mut self) -> Failure {
        let words = self.journal.message(READY);
        self.journal.retrying(words.clone());
        let failure = Failure::retry("ProgressingWithRetry", words).quietly();
        self.journal.end(failure)
    }

    fn retry_after(&mut self, delay: Duration) -> Failure {
        let words = format!("retrying after {}", api::meta::Duration::from(delay));
        self.journal.retrying(words.clone());
        let failure = Failure::wait(delay, "ProgressingWithRetry", words).observed(true);
        self.journal.end(failure)
    }

    /// Ends a run that undid something.
    fn remedied(mut self, next: Next) -> Failure {
        let upgraded = self.journal.status.last_attempted_release_action
            == Some(api::helm::ReleaseAction::Upgrade);
        let installs_next = next == Next::Uninstall && upgraded && self.journal.is_true(REMEDIATED);
        if self.remedy().is_some_and(|r| r.is_exhausted()) && !installs_next {
            return self.exhausted();
        }
        self.requeue()
    }

    /// No try is left: says what would help.
    pub(super) fn exhausted(&mut self) -> Failure {
        let action = match self.journal.status.last_attempted_release_action {
            Some(api::helm::ReleaseAction::Upgrade) => "upgrade",
            _ => "install",
        };
        let attempts = self.remedy().map_or(0, |r| r.failures);
        let words = format!("Failed to {action} after {attempts} attempt(s)");
        self.journal
            .set(STALLED, "True", "RetriesExceeded", words.clone());
        self.journal
            .end(Failure::stall("RetriesExceeded", words).quietly())
    }

    fn no_state(&mut self, cause: &str) -> Failure {
        let words = format!("Could not determine release state: {cause}");
        self.journal
            .set(READY, "False", "StateError", words.clone());
        self.journal
            .end(Failure::retry("StateError", words).quietly())
    }

    /// Ends a run whose action could not be carried out.
    fn stopped(mut self, stop: Stop) -> Failure {
        match stop {
            Stop::Failed(failure) => failure,
            Stop::Superseded(by) => {
                let words = format!("New reconciliation triggered by {by}");
                self.journal
                    .set(READY, "False", "HealthCheckCanceled", words.clone());
                let class = FailureClass::Superseded;
                let failure = Failure::new(class, "HealthCheckCanceled", words.clone());
                self.journal
                    .end(failure.note(Note::info("HealthCheckCanceled", words)))
            }
            Stop::Retry(cause) => {
                if self.journal.is_true(READY)
                    || self.was_ready
                        && self
                            .journal
                            .find(READY)
                            .is_some_and(|c| c.status == "Unknown")
                {
                    self.journal
                        .set(READY, "False", "ReconcileError", cause.clone());
                }
                if let Some(delay) = self.retry() {
                    tracing::error!(error = cause, "action failed");
                    return self.retry_after(delay);
                }
                self.journal
                    .end(Failure::retry("ReconcileError", cause).quietly())
            }
        }
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
