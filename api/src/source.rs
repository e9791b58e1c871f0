//! `source.toolkit.fluxcd.io`: where manifests and charts come from.

use serde::{Deserialize, Serialize};

pub use self::{
    bucket::{
        Bucket, BucketProvider, BucketSpec, BucketStatus, TokenService, TokenServiceProvider,
    },
    external_artifact::{ExternalArtifact, ExternalArtifactSpec, ExternalArtifactStatus},
    git_repository::{
        GitImplementation, GitProvider, GitReference, GitRepository, GitRepositorySpec,
        GitRepositoryStatus, GitVerification, GitVerificationMode, Include,
    },
    helm_chart::{
        ChartSourceKind, ChartSourceReference, ChartVerification, HelmChart, HelmChartSpec,
        HelmChartStatus, ReconcileStrategy,
    },
    helm_repository::{
        HelmRepository, HelmRepositoryKind, HelmRepositorySpec, HelmRepositoryStatus,
    },
    oci_repository::{
        LayerOperation, LayerSelector, OCIReference, OCIRepository, OCIRepositorySpec,
        OCIRepositoryStatus, OCIVerification, OIDCIdentity, VerificationProvider,
    },
};

mod bucket;
mod external_artifact;
mod git_repository;
mod helm_chart;
mod helm_repository;
mod oci_repository;

/// How to log in to a registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum RegistryProvider {
    /// With what Secrets have.
    #[default]
    Generic,
    /// As an AWS identity.
    Aws,
    /// As an Azure identity.
    Azure,
    /// As a Google Cloud identity.
    Gcp,
}
