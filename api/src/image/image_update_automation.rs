//! ImageUpdateAutomation: chosen tags, written to Git.

use std::{collections::BTreeMap, str::FromStr};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::{Deserialize, Serialize, de::IntoDeserializer as _};

use super::ImageReference;
use crate::{
    extension::{self, ExtensionError},
    meta::{Condition, Duration, LocalReference, Time},
    source::GitReference,
};

kind! {
    /// Writes the tags that ImagePolicies choose into files of a Git repository and pushes a commit.
    ImageUpdateAutomation {
        group: "image.toolkit.fluxcd.io", version: "v1", plural: "imageupdateautomations"
    }
    ImageUpdateAutomationSpec, ImageUpdateAutomationStatus
}

reconciled!(ImageUpdateAutomation, interval: |spec| Some(spec.interval));

/// Says which repository to change, where in it, and how to commit and push.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ImageUpdateAutomationSpec {
    /// GitRepository to change.
    pub source_ref: AutomationSourceReference,
    /// How to check out, commit and push. Has to be there for a GitRepository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git: Option<GitSettings>,
    /// How often to look for new tags, such as `5m`.
    pub interval: Duration,
    /// Which ImagePolicies of the namespace are used. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "crate::schema::label_selector")
    )]
    pub policy_selector: Option<LabelSelector>,
    /// What is changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("default" = {"strategy": "Setters"})))]
    pub update: Option<Update>,
    /// Stops changing while true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
}

impl ImageUpdateAutomationSpec {
    /// Returns the branch that is pushed to; `None` where it is the one that is checked out.
    #[must_use]
    pub fn push_branch(&self) -> Option<&str> {
        self.git
            .as_ref()?
            .push
            .as_ref()?
            .branch
            .as_deref()
            .filter(|branch| !branch.is_empty())
    }

    /// Returns the commit to check out; `None` where it is that of the GitRepository.
    #[must_use]
    pub fn checkout(&self) -> Option<&GitReference> {
        Some(&self.git.as_ref()?.checkout.as_ref()?.reference)
    }
}

impl ImageUpdateAutomation {
    /// Returns the pull request to open for what was pushed, by field or annotation.
    ///
    /// # Errors
    /// [`ExtensionError`] where the annotation cannot be read.
    pub fn pull_request(&self) -> Result<Option<PullRequest>, ExtensionError> {
        let field = self
            .spec
            .git
            .as_ref()
            .and_then(|git| git.pull_request.as_ref());
        extension::PULL_REQUEST.read(field, &self.metadata)
    }
}

/// Names the repository to change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(extend("required" = ["kind", "name"])))]
#[serde(rename_all = "camelCase")]
pub struct AutomationSourceReference {
    /// API version of the repository; not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Kind of the repository.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = "GitRepository")))]
    pub kind: AutomationSourceKind,
    /// Name of the repository.
    pub name: String,
    /// Namespace of the repository. Default: that of this object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// A kind of repository that can be changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum AutomationSourceKind {
    /// A Git repository.
    #[default]
    GitRepository,
}

/// Says how to check out, commit and push.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct GitSettings {
    /// What to check out. Default: as the GitRepository says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkout: Option<Checkout>,
    /// How to commit.
    pub commit: Commit,
    /// Where to push. Default: to the branch that is checked out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub push: Option<Push>,
    /// Pull request to open for what was pushed. Has an effect only where `push` names a branch of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<PullRequest>,
}

/// Says what to check out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Checkout {
    /// Reference to check out, in place of that of the GitRepository.
    #[serde(rename = "ref")]
    pub reference: GitReference,
}

/// Says how to commit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Commit {
    /// Who commits.
    pub author: Author,
    /// Key that commits are signed with. Default: they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_key: Option<SigningKey>,
    /// Message of the commit, as a Go template over `.AutomationObject`, `.Changed`, `.Updated` and `.Values`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_template: Option<String>,
    /// Values for the template, under `.Values`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub message_template_values: BTreeMap<String, String>,
}

/// Names who commits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Author {
    /// Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Address.
    pub email: String,
}

/// Names the key that commits are signed with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SigningKey {
    /// Secret with the key, in the same namespace. Keys: `git.asc` for OpenPGP, `identity` for SSH, and `passphrase` or
    /// `password`.
    pub secret_ref: LocalReference,
    /// Kind of the key. Default: `gpg`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<SigningKeyKind>,
}

/// A kind of key that commits are signed with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum SigningKeyKind {
    /// OpenPGP.
    #[default]
    Gpg,
    /// SSH.
    Ssh,
}

/// Says where to push.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Push {
    /// Branch to push to; made where it does not exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Reference specification to push besides, such as `HEAD:refs/heads/main`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refspec: Option<String>,
    /// Options that the server gets with the push.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
}

/// Describes the pull request that is opened for the branch that is pushed to, or changed where there is one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PullRequest {
    /// Which API the Git server has.
    pub provider: PullRequestProvider,
    /// Address of the API. Default: made from the address of the GitRepository.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(max = 2048), extend("pattern" = "^https?://.*$")))]
    pub address: Option<String>,
    /// Secret to log in to the API with, in the same namespace. Keys: `token`, and `ca.crt` for a server with a certificate
    /// of its own. Default: what the GitRepository logs in with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalReference>,
    /// Branch to merge into. Default: the one that is checked out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Title, as a Go template over what the commit message is made from. Default: the first line of the commit message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title_template: Option<String>,
    /// Text, as a Go template over what the commit message is made from. Default: the commit message without its first line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_template: Option<String>,
}

impl FromStr for PullRequest {
    type Err = serde::de::value::Error;

    /// Reads the name of a provider, and leaves the rest to the defaults.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self {
            provider: PullRequestProvider::deserialize(text.into_deserializer())?,
            ..Self::default()
        })
    }
}

/// An API for pull requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum PullRequestProvider {
    /// Pull requests in GitHub.
    #[default]
    Github,
    /// Merge requests in GitLab.
    Gitlab,
    /// Pull requests in Gitea or Forgejo.
    Gitea,
}

/// Says what is changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Update {
    /// How the places to change are found.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("default" = "Setters")))]
    pub strategy: Option<UpdateStrategy>,
    /// Directory to look in, relative to the repository's root. Default: all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// How the places to change are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum UpdateStrategy {
    /// By markers in comments, such as `# {"$imagepolicy": "flux-system:app"}`.
    #[default]
    Setters,
}

/// Says what was pushed last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ImageUpdateAutomationStatus {
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
    /// When the last run was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::time"))]
    pub last_automation_run_time: Option<Time>,
    /// Id of the commit that was pushed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_push_commit: Option<String>,
    /// When that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::time"))]
    pub last_push_time: Option<Time>,
    /// Address of the pull request of the last push, where one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_pull_request: Option<String>,
    /// Images that the ImagePolicies had chosen at the last run, by policy.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub observed_policies: BTreeMap<String, ImageReference>,
    /// Revision of the repository at the last run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_source_revision: Option<String>,
}
