//! All keys that one tenant gave, and the way from a file to its data key.

use std::{collections::BTreeMap, pin::Pin, sync::Arc};

use net_http::Client;
use sops::{DataKey, Master, Metadata, age, pgp, shamir};
use zeroize::Zeroizing;

use crate::{
    AwsCredentials, AzureCredentials, DataKeyError, GcpCredentials, ImportError, KeyError,
    credentials, service,
};

/// Addresses that replace those of the services.
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    /// AWS KMS, as `AWS_ENDPOINT_URL_KMS` names it.
    pub aws_kms: Option<String>,
    /// The token service of AWS, as `AWS_ENDPOINT_URL_STS` names it.
    pub aws_sts: Option<String>,
    /// Google Cloud KMS.
    pub gcp_kms: Option<String>,
    /// Any vault of Azure.
    pub azure_vault: Option<String>,
    /// Azure's metadata service, as `AZURE_POD_IDENTITY_AUTHORITY_HOST` names it.
    pub azure_metadata: Option<String>,
}

/// A future of a trait's method.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Gives tokens that say who somebody is to services that know no password of theirs.
pub trait Identity: Send + Sync {
    /// Makes a token for the server of Vault or OpenBao at an address; none where this server is none of its own.
    ///
    /// # Errors
    /// A sentence that says why there is no token; so with the others.
    fn vault<'a>(&'a self, address: &'a str) -> Answer<'a, Result<Option<Login>, String>>;

    /// Asks for keys of AWS that count in a region.
    fn aws<'a>(&'a self, region: &'a str) -> Answer<'a, Result<cloud::aws::Keys, String>>;

    /// Asks for a token of Azure with a scope.
    fn azure<'a>(&'a self, scope: &'a str) -> Answer<'a, Result<String, String>>;

    /// Asks for a token of Google Cloud.
    fn gcp(&self) -> Answer<'_, Result<String, String>>;
}

/// How to log in to one server of Vault or OpenBao.
#[derive(Clone)]
pub struct Login {
    /// Where, below `/v1`: `auth/kubernetes/login`.
    pub path: String,
    /// As what.
    pub role: String,
    /// Who.
    pub token: Zeroizing<String>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login")
            .field("path", &self.path)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

/// Keys and credentials.
#[derive(Clone)]
pub struct Keyring {
    client: Client,
    endpoints: Endpoints,
    age: Vec<age::Identity>,
    pgp: pgp::SecretKeys,
    vault_token: Option<Zeroizing<String>>,
    vault_fallback: Option<Zeroizing<String>>,
    identity: Option<Arc<dyn Identity>>,
    aws: Option<AwsCredentials>,
    gcp: Option<GcpCredentials>,
    azure: Option<AzureCredentials>,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring")
            .field("age", &self.age.len())
            .field("pgp", &self.pgp)
            .finish_non_exhaustive()
    }
}

impl Keyring {
    /// Makes a keyring without keys.
    #[must_use]
    pub fn new(client: Client, endpoints: Endpoints) -> Self {
        Self {
            client,
            endpoints,
            age: Vec::new(),
            pgp: pgp::SecretKeys::default(),
            vault_token: None,
            vault_fallback: None,
            identity: None,
            aws: None,
            gcp: None,
            azure: None,
        }
    }

    /// Takes an entry of a decryption Secret; entries of other names are left alone.
    ///
    /// # Errors
    /// [`ImportError`].
    pub fn import(&mut self, name: &str, bytes: &[u8]) -> Result<(), ImportError> {
        let text = || std::str::from_utf8(bytes).map_err(|_| ImportError::Text);
        match name {
            "sops.vault-token" => {
                self.vault_token = Some(Zeroizing::new(text()?.trim_end_matches('\n').to_owned()));
            }
            "sops.aws-kms" => self.aws = Some(credentials::read(bytes)?),
            "sops.gcp-kms" => self.gcp = Some(credentials::read(bytes)?),
            "sops.azure-kv" => self.azure = Some(credentials::read(bytes)?),
            name if name.strip_suffix(".asc").is_some() => self.pgp.add(bytes)?,
            name if name.strip_suffix(".agekey").is_some() => {
                self.age.extend(age::identities(text()?)?);
            }
            _ => {}
        }
        Ok(())
    }

    /// Uses a Vault token where the Secret holds none and nobody logs in.
    #[must_use]
    pub fn or_vault_token(mut self, token: Option<String>) -> Self {
        self.vault_fallback = token.map(Zeroizing::new);
        self
    }

    /// Asks for tokens where the Secret holds no credential.
    #[must_use]
    pub fn or_identity(mut self, identity: Option<Arc<dyn Identity>>) -> Self {
        self.identity = identity;
        self
    }

    /// Finds the data key of a file: age first, then OpenPGP, then the services.
    ///
    /// # Errors
    /// [`DataKeyError`] with every key that was tried.
    pub async fn data_key(&self, metadata: &Metadata) -> Result<DataKey, DataKeyError> {
        let mut tried = Vec::new();
        let mut shares = Vec::new();
        for group in &metadata.groups {
            if metadata.groups.len() > 1 && shares.len() == metadata.threshold {
                break;
            }
            if let Some(share) = self.share(group, &mut tried).await {
                shares.push(share);
            }
        }
        let joined = match metadata.groups.len() {
            1 => shares.pop(),
            _ if shares.len() < metadata.threshold => None,
            _ => shamir::combine(&shares),
        };
        joined.and_then(DataKey::new).ok_or(DataKeyError { tried })
    }

    async fn share(
        &self,
        group: &[Master],
        tried: &mut Vec<(String, KeyError)>,
    ) -> Option<Zeroizing<Vec<u8>>> {
        let mut ordered: BTreeMap<(u8, usize), &Master> = BTreeMap::new();
        for (index, master) in group.iter().enumerate() {
            let rank = match master {
                Master::Age { .. } => 0,
                Master::Pgp { .. } => 1,
                _ => 2,
            };
            ordered.insert((rank, index), master);
        }
        for master in ordered.into_values() {
            match self.open(master).await {
                Ok(share) => return Some(share),
                Err(error) => tried.push((master.name(), error)),
            }
        }
        None
    }

    async fn open(&self, master: &Master) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let absent = KeyError::NoCredential;
        match master {
            Master::Age { encrypted, .. } if !self.age.is_empty() => {
                Ok(age::decrypt(encrypted.as_bytes(), &self.age)?)
            }
            Master::Pgp { encrypted, .. } if !self.pgp.is_empty() => {
                Ok(self.pgp.decrypt(encrypted)?)
            }
            Master::Age { .. } | Master::Pgp { .. } => Err(absent),
            Master::Vault {
                address,
                engine,
                name,
                encrypted,
            } => {
                let token = self.token_of_vault(address).await?;
                service::vault::decrypt(&self.client, &token, (address, engine, name), encrypted)
                    .await
            }
            Master::Aws {
                arn,
                role,
                context,
                encrypted,
            } => {
                let region = service::aws::region(arn)?;
                let keys = match &self.aws {
                    Some(own) => own.keys(),
                    None => given(self.identity()?.aws(region).await)?,
                };
                let what = cloud::aws::Ciphertext {
                    arn,
                    context,
                    blob: encrypted,
                };
                service::aws::decrypt(&self.client, &self.endpoints, keys, role, &what).await
            }
            Master::Gcp {
                resource,
                encrypted,
            } => {
                let token = match &self.gcp {
                    Some(own) => service::gcp::token_of(&self.client, own).await?,
                    None => given(self.identity()?.gcp().await)?,
                };
                let endpoint = self.endpoints.gcp_kms.as_deref();
                service::gcp::decrypt(&self.client, endpoint, token, resource, encrypted).await
            }
            Master::Azure {
                vault,
                name,
                version,
                encrypted,
            } => self.open_azure((vault, name, version), encrypted).await,
            Master::Other(name) => Err(KeyError::Unknown(name)),
        }
    }

    async fn open_azure(
        &self,
        key: (&str, &str, &str),
        encrypted: &str,
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let (client, endpoints) = (&self.client, &self.endpoints);
        let scope = service::azure::scope(key.0)?;
        let token = match &self.azure {
            Some(own) => service::azure::token_of(client, endpoints, own, scope).await?,
            None => given(self.identity()?.azure(scope).await)?,
        };
        service::azure::decrypt(client, endpoints, token, key, encrypted).await
    }

    fn identity(&self) -> Result<&dyn Identity, KeyError> {
        self.identity.as_deref().ok_or(KeyError::NoCredential)
    }

    /// The Secret's token, else one that is had by logging in, else the controller's own.
    async fn token_of_vault(&self, address: &str) -> Result<Zeroizing<String>, KeyError> {
        if let Some(token) = &self.vault_token {
            return Ok(token.clone());
        }
        let login = match &self.identity {
            Some(identity) => given(identity.vault(address).await)?,
            None => None,
        };
        match (login, &self.vault_fallback) {
            (Some(login), _) => service::vault::login(&self.client, address, &login).await,
            (None, Some(token)) => Ok(token.clone()),
            (None, None) => Err(KeyError::NoCredential),
        }
    }
}

/// What an identity gives.
fn given<T>(answer: Result<T, String>) -> Result<T, KeyError> {
    answer.map_err(KeyError::Identity)
}
