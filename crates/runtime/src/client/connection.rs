//! Two HTTP/2 connections to the API server: one for watches, one for everything else.
//!
//! kube's own client speaks HTTP/1.1 over TLS: a connection for each watch and each request that
//! goes on at the same time, and none notices that its peer is gone. One connection for all would
//! let watches that nobody reads just now use up the window, or the server's limit of streams
//! (250), and hold the runs back that would read them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hyper::body::Incoming;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder, ConfigExt},
};
use tokio::sync::Mutex;
use tower::{BoxError, ServiceBuilder};

use crate::metrics::Metrics;

/// A peer that does not answer a ping for this long after it is gone.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How many bytes of an answer, and of all answers of a connection, may be under way. What arrives at once decides how
/// large the buffer of a connection becomes, and it stays so: with hyper's 2 and 5 MiB it was 4.3 MiB in a controller that
/// has nothing to do. Half a millisecond away, as API servers are, this is 500 MB/s.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 512 << 10;
/// The API server itself ends a request, but a watch, after a minute.
const ANSWER: Duration = Duration::from_secs(75);

/// The request was not answered.
#[derive(Debug, thiserror::Error)]
#[error("the API server did not answer within {} s", ANSWER.as_secs())]
struct Unanswered;

/// What is waited for the first answer of all before others are asked for beside it.
const FIRST: Duration = Duration::from_secs(5);

type Pool = legacy::Client<hyper_rustls::HttpsConnector<HttpConnector>, Body>;

/// Connections of one purpose.
///
/// Requests that begin at the same time, before a server is known to speak HTTP/2, each open a
/// connection, and a watch can stay on one of them for minutes. So the first goes alone.
#[derive(Clone)]
struct Connections {
    pool: Pool,
    first: Arc<First>,
}

#[derive(Default)]
struct First {
    answered: AtomicBool,
    turn: Mutex<()>,
}

impl Connections {
    async fn send(
        self,
        request: http::Request<Body>,
    ) -> Result<http::Response<Incoming>, BoxError> {
        let answered = || self.first.answered.load(Ordering::Acquire);
        if !answered() {
            // An answer that takes long holds the others back for this long only.
            let turn = tokio::time::timeout(FIRST, self.first.turn.lock()).await;
            if !answered() {
                let answer = self.pool.request(request).await?;
                self.first.answered.store(true, Ordering::Release);
                drop(turn);
                return Ok(answer);
            }
        }
        Ok(self.pool.request(request).await?)
    }
}

/// Makes a client. Behind a proxy, with credentials from a command, or without TLS it is kube's own.
pub(super) fn client(config: Config, metrics: Metrics) -> kube::Result<Client> {
    let special = config.proxy_url.is_some()
        || config.auth_info.exec.is_some()
        || config.cluster_url.scheme_str() != Some("https");
    if special {
        return Ok(ClientBuilder::try_from(config)?.build());
    }
    let (watches, calls) = (connections(&config)?, connections(&config)?);
    let send = tower::service_fn(move |request: http::Request<Body>| {
        let watch = is_watch(request.uri());
        let host = request.uri().authority().map(ToString::to_string);
        let (host, method) = (host.unwrap_or_default(), request.method().clone());
        let connections = if watch { &watches } else { &calls };
        let answer = connections.clone().send(request);
        let patience = if watch { Duration::MAX } else { ANSWER };
        let metrics = metrics.clone();
        async move {
            let answer = match tokio::time::timeout(patience, answer).await {
                Ok(answer) => answer,
                Err(_) => Err(Unanswered.into()),
            };
            let code = answer.as_ref().ok().map(http::Response::status);
            metrics.answered(&host, &method, code);
            answer
        }
    });
    let stack = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .service(send);
    Ok(ClientBuilder::new(stack, config.default_namespace).build())
}

fn connections(config: &Config) -> kube::Result<Connections> {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(config.connect_timeout);
    // A server that only speaks HTTP/1.1 is spoken to in that.
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(config.rustls_client_config()?)
        .https_only()
        .enable_all_versions()
        .wrap_connector(connector);
    let pool = legacy::Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .http2_initial_stream_window_size(STREAM_WINDOW)
        .http2_initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keep_alive_interval(PING_EVERY)
        .http2_keep_alive_timeout(PING_TIMEOUT)
        .http2_keep_alive_while_idle(true)
        .build(connector);
    Ok(Connections {
        pool,
        first: Arc::default(),
    })
}

fn is_watch(uri: &http::Uri) -> bool {
    uri.query()
        .is_some_and(|query| query.split('&').any(|pair| pair == "watch=true"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watches_are_told_from_calls() {
        let is = |uri: &str| is_watch(&uri.parse().unwrap());
        assert!(is("/api/v1/pods?&watch=true&timeoutSeconds=290"));
        assert!(!is("/api/v1/pods?labelSelector=watch%3Dtrue"));
        assert!(!is("/api/v1/pods"));
    }
}
