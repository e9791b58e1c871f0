//! Writes the objects of a plan, stage by stage.

use std::{collections::BTreeSet, time::Duration};

use cluster::{
    ApplyError, ApplyPlan, Cluster, Drift, DroppedFields, ObjectError, StageApplied, WaitError,
    WaitOptions,
};
use manifest::{ChangeSet, Inventory, ObjectId, change_set::Action, inventory::Entry};
use runtime::{Change, Failure, Parked};

use super::{super::Reconciler, Run, SLACK, superseded};

/// How long an early stage (definitions, classes) may take to become ready.
const STAGE_TIMEOUT: Duration = Duration::from_mins(1);

/// What an apply did.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) changes: ChangeSet,
    pub(super) drifts: Vec<Drift>,
    pub(super) dropped: Vec<DroppedFields>,
    /// What was ready as it was stored.
    pub(super) ready: BTreeSet<ObjectId>,
    /// What could not be applied, where the run goes on without it.
    pub(super) failed: Vec<Failed>,
    /// Nothing was asked for, and nothing had changed: nothing was even looked at.
    pub(super) rested: bool,
}

/// An object that could not be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) id: ObjectId,
    /// Why, with the object's name.
    pub(super) message: String,
    /// Whether it may be there although it failed.
    pub(super) may_exist: bool,
}

impl From<&ObjectError> for Failed {
    fn from(error: &ObjectError) -> Self {
        Self {
            id: error.id.clone(),
            message: cluster::chain_text(error),
            may_exist: error.may_have_written(),
        }
    }
}

impl Written {
    /// What is owned while some objects fail: all that was applied, what was owned before, and what
    /// may have come to be.
    pub(super) fn inventory(&self, old: &Inventory, planned: &Inventory) -> Inventory {
        let risky = self.failed.iter().filter(|failed| failed.may_exist);
        let risky: BTreeSet<_> = risky.map(|failed| &failed.id).collect();
        let is_risky = |entry: &&Entry| risky.contains(&entry.id);
        let risky = planned.entries().iter().filter(is_risky).cloned();
        let applied = self.changes.inventory();
        applied.union(old).union(&Inventory::new(risky))
    }

    fn take(&mut self, stage: StageApplied) -> Vec<(cluster::Resource, serde_json::Value)> {
        self.changes.append(stage.applied.changes);
        self.drifts.extend(stage.applied.drifts);
        self.dropped.extend(stage.applied.dropped);
        self.ready.extend(stage.applied.ready);
        self.failed.extend(stage.failed.iter().map(Failed::from));
        stage.await_ready
    }
}

impl Reconciler {
    /// Applies stage by stage; definitions and classes are waited for.
    pub(super) async fn write(
        &self,
        run: &Run<'_>,
        cluster: &Cluster,
        plan: &ApplyPlan,
    ) -> Result<Written, Failure> {
        let mut written = Written::default();
        for stage in plan.stages() {
            let pending = match cluster.apply_stage(plan, stage).await {
                Ok(stage) => written.take(stage),
                Err(error) => return Err(stopped_by(run, written.changes, error)),
            };
            if pending.is_empty() {
                continue;
            }
            let options = WaitOptions {
                fail_fast: false,
                rules: run.rules(),
                ..WaitOptions::new(STAGE_TIMEOUT)
            };
            let ready = cluster.wait_from(&pending, &options);
            match run.progress.park(STAGE_TIMEOUT + SLACK, ready).await {
                Parked::Done(Ok(())) => {}
                Parked::Done(Err(error)) if plan.options().continue_on_error => {
                    written.failed.extend(not_ready(&error));
                }
                Parked::Done(Err(error)) => {
                    return Err(stopped(run, &written.changes, &error.to_string()));
                }
                Parked::Expired => {
                    let cause = "timed out waiting for the stage";
                    return Err(stopped(run, &written.changes, cause));
                }
                Parked::Superseded(by) => return Err(superseded(run, &by)),
            }
        }
        let modified = written.changes.modified();
        if !modified.is_empty() {
            tracing::info!(revision = %run.revision.name, output = %modified, "server-side apply completed");
            run.tell(modified.to_string());
        }
        Ok(written)
    }
}

/// Objects of an early stage that did not become ready: what needs them fails by itself.
fn not_ready(error: &WaitError) -> impl Iterator<Item = Failed> + '_ {
    error.unready().iter().map(|unready| Failed {
        id: unready.id.clone(),
        message: unready.to_string(),
        may_exist: true,
    })
}

fn stopped_by(run: &Run<'_>, mut changes: ChangeSet, error: ApplyError) -> Failure {
    let message = error.to_string();
    changes.append(error.applied.changes);
    stopped(run, &changes, &message)
}

/// Fails an apply that stopped half-way; what was done is told too.
pub(super) fn stopped(run: &Run<'_>, changes: &ChangeSet, message: &str) -> Failure {
    let done = changes.filter(|a| a != Action::Unchanged && a != Action::Skipped);
    let failure = run.failed("ReconciliationFailed", format!("{message}\n{done}"));
    // A list of failed objects is for those that go on without them.
    match run.object.continue_on_error() {
        Ok(true) => failure,
        _ => failure.with(Change::default().unset("failures")),
    }
}
