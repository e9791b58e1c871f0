//! Waits until what was applied is healthy.

use std::time::{Duration, Instant};

use cluster::{Cluster, WaitOptions};
use manifest::{ChangeSet, Inventory};
use runtime::{Change, Failure, Parked};

use super::{
    super::{
        Reconciler,
        health::{self, Health},
        report, timeout,
    },
    Run, SLACK, superseded,
};
use crate::features;

impl Reconciler {
    pub(super) async fn await_health(
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
