//! How a registry is reached on behalf of an ImageRepository.

use access::{LoginError, ReadError, Reader, RegistryAccess, RegistryError, keychain};
use api::{image::ImageRepositorySpec, meta::LocalReference, source::RegistryProvider};
use registry::{Access, Credentials, Repository};

/// The gate that allows an identity of an object's own.
pub(crate) const WORKLOAD_IDENTITY: &str = "ObjectLevelWorkloadIdentity";

/// Makes accesses.
#[derive(Clone, Debug)]
pub(crate) struct Accesses {
    /// Reads what objects name.
    pub(crate) reader: Reader,
    /// Whether objects may have identities of their own.
    pub(crate) workload_identity: bool,
}

/// Why a registry cannot be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum AccessError {
    /// A Secret could not be read, or is not of use; the answer of the API server alone, as upstream has it.
    #[error("{}", .0.cause())]
    Read(ReadError),
    /// A service account could not be read, or a docker configuration is none.
    #[error(transparent)]
    Login(LoginError),
    /// The Secret with credentials holds none for a registry.
    #[error("secret '{0}': key '.dockerconfigjson' not found")]
    NoLogin(String),
    /// Cloud identities are not read.
    #[error(
        "provider '{0}' is not supported: name a Secret with credentials in spec.secretRef and use provider 'generic'"
    )]
    Provider(&'static str),
    /// It took longer than the object's timeout.
    #[error("context deadline exceeded")]
    Timeout,
}

impl From<LoginError> for AccessError {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Secret { error, .. } => Self::Read(error.into()),
            error => Self::Login(error),
        }
    }
}

impl From<RegistryError> for AccessError {
    fn from(error: RegistryError) -> Self {
        let (RegistryError::Proxy(error) | RegistryError::Certificates(error)) = error;
        Self::Read(error)
    }
}

impl Accesses {
    /// Returns true where an object asks for an identity that the gate does not allow.
    pub(crate) fn needs_gate(&self, spec: &ImageRepositorySpec) -> bool {
        let provider = spec.provider.unwrap_or_default();
        provider != RegistryProvider::Generic
            && spec
                .service_account_name
                .as_deref()
                .is_some_and(|name| !name.is_empty())
            && !self.workload_identity
    }

    /// Reads the Secrets that an object names.
    pub(crate) async fn of(
        &self,
        namespace: &str,
        spec: &ImageRepositorySpec,
        repository: &Repository,
    ) -> Result<Access, AccessError> {
        let provider = spec.provider.unwrap_or_default();
        let wanted = RegistryAccess {
            namespace,
            login: name(spec.secret_ref.as_ref()),
            puller: spec.service_account_name.as_deref(),
            certificates: name(spec.cert_secret_ref.as_ref()),
            proxy: name(spec.proxy_secret_ref.as_ref()),
            insecure: spec.insecure.unwrap_or(false),
        };
        let credentials = match provider {
            RegistryProvider::Generic => self.generic(&wanted, repository).await?,
            RegistryProvider::Aws => return Err(AccessError::Provider("aws")),
            RegistryProvider::Azure => return Err(AccessError::Provider("azure")),
            RegistryProvider::Gcp => return Err(AccessError::Provider("gcp")),
        };
        Ok(self.reader.registry(&wanted, credentials).await?)
    }

    /// Credentials of the object's Secret, or else of the Secrets that its service account pulls images with.
    async fn generic(
        &self,
        wanted: &RegistryAccess<'_>,
        repository: &Repository,
    ) -> Result<Credentials, AccessError> {
        let logins = self.reader.logins(wanted).await?;
        // A Secret may be named for its certificates alone.
        let own = wanted.login.filter(|own| wanted.certificates != Some(own));
        if let Some(own) = logins.first().filter(|_| own.is_some())
            && own.bytes(".dockerconfigjson").is_none()
            && own.bytes(".dockercfg").is_none()
        {
            return Err(AccessError::NoLogin(own.name.clone()));
        }
        Ok(keychain(&logins, repository)?)
    }
}

fn name(reference: Option<&LocalReference>) -> Option<&str> {
    reference.map(|reference| reference.name.as_str())
}
