//! Staged server-side apply.
//!
//! Stage by stage: every object is dry-run first, and only when the API server would accept all of
//! them are they written. A write happens only where the dry run differs from the live object.

mod check;
mod detect;
mod dry_run;
mod error;
mod plan;
mod write;

use std::{collections::BTreeSet, pin::pin, time::Duration};

use futures::{FutureExt, Stream, StreamExt, stream};
use manifest::{
    ChangeSet, ObjectId,
    change_set::{Action, Change},
    diff::FieldChange,
    ignore::IgnoreRule,
    managed_fields::Editor,
    metadata::Owner,
    order::{self, GroupKind, Stage},
};
use serde_json::Value;

pub use error::{ApplyError, Cause, ObjectError, Step};
pub use plan::{ApplyPlan, PlanError, PlannedObject};

use crate::{Cluster, discovery::Resource, wait::WaitOptions};
use check::Checked;

/// How to apply.
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
#[derive(Clone, Debug)]
pub struct ApplyOptions {
    /// Server-side apply field manager, for example `kustomize-controller`.
    pub field_manager: String,
    /// The unit that owns the objects; its labels are set on each of them.
    pub owner: Owner,
    /// Delete and make again what cannot be changed in place.
    pub force: bool,
    /// Fields to leave alone, in order.
    pub ignore: Vec<IgnoreRule>,
    /// Further field managers whose fields are taken over.
    pub override_managers: Vec<String>,
    /// Kinds that are applied before the last stage.
    pub custom_stage_kinds: Vec<GroupKind>,
    /// Refuse fields of built-in kinds that the API server does not know, instead of dropping them.
    pub strict_fields: bool,
    /// Move managed fields to the API version that is applied.
    pub migrate_api_version: bool,
    /// How many requests run at once; at least one does.
    pub concurrency: usize,
    /// How many errors an [`ApplyError`] lists at most.
    pub max_errors: usize,
    /// Apply what can be applied, although other objects fail.
    pub continue_on_error: bool,
}

impl ApplyOptions {
    /// Returns the defaults for a field manager and an owner.
    pub fn new(field_manager: impl Into<String>, owner: Owner) -> Self {
        Self {
            field_manager: field_manager.into(),
            owner,
            force: false,
            ignore: Vec::new(),
            override_managers: Vec::new(),
            custom_stage_kinds: Vec::new(),
            strict_fields: false,
            migrate_api_version: false,
            concurrency: 4,
            max_errors: 20,
            continue_on_error: false,
        }
    }
}

/// What an apply did.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// Every object and what happened to it, in apply order.
    pub changes: ChangeSet,
    /// What differed on the objects that existed and were configured.
    pub drifts: Vec<Drift>,
    /// Fields that the API server does not know and that were not sent.
    pub dropped: Vec<DroppedFields>,
    /// Objects of built-in kinds that were ready already as the API server returned them: see
    /// [`crate::WaitOptions::ready`].
    pub ready: BTreeSet<ObjectId>,
}

impl Applied {
    fn append(&mut self, other: Self) {
        self.changes.append(other.changes);
        self.drifts.extend(other.drifts);
        self.dropped.extend(other.dropped);
        self.ready.extend(other.ready);
    }
}

/// What differed on one object before it was applied.
#[derive(Clone, Debug)]
pub struct Drift {
    /// The object.
    pub id: ObjectId,
    /// The fields, Secrets masked.
    pub fields: Vec<FieldChange>,
    /// Who wrote them, the latest first; empty when fields were only removed.
    pub editors: Vec<Editor>,
}

impl Drift {
    /// Returns the field manager that wrote last, if any is known.
    pub fn manager(&self) -> Option<&str> {
        self.editors.first().map(|editor| editor.manager.as_str())
    }
}

/// Fields of one object that were left out: a typing error, or meant for another API version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DroppedFields {
    /// The object.
    pub id: ObjectId,
    /// Where, in the API server's notation, for example `.spec.replicass`.
    pub paths: Vec<String>,
}

/// One stage that has been written, and what has to be ready before the next may start.
#[derive(Debug, Default)]
pub struct StageApplied {
    /// What the stage did.
    pub applied: Applied,
    /// The stage's objects as the API server stores them now, where they must be ready first.
    pub await_ready: Vec<(Resource, Value)>,
    /// The objects that could not be applied, where [`ApplyOptions::continue_on_error`] is set.
    pub failed: Vec<ObjectError>,
}

/// How long the objects of a stage may take to become ready.
const STAGE_TIMEOUT: Duration = Duration::from_mins(1);

impl Cluster {
    /// Applies a plan, stage by stage, each ready before the next starts.
    ///
    /// # Errors
    /// [`ApplyError`] with every object of the stage that failed, and what was done before.
    pub async fn apply(&self, plan: &ApplyPlan) -> Result<Applied, ApplyError> {
        let mut applied = Applied::default();
        let mut failed = Vec::new();
        for stage in plan.stages() {
            let result = self.apply_stage(plan, stage).await;
            let done = match result {
                Ok(done) => done,
                Err(mut error) => {
                    applied.append(error.applied);
                    error.applied = applied;
                    return Err(error);
                }
            };
            applied.append(done.applied);
            failed.extend(done.failed);
            let options = WaitOptions {
                fail_fast: false,
                ..WaitOptions::new(STAGE_TIMEOUT)
            };
            if let Err(error) = self.wait_from(&done.await_ready, &options).await {
                return Err(ApplyError::not_ready(error, applied));
            }
        }
        if failed.is_empty() {
            return Ok(applied);
        }
        let most = plan.options().max_errors;
        Err(ApplyError::new(failed, most, applied))
    }

    /// Applies one stage of a plan: dry-runs all its objects, then writes those that differ.
    ///
    /// The caller waits for [`StageApplied::await_ready`] (with [`Self::wait_from`]) before the next
    /// stage; [`Self::apply`] does all of it.
    ///
    /// # Errors
    /// [`ApplyError`] with every object that failed, and what was written before.
    pub async fn apply_stage(
        &self,
        plan: &ApplyPlan,
        stage: Stage,
    ) -> Result<StageApplied, ApplyError> {
        let (checked, mut failed) = self.check_all(plan, plan.stage(stage)).await?;
        let result = self.write_all(plan, checked).await;
        if stage == Stage::Definitions {
            for group in plan.defined_groups() {
                self.discovery.forget(group);
            }
        }
        let (applied, stored, unwritten) = result?;
        failed.extend(unwritten);
        Ok(StageApplied {
            applied,
            await_ready: if stage.is_waited_for() {
                stored
            } else {
                Vec::new()
            },
            failed,
        })
    }

    /// Dry-runs objects, a few at a time. All are tried, and all errors are kept, in apply order.
    /// Returns those that the API server would accept, and those that it would not where the rest
    /// goes on without them.
    async fn check_all<'a>(
        &self,
        plan: &ApplyPlan,
        objects: impl Iterator<Item = &'a PlannedObject>,
    ) -> Result<(Vec<Checked<'a>>, Vec<ObjectError>), ApplyError> {
        let options = plan.options();
        let objects: Vec<_> = objects.collect();
        // By index and boxed: a closure over references would tie this future to a thread.
        let results = stream::iter(0..objects.len())
            .map(|index| self.check(plan, objects[index]).boxed())
            .buffered(options.concurrency.max(1));
        let (checked, errors) = split(results).await;
        if goes_on(options, &errors) {
            Ok((checked, errors))
        } else {
            Err(ApplyError::new(
                errors,
                options.max_errors,
                Applied::default(),
            ))
        }
    }

    /// Writes what has to be written. Objects of one rank are written side by side, ranks one after
    /// the other: a Deployment finds its ConfigMap.
    async fn write_all(
        &self,
        plan: &ApplyPlan,
        checked: Vec<Checked<'_>>,
    ) -> Result<(Applied, Vec<(Resource, Value)>, Vec<ObjectError>), ApplyError> {
        let options = plan.options();
        let mut applied = Applied::default();
        let (mut stored, mut failed) = (Vec::new(), Vec::new());
        let mut pending = checked.into_iter().peekable();
        while let Some(first) = pending.next() {
            let rank = order::rank(&first.id.kind);
            let mut batch = vec![first];
            while let Some(next) = pending.next_if(|next| order::rank(&next.id.kind) == rank) {
                batch.push(next);
            }
            let work: Vec<_> = batch
                .into_iter()
                .map(|object| self.write(plan, object).boxed())
                .collect();
            let results = stream::iter(work).buffered(options.concurrency.max(1));
            let (written, errors) = split(results).await;
            for object in written {
                record(object, &mut applied, &mut stored);
            }
            if !goes_on(options, &errors) {
                return Err(ApplyError::new(errors, options.max_errors, applied));
            }
            failed.extend(errors);
        }
        Ok((applied, stored, failed))
    }
}

/// Whether an apply goes on after these errors: there are none, or it is to go on without what
/// failed and the API server answers.
fn goes_on(options: &ApplyOptions, errors: &[ObjectError]) -> bool {
    let answered = || !errors.iter().any(ObjectError::is_unreachable);
    errors.is_empty() || (options.continue_on_error && answered())
}

/// Collects results in order. Once the API server does not answer, what has not been tried yet is
/// not tried: it would only fail the same way, seconds later.
async fn split<T>(
    results: impl Stream<Item = Result<T, ObjectError>>,
) -> (Vec<T>, Vec<ObjectError>) {
    let mut results = pin!(results);
    let (mut done, mut errors) = (Vec::new(), Vec::new());
    while let Some(result) = results.next().await {
        match result {
            Ok(it) => done.push(it),
            Err(error) => {
                let gone = error.is_unreachable();
                errors.push(error);
                if gone {
                    break;
                }
            }
        }
    }
    (done, errors)
}

fn record(written: write::Written, applied: &mut Applied, stored: &mut Vec<(Resource, Value)>) {
    if !written.fields.is_empty() && written.action == Action::Configured {
        applied.drifts.push(Drift {
            id: written.id.clone(),
            fields: written.fields,
            editors: written.editors,
        });
    }
    if !written.dropped.is_empty() {
        let (id, paths) = (written.id.clone(), written.dropped);
        applied.dropped.push(DroppedFields { id, paths });
    }
    if written.ready {
        applied.ready.insert(written.id.clone());
    }
    applied.changes.push(Change {
        id: written.id,
        version: written.resource.gvk.version.clone(),
        action: written.action,
    });
    if let Some(object) = written.stored {
        stored.push((written.resource, object));
    }
}
