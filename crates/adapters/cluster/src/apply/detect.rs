//! What an apply would do, without doing it.

use manifest::change_set::{Action, Change};

use super::{Applied, ApplyError, ApplyPlan, Drift, check::Verdict};
use crate::Cluster;

impl Cluster {
    /// Dry-runs a plan and tells what applying it would change. Writes nothing.
    ///
    /// # Errors
    /// [`ApplyError`] with every object that the API server would refuse.
    pub async fn detect(&self, plan: &ApplyPlan) -> Result<Applied, ApplyError> {
        let (checked, _) = self.check_all(plan, plan.objects().iter()).await?;
        let mut applied = Applied::default();
        for object in checked {
            let action = match object.verdict {
                Verdict::Skip(_) => Action::Skipped,
                Verdict::Keep { .. } => Action::Unchanged,
                Verdict::Write { exists: false, .. } | Verdict::Revive => Action::Created,
                Verdict::Recreate { .. } => Action::Configured,
                Verdict::Write {
                    fields, editors, ..
                } => {
                    let id = object.id.clone();
                    // Where only the books of field managers change, nothing has drifted.
                    let action = if fields.is_empty() {
                        Action::Unchanged
                    } else {
                        Action::Configured
                    };
                    applied.drifts.push(Drift {
                        id,
                        fields,
                        editors,
                    });
                    action
                }
            };
            applied.changes.push(Change {
                id: object.id,
                version: object.resource.gvk.version.clone(),
                action,
            });
        }
        applied.drifts.retain(|drift| !drift.fields.is_empty());
        Ok(applied)
    }
}
