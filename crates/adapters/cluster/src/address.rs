//! Clusters by address, whose tokens are asked for each time.

use std::{error::Error, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use http::{HeaderValue, Request, Response, header};
use kube::{Client, Config, client::Body};

use crate::Cluster;

/// Why a token cannot be had, in the words of who asks for it.
pub type TokenError = Box<dyn Error + Send + Sync>;

/// Returns the token for the next request. Called once a request: it is for the source to keep tokens.
pub type TokenSource =
    Arc<dyn Fn() -> BoxFuture<'static, Result<String, TokenError>> + Send + Sync>;

/// An address that makes no client. Never shows a token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// It is no address.
    #[error("'{0}' is no address of an API server")]
    Url(String),
    /// The authority's certificate is none.
    #[error("the certificate of the API server's authority cannot be read")]
    Authority,
    /// No client can be made.
    #[error("cannot make a client for the API server")]
    Client(#[source] Box<kube::Error>),
}

impl Cluster {
    /// Connects to the API server at an address. No request is made yet.
    ///
    /// Only https is taken: each request carries a token. `authority` is in PEM; without it the system's authorities
    /// count.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn at_address(
        server: &str,
        authority: Option<&[u8]>,
        token: TokenSource,
    ) -> Result<Self, AddressError> {
        let wrong = || AddressError::Url(server.to_owned());
        let url: http::Uri = server.parse().map_err(|_| wrong())?;
        if url.scheme_str() != Some("https") {
            return Err(wrong());
        }
        let mut config = Config::new(url);
        if let Some(pem) = authority {
            config.root_cert = Some(certificates(pem).ok_or(AddressError::Authority)?);
        }
        config.default_retry = false;
        config.connect_timeout = Some(Duration::from_secs(10));
        let base = Client::try_from(config);
        let base = base.map_err(|source| AddressError::Client(Box::new(source)))?;
        Ok(Self::new(with_tokens(base, token)))
    }
}

/// Returns the same client, with a token of the source in each request.
fn with_tokens(base: Client, token: TokenSource) -> Client {
    let namespace = base.default_namespace().to_owned();
    let service = tower::service_fn(move |mut request: Request<Body>| {
        let (base, token) = (base.clone(), Arc::clone(&token));
        async move {
            let token = token().await?;
            let mut value = HeaderValue::try_from(format!("Bearer {token}"))?;
            value.set_sensitive(true);
            request.headers_mut().insert(header::AUTHORIZATION, value);
            let answer: Result<Response<Body>, TokenError> =
                base.send(request).await.map_err(Into::into);
            answer
        }
    });
    Client::new(service, namespace)
}

/// Reads the certificates of a PEM file; none where one of them cannot be read.
fn certificates(pem: &[u8]) -> Option<Vec<Vec<u8>>> {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    let all = CertificateDer::pem_slice_iter(pem).map(|one| one.map(|der| der.to_vec()));
    let all = all.collect::<Result<Vec<_>, _>>().ok()?;
    (!all.is_empty()).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(token: &'static str) -> TokenSource {
        Arc::new(move || Box::pin(async move { Ok(token.to_owned()) }))
    }

    #[tokio::test]
    async fn each_request_carries_a_token_of_the_source() {
        let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
        let notes = Arc::clone(&seen);
        let service = tower::service_fn(move |request: Request<Body>| {
            let value = request.headers()[header::AUTHORIZATION].clone();
            notes.lock().unwrap().push(value);
            async { Ok::<_, std::convert::Infallible>(Response::new(Body::empty())) }
        });
        let client = with_tokens(Client::new(service, "default"), source("t0ken"));
        let request = Request::get("/version").body(Body::empty()).unwrap();
        client.send(request).await.unwrap();
        assert_eq!(seen.lock().unwrap()[0], "Bearer t0ken");
        let failing: TokenSource = Arc::new(|| Box::pin(async { Err("no token".into()) }));
        let service = tower::service_fn(|_: Request<Body>| async {
            Ok::<_, std::convert::Infallible>(Response::new(Body::empty()))
        });
        let client = with_tokens(Client::new(service, "default"), failing);
        let request = Request::get("/version").body(Body::empty()).unwrap();
        let error = client.send(request).await.unwrap_err();
        assert!(crate::chain_text(&error).contains("no token"));
    }

    #[tokio::test]
    async fn only_addresses_with_tls_are_taken() {
        for wrong in ["http://x", "x y", ""] {
            assert!(Cluster::at_address(wrong, None, source("t")).is_err());
        }
        Cluster::at_address("https://x:443", None, source("t")).unwrap();
        let error = Cluster::at_address("https://x", Some(b"PEM"), source("t")).unwrap_err();
        assert!(matches!(error, AddressError::Authority));
    }
}
