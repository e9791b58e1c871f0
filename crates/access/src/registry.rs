//! How a registry is reached: docker configurations, certificates and a proxy, joined.

use net_http::{ClientConfig, Proxy, Redactor};
use registry::{Access, Credentials, Keychain, KeychainError, Repository};
use runtime::secrets::{SecretError, SecretView, pull_secrets};

use crate::reader::{ReadError, Reader, cause};

/// What an object says about its registry: names in its own namespace.
#[derive(Clone, Copy, Debug, Default)]
pub struct RegistryAccess<'a> {
    /// The object's namespace.
    pub namespace: &'a str,
    /// The Secret with a docker configuration.
    pub login: Option<&'a str>,
    /// The ServiceAccount whose pull Secrets count after that.
    pub puller: Option<&'a str>,
    /// The Secret with certificates.
    pub certificates: Option<&'a str>,
    /// The Secret of a proxy.
    pub proxy: Option<&'a str>,
    /// Whether plain HTTP will do.
    pub insecure: bool,
}

/// Why docker configurations cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// The Secret that is named could not be read.
    #[error("failed to get secret '{name}': {}", cause(.error))]
    Secret {
        /// Its name, without namespace.
        name: String,
        /// Why.
        error: SecretError,
    },
    /// The ServiceAccount or one of its Secrets could not be read.
    #[error("{}", cause(.error))]
    Puller {
        /// The account's name, without namespace.
        name: String,
        /// Why.
        error: SecretError,
    },
    /// A Secret holds a docker configuration that is none.
    #[error("secret '{name}'")]
    Keychain {
        /// `<namespace>/<name>`.
        name: String,
        /// What is wrong with it.
        source: KeychainError,
    },
}

/// Why a registry cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The proxy.
    #[error(transparent)]
    Proxy(ReadError),
    /// The certificates.
    #[error(transparent)]
    Certificates(ReadError),
}

impl Reader {
    /// Reads the docker configurations that an object names, in the order in which they count; none where there are
    /// none.
    ///
    /// # Errors
    /// [`LoginError::Secret`], [`LoginError::Puller`].
    pub async fn logins(&self, wanted: &RegistryAccess<'_>) -> Result<Vec<SecretView>, LoginError> {
        let mut found = Vec::new();
        let named = |name: Option<&str>| name.filter(|name| !name.is_empty()).map(str::to_owned);
        if let Some(name) = named(wanted.login) {
            match self.secret(wanted.namespace, &name).await {
                Ok(secret) => found.push(secret),
                Err(error) => return Err(LoginError::Secret { name, error }),
            }
        }
        if let Some(name) = named(wanted.puller) {
            match pull_secrets(&self.client, wanted.namespace, &name).await {
                Ok(secrets) => found.extend(secrets),
                Err(error) => return Err(LoginError::Puller { name, error }),
            }
        }
        Ok(found)
    }

    /// Joins credentials with the proxy and the certificates that an object names.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn registry(
        &self,
        wanted: &RegistryAccess<'_>,
        credentials: Credentials,
    ) -> Result<Access, RegistryError> {
        let proxy = self.proxy(wanted.namespace, wanted.proxy).await;
        let proxy = proxy.map_err(RegistryError::Proxy)?;
        self.registry_through(wanted, credentials, proxy).await
    }

    /// Joins credentials with a proxy that was read already, and the certificates that an object names.
    ///
    /// # Errors
    /// [`RegistryError::Certificates`].
    pub async fn registry_through(
        &self,
        wanted: &RegistryAccess<'_>,
        credentials: Credentials,
        proxy: Proxy,
    ) -> Result<Access, RegistryError> {
        let certificates = self.certificates(wanted.namespace, wanted.certificates);
        let certificates = certificates.await.map_err(RegistryError::Certificates)?;
        let http = self.config(certificates, proxy);
        Ok(Access {
            http: http.map_err(RegistryError::Certificates)?,
            credentials,
            insecure: wanted.insecure,
        })
    }
}

/// Finds the credentials for a repository in docker configurations; nothing where none is for it.
///
/// # Errors
/// [`LoginError::Keychain`].
pub fn keychain(
    secrets: &[SecretView],
    repository: &Repository,
) -> Result<Credentials, LoginError> {
    let mut keychain = Keychain::default();
    for secret in secrets {
        let added = keychain.add_secret(|key| secret.bytes(key));
        added.map_err(|source| LoginError::Keychain {
            name: secret.name.clone(),
            source,
        })?;
    }
    Ok(keychain.find(repository).cloned().unwrap_or_default())
}

/// Collects what must not be shown of a configuration, and further secrets.
pub fn redactor(config: &ClientConfig, secrets: &[&str]) -> Redactor {
    let mut redactor = Redactor::default();
    for secret in secrets {
        redactor.add(secret);
    }
    if let Proxy::Explicit {
        credentials: Some((_, password)),
        ..
    } = &config.proxy
    {
        redactor.add(password);
    }
    redactor
}

/// Collects what must not be shown of an access.
pub fn redactor_of(access: &Access) -> Redactor {
    match &access.credentials {
        Credentials::Anonymous => redactor(&access.http, &[]),
        Credentials::Basic { username, password } => {
            let both = format!("{username}:{password}");
            redactor(&access.http, &[password, &both])
        }
        Credentials::Identity(token) | Credentials::Token(token) => {
            redactor(&access.http, &[token])
        }
    }
}
