//! `helm.toolkit.fluxcd.io`: Helm releases.

pub use crate::kustomize::{DriftDetection, DriftDetectionMode};

pub use self::{
    action::{
        ChartNameChangeStrategy, CrdPolicy, DeletionPropagation, Install, InstallRemediation,
        InstallStrategy, Remediation, Rollback, ServerSideApply, StrategyName, Test, TestFilter,
        Uninstall, Upgrade, UpgradeRemediation, UpgradeStrategy,
    },
    helm_release::{
        ChartReference, ChartReferenceKind, ChartSourceReference, ChartTemplate,
        ChartTemplateMetadata, ChartTemplateSpec, ChartTemplateVerification, HelmRelease,
        HelmReleaseSpec, KustomizeRenderer, PostRenderStrategy, PostRenderer, ValuesReference,
        WaitStrategy, WaitStrategyName,
    },
    status::{HelmReleaseStatus, ReleaseAction, Snapshot, TestHook},
};

mod action;
mod helm_release;
mod status;
