//! Phase two: the writes.

use std::time::Duration;

use kube::api::{DeleteParams, Preconditions, PropagationPolicy};
use manifest::{ObjectId, change_set::Action, diff::FieldChange, managed_fields::Editor};
use serde_json::Value;
use tokio::time::Instant;

use crate::{Cluster, discovery::Resource, request::Location};

use super::{
    check::{self, Checked, Verdict},
    error::{Cause, ObjectError, Step},
    plan::ApplyPlan,
};

/// How long an object that is made again may take to go away.
const DELETION_TIMEOUT: Duration = Duration::from_mins(1);

/// How often a racing write may spoil the takeover of managed fields.
const CLEANUP_ATTEMPTS: usize = 4;

/// One object after its write.
pub(super) struct Written {
    pub(super) id: ObjectId,
    pub(super) resource: Resource,
    pub(super) action: Action,
    pub(super) fields: Vec<FieldChange>,
    pub(super) editors: Vec<Editor>,
    pub(super) dropped: Vec<String>,
    /// Whether it was ready as stored; only told of built-in kinds.
    pub(super) ready: bool,
    /// The object as stored, where it exists and its stage is waited for.
    pub(super) stored: Option<Value>,
}

impl Written {
    fn location(&self) -> Location<'_> {
        Location {
            resource: &self.resource,
            namespace: &self.id.namespace,
            name: &self.id.name,
        }
    }
}

impl Cluster {
    /// Does what the check decided.
    pub(super) async fn write(
        &self,
        plan: &ApplyPlan,
        checked: Checked<'_>,
    ) -> Result<Written, ObjectError> {
        let Checked {
            id,
            resource,
            planned,
            sent,
            verdict,
        } = checked;
        let mut written = Written {
            id,
            resource,
            action: Action::Skipped,
            fields: Vec::new(),
            editors: Vec::new(),
            dropped: sent.dropped,
            ready: false,
            stored: None,
        };
        let payload = sent.payload.as_ref().unwrap_or(&planned.object);
        match verdict {
            Verdict::Skip(live) => written.stored = live,
            Verdict::Keep { live, ready } => {
                written.action = Action::Unchanged;
                written.ready = ready;
                written.stored = live;
            }
            Verdict::Write {
                exists,
                fields,
                editors,
                cleanup,
                raced: _,
            } => {
                self.clean_up(plan, &written, &planned.object, cleanup)
                    .await?;
                self.apply_one(plan, &mut written, payload).await?;
                written.fields = fields;
                written.editors = editors;
                written.action = if exists {
                    Action::Configured
                } else {
                    Action::Created
                };
            }
            Verdict::Revive => {
                self.await_deletion(&written.id, &written.location(), Step::AwaitTermination)
                    .await?;
                self.apply_one(plan, &mut written, payload).await?;
                written.action = Action::Created;
            }
            Verdict::Recreate { uid } => {
                self.delete_and_await(&written.id, &written.location(), uid)
                    .await?;
                self.apply_one(plan, &mut written, payload).await?;
                written.action = Action::Created;
            }
        }
        written.stored = written.stored.filter(|_| planned.stage.is_waited_for());
        Ok(written)
    }

    async fn apply_one(
        &self,
        plan: &ApplyPlan,
        written: &mut Written,
        payload: &Value,
    ) -> Result<(), ObjectError> {
        let manager = &plan.options().field_manager;
        let stored = self
            .server_side_apply(&written.location(), manager, payload, false)
            .await
            .map_err(|error| ObjectError::new(&written.id, Step::Apply, error))?;
        written.ready = check::is_ready(&written.resource, &stored);
        written.stored = Some(stored);
        Ok(())
    }

    /// Takes over fields and removes left-over metadata. A patch that another write has spoilt is
    /// made again from the object as it is now.
    async fn clean_up(
        &self,
        plan: &ApplyPlan,
        written: &Written,
        desired: &Value,
        mut patch: Vec<Value>,
    ) -> Result<(), ObjectError> {
        let (id, at) = (&written.id, &written.location());
        for attempt in 1..=CLEANUP_ATTEMPTS {
            if patch.is_empty() {
                return Ok(());
            }
            match self
                .json_patch(at, &plan.options().field_manager, patch)
                .await
            {
                Ok(_) => return Ok(()),
                Err(error)
                    if attempt < CLEANUP_ATTEMPTS
                        && (error.is_conflict() || error.code() == 422) =>
                {
                    let live = self
                        .get(at)
                        .await
                        .map_err(|error| ObjectError::new(id, Step::CleanUp, error))?;
                    patch =
                        live.map_or_else(Vec::new, |live| check::cleanup_of(plan, desired, &live));
                }
                Err(error) => return Err(ObjectError::new(id, Step::CleanUp, error)),
            }
        }
        Ok(())
    }

    async fn delete_and_await(
        &self,
        id: &ObjectId,
        at: &Location<'_>,
        uid: Option<String>,
    ) -> Result<(), ObjectError> {
        let params = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            preconditions: uid.map(|uid| Preconditions {
                uid: Some(uid),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        match self.delete(at, &params).await {
            Ok(()) => {}
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(ObjectError::new(id, Step::Delete, error)),
        }
        self.await_deletion(id, at, Step::AwaitDeletion).await
    }

    async fn await_deletion(
        &self,
        id: &ObjectId,
        at: &Location<'_>,
        step: Step,
    ) -> Result<(), ObjectError> {
        let deadline = Instant::now() + DELETION_TIMEOUT;
        let mut pause = Duration::from_millis(50);
        while Instant::now() < deadline {
            match self.get(at).await {
                Ok(None) => return Ok(()),
                Ok(Some(_)) => tokio::time::sleep(pause).await,
                Err(error) => return Err(ObjectError::new(id, step, error)),
            }
            pause = (pause * 2).min(Duration::from_secs(2));
        }
        Err(ObjectError {
            id: id.clone(),
            step,
            cause: Some(Cause::Timeout),
        })
    }
}
