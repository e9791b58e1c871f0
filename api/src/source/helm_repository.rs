//! HelmRepository: where charts are listed.

use serde::{Deserialize, Serialize};

use super::RegistryProvider;
use crate::meta::{AccessFrom, Artifact, Condition, Duration, LocalReference};

kind! {
    /// Publishes the index of a Helm repository, or names an OCI registry with charts.
    HelmRepository { group: "source.toolkit.fluxcd.io", version: "v1", plural: "helmrepositories" }
    HelmRepositorySpec, HelmRepositoryStatus
}

reconciled!(HelmRepository, interval: |spec| spec.interval);

/// Says which Helm repository to read and how often.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HelmRepositorySpec {
    /// Address of the repository: `https://` or `http://` of an index, `oci://<host>/<path>` of a registry.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = "^(http|https|oci)://.*$")))]
    pub url: String,
    /// Secret to log in with. Keys: `username` and `password`; for `oci` also a Secret of type `kubernetes.io/dockerconfigjson`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalReference>,
    /// Secret with certificates for TLS. Keys: `ca.crt`, and `tls.crt` and `tls.key` for a client certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_secret_ref: Option<LocalReference>,
    /// Sends the credentials also to other hosts that charts are downloaded from. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pass_credentials: Option<bool>,
    /// How often to read the index, such as `10m`. Default: `1m`. No effect with `oci`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,
    /// Talks to the registry without TLS; only with `oci`. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insecure: Option<bool>,
    /// How long one operation may take, such as `2m`. Hours are not accepted. Default: `60s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = crate::schema::TIMEOUT)))]
    pub timeout: Option<Duration>,
    /// Stops reading while true; the last index stays available.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// Namespaces from which the artifact may be referred to; not enforced by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_from: Option<AccessFrom>,
    /// Kind of the repository. Default: `default`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<HelmRepositoryKind>,
    /// How to log in to a registry: with the Secret (`generic`) or as the workload's cloud identity; only with `oci`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("default" = "generic")))]
    pub provider: Option<RegistryProvider>,
}

/// A kind of Helm repository.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum HelmRepositoryKind {
    /// An index file over HTTP.
    #[default]
    Default,
    /// A registry.
    Oci,
}

/// Says what was read and published last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HelmRepositoryStatus {
    /// Generation of the object that the last finished run acted on; -1 before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// State of the object, one entry a type: `Ready`, `Reconciling`, `Stalled`, `FetchFailed` and more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "crate::schema::conditions")
    )]
    pub conditions: Vec<Condition>,
    /// Value of the last request annotation that was acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// The index that was published last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
    /// Address of the newest index under a fixed name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}
