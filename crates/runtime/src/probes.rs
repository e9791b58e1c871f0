//! The servers of probes and metrics.

use std::net::SocketAddr;

use axum::{
    Router,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

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

/// Serves `/healthz` and `/readyz`.
///
/// # Errors
/// The listener fails.
pub async fn serve_health(listener: TcpListener, stop: CancellationToken) -> std::io::Result<()> {
    let ok = || async { "ok" };
    let router = Router::new()
        .route("/healthz", get(ok))
        .route("/readyz", get(ok));
    serve(listener, router, stop).await
}

/// Serves `/metrics`.
///
/// # Errors
/// The listener fails.
pub async fn serve_metrics(
    listener: TcpListener,
    metrics: Metrics,
    stop: CancellationToken,
) -> std::io::Result<()> {
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
    serve(listener, Router::new().route("/metrics", get(print)), stop).await
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
