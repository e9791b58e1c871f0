//! Applies what was built, deletes what left, waits until it is healthy.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use api::kustomize::{DriftStatus, Kustomization};
use cluster::{ApplyOptions, ApplyPlan, Cluster, DroppedFields, HealthRule, PlanError};
use expression::health::Rules;
use jiff::Timestamp;
use kustomize::RemoteSource;
use manifest::{Inventory, ignore::IgnoreRule};
use runtime::{Change, Class, Failure, Note, Progress};

use super::{
    Reconciler, guard, health,
    plan::{Content, Objects, Plan, Sealed},
    report::{self, Checked, Outcome, Revision},
    timeout, unit,
};
use crate::{FIELD_MANAGER, features};
use wait::Waiting;
use write::Written;

mod drifted;
mod failing;
mod handover;
mod prune;
mod wait;
mod write;

pub(crate) use failing::Alone;

/// A wait ends by itself; this much later it is cut off.
const SLACK: Duration = Duration::from_secs(10);
/// The most objects with unknown fields that an event names.
const MAX_DROPPED: usize = 20;

/// What was written, and what is owned now.
struct Done {
    written: Written,
    inventory: Inventory,
    drift: Option<DriftStatus>,
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
            Content::Missing(sources) => {
                return self.missing(object, revision, sources, is_new_revision);
            }
            Content::Open(objects) => objects,
            Content::Sealed(sealed) => self.open(object, &revision, *sealed).await?,
        };
        if let Some(remotes) = &self.remotes {
            remotes.settled(&unit(object));
        }
        let run = Run {
            object,
            revision,
            digest,
            rules: (!rules.is_empty()).then_some(rules),
            started: Timestamp::now(),
            progress,
        };
        let fresh = is_new_revision.then_some(origins);
        self.carry_out(run, objects, fresh).await
    }

    /// Applies and prunes, then waits for what was applied. `fresh`: where each object of a revision
    /// that was not attempted before is written.
    async fn carry_out(
        &self,
        run: Run<'_>,
        objects: Vec<serde_json::Value>,
        fresh: Option<BTreeMap<String, String>>,
    ) -> Result<Outcome, Failure> {
        let cluster = self.cluster_of(run.object).await;
        let cluster = cluster.map_err(|cause| out_of_reach(&run, cause))?;
        let health = health::choose(run.object, &objects);
        let expiring_jobs = health::expiring_jobs(&objects);
        let is_fresh = fresh.is_some();
        let done = self.write_and_prune(&run, &cluster, objects, fresh).await?;
        let Done {
            written,
            inventory,
            drift,
        } = done;
        let health = match health {
            Some(health) => {
                let waiting = Waiting {
                    health,
                    written: &written,
                    inventory: &inventory,
                    fresh: is_fresh && !written.changes.modified().is_empty(),
                    expiring_jobs,
                };
                Some(self.await_health(&run, &cluster, waiting).await)
            }
            None => None,
        };
        if !written.failed.is_empty() {
            return Err(failing::failure(&run, &written, &inventory, health));
        }
        let health = health.transpose()?.unwrap_or_default();
        self.drift.verified(run.object, &run.digest);
        Ok(Outcome {
            revision: run.revision,
            digest: run.digest,
            inventory,
            health,
            drift,
            rested: written.rested,
        })
    }

    /// Brings the cluster to what was built. The objects are dropped with the plan: whoever waits
    /// afterwards holds none of them.
    async fn write_and_prune(
        &self,
        run: &Run<'_>,
        cluster: &Cluster,
        objects: Vec<serde_json::Value>,
        fresh: Option<BTreeMap<String, String>>,
    ) -> Result<Done, Failure> {
        run.note("Detecting drift").await?;
        let (old, plan) = self.prepare(run, cluster, objects).await?;
        guarded(run, &old, &plan.inventory())?;
        let (written, drift) = self.bring(run, cluster, &plan, &old).await?;
        if let Some(origins) = &fresh {
            tell_dropped(run, &written.dropped, origins);
        }
        let inventory = if written.failed.is_empty() {
            self.prune(run, cluster, &old, &written, fresh.is_some())
                .await?
        } else {
            // What left the source stays until all that took its place is there.
            written.inventory(&old, &plan.inventory())
        };
        Ok(Done {
            written,
            inventory,
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

    /// Notes what a build lacks: the next round fetches it.
    fn missing(
        &self,
        object: &Kustomization,
        revision: Revision,
        sources: Vec<RemoteSource>,
        is_new: bool,
    ) -> Result<Outcome, Failure> {
        if let Some(remotes) = &self.remotes {
            let noted = remotes.want(&unit(object), &revision.name, sources, is_new);
            noted.map_err(|cause| {
                report::failed(
                    &revision,
                    "BuildFailed",
                    format!("kustomize build failed: {cause}"),
                )
            })?;
        }
        Ok(Outcome {
            revision,
            digest: String::new(),
            inventory: Inventory::default(),
            health: Checked::Nothing,
            drift: None,
            rested: false,
        })
    }

    /// Decrypts the objects of a build and finishes them.
    async fn open(
        &self,
        object: &Kustomization,
        revision: &Revision,
        mut sealed: Sealed,
    ) -> Result<Objects, Failure> {
        let keys = sealed.keys.clone();
        let opened = self.unseal(&keys, &mut sealed.built).await;
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
            continue_on_error: object
                .continue_on_error()
                .map_err(|error| runtime::failure::chain(&error))?,
            ..ApplyOptions::new(FIELD_MANAGER, super::owner(object))
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

fn superseded(run: &Run<'_>, by: &str) -> Failure {
    let message = format!("New reconciliation triggered by {by}");
    let words = format!("Health checks canceled due to new reconciliation triggered by {by}");
    let note = run
        .revision
        .annotate(Note::info("HealthCheckCanceled", words));
    Failure::new(Class::Superseded, "HealthCheckCanceled", message).note(note)
}
