//! `kustomize.toolkit.fluxcd.io`: what is built from a source and applied to a cluster.

pub(crate) use self::kustomization::merge_patches;
pub use self::kustomization::{
    BuildMetadata, CommonMetadata, Decryption, DecryptionProvider, DeletionPolicy, HealthCheck,
    HealthCheckExpression, HistoryEntry, IgnoreRule, Image, JsonOperation, JsonOperationKind,
    JsonPatch, Kustomization, KustomizationSpec, KustomizationStatus, Patch, PostBuild, Snapshot,
    SnapshotEntry, SourceKind, SourceReference, SubstituteKind, SubstituteReference,
    SubstituteStrategy, Validation,
};

mod kustomization;
