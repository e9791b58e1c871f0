//! What becomes of the objects of a deleted Kustomization.

use api::kustomize::{DeletionPolicy, Kustomization};
use cluster::{Cluster, PruneOptions, WaitOptions};
use manifest::{ChangeSet, change_set::Action};
use runtime::{Failure, Note, Parked, Progress};

use super::{Reconciler, report, timeout};

impl Reconciler {
    /// Deletes what the Kustomization owns, where its policy says so.
    ///
    /// A suspended Kustomization leaves its objects alone, as upstream does.
    pub(super) async fn clean(
        &self,
        object: &Kustomization,
        progress: &Progress,
    ) -> Result<Vec<Note>, Failure> {
        let suspended = object.spec.suspend.unwrap_or(false);
        let inventory =
            report::owned(object).map_err(|cause| Failure::retry("PruneFailed", cause))?;
        if suspended || inventory.is_empty() || !deletes(object) {
            return Ok(Vec::new());
        }
        let attempted = object
            .status
            .as_ref()
            .and_then(|s| s.last_applied_revision.clone());
        let revision = report::Revision {
            name: attempted.unwrap_or_default(),
            origin: None,
        };
        let reason = current_reason(object);
        if !self.account_exists(object).await? {
            // Whoever the objects were applied as is gone; nobody else may delete them.
            let left: Vec<_> = inventory
                .entries()
                .iter()
                .map(|e| e.id.to_string())
                .collect();
            let words = format!("unable to prune objects: \n{}", left.join("\n"));
            return Ok(vec![revision.annotate(Note::error(&reason, words))]);
        }
        let cluster = self
            .cluster_of(object)
            .await
            .map_err(|cause| Failure::retry("PruneFailed", cause))?;
        let options = PruneOptions {
            owner: super::owner(object),
            concurrency: self.concurrent_ssa,
        };
        let pruned = match cluster.prune(&inventory, &options).await {
            Ok(pruned) => pruned,
            Err(error) => {
                let note = revision.annotate(Note::error(
                    "PruneFailed",
                    "pruning for deleted resource failed",
                ));
                return Err(Failure::retry("PruneFailed", error.to_string()).note(note));
            }
        };
        if pruned.changes.is_empty() {
            return Ok(Vec::new());
        }
        tracing::info!(output = %pruned.changes, "garbage collection for deleted resource completed");
        let mut notes = vec![revision.annotate(Note::info(&reason, pruned.changes.to_string()))];
        if object.spec.deletion_policy == Some(DeletionPolicy::WaitForTermination)
            && !are_gone(object, &cluster, &pruned.changes, progress).await
        {
            let words = "failed to wait for resources termination";
            notes.push(revision.annotate(Note::error(&reason, words)));
        }
        Ok(notes)
    }
}

/// Waits until what was deleted no longer exists; false where it still does when time is up.
async fn are_gone(
    object: &Kustomization,
    cluster: &Cluster,
    changes: &ChangeSet,
    progress: &Progress,
) -> bool {
    let deleted = changes
        .filter(|action| action == Action::Deleted)
        .inventory();
    let options = WaitOptions::new(timeout(object));
    let gone = cluster.wait_for_termination(&deleted, &options);
    matches!(
        progress.park(timeout(object), gone).await,
        Parked::Done(Ok(()))
    )
}

/// The reason of events about a deletion: that of Ready as it stands.
fn current_reason(object: &Kustomization) -> String {
    let ready = runtime::conditions::find(api::Reconciled::conditions(object), "Ready");
    ready.map_or_else(|| "Progressing".to_owned(), |c| c.reason.clone())
}

/// Whether the policy deletes what is owned.
fn deletes(object: &Kustomization) -> bool {
    match object.spec.deletion_policy.unwrap_or_default() {
        DeletionPolicy::MirrorPrune => object.spec.prune,
        DeletionPolicy::Delete | DeletionPolicy::WaitForTermination => true,
        DeletionPolicy::Orphan => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: KC-012, KC-013, KC-014, KC-015, KC-016
    #[test]
    fn policy_decides_over_prune() {
        let mut object = Kustomization::default();
        for (policy, prune, expect) in [
            (None, true, true),
            (None, false, false),
            (Some(DeletionPolicy::MirrorPrune), false, false),
            (Some(DeletionPolicy::Delete), false, true),
            (Some(DeletionPolicy::WaitForTermination), false, true),
            (Some(DeletionPolicy::Orphan), true, false),
        ] {
            object.spec.deletion_policy = policy;
            object.spec.prune = prune;
            assert_eq!(deletes(&object), expect, "{policy:?} {prune}");
        }
    }
}
