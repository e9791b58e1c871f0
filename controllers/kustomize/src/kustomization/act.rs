//! Applies what was built, deletes what left, waits until it is healthy.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use api::kustomize::Kustomization;
use cluster::{
    ApplyOptions, ApplyPlan, Cluster, HealthRule, PlanError, PruneOptions, WaitOptions,
};
use expression::health::Rules;
use jiff::Timestamp;
use manifest::{ChangeSet, Inventory, change_set::Action, ignore::IgnoreRule};
use runtime::{Change, Failure, Note, Parked, Progress};

use super::{
    Reconciler,
    health::{self, Health},
    plan::Plan,
    report::{self, Outcome, Revision},
    timeout,
};
use crate::{FIELD_MANAGER, features};

/// How long an early stage (definitions, classes) may take to become ready.
const STAGE_TIMEOUT: Duration = Duration::from_mins(1);
/// A wait ends by itself; this much later it is cut off.
const SLACK: Duration = Duration::from_secs(10);

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
            objects,
            digest,
            rules,
            is_new_revision,
        } = plan;
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
        let old =
            report::owned(object).map_err(|cause| run.failed("ReconciliationFailed", cause))?;
        let options = self
            .apply_options(object)
            .map_err(|c| run.failed("ReconciliationFailed", c))?;
        let health = health::choose(object, &objects);
        run.note("Detecting drift").await?;
        let plan = cluster
            .plan_apply(objects, options)
            .await
            .map_err(|error| match error {
                PlanError::Objects(error) => run.failed("ReconciliationFailed", error.to_string()),
                PlanError::Resolve(error) => {
                    run.failed("ReconciliationFailed", runtime::failure::chain(&error))
                }
            })?;
        remember_all(&run, &old, &plan).await?;
        let changes = self.write(&run, &cluster, &plan).await?;
        let inventory = changes.inventory();
        let inventory = self.prune(&run, &cluster, &old, inventory).await?;
        let drifted = !changes.modified().is_empty();
        let health = match health {
            Some(health) => {
                let fresh = is_new_revision && drifted;
                Some(
                    self.await_health(&run, &cluster, health, (&changes, &inventory), fresh)
                        .await?,
                )
            }
            None => None,
        };
        Ok(Outcome {
            revision: run.revision,
            digest: run.digest,
            inventory,
            health,
        })
    }

    fn apply_options(&self, object: &Kustomization) -> Result<ApplyOptions, String> {
        let rules = object.spec.ignore.iter().map(|rule| {
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
    ) -> Result<ChangeSet, Failure> {
        let mut changes = ChangeSet::default();
        for stage in plan.stages() {
            match cluster.apply_stage(plan, stage).await {
                Ok(stage) => {
                    changes.append(stage.applied.changes);
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
        Ok(changes)
    }

    /// Deletes what was owned and is no longer wanted. Returns what is owned then.
    async fn prune(
        &self,
        run: &Run<'_>,
        cluster: &Cluster,
        old: &Inventory,
        new: Inventory,
    ) -> Result<Inventory, Failure> {
        let stale = old.stale(&new);
        if stale.is_empty() || !run.object.spec.prune {
            return Ok(new);
        }
        let owner = super::owner(run.object);
        let options = PruneOptions {
            owner,
            concurrency: self.concurrent_ssa,
        };
        match cluster.prune(&stale, &options).await {
            Ok(pruned) => {
                tracing::info!(revision = %run.revision.name, output = %pruned.changes, "garbage collection completed");
                run.tell(pruned.changes.to_string());
                Ok(new)
            }
            Err(error) => {
                let left = new.union(&error.changes.survivors(&stale));
                let owned = Change::default().set("inventory", report::stored(&left));
                Err(run.failed("PruneFailed", error.to_string()).with(owned))
            }
        }
    }

    async fn await_health(
        &self,
        run: &Run<'_>,
        cluster: &Cluster,
        health: Health,
        (changes, inventory): (&ChangeSet, &Inventory),
        fresh: bool,
    ) -> Result<Duration, Failure> {
        run.note("Running health checks").await?;
        let was_healthy =
            runtime::conditions::is_true(api::Reconciled::conditions(run.object), "Healthy");
        let limit = timeout(run.object);
        let doing = format!(
            "Running health checks for revision {} with a timeout of {}",
            run.revision.name,
            api::meta::Duration::from(limit)
        );
        // From here on the new objects are owned and the removed ones are gone.
        let owned = Change::default().set("inventory", report::stored(inventory));
        let unknown = if was_healthy && !fresh {
            owned
        } else {
            owned.condition("Healthy", "Unknown", "Progressing", doing)
        };
        run.progress.checkpoint(unknown).await?;
        let started = Instant::now();
        let targets = health::targets(&health, changes);
        let fail_fast = !self.features.enabled(features::NO_FAIL_FAST);
        let options = WaitOptions {
            fail_fast,
            rules: run.rules(),
            ..WaitOptions::new(limit)
        };
        let checked = run
            .progress
            .park(limit + SLACK, cluster.wait(&targets, &options))
            .await;
        let took = started.elapsed();
        let verdict = match checked {
            Parked::Done(Ok(())) => Ok(()),
            Parked::Done(Err(error)) => Err(error.to_string()),
            Parked::Expired => Err("timeout waiting for the API server".into()),
            Parked::Superseded(by) => return Err(superseded(run, &by)),
        };
        let text = api::meta::Duration::from(took);
        match verdict {
            Ok(()) => {
                if !was_healthy || fresh {
                    run.tell(format!("Health check passed in {text}"));
                }
                Ok(took)
            }
            Err(cause) => {
                let message = format!("health check failed after {text}: {cause}");
                let sick =
                    Change::default().condition("Healthy", "False", "HealthCheckFailed", cause);
                Err(run.failed("HealthCheckFailed", message).with(sick))
            }
        }
    }
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
