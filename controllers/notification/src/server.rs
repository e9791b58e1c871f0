//! The two HTTP servers: events come in at one, webhooks at the other.
//!
//! Whoever sends is not to be trusted: heads, bodies, times and connections are bounded, and a body
//! is read, up to its bound, before anything looks into it.
//!
//! Source: the limits of notification-controller v1.9.3.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::body::{Body, BodyDataStream};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http::{HeaderMap, Request, Response, StatusCode};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{net::TcpListener, sync::Semaphore, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::metrics::Requests;

pub mod events;
pub mod webhooks;

/// The largest body.
pub const MAX_BODY_BYTES: usize = 3 * 1024 * 1024;
const MAX_HEAD_BYTES: usize = 256 * 1024;
/// How much of a body that is too large is read, to be dropped.
const MAX_DISCARDED_BYTES: usize = 16 * 1024 * 1024;
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How many connections are served at once; more wait to be accepted.
const CONNECTIONS: usize = 512;
/// How many bodies are read at once: what they may take in memory.
const BODIES: usize = 8;
const DRAIN: Duration = Duration::from_secs(5);

/// A request whose body was read.
#[derive(Clone, Debug, Default)]
pub struct Received {
    /// Path and query, as they came.
    pub target: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Received {
    /// Returns a header as text; none where it is absent or no text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// What answers requests.
pub(crate) trait Handler: Send + Sync + 'static {
    /// Answers.
    fn handle(&self, request: Received) -> impl Future<Output = Response<Body>> + Send;

    /// Whether a path is served at all; else the answer is 404 and no body is read.
    fn serves(&self, path: &str) -> bool;
}

/// Returns an answer without body.
pub(crate) fn status(code: StatusCode) -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = code;
    answer
}

/// Serves until told to stop, then lets the requests under way end.
pub(crate) async fn serve<H: Handler>(
    listener: TcpListener,
    handler: Arc<H>,
    metrics: Requests,
    stop: CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let bodies = Arc::new(Semaphore::new(BODIES));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = async {
            // The semaphore is never closed.
            let slot = Arc::clone(&slots).acquire_owned().await.ok();
            (listener.accept().await, slot)
        };
        let (accepted, slot) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accepted => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, most likely: others are about to be closed.
                tracing::error!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (handler, metrics, bodies) = (Arc::clone(&handler), metrics.clone(), bodies.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let (handler, metrics, bodies) = (handler.clone(), metrics.clone(), bodies.clone());
            async move { Ok::<_, Infallible>(measured(&*handler, &metrics, &bodies, request).await) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            let _slot = slot;
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended early");
            }
        });
    }
    drop(listener);
    drop(tokio::time::timeout(DRAIN, graceful.shutdown()).await);
}

async fn measured<H: Handler>(
    handler: &H,
    metrics: &Requests,
    bodies: &Semaphore,
    request: Request<Incoming>,
) -> Response<Body> {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    if !handler.serves(&path) {
        return status(StatusCode::NOT_FOUND);
    }
    let began = Instant::now();
    let _inflight = metrics.enter(&path);
    let answer = answer(handler, bodies, request).await;
    let code = answer.status().as_u16();
    metrics.observe(method.as_str(), &path, code, began.elapsed());
    answer
}

async fn answer<H: Handler>(
    handler: &H,
    bodies: &Semaphore,
    request: Request<Incoming>,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let announced = parts.headers.get(http::header::CONTENT_LENGTH);
    let announced = announced.and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > MAX_BODY_BYTES as u64) {
        discard(Body::new(body).into_data_stream(), 0).await;
        return closing(StatusCode::PAYLOAD_TOO_LARGE);
    }
    let _permit = bodies.acquire().await;
    let body = match tokio::time::timeout(READ_TIMEOUT, read(Body::new(body))).await {
        Ok(Ok(body)) => body,
        Ok(Err(code)) => return closing(code),
        Err(_) => return closing(StatusCode::REQUEST_TIMEOUT),
    };
    let target = parts.uri.path_and_query();
    handler
        .handle(Received {
            target: target.map(ToString::to_string).unwrap_or_default(),
            headers: parts.headers,
            body,
        })
        .await
}

/// An answer to a request whose body was not read to its end: nothing else can follow it.
fn closing(code: StatusCode) -> Response<Body> {
    let mut answer = status(code);
    let close = http::HeaderValue::from_static("close");
    answer.headers_mut().insert(http::header::CONNECTION, close);
    answer
}

/// Lets the rest of a body that is too large arrive, within bounds, and drops it: many clients only
/// look for the answer when they have sent everything.
async fn discard(mut stream: BodyDataStream, read: usize) {
    let mut read = read;
    let rest = async {
        while let Some(Ok(chunk)) = stream.next().await {
            read += chunk.len();
            if read > MAX_DISCARDED_BYTES {
                break;
            }
        }
    };
    drop(tokio::time::timeout(DISCARD_TIMEOUT, rest).await);
}

async fn read(body: Body) -> Result<Bytes, StatusCode> {
    let mut stream = body.into_data_stream();
    let mut whole = BytesMut::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| StatusCode::BAD_REQUEST)?;
        if whole.len() + chunk.len() > MAX_BODY_BYTES {
            discard(stream, whole.len()).await;
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.freeze())
}
