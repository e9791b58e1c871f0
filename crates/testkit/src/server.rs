//! A loopback HTTP server that runs beside the test, on a thread of its own: it answers also while a test blocks.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::serve::Listener;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsAcceptor;

/// A client that does not finish its handshake must not keep others waiting for ever.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);

/// A running server; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    refusing: Arc<AtomicBool>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves `router` on a free loopback port, over TLS when there are settings for it.
    pub(crate) fn start(router: Router, tls: Option<Arc<ServerConfig>>) -> Result<Self> {
        let socket = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .context("binding a loopback port")?;
        socket
            .set_nonblocking(true)
            .context("binding a loopback port")?;
        let address = socket.local_addr().context("binding a loopback port")?;
        let refusing = Arc::new(AtomicBool::new(false));
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context("starting a server's runtime")?;
        let gate = Arc::clone(&refusing);
        let thread = std::thread::spawn(move || {
            runtime.block_on(async move {
                let Ok(socket) = TcpListener::from_std(socket) else {
                    return;
                };
                let connections = accept(socket, tls, gate);
                let listener = Connections {
                    connections,
                    address,
                };
                tokio::select! {
                    _ = axum::serve(listener, router).into_future() => {}
                    _ = stopped => {}
                }
            });
            // Requests in flight end with the server.
            runtime.shutdown_background();
        });
        Ok(Self {
            address,
            refusing,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on closes each new connection at once, or no longer does.
    pub(crate) fn refuse(&self, refuse: bool) {
        self.refusing.store(refuse, Ordering::SeqCst);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

trait Connection: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Connection for T {}

/// Accepts connections and shakes hands, each in a task of its own.
fn accept(
    socket: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    refusing: Arc<AtomicBool>,
) -> mpsc::Receiver<Box<dyn Connection>> {
    let (sender, receiver) = mpsc::channel::<Box<dyn Connection>>(64);
    let tls = tls.map(TlsAcceptor::from);
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = socket.accept().await else {
                continue;
            };
            if refusing.load(Ordering::SeqCst) {
                continue;
            }
            tokio::spawn(shake_hands(stream, tls.clone(), sender.clone()));
        }
    });
    receiver
}

async fn shake_hands(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    sender: mpsc::Sender<Box<dyn Connection>>,
) {
    let connection: Box<dyn Connection> = match tls {
        None => Box::new(stream),
        Some(acceptor) => {
            match tokio::time::timeout(HANDSHAKE_PATIENCE, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => Box::new(stream),
                // The client hears of it; the test sees it there.
                Ok(Err(_)) | Err(_) => return,
            }
        }
    };
    sender.send(connection).await.ok();
}

struct Connections {
    connections: mpsc::Receiver<Box<dyn Connection>>,
    address: SocketAddr,
}

impl Listener for Connections {
    type Io = Box<dyn Connection>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.connections.recv().await {
            Some(connection) => (connection, self.address),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        Ok(self.address)
    }
}
