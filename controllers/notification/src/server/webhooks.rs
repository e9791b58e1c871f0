//! The server that takes webhooks and has objects reconciled.
//!
//! Source: notification-controller v1.9.3 `internal/server/receiver_{server,handlers}.go`.

use std::sync::Arc;

use api::{
    Reconciled,
    notification::{ObjectKind, Receiver, ReceiverResource},
};
use axum::body::Body;
use http::{Response, StatusCode};
use jiff::Timestamp;
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject, ListParams, ObjectMeta, Patch, PatchParams},
    runtime::reflector::Store,
};
use runtime::drive::REQUESTED_AT;
use serde_json::json;
use subtle::ConstantTimeEq;

use super::{Handler, Received, status};
use crate::{
    dispatch::resource_of,
    hook::{self, Verified, keys::Keys},
    receiver::{self, filter::Filter},
};

const PREFIX: &str = "/hook/";
/// How many objects a page of a listing holds.
const PAGE: u32 = 200;

/// Answers to webhooks.
pub(crate) struct Webhooks {
    pub client: Client,
    pub receivers: Store<Receiver>,
    pub keys: Keys,
    pub no_cross_namespace: bool,
    pub field_owner: &'static str,
}

impl Handler for Webhooks {
    fn serves(&self, path: &str) -> bool {
        path.starts_with(PREFIX)
    }

    async fn handle(&self, request: Received) -> Response<Body> {
        status(Box::pin(self.answer(&request)).await)
    }
}

impl Webhooks {
    async fn answer(&self, request: &Received) -> StatusCode {
        let Some(receiver) = self.find(&request.target) else {
            return StatusCode::NOT_FOUND;
        };
        let (namespace, name) = (
            receiver.namespace().unwrap_or_default(),
            receiver.name_any(),
        );
        if receiver.spec.suspend.unwrap_or_default() || !is_ready(&receiver) {
            tracing::info!(namespace, name, "receiver is suspended or not ready");
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        let verified = match self.verify(&receiver, request).await {
            Ok(verified) => verified,
            Err(error) => {
                tracing::error!(namespace, name, error, "unable to validate payload");
                return StatusCode::BAD_REQUEST;
            }
        };
        match self.request_all(&receiver, request, &verified).await {
            Ok(()) => StatusCode::OK,
            Err(error) => {
                tracing::error!(namespace, name, error, "unable to request reconciliation");
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }

    /// Finds the receiver of a path. All are compared, each in constant time.
    fn find(&self, target: &str) -> Option<Arc<Receiver>> {
        let mut found = None;
        for receiver in self.receivers.state() {
            let path = receiver.status.as_ref().and_then(|s| s.path());
            let same = path.is_some_and(|p| bool::from(p.as_bytes().ct_eq(target.as_bytes())));
            if same {
                found = Some(receiver);
            }
        }
        found
    }

    async fn verify(&self, receiver: &Receiver, request: &Received) -> Result<Verified, String> {
        let secret = match receiver.spec.secret_ref {
            Some(_) => receiver::secret(&self.client, receiver).await?,
            None => hook::Secret::new(),
        };
        hook::verify(receiver, &secret, request, &self.keys).await
    }

    /// Has every resource reconciled. One that fails does not keep the others from it.
    async fn request_all(
        &self,
        receiver: &Receiver,
        request: &Received,
        verified: &Verified,
    ) -> Result<(), String> {
        let mut faults = Vec::new();
        let filter = Filter::of(receiver, request, verified)?;
        for (at, resource) in receiver.spec.resources.iter().enumerate() {
            if let Err(fault) = self.request(receiver, at, resource, &filter).await {
                faults.push(fault);
            }
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(faults.join("; "))
        }
    }

    async fn request(
        &self,
        receiver: &Receiver,
        at: usize,
        resource: &ReceiverResource,
        filter: &Filter,
    ) -> Result<(), String> {
        let own = receiver.namespace().unwrap_or_default();
        let namespace = resource.namespace.clone().filter(|n| !n.is_empty());
        let namespace = namespace.unwrap_or_else(|| own.clone());
        if self.no_cross_namespace && namespace != own {
            return Err("cross-namespace references are not allowed".into());
        }
        let kind = api_resource(resource)?;
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &namespace, &kind);
        if resource.name == "*" {
            return self.request_matching(&api, at, resource, filter).await;
        }
        let id = || format!("{}/{namespace}/{}", resource.kind.as_str(), resource.name);
        let told = |error: kube::Error| {
            format!(
                "unable to read {}: {}",
                id(),
                runtime::failure::chain(&error)
            )
        };
        if filter.is_needed(at) {
            let found = api.get_metadata(&resource.name).await.map_err(told)?;
            if !filter.accepts(at, &kind, &found.metadata)? {
                tracing::debug!(object = id(), "resource did not match the filter");
                return Ok(());
            }
        }
        self.annotate(&api, &resource.name).await.map_err(told)
    }

    async fn request_matching(
        &self,
        api: &Api<DynamicObject>,
        at: usize,
        resource: &ReceiverResource,
        filter: &Filter,
    ) -> Result<(), String> {
        if resource.match_labels.is_empty() {
            return Err("matchLabels field not set when using wildcard '*' as name".into());
        }
        let pairs = resource.match_labels.iter();
        let selector: Vec<_> = pairs.map(|(key, value)| format!("{key}={value}")).collect();
        let mut params = ListParams::default()
            .labels(&selector.join(","))
            .limit(PAGE);
        let kind = api_resource(resource)?;
        let told = |error: kube::Error| runtime::failure::chain(&error);
        let mut any = false;
        loop {
            let page = api.list_metadata(&params).await.map_err(told)?;
            for object in &page.items {
                any = true;
                if filter.accepts(at, &kind, &object.metadata)? {
                    self.annotate(api, &object.name_any()).await.map_err(told)?;
                }
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params.continue_token = Some(token),
                None => break,
            }
        }
        if !any {
            tracing::info!(
                kind = resource.kind.as_str(),
                "no resource matches the labels"
            );
        }
        Ok(())
    }

    async fn annotate(&self, api: &Api<DynamicObject>, name: &str) -> kube::Result<()> {
        let now = Timestamp::now().to_string();
        let patch = json!({ "metadata": { "annotations": { REQUESTED_AT: now } } });
        let params = PatchParams {
            field_manager: Some(self.field_owner.to_owned()),
            ..PatchParams::default()
        };
        let patched = api
            .patch_metadata(name, &params, &Patch::Merge(patch))
            .await;
        patched.map(drop)
    }
}

/// Returns how an object of a receiver's list is asked for.
pub(crate) fn api_resource(resource: &ReceiverResource) -> Result<ApiResource, String> {
    let kind = resource.kind;
    let version = match resource.api_version.as_deref().filter(|v| !v.is_empty()) {
        Some(version) => version,
        None => match kind {
            ObjectKind::Bucket
            | ObjectKind::HelmChart
            | ObjectKind::HelmRepository
            | ObjectKind::GitRepository
            | ObjectKind::OciRepository => "source.toolkit.fluxcd.io/v1",
            ObjectKind::ImageRepository => "image.toolkit.fluxcd.io/v1",
            ObjectKind::ArtifactGenerator => "source.extensions.fluxcd.io/v1beta1",
            other => {
                let kind = other.as_str();
                return Err(format!("apiVersion must be specified for kind {kind:?}"));
            }
        },
    };
    Ok(resource_of(version, kind.as_str()))
}

/// Whether Ready is True, and the receiver neither stalls nor goes on.
fn is_ready(receiver: &Receiver) -> bool {
    let is = |kind: &str| {
        let mut conditions = receiver.conditions().iter();
        conditions.any(|c| c.type_ == kind && c.status == "True")
    };
    is("Ready") && !is("Stalled") && !is("Reconciling")
}

/// What a filter sees of an object: its metadata, version and kind.
pub(crate) fn seen(kind: &ApiResource, metadata: &ObjectMeta) -> serde_json::Value {
    json!({ "apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata })
}
