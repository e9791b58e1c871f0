//! Undoing: rollbacks, uninstallations, and leaving an old target.

use api::helm::{DeletionPropagation, Snapshot};
use helm::release::Record;
use kube::api::PropagationPolicy;
use runtime::{
    Failure, Note,
    conditions::{READY, STALLED},
};

use super::{
    act::{Facet, Run, Stop},
    decide::Next,
    history,
    journal::{RELEASED, REMEDIATED},
    perform::{latest, mismatch},
    spec,
};
use crate::release::{
    ActionError, Log, Session, Storage, Waiting, rollback,
    storage::StorageError,
    uninstall::{self, Uninstalled},
};

impl Run<'_> {
    /// Finds out whether a failed release can be undone as wanted.
    pub(super) async fn choose_undo(&mut self, next: Next) -> Result<Next, Failure> {
        let ignore = self.remedy().is_some_and(|r| r.ignore_tests);
        history::truncate(&mut self.journal.status.history, ignore);
        if next == Next::Uninstall {
            return Ok(next);
        }
        let known = history::previous(&self.journal.status.history, ignore).cloned();
        let previous = match known {
            Some(previous) => Some(previous),
            None => self.recall_previous().await?,
        };
        let Some(previous) = previous else {
            let words = "Failed to perform remediation: missing target release for rollback: cannot remediate failed release";
            self.journal
                .set(STALLED, "True", "MissingRollbackTarget", words);
            return Err(self
                .journal
                .end(Failure::stall("MissingRollbackTarget", words).quietly()));
        };
        let stored = self.storage.get(previous.version).await.map_err(|error| {
            let words = format!("cannot verify previous release for rollback: {error}");
            self.journal
                .end(Failure::retry("StateError", words).quietly())
        })?;
        let intact = stored.is_some_and(|record| history::verifies(&previous, &record).is_ok());
        if intact {
            return Ok(Next::RollBack);
        }
        tracing::info!("previous release does not match what was observed: upgrading instead");
        Ok(Next::Upgrade)
    }

    /// Finds the release that was in place before the newest one in the storage, where the status remembers none: a
    /// process that ended between a release and its status, or an adoption, left it so. From here on it is remembered.
    async fn recall_previous(&mut self) -> Result<Option<Snapshot>, Failure> {
        let Some(latest) = self.journal.status.history.first() else {
            return Ok(None);
        };
        let version = latest.version;
        let found = self.stored_before(version).await;
        let found = found.map_err(|error| {
            let words = format!("cannot find a previous release for rollback: {error}");
            self.journal
                .end(Failure::retry("StateError", words).quietly())
        })?;
        let snapshot =
            found.map(|record| history::snapshot(&record, None, self.controller.digests));
        self.journal.status.history.extend(snapshot.clone());
        Ok(snapshot)
    }

    /// Returns the newest record before a revision that was once in place.
    async fn stored_before(&self, version: i64) -> Result<Option<Record>, StorageError> {
        for revision in self.storage.revisions().await? {
            let was_in_place = matches!(revision.status.as_str(), "deployed" | "superseded");
            if revision.version < version
                && was_in_place
                && let Some(record) = self.storage.get(revision.version).await?
            {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    pub(super) async fn roll_back(&mut self) -> Result<(), Stop> {
        let ignore = self.remedy().is_some_and(|r| r.ignore_tests);
        let Some(previous) = history::previous(&self.journal.status.history, ignore).cloned()
        else {
            let words = "missing target release for rollback: required to rollback";
            return Err(Stop::Retry(words.to_owned()));
        };
        let before = self.latest_digest();
        let given = self.object.spec.rollback.clone().unwrap_or_default();
        let on = |flag: Option<bool>| flag.unwrap_or(false);
        if given.recreate.is_some() {
            tracing::warn!("the .spec.rollback.recreate field is deprecated and has no effect");
        }
        let options = rollback::Options {
            version: previous.version,
            server_side: spec::server_side(given.server_side_apply),
            force: on(given.force),
            clean_up: on(given.cleanup_on_fail),
            max_history: spec::max_history(self.object),
            waiting: Waiting {
                no_hooks: on(given.disable_hooks),
                no_wait: on(given.disable_wait),
                no_jobs: on(given.disable_wait_for_jobs),
            },
        };
        let session = self.session(self.limit("rollback"));
        let result = Box::pin(session.roll_back(options)).await;
        let log = session.log;
        let written = self.storage.take_written();
        let (history, algorithm) = (&mut self.journal.status.history, self.controller.digests);
        history::record_rewritten(history, &written, "rollback", true, algorithm);
        if let Some(newest) = written.iter().max_by_key(|w| w.record.version) {
            let manifest = newest.record.manifest.clone();
            self.take_inventory(&manifest).await;
        }
        self.told_rolled_back(&previous, result, before.as_deref(), &log)
    }

    fn told_rolled_back(
        &mut self,
        previous: &Snapshot,
        result: Result<(), ActionError>,
        before: Option<&str>,
        log: &Log,
    ) -> Result<(), Stop> {
        let (full, chart) = (
            history::full_name(previous),
            history::versioned_chart(previous),
        );
        let words = format!("Helm rollback to previous release {full} with chart {chart}");
        match result {
            Ok(()) => {
                let words = format!("{words} succeeded");
                self.journal
                    .set(REMEDIATED, "True", "RollbackSucceeded", words.clone());
                self.journal.summarise(self.object);
                self.tell_of_undo(previous, Note::info("RollbackSucceeded", words));
                Ok(())
            }
            Err(ActionError::Superseded(by)) => Err(Stop::Superseded(by)),
            Err(ActionError::Failed(cause)) => {
                let words = format!("{words} failed: {}", cause.trim());
                self.journal.status.failures = Some(self.journal.status.failures.unwrap_or(0) + 1);
                self.journal
                    .set(REMEDIATED, "False", "RollbackFailed", words.clone());
                self.journal.summarise(self.object);
                self.tell_of_undo(previous, Note::error("RollbackFailed", log.under(&words)));
                if self.latest_digest().as_deref() == before {
                    return Err(Stop::Retry(words));
                }
                Ok(())
            }
        }
    }

    /// Emits an event about a rollback: the chart gone back to, the values that failed.
    fn tell_of_undo(&self, previous: &Snapshot, note: Note) {
        let facet = Facet {
            revision: &previous.chart_version,
            token: &self.config_digest,
            app_version: previous.app_version.as_deref(),
            oci_digest: previous.oci_digest.as_deref(),
        };
        self.progress.emit(facet.annotate(note));
    }

    fn latest_digest(&self) -> Option<String> {
        self.journal
            .status
            .history
            .first()
            .map(|s| s.digest.clone())
    }

    /// Uninstalls a release that failed, so that it can be installed again.
    pub(super) async fn uninstall_remedy(&mut self) -> Result<(), Stop> {
        let latest = latest(&self.journal.status.history, "to uninstall")?;
        let session = self.session(self.limit("uninstall"));
        let result = Box::pin(session.uninstall(&self.uninstall_options())).await;
        let log = session.log;
        self.rewrite("uninstall-remediation");
        let result = match result {
            Err((_, ActionError::Superseded(by))) => return Err(Stop::Superseded(by)),
            other => self.checked(other, &latest),
        };
        let latest_now = self
            .journal
            .status
            .history
            .first()
            .cloned()
            .unwrap_or_else(|| latest.clone());
        let (full, chart) = (
            history::full_name(&latest_now),
            history::versioned_chart(&latest_now),
        );
        let words = format!("Helm uninstall remediation for release {full} with chart {chart}");
        match result {
            Ok(_) => {
                let words = format!("{words} succeeded");
                self.journal
                    .set(REMEDIATED, "True", "UninstallSucceeded", words.clone());
                self.tell_of(&latest_now, Note::info("UninstallSucceeded", words));
                Ok(())
            }
            Err(cause) => {
                let words = format!("{words} failed: {}", cause.trim());
                self.journal.status.failures = Some(self.journal.status.failures.unwrap_or(0) + 1);
                self.journal
                    .set(REMEDIATED, "False", "UninstallFailed", words.clone());
                self.tell_of(
                    &latest_now,
                    Note::error("UninstallFailed", log.under(&words)),
                );
                if self.latest_digest() == Some(latest.digest) {
                    return Err(Stop::Retry(words));
                }
                Ok(())
            }
        }
    }

    fn rewrite(&mut self, action: &str) {
        let written = self.storage.take_written();
        let (history, algorithm) = (&mut self.journal.status.history, self.controller.digests);
        history::record_rewritten(history, &written, action, false, algorithm);
    }

    fn uninstall_options(&self) -> uninstall::Options {
        options(self.object)
    }

    /// Checks that an uninstallation was about the remembered release and left a trace.
    fn checked(
        &self,
        result: Result<Uninstalled, (Option<i64>, ActionError)>,
        latest: &Snapshot,
    ) -> Result<Uninstalled, String> {
        let is_untouched = self.latest_digest().as_ref() == Some(&latest.digest);
        checked(result, latest, is_untouched)
    }

    /// Uninstalls the remembered release for good.
    ///
    /// # Errors
    /// Why it is still there.
    pub(super) async fn uninstall_for_good(&mut self, session_of: &Target) -> Result<(), Stop> {
        let Some(latest) = self.journal.status.history.first().cloned() else {
            return Ok(());
        };
        let limit = self.limit("uninstall");
        let session = Session {
            storage: &session_of.storage,
            name: session_of.name.clone(),
            namespace: session_of.namespace.clone(),
            ..self.session(limit)
        };
        let result = Box::pin(session.uninstall(&self.uninstall_options())).await;
        let log = session.log;
        let written = session_of.storage.take_written();
        let (history, algorithm) = (&mut self.journal.status.history, self.controller.digests);
        history::record_rewritten(history, &written, "uninstall", false, algorithm);
        let result = match result {
            Err((_, ActionError::Superseded(by))) => return Err(Stop::Superseded(by)),
            other => self.checked(other, &latest),
        };
        self.told_uninstalled(&latest, result, &log)
    }

    fn told_uninstalled(
        &mut self,
        latest: &Snapshot,
        result: Result<Uninstalled, String>,
        log: &Log,
    ) -> Result<(), Stop> {
        let full = history::full_name(latest);
        let chart = history::versioned_chart(latest);
        let quietly = |run: &mut Self, words: String| {
            run.journal
                .set(RELEASED, "False", "UninstallSucceeded", words);
            run.journal.summarise(run.object);
            Ok(())
        };
        let now = self
            .journal
            .status
            .history
            .first()
            .cloned()
            .unwrap_or_else(|| latest.clone());
        match result {
            Ok(Uninstalled::NotFound) => quietly(
                self,
                format!("Release {full} was not found, assuming it is uninstalled"),
            ),
            Ok(Uninstalled::Already) => {
                quietly(self, format!("Release {full} was already uninstalled"))
            }
            Ok(Uninstalled::Done(_)) => {
                let words =
                    format!("Helm uninstall succeeded for release {full} with chart {chart}");
                self.journal.status.inventory = None;
                self.journal
                    .set(RELEASED, "False", "UninstallSucceeded", words.clone());
                self.journal.summarise(self.object);
                self.tell_of(&now, Note::info("UninstallSucceeded", words));
                Ok(())
            }
            Err(cause) => {
                let cause = cause.trim();
                let words =
                    format!("Helm uninstall failed for release {full} with chart {chart}: {cause}");
                self.journal.status.failures = Some(self.journal.status.failures.unwrap_or(0) + 1);
                self.journal
                    .set(RELEASED, "False", "UninstallFailed", words.clone());
                self.journal.summarise(self.object);
                self.tell_of(&now, Note::error("UninstallFailed", log.under(&words)));
                Err(Stop::Retry(words))
            }
        }
    }

    /// Uninstalls the release that stands where this object no longer points. Returns why the run
    /// ends then.
    pub(super) async fn leave_old_target(&mut self) -> Result<Option<Failure>, Failure> {
        let status = &self.journal.status;
        let (Some(latest), Some(storage)) = (
            status.history.first().cloned(),
            status.storage_namespace.clone(),
        ) else {
            return Ok(None);
        };
        let chart = &self.chart.metadata.name;
        let Some(why) = history::target_change(self.object, &latest, &storage, chart) else {
            return Ok(None);
        };
        tracing::info!(
            "release target configuration changed ({why}): running uninstall for current release"
        );
        let client = self.cluster.client().clone();
        let target = Target {
            storage: Storage::new(client, &storage, &latest.name),
            name: latest.name.clone(),
            namespace: latest.namespace.clone(),
        };
        match self.uninstall_for_good(&target).await {
            Ok(()) => {}
            Err(Stop::Failed(failure)) => return Err(failure),
            Err(Stop::Superseded(by)) => {
                let words = format!("New reconciliation triggered by {by}");
                let failure =
                    Failure::new(runtime::Class::Superseded, "HealthCheckCanceled", words);
                return Err(self.journal.end(failure));
            }
            Err(Stop::Retry(cause)) => {
                self.journal
                    .set(READY, "False", "UninstallFailed", cause.clone());
                return Err(self
                    .journal
                    .end(Failure::retry("UninstallFailed", cause).quietly()));
            }
        }
        let status = &mut self.journal.status;
        status.history.clear();
        status.storage_namespace = None;
        (
            status.failures,
            status.install_failures,
            status.upgrade_failures,
        ) = (None, None, None);
        let words = format!("release target changed: {why}");
        Ok(Some(
            self.journal
                .end(Failure::retry("Progressing", words).quietly()),
        ))
    }
}

fn checked(
    result: Result<Uninstalled, (Option<i64>, ActionError)>,
    latest: &Snapshot,
    is_untouched: bool,
) -> Result<Uninstalled, String> {
    let version = match &result {
        Ok(Uninstalled::Done(version)) => Some(*version),
        Ok(_) => None,
        Err((version, _)) => *version,
    };
    if let Some(version) = version.filter(|v| *v != latest.version) {
        return Err(mismatch("uninstalled", latest, version));
    }
    let done = result.map_err(|(_, error)| error.to_string())?;
    if matches!(done, Uninstalled::Done(_)) && is_untouched && latest.status != "uninstalled" {
        return Err(
            "uninstall completed with error: release not updated in Helm storage".to_owned(),
        );
    }
    Ok(done)
}

/// A release that is to go, wherever it is.
pub(super) struct Target {
    pub(super) storage: Storage,
    pub(super) name: String,
    pub(super) namespace: String,
}

/// Reads how a release is uninstalled.
pub(super) fn options(object: &api::helm::HelmRelease) -> uninstall::Options {
    let given = object.spec.uninstall.clone().unwrap_or_default();
    let on = |flag: Option<bool>| flag.unwrap_or(false);
    uninstall::Options {
        keep_history: on(given.keep_history),
        propagation: match given.deletion_propagation.unwrap_or_default() {
            DeletionPropagation::Background => PropagationPolicy::Background,
            DeletionPropagation::Foreground => PropagationPolicy::Foreground,
            DeletionPropagation::Orphan => PropagationPolicy::Orphan,
        },
        waiting: Waiting {
            no_hooks: on(given.disable_hooks),
            no_wait: on(given.disable_wait),
            no_jobs: false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: HC-112, HC-120, HC-123
    #[test]
    fn action_on_another_revision_or_without_a_trace_is_an_error() {
        let latest: Snapshot = serde_json::from_value(serde_json::json!({
            "name": "app", "namespace": "ns", "version": 2, "status": "deployed", "digest": "sha256:1",
            "chartName": "c", "chartVersion": "1.0.0", "configDigest": "sha256:2",
            "firstDeployed": "2026-01-01T00:00:00Z", "lastDeployed": "2026-01-01T00:00:00Z" }))
        .unwrap();
        let of = |result, is_untouched| {
            let checked = checked(result, &latest, is_untouched);
            checked.err()
        };
        let mismatch = |done: &str| {
            format!("release mismatch: {done} release ns/app.v3 != current release ns/app.v2")
        };
        let failed = || ActionError::Failed("no".to_owned());
        assert_eq!(of(Ok(Uninstalled::Done(2)), false), None);
        assert_eq!(
            of(Ok(Uninstalled::Done(3)), false),
            Some(mismatch("uninstalled"))
        );
        assert_eq!(
            of(Err((Some(3), failed())), false),
            Some(mismatch("uninstalled"))
        );
        assert_eq!(of(Err((Some(2), failed())), false), Some("no".to_owned()));
        assert_eq!(
            of(Ok(Uninstalled::Done(2)), true).as_deref(),
            Some("uninstall completed with error: release not updated in Helm storage")
        );
        // Nothing was to be written of what is not there or kept.
        assert_eq!(of(Ok(Uninstalled::NotFound), true), None);
        assert_eq!(of(Ok(Uninstalled::Already), true), None);
        assert_eq!(super::mismatch("tested", &latest, 3), mismatch("tested"));
    }
}
