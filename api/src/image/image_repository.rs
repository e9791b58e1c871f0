//! ImageRepository: which tags an image has.

use serde::{Deserialize, Serialize};

use crate::{
    meta::{AccessFrom, Condition, Duration, LocalReference, Time},
    source::RegistryProvider,
};

kind! {
    /// Looks up the tags of an image in its registry.
    ImageRepository { group: "image.toolkit.fluxcd.io", version: "v1", plural: "imagerepositories" }
    ImageRepositorySpec, ImageRepositoryStatus
}

reconciled!(ImageRepository, interval: |spec| Some(spec.interval));

/// Says which image's tags to look up and how often.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ImageRepositorySpec {
    /// Name of the image, without scheme, tag or digest: `ghcr.io/org/app`.
    pub image: String,
    /// How often to look, such as `5m`.
    pub interval: Duration,
    /// How long one look may take, such as `1m`; less than a second counts as one. Hours are not accepted. Default: `interval`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = crate::schema::TIMEOUT)))]
    pub timeout: Option<Duration>,
    /// Secret of type `kubernetes.io/dockerconfigjson` to log in with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalReference>,
    /// Secret with the proxy to go through. Keys: `address`, and `username` and `password` where it asks for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_secret_ref: Option<LocalReference>,
    /// ServiceAccount in the same namespace whose image pull Secrets, or whose cloud identity, are used. Default: that of the
    /// controller.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(max = 253)))]
    pub service_account_name: Option<String>,
    /// Secret with certificates for TLS. Keys: `ca.crt`, and `tls.crt` and `tls.key` for a client certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_secret_ref: Option<LocalReference>,
    /// Stops looking while true; the tags stay known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// Namespaces whose ImagePolicies may refer to this object, besides its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_from: Option<AccessFrom>,
    /// Regular expressions (Go syntax) of tags to leave out; at most 25. An empty list counts as the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(max = 25), extend("default" = ["^.*\\.sig$"])))]
    pub exclusion_list: Option<Vec<String>>,
    /// How to log in: with Secrets (`generic`) or as the workload's cloud identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("default" = "generic")))]
    pub provider: Option<RegistryProvider>,
    /// Talks to the registry without TLS. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insecure: Option<bool>,
}

/// Says what was found last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ImageRepositoryStatus {
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
    /// Name of the image in full, with the registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canonical_image_name: Option<String>,
    /// What the last look found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_scan_result: Option<ScanResult>,
    /// `spec.exclusionList` that the last look was made with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observed_exclusion_list: Vec<String>,
}

/// Says what a look at a registry found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ScanResult {
    /// Checksum of the tags; changes when they do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// How many tags there are.
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::integer"))]
    pub tag_count: i64,
    /// When the look was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::time"))]
    pub scan_time: Option<Time>,
    /// Some of the tags, the last by name first; at most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub latest_tags: Vec<String>,
}
