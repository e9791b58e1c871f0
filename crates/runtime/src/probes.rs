//! The servers of probes and metrics.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    extract::ConnectInfo,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use clap::ValueEnum as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{args::Level, metrics::Metrics, telemetry::Verbosity};

/// Binds an address as Go writes it: `:8080` is every interface. `0` and an empty text mean none.
///
/// # Errors
/// The address cannot be read or is in use.
pub async fn bind(addr: &str) -> anyhow::Result<Option<TcpListener>> {
    if addr.is_empty() || addr == "0" {
        return Ok(None);
    }
    let full = if addr.starts_with(':') {
        format!("[::]{addr}")
    } else {
        addr.to_owned()
    };
    match TcpListener::bind(&full).await {
        Ok(listener) => Ok(Some(listener)),
        // A host without IPv6.
        Err(_) if addr.starts_with(':') => {
            let all = format!("0.0.0.0{addr}");
            let listener = TcpListener::bind(&all).await;
            Ok(Some(listener.map_err(|e| {
                anyhow::anyhow!("failed to listen on {addr}: {e}")
            })?))
        }
        Err(error) => Err(anyhow::anyhow!("failed to listen on {addr}: {error}")),
    }
}

/// What has to be there before the process is ready: the first listing of each kind it reconciles,
/// and whatever a server adds. Cheap to clone.
///
/// A process that waits to lead has nothing to list yet and is ready: a rolling update waits for
/// it, and it waits for the lease of the one that the update replaces.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<BTreeMap<String, usize>>>);

impl Readiness {
    /// Adds a condition that is not met yet.
    #[must_use]
    pub fn condition(&self, name: &str) -> Condition {
        *self.lock().entry(name.to_owned()).or_default() += 1;
        Condition {
            readiness: self.clone(),
            name: name.into(),
            met: Arc::default(),
        }
    }

    /// Returns the names of the conditions that are not met.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One condition of readiness; clones are the same condition.
#[derive(Clone, Debug)]
pub struct Condition {
    readiness: Readiness,
    name: Arc<str>,
    met: Arc<std::sync::atomic::AtomicBool>,
}

impl Condition {
    /// Says that the condition is met, from now on.
    pub fn meet(&self) {
        if self.met.swap(true, std::sync::atomic::Ordering::AcqRel) {
            return;
        }
        let mut all = self.readiness.lock();
        if let Some(left) = all.get_mut(&*self.name) {
            *left -= 1;
            if *left == 0 {
                all.remove(&*self.name);
            }
        }
    }
}

/// Serves `/healthz`, which says that the process lives, `/readyz`, which says that it has what it needs, or names what is
/// missing, and `/log-level`.
///
/// # Errors
/// The listener fails.
pub async fn serve_health(
    listener: TcpListener,
    readiness: Readiness,
    verbosity: Verbosity,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let ready = move || {
        let missing = readiness.missing();
        async move {
            if missing.is_empty() {
                (StatusCode::OK, "ok".to_owned())
            } else {
                let text = format!("not ready: {}", missing.join(", "));
                (StatusCode::SERVICE_UNAVAILABLE, text)
            }
        }
    };
    let router = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .merge(log_level(verbosity));
    serve(listener, router, stop).await
}

/// Says up to which level is logged, and takes another: `PUT` with the level as the body. Only from the pod itself, where
/// `kubectl port-forward` arrives: a neighbour has no business with how talkative a controller is.
fn log_level(verbosity: Verbosity) -> Router {
    let name = |level: Level| {
        let value = level.to_possible_value();
        value.map_or_else(String::new, |value| format!("{}\n", value.get_name()))
    };
    let now = verbosity.clone();
    let show = move || {
        let level = now.get();
        async move { name(level) }
    };
    let change = move |ConnectInfo(peer): ConnectInfo<SocketAddr>, body: String| {
        let verbosity = verbosity.clone();
        async move {
            if !peer.ip().to_canonical().is_loopback() {
                let text = "only from the pod itself: kubectl port-forward\n";
                return (StatusCode::FORBIDDEN, text.to_owned());
            }
            match Level::from_str(body.trim(), true) {
                Ok(level) => {
                    verbosity.set(level);
                    tracing::info!(logger = "setup", "log level changed");
                    (StatusCode::OK, name(level))
                }
                Err(_) => (
                    StatusCode::BAD_REQUEST,
                    "one of trace, debug, info, error\n".to_owned(),
                ),
            }
        }
    };
    Router::new().route("/log-level", get(show).put(change))
}

/// Serves `/metrics`, and how every object stands at `/metrics/resources`.
///
/// # Errors
/// The listener fails.
pub async fn serve_metrics(
    listener: TcpListener,
    metrics: Metrics,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let objects = metrics.clone();
    let resources = move || {
        let objects = objects.clone();
        async move {
            let kind = "text/plain; version=0.0.4; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], objects.print_resources())
        }
    };
    let print = move || {
        let metrics = metrics.clone();
        async move {
            match metrics.print() {
                Ok(text) => {
                    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
                    ([(header::CONTENT_TYPE, kind)], text).into_response()
                }
                Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            }
        }
    };
    let router = Router::new()
        .route("/metrics", get(print))
        .route("/metrics/resources", get(resources));
    serve(listener, router, stop).await
}

async fn serve(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_is_ready_once_every_condition_is_met() {
        let readiness = Readiness::default();
        assert!(readiness.missing().is_empty());
        let (a, b) = (readiness.condition("a"), readiness.condition("b"));
        let twin = readiness.condition("a");
        a.clone().meet();
        a.meet();
        assert_eq!(readiness.missing(), ["a", "b"]);
        twin.meet();
        assert_eq!(readiness.missing(), ["b"]);
        b.meet();
        assert!(readiness.missing().is_empty());
    }

    /// Answers a request as if it came from `peer`.
    async fn asked(router: &Router, peer: &str, method: &str, body: &str) -> (u16, String) {
        use axum::{body::Body, extract::Request};
        use tower::ServiceExt as _;

        let request = Request::builder().method(method).uri("/log-level");
        let mut request = request.body(Body::from(body.to_owned())).unwrap();
        let peer: SocketAddr = peer.parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(peer));
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), 1024)
            .await
            .unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn log_level_is_changed_from_the_pod_itself_alone() {
        let verbosity = Verbosity::new(Level::Info);
        let router = log_level(verbosity.clone());
        let (own, mapped, other) = ("127.0.0.1:1", "[::ffff:127.0.0.1]:1", "10.0.0.7:1");
        assert_eq!(
            asked(&router, other, "GET", "").await,
            (200, "info\n".into())
        );
        assert_eq!(asked(&router, other, "PUT", "debug").await.0, 403);
        assert_eq!(verbosity.get(), Level::Info);
        assert_eq!(
            asked(&router, own, "PUT", "debug\n").await,
            (200, "debug\n".into())
        );
        assert_eq!(verbosity.get(), Level::Debug);
        assert_eq!(asked(&router, mapped, "PUT", "loud").await.0, 400);
        assert_eq!(asked(&router, mapped, "PUT", "error").await.0, 200);
        assert_eq!(asked(&router, own, "GET", "").await.1, "error\n");
    }
}
