//! Phase one: what would happen to one object.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use manifest::{
    GroupVersionKind, ObjectId,
    diff::{self, FieldChange},
    health, ignore,
    managed_fields::{self, Editor},
    metadata::Strategy,
    normalize, object,
    order::{self, Stage},
};
use serde_json::Value;

use crate::{
    Cluster,
    discovery::{ResolveError, Resource},
    error::RequestError,
    request::Location,
};

use super::{
    dry_run::Sent,
    error::{Cause, ObjectError, Step},
    plan::{ApplyPlan, PlannedObject, drop_namespace},
};

/// How often, and how long apart, a kind is asked for whose CRD was established a moment ago.
const DEFINED_KIND_ATTEMPTS: u32 = 50;
const DEFINED_KIND_PAUSE: Duration = Duration::from_millis(100);

/// How often the live object is read anew when another writer comes between it and the dry run.
const COMPARE_ATTEMPTS: usize = 4;

/// An object that the API server would accept.
pub(super) struct Checked<'a> {
    pub(super) id: ObjectId,
    pub(super) resource: Resource,
    pub(super) planned: &'a PlannedObject,
    pub(super) sent: Sent,
    pub(super) verdict: Verdict,
}

/// What has to be done with an object.
pub(super) enum Verdict {
    /// It is left alone on purpose. Holds the live object, if there is one.
    Skip(Option<Value>),
    /// It is as desired, and maybe ready. Holds the live object where the stage is waited for.
    Keep { live: Option<Value>, ready: bool },
    /// It is applied: created, or changed after `cleanup`. `raced` tells that the live object is
    /// not the one that the dry run was made on.
    Write {
        exists: bool,
        fields: Vec<FieldChange>,
        editors: Vec<Editor>,
        cleanup: Vec<Value>,
        raced: bool,
    },
    /// It is on its way out, and others need it: it is waited for to go, and made again.
    Revive,
    /// It is deleted, by its uid, and made again.
    Recreate { uid: Option<String> },
}

impl Cluster {
    /// Reads the live object and dry-runs the desired one.
    pub(super) async fn check<'a>(
        &self,
        plan: &ApplyPlan,
        planned: &'a PlannedObject,
    ) -> Result<Checked<'a>, ObjectError> {
        let (id, resource) = self.locate(plan, planned).await?;
        if planned.encrypted {
            return Err(ObjectError::without_cause(id, Step::Encrypted));
        }
        let at = Location {
            resource: &resource,
            namespace: &id.namespace,
            name: &id.name,
        };
        // Without the right to read, the dry run says what is missing.
        let live = match self.get(&at).await {
            Ok(live) => live,
            Err(error) if error.is_forbidden() => None,
            Err(error) => return Err(ObjectError::new(&id, Step::DryRun, error)),
        };
        if is_skipped(plan, &planned.object, live.as_ref()) {
            let (sent, verdict) = (Sent::default(), Verdict::Skip(live));
            return Ok(Checked {
                id,
                resource,
                planned,
                sent,
                verdict,
            });
        }
        let desired = &planned.object;
        let (mut sent, mut verdict) = self.decide(plan, &id, &at, desired, live).await?;
        for _ in 1..COMPARE_ATTEMPTS {
            // Another writer came between reading and dry run: what differs is its change.
            let Verdict::Write { raced: true, .. } = verdict else {
                break;
            };
            let live = self
                .get(&at)
                .await
                .map_err(|error| ObjectError::new(&id, Step::DryRun, error))?;
            (sent, verdict) = self.decide(plan, &id, &at, desired, live).await?;
        }
        Ok(Checked {
            id,
            resource,
            planned,
            sent,
            verdict,
        })
    }

    /// Finds where the object lives, asking again for a kind that this plan has just defined.
    async fn locate(
        &self,
        plan: &ApplyPlan,
        planned: &PlannedObject,
    ) -> Result<(ObjectId, Resource), ObjectError> {
        let mut id = planned.id.clone();
        let resource = match &planned.resource {
            Some(resource) => resource.clone(),
            None => self
                .resolve_new(plan, &GroupVersionKind::of(&planned.object))
                .await
                .map_err(|error| ObjectError::new(&id, Step::DryRun, error))?,
        };
        if !resource.namespaced {
            id.namespace.clear();
        } else if id.namespace.is_empty() {
            return Err(ObjectError::without_cause(id, Step::NamespaceNotSpecified));
        }
        Ok((id, resource))
    }

    async fn resolve_new(
        &self,
        plan: &ApplyPlan,
        gvk: &GroupVersionKind,
    ) -> Result<Resource, ResolveError> {
        let attempts = if plan.defines(gvk) {
            DEFINED_KIND_ATTEMPTS
        } else {
            1
        };
        let mut result = self.resolve(gvk).await;
        for _ in 1..attempts {
            if !result.as_ref().is_err_and(ResolveError::is_no_match) {
                break;
            }
            tokio::time::sleep(DEFINED_KIND_PAUSE).await;
            self.discovery.forget(&gvk.group);
            result = self.resolve(gvk).await;
        }
        result
    }

    async fn decide(
        &self,
        plan: &ApplyPlan,
        id: &ObjectId,
        at: &Location<'_>,
        desired: &Value,
        live: Option<Value>,
    ) -> Result<(Sent, Verdict), ObjectError> {
        let options = plan.options();
        let live = match live {
            Some(live) if options.migrate_api_version => {
                Some(self.migrate(plan, id, at, live).await?)
            }
            live => live,
        };
        let payload = live.as_ref().and_then(|live| adapted(plan, desired, live));
        let mut sent = Sent {
            payload,
            dropped: Vec::new(),
        };
        let dry_run = match self.dry_run(plan, at, desired, &mut sent).await {
            Ok(dry_run) => dry_run,
            Err(error) => {
                return match live {
                    Some(live) if may_recreate(plan, desired, &live) && is_immutable(&error) => {
                        let uid = object::str_at(&live, &["metadata", "uid"]).map(Into::into);
                        Ok((sent, Verdict::Recreate { uid }))
                    }
                    _ => Err(refusal(id, error)),
                };
            }
        };
        let verdict = compare(plan, at.resource, desired, live, &dry_run);
        if let Verdict::Keep { .. } = verdict {
            sent.payload = None;
        }
        Ok((sent, verdict))
    }

    /// Moves managed fields to the applied API version before the dry run, which would otherwise
    /// fail on versions that are no longer served.
    async fn migrate(
        &self,
        plan: &ApplyPlan,
        id: &ObjectId,
        at: &Location<'_>,
        live: Value,
    ) -> Result<Value, ObjectError> {
        let patch = managed_fields::migrate_patch(&live, &at.resource.gvk.api_version());
        if patch.is_empty() {
            return Ok(live);
        }
        self.json_patch(at, &plan.options().field_manager, patch)
            .await
            .map_err(|error| ObjectError::new(id, Step::MigrateApiVersion, error))
    }
}

fn stage(plan: &ApplyPlan, desired: &Value) -> Stage {
    order::stage_of(desired, &plan.options().custom_stage_kinds)
}

/// Tells whether an object is being deleted.
fn is_leaving(live: &Value) -> bool {
    object::str_at(live, &["metadata", "deletionTimestamp"]).is_some()
}

/// Tells whether an object of a built-in kind is ready.
///
/// Of other kinds a freshly written object says nothing yet, and no status would read as ready.
pub(super) fn is_ready(resource: &Resource, value: &Value) -> bool {
    normalize::is_built_in(&resource.gvk.group)
        && health::evaluate(value, Timestamp::now())
            .is_ok_and(|health| health.status == health::Status::Current)
}

/// Decides from the live object and the dry run.
fn compare(
    plan: &ApplyPlan,
    resource: &Resource,
    desired: &Value,
    live: Option<Value>,
    dry_run: &Value,
) -> Verdict {
    let options = plan.options();
    let exists = object::resource_version(dry_run).is_some();
    let live = match live {
        Some(live) if is_leaving(&live) && stage(plan, desired) == Stage::Definitions => {
            return Verdict::Revive;
        }
        live => live,
    };
    let Some(live) = live else {
        let (fields, editors, cleanup) = (Vec::new(), Vec::new(), Vec::new());
        return Verdict::Write {
            exists,
            fields,
            editors,
            cleanup,
            raced: false,
        };
    };
    let cleanup = cleanup_of(plan, desired, &live);
    if cleanup.is_empty() && !diff::has_drifted(&live, dry_run, &options.ignore) {
        let ready = is_ready(resource, &live);
        let keep = stage(plan, desired).is_waited_for();
        return Verdict::Keep {
            live: keep.then_some(live),
            ready,
        };
    }
    let fields = diff::changed_fields(&live, dry_run, &options.ignore);
    let raced = exists && object::resource_version(&live) != object::resource_version(dry_run);
    let paths: Vec<_> = fields
        .iter()
        .filter_map(|it| ignore::parse_pointer(&it.path))
        .collect();
    let editors = managed_fields::editors(&live, &options.field_manager, &paths);
    Verdict::Write {
        exists,
        fields,
        editors,
        cleanup,
        raced,
    }
}

/// Tells whether an object is left alone: it or the live one opts out, or it exists and is only to
/// be created.
fn is_skipped(plan: &ApplyPlan, desired: &Value, live: Option<&Value>) -> bool {
    let owner = &plan.options().owner;
    let opts_out =
        |value: &Value| owner.is_disabled(value) || owner.has_strategy(value, Strategy::Ignore);
    opts_out(desired)
        || live.is_some_and(|live| {
            opts_out(live) || owner.has_strategy(desired, Strategy::IfNotPresent)
        })
}

/// Returns the cleanup patch for a live object, empty where either side asks to be merged.
pub(super) fn cleanup_of(plan: &ApplyPlan, desired: &Value, live: &Value) -> Vec<Value> {
    let options = plan.options();
    let merges = |value: &Value| options.owner.has_strategy(value, Strategy::Merge);
    if merges(desired) || merges(live) {
        return Vec::new();
    }
    managed_fields::cleanup_patch(live, &options.field_manager, plan.taken())
}

/// Returns the object to send where ignore rules change it.
fn adapted(plan: &ApplyPlan, desired: &Value, live: &Value) -> Option<Value> {
    let options = plan.options();
    let paths = ignore::paths_for(&options.ignore, desired);
    if paths.is_empty() {
        return None;
    }
    let mut payload = desired.clone();
    ignore::leave_alone(&mut payload, live, &options.field_manager, &paths);
    if object::namespace(live).is_empty() {
        drop_namespace(&mut payload);
    }
    Some(payload)
}

fn may_recreate(plan: &ApplyPlan, desired: &Value, live: &Value) -> bool {
    let options = plan.options();
    options.force || options.owner.is_forced(desired) || options.owner.is_forced(live)
}

/// Words with which API servers and webhooks say that a field cannot change.
const IMMUTABLE: [&str; 8] = [
    "immutable",
    "may not change",
    "may not be changed",
    "cannot change",
    "cannot be changed",
    "can not be changed",
    "cannot be updated",
    "updates to ",
];

/// Tells whether an object was refused only because something in it cannot change.
///
/// Deviation: upstream takes every 409 and 422 for this and deletes objects over plain typing
/// errors. Here each cause that the API server lists must say so.
fn is_immutable(error: &RequestError) -> bool {
    let RequestError::Status(status) = error else {
        return false;
    };
    let says_so = |message: &str| {
        let message = message.to_lowercase();
        IMMUTABLE.iter().any(|words| message.contains(words))
    };
    let causes = status
        .details
        .as_ref()
        .map_or(&[][..], |details| &details.causes);
    if causes.is_empty() {
        says_so(&status.message)
    } else {
        causes.iter().all(|it| says_so(&it.message))
    }
}

/// Words a refused dry run.
fn refusal(id: &ObjectId, error: RequestError) -> ObjectError {
    let step = if error.is_not_found() {
        Step::NotFound
    } else {
        Step::DryRun
    };
    ObjectError {
        id: id.clone(),
        step,
        cause: Some(Cause::Request(error)),
    }
}

#[cfg(test)]
mod tests {
    use kube::core::{
        Status,
        response::{StatusCause, StatusDetails},
    };

    use super::*;

    fn refused(message: &str, causes: &[&str]) -> RequestError {
        let causes = causes
            .iter()
            .map(|message| StatusCause {
                reason: "FieldValueInvalid".into(),
                message: (*message).into(),
                field: "spec".into(),
            })
            .collect();
        RequestError::Status(Box::new(Status {
            code: 422,
            reason: "Invalid".into(),
            message: message.into(),
            details: Some(StatusDetails {
                name: "one".into(),
                group: String::new(),
                kind: "Secret".into(),
                uid: String::new(),
                causes,
                retry_after_seconds: 0,
            }),
            ..Default::default()
        }))
    }

    /// covers: KC-100
    #[test]
    fn only_errors_about_immutable_fields_allow_a_new_object() {
        for (error, expected) in [
            (
                refused(
                    "x",
                    &["Forbidden: field is immutable when `immutable` is set"],
                ),
                true,
            ),
            (
                refused("x", &["Invalid value: {}: field is immutable"]),
                true,
            ),
            (
                refused("x", &["Invalid value: {}: cannot change roleRef"]),
                true,
            ),
            (
                refused("x", &["Forbidden: updates to parameters are forbidden."]),
                true,
            ),
            (
                refused("x", &["Invalid value: []: may not change once set"]),
                true,
            ),
            (
                refused("admission webhook denied: name is immutable", &[]),
                true,
            ),
            (
                refused("x", &["Invalid value: 99999: must be between 1 and 65535"]),
                false,
            ),
            (
                refused("x", &["field is immutable", "must be between 1 and 65535"]),
                false,
            ),
            (refused("some other refusal", &[]), false),
        ] {
            assert_eq!(is_immutable(&error), expected, "{error:?}");
        }
    }
}
