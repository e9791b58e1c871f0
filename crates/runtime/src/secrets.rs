//! Secrets that objects name, read one by one and never from a cache: the rights may allow no more than that.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::{Api, Client};

/// A Secret as it was read.
#[derive(Clone, Default)]
pub struct SecretView {
    /// `<namespace>/<name>`.
    pub name: String,
    /// Its type, such as `kubernetes.io/dockerconfigjson`.
    pub kind: String,
    /// Its data.
    pub data: BTreeMap<String, ByteString>,
}

impl std::fmt::Debug for SecretView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretView")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl SecretView {
    /// Returns the value of a key.
    pub fn bytes(&self, key: &str) -> Option<&[u8]> {
        self.data.get(key).map(|value| value.0.as_slice())
    }

    /// Returns the value of a key as text; bytes that are none count as absent.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.bytes(key)
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
    }
}

/// Why a Secret or ServiceAccount could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The Secret.
    #[error("failed to get secret '{name}'")]
    Secret {
        /// `<namespace>/<name>`.
        name: String,
        /// The API server's answer.
        #[source]
        source: Box<kube::Error>,
    },
    /// The ServiceAccount.
    #[error("failed to get service account '{name}'")]
    ServiceAccount {
        /// `<namespace>/<name>`.
        name: String,
        /// The API server's answer.
        #[source]
        source: Box<kube::Error>,
    },
}

impl SecretError {
    /// Returns whether the thing does not exist.
    pub fn is_not_found(&self) -> bool {
        let (Self::Secret { source, .. } | Self::ServiceAccount { source, .. }) = self;
        matches!(&**source, kube::Error::Api(status) if status.code == 404)
    }
}

/// Reads a Secret.
///
/// # Errors
/// [`SecretError::Secret`].
pub async fn secret(
    client: &Client,
    namespace: &str,
    name: &str,
) -> Result<SecretView, SecretError> {
    let full = format!("{namespace}/{name}");
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    match secrets.get(name).await {
        Ok(secret) => Ok(SecretView {
            name: full,
            kind: secret.type_.unwrap_or_default(),
            data: secret.data.unwrap_or_default(),
        }),
        Err(source) => Err(SecretError::Secret {
            name: full,
            source: Box::new(source),
        }),
    }
}

/// Reads the Secrets that pods of a ServiceAccount pull images with. One that does not exist is left out.
///
/// # Errors
/// [`SecretError`].
pub async fn pull_secrets(
    client: &Client,
    namespace: &str,
    service_account: &str,
) -> Result<Vec<SecretView>, SecretError> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let account = accounts.get(service_account).await;
    let account = account.map_err(|source| SecretError::ServiceAccount {
        name: format!("{namespace}/{service_account}"),
        source: Box::new(source),
    })?;
    let mut found = Vec::new();
    for reference in account.image_pull_secrets.unwrap_or_default() {
        match secret(client, namespace, &reference.name).await {
            Ok(secret) => found.push(secret),
            Err(error) if error.is_not_found() => {
                tracing::debug!(
                    secret = reference.name,
                    "pull secret of service account not found"
                );
            }
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}
