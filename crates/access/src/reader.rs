//! Reads what objects name.

use std::sync::Arc;

use kube::Client;
use net_http::{ClientConfig, Clients, Proxy};
use runtime::secrets::{SecretError, SecretView, secret};

use crate::certificates::{Certificates, TlsError, check};
use crate::proxy::{ProxyError, proxy};

/// Why what an object names cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The Secret could not be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// It holds no proxy.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// It holds no certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Its certificates are of no use.
    #[error("{0}")]
    Unusable(String),
}

impl ReadError {
    /// Returns the words without which Secret it was: the API server's own, where that did not give it.
    pub fn cause(&self) -> String {
        match self {
            Self::Secret(error) => cause(error),
            other => runtime::failure::chain(other),
        }
    }
}

/// Returns the API server's own words: the caller says which Secret.
pub(crate) fn cause(error: &SecretError) -> String {
    use std::error::Error as _;
    error
        .source()
        .map_or_else(String::new, runtime::failure::chain)
}

/// Reads Secrets of objects from the API server, each time anew: the rights may allow no more than that.
#[derive(Clone)]
pub struct Reader {
    pub(crate) client: Client,
    pub(crate) clients: Arc<Clients>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

impl Reader {
    /// Returns a reader; certificates are tried on HTTP clients of the store.
    pub fn new(client: Client, clients: Arc<Clients>) -> Self {
        Self { client, clients }
    }

    /// Reads a Secret.
    ///
    /// # Errors
    /// [`SecretError::Secret`].
    pub async fn secret(&self, namespace: &str, name: &str) -> Result<SecretView, SecretError> {
        secret(&self.client, namespace, name).await
    }

    /// Reads the Secret of a proxy; where none is named, the environment's counts.
    ///
    /// # Errors
    /// [`ReadError::Secret`], [`ReadError::Proxy`].
    pub async fn proxy(&self, namespace: &str, name: Option<&str>) -> Result<Proxy, ReadError> {
        match name {
            Some(name) => Ok(proxy(&self.secret(namespace, name).await?)?),
            None => Ok(Proxy::default()),
        }
    }

    /// Reads the Secret of certificates, which may be that of a docker configuration without any.
    ///
    /// # Errors
    /// [`ReadError::Secret`], [`ReadError::Tls`].
    pub async fn certificates(
        &self,
        namespace: &str,
        name: Option<&str>,
    ) -> Result<Certificates, ReadError> {
        match name {
            Some(name) => Ok(Certificates::of(&self.secret(namespace, name).await?)?),
            None => Ok(Certificates::default()),
        }
    }

    /// Joins certificates and a proxy, and makes sure that they can be used.
    ///
    /// # Errors
    /// [`ReadError::Unusable`], in the words that users know.
    pub fn config(
        &self,
        certificates: Certificates,
        proxy: Proxy,
    ) -> Result<ClientConfig, ReadError> {
        let config = certificates.into_config(proxy);
        check(&self.clients, &config).map_err(ReadError::Unusable)?;
        Ok(config)
    }
}
