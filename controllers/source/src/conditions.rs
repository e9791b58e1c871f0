//! The conditions that several kinds of sources share.

/// The artifact is there.
pub(crate) const ARTIFACT_IN_STORAGE: &str = "ArtifactInStorage";
/// There is something newer than the artifact.
pub(crate) const ARTIFACT_OUTDATED: &str = "ArtifactOutdated";
/// The source could not be reached, or does not have what is asked for.
pub(crate) const FETCH_FAILED: &str = "FetchFailed";
/// Signatures were checked.
pub(crate) const SOURCE_VERIFIED: &str = "SourceVerified";
/// The artifact could not be stored.
pub(crate) const STORAGE_OPERATION_FAILED: &str = "StorageOperationFailed";
