//! Asks the API server what an apply would do, without the fields it does not know.

use kube::api::{Patch, PatchParams};
use manifest::{normalize, unknown_fields};
use serde_json::Value;

use crate::{Cluster, error::RequestError, request::Location};

use super::plan::ApplyPlan;

/// How many unknown fields one object may have; the API server names only some at a time.
const MAX_DROPPED: usize = 50;

/// What was sent last, and what had to be left out of it.
#[derive(Default)]
pub(super) struct Sent {
    /// The object as sent; `None` where it is the desired one.
    pub(super) payload: Option<Value>,
    /// Paths of dropped fields, in the API server's notation.
    pub(super) dropped: Vec<String>,
}

impl Cluster {
    /// Dry-runs an object. Of built-in kinds, fields that the API server does not know are dropped,
    /// as upstream does it; in strict mode, and of other kinds, they are an error.
    pub(super) async fn dry_run(
        &self,
        plan: &ApplyPlan,
        at: &Location<'_>,
        desired: &Value,
        sent: &mut Sent,
    ) -> Result<Value, RequestError> {
        let options = plan.options();
        // Upstream passes RBAC objects on as they are.
        let group = &at.resource.gvk.group;
        let may_drop = !options.strict_fields
            && normalize::is_built_in(group)
            && group != "rbac.authorization.k8s.io";
        loop {
            let payload = sent.payload.as_ref().unwrap_or(desired);
            let error = match self
                .server_side_apply(at, &options.field_manager, payload, true)
                .await
            {
                Ok(result) => return Ok(result),
                Err(error) => error,
            };
            let RequestError::Status(status) = &error else {
                return Err(error);
            };
            let unknown = unknown_fields::from_message(&status.message);
            if !may_drop || unknown.is_empty() || sent.dropped.len() >= MAX_DROPPED {
                return Err(error);
            }
            let payload = sent.payload.get_or_insert_with(|| desired.clone());
            let before = sent.dropped.len();
            sent.dropped.extend(
                unknown
                    .into_iter()
                    .filter(|path| unknown_fields::remove(payload, path)),
            );
            if sent.dropped.len() == before {
                return Err(error);
            }
        }
    }

    /// Applies an object, or asks what would come of it.
    pub(super) async fn server_side_apply(
        &self,
        at: &Location<'_>,
        field_manager: &str,
        payload: &Value,
        dry_run: bool,
    ) -> Result<Value, RequestError> {
        let mut params = PatchParams::apply(field_manager).force();
        params.dry_run = dry_run;
        self.patch(at, &params, &Patch::Apply(payload)).await
    }

    pub(super) async fn json_patch(
        &self,
        at: &Location<'_>,
        field_manager: &str,
        operations: Vec<Value>,
    ) -> Result<Value, RequestError> {
        let patch: json_patch::Patch = serde_json::from_value(Value::Array(operations))
            .map_err(|error| RequestError::Invalid(error.to_string()))?;
        let params = PatchParams {
            field_manager: Some(field_manager.into()),
            ..PatchParams::default()
        };
        self.patch(at, &params, &Patch::Json(patch)).await
    }
}
