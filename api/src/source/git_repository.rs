//! GitRepository: an artifact from a commit of a Git repository.

use serde::{Deserialize, Serialize};

use crate::meta::{AccessFrom, Artifact, Condition, Duration, LocalReference};

kind! {
    /// Publishes the files of one commit of a Git repository as an artifact.
    GitRepository { group: "source.toolkit.fluxcd.io", version: "v1", plural: "gitrepositories" }
    GitRepositorySpec, GitRepositoryStatus
}

reconciled!(GitRepository, interval: |spec| Some(spec.interval));

/// Says which repository to fetch, which commit of it, and how often.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    schemars(extend("x-kubernetes-validations" = crate::schema::rules(&[(
        "!has(self.serviceAccountName) || (has(self.provider) && (self.provider == 'azure' || self.provider == 'aws'))",
        "serviceAccountName can only be set when provider is 'azure' or 'aws'",
    )])))
)]
#[serde(rename_all = "camelCase")]
pub struct GitRepositorySpec {
    /// Address of the repository: `https://`, `http://` or `ssh://`. The scp form `git@host:path` is not accepted.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = "^(http|https|ssh)://.*$")))]
    pub url: String,
    /// Secret with the credentials. Keys for HTTP: `username` and `password`, or `bearerToken`, and `ca.crt`, `tls.crt`,
    /// `tls.key`. For SSH: `identity`, `known_hosts`, and `password` where the key has one. For the provider `github`:
    /// `githubAppID`, `githubAppInstallationID`, `githubAppPrivateKey`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalReference>,
    /// How to log in: with the Secret (`generic`), as the workload's cloud identity (`aws`, `azure`), or as a GitHub App
    /// (`github`). Default: `generic`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<GitProvider>,
    /// ServiceAccount in the same namespace whose cloud identity is used with the providers `aws` and `azure`. Default:
    /// that of the controller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// How often to look for a new commit, such as `5m`. At most one look per second is useful.
    pub interval: Duration,
    /// How long one Git operation may take, such as `2m`. Hours are not accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schemars(extend("pattern" = crate::schema::TIMEOUT, "default" = "60s"))
    )]
    pub timeout: Option<Duration>,
    /// Which commit to publish. Default: the tip of the branch `master`.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<GitReference>,
    /// Checks the OpenPGP or SSH signature of the commit or tag before anything is published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify: Option<GitVerification>,
    /// Secret with the proxy to go through. Keys: `address`, and `username` and `password` where it asks for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_secret_ref: Option<LocalReference>,
    /// Patterns of files to leave out of the artifact, in the form of `.gitignore`, one a line. Replaces the built-in
    /// list; `.sourceignore` files of the repository come after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore: Option<String>,
    /// Stops fetching while true; the last artifact stays available.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// Fetches the submodules of the commit too, with the same credentials. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recurse_submodules: Option<bool>,
    /// Artifacts of other GitRepositories to copy into this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<Include>,
    /// Directories to check out, relative to the repository's root. Default: everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sparse_checkout: Vec<String>,
    /// Which Git library to use; has no effect. Only for manifests of v1beta1 and v1beta2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git_implementation: Option<GitImplementation>,
    /// Namespaces from which the artifact may be referred to. Only for manifests of v1beta1 and v1beta2; not enforced by
    /// default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_from: Option<AccessFrom>,
}

/// How to log in to a Git server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum GitProvider {
    /// With what the Secret has.
    #[default]
    Generic,
    /// As an AWS identity, for CodeCommit.
    Aws,
    /// As an Azure identity, for Azure DevOps.
    Azure,
    /// As an installation of a GitHub App.
    Github,
}

/// The Git library that older versions let users choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum GitImplementation {
    /// go-git.
    GoGit,
    /// libgit2.
    Libgit2,
}

/// Names a commit. The first field that is set counts, in the order `commit`, `name`, `semver`, `tag`, `branch`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GitReference {
    /// Branch whose tip is published. Together with `commit`: the branch on which the commit is looked for. Default:
    /// `master`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Tag that is published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Range of versions, such as `>=1.2.0 <2.0.0`; the highest tag within it is published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub semver: Option<String>,
    /// Full name of a reference, such as `refs/pull/420/head`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Full id of a commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

/// Says what has to be signed, and by whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct GitVerification {
    /// Which objects have to be signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("default" = "HEAD")))]
    pub mode: Option<GitVerificationMode>,
    /// Secret whose every value is a public key, or several, of a trusted author.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(required))]
    pub secret_ref: Option<LocalReference>,
}

/// Which Git objects have to be signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum GitVerificationMode {
    /// The commit; the older spelling of `HEAD`.
    #[serde(rename = "head")]
    LowerCaseHead,
    /// The commit.
    #[default]
    #[serde(rename = "HEAD")]
    Head,
    /// The annotated tag.
    Tag,
    /// Both the annotated tag and the commit that it points to.
    #[serde(rename = "TagAndHEAD")]
    TagAndHead,
}

/// Copies the artifact of another GitRepository into this one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Include {
    /// GitRepository in the same namespace.
    pub repository: LocalReference,
    /// Directory of that artifact to copy. Default: its root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_path: Option<String>,
    /// Directory of this artifact to copy to. Default: one named like the repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_path: Option<String>,
}

/// Says what was fetched and published last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct GitRepositoryStatus {
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
    /// What was published last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
    /// Artifacts that were copied into it, in the order of `spec.include`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub included_artifacts: Vec<Artifact>,
    /// `spec.ignore` that the artifact was made with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_ignore: Option<String>,
    /// `spec.recurseSubmodules` that the artifact was made with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_recurse_submodules: Option<bool>,
    /// `spec.include` that the artifact was made with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observed_include: Vec<Include>,
    /// `spec.sparseCheckout` that the artifact was made with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observed_sparse_checkout: Vec<String>,
    /// What of the artifact's commit was verified: `HEAD`, `Tag` or `TagAndHEAD`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_verification_mode: Option<String>,
    /// Value of the last request annotation that was acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// Address of the newest artifact under a fixed name; written by v1beta1 and v1beta2 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Checksum of the settings that the artifact was made with; written by v1beta2 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_config_checksum: Option<String>,
}
