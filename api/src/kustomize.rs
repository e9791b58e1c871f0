//! `kustomize.toolkit.fluxcd.io`: what is built from a source and applied to a cluster.

pub(crate) use self::kustomization::merge_patches;
pub use self::{
    drift::{
        DriftDetection, DriftDetectionMode, DriftStatus, DriftedObject, FailedObject, IgnoreRule,
        PruneGuard, UnwatchedKind,
    },
    kustomization::{
        BuildMetadata, CommonMetadata, Decryption, DecryptionProvider, DeletionPolicy, HealthCheck,
        HealthCheckExpression, HistoryEntry, Image, JsonOperation, JsonOperationKind, JsonPatch,
        Kustomization, KustomizationSpec, KustomizationStatus, Patch, PostBuild, Snapshot,
        SnapshotEntry, SourceKind, SourceReference, SubstituteKind, SubstituteReference,
        SubstituteStrategy, Validation,
    },
};

mod drift;
mod kustomization;
