//! Objects that are not reconciled: what runs left on them is taken back.

use std::{sync::Arc, time::Duration};

use api::Reconciled as _;
use kube::{
    ResourceExt,
    api::{Patch, PatchParams},
    runtime::reflector::ObjectRef,
};
use serde_json::{Map, Value, json};
use tokio::sync::OwnedSemaphorePermit;

use super::{Driver, FINALIZER};
use crate::{Reconciler, status::status_of};

impl<R: Reconciler> Driver<R> {
    /// Leaves the object without finalizer and status. One that is suspended, or has neither, is left alone.
    pub(super) async fn release(
        &self,
        object: Arc<R::Object>,
        permit: OwnedSemaphorePermit,
    ) -> Option<Duration> {
        let status = status_of(&*object);
        let finalized = object.finalizers().iter().any(|each| each == FINALIZER);
        if object.suspended() || (status.is_empty() && !finalized) {
            return None;
        }
        let reference = ObjectRef::from_obj(&*object);
        if !status.is_empty()
            && let Err(error) = self.empty_status(&object, &status).await
        {
            return Some(self.troubled(reference, &error));
        }
        let (again, _) = self.delete(object, permit).await;
        again
    }

    async fn empty_status(
        &self,
        object: &R::Object,
        status: &Map<String, Value>,
    ) -> kube::Result<()> {
        let nothing: Map<String, Value> = status
            .keys()
            .map(|key| (key.clone(), Value::Null))
            .collect();
        let patch = json!({ "metadata": { "uid": object.uid() }, "status": nothing });
        let params = PatchParams {
            field_manager: Some(self.settings.field_owner.clone()),
            ..PatchParams::default()
        };
        let (api, patch) = (self.api(object), Patch::Merge(patch));
        let written = api
            .patch_status(&object.name_any(), &params, &patch)
            .await?;
        self.written.remember(&written);
        Ok(())
    }
}
