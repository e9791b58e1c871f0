//! What a decision about a scan needs.

use access::OBJECT_LEVEL;
use api::image::ImageRepository;
use kube::ResourceExt;
use registry::{Access, Repository};
use runtime::Failure;
use tokio::time::Instant;

use super::{AccessError, ImageRepositories};

/// No run is given less time than this.
const LEAST_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(1);

/// What was read.
#[derive(Debug)]
pub(crate) struct Inputs {
    /// The image.
    pub repository: Repository,
    /// How its registry is reached.
    pub access: Access,
    /// How many tags are stored; none where none ever were.
    pub stored: Option<usize>,
    /// When the run has to end.
    pub deadline: Instant,
}

/// Reads the name of an image, which has neither scheme nor tag.
///
/// # Errors
/// A sentence for users.
pub(crate) fn parse_image(image: &str) -> Result<Repository, String> {
    if let Some((scheme, _)) = image.split_once("://") {
        return Err(format!(
            "image '{image}' should not include URL scheme; remove '{scheme}://'"
        ));
    }
    match Repository::parse_reference(image) {
        Ok((_, Some(end))) if !image.contains('@') => Err(format!(
            "image '{image}' should not include a tag; remove ':{end}'"
        )),
        Ok((_, Some(digest))) => Err(format!(
            "image '{image}' should not include a digest; remove '@{digest}'"
        )),
        Ok((repository, None)) => Ok(repository),
        Err(error) => Err(runtime::failure::chain(&error)),
    }
}

/// How long a run may take: the timeout, or else the interval.
pub(super) fn timeout(object: &ImageRepository) -> std::time::Duration {
    let limit = object.spec.timeout.unwrap_or(object.spec.interval);
    std::time::Duration::from(limit).max(LEAST_TIMEOUT)
}

impl ImageRepositories {
    pub(super) async fn read(&self, object: &ImageRepository) -> Result<Inputs, Failure> {
        let deadline = Instant::now() + timeout(object);
        let spec = &object.spec;
        let repository = self.accesses.check(spec).and_then(|()| {
            parse_image(&spec.image).map_err(|words| Failure::stall("ImageURLInvalid", words))
        })?;
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let access = self.accesses.of((&namespace, &name), spec, &repository);
        let access = tokio::time::timeout_at(deadline, access)
            .await
            .unwrap_or(Err(AccessError::Timeout))
            .map_err(|error| {
                let cause = runtime::failure::chain(&error);
                let words = format!("failed to configure authentication options: {cause}");
                Failure::retry("AuthenticationFailed", words)
            })?;
        let stored = self.tags.get(&namespace, &name);
        let stored = stored.map_err(|error| {
            let cause = runtime::failure::chain(&error);
            let words = format!("failed to determine if it's scan time: {cause}");
            Failure::retry("Failure", words)
        })?;
        Ok(Inputs {
            repository,
            access,
            stored: stored.map(|tags| tags.len()),
            deadline,
        })
    }
}

impl super::Accesses {
    /// Refuses an identity of its own where the gate for it is off.
    fn check(&self, spec: &api::image::ImageRepositorySpec) -> Result<(), Failure> {
        if self.needs_gate(spec) {
            let words = format!(
                "to use spec.serviceAccountName for provider authentication please enable the {OBJECT_LEVEL} feature gate in the controller"
            );
            return Err(Failure::stall("FeatureGateDisabled", words));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: IA-033, IA-039, IA-040, IA-041
    #[test]
    fn images_have_neither_scheme_nor_tag() {
        let name = |image: &str| parse_image(image).map(|repository| repository.to_string());
        assert_eq!(name("alpine").unwrap(), "index.docker.io/library/alpine");
        assert_eq!(name("localhost:5000/app").unwrap(), "localhost:5000/app");
        assert_eq!(
            name("https://ghcr.io/app").unwrap_err(),
            "image 'https://ghcr.io/app' should not include URL scheme; remove 'https://'"
        );
        assert_eq!(
            name("ghcr.io/org/app:1.0.0").unwrap_err(),
            "image 'ghcr.io/org/app:1.0.0' should not include a tag; remove ':1.0.0'"
        );
        assert!(name("ghcr.io/org/APP").is_err());
        assert!(name("").is_err());
    }
}
