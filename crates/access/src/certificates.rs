//! Certificates in Secrets.

use net_http::{ClientConfig, Clients, ConfigError, Identity, Proxy};
use runtime::failure::chain;
use runtime::secrets::SecretView;

/// What is wrong with the certificates of a Secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// None of the keys is there.
    #[error("secret '{0}' must contain either 'ca.crt' or both 'tls.crt' and 'tls.key'")]
    Nothing(String),
    /// Half a pair.
    #[error("secret '{secret}' has '{present}' but is missing '{missing}'")]
    Half {
        /// `<namespace>/<name>`.
        secret: String,
        /// The key that is there.
        present: &'static str,
        /// The key that is not.
        missing: &'static str,
    },
}

/// The certificates of a Secret.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Certificates {
    /// Whom to trust besides the system's own authorities, in PEM.
    pub authority: Option<Vec<u8>>,
    /// Who the client is.
    pub identity: Option<Identity>,
}

impl Certificates {
    /// Reads `ca.crt`, `tls.crt` and `tls.key`, and where they are absent `caFile`, `certFile` and `keyFile`.
    ///
    /// # Errors
    /// [`TlsError::Half`].
    pub fn optional(secret: &SecretView) -> Result<Self, TlsError> {
        Self::under(secret, &["tls.crt", "certFile"], &["tls.key", "keyFile"])
    }

    /// Reads the same, of which something has to be there; a docker configuration is taken for what it is.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn of(secret: &SecretView) -> Result<Self, TlsError> {
        let found = Self::optional(secret)?;
        if found.is_empty() && !secret.kind.starts_with("kubernetes.io/docker") {
            return Err(TlsError::Nothing(secret.name.clone()));
        }
        Ok(found)
    }

    /// Reads the certificates beside the credentials for a Git server: a client's never had older keys there.
    ///
    /// # Errors
    /// [`TlsError::Half`].
    pub fn for_git(secret: &SecretView) -> Result<Self, TlsError> {
        Self::under(secret, &["tls.crt"], &["tls.key"])
    }

    fn under(secret: &SecretView, certificate: &[&str], key: &[&str]) -> Result<Self, TlsError> {
        let first = |keys: &[&str]| {
            let bytes = keys.iter().find_map(|key| secret.bytes(key));
            bytes.map(<[u8]>::to_vec)
        };
        let identity = match (first(certificate), first(key)) {
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
            authority: first(&["ca.crt", "caFile"]),
            identity,
        })
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the configuration of a client with these certificates.
    pub fn into_config(self, proxy: Proxy) -> ClientConfig {
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
pub(crate) fn check(clients: &Clients, config: &ClientConfig) -> Result<(), String> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::view;

    fn read(pairs: &[(&str, &str)]) -> Result<Certificates, String> {
        Certificates::of(&view("ns/s", pairs)).map_err(|error| error.to_string())
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
        let old = [("certFile", "c"), ("keyFile", "k")];
        assert!(read(&old).unwrap().identity.is_some());
        let for_git = Certificates::for_git(&view("ns/s", &old)).unwrap();
        assert!(for_git.is_empty());
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
        let told = |pairs: &[(&str, &str)]| {
            let config = read(pairs).unwrap().into_config(Proxy::default());
            check(&clients, &config).unwrap_err()
        };
        assert_eq!(told(&[("ca.crt", "x")]), "failed to parse CA certificate");
        let authority = include_str!("../tests/data/certificate.pem");
        assert_eq!(
            told(&[("tls.crt", authority), ("tls.key", "x")]),
            "failed to parse TLS certificate and key: tls: failed to find any PEM data in key input"
        );
    }
}
