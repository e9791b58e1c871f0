//! Credentials for registries that come from a cloud instead of from a Secret.

use api::source::RegistryProvider;
use registry::{Credentials, Repository};

/// Returns the credentials of this process for a registry.
///
/// # Errors
/// A provider that is not supported: nothing that a user asks for is passed over in silence.
pub(crate) fn credentials(
    provider: RegistryProvider,
    _repository: &Repository,
) -> Result<Credentials, String> {
    let refused = |name: &str| Err(format!("spec.provider '{name}' is not supported"));
    match provider {
        RegistryProvider::Generic => Ok(Credentials::Anonymous),
        RegistryProvider::Aws => refused("aws"),
        RegistryProvider::Azure => refused("azure"),
        RegistryProvider::Gcp => refused("gcp"),
    }
}
