//! `notification.toolkit.fluxcd.io`: alerts that go out and webhooks that come in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::{
    alert::{Alert, AlertSpec, AlertStatus, Severity},
    event::{Event, EventSeverity},
    provider::{Provider, ProviderKind, ProviderSpec, ProviderStatus},
    receiver::{
        OidcProvider, OidcValidation, OidcVariable, Receiver, ReceiverKind, ReceiverResource,
        ReceiverSpec, ReceiverStatus,
    },
};

mod alert;
mod event;
mod provider;
mod receiver;

/// Names an object, or several by label, whose events or reconciliation are meant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ObjectReference {
    /// API version of the object; not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Kind of the object.
    pub kind: ObjectKind,
    /// Name of the object; `*` for all of the kind.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 253)))]
    pub name: String,
    /// Namespace of the object. Default: that of the object that refers to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 253)))]
    pub namespace: Option<String>,
    /// Labels that the object must have, each with exactly this value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
}

/// A kind that events come from and that can be asked for a run.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ObjectKind {
    /// Of the source group.
    Bucket,
    /// Of the source group.
    GitRepository,
    /// Of the kustomize group.
    #[default]
    Kustomization,
    /// Of the helm group.
    HelmRelease,
    /// Of the source group.
    HelmChart,
    /// Of the source group.
    HelmRepository,
    /// Of the image group.
    ImageRepository,
    /// Of the image group.
    ImagePolicy,
    /// Of the image group.
    ImageUpdateAutomation,
    /// Of the source group.
    #[serde(rename = "OCIRepository")]
    OciRepository,
    /// Of the source extensions group.
    ArtifactGenerator,
    /// Of the source group.
    ExternalArtifact,
}

impl ObjectKind {
    /// Returns the kind's name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bucket => "Bucket",
            Self::GitRepository => "GitRepository",
            Self::Kustomization => "Kustomization",
            Self::HelmRelease => "HelmRelease",
            Self::HelmChart => "HelmChart",
            Self::HelmRepository => "HelmRepository",
            Self::ImageRepository => "ImageRepository",
            Self::ImagePolicy => "ImagePolicy",
            Self::ImageUpdateAutomation => "ImageUpdateAutomation",
            Self::OciRepository => "OCIRepository",
            Self::ArtifactGenerator => "ArtifactGenerator",
            Self::ExternalArtifact => "ExternalArtifact",
        }
    }
}
