//! Manifests as they came, and what is in them.

use oci_distribution::manifest::{OciImageIndex, OciImageManifest};

/// The media types that matter here.
pub mod media_type {
    /// Manifest of an image.
    pub const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
    /// List of images by platform.
    pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// Docker's manifest of an image.
    pub const DOCKER_IMAGE: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker's list of images by platform.
    pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// The archive of a Helm chart.
    pub const HELM_CHART: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
    /// The configuration of a Helm chart.
    pub const HELM_CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";
}

/// A manifest as it came, its digest checked.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// `sha256:<hex>` of the bytes.
    pub digest: String,
    /// The media type that the registry names, else the one that the content names.
    pub media_type: String,
    /// The JSON.
    pub bytes: Vec<u8>,
}

/// Why a manifest is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// It is not of the shape that the specification gives it.
    #[error("manifest is not valid")]
    Json(#[source] serde_json::Error),
}

impl Manifest {
    /// Returns whether this is a list of images.
    pub fn is_index(&self) -> bool {
        matches!(
            self.media_type.as_str(),
            media_type::INDEX | media_type::DOCKER_INDEX
        )
    }

    /// Reads the manifest of an image.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn image(&self) -> Result<OciImageManifest, ManifestError> {
        serde_json::from_slice(&self.bytes).map_err(ManifestError::Json)
    }

    /// Reads a list of images.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn index(&self) -> Result<OciImageIndex, ManifestError> {
        serde_json::from_slice(&self.bytes).map_err(ManifestError::Json)
    }
}
