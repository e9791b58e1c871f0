//! Applies what was built, deletes what left, waits until it is healthy.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use api::kustomize::Kustomization;
use cluster::{
    ApplyOptions, ApplyPlan, Cluster, Drift, DroppedFields, HealthRule, PlanError, WaitOptions,
};
use expression::health::Rules;
use jiff::Timestamp;
use manifest::{ChangeSet, Inventory, change_set::Action, ignore::IgnoreRule};
use runtime::{Change, Failure, Note, Parked, Progress};

use super::{
    Reconciler, guard, health,
    plan::{Content, Objects, Plan, Sealed},
    report::{self, Outcome, Revision},
    timeout,
};
use crate::{FIELD_MANAGER, features};

mod drifted;
mod prune;
mod wait;

/// How long an early stage (definitions, classes) may take to become ready.
const STAGE_TIMEOUT: Duration = Duration::from_mins(1);
/// A wait ends by itself; this much later it is cut off.
const SLACK: Duration = Duration::from_secs(10);
/// The most objects with unknown fields that an event names.
const MAX_DROPPED: usize = 20;

/// What an apply did.
#[derive(Debug, Default)]
struct Written {
    changes: ChangeSet,
    drifts: Vec<Drift>,
    dropped: Vec<DroppedFields>,
}

/// A run in its writing part: what every step needs to report a failure.
struct Run<'a> {
    object: &'a Kustomization,
    revision: Revision,
    digest: String,
    rules: Option<Arc<Rules>>,
    started: Timestamp,
    progress: &'a Progress,
}

impl Run<'_> {
    /// Fails the run; the history remembers what was built.
    fn failed(&self, reason: &str, message: impl Into<String>) -> Failure {
        let now = Timestamp::now();
        let took = now
            .duration_since(self.started)
            .try_into()
            .unwrap_or_default();
        let entry = report::attempt(&self.revision, &self.digest, reason, now, took);
        let history = Change::default().set("history", report::history(self.object, entry));
        report::failed(&self.revision, reason, message).with(history)
    }

    fn rules(&self) -> Option<Arc<dyn HealthRule>> {
        let rules = self.rules.clone()?;
        Some(rules)
    }

    fn tell(&self, message: String) {
        self.progress
            .emit(self.revision.annotate(Note::info("Progressing", message)));
    }

    async fn note(&self, doing: &str) -> Result<(), Failure> {
        let limit = api::meta::Duration::from(timeout(self.object));
        let name = &self.revision.name;
        self.progress
            .note(format!(
                "{doing} for revision {name} with a timeout of {limit}"
            ))
            .await
    }
}

impl Reconciler {
    /// Carries a plan out.
    pub(super) async fn apply(
        &self,
        object: &Kustomization,
        plan: Plan,
        progress: &Progress,
    ) -> Result<Outcome, Failure> {
        let Plan {
            revision,
            content,
            rules,
            is_new_revision,
        } = plan;
        let Objects {
            list: objects,
            digest,
            origins,
        } = match content {
            Content::Open(objects) => objects,
            Content::Sealed(sealed) => self.open(object, &revision, *sealed).await?,
        };
        let run = Run {
            object,
            revision,
            digest,
            rules: (!rules.is_empty()).then_some(rules),
            started: Timestamp::now(),
            progress,
        };
        let cluster = self.cluster_of(object).await;
        let cluster = cluster.map_err(|cause| out_of_reach(&run, cause))?;
        let health = health::choose(object, &objects);
        run.note("Detecting drift").await?;
        let (old, plan) = self.prepare(&run, &cluster, objects).await?;
        guarded(&run, &old, &plan.inventory())?;
        let (written, drift) = self.bring(&run, &cluster, &plan, &old).await?;
        if is_new_revision {
            tell_dropped(&run, &written.dropped, &origins);
        }
        let changes = written.changes;
        let inventory = changes.inventory();
        let inventory = self.prune(&run, &cluster, &old, inventory).await?;
        let fresh = is_new_revision && !changes.modified().is_empty();
        let applied = (&changes, &inventory);
        let health = match health {
            Some(health) => Some(
                self.await_health(&run, &cluster, health, applied, fresh)
                    .await?,
            ),
            None => None,
        };
        self.drift.verified(object, &run.digest);
        Ok(Outcome {
            revision: run.revision,
            digest: run.digest,
            inventory,
            health,
            drift,
        })
    }

    /// Reads what is owned, and finds where each object goes.
    async fn prepare(
        &self,
        run: &Run<'_>,
        cluster: &Cluster,
        objects: Vec<serde_json::Value>,
    ) -> Result<(Inventory, ApplyPlan), Failure> {
        let refused = |cause: String| run.failed("ReconciliationFailed", cause);
        let old = report::owned(run.object).map_err(refused)?;
        let options = self.apply_options(run.object).map_err(refused)?;
        let plan = cluster.plan_apply(objects, options).await;
        let plan = plan.map_err(|error| match error {
            PlanError::Objects(error) => refused(error.to_string()),
            PlanError::Resolve(error) => refused(runtime::failure::chain(&error)),
        })?;
        Ok((old, plan))
    }

    /// Decrypts the objects of a build and finishes them.
    async fn open(
        &self,
        object: &Kustomization,
        revision: &Revision,
        mut sealed: Sealed,
    ) -> Result<Objects, Failure> {
        let keyring = sealed.keyring.clone();
        let opened = self.unseal(&keyring, &mut sealed.built).await;
        opened.map_err(|cause| report::failed(revision, "BuildFailed", cause))?;
        sealed.finish(object, revision)
    }

    fn apply_options(&self, object: &Kustomization) -> Result<ApplyOptions, String> {
        let drift = object.drift_detection();
        let drift = drift.map_err(|error| runtime::failure::chain(&error))?;
        let further = drift.iter().flat_map(|drift| &drift.ignore);
        let rules = object.spec.ignore.iter().chain(further).map(|rule| {
            let target = rule
                .target
                .as_ref()
                .map(super::selector)
                .unwrap_or_default();
            IgnoreRule::new(&rule.paths, &target).map_err(|error| runtime::failure::chain(&error))
        });
        Ok(ApplyOptions {
            force: object.spec.force.unwrap_or(false),
            ignore: rules.collect::<Result<_, _>>()?,
            strict_fields: self.features.enabled(features::STRICT_FIELDS),
            migrate_api_version: self.features.enabled(features::MIGRATE_API_VERSION),
            override_managers: self.override_managers.clone(),
            custom_stage_kinds: self.custom_stage_kinds.clone(),
            concurrency: self.concurrent_ssa,
            ..ApplyOptions::new(FIELD_MANAGER, super::owner(object))
        })
    }

    /// Applies stage by stage; definitions and classes are waited for.
    async fn write(
        &self,
        run: &Run<'_>,
        cluster: &Cluster,
        plan: &ApplyPlan,
    ) -> Result<Written, Failure> {
        let mut changes = ChangeSet::default();
        let (mut drifts, mut dropped) = (Vec::new(), Vec::new());
        for stage in plan.stages() {
            match cluster.apply_stage(plan, stage).await {
                Ok(stage) => {
                    changes.append(stage.applied.changes);
                    drifts.extend(stage.applied.drifts);
                    dropped.extend(stage.applied.dropped);
                    if stage.await_ready.is_empty() {
                        continue;
                    }
                    let options = WaitOptions {
                        fail_fast: false,
                        rules: run.rules(),
                        ..WaitOptions::new(STAGE_TIMEOUT)
                    };
                    let ready = cluster.wait_from(&stage.await_ready, &options);
                    match run.progress.park(STAGE_TIMEOUT + SLACK, ready).await {
                        Parked::Done(Ok(())) => {}
                        Parked::Done(Err(error)) => {
                            return Err(stopped(run, &changes, &error.to_string()));
                        }
                        Parked::Expired => {
                            return Err(stopped(run, &changes, "timed out waiting for the stage"));
                        }
                        Parked::Superseded(by) => return Err(superseded(run, &by)),
                    }
                }
                Err(error) => {
                    let message = error.to_string();
                    changes.append(error.applied.changes);
                    return Err(stopped(run, &changes, &message));
                }
            }
        }
        let modified = changes.modified();
        if !modified.is_empty() {
            tracing::info!(revision = %run.revision.name, output = %modified, "server-side apply completed");
            run.tell(modified.to_string());
        }
        Ok(Written {
            changes,
            drifts,
            dropped,
        })
    }
}

/// Refuses to delete too much, and tells of a build that is empty.
fn guarded(run: &Run<'_>, old: &Inventory, new: &Inventory) -> Result<(), Failure> {
    let stale = old.stale(new);
    guard::check(run.object, old, &stale, &run.revision)
        .map_err(|cause| run.failed("PruneFailed", cause))?;
    if let Some(words) = guard::emptied(run.object, old, new.len()) {
        let note = Note::error("EmptyBuild", words);
        run.progress.emit(run.revision.annotate(note));
    }
    Ok(())
}

/// The cluster to apply to cannot be had: nothing was built for it, the history says nothing.
fn out_of_reach(run: &Run<'_>, cause: String) -> Failure {
    let words = format!("failed to build kube client: {cause}");
    let note = run
        .revision
        .annotate(Note::error("ReconciliationFailed", words));
    let mut failure = report::failed(&run.revision, "ReconciliationFailed", cause);
    failure.notes = vec![note];
    failure
}

/// Tells of fields that the API server does not know, with the file that they stand in.
fn tell_dropped(run: &Run<'_>, dropped: &[DroppedFields], origins: &BTreeMap<String, String>) {
    if dropped.is_empty() {
        return;
    }
    let line = |each: &DroppedFields| {
        let id = each.id.to_string();
        let place = origins
            .get(&id)
            .map(|p| format!(" ({p})"))
            .unwrap_or_default();
        format!("{id}{place}: {}", each.paths.join(", "))
    };
    let lines: Vec<_> = dropped.iter().take(MAX_DROPPED).map(line).collect();
    let words = format!("unknown fields were left out:\n{}", lines.join("\n"));
    tracing::warn!(revision = %run.revision.name, "{words}");
    let note = Note::error("UnknownFields", words);
    run.progress.emit(run.revision.annotate(note));
}

/// Stores the union of what was owned and what will be, before anything is written: whatever
/// happens next, no object is forgotten.
async fn remember_all(run: &Run<'_>, old: &Inventory, plan: &ApplyPlan) -> Result<(), Failure> {
    let all = plan.inventory().union(old);
    if old.len() == all.len() {
        return Ok(());
    }
    run.progress
        .checkpoint(Change::default().set("inventory", report::stored(&all)))
        .await
}

/// Fails an apply that stopped half-way; what was done is told too.
fn stopped(run: &Run<'_>, changes: &ChangeSet, message: &str) -> Failure {
    let done = changes.filter(|a| a != Action::Unchanged && a != Action::Skipped);
    run.failed("ReconciliationFailed", format!("{message}\n{done}"))
}

fn superseded(run: &Run<'_>, by: &str) -> Failure {
    let message = format!("New reconciliation triggered by {by}");
    let words = format!("Health checks canceled due to new reconciliation triggered by {by}");
    let note = run
        .revision
        .annotate(Note::info("HealthCheckCanceled", words));
    Failure::new(runtime::Class::Superseded, "HealthCheckCanceled", message).note(note)
}
