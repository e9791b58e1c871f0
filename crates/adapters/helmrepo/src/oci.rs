//! Charts in a registry: the tags of a repository are versions of a chart.

use helm::repository::{ChooseError, choose_tag};
use net_http::StatusCode;
use registry::{Access, Registries, Remote, Repository, RepositoryError, media_type};
use semver::Version;
use tokio::time::Instant;

/// Why a chart was not found or downloaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OciError {
    /// The address names no repository.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// The versions cannot be listed.
    #[error("could not get tags for {name:?}")]
    Tags {
        /// The chart.
        name: String,
        /// Why.
        #[source]
        source: registry::Error,
    },
    /// There are no versions.
    #[error("unable to locate any tags in provided repository: {0}")]
    NoTags(String),
    /// None of the versions is meant.
    #[error(transparent)]
    Choose(#[from] ChooseError),
    /// The chart cannot be read.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// It is no chart.
    #[error("{0} holds no chart: there is no layer of type {layer}", layer = media_type::HELM_CHART)]
    NoChart(String),
    /// The manifest is of no use.
    #[error(transparent)]
    Manifest(#[from] registry::ManifestError),
    /// The chart is too large.
    #[error("chart exceeds the maximum chart size of {0} bytes")]
    Size(u64),
}

impl OciError {
    /// Returns whether the registry wants other credentials, or its certificate was refused.
    pub fn is_authentication(&self) -> bool {
        let (Self::Tags { source, .. } | Self::Registry(source)) = self else {
            return false;
        };
        match source {
            registry::Error::Exchange { source, .. } => crate::refuses_certificate(source),
            source => source.status() == Some(StatusCode::UNAUTHORIZED),
        }
    }
}

/// The versions of one chart in a registry, as one object may see them.
#[derive(Clone, Debug)]
pub struct OciCharts {
    remote: Remote,
    name: String,
}

impl OciCharts {
    /// Returns the chart `name` below `url` (`oci://<host>/<path>`).
    ///
    /// # Errors
    /// [`OciError::Repository`], [`OciError::Registry`].
    pub fn new(
        registries: &Registries,
        url: &str,
        name: &str,
        access: Access,
        deadline: Instant,
    ) -> Result<Self, OciError> {
        let base = url
            .strip_prefix("oci://")
            .unwrap_or(url)
            .trim_end_matches('/');
        let repository = Repository::parse(&format!("{base}/{name}"))?;
        let remote = registries.remote(repository, access)?.until(deadline);
        Ok(Self {
            remote,
            name: name.to_owned(),
        })
    }

    /// Returns the repository behind the chart.
    pub fn remote(&self) -> &Remote {
        &self.remote
    }

    /// Finds the version that is meant: a whole version as it is, without asking; else the highest tag in range.
    ///
    /// # Errors
    /// [`OciError`].
    pub async fn find(&self, wanted: &str) -> Result<String, OciError> {
        let numbers = wanted.split(['-', '+']).next().unwrap_or_default();
        if numbers.split('.').count() == 3 && Version::parse(wanted).is_ok() {
            return Ok(wanted.to_owned());
        }
        let tags = self.remote.tags().await.map_err(|source| OciError::Tags {
            name: self.name.clone(),
            source,
        })?;
        // A tag may hold no plus sign, so an underscore stands for it.
        let mut versions: Vec<String> = tags.iter().map(|tag| tag.replace('_', "+")).collect();
        if versions.is_empty() {
            return Err(OciError::NoTags(self.name.clone()));
        }
        let at = choose_tag(&versions, wanted)?;
        Ok(versions.swap_remove(at))
    }

    /// Returns the tag of a version.
    pub fn tag(version: &str) -> String {
        version.replace('+', "_")
    }

    /// Downloads the archive of the chart that a tag or digest leads to.
    ///
    /// # Errors
    /// [`OciError`].
    pub async fn download(&self, reference: &str, max_bytes: u64) -> Result<Vec<u8>, OciError> {
        let manifest = self.remote.image(reference).await?;
        let image = manifest.image()?;
        let layer = image
            .layers
            .iter()
            .find(|layer| layer.media_type == media_type::HELM_CHART)
            .ok_or_else(|| OciError::NoChart(self.remote.repository().to_string()))?;
        let blob = self.remote.blob(&layer.digest).await?;
        match blob.bytes(max_bytes).await {
            Err(registry::Error::TooMuch { .. }) => Err(OciError::Size(max_bytes)),
            other => Ok(other?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: StatusCode) -> registry::Error {
        registry::Error::Refused {
            method: "GET".into(),
            url: "https://registry.example/v2/charts/tls-401/manifests/0.1.0".into(),
            answer: registry::Answer {
                status,
                problems: Vec::new(),
                body: "unauthorized is only the name of this chart".into(),
                head: false,
                retry_after: None,
            },
        }
    }

    #[test]
    fn names_and_texts_do_not_make_a_refusal_one_of_credentials() {
        assert!(OciError::from(refused(StatusCode::UNAUTHORIZED)).is_authentication());
        let tags = OciError::Tags {
            name: "demo".into(),
            source: refused(StatusCode::UNAUTHORIZED),
        };
        assert!(tags.is_authentication());
        for status in [StatusCode::NOT_FOUND, StatusCode::SERVICE_UNAVAILABLE] {
            assert!(!OciError::from(refused(status)).is_authentication());
        }
        assert!(!OciError::NoTags("tls".into()).is_authentication());
    }
}
