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
    /// Google Cloud KMS.
    pub gcp_kms: Option<String>,
}

/// A future of a trait's method.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Gives tokens that say who somebody is to a service that knows no password of theirs.
pub trait Identity: Send + Sync {
    /// Makes a token for the service at an address; none where this service is none of its own.
    ///
    /// # Errors
    /// A sentence that says why there is no token.
    fn token<'a>(&'a self, address: &'a str) -> Answer<'a, Result<Option<Login>, String>>;
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

    /// Logs in where the Secret holds no credential.
    #[must_use]
    pub fn or_identity(mut self, identity: Option<Arc<dyn Identity>>) -> Self {
        self.identity = identity;
        self
    }

    /// Uses credentials of AWS where the Secret holds none.
    #[must_use]
    pub fn or_aws(mut self, credentials: Option<AwsCredentials>) -> Self {
        self.aws = self.aws.or(credentials);
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
                let credentials = self.aws.as_ref().ok_or(absent)?;
                if !role.is_empty() {
                    return Err(KeyError::Unknown("assuming a role for a key of AWS KMS"));
                }
                let endpoint = self.endpoints.aws_kms.as_deref();
                let key = service::aws::Key { arn, context };
                service::aws::decrypt(&self.client, endpoint, credentials, &key, encrypted).await
            }
            Master::Gcp {
                resource,
                encrypted,
            } => {
                let credentials = self.gcp.as_ref().ok_or(absent)?;
                let endpoint = self.endpoints.gcp_kms.as_deref();
                service::gcp::decrypt(&self.client, endpoint, credentials, resource, encrypted)
                    .await
            }
            Master::Azure {
                vault,
                name,
                version,
                encrypted,
            } => {
                let credentials = self.azure.as_ref().ok_or(absent)?;
                let key = (vault.as_str(), name.as_str(), version.as_str());
                service::azure::decrypt(&self.client, credentials, key, encrypted).await
            }
            Master::Other(name) => Err(KeyError::Unknown(name)),
        }
    }

    /// The Secret's token, else one that is had by logging in, else the controller's own.
    async fn token_of_vault(&self, address: &str) -> Result<Zeroizing<String>, KeyError> {
        if let Some(token) = &self.vault_token {
            return Ok(token.clone());
        }
        let login = match &self.identity {
            Some(identity) => identity.token(address).await.map_err(KeyError::Identity)?,
            None => None,
        };
        match (login, &self.vault_fallback) {
            (Some(login), _) => service::vault::login(&self.client, address, &login).await,
            (None, Some(token)) => Ok(token.clone()),
            (None, None) => Err(KeyError::NoCredential),
        }
    }
}
