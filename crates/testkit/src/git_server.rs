//! A real Git server: `git http-backend` behind a small HTTP server on loopback.

mod backend;
mod repository;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub use self::repository::{Commit, Repository};
use crate::authority::Authority;
use crate::server::Server;
use crate::supervisor::ScratchFolder;

/// What a client has to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// HTTP basic authentication.
    Basic {
        /// The user's name.
        user: String,
        /// The user's password.
        password: String,
    },
    /// `Authorization: Bearer <token>`.
    Bearer(String),
}

impl Credentials {
    pub(crate) fn header(&self) -> String {
        match self {
            Self::Basic { user, password } => {
                format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
            }
            Self::Bearer(token) => format!("Bearer {token}"),
        }
    }
}

/// A way in which the server fails, until told otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Every connection is closed before a byte is sent.
    Refuse,
    /// Every answer comes this much later.
    Delay(Duration),
    /// No answer comes.
    Hang,
    /// Every answer is this HTTP status, with an empty body.
    Status(u16),
    /// The connection is cut after this many bytes of a pack.
    CutPack(usize),
    /// Every answer is a redirect to this server with the same path: `http://127.0.0.1:1234`.
    Redirect(String),
}

/// A request as it came, and how it was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedRequest {
    /// The HTTP method.
    pub method: String,
    /// The path and query: `/app.git/info/refs?service=git-upload-pack`.
    pub target: String,
    /// The `Authorization` header as sent.
    pub authorization: Option<String>,
    /// The `Git-Protocol` header as sent.
    pub protocol: Option<String>,
    /// The HTTP status of the answer; `None` when there was none.
    pub status: Option<u16>,
}

/// A Git server with its repositories. Dropping it ends it and removes them.
#[derive(Debug)]
pub struct GitServer {
    server: Server,
    state: Arc<Shared>,
    authority: Option<Authority>,
}

#[derive(Debug)]
struct Shared {
    folder: ScratchFolder,
    settings: Mutex<Settings>,
    requests: Mutex<Vec<ServedRequest>>,
}

#[derive(Clone, Debug, Default)]
struct Settings {
    credentials: Option<Credentials>,
    fault: Option<Fault>,
}

impl GitServer {
    /// Starts a server that speaks HTTP and lets everybody read and write.
    ///
    /// # Errors
    /// When no port or no temporary folder can be had.
    pub fn start() -> Result<Self> {
        Self::serve(None, false)
    }

    /// Starts a server that speaks HTTPS with a certificate of an authority of its own ([`GitServer::authority`]).
    ///
    /// # Errors
    /// As [`GitServer::start`].
    pub fn start_tls() -> Result<Self> {
        Self::serve(Some(Authority::new()?), false)
    }

    /// Starts a server as [`GitServer::start_tls`] that serves only clients which show a certificate of its authority.
    ///
    /// # Errors
    /// As [`GitServer::start`].
    pub fn start_mutual_tls() -> Result<Self> {
        Self::serve(Some(Authority::new()?), true)
    }

    fn serve(authority: Option<Authority>, demand_client: bool) -> Result<Self> {
        let state = Arc::new(Shared {
            folder: ScratchFolder::new("lockgate-git-server-")?,
            settings: Mutex::default(),
            requests: Mutex::default(),
        });
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&state));
        let tls = authority
            .as_ref()
            .map(|authority| authority.tls(demand_client))
            .transpose()?;
        Ok(Self {
            server: Server::start(router, tls)?,
            state,
            authority,
        })
    }

    /// Makes an empty repository at `<url>/<name>.git`. Its default branch is `main`. `name` may hold `/`.
    ///
    /// # Errors
    /// When `git` is missing or the name leads outside the server's folder.
    pub fn repository(&self, name: &str) -> Result<Repository> {
        let inside = name
            .split('/')
            .all(|part| !part.is_empty() && !part.starts_with('.'));
        ensure!(inside, "{name:?} is not a repository name");
        let path = self.state.folder.path().join(format!("{name}.git"));
        Repository::create(path, format!("{}/{name}.git", self.url()))
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

    /// Returns the authority that issued the server's certificate; `None` without TLS.
    pub fn authority(&self) -> Option<&Authority> {
        self.authority.as_ref()
    }

    /// From now on demands these credentials, or none.
    pub fn demand(&self, credentials: Option<Credentials>) {
        lock(&self.state.settings).credentials = credentials;
    }

    /// From now on fails like this, or no longer.
    pub fn fail(&self, fault: Option<Fault>) {
        self.server.refuse(fault == Some(Fault::Refuse));
        lock(&self.state.settings).fault = fault;
    }

    /// Returns the requests that were answered since the start or the last [`GitServer::forget_requests`].
    pub fn requests(&self) -> Vec<ServedRequest> {
        lock(&self.state.requests).clone()
    }

    /// Returns how many requests were answered since the start or the last [`GitServer::forget_requests`].
    pub fn request_count(&self) -> usize {
        lock(&self.state.requests).len()
    }

    /// Starts counting anew.
    pub fn forget_requests(&self) {
        lock(&self.state.requests).clear();
    }
}

async fn answer(State(state): State<Arc<Shared>>, request: Request) -> Response {
    let Settings { credentials, fault } = lock(&state.settings).clone();
    let mut served = describe(&request);
    let allowed = credentials
        .is_none_or(|demanded| served.authorization.as_deref() == Some(demanded.header().as_str()));
    let mut cut = None;
    let mut refusal = None;
    match fault {
        None | Some(Fault::Refuse) => {}
        Some(Fault::Delay(delay)) => tokio::time::sleep(delay).await,
        Some(Fault::Hang) => {
            lock(&state.requests).push(served);
            return std::future::pending().await;
        }
        Some(Fault::Status(status)) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            refusal = Some(status.into_response());
        }
        Some(Fault::CutPack(bytes)) => cut = Some(bytes),
        Some(Fault::Redirect(target)) => {
            let location = format!("{target}{}", served.target);
            refusal = Some((StatusCode::FOUND, [(header::LOCATION, location)]).into_response());
        }
    }
    let mut response = match refusal {
        Some(refusal) => refusal,
        None if allowed => backend::run(state.folder.path(), request, cut).await,
        None => unauthorized(),
    };
    // One connection a request: a fault then meets every request that follows.
    response
        .headers_mut()
        .insert(header::CONNECTION, HeaderValue::from_static("close"));
    served.status = Some(response.status().as_u16());
    lock(&state.requests).push(served);
    response
}

fn unauthorized() -> Response {
    let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"git\"")];
    (
        StatusCode::UNAUTHORIZED,
        challenge,
        Body::from("credentials, please\n"),
    )
        .into_response()
}

fn describe(request: &Request) -> ServedRequest {
    let header = |name: &str| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    ServedRequest {
        method: request.method().to_string(),
        target: request
            .uri()
            .path_and_query()
            .map(ToString::to_string)
            .unwrap_or_default(),
        authorization: header("authorization"),
        protocol: header("git-protocol"),
        status: None,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
