//! Which proxy a request goes through.

use crate::ConfigError;

/// What is never sent to a proxy that the environment names, as Go's clients do it.
const LOOPBACK: &str = "localhost,127.0.0.0/8,::1";

/// Where requests are sent to.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub enum Proxy {
    /// As the environment says: `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`.
    #[default]
    Environment,
    /// Always through this proxy.
    Explicit {
        /// An http, https or socks5 URL.
        url: String,
        /// User name and password for the proxy.
        credentials: Option<(String, String)>,
    },
    /// Never through a proxy.
    Direct,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Environment => f.write_str("Environment"),
            Self::Explicit {
                url,
                credentials: _,
            } => f
                .debug_tuple("Explicit")
                .field(&crate::without_credentials(url))
                .finish(),
            Self::Direct => f.write_str("Direct"),
        }
    }
}

/// The proxy settings of the process, read once at its start.
#[derive(Clone, Default)]
pub struct Environment {
    http: Option<String>,
    https: Option<String>,
    except: String,
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |url: &Option<String>| url.as_deref().map(crate::without_credentials);
        f.debug_struct("Environment")
            .field("http", &shown(&self.http))
            .field("https", &shown(&self.https))
            .field("except", &self.except)
            .finish()
    }
}

impl Environment {
    /// Returns the settings that `variable` gives, which is usually `|name| std::env::var(name).ok()`.
    ///
    /// Upper case wins over lower case; `HTTP_PROXY` is not read in a CGI process (`REQUEST_METHOD` set).
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let either = |name: &str| {
            variable(name)
                .or_else(|| variable(&name.to_lowercase()))
                .filter(|value| !value.is_empty())
        };
        let http = either("HTTP_PROXY").filter(|_| variable("REQUEST_METHOD").is_none());
        Self {
            http,
            https: either("HTTPS_PROXY"),
            except: either("NO_PROXY").unwrap_or_default(),
        }
    }
}

pub(crate) fn apply(
    builder: reqwest::ClientBuilder,
    proxy: &Proxy,
    environment: &Environment,
) -> Result<reqwest::ClientBuilder, ConfigError> {
    let builder = builder.no_proxy();
    match proxy {
        Proxy::Direct => Ok(builder),
        Proxy::Explicit { url, credentials } => {
            let mut all = reqwest::Proxy::all(url).map_err(|_| ConfigError::Proxy)?;
            if let Some((user, password)) = credentials {
                all = all.basic_auth(user, password);
            }
            Ok(builder.proxy(all))
        }
        Proxy::Environment => {
            let except =
                || reqwest::NoProxy::from_string(&format!("{LOOPBACK},{}", environment.except));
            let with_scheme = |url: &str| {
                if url.contains("://") {
                    url.to_owned()
                } else {
                    format!("http://{url}")
                }
            };
            let mut builder = builder;
            if let Some(url) = &environment.http {
                let proxy = reqwest::Proxy::http(with_scheme(url));
                let proxy = proxy.map_err(|_| ConfigError::Proxy)?;
                builder = builder.proxy(proxy.no_proxy(except()));
            }
            if let Some(url) = &environment.https {
                let proxy = reqwest::Proxy::https(with_scheme(url));
                let proxy = proxy.map_err(|_| ConfigError::Proxy)?;
                builder = builder.proxy(proxy.no_proxy(except()));
            }
            Ok(builder)
        }
    }
}
