//! A forward proxy: tunnels for HTTPS, requests passed on for HTTP.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// The largest head of a request.
const MAX_HEAD: usize = 64 << 10;

/// A forward proxy on loopback; it ends when dropped.
#[derive(Debug)]
pub struct ForwardProxy {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone)]
struct Shared {
    requests: Arc<Mutex<Vec<String>>>,
    /// The `Proxy-Authorization` header that has to come.
    demanded: Option<String>,
}

impl ForwardProxy {
    /// Starts a proxy. With `credentials` it serves only who shows that user name and password.
    ///
    /// # Errors
    /// When no port is free.
    pub fn start(credentials: Option<(&str, &str)>) -> Result<Self> {
        let socket = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("binding")?;
        socket.set_nonblocking(true).context("binding")?;
        let address = socket.local_addr().context("binding")?;
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let shared = Shared {
            requests: Arc::clone(&requests),
            demanded: credentials.map(|(user, password)| {
                format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
            }),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context("starting a proxy's runtime")?;
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async move {
                let Ok(listener) = TcpListener::from_std(socket) else {
                    return;
                };
                let accept = async {
                    while let Ok((stream, _)) = listener.accept().await {
                        tokio::spawn(serve(stream, shared.clone()));
                    }
                };
                tokio::select! {
                    () = accept => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        });
        Ok(Self {
            address,
            requests,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Returns the proxy's address: `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the request lines that came, in order: `CONNECT 127.0.0.1:443 HTTP/1.1`.
    pub fn requests(&self) -> Vec<String> {
        let requests = self.requests.lock();
        requests.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for ForwardProxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// Serves the first request of a connection and closes it then, or tunnels. Whoever it serves sees a failure as such.
async fn serve(mut stream: TcpStream, shared: Shared) {
    let Some((head, rest)) = head(&mut stream).await else {
        return;
    };
    let line = head.lines().next().unwrap_or_default().to_owned();
    shared
        .requests
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(line.clone());
    let shown = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("proxy-authorization")
            .then(|| value.trim())
    });
    if shared.demanded.is_some() && shown != shared.demanded.as_deref() {
        let refused = b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        stream.write_all(refused).await.ok();
        return;
    }
    let mut words = line.split(' ');
    let (method, target) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    if method == "CONNECT" {
        let Ok(mut peer) = TcpStream::connect(target).await else {
            let refused = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(refused).await.ok();
            return;
        };
        let open = b"HTTP/1.1 200 Connection established\r\n\r\n";
        if stream.write_all(open).await.is_ok() {
            copy_bidirectional(&mut stream, &mut peer).await.ok();
        }
        return;
    }
    pass_on(stream, (method, target), (&head, &rest)).await;
}

/// Sends a request on to the server that it is for, without what is for the proxy alone, and its answer back.
async fn pass_on(
    mut stream: TcpStream,
    (method, target): (&str, &str),
    (head, rest): (&str, &[u8]),
) {
    let address = target.trim_start_matches("http://");
    let (host, path) = address.split_once('/').unwrap_or((address, ""));
    let host_and_port = if host.contains(':') {
        host.to_owned()
    } else {
        format!("{host}:80")
    };
    let Ok(mut peer) = TcpStream::connect(host_and_port).await else {
        let refused = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(refused).await.ok();
        return;
    };
    let hidden = ["proxy-authorization", "proxy-connection", "connection"];
    let headers = head.lines().skip(1).filter(|line| {
        let name = line.split(':').next().unwrap_or_default();
        !line.is_empty() && !hidden.contains(&name.to_ascii_lowercase().as_str())
    });
    let mut sent = format!("{method} /{path} HTTP/1.1\r\nConnection: close\r\n");
    for line in headers {
        sent.push_str(line);
        sent.push_str("\r\n");
    }
    sent.push_str("\r\n");
    if peer.write_all(sent.as_bytes()).await.is_ok() && peer.write_all(rest).await.is_ok() {
        copy_bidirectional(&mut stream, &mut peer).await.ok();
    }
}

/// Reads the head of a request, and what came with it.
async fn head(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            return Some((String::from_utf8(bytes).ok()?, rest));
        }
        if bytes.len() > MAX_HEAD || stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}
