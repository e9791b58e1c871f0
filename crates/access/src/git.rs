//! How a Git server is reached: a URL and the Secrets that go with it, checked.

use git::{SocksProxy, SshAccess};
use net_http::{Auth, Proxy, Redactor};
use runtime::secrets::SecretView;

use crate::certificates::{Certificates, TlsError};

/// A repository and what it takes to reach it; knows what must not be shown.
#[derive(Clone, Debug)]
pub struct GitAccess {
    /// The repository, its URL without user name and password.
    pub remote: git::Remote,
    redactor: Redactor,
}

/// Why a URL or a Secret cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GitAccessError {
    /// It is no URL.
    #[error("{0}")]
    Url(String),
    /// The URL's scheme is none of a transport.
    #[error("unknown transport '{0}'")]
    Transport(String),
    /// Half of what belongs together.
    #[error("invalid '{scheme}' auth option: '{option}' requires '{required}' to be set")]
    Incomplete {
        /// The URL's scheme.
        scheme: String,
        /// What is there.
        option: &'static str,
        /// What is not.
        required: &'static str,
    },
    /// A value cannot be sent.
    #[error("invalid '{scheme}' auth option: '{option}' cannot stand in an HTTP header")]
    Header {
        /// The URL's scheme.
        scheme: String,
        /// What is wrong.
        option: &'static str,
    },
    /// A value is no text.
    #[error("secret '{secret}': key '{key}' is not text")]
    NotText {
        /// `<namespace>/<name>`.
        secret: String,
        /// The key.
        key: &'static str,
    },
    /// What SSH does not do without.
    #[error("invalid 'ssh' auth option: '{0}' is required")]
    Required(&'static str),
    /// A key with a passphrase that is not there.
    #[error(
        "SSH identity key is encrypted but no 'password' field was provided in the secret '{0}'"
    )]
    Encrypted(String),
    /// A proxy that SSH does not go through.
    #[error("proxy: unknown scheme: {0}")]
    SshProxy(String),
}

/// A URL split into what may be shown and what may not.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// The transport.
    pub scheme: String,
    /// The URL without user name and password.
    pub url: String,
    username: Option<String>,
    password: Option<String>,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Address({})", self.url)
    }
}

impl Address {
    /// Reads the URL of a repository.
    ///
    /// # Errors
    /// [`GitAccessError::Url`].
    pub fn parse(url: &str) -> Result<Self, GitAccessError> {
        let bad = |why: &str| Err(GitAccessError::Url(why.to_owned()));
        let Some((scheme, rest)) = url.split_once("://") else {
            return bad("missing protocol scheme");
        };
        if url
            .bytes()
            .any(|byte| byte.is_ascii_control() || byte == b' ')
        {
            return bad("invalid character in URL");
        }
        let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        if host.is_empty() || host.starts_with(':') {
            return bad("missing host");
        }
        let (username, password) = match user.map(|user| user.split_once(':').unwrap_or((user, "")))
        {
            Some((username, password)) => (decoded(username), decoded(password)),
            None => (None, None),
        };
        Ok(Self {
            scheme: scheme.to_owned(),
            url: net_http::without_credentials(url),
            username: username.filter(|text| !text.is_empty()),
            password: password.filter(|text| !text.is_empty()),
        })
    }
}

/// Undoes percent encoding; what is no such encoding stays as it is.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let code = rest
            .get(at + 1..at + 3)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(code.unwrap_or(b'%'));
        rest = &rest[at + if code.is_some() { 3 } else { 1 }..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok()
}

impl GitAccess {
    /// Joins an address with the Secret that the object names.
    ///
    /// Keys: `bearerToken`, or `username` and `password`; `ca.crt` (before it `caFile`); `tls.crt` and `tls.key`.
    ///
    /// # Errors
    /// [`GitAccessError`].
    pub fn new(
        address: &Address,
        secret: Option<&SecretView>,
        proxy: Proxy,
    ) -> Result<Self, GitAccessError> {
        let none = SecretView::default();
        let secret = secret.unwrap_or(&none);
        match address.scheme.as_str() {
            "http" | "https" => Self::over_http(address, secret, proxy),
            "ssh" => Self::over_ssh(address, secret, &proxy),
            other => Err(GitAccessError::Transport(other.to_owned())),
        }
    }

    fn over_http(
        address: &Address,
        secret: &SecretView,
        proxy: Proxy,
    ) -> Result<Self, GitAccessError> {
        let auth = auth(address, secret)?;
        let certificates = Certificates::for_git(secret).map_err(|error| match error {
            TlsError::Half {
                present, missing, ..
            } => GitAccessError::Incomplete {
                scheme: address.scheme.clone(),
                option: present,
                required: missing,
            },
            // Nothing at all is no mistake here.
            TlsError::Nothing(_) => GitAccessError::Required("ca.crt"),
        })?;
        let http = certificates.into_config(proxy);
        let mut redactor = crate::redactor(&http, &[]);
        if let Some(auth) = &auth {
            redactor.add_auth(auth);
        }
        Ok(Self {
            remote: git::Remote {
                url: address.url.clone(),
                auth,
                http,
                ssh: None,
            },
            redactor,
        })
    }

    /// Keys: `identity`, `known_hosts`, and `password` where the identity is encrypted.
    fn over_ssh(
        address: &Address,
        secret: &SecretView,
        proxy: &Proxy,
    ) -> Result<Self, GitAccessError> {
        let required = |key| text(secret, key)?.ok_or(GitAccessError::Required(key));
        let ssh = SshAccess {
            identity: required("identity")?,
            known_hosts: required("known_hosts")?,
            passphrase: text(secret, "password")?,
            proxy: socks(proxy)?,
        };
        if ssh.passphrase.is_none() && ssh.is_encrypted() {
            return Err(GitAccessError::Encrypted(secret.name.clone()));
        }
        let mut redactor = Redactor::default();
        let through = ssh
            .proxy
            .as_ref()
            .and_then(|proxy| proxy.credentials.as_ref());
        let hidden = [
            Some(&ssh.identity),
            ssh.passphrase.as_ref(),
            through.map(|(_, password)| password),
        ];
        for secret in hidden.into_iter().flatten() {
            redactor.add(secret);
        }
        // The user is no secret, and the host has to be told.
        let url = match &address.username {
            Some(user) => address.url.replacen("://", &format!("://{user}@"), 1),
            None => address.url.clone(),
        };
        Ok(Self {
            remote: git::Remote {
                url,
                ssh: Some(ssh),
                ..git::Remote::default()
            },
            redactor,
        })
    }

    /// Returns the same with another login.
    #[must_use]
    pub fn with(mut self, auth: Auth) -> Self {
        self.redactor.add_auth(&auth);
        self.remote.auth = Some(auth);
        self
    }

    /// Returns a text without any of the credentials.
    pub fn redact(&self, text: &str) -> String {
        self.redactor.redact(text)
    }
}

/// Returns the proxy for SSH, which goes through SOCKS only.
fn socks(proxy: &Proxy) -> Result<Option<SocksProxy>, GitAccessError> {
    let Proxy::Explicit { url, credentials } = proxy else {
        return Ok(None);
    };
    match url.split_once("://") {
        Some(("socks5", address)) => {
            let address = address.trim_end_matches('/');
            let address = address.rsplit_once('@').map_or(address, |(_, host)| host);
            Ok(Some(SocksProxy {
                address: address.to_owned(),
                credentials: credentials.clone(),
            }))
        }
        other => {
            let scheme = other.map_or("", |(scheme, _)| scheme);
            Err(GitAccessError::SshProxy(scheme.to_owned()))
        }
    }
}

fn text(secret: &SecretView, key: &'static str) -> Result<Option<String>, GitAccessError> {
    let value = secret.bytes(key).map(std::str::from_utf8).transpose();
    let value = value.map_err(|_| GitAccessError::NotText {
        secret: secret.name.clone(),
        key,
    })?;
    Ok(value.filter(|text| !text.is_empty()).map(str::to_owned))
}

fn auth(address: &Address, secret: &SecretView) -> Result<Option<Auth>, GitAccessError> {
    let scheme = || address.scheme.clone();
    if let Some(token) = text(secret, "bearerToken")? {
        if token.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(GitAccessError::Header {
                scheme: scheme(),
                option: "bearerToken",
            });
        }
        return Ok(Some(Auth::Bearer(token)));
    }
    let username = text(secret, "username")?.or_else(|| address.username.clone());
    let password = text(secret, "password")?.or_else(|| address.password.clone());
    match (username, password) {
        (None, None) => Ok(None),
        (Some(username), password) => Ok(Some(Auth::Basic {
            username,
            password: password.unwrap_or_default(),
        })),
        (None, Some(_)) => Err(GitAccessError::Incomplete {
            scheme: scheme(),
            option: "password",
            required: "username",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::view;

    fn access(url: &str, pairs: &[(&str, &str)]) -> Result<GitAccess, String> {
        let address = Address::parse(url).map_err(|error| error.to_string())?;
        GitAccess::new(&address, Some(&view("ns/s", pairs)), Proxy::default())
            .map_err(|error| error.to_string())
    }

    fn basic(username: &str, password: &str) -> Auth {
        Auth::Basic {
            username: username.into(),
            password: password.into(),
        }
    }

    /// covers: SC-098
    #[test]
    fn credentials_come_from_the_secret_before_the_url() {
        let auth = |url: &str, pairs: &[(&str, &str)]| access(url, pairs).unwrap().remote.auth;
        assert_eq!(auth("https://host/x", &[]), None);
        assert_eq!(auth("https://u:p%40@host/x", &[]), Some(basic("u", "p@")));
        assert_eq!(
            auth("https://u@host/x", &[("password", "q")]),
            Some(basic("u", "q"))
        );
        let both = [("username", "a"), ("password", "b")];
        assert_eq!(auth("https://u:p@host/x", &both), Some(basic("a", "b")));
        let all = [("username", "a"), ("password", "b"), ("bearerToken", "t")];
        assert_eq!(auth("https://host/x", &all), Some(Auth::Bearer("t".into())));
        for scheme in ["http", "https"] {
            assert_eq!(
                access(&format!("{scheme}://host/x"), &[("password", "b")]).unwrap_err(),
                format!("invalid '{scheme}' auth option: 'password' requires 'username' to be set")
            );
        }
        let error = access("https://host/x", &[("bearerToken", "t\n")]).unwrap_err();
        assert_eq!(
            error,
            "invalid 'https' auth option: 'bearerToken' cannot stand in an HTTP header"
        );
    }

    /// covers: SC-057
    #[test]
    fn certificates_come_from_the_secret_and_ca_crt_counts_before_ca_file() {
        let http = |pairs: &[(&str, &str)]| access("https://host/x", pairs).unwrap().remote.http;
        let pem = Some(b"one".to_vec());
        assert_eq!(
            http(&[("ca.crt", "one"), ("caFile", "two")]).certificate_authority,
            pem
        );
        assert_eq!(http(&[("caFile", "one")]).certificate_authority, pem);
        assert!(
            http(&[("tls.crt", "c"), ("tls.key", "k")])
                .identity
                .is_some()
        );
        assert_eq!(
            access("https://host/x", &[("tls.crt", "c")]).unwrap_err(),
            "invalid 'https' auth option: 'tls.crt' requires 'tls.key' to be set"
        );
    }

    /// covers: SC-098
    #[test]
    fn ssh_needs_a_key_known_hosts_and_the_user_of_the_url() {
        let both = [("identity", "key"), ("known_hosts", "host key")];
        let url = |url: &str| access(url, &both).unwrap().remote.url;
        assert_eq!(url("ssh://me@host/x"), "ssh://me@host/x");
        assert_eq!(url("ssh://host/x"), "ssh://host/x");
        assert_eq!(url("ssh://me:s3cret@host:22/x"), "ssh://me@host:22/x");
        for (pairs, missing) in [
            (&[][..], "identity"),
            (&both[..1], "known_hosts"),
            (&both[1..], "identity"),
        ] {
            let error = access("ssh://host/x", pairs).unwrap_err();
            assert_eq!(
                error,
                format!("invalid 'ssh' auth option: '{missing}' is required")
            );
        }
        let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n";
        let pairs = [("identity", encrypted), ("known_hosts", "x")];
        assert_eq!(
            access("ssh://host/x", &pairs).unwrap_err(),
            "SSH identity key is encrypted but no 'password' field was provided in the secret 'ns/s'"
        );
        access("ssh://host/x", &[pairs[0], pairs[1], ("password", "p")]).unwrap();
        let through = |url: &str| {
            let proxy = Proxy::Explicit {
                url: url.into(),
                credentials: None,
            };
            let address = Address::parse("ssh://host/x").unwrap();
            let access = GitAccess::new(&address, Some(&view("ns/s", &both)), proxy);
            access.map(|access| access.remote.ssh.unwrap().proxy.unwrap().address)
        };
        assert_eq!(through("socks5://u:p@proxy:1080/").unwrap(), "proxy:1080");
        assert_eq!(
            through("http://proxy").unwrap_err().to_string(),
            "proxy: unknown scheme: http"
        );
    }

    #[test]
    fn no_credential_is_left_in_url_debug_or_redacted_text() {
        let access = access("https://user:s3cret@host/x", &[]).unwrap();
        assert_eq!(access.remote.url, "https://host/x");
        assert!(!format!("{access:?}").contains("s3cret"));
        assert_eq!(access.redact("said s3cret"), "said *****");
    }

    #[test]
    fn urls_that_are_none_are_refused() {
        for url in [
            "host/x",
            "https://",
            "https:///x",
            "https://:80/x",
            "https://ho st/x",
        ] {
            assert!(Address::parse(url).is_err(), "{url}");
        }
    }
}
