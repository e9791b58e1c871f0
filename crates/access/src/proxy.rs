//! Proxies in Secrets.

use net_http::Proxy;
use runtime::secrets::SecretView;

/// The longest address of a proxy.
const MAX_BYTES: usize = 2048;

/// What is wrong with the Secret of a proxy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// There is no address.
    #[error("secret '{0}': key 'address' not found")]
    NoAddress(String),
    /// The address is empty.
    #[error("secret '{0}': proxy address is empty")]
    Empty(String),
    /// The address is none of a proxy.
    #[error("proxy URL must use one of the supported schemes (http, https, socks5), got '{0}'")]
    Scheme(String),
    /// The address is too long.
    #[error("proxy URL exceeds maximum length of {MAX_BYTES} characters")]
    Length,
    /// A value is no text.
    #[error("secret '{secret}': key '{key}' is not text")]
    NotText {
        /// `<namespace>/<name>`.
        secret: String,
        /// The key.
        key: &'static str,
    },
}

/// Reads the Secret of a proxy: `address`, and `username` with `password` where it asks for them.
///
/// # Errors
/// [`ProxyError`].
pub fn proxy(secret: &SecretView) -> Result<Proxy, ProxyError> {
    let text = |key: &'static str| {
        let value = secret.bytes(key).map(std::str::from_utf8).transpose();
        value.map_err(|_| ProxyError::NotText {
            secret: secret.name.clone(),
            key,
        })
    };
    let address = text("address")?.ok_or_else(|| ProxyError::NoAddress(secret.name.clone()))?;
    let address = address.trim();
    if address.is_empty() {
        return Err(ProxyError::Empty(secret.name.clone()));
    }
    if address.len() > MAX_BYTES {
        return Err(ProxyError::Length);
    }
    let scheme = address.split_once("://").map_or("", |(scheme, _)| scheme);
    if !matches!(scheme, "http" | "https" | "socks5") {
        return Err(ProxyError::Scheme(scheme.to_owned()));
    }
    let username = text("username")?.filter(|text| !text.is_empty());
    let password = text("password")?.unwrap_or_default();
    Ok(Proxy::Explicit {
        url: address.to_owned(),
        credentials: username.map(|username| (username.to_owned(), password.to_owned())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::view;

    #[test]
    fn proxy_secrets_are_checked() {
        let read =
            |pairs: &[(&str, &str)]| proxy(&view("ns/p", pairs)).map_err(|error| error.to_string());
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
