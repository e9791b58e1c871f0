//! How a registry is reached on behalf of an ImageRepository.

use api::{image::ImageRepositorySpec, source::RegistryProvider};
use kube::Client;
use net_http::{ClientConfig, Identity, Proxy};
use registry::{Access, Credentials, Keychain, KeychainError, Repository};
use runtime::secrets::{self, SecretError, SecretView};

/// The gate that allows an identity of an object's own.
pub(crate) const WORKLOAD_IDENTITY: &str = "ObjectLevelWorkloadIdentity";

/// Makes accesses.
#[derive(Clone, Debug)]
pub(crate) struct Accesses {
    /// Whether objects may have identities of their own.
    pub(crate) workload_identity: bool,
}

/// Why a registry cannot be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum AccessError {
    /// A Secret or service account could not be read.
    #[error("{}", of_secret(.0))]
    Secret(SecretError),
    /// A Secret is not of a shape that holds credentials for a registry.
    #[error("secret '{name}': {source}")]
    Keychain {
        /// `<namespace>/<name>`.
        name: String,
        /// What is wrong with it.
        source: KeychainError,
    },
    /// A Secret has no such key.
    #[error("secret '{name}': key '{key}' not found")]
    NoKey {
        /// `<namespace>/<name>`.
        name: String,
        /// The key.
        key: &'static str,
    },
    /// A certificate without its key, or the other way round.
    #[error("secret '{0}' must contain both 'tls.crt' and 'tls.key'")]
    HalfIdentity(String),
    /// Nothing in a Secret is of use for TLS.
    #[error("secret '{0}' must contain either 'ca.crt' or both 'tls.crt' and 'tls.key'")]
    NoCertificates(String),
    /// Cloud identities are not read.
    #[error(
        "provider '{0}' is not supported: name a Secret with credentials in spec.secretRef and use provider 'generic'"
    )]
    Provider(&'static str),
    /// It took longer than the object's timeout.
    #[error("context deadline exceeded")]
    Timeout,
}

/// The answer of the API server alone, as upstream has it.
fn of_secret(error: &SecretError) -> String {
    let (SecretError::Secret { source, .. } | SecretError::ServiceAccount { source, .. }) = error
    else {
        return runtime::failure::chain(error);
    };
    runtime::failure::chain(&**source)
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
        client: &Client,
        namespace: &str,
        spec: &ImageRepositorySpec,
        repository: &Repository,
    ) -> Result<Access, AccessError> {
        let mut http = ClientConfig::default();
        if let Some(reference) = &spec.proxy_secret_ref {
            http.proxy = proxy(&read(client, namespace, &reference.name).await?)?;
        }
        if let Some(reference) = &spec.cert_secret_ref {
            certificates(&read(client, namespace, &reference.name).await?, &mut http)?;
        }
        let provider = spec.provider.unwrap_or_default();
        let credentials = match provider {
            RegistryProvider::Generic => generic(client, namespace, spec, repository).await?,
            RegistryProvider::Aws => return Err(AccessError::Provider("aws")),
            RegistryProvider::Azure => return Err(AccessError::Provider("azure")),
            RegistryProvider::Gcp => return Err(AccessError::Provider("gcp")),
        };
        Ok(Access {
            http,
            credentials,
            insecure: spec.insecure.unwrap_or(false),
        })
    }
}

async fn read(client: &Client, namespace: &str, name: &str) -> Result<SecretView, AccessError> {
    secrets::secret(client, namespace, name)
        .await
        .map_err(AccessError::Secret)
}

/// Credentials of the object's Secret, or else of the Secrets that its service account pulls images with.
async fn generic(
    client: &Client,
    namespace: &str,
    spec: &ImageRepositorySpec,
    repository: &Repository,
) -> Result<Credentials, AccessError> {
    let mut keychain = Keychain::default();
    let mut add = |secret: &SecretView| {
        let added = keychain.add_secret(|key| secret.bytes(key));
        added.map_err(|source| AccessError::Keychain {
            name: secret.name.clone(),
            source,
        })
    };
    if let Some(reference) = &spec.secret_ref {
        let secret = read(client, namespace, &reference.name).await?;
        let same_as_tls = spec
            .cert_secret_ref
            .as_ref()
            .is_some_and(|c| c.name == reference.name);
        if !add(&secret)? && !same_as_tls {
            return Err(AccessError::NoKey {
                name: secret.name,
                key: ".dockerconfigjson",
            });
        }
    }
    if let Some(account) = spec
        .service_account_name
        .as_deref()
        .filter(|a| !a.is_empty())
    {
        let pulls = secrets::pull_secrets(client, namespace, account).await;
        for secret in pulls.map_err(AccessError::Secret)? {
            add(&secret)?;
        }
    }
    Ok(keychain.find(repository).cloned().unwrap_or_default())
}

fn proxy(secret: &SecretView) -> Result<Proxy, AccessError> {
    let address = secret.text("address").filter(|text| !text.is_empty());
    let address = address.ok_or_else(|| AccessError::NoKey {
        name: secret.name.clone(),
        key: "address",
    })?;
    let user = secret.text("username").filter(|text| !text.is_empty());
    Ok(Proxy::Explicit {
        url: address.trim().to_owned(),
        credentials: user.map(|user| {
            let password = secret.text("password").unwrap_or_default();
            (user.to_owned(), password.to_owned())
        }),
    })
}

/// Takes certificates from a Secret; the older names of the keys count where the newer ones are missing.
fn certificates(secret: &SecretView, http: &mut ClientConfig) -> Result<(), AccessError> {
    let either = |new: &str, old: &str| {
        let bytes = secret.bytes(new).or_else(|| secret.bytes(old));
        bytes.filter(|bytes| !bytes.is_empty()).map(<[u8]>::to_vec)
    };
    http.certificate_authority = either("ca.crt", "caFile");
    http.identity = match (either("tls.crt", "certFile"), either("tls.key", "keyFile")) {
        (Some(certificate), Some(key)) => Some(Identity { certificate, key }),
        (None, None) => None,
        _ => return Err(AccessError::HalfIdentity(secret.name.clone())),
    };
    let is_docker = secret.kind.starts_with("kubernetes.io/docker");
    if http.certificate_authority.is_none() && http.identity.is_none() && !is_docker {
        return Err(AccessError::NoCertificates(secret.name.clone()));
    }
    Ok(())
}
