//! How a repository is reached: the URL and the Secrets, checked.

use std::collections::BTreeMap;

use git::{SocksProxy, SshAccess};
use k8s_openapi::ByteString;
use net_http::{Auth, ClientConfig, Identity, Proxy, Redactor};

/// The longest address of a proxy.
const MAX_PROXY_BYTES: usize = 2048;

/// The data of a Secret.
pub(crate) type SecretData = BTreeMap<String, ByteString>;

/// A repository and what it takes to reach it; knows what must not be shown.
#[derive(Clone, Debug)]
pub(super) struct Access {
    /// The repository, its URL without user name and password.
    pub(super) remote: git::Remote,
    redactor: Redactor,
}

/// Why a URL or a Secret cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum AccessError {
    #[error("{0}")]
    Url(String),
    #[error("invalid '{scheme}' auth option: '{option}' requires '{required}' to be set")]
    Incomplete {
        scheme: String,
        option: &'static str,
        required: &'static str,
    },
    #[error("invalid '{scheme}' auth option: '{option}' cannot stand in an HTTP header")]
    Header {
        scheme: String,
        option: &'static str,
    },
    #[error("secret '{secret}': key '{key}' is not text")]
    NotText { secret: String, key: &'static str },
    #[error("invalid 'ssh' auth option: '{0}' is required")]
    Required(&'static str),
    #[error(
        "SSH identity key is encrypted but no 'password' field was provided in the secret '{0}'"
    )]
    Encrypted(String),
    #[error("proxy: unknown scheme: {0}")]
    SshProxy(String),
    #[error("secret '{0}': key 'address' not found")]
    NoProxyAddress(String),
    #[error("secret '{0}': proxy address is empty")]
    EmptyProxyAddress(String),
    #[error("proxy URL must use one of the supported schemes (http, https, socks5), got '{0}'")]
    ProxyScheme(String),
    #[error("proxy URL exceeds maximum length of {MAX_PROXY_BYTES} characters")]
    ProxyLength,
}

/// A URL split into what may be shown and what may not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) scheme: String,
    /// The URL without user name and password.
    pub(super) url: String,
    username: Option<String>,
    password: Option<String>,
}

impl Address {
    /// Reads the URL of a repository.
    ///
    /// # Errors
    /// [`AccessError::Url`].
    pub(super) fn parse(url: &str) -> Result<Self, AccessError> {
        let bad = |why: &str| Err(AccessError::Url(why.to_owned()));
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

impl Access {
    /// Joins an address with the Secrets that the object names.
    ///
    /// Keys: `bearerToken`, or `username` and `password`; `ca.crt` (before it `caFile`); `tls.crt` and `tls.key`.
    ///
    /// # Errors
    /// [`AccessError`].
    pub(super) fn new(
        address: &Address,
        secret: Option<(&str, &SecretData)>,
        proxy: Proxy,
    ) -> Result<Self, AccessError> {
        let empty = SecretData::new();
        let (name, data) = secret.unwrap_or(("", &empty));
        if address.scheme == "ssh" {
            return Self::over_ssh(address, name, data, &proxy);
        }
        let auth = auth(address, name, data)?;
        let bytes = |key: &str| data.get(key).map(|value| value.0.clone());
        let identity = match (bytes("tls.crt"), bytes("tls.key")) {
            (Some(certificate), Some(key)) => Some(Identity { certificate, key }),
            (None, None) => None,
            (certificate, _) => {
                let (option, required) = match certificate {
                    Some(_) => ("tls.crt", "tls.key"),
                    None => ("tls.key", "tls.crt"),
                };
                let scheme = address.scheme.clone();
                return Err(AccessError::Incomplete {
                    scheme,
                    option,
                    required,
                });
            }
        };
        let mut redactor = Redactor::default();
        if let Some(auth) = &auth {
            redactor.add_auth(auth);
        }
        if let Proxy::Explicit {
            credentials: Some((_, password)),
            ..
        } = &proxy
        {
            redactor.add(password);
        }
        let certificate_authority = bytes("ca.crt").or_else(|| bytes("caFile"));
        let http = ClientConfig {
            certificate_authority,
            identity,
            proxy,
            ..ClientConfig::default()
        };
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
        name: &str,
        data: &SecretData,
        proxy: &Proxy,
    ) -> Result<Self, AccessError> {
        let required = |key| text(name, data, key)?.ok_or(AccessError::Required(key));
        let ssh = SshAccess {
            identity: required("identity")?,
            known_hosts: required("known_hosts")?,
            passphrase: text(name, data, "password")?,
            proxy: socks(proxy)?,
        };
        if ssh.passphrase.is_none() && ssh.is_encrypted() {
            return Err(AccessError::Encrypted(name.to_owned()));
        }
        let mut redactor = Redactor::default();
        let through = ssh
            .proxy
            .as_ref()
            .and_then(|proxy| proxy.credentials.as_ref());
        let hidden = [
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

    /// Returns a text without any of the credentials.
    pub(super) fn redact(&self, text: &str) -> String {
        self.redactor.redact(text)
    }
}

/// Returns the proxy for SSH, which goes through SOCKS only.
fn socks(proxy: &Proxy) -> Result<Option<SocksProxy>, AccessError> {
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
            Err(AccessError::SshProxy(scheme.to_owned()))
        }
    }
}

fn text(name: &str, data: &SecretData, key: &'static str) -> Result<Option<String>, AccessError> {
    let Some(value) = data.get(key) else {
        return Ok(None);
    };
    match String::from_utf8(value.0.clone()) {
        Ok(text) => Ok(Some(text).filter(|text| !text.is_empty())),
        Err(_) => Err(AccessError::NotText {
            secret: name.to_owned(),
            key,
        }),
    }
}

fn auth(address: &Address, name: &str, data: &SecretData) -> Result<Option<Auth>, AccessError> {
    let scheme = || address.scheme.clone();
    if let Some(token) = text(name, data, "bearerToken")? {
        if token.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(AccessError::Header {
                scheme: scheme(),
                option: "bearerToken",
            });
        }
        return Ok(Some(Auth::Bearer(token)));
    }
    let username = text(name, data, "username")?.or_else(|| address.username.clone());
    let password = text(name, data, "password")?.or_else(|| address.password.clone());
    match (username, password) {
        (None, None) => Ok(None),
        (Some(username), password) => Ok(Some(Auth::Basic {
            username,
            password: password.unwrap_or_default(),
        })),
        (None, Some(_)) => Err(AccessError::Incomplete {
            scheme: scheme(),
            option: "password",
            required: "username",
        }),
    }
}

/// Reads the Secret of a proxy. `name` is `<namespace>/<name>`.
///
/// # Errors
/// [`AccessError`].
pub(crate) fn proxy(name: &str, data: &SecretData) -> Result<Proxy, AccessError> {
    let Some(address) = data.get("address") else {
        return Err(AccessError::NoProxyAddress(name.to_owned()));
    };
    let address = String::from_utf8(address.0.clone());
    let address = address.map_err(|_| AccessError::NotText {
        secret: name.to_owned(),
        key: "address",
    })?;
    let address = address.trim();
    if address.is_empty() {
        return Err(AccessError::EmptyProxyAddress(name.to_owned()));
    }
    if address.len() > MAX_PROXY_BYTES {
        return Err(AccessError::ProxyLength);
    }
    let scheme = address.split_once("://").map_or("", |(scheme, _)| scheme);
    if !matches!(scheme, "http" | "https" | "socks5") {
        return Err(AccessError::ProxyScheme(scheme.to_owned()));
    }
    let username = text(name, data, "username")?;
    let password = text(name, data, "password")?;
    let credentials = username.map(|username| (username, password.unwrap_or_default()));
    Ok(Proxy::Explicit {
        url: address.to_owned(),
        credentials,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(pairs: &[(&str, &str)]) -> SecretData {
        let bytes = |value: &str| ByteString(value.as_bytes().to_vec());
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), bytes(value)))
            .collect()
    }

    fn access(url: &str, pairs: &[(&str, &str)]) -> Result<Access, String> {
        let address = Address::parse(url).map_err(|error| error.to_string())?;
        Access::new(&address, Some(("ns/s", &data(pairs))), Proxy::default())
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
            let access = Access::new(&address, Some(("ns/s", &data(&both))), proxy);
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

    #[test]
    fn proxy_secrets_are_checked() {
        let read =
            |pairs: &[(&str, &str)]| proxy("ns/p", &data(pairs)).map_err(|error| error.to_string());
        let good = read(&[
            ("address", "http://p:1"),
            ("username", "u"),
            ("password", "w"),
        ]);
        let credentials = Some(("u".to_owned(), "w".to_owned()));
        assert_eq!(
            good.unwrap(),
            Proxy::Explicit {
                url: "http://p:1".into(),
                credentials
            }
        );
        for (pairs, text) in [
            (&[][..], "secret 'ns/p': key 'address' not found"),
            (&[("address", " ")], "secret 'ns/p': proxy address is empty"),
            (
                &[("address", "ftp://x")],
                "proxy URL must use one of the supported schemes (http, https, socks5), got 'ftp'",
            ),
        ] {
            assert_eq!(read(pairs).unwrap_err(), text);
        }
        let long = format!("http://{}", "x".repeat(2048));
        assert_eq!(
            read(&[("address", &long)]).unwrap_err(),
            "proxy URL exceeds maximum length of 2048 characters"
        );
    }
}
