//! Bucket: an artifact from the files of an object store.

use serde::{Deserialize, Serialize};

use crate::meta::{AccessFrom, Artifact, Condition, Duration, LocalReference};

kind! {
    /// Publishes the objects of a bucket as an artifact.
    Bucket { group: "source.toolkit.fluxcd.io", version: "v1", plural: "buckets" }
    BucketSpec, BucketStatus
}

reconciled!(Bucket, interval: |spec| Some(spec.interval));

/// Says which bucket to fetch and how often.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(extend("x-kubernetes-validations" = crate::schema::rules(&RULES))))]
#[serde(rename_all = "camelCase")]
pub struct BucketSpec {
    /// Whose object store it is, which also says how to log in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("default" = "generic")))]
    pub provider: Option<BucketProvider>,
    /// Name of the bucket.
    pub bucket_name: String,
    /// Address of the store: `<host>[:<port>]`, for the provider `azure` a whole URL.
    pub endpoint: String,
    /// Service that gives out temporary credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sts: Option<TokenService>,
    /// Talks to the store without TLS. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insecure: Option<bool>,
    /// Region that the bucket is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Start of the names of the objects to fetch. Default: all objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Secret to log in with. Keys: `accesskey` and `secretkey`; for `gcp` `serviceaccount`; for `azure` one of `accountKey`,
    /// `sasKey`, or those of a service principal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalReference>,
    /// ServiceAccount in the same namespace whose cloud identity is used. Default: that of the controller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// Secret with certificates for TLS. Keys: `ca.crt`, and `tls.crt` and `tls.key` for a client certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_secret_ref: Option<LocalReference>,
    /// Secret with the proxy to go through. Keys: `address`, and `username` and `password` where it asks for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_secret_ref: Option<LocalReference>,
    /// How often to look for changes, such as `5m`.
    pub interval: Duration,
    /// How long one fetch may take, such as `2m`. Hours are not accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = crate::schema::TIMEOUT, "default" = "60s")))]
    pub timeout: Option<Duration>,
    /// Patterns of objects to leave out of the artifact, in the form of `.gitignore`, one a line. Replaces the built-in list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore: Option<String>,
    /// Stops fetching while true; the last artifact stays available.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// Namespaces from which the artifact may be referred to. Only for manifests of v1beta1 and v1beta2; not enforced by
    /// default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_from: Option<AccessFrom>,
}

#[cfg(feature = "schema")]
const RULES: [(&str, &str); 7] = [
    (
        "self.provider == 'aws' || self.provider == 'generic' || !has(self.sts)",
        "STS configuration is only supported for the 'aws' and 'generic' Bucket providers",
    ),
    (
        "self.provider != 'aws' || !has(self.sts) || self.sts.provider == 'aws'",
        "'aws' is the only supported STS provider for the 'aws' Bucket provider",
    ),
    (
        "self.provider != 'generic' || !has(self.sts) || self.sts.provider == 'ldap'",
        "'ldap' is the only supported STS provider for the 'generic' Bucket provider",
    ),
    (
        "!has(self.sts) || self.sts.provider != 'aws' || !has(self.sts.secretRef)",
        "spec.sts.secretRef is not required for the 'aws' STS provider",
    ),
    (
        "!has(self.sts) || self.sts.provider != 'aws' || !has(self.sts.certSecretRef)",
        "spec.sts.certSecretRef is not required for the 'aws' STS provider",
    ),
    (
        "self.provider != 'generic' || !has(self.serviceAccountName)",
        "ServiceAccountName is not supported for the 'generic' Bucket provider",
    ),
    (
        "!has(self.secretRef) || !has(self.serviceAccountName)",
        "cannot set both .spec.secretRef and .spec.serviceAccountName",
    ),
];

/// Whose object store a bucket is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum BucketProvider {
    /// Anything that speaks S3, with static or LDAP credentials.
    #[default]
    Generic,
    /// Amazon S3.
    Aws,
    /// Google Cloud Storage.
    Gcp,
    /// Azure Blob Storage.
    Azure,
}

/// Names a service that gives out temporary credentials.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TokenService {
    /// Kind of the service.
    pub provider: TokenServiceProvider,
    /// Address of the service: `https://` or `http://`.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = "^(http|https)://.*$")))]
    pub endpoint: String,
    /// Secret to log in to the service with. Keys: `username` and `password`. Only for `ldap`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalReference>,
    /// Secret with certificates for TLS with the service. Keys: `ca.crt`, `tls.crt`, `tls.key`. Only for `ldap`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_secret_ref: Option<LocalReference>,
}

/// A kind of service that gives out temporary credentials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum TokenServiceProvider {
    /// Amazon's Security Token Service.
    #[default]
    Aws,
    /// MinIO's, for LDAP users.
    Ldap,
}

/// Says what was fetched and published last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct BucketStatus {
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
    /// What was published last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
    /// Address of the newest artifact under a fixed name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// `spec.ignore` that the artifact was made with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_ignore: Option<String>,
}
