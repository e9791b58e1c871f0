//! Files over HTTP as a static web server has them, and the ways in which such a server misbehaves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use crate::authority::Authority;
use crate::git_server::Credentials;
use crate::server::Server;

/// A way in which the server fails, until told otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misbehaviour {
    /// No answer comes.
    Hang,
    /// The answer promises the whole file and breaks off after this many bytes.
    Cut(usize),
    /// Every answer is this HTTP status, with these headers.
    Status(u16, Vec<(&'static str, String)>),
    /// The head of the answer comes at once, its body never ends.
    Endless,
}

/// A request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRequest {
    /// The path, encoded as it was sent.
    pub path: String,
    /// The `Authorization` header.
    pub authorization: Option<String>,
    /// The `If-None-Match` header.
    pub if_none_match: Option<String>,
    /// The status of the answer.
    pub status: u16,
}

/// A static web server, which can ask for credentials, speak TLS and fail.
#[derive(Debug)]
pub struct FileServer {
    server: Server,
    authority: Option<Authority>,
    state: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    files: BTreeMap<String, Bytes>,
    credentials: Option<Credentials>,
    fault: Option<Misbehaviour>,
    requests: Vec<FileRequest>,
}

type Held = Arc<Mutex<Shared>>;

impl FileServer {
    /// Starts a server without files; with `tls` it speaks HTTPS with a certificate of an authority of its own.
    ///
    /// # Errors
    /// When no port is free.
    pub fn start(tls: bool) -> Result<Self> {
        let authority = tls.then(Authority::new).transpose()?;
        let config = authority
            .as_ref()
            .map(|authority| authority.tls(false))
            .transpose()?;
        let state = Held::default();
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&state));
        Ok(Self {
            server: Server::start(router, config)?,
            authority,
            state,
        })
    }

    /// Returns the server's address: `http://127.0.0.1:<port>`, with TLS `https://…`.
    pub fn url(&self) -> String {
        let scheme = if self.authority.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}", self.server.address())
    }

    /// Returns the authority of the server's certificate, where it speaks HTTPS.
    pub fn authority(&self) -> Option<&Authority> {
        self.authority.as_ref()
    }

    /// Serves a file at a path: `charts/index.yaml`.
    pub fn put(&self, path: &str, content: impl Into<Bytes>) {
        self.lock().files.insert(format!("/{path}"), content.into());
    }

    /// Serves nothing at a path any more.
    pub fn remove(&self, path: &str) {
        self.lock().files.remove(&format!("/{path}"));
    }

    /// Asks for credentials from now on.
    pub fn demand(&self, credentials: Option<Credentials>) {
        self.lock().credentials = credentials;
    }

    /// Fails in this way from now on.
    pub fn fail(&self, fault: Option<Misbehaviour>) {
        self.lock().fault = fault;
    }

    /// Returns what came, in order.
    pub fn requests(&self) -> Vec<FileRequest> {
        self.lock().requests.clone()
    }

    /// Forgets what came.
    pub fn forget_requests(&self) {
        self.lock().requests.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        lock(&self.state)
    }
}

fn lock(state: &Held) -> MutexGuard<'_, Shared> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(State(state): State<Held>, request: Request) -> Response {
    let (head, _) = request.into_parts();
    let header = |name| {
        let value = head.headers.get(name)?.to_str().ok()?;
        Some(value.to_owned())
    };
    let authorization = header(header::AUTHORIZATION);
    let if_none_match = header(header::IF_NONE_MATCH);
    let path = head.uri.path().to_owned();
    let (response, hangs) = {
        let mut shared = lock(&state);
        let asked = (authorization.as_deref(), if_none_match.as_deref());
        let response = choose(&shared, &path, asked);
        let status = response.status().as_u16();
        shared.requests.push(FileRequest {
            path,
            authorization,
            if_none_match,
            status,
        });
        (response, shared.fault == Some(Misbehaviour::Hang))
    };
    if hangs {
        std::future::pending::<()>().await;
    }
    response
}

fn choose(
    shared: &Shared,
    path: &str,
    (authorization, if_none_match): (Option<&str>, Option<&str>),
) -> Response {
    if let Some(Misbehaviour::Status(status, headers)) = &shared.fault {
        let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, "told to fail\n").into_response();
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::from_str(value) {
                response.headers_mut().insert(*name, value);
            }
        }
        return response;
    }
    if let Some(credentials) = &shared.credentials
        && authorization != Some(credentials.header().as_str())
    {
        let ask = [(header::WWW_AUTHENTICATE, "Basic realm=\"test\"")];
        return (StatusCode::UNAUTHORIZED, ask, "credentials, please\n").into_response();
    }
    let Some(content) = shared.files.get(path) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let etag = format!("\"{}\"", &hex::encode(Sha256::digest(content))[..16]);
    let tag = [(header::ETAG, etag.clone())];
    if if_none_match == Some(etag.as_str()) {
        return (StatusCode::NOT_MODIFIED, tag).into_response();
    }
    match shared.fault {
        Some(Misbehaviour::Cut(bytes)) => {
            let part = content.slice(..bytes.min(content.len()));
            let broken = std::io::Error::other("cut off");
            let pieces = futures::stream::iter([Ok(part), Err(broken)]);
            let length = [(header::CONTENT_LENGTH, content.len().to_string())];
            (length, Body::from_stream(pieces)).into_response()
        }
        Some(Misbehaviour::Endless) => {
            let pieces = futures::stream::unfold((), |()| async {
                tokio::time::sleep(Duration::from_millis(1)).await;
                Some((
                    Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 256 << 10])),
                    (),
                ))
            });
            Body::from_stream(pieces).into_response()
        }
        _ => (tag, content.clone()).into_response(),
    }
}
