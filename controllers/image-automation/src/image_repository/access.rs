//! How a registry is reached on behalf of an ImageRepository.

use access::{
    Asker, Cloud, Identities, IdentityError, LoginError, ReadError, Reader, RegistryAccess,
    RegistryError, keychain,
};
use api::{image::ImageRepositorySpec, meta::LocalReference, source::RegistryProvider};
use registry::{Access, Credentials, Repository};

const KIND: &str = "ImageRepository";
/// What tokens are for, as the metrics name it.
const OPERATION: &str = "reconcile";

/// Makes accesses.
#[derive(Clone, Debug)]
pub(crate) struct Accesses {
    /// Reads what objects name.
    pub(crate) reader: Reader,
    /// Asks clouds for what objects have no Secret for.
    pub(crate) identities: Identities,
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
    /// A cloud gives no login.
    #[error(transparent)]
    Identity(#[from] IdentityError),
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
        let account = spec.service_account_name.as_deref();
        provider != RegistryProvider::Generic && self.identities.needs_gate(account)
    }

    /// Takes an object that is gone out of the metrics.
    pub(crate) fn forget(&self, namespace: &str, name: &str) {
        self.identities.forget(KIND, namespace, name, OPERATION);
    }

    /// Reads the Secrets that an object names; with a cloud as provider its Secret for the login does not count.
    pub(crate) async fn of(
        &self,
        (namespace, name): (&str, &str),
        spec: &ImageRepositorySpec,
        repository: &Repository,
    ) -> Result<Access, AccessError> {
        let wanted = RegistryAccess {
            namespace,
            login: named(spec.secret_ref.as_ref()),
            puller: spec.service_account_name.as_deref(),
            certificates: named(spec.cert_secret_ref.as_ref()),
            proxy: named(spec.proxy_secret_ref.as_ref()),
            insecure: spec.insecure.unwrap_or(false),
        };
        let proxy = self.reader.proxy(namespace, wanted.proxy).await;
        let proxy = proxy.map_err(AccessError::Read)?;
        let cloud = match spec.provider.unwrap_or_default() {
            RegistryProvider::Generic => None,
            RegistryProvider::Aws => Some(Cloud::Aws),
            RegistryProvider::Azure => Some(Cloud::Azure),
            RegistryProvider::Gcp => Some(Cloud::Gcp),
        };
        let credentials = match cloud {
            None => self.generic(&wanted, repository).await?,
            Some(cloud) => {
                let asker = Asker {
                    kind: KIND,
                    namespace,
                    name,
                    operation: OPERATION,
                    account: wanted.puller,
                    proxy: &proxy,
                };
                let login = self.identities.registry_login(cloud, repository, &asker);
                login.await?
            }
        };
        let access = self.reader.registry_through(&wanted, credentials, proxy);
        Ok(access.await?)
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

fn named(reference: Option<&LocalReference>) -> Option<&str> {
    reference.map(|reference| reference.name.as_str())
}
