//! An HTTP server that records what it is sent and answers as told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::authority::Authority;
use crate::server::Server;

const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct ReceivedRequest {
    /// The HTTP method.
    pub method: String,
    /// The path and query: `/hook?x=1`.
    pub target: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl ReceivedRequest {
    /// Returns the header `name` as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Reads the body as JSON.
    ///
    /// # Errors
    /// When it is not, or of another shape.
    pub fn json<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_slice(&self.body)
    }
}

/// What the sink answers.
#[derive(Clone, Debug)]
pub struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Bytes,
    delay: Duration,
}

impl Answer {
    /// Answers with this status and an empty body.
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
            delay: Duration::ZERO,
        }
    }

    /// Answers 200 with this body.
    pub fn body(body: impl Into<Bytes>) -> Self {
        Self {
            body: body.into(),
            ..Self::status(200)
        }
    }

    /// Answers with this status instead.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Waits this long before it answers.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut builder = Response::builder().status(status);
        for (name, value) in &self.headers {
            builder = builder.header(name, value);
        }
        builder
            .body(Body::from(self.body))
            .unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
    }
}

/// A running sink; it ends when dropped. Until told otherwise it answers 200 with an empty body.
#[derive(Debug)]
pub struct HttpSink {
    server: Server,
    state: Arc<Mutex<Record>>,
    authority: Option<Authority>,
}

#[derive(Debug)]
struct Record {
    requests: Vec<ReceivedRequest>,
    queued: VecDeque<Answer>,
    thought: Option<fn(&ReceivedRequest) -> Answer>,
    standing: Answer,
}

impl HttpSink {
    /// Starts a sink that speaks HTTP.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start() -> Result<Self> {
        Self::serve(None)
    }

    /// Starts a sink that speaks HTTPS with a certificate of an authority of its own ([`HttpSink::authority`]).
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start_tls() -> Result<Self> {
        Self::serve(Some(Authority::new()?))
    }

    fn serve(authority: Option<Authority>) -> Result<Self> {
        let record = Record {
            requests: Vec::new(),
            queued: VecDeque::new(),
            thought: None,
            standing: Answer::status(200),
        };
        let state = Arc::new(Mutex::new(record));
        let router = Router::new()
            .fallback(receive)
            .with_state(Arc::clone(&state));
        let tls = authority
            .as_ref()
            .map(|authority| authority.tls(false))
            .transpose()?;
        Ok(Self {
            server: Server::start(router, tls)?,
            state,
            authority,
        })
    }

    /// Returns the sink's address: `http://127.0.0.1:<port>`, with TLS `https://…`.
    pub fn url(&self) -> String {
        let scheme = if self.authority.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}", self.server.address())
    }

    /// Returns the authority that issued the sink's certificate; `None` without TLS.
    pub fn authority(&self) -> Option<&Authority> {
        self.authority.as_ref()
    }

    /// From now on answers this, unless something is queued.
    pub fn answer(&self, answer: Answer) {
        lock(&self.state).standing = answer;
    }

    /// From now on answers what this makes of each request, unless something is queued.
    pub fn answer_by(&self, answer: fn(&ReceivedRequest) -> Answer) {
        lock(&self.state).thought = Some(answer);
    }

    /// Answers this once, after what was queued before.
    pub fn answer_once(&self, answer: Answer) {
        lock(&self.state).queued.push_back(answer);
    }

    /// From now on closes each new connection at once, or no longer does.
    pub fn refuse(&self, refuse: bool) {
        self.server.refuse(refuse);
    }

    /// Returns all requests received so far, oldest first.
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        lock(&self.state).requests.clone()
    }

    /// Waits until at least `count` requests have come and returns all.
    ///
    /// # Errors
    /// When there are fewer after `patience`.
    pub async fn wait_for(&self, count: usize, patience: Duration) -> Result<Vec<ReceivedRequest>> {
        let deadline = Instant::now() + patience;
        loop {
            let requests = self.requests();
            if requests.len() >= count {
                return Ok(requests);
            }
            if Instant::now() > deadline {
                bail!(
                    "{} requests instead of {count} within {patience:?}",
                    requests.len()
                );
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn receive(State(state): State<Arc<Mutex<Record>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let received = ReceivedRequest {
        method: parts.method.to_string(),
        target: parts
            .uri
            .path_and_query()
            .map(ToString::to_string)
            .unwrap_or_default(),
        headers: parts.headers,
        body,
    };
    let answer = {
        let mut record = lock(&state);
        let thought = record.thought.map(|think| think(&received));
        record.requests.push(received);
        let queued = record.queued.pop_front();
        queued
            .or(thought)
            .unwrap_or_else(|| record.standing.clone())
    };
    tokio::time::sleep(answer.delay).await;
    answer.into_response()
}

fn lock(state: &Mutex<Record>) -> MutexGuard<'_, Record> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
