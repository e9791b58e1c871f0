//! Deletes what left the source.

use cluster::{Cluster, PruneOptions};
use manifest::Inventory;
use runtime::{Change, Failure};

use super::{
    super::{Reconciler, owner, report},
    Run,
    write::Written,
};

impl Reconciler {
    /// Deletes what was owned and is no longer wanted. Returns what is owned then.
    pub(super) async fn prune(
        &self,
        run: &Run<'_>,
        cluster: &Cluster,
        old: &Inventory,
        written: &Written,
        is_new_revision: bool,
    ) -> Result<Inventory, Failure> {
        let new = written.changes.inventory();
        let stale = old.stale(&new);
        if stale.is_empty() || !run.object.spec.prune {
            return Ok(new);
        }
        if is_new_revision {
            self.await_takers(run).await?;
        }
        let owner = owner(run.object);
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
}
