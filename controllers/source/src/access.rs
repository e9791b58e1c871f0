//! Secrets of sources, checked: certificates, user names and passwords, proxies.

use api::meta::LocalReference;
use kube::Client;
use net_http::{ClientConfig, Clients, ConfigError, Identity, Proxy, Redactor};
use runtime::secrets::{SecretView, secret};

use crate::failure::chain;
use crate::git_repository::access::proxy;

/// What is wrong with the certificates of a Secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum TlsError {
    /// None of the keys is there.
    #[error("secret '{0}' must contain either 'ca.crt' or both 'tls.crt' and 'tls.key'")]
    Nothing(String),
    /// Half a pair.
    #[error("secret '{secret}' has '{present}' but is missing '{missing}'")]
    Half {
        secret: String,
        present: &'static str,
        missing: &'static str,
    },
}

/// The certificates of a Secret.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Certificates {
    pub(crate) authority: Option<Vec<u8>>,
    pub(crate) identity: Option<Identity>,
}

impl Certificates {
    /// Reads `ca.crt`, `tls.crt` and `tls.key`, and where they are absent `caFile`, `certFile` and `keyFile`.
    ///
    /// # Errors
    /// [`TlsError::Half`].
    pub(crate) fn optional(secret: &SecretView) -> Result<Self, TlsError> {
        let either = |one: &str, other: &str| {
            let bytes = secret.bytes(one).or_else(|| secret.bytes(other));
            bytes.map(<[u8]>::to_vec)
        };
        let identity = match (either("tls.crt", "certFile"), either("tls.key", "keyFile")) {
            (Some(certificate), Some(key)) => Some(Identity { certificate, key }),
            (None, None) => None,
            (certificate, _) => {
                let (present, missing) = match certificate {
                    Some(_) => ("tls.crt", "tls.key"),
                    None => ("tls.key", "tls.crt"),
                };
                return Err(TlsError::Half {
                    secret: secret.name.clone(),
                    present,
                    missing,
                });
            }
        };
        Ok(Self {
            authority: either("ca.crt", "caFile"),
            identity,
        })
    }

    /// Reads the same, of which something has to be there.
    ///
    /// # Errors
    /// [`TlsError`].
    pub(crate) fn of(secret: &SecretView) -> Result<Self, TlsError> {
        let found = Self::optional(secret)?;
        if found == Self::default() {
            return Err(TlsError::Nothing(secret.name.clone()));
        }
        Ok(found)
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the configuration of a client with these certificates.
    pub(crate) fn into_config(self, proxy: Proxy) -> ClientConfig {
        ClientConfig {
            certificate_authority: self.authority,
            identity: self.identity,
            proxy,
            ..ClientConfig::default()
        }
    }
}

/// Makes sure that certificates can be used, in the words that users know.
///
/// # Errors
/// What is wrong.
pub(crate) fn check_config(clients: &Clients, config: &ClientConfig) -> Result<(), String> {
    match clients.get(config) {
        Ok(_) => Ok(()),
        Err(ConfigError::NoCertificateAuthority) => Err("failed to parse CA certificate".into()),
        Err(error @ ConfigError::Proxy) => Err(chain(&error)),
        Err(error) => Err(format!(
            "failed to parse TLS certificate and key: {}",
            chain(&error)
        )),
    }
}

/// Reads the Secret of a proxy, where one is named.
///
/// # Errors
/// What is wrong.
pub(crate) async fn read_proxy(
    client: &Client,
    namespace: &str,
    reference: Option<&LocalReference>,
) -> Result<Proxy, String> {
    let Some(reference) = reference else {
        return Ok(Proxy::default());
    };
    let secret = secret(client, namespace, &reference.name).await;
    let secret = secret.map_err(|error| chain(&error))?;
    proxy(&secret.name, &secret.data).map_err(|error| error.to_string())
}

/// Collects what must not be shown.
pub(crate) fn redactor(config: &ClientConfig, secrets: &[&str]) -> Redactor {
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

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;

    fn view(pairs: &[(&str, &str)]) -> SecretView {
        SecretView {
            name: "ns/s".into(),
            kind: String::new(),
            data: pairs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec())))
                .collect(),
        }
    }

    fn read(pairs: &[(&str, &str)]) -> Result<Certificates, String> {
        Certificates::of(&view(pairs)).map_err(|error| error.to_string())
    }

    #[test]
    fn certificates_are_read_under_new_and_old_keys() {
        let both = read(&[("ca.crt", "new"), ("caFile", "old")]).unwrap();
        assert_eq!(both.authority, Some(b"new".to_vec()));
        assert_eq!(
            read(&[("caFile", "old")]).unwrap().authority,
            Some(b"old".to_vec())
        );
        assert!(
            read(&[("tls.crt", "c"), ("tls.key", "k")])
                .unwrap()
                .identity
                .is_some()
        );
        assert!(
            read(&[("certFile", "c"), ("keyFile", "k")])
                .unwrap()
                .identity
                .is_some()
        );
        assert_eq!(
            read(&[]).unwrap_err(),
            "secret 'ns/s' must contain either 'ca.crt' or both 'tls.crt' and 'tls.key'"
        );
        assert_eq!(
            read(&[("tls.crt", "c")]).unwrap_err(),
            "secret 'ns/s' has 'tls.crt' but is missing 'tls.key'"
        );
    }

    /// covers: SC-123
    #[test]
    fn certificates_of_no_use_are_told_in_known_words() {
        let clients = Clients::new("test", net_http::Environment::default());
        let check = |pairs: &[(&str, &str)]| {
            let config = read(pairs).unwrap().into_config(Proxy::default());
            check_config(&clients, &config).unwrap_err()
        };
        assert_eq!(check(&[("ca.crt", "x")]), "failed to parse CA certificate");
        let authority = include_str!("../tests/data/certificate.pem");
        assert_eq!(
            check(&[("tls.crt", authority), ("tls.key", "x")]),
            "failed to parse TLS certificate and key: tls: failed to find any PEM data in key input"
        );
    }
}
