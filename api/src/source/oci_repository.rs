//! OCIRepository: an artifact from an image of an OCI registry.

use serde::{Deserialize, Serialize};

use super::RegistryProvider;
use crate::meta::{Artifact, Condition, Duration, LocalReference};

kind! {
    /// Publishes a layer of an image of an OCI registry as an artifact.
    OCIRepository { group: "source.toolkit.fluxcd.io", version: "v1", plural: "ocirepositories" }
    OCIRepositorySpec, OCIRepositoryStatus
}

reconciled!(OCIRepository, interval: |spec| Some(spec.interval));

/// Says which repository of a registry to fetch from, which image of it, and how often.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OCIRepositorySpec {
    /// Address of the repository, without tag or digest: `oci://<host>/<path>`.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = "^oci://.*$")))]
    pub url: String,
    /// Which image to publish. Default: the tag `latest`.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<OCIReference>,
    /// Which layer of the image to publish. Default: the first one, unpacked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer_selector: Option<LayerSelector>,
    /// How to log in: with Secrets (`generic`) or as the workload's cloud identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("default" = "generic")))]
    pub provider: Option<RegistryProvider>,
    /// Secret of type `kubernetes.io/dockerconfigjson` to log in with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalReference>,
    /// Checks the signature of the image before anything is published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify: Option<OCIVerification>,
    /// ServiceAccount in the same namespace whose image pull Secrets, or whose cloud identity, are used. Default: that of the
    /// controller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// Secret with certificates for TLS. Keys: `ca.crt`, and `tls.crt` and `tls.key` for a client certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_secret_ref: Option<LocalReference>,
    /// Secret with the proxy to go through. Keys: `address`, and `username` and `password` where it asks for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_secret_ref: Option<LocalReference>,
    /// How often to look for a new image, such as `5m`.
    pub interval: Duration,
    /// How long one operation may take, such as `2m`. Hours are not accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = crate::schema::TIMEOUT, "default" = "60s")))]
    pub timeout: Option<Duration>,
    /// Patterns of files to leave out of the artifact, in the form of `.gitignore`, one a line. Replaces the built-in list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore: Option<String>,
    /// Talks to the registry without TLS. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insecure: Option<bool>,
    /// Stops fetching while true; the last artifact stays available.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
}

/// Names an image. The first field that is set counts, in the order `digest`, `semver`, `tag`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OCIReference {
    /// Digest of the manifest, such as `sha256:9f86d0…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Range of versions, such as `>=1.2.0 <2.0.0`; the highest tag within it is published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub semver: Option<String>,
    /// Regular expression that tags have to match to be looked at by `semver`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub semver_filter: Option<String>,
    /// Tag. Default: `latest`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

/// Chooses a layer of an image, and what is done with it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct LayerSelector {
    /// Media type of the layer; the first layer with it is taken. Default: the first of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What is done with the layer. Default: `extract`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<LayerOperation>,
}

/// What is done with a layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum LayerOperation {
    /// Unpacked, and packed again without what is ignored.
    #[default]
    Extract,
    /// Published as it is.
    Copy,
}

/// Says what has to have signed an image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OCIVerification {
    /// How images are signed.
    #[cfg_attr(feature = "schema", schemars(extend("default" = "cosign")))]
    pub provider: VerificationProvider,
    /// Secret with public keys: for cosign every key that ends in `.pub`; for notation certificates that end in `.crt` or `.pem`
    /// and the policy `trustpolicy.json`. Default for cosign: keyless, by identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalReference>,
    /// Identities one of which has to have signed keylessly. Default: any.
    #[serde(
        rename = "matchOIDCIdentity",
        default,
        skip_serializing_if = "Vec::is_empty"
    )]
    pub match_oidc_identity: Vec<OIDCIdentity>,
    /// Secret with the roots of trust of a Sigstore of one's own, in key `trusted_root.json`. Default: those of the public
    /// Sigstore.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trusted_root_secret_ref: Option<LocalReference>,
}

/// How images and charts are signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum VerificationProvider {
    /// With Sigstore's cosign.
    #[default]
    Cosign,
    /// With Notary Project's notation.
    Notation,
}

/// Describes who may have signed keylessly.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OIDCIdentity {
    /// Regular expression (Go syntax) over the issuer of the identity's token.
    pub issuer: String,
    /// Regular expression (Go syntax) over the identity.
    pub subject: String,
}

/// Says what was fetched and published last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OCIRepositoryStatus {
    /// Generation of the object that the last finished run acted on; -1 before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// State of the object, one entry a type: `Ready`, `Reconciling`, `Stalled`, `FetchFailed`, `SourceVerified` and more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "crate::schema::conditions")
    )]
    pub conditions: Vec<Condition>,
    /// Value of the last request annotation that was acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// What was published last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
    /// Address of the newest artifact under a fixed name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// `spec.ignore` that the artifact was made with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_ignore: Option<String>,
    /// `spec.layerSelector` that the artifact was made with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_layer_selector: Option<LayerSelector>,
    /// Checksum of the settings that the artifact was made with; written by v1beta2 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_config_checksum: Option<String>,
}
