//! Receiver: a webhook that asks objects for a run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ObjectKind;
use crate::meta::{Condition, Duration, LocalReference};

kind! {
    /// Listens for webhooks and asks objects for a run when one comes.
    Receiver { group: "notification.toolkit.fluxcd.io", version: "v1", plural: "receivers" }
    ReceiverSpec, ReceiverStatus
}

reconciled!(Receiver, interval: |spec| Some(spec.interval.unwrap_or(DEFAULT_INTERVAL)));

const DEFAULT_INTERVAL: Duration = Duration::from_seconds(600);

/// Says who calls, how to know that it is them, and what is to run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(extend("x-kubernetes-validations" = crate::schema::rules(&RULES))))]
#[serde(rename_all = "camelCase")]
pub struct ReceiverSpec {
    /// Who calls, and so how calls are checked and read.
    #[serde(rename = "type")]
    pub kind: ReceiverKind,
    /// How often to make sure of the webhook's path, such as `10m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("default" = "10m")))]
    pub interval: Option<Duration>,
    /// Events that are acted on, as the caller names them, such as `push`. Default: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// Objects that are asked for a run.
    pub resources: Vec<ReceiverResource>,
    /// CEL expression over `res` (an object's metadata) and `req` (the call) that says which objects are asked. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_filter: Option<String>,
    /// Secret with the key that calls are signed with, in key `token`; the webhook's path depends on it. Not with
    /// `generic-oidc`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalReference>,
    /// Issuers whose tokens are accepted; only, and at least one, with `generic-oidc`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["issuerURL"])))]
    pub oidc_providers: Vec<OidcProvider>,
    /// Refuses calls while true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
}

#[cfg(feature = "schema")]
const RULES: [(&str, &str); 4] = [
    (
        "self.type != 'generic-oidc' || (has(self.oidcProviders) && size(self.oidcProviders) > 0)",
        "generic-oidc receivers must define at least one oidcProvider",
    ),
    (
        "self.type == 'generic-oidc' || !has(self.oidcProviders) || size(self.oidcProviders) == 0",
        "oidcProviders can only be set when type is generic-oidc",
    ),
    (
        "self.type != 'generic-oidc' || !has(self.secretRef)",
        "secretRef cannot be set when type is generic-oidc",
    ),
    (
        "self.type == 'generic-oidc' || has(self.secretRef)",
        "secretRef is required when type is not generic-oidc",
    ),
];

/// Who calls a webhook.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ReceiverKind {
    /// Anyone who knows the path.
    #[default]
    Generic,
    /// Anyone who signs with the shared key.
    #[serde(rename = "generic-hmac")]
    GenericHmac,
    /// Anyone with a token of a trusted issuer.
    #[serde(rename = "generic-oidc")]
    GenericOidc,
    /// GitHub.
    Github,
    /// GitLab.
    Gitlab,
    /// Bitbucket Server.
    Bitbucket,
    /// Harbor.
    Harbor,
    /// Docker Hub.
    Dockerhub,
    /// Quay.
    Quay,
    /// Google Artifact Registry, through Pub/Sub.
    Gcr,
    /// Nexus.
    Nexus,
    /// Azure Container Registry.
    Acr,
    /// A sender of CDEvents.
    Cdevents,
}

/// Names an object, or several by label, that is asked for a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ReceiverResource {
    /// API version of the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Kind of the object.
    pub kind: ObjectKind,
    /// Name of the object; `*` for all of the kind that have the labels.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 253)))]
    pub name: String,
    /// Namespace of the object. Default: that of the Receiver.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 253)))]
    pub namespace: Option<String>,
    /// Labels that the object must have, each with exactly this value; looked at only where the name is `*`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// CEL expression over `res` and `req` that says whether the object is asked. Default: it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
}

/// An issuer whose tokens are accepted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OidcProvider {
    /// Address of the issuer, as its tokens have it.
    #[serde(rename = "issuerURL")]
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = "^https?://")))]
    pub issuer_url: String,
    /// Audience that tokens have to be for. Default: `notification-controller`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// Values that are worked out of a token's claims before the validations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<OidcVariable>,
    /// Conditions all of which have to hold for a token.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub validations: Vec<OidcValidation>,
}

/// A value that is worked out of a token's claims.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OidcVariable {
    /// Name, under `vars`.
    pub name: String,
    /// CEL expression over `claims` and the `vars` before it.
    pub expression: String,
}

/// A condition on a token.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OidcValidation {
    /// CEL expression over `claims` and `vars` that has to be true.
    pub expression: String,
    /// What the log says where it is not; the caller is told nothing.
    pub message: String,
}

/// Says where the webhook listens.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ReceiverStatus {
    /// Generation of the object that the last finished run acted on; -1 before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// State of the object, one entry a type: `Ready`, `Reconciling`, `Stalled`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "crate::schema::conditions")
    )]
    pub conditions: Vec<Condition>,
    /// Value of the last request annotation that was acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// Path of the webhook: `/hook/<checksum>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_path: Option<String>,
    /// Path of the webhook, as v1beta1 wrote it; `webhookPath` takes its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

impl ReceiverStatus {
    /// Returns the path of the webhook, whichever field it stands in.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        self.webhook_path
            .as_deref()
            .or(self.url.as_deref())
            .filter(|path| !path.is_empty())
    }
}
