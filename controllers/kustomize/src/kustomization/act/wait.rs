//! Waits until what was applied is healthy.

use std::{collections::BTreeSet, time::Instant};

use cluster::{Cluster, WaitOptions};
use manifest::{Inventory, ObjectId};
use runtime::{Change, Failure, Parked};

use super::{
    super::{
        Reconciler,
        health::{self, Health},
        is_asked_for,
        report::{self, Checked},
        timeout,
    },
    Run, SLACK, superseded,
    write::Written,
};
use crate::features;

/// What is waited for.
pub(super) struct Waiting<'w> {
    pub(super) health: Health,
    pub(super) written: &'w Written,
    /// What is owned by now.
    pub(super) inventory: &'w Inventory,
    /// Whether a new revision changed something.
    pub(super) fresh: bool,
    /// Jobs that may be gone once they are done.
    pub(super) expiring_jobs: BTreeSet<ObjectId>,
}

impl Reconciler {
    pub(super) async fn await_health(
        &self,
        run: &Run<'_>,
        cluster: &Cluster,
        waiting: Waiting<'_>,
    ) -> Result<Checked, Failure> {
        let Waiting {
            health,
            written,
            inventory,
            fresh,
            expiring_jobs,
        } = waiting;
        let was_healthy =
            runtime::conditions::is_true(api::Reconciled::conditions(run.object), "Healthy");
        let targets = health::targets(&health, &written.changes);
        let ids = targets.entries().iter().map(|entry| &entry.id);
        let may_rest = was_healthy && !fresh && !is_asked_for(run.object);
        let is_all = matches!(health, Health::Applied(_));
        if may_rest && is_all && self.drift.is_still_healthy(run.object, &run.digest, ids) {
            return Ok(Checked::StillHealthy);
        }
        let limit = timeout(run.object);
        begin(run, inventory, was_healthy && !fresh).await?;
        let started = Instant::now();
        self.drift.looks_at_health(run.object);
        let options = WaitOptions {
            fail_fast: !self.features.enabled(features::NO_FAIL_FAST),
            expiring_jobs,
            ready: written.ready.clone(),
            rules: run.rules(),
            ..WaitOptions::new(limit)
        };
        let waiting = cluster.wait(&targets, &options);
        let parked = run.progress.park(limit + SLACK, waiting);
        let checked = run.progress.stage("health", parked).await;
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
                if is_all {
                    self.drift.found_healthy(run.object, &run.digest);
                }
                Ok(Checked::Healthy(took))
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

/// Says that health is looked at. From here on the new objects are owned and the removed ones are
/// gone.
async fn begin(run: &Run<'_>, inventory: &Inventory, stays_healthy: bool) -> Result<(), Failure> {
    run.note("Running health checks").await?;
    let limit = api::meta::Duration::from(timeout(run.object));
    let name = &run.revision.name;
    let doing = format!("Running health checks for revision {name} with a timeout of {limit}");
    let owned = Change::default().set("inventory", report::stored(inventory));
    let begun = if stays_healthy {
        owned
    } else {
        owned.condition("Healthy", "Unknown", "Progressing", doing)
    };
    run.progress.checkpoint(begun).await
}
