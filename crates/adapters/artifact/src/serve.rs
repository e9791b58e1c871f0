//! The file server: artifacts over plain HTTP, as a generic static server answers.
//!
//! Source: the answers of source-controller 1.9.4 (Go 1.26 `net/http.FileServer`), observed.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

mod answer;
mod file;
mod path;

pub use answer::answer;

/// Bounds of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many connections are served at once; more wait to be accepted.
    pub max_connections: usize,
    /// How long a client may take to send the head of a request.
    pub header_timeout: Duration,
    /// How long answers may go on once the server is told to stop.
    pub drain: Duration,
}

impl Default for Limits {
    /// 512 connections, 10 s for the head, 5 s at the end.
    fn default() -> Self {
        Self {
            max_connections: 512,
            header_timeout: Duration::from_secs(10),
            drain: Duration::from_secs(5),
        }
    }
}

/// Whether files are handed out; clones are the same switch. While they are not, every answer is 503.
#[derive(Clone, Debug, Default)]
pub struct Switch(Arc<AtomicBool>);

impl Switch {
    /// Says whether files are handed out from now on.
    pub fn set(&self, open: bool) {
        self.0.store(open, Ordering::Release);
    }

    /// Returns whether files are handed out.
    pub fn is_open(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Serves the files below `root` while `switch` is open, until `stop` is ready, then lets the answers under way end.
pub async fn serve(
    listener: TcpListener,
    root: PathBuf,
    switch: Switch,
    limits: Limits,
    stop: impl Future<Output = ()>,
) {
    let root: Arc<std::path::Path> = root.into();
    let slots = Arc::new(Semaphore::new(limits.max_connections));
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = async {
            // The semaphore is never closed.
            let slot = Arc::clone(&slots).acquire_owned().await.ok();
            (listener.accept().await, slot)
        };
        let (accepted, slot) = tokio::select! {
            () = &mut stop => break,
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
        let (root, switch) = (Arc::clone(&root), switch.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let (root, open) = (Arc::clone(&root), switch.is_open());
            async move {
                Ok::<Response<Body>, Infallible>(if open {
                    answer(&root, &request).await
                } else {
                    answer::unavailable()
                })
            }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .title_case_headers(true)
            .header_read_timeout(limits.header_timeout)
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
    if tokio::time::timeout(limits.drain, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::info!("answers were cut off at the end of the drain period");
    }
}

#[cfg(test)]
mod tests;
