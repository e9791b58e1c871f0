//! The actions: Helm's, with what conditions and events say of them.

use api::helm::{ReleaseAction, Snapshot};
use runtime::Note;
use serde_json::Value;
use tokio::time::Instant;

use super::{
    act::{Facet, Run, Stop},
    chart_object,
    decide::Next,
    history,
    journal::{RELEASED, REMEDIATED, TESTED},
    spec,
};
use crate::release::{
    ActionError,
    crds::{self, Policy},
    objects::{self, Unserved},
    storage::Written,
};

mod deliver;
mod test;
mod unlock;

pub(super) use deliver::post_renderer;

/// One of the two actions that release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Releasing {
    Install,
    Upgrade,
}

impl Releasing {
    fn word(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Upgrade => "upgrade",
        }
    }

    fn reason(self, succeeded: bool) -> &'static str {
        match (self, succeeded) {
            (Self::Install, true) => "InstallSucceeded",
            (Self::Install, false) => "InstallFailed",
            (Self::Upgrade, true) => "UpgradeSucceeded",
            (Self::Upgrade, false) => "UpgradeFailed",
        }
    }
}

impl Run<'_> {
    /// Carries an action out.
    pub(super) async fn perform(&mut self, next: Next) -> Result<(), Stop> {
        match next {
            Next::Install => self.release_by(Releasing::Install).await,
            Next::Upgrade | Next::Adopt => self.release_by(Releasing::Upgrade).await,
            Next::Test => self.test().await,
            Next::Unlock => self.unlock().await,
            Next::Correct => self.correct().await,
            Next::RollBack => self.roll_back().await,
            Next::Uninstall => self.uninstall_remedy().await,
            Next::Done | Next::Exhausted => Ok(()),
        }
    }

    async fn release_by(&mut self, how: Releasing) -> Result<(), Stop> {
        let status = &mut self.journal.status;
        status.last_attempted_release_action = Some(match how {
            Releasing::Install => ReleaseAction::Install,
            Releasing::Upgrade => ReleaseAction::Upgrade,
        });
        if how == Releasing::Install {
            status.history.clear();
        }
        self.journal.remove(TESTED);
        self.journal.remove(REMEDIATED);
        let started = Instant::now();
        let session = self.session(self.limit(how.word()));
        let result = match how {
            Releasing::Install => Box::pin(self.install(&session)).await,
            Releasing::Upgrade => Box::pin(self.upgrade(&session)).await,
        };
        let log = session.log;
        let took = api::meta::Duration::from(started.elapsed());
        self.journal.status.last_attempted_release_action_duration = Some(took);
        let written = self.storage.take_written();
        self.remember(&written, how).await;
        match result {
            Ok(()) => {
                self.succeeded(how);
                Ok(())
            }
            Err(ActionError::Superseded(by)) => Err(Stop::Superseded(by)),
            Err(ActionError::Failed(cause)) => {
                let message = self.failed(how, &cause, &log);
                if written.is_empty() {
                    return Err(Stop::Retry(message));
                }
                let status = &mut self.journal.status;
                let count = match how {
                    Releasing::Install => &mut status.install_failures,
                    Releasing::Upgrade => &mut status.upgrade_failures,
                };
                *count = Some(count.unwrap_or(0) + 1);
                Ok(())
            }
        }
    }

    /// Puts what was written into history and inventory.
    async fn remember(&mut self, written: &[Written], how: Releasing) {
        let status = &mut self.journal.status;
        let oci = status.last_attempted_revision_digest.clone();
        let algorithm = self.controller.digests;
        history::record_release(&mut status.history, written, how.word(), oci, algorithm);
        let newest = written.iter().max_by_key(|w| w.record.version);
        if let Some(Written { record, .. }) = newest {
            let manifest = record.manifest.clone();
            self.take_inventory(&manifest).await;
        }
    }

    /// Remembers the objects of a manifest, and the chart's definitions.
    pub(super) async fn take_inventory(&mut self, manifest: &str) {
        let namespace = spec::release_namespace(self.object);
        let mut targets = objects::build(&self.cluster, manifest, &namespace, Unserved::Skip)
            .await
            .unwrap_or_default();
        for definition in self.definitions().unwrap_or_default() {
            let text = definition.to_string();
            let built = objects::build(&self.cluster, &text, "", Unserved::Skip).await;
            targets.extend(built.unwrap_or_default());
        }
        self.set_inventory(&objects::inventory(&targets));
    }

    fn definitions(&self) -> Result<Vec<Value>, String> {
        let policy = match self.journal.status.last_attempted_release_action {
            Some(ReleaseAction::Upgrade) => self.object.spec.upgrade.as_ref().and_then(|u| u.crds),
            _ => self.object.spec.install.as_ref().and_then(|i| i.crds),
        };
        if spec::crd_policy(policy) == Policy::Skip || self.chart.crds().is_empty() {
            return Ok(Vec::new());
        }
        let mut chart = (*self.chart).clone();
        helm::values::process_dependencies(&mut chart, &self.values).map_err(|e| e.to_string())?;
        crds::read(&chart, &chart_object::origin(self.object))
    }

    fn succeeded(&mut self, how: Releasing) {
        let Some(latest) = self.journal.status.history.first().cloned() else {
            return;
        };
        let (full, chart) = (
            history::full_name(&latest),
            history::versioned_chart(&latest),
        );
        let word = how.word();
        let words = format!("Helm {word} succeeded for release {full} with chart {chart}");
        self.journal
            .set(RELEASED, "True", how.reason(true), words.clone());
        if spec::tests(self.object) && !history::was_tested(&latest) {
            let words = format!("Helm release {full} with chart {chart} is awaiting tests");
            self.journal.set(TESTED, "Unknown", "AwaitingTests", words);
        }
        if self.retry().is_some() {
            let status = &mut self.journal.status;
            (
                status.failures,
                status.install_failures,
                status.upgrade_failures,
            ) = (None, None, None);
        }
        self.observe_digests();
        self.journal.summarise(self.object);
        self.tell_of(&latest, Note::info(how.reason(true), words));
    }

    /// Emits an event about a release.
    pub(super) fn tell_of(&self, snapshot: &Snapshot, note: Note) {
        let facet = Facet {
            revision: &snapshot.chart_version,
            token: &snapshot.config_digest,
            app_version: snapshot.app_version.as_deref(),
            oci_digest: snapshot.oci_digest.as_deref(),
        };
        self.progress.emit(facet.annotate(note));
    }

    /// Says that a release failed. Returns what was said.
    fn failed(&mut self, how: Releasing, cause: &str, log: &crate::release::Log) -> String {
        let (namespace, name) = (
            spec::release_namespace(self.object),
            spec::release_name(self.object),
        );
        let metadata = &self.chart.metadata;
        let words = format!(
            "Helm {} failed for release {namespace}/{name} with chart {}@{}: {}",
            how.word(),
            metadata.name,
            metadata.version,
            cause.trim()
        );
        self.journal.status.failures = Some(self.journal.status.failures.unwrap_or(0) + 1);
        self.journal
            .set(RELEASED, "False", how.reason(false), words.clone());
        self.journal.summarise(self.object);
        let facet = Facet {
            revision: &self.chart.metadata.version,
            token: &self.config_digest,
            app_version: Some(&self.chart.metadata.app_version),
            oci_digest: self
                .journal
                .status
                .last_attempted_revision_digest
                .as_deref(),
        };
        let note = Note::error(how.reason(false), log.under(&words));
        self.progress.emit(facet.annotate(note));
        words
    }
}

/// Returns the newest snapshot, which an action is required to have.
pub(super) fn latest(history: &[Snapshot], required: &str) -> Result<Snapshot, Stop> {
    let words = || Stop::Retry(format!("no latest release: required {required}"));
    history.first().cloned().ok_or_else(words)
}

/// Says that an action was about another revision than the one that is remembered.
pub(super) fn mismatch(done: &str, latest: &Snapshot, version: i64) -> String {
    let (namespace, name) = (&latest.namespace, &latest.name);
    let full = history::full_name(latest);
    format!(
        "release mismatch: {done} release {namespace}/{name}.v{version} != current release {full}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: HC-113
    #[test]
    fn test_of_a_release_that_nobody_remembers_is_refused() {
        let Err(Stop::Retry(words)) = latest(&[], "for test") else {
            panic!("it is not refused");
        };
        assert_eq!(words, "no latest release: required for test");
        let snapshot = |version: i64| -> Snapshot {
            let time = "2026-01-01T00:00:00Z";
            let snapshot = serde_json::json!({ "digest": "sha256:1", "name": "app", "namespace": "ns",
                "version": version, "status": "deployed", "chartName": "app", "chartVersion": "1.0.0",
                "configDigest": "sha256:2", "firstDeployed": time, "lastDeployed": time });
            serde_json::from_value(snapshot).unwrap()
        };
        let found = latest(&[snapshot(2), snapshot(1)], "for test");
        assert!(matches!(found, Ok(found) if found.version == 2));
    }
}
