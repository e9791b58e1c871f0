//! What can go wrong in one exchange, told without URLs and credentials.

use std::error::Error as StdError;
use std::fmt::Write;

/// Why no client could be made of a configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The CA bundle holds no certificate that can be read.
    #[error("x509: CA bundle holds no valid PEM certificate")]
    NoCertificateAuthority,
    /// The client certificate holds no certificate that can be read.
    #[error("tls: failed to find any PEM data in certificate input")]
    NoCertificate,
    /// The client key holds no private key that can be read.
    #[error("tls: failed to find any PEM data in key input")]
    NoKey,
    /// Certificate and key do not fit each other, or the kind of key is not supported.
    #[error("tls: client certificate and key cannot be used")]
    Identity(#[source] rustls::Error),
    /// The proxy's address is no usable URL.
    #[error("proxy URL is not valid")]
    Proxy,
    /// The client could not be built from its parts.
    #[error("cannot set up the HTTP client")]
    Build(#[source] reqwest::Error),
}

/// Why an exchange ended without an answer, or its body could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The URL of the request is no http or https URL.
    #[error("'{0}' is not an http or https URL")]
    Url(String),
    /// The peer is the metadata service of a cloud, and the client may not go there.
    #[error("refused to connect to {0}: it is a metadata address")]
    Forbidden(String),
    /// No connection could be made, or the peer's certificate was refused.
    #[error("cannot connect to {host}")]
    Connect {
        /// Host and port of the peer.
        host: String,
        /// The innermost cause.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// Neither answer nor progress in time.
    #[error("timed out waiting for {0}")]
    Timeout(String),
    /// A redirect was not followed.
    #[error("refused to follow a redirect of {host}")]
    Redirect {
        /// Host and port that redirected.
        host: String,
        /// Why.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The connection broke, or the peer does not speak HTTP.
    #[error("exchange with {host} failed")]
    Exchange {
        /// Host and port of the peer.
        host: String,
        /// The innermost cause.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The body is larger than the caller allows.
    #[error("answer of {host} is larger than {max_bytes} bytes")]
    TooLarge {
        /// Host and port of the peer.
        host: String,
        /// The limit.
        max_bytes: u64,
    },
}

impl Error {
    /// Returns whether the same request may succeed later: nothing was wrong with the request itself.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Connect { .. } | Self::Timeout(_) | Self::Exchange { .. }
        )
    }

    pub(crate) fn from_reqwest(host: &str, error: reqwest::Error) -> Self {
        // Its text would repeat the URL.
        let error = error.without_url();
        let host = host.to_owned();
        if error.is_timeout() {
            return Self::Timeout(host);
        }
        if is_forbidden(&error) {
            return Self::Forbidden(host);
        }
        let connecting = error.is_connect();
        let redirecting = error.is_redirect();
        let source = innermost(&error);
        if redirecting {
            Self::Redirect { host, source }
        } else if connecting {
            Self::Connect { host, source }
        } else {
            Self::Exchange { host, source }
        }
    }
}

/// Returns whether the resolver found nothing but addresses that the client may not go to.
fn is_forbidden(error: &reqwest::Error) -> bool {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        if error.is::<crate::destination::MetadataAddress>() {
            return true;
        }
        next = cause(error);
    }
    false
}

/// Returns the last error of the chain: the layers between it and us only say that a layer failed.
fn innermost(error: &reqwest::Error) -> Box<dyn StdError + Send + Sync> {
    let mut last: &(dyn StdError + 'static) = error;
    while let Some(next) = cause(last) {
        last = next;
    }
    if let Some(tls) = last.downcast_ref::<rustls::Error>() {
        return crate::tls::explain(tls).into();
    }
    last.to_string().into()
}

/// Returns the source, looking into `io::Error`, which hides the error that it carries.
fn cause<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    let inner = error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref);
    match inner {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

/// Returns the texts of an error and its sources, joined by `: `.
pub fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        // Writing to a String cannot fail.
        let _ = write!(text, ": {source}");
        next = source.source();
    }
    text
}
