//! How the Git server of a GitRepository is reached.

use git::{Remote, SocksProxy, SshAccess};
use net_http::{Auth, ClientConfig, Identity, Proxy, Redactor};
use runtime::secrets::SecretView;

/// A server, and what must not be shown of it.
#[derive(Clone, Debug)]
pub(super) struct Access {
    pub(super) remote: Remote,
    pub(super) redactor: Redactor,
}

/// Why a URL or a Secret cannot be used, in upstream's words.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(super) enum AccessError {
    #[error("failed to parse URL '{0}': {1}")]
    Url(String, &'static str),
    #[error(
        "failed to configure authentication options: invalid '{scheme}' auth option: '{option}' requires '{required}' to be set"
    )]
    Incomplete {
        scheme: String,
        option: &'static str,
        required: &'static str,
    },
    #[error(
        "failed to configure authentication options: invalid 'ssh' auth option: '{0}' is required"
    )]
    Required(&'static str),
    #[error("failed to configure authentication options: unknown transport '{0}'")]
    Transport(String),
    #[error(
        "failed to configure authentication options: the identity is encrypted and 'password' is not set"
    )]
    Encrypted,
    #[error("failed to configure proxy options: secret '{0}': key 'address' not found")]
    NoProxyAddress(String),
    #[error("failed to configure proxy options: a proxy for SSH must be socks5")]
    ProxyScheme,
}

impl Access {
    /// Joins a URL with the Secrets that the GitRepository names.
    pub(super) fn new(
        url: &str,
        secret: Option<&SecretView>,
        proxy: Option<&SecretView>,
    ) -> Result<Self, AccessError> {
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(AccessError::Url(shown(url), "missing protocol scheme"));
        };
        if url
            .bytes()
            .any(|byte| byte.is_ascii_control() || byte == b' ')
        {
            return Err(AccessError::Url(shown(url), "invalid character in URL"));
        }
        let text = |key: &str| {
            let text = secret.and_then(|secret| secret.text(key));
            text.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let mut redactor = Redactor::default();
        for key in ["password", "bearerToken", "identity"] {
            if let Some(hidden) = text(key) {
                redactor.add(&hidden);
            }
        }
        let remote = match scheme {
            "http" | "https" => http(scheme, url, rest, secret, proxy)?,
            "ssh" => Remote {
                url: url.to_owned(),
                ssh: Some(ssh(&text, proxy)?),
                ..Remote::default()
            },
            other => return Err(AccessError::Transport(other.to_owned())),
        };
        if let Some(auth) = &remote.auth {
            redactor.add_auth(auth);
        }
        Ok(Self { remote, redactor })
    }
}

fn shown(url: &str) -> String {
    net_http::without_credentials(url)
}

fn http(
    scheme: &str,
    url: &str,
    rest: &str,
    secret: Option<&SecretView>,
    proxy: Option<&SecretView>,
) -> Result<Remote, AccessError> {
    let text = |key: &str| {
        secret
            .and_then(|secret| secret.text(key))
            .filter(|t| !t.is_empty())
    };
    let incomplete = |option, required| AccessError::Incomplete {
        scheme: scheme.to_owned(),
        option,
        required,
    };
    let auth = match (text("username"), text("password"), text("bearerToken")) {
        (_, _, Some(token)) => Some(Auth::Bearer(token.to_owned())),
        (Some(username), password, None) => Some(Auth::Basic {
            username: username.to_owned(),
            password: password.unwrap_or_default().to_owned(),
        }),
        (None, Some(_), None) => return Err(incomplete("password", "username")),
        (None, None, None) => of_url(rest),
    };
    let bytes = |key: &str| {
        let bytes = secret.and_then(|secret| secret.bytes(key));
        bytes.filter(|bytes| !bytes.is_empty()).map(<[u8]>::to_vec)
    };
    let identity = match (bytes("tls.crt"), bytes("tls.key")) {
        (Some(certificate), Some(key)) => Some(Identity { certificate, key }),
        (None, None) => None,
        (Some(_), None) => return Err(incomplete("tls.crt", "tls.key")),
        (None, Some(_)) => return Err(incomplete("tls.key", "tls.crt")),
    };
    let proxy = match proxy {
        Some(proxy) => {
            let (url, credentials) = proxy_of(proxy)?;
            Proxy::Explicit { url, credentials }
        }
        None => Proxy::Environment,
    };
    Ok(Remote {
        url: shown(url),
        auth,
        http: ClientConfig {
            certificate_authority: bytes("ca.crt").or_else(|| bytes("caFile")),
            identity,
            proxy,
            ..ClientConfig::default()
        },
        ssh: None,
    })
}

/// User name and password that stand in the URL itself.
fn of_url(rest: &str) -> Option<Auth> {
    let authority = rest.split(['/', '?', '#']).next()?;
    let (user, _) = authority.rsplit_once('@')?;
    let (username, password) = user.split_once(':').unwrap_or((user, ""));
    (!username.is_empty()).then(|| Auth::Basic {
        username: username.to_owned(),
        password: password.to_owned(),
    })
}

fn ssh(
    text: &dyn Fn(&str) -> Option<String>,
    proxy: Option<&SecretView>,
) -> Result<SshAccess, AccessError> {
    let required = |key| text(key).ok_or(AccessError::Required(key));
    let proxy = match proxy.map(proxy_of).transpose()? {
        Some((address, credentials)) => {
            let address = address
                .strip_prefix("socks5://")
                .ok_or(AccessError::ProxyScheme)?;
            Some(SocksProxy {
                address: address.trim_end_matches('/').to_owned(),
                credentials,
            })
        }
        None => None,
    };
    let access = SshAccess {
        identity: required("identity")?,
        known_hosts: required("known_hosts")?,
        passphrase: text("password"),
        proxy,
    };
    if access.passphrase.is_none() && access.is_encrypted() {
        return Err(AccessError::Encrypted);
    }
    Ok(access)
}

type ProxyAddress = (String, Option<(String, String)>);

fn proxy_of(secret: &SecretView) -> Result<ProxyAddress, AccessError> {
    let address = secret
        .text("address")
        .map(str::trim)
        .filter(|text| !text.is_empty());
    let address = address.ok_or_else(|| AccessError::NoProxyAddress(secret.name.clone()))?;
    let user = secret.text("username").filter(|text| !text.is_empty());
    let credentials = user.map(|user| {
        let password = secret.text("password").unwrap_or_default();
        (user.to_owned(), password.to_owned())
    });
    Ok((address.to_owned(), credentials))
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::ByteString;

    fn secret(pairs: &[(&str, &str)]) -> SecretView {
        let data = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), ByteString(v.as_bytes().to_vec())));
        SecretView {
            name: "ns/s".into(),
            kind: "Opaque".into(),
            data: data.collect(),
        }
    }

    /// covers: IA-138
    #[test]
    fn secrets_are_checked_before_a_connection_is_made() {
        let make = |url: &str, pairs: &[(&str, &str)]| {
            Access::new(url, Some(&secret(pairs)), None).map(|access| access.remote)
        };
        let url = "https://git.example/app.git";
        let basic = make(url, &[("username", "u"), ("password", "p")]).unwrap();
        assert!(matches!(basic.auth, Some(Auth::Basic { .. })));
        assert_eq!(
            make(url, &[("password", "p")]).unwrap_err().to_string(),
            "failed to configure authentication options: invalid 'https' auth option: 'password' requires 'username' to be set"
        );
        assert!(make(url, &[("tls.crt", "x")]).is_err());
        assert_eq!(
            make("ssh://git@h/a", &[]).unwrap_err(),
            AccessError::Required("identity")
        );
        assert!(matches!(
            make("git.example/app", &[]).unwrap_err(),
            AccessError::Url(..)
        ));
        assert!(matches!(
            make("ftp://x/y", &[]).unwrap_err(),
            AccessError::Transport(_)
        ));
        let of_url = Access::new("https://u:p@h/app", None, None).unwrap().remote;
        assert_eq!(of_url.url, "https://h/app");
        assert!(of_url.auth.is_some());
    }
}
