//! Applies, or finds that nothing is to be applied, and tells what others changed.

use api::{
    Reconciled,
    kustomize::{DriftDetectionMode, DriftStatus, Kustomization},
};
use cluster::{ApplyPlan, Cluster};
use jiff::Timestamp;
use manifest::{
    ChangeSet, Inventory,
    change_set::{Action, Change},
};
use runtime::{Failure, Note};

use super::{
    super::{
        Reconciler,
        drift::{self, Findings},
    },
    Run, remember_all,
    write::{Written, stopped},
};

/// What `status.drift` is to be: absent where nobody looks for drift.
type Status = Option<DriftStatus>;

impl Reconciler {
    /// Brings the cluster to what the plan says, as far as `driftDetection` lets it.
    pub(super) async fn bring(
        &self,
        run: &Run<'_>,
        cluster: &Cluster,
        plan: &ApplyPlan,
        old: &Inventory,
    ) -> Result<(Written, Status), Failure> {
        let mode = drift::mode(run.object);
        // Where drift is not looked for, the others have time until the interval.
        let looks = mode != DriftDetectionMode::Disabled;
        if !(looks && self.drift.has_changed(run.object))
            && let Some(part) = self.alone.part(run.object, &run.digest, plan)
        {
            remember_all(run, old, plan).await?;
            let mut written = self.write(run, cluster, &part).await?;
            self.alone.complete(run.object, &mut written);
            self.alone.record(run.object, &run.digest, &written, false);
            return Ok((written, told(run.object)));
        }
        let is_same = is_same(run.object, run);
        let ids = || plan.objects().iter().map(|planned| &planned.id);
        let may_rest = is_same && !super::super::is_asked_for(run.object);
        if may_rest && self.drift.is_untouched(run.object, &run.digest, ids()) {
            tracing::debug!("nothing changed since the last run");
            let written = Written {
                rested: true,
                ..unchanged(old)
            };
            return Ok((written, told(run.object)));
        }
        self.drift.begin(run.object);
        if mode == DriftDetectionMode::Disabled {
            return Ok((self.write_all(run, cluster, plan, old).await?, None));
        }
        let unwatched = self.drift.unwatched(run.object, ids());
        if is_same && mode == DriftDetectionMode::Warn {
            let (written, mut status) = self.look(run, cluster, plan, old).await?;
            status.unwatched = unwatched;
            return Ok((written, Some(status)));
        }
        let written = self.write_all(run, cluster, plan, old).await?;
        if is_same {
            self.tell_taken_back(run, &written);
        }
        let status = DriftStatus {
            unwatched,
            ..DriftStatus::default()
        };
        Ok((written, Some(status)))
    }

    /// Tells what was found changed and has been applied again.
    fn tell_taken_back(&self, run: &Run<'_>, written: &Written) {
        let findings = Findings {
            drifts: written.drifts.clone(),
            gone: with_action(&written.changes, Action::Created),
        };
        tell(run, &findings);
        if let Some(words) = self.drift.taken_back(run.object, &findings.drifts) {
            let note = Note::error("DriftDetected", words);
            run.progress.emit(run.revision.annotate(note));
        }
    }

    /// Applies all objects, once it is stored what will be owned.
    async fn write_all(
        &self,
        run: &Run<'_>,
        cluster: &Cluster,
        plan: &ApplyPlan,
        old: &Inventory,
    ) -> Result<Written, Failure> {
        remember_all(run, old, plan).await?;
        let written = self.write(run, cluster, plan).await?;
        self.alone.record(run.object, &run.digest, &written, true);
        Ok(written)
    }

    /// Tells what others changed, and leaves it.
    async fn look(
        &self,
        run: &Run<'_>,
        cluster: &Cluster,
        plan: &ApplyPlan,
        old: &Inventory,
    ) -> Result<(Written, DriftStatus), Failure> {
        let seen = cluster.detect(plan).await;
        let seen = seen.map_err(|error| stopped(run, &ChangeSet::default(), &error.to_string()))?;
        let findings = Findings {
            gone: with_action(&seen.changes, Action::Created),
            drifts: seen.drifts,
        };
        let status = findings.status(run.object, Timestamp::now());
        if !drift::is_told(run.object, &status) {
            tell(run, &findings);
        }
        Ok((unchanged(old), status))
    }
}

/// What the status says already.
fn told(object: &Kustomization) -> Status {
    object.status.as_ref().and_then(|s| s.drift.clone())
}

fn tell(run: &Run<'_>, findings: &Findings) {
    if findings.is_empty() {
        return;
    }
    let name = run.object.metadata.name.as_deref().unwrap_or_default();
    let words = findings.words(name);
    tracing::info!(revision = %run.revision.name, "{words}");
    run.progress
        .emit(run.revision.annotate(Note::error("DriftDetected", words)));
}

/// Whether the last run applied the same, with success, for the same generation.
fn is_same(object: &Kustomization, run: &Run<'_>) -> bool {
    let Some(status) = &object.status else {
        return false;
    };
    let last = status.history.first();
    status.last_applied_revision.as_deref() == Some(run.revision.name.as_str())
        && object.observed_generation() == object.metadata.generation
        && last.is_some_and(|entry| {
            entry.digest == run.digest && entry.last_reconciled_status == "ReconciliationSucceeded"
        })
}

fn with_action(changes: &ChangeSet, action: Action) -> Vec<manifest::ObjectId> {
    let entries = changes.entries().iter();
    let hits = entries.filter(|change| change.action == action);
    hits.map(|change| change.id.clone()).collect()
}

/// Everything owned, as it is.
fn unchanged(old: &Inventory) -> Written {
    let mut changes = ChangeSet::default();
    for entry in old.entries() {
        changes.push(Change {
            id: entry.id.clone(),
            version: entry.version.clone(),
            action: Action::Unchanged,
        });
    }
    Written {
        changes,
        ..Written::default()
    }
}
