//! What becomes of the objects of a deleted Kustomization.

use api::kustomize::{DeletionPolicy, Kustomization};
use cluster::{PruneOptions, WaitOptions};
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
        let cluster = self.cluster_of(object).await?;
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
        let mut notes =
            vec![revision.annotate(Note::info("Progressing", pruned.changes.to_string()))];
        if object.spec.deletion_policy == Some(DeletionPolicy::WaitForTermination) {
            let deleted = pruned
                .changes
                .filter(|a| a == manifest::change_set::Action::Deleted)
                .inventory();
            let options = WaitOptions::new(timeout(object));
            let gone = cluster.wait_for_termination(&deleted, &options);
            if !matches!(
                progress.park(timeout(object), gone).await,
                Parked::Done(Ok(()))
            ) {
                let words = "failed to wait for resources termination";
                notes.push(revision.annotate(Note::error("PruneFailed", words)));
            }
        }
        Ok(notes)
    }
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
