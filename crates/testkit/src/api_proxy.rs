//! A proxy before the API server that sees every write and can stop the writer between any two of them.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::{Method, StatusCode, header};
use kube::Client;
use serde_json::json;
use tokio::sync::OnceCell;

use crate::control_plane::{ControlPlane, config_of};
use crate::server::Server;
use crate::supervisor::ScratchFolder;

const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

/// On which side of a write the hook is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The write never reaches the API server.
    Before,
    /// The write is done, its answer never reaches the writer.
    After,
}

/// What is done at a write; it gets the write's method and path.
type Hook = Box<dyn FnOnce(&str) + Send>;

struct Trap {
    /// How many writes are let pass.
    left: usize,
    moment: Moment,
    hook: Hook,
}

/// What some requests are answered with, in turn, without reaching the API server.
struct Refusals {
    /// What their paths contain.
    part: String,
    codes: VecDeque<u16>,
}

#[derive(Default)]
struct Shared {
    writes: Mutex<Vec<String>>,
    trap: Mutex<Option<Trap>>,
    refusals: Mutex<Option<Refusals>>,
}

/// A plain HTTP address that leads to a control plane, with the administrator's rights.
///
/// A write is a request that changes something for good: no reads, no dry runs, no leases, no events, no reviews.
pub struct ApiProxy {
    server: Server,
    shared: Arc<Shared>,
    folder: ScratchFolder,
}

impl std::fmt::Debug for ApiProxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiProxy")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl ApiProxy {
    /// Starts a proxy before `plane`.
    ///
    /// # Errors
    /// When no port or no temporary folder can be had.
    pub fn start(plane: &ControlPlane) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let state = Arc::new(Proxy {
            shared: Arc::clone(&shared),
            kubeconfig: plane.kubeconfig().clone(),
            client: OnceCell::new(),
        });
        let router = Router::new().fallback(forward).with_state(state);
        let server = Server::start(router, None)?;
        let folder = ScratchFolder::new("lockgate-proxy-")?;
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "proxy",
            "clusters": [{ "name": "proxy", "cluster": { "server": format!("http://{}", server.address()) } }],
            "users": [{ "name": "proxy", "user": {} }],
            "contexts": [{ "name": "proxy", "context": { "cluster": "proxy", "user": "proxy" } }] });
        std::fs::write(folder.path().join("kubeconfig"), kubeconfig.to_string())
            .context("writing a kubeconfig")?;
        Ok(Self {
            server,
            shared,
            folder,
        })
    }

    /// Returns the path of a kubeconfig that leads here.
    pub fn kubeconfig_path(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// Calls `hook` once, at the write that comes after `pass` others. A hook that was not called yet is replaced.
    pub fn trap(&self, pass: usize, moment: Moment, hook: impl FnOnce(&str) + Send + 'static) {
        let trap = Trap {
            left: pass,
            moment,
            hook: Box::new(hook),
        };
        *self
            .shared
            .trap
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(trap);
    }

    /// Takes back a hook. Returns false where it has been called.
    pub fn disarm(&self) -> bool {
        let mut trap = self
            .shared
            .trap
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        trap.take().is_some()
    }

    /// Returns the writes so far, `METHOD /path`, oldest first.
    pub fn writes(&self) -> Vec<String> {
        let writes = self.shared.writes.lock();
        writes.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Answers the next changes, dry runs too, whose path contains `part` with these HTTP codes, one each, in the API
    /// server's form.
    pub fn answer(&self, part: &str, codes: &[u16]) {
        let refusals = Refusals {
            part: part.to_owned(),
            codes: codes.iter().copied().collect(),
        };
        *self.shared.refusals() = Some(refusals);
    }

    /// Returns how many of the answers of [`ApiProxy::answer`] were not needed yet.
    pub fn unanswered(&self) -> usize {
        self.shared
            .refusals()
            .as_ref()
            .map_or(0, |left| left.codes.len())
    }

    /// From now on closes each new connection at once, or no longer does.
    pub fn refuse(&self, refuse: bool) {
        self.server.refuse(refuse);
    }
}

struct Proxy {
    shared: Arc<Shared>,
    kubeconfig: kube::config::Kubeconfig,
    /// Made within the server's runtime, which outlives the test's.
    client: OnceCell<Client>,
}

impl Proxy {
    async fn client(&self) -> Result<&Client> {
        let make = || async {
            let config = config_of(&self.kubeconfig).await?;
            Client::try_from(config).context("making a client")
        };
        self.client.get_or_try_init(make).await
    }

    async fn send(&self, request: Request) -> Result<Response> {
        let (mut parts, body) = request.into_parts();
        for name in [header::HOST, header::AUTHORIZATION, header::CONTENT_LENGTH] {
            parts.headers.remove(name);
        }
        parts.headers.remove(header::CONNECTION);
        // What the client puts before it: the path alone.
        let path = parts.uri.path_and_query().map_or("/", |p| p.as_str());
        parts.uri = path.parse()?;
        parts.version = http::Version::HTTP_11;
        let body = axum::body::to_bytes(body, MAX_BODY_BYTES).await?.to_vec();
        let request = http::Request::from_parts(parts, kube::client::Body::from(body));
        let answer = self.client().await?.send(request).await?;
        let (mut parts, body) = answer.into_parts();
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.remove(header::TRANSFER_ENCODING);
        Ok(Response::from_parts(parts, Body::new(body)))
    }
}

impl Shared {
    fn refusals(&self) -> MutexGuard<'_, Option<Refusals>> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what a request is to be answered with; none where it goes on.
    fn refusal(&self, request: &Request) -> Option<u16> {
        let mut refusals = self.refusals();
        let refusals = refusals.as_mut()?;
        let fits = is_change(request) && request.uri().path().contains(&refusals.part);
        fits.then(|| refusals.codes.pop_front()).flatten()
    }

    /// Notes a write. Returns the hook where it is due.
    fn note(&self, write: &str) -> Option<(Moment, Hook)> {
        let writes = self.writes.lock();
        writes
            .unwrap_or_else(PoisonError::into_inner)
            .push(write.to_owned());
        let mut trap = self.trap.lock().unwrap_or_else(PoisonError::into_inner);
        match trap.as_mut() {
            Some(armed) if armed.left > 0 => armed.left -= 1,
            Some(_) => return trap.take().map(|trap| (trap.moment, trap.hook)),
            None => {}
        }
        None
    }
}

async fn forward(State(proxy): State<Arc<Proxy>>, request: Request) -> Response {
    if let Some(code) = proxy.shared.refusal(&request) {
        return failure(code);
    }
    let write =
        is_write(&request).then(|| format!("{} {}", request.method(), request.uri().path()));
    let hook = write.as_deref().and_then(|write| proxy.shared.note(write));
    let hook = match hook {
        Some((Moment::Before, hook)) => {
            hook(write.as_deref().unwrap_or_default());
            return refused("stopped before the write");
        }
        other => other,
    };
    let answer = proxy.send(request).await;
    if let Some((_, hook)) = hook {
        hook(write.as_deref().unwrap_or_default());
        return refused("stopped after the write");
    }
    answer.unwrap_or_else(|error| refused(&format!("{error:#}")))
}

/// An answer of the API server that says no.
fn failure(code: u16) -> Response {
    let reason = match code {
        409 => "Conflict",
        422 => "Invalid",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "Unknown",
    };
    let status = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!("answered with {code}"), "reason": reason, "code": code });
    let mut answer = Response::new(Body::from(status.to_string()));
    *answer.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_GATEWAY);
    let json = header::HeaderValue::from_static("application/json");
    answer.headers_mut().insert(header::CONTENT_TYPE, json);
    answer
}

fn refused(why: &str) -> Response {
    let mut answer = Response::new(Body::from(why.to_owned()));
    *answer.status_mut() = StatusCode::BAD_GATEWAY;
    answer
}

fn is_change(request: &Request) -> bool {
    !matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    )
}

fn is_write(request: &Request) -> bool {
    let path = request.uri().path();
    let query = request.uri().query().unwrap_or_default();
    let passing = ["/leases", "/events", "reviews", "/selfsubject"];
    is_change(request)
        && !query.contains("dryRun=")
        && !passing.iter().any(|part| path.contains(part))
}
