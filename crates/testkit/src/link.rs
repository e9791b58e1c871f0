//! A network link: a TCP proxy that passes bytes on and can be cut, stalled and slowed, while whoever uses it runs.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

/// What passes through a connection at once.
const CHUNK: usize = 16 << 10;

/// How a [`Link`] fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Weather {
    /// Everything passes at once.
    #[default]
    Fair,
    /// Connections that stand are closed, new ones too.
    Cut,
    /// Connections stand and can be made, and no byte passes.
    Stalled,
    /// Each piece of up to 16 KiB is late, and then takes its time.
    Slow {
        /// How late.
        delay: Duration,
        /// How fast it passes then.
        bytes_per_second: u32,
    },
}

/// A loopback address that leads to another. Dropping it cuts it for good.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    target: Arc<Mutex<Option<String>>>,
    weather: watch::Sender<Weather>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Link {
    /// Starts a link to `target` (`127.0.0.1:<port>`); where that is not known yet, see [`Link::lead_to`].
    ///
    /// # Errors
    /// When no port is free.
    pub fn start(target: Option<&str>) -> Result<Self> {
        let socket = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("binding")?;
        socket.set_nonblocking(true).context("binding")?;
        let address = socket.local_addr().context("binding")?;
        let target = Arc::new(Mutex::new(target.map(str::to_owned)));
        let (weather, seen) = watch::channel(Weather::Fair);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context("starting a link's runtime")?;
        let (stop, stopped) = oneshot::channel::<()>();
        let known = Arc::clone(&target);
        let thread = std::thread::spawn(move || {
            runtime.block_on(async move {
                let Ok(listener) = TcpListener::from_std(socket) else {
                    return;
                };
                tokio::select! {
                    () = accept(listener, known, seen) => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        });
        Ok(Self {
            address,
            target,
            weather,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// From now on new connections lead to `target`.
    pub fn lead_to(&self, target: &str) {
        let mut known = self.target.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some(target.to_owned());
    }

    /// Returns the address that leads on: `127.0.0.1:<port>`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Changes the weather, for connections that stand too.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

async fn accept(
    listener: TcpListener,
    target: Arc<Mutex<Option<String>>>,
    weather: watch::Receiver<Weather>,
) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let known = target
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let (Some(target), false) = (known, *weather.borrow() == Weather::Cut) {
            tokio::spawn(serve(stream, target, weather.clone()));
        }
    }
}

/// Passes both ways until one end closes or the link is cut.
async fn serve(client: TcpStream, target: String, weather: watch::Receiver<Weather>) {
    let Ok(server) = TcpStream::connect(&target).await else {
        return;
    };
    client.set_nodelay(true).ok();
    server.set_nodelay(true).ok();
    let (client_reads, client_writes) = client.into_split();
    let (server_reads, server_writes) = server.into_split();
    let mut cut = weather.clone();
    tokio::select! {
        // Each way ends by itself: whoever has sent everything may wait for an answer.
        _ = async { tokio::join!(
            pass(client_reads, server_writes, weather.clone()),
            pass(server_reads, client_writes, weather.clone()),
        ) } => {}
        _ = cut.wait_for(|weather| *weather == Weather::Cut) => {}
    }
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut weather: watch::Receiver<Weather>,
) {
    let mut buffer = vec![0; CHUNK];
    while let Ok(read) = from.read(&mut buffer).await {
        if weather
            .wait_for(|weather| *weather != Weather::Stalled)
            .await
            .is_err()
        {
            return;
        }
        let now = *weather.borrow();
        // Not left to chance: what was sent after the cut never passes.
        if now == Weather::Cut {
            return;
        }
        if let Weather::Slow {
            delay,
            bytes_per_second,
        } = now
        {
            let bytes = u32::try_from(read).unwrap_or(u32::MAX);
            let passing = f64::from(bytes) / f64::from(bytes_per_second.max(1));
            tokio::time::sleep(delay + Duration::from_secs_f64(passing)).await;
        }
        if read == 0 || to.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
    to.shutdown().await.ok();
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::timeout;

    use super::{Link, Weather};

    /// Enough for a machine that is busy with other things.
    const PATIENCE: Duration = Duration::from_mins(1);

    /// Answers each connection with what it sends.
    async fn echo() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut reads, mut writes) = stream.into_split();
                    tokio::io::copy(&mut reads, &mut writes).await.ok();
                });
            }
        });
        address
    }

    async fn said_back(stream: &mut TcpStream) -> bool {
        let mut buffer = [0; 2];
        let asked = async {
            stream.write_all(b"hi").await?;
            stream.read_exact(&mut buffer).await
        };
        let answer = timeout(PATIENCE, asked).await;
        matches!(answer, Ok(Ok(2))) && buffer == *b"hi"
    }

    #[tokio::test]
    async fn link_passes_is_cut_and_passes_again() {
        let link = Link::start(None).unwrap();
        link.lead_to(&echo().await);
        let mut stream = TcpStream::connect(link.address()).await.unwrap();
        assert!(said_back(&mut stream).await);
        link.set(Weather::Cut);
        assert!(!said_back(&mut stream).await, "a connection that stood");
        let mut refused = TcpStream::connect(link.address()).await.unwrap();
        assert!(!said_back(&mut refused).await, "a new connection");
        link.set(Weather::Fair);
        let mut stream = TcpStream::connect(link.address()).await.unwrap();
        assert!(said_back(&mut stream).await);
    }

    #[tokio::test]
    async fn stalled_bytes_pass_later() {
        let link = Link::start(Some(&echo().await)).unwrap();
        let mut stream = TcpStream::connect(link.address()).await.unwrap();
        assert!(said_back(&mut stream).await);
        link.set(Weather::Stalled);
        stream.write_all(b"later").await.unwrap();
        let mut buffer = [0; 5];
        let early = timeout(Duration::from_millis(200), stream.read_exact(&mut buffer)).await;
        assert!(early.is_err(), "a byte passed");
        link.set(Weather::Fair);
        let read = timeout(PATIENCE, stream.read_exact(&mut buffer)).await;
        read.unwrap().unwrap();
        assert_eq!(&buffer, b"later");
    }

    #[tokio::test]
    async fn slow_link_delays_both_ways() {
        let link = Link::start(Some(&echo().await)).unwrap();
        let mut stream = TcpStream::connect(link.address()).await.unwrap();
        link.set(Weather::Slow {
            delay: Duration::from_millis(100),
            bytes_per_second: 1000,
        });
        let began = Instant::now();
        assert!(said_back(&mut stream).await);
        assert!(began.elapsed() >= Duration::from_millis(200));
    }
}
