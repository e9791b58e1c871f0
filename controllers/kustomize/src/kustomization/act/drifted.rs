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
    Run, Written, remember_all, stopped,
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
        if mode == DriftDetectionMode::Disabled {
            remember_all(run, old, plan).await?;
            return Ok((self.write(run, cluster, plan).await?, None));
        }
        let is_same = is_same(run.object, run);
        let mut ids = plan.objects().iter().map(|planned| &planned.id);
        if is_same && self.drift.is_untouched(run.object, &run.digest, &mut ids) {
            tracing::debug!("nothing changed since the last run");
            return Ok((
                unchanged(old),
                run.object.status.as_ref().and_then(|s| s.drift.clone()),
            ));
        }
        self.drift.begin(run.object);
        if is_same && mode == DriftDetectionMode::Warn {
            return self.look(run, cluster, plan, old).await;
        }
        remember_all(run, old, plan).await?;
        let written = self.write(run, cluster, plan).await?;
        if is_same {
            let gone = with_action(&written.changes, Action::Created);
            let findings = Findings {
                drifts: written.drifts.clone(),
                gone,
            };
            tell(run, &findings);
            if let Some(words) = self.drift.taken_back(run.object, &findings.drifts) {
                run.progress
                    .emit(run.revision.annotate(Note::error("DriftDetected", words)));
            }
        }
        Ok((written, Some(DriftStatus::default())))
    }

    /// Tells what others changed, and leaves it.
    async fn look(
        &self,
        run: &Run<'_>,
        cluster: &Cluster,
        plan: &ApplyPlan,
        old: &Inventory,
    ) -> Result<(Written, Status), Failure> {
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
        Ok((unchanged(old), Some(status)))
    }
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
