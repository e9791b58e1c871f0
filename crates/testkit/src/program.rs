//! A controller's binary run by a test: on free ports, with its log kept, killed and restarted at will.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::control_plane::ControlPlane;
use crate::ports::free_ports;
use crate::supervisor::{ScratchFolder, Signal, Supervised};

const PATIENCE: Duration = Duration::from_secs(30);
const REQUEST_PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);
const MAX_ANSWER_BYTES: u64 = 16 * 1024 * 1024;

/// A port that was free may be taken before the program binds it.
const ATTEMPTS: u32 = 3;

/// A controller and how it is started. It is killed at the latest when this value or the test process ends.
///
/// Every controller gets `--metrics-addr` and `--health-addr` on free ports, `--enable-leader-election=false`,
/// `--watch-all-namespaces=true` and an empty `--events-addr`; each can be set otherwise. It has the environment of
/// the test, with `RUNTIME_NAMESPACE=flux-system`.
#[derive(Debug)]
pub struct Program {
    binary: PathBuf,
    flags: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
    /// Groups of flags that name the same address of a free port.
    listeners: Vec<Vec<String>>,
    running: Mutex<Option<Supervised>>,
    folder: ScratchFolder,
}

impl Program {
    /// Describes a run of `binary` (`env!("CARGO_BIN_EXE_…")`) against `plane`, by the administrator's kubeconfig.
    ///
    /// # Errors
    /// When no temporary folder can be had.
    pub fn new(binary: impl AsRef<Path>, plane: &ControlPlane) -> Result<Self> {
        Self::against(binary, &plane.kubeconfig_path())
    }

    /// Describes a run of `binary` against the cluster of a kubeconfig file.
    ///
    /// # Errors
    /// When no temporary folder can be had.
    pub fn against(binary: impl AsRef<Path>, kubeconfig: &Path) -> Result<Self> {
        let program = Self {
            binary: binary.as_ref().to_owned(),
            flags: BTreeMap::new(),
            environment: BTreeMap::new(),
            listeners: Vec::new(),
            running: Mutex::new(None),
            folder: ScratchFolder::new("lockgate-program-")?,
        };
        Ok(program
            .listens(&["--metrics-addr"])
            .listens(&["--health-addr"])
            .flag("--enable-leader-election", "false")
            .flag("--watch-all-namespaces", "true")
            .flag("--events-addr", "")
            .env("KUBECONFIG", &kubeconfig.to_string_lossy())
            .env("RUNTIME_NAMESPACE", "flux-system"))
    }

    /// Sets a flag: `--name=value`. The last one counts.
    #[must_use]
    pub fn flag(mut self, name: &str, value: &str) -> Self {
        self.listeners
            .retain(|flags| flags.iter().all(|flag| flag != name));
        self.flags.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Leaves a flag out.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.listeners
            .retain(|flags| flags.iter().all(|flag| flag != name));
        self.flags.remove(name);
        self
    }

    /// Gives all these flags the same `127.0.0.1:<free port>`; see [`Program::address`].
    #[must_use]
    pub fn listens(mut self, flags: &[&str]) -> Self {
        self.listeners
            .push(flags.iter().copied().map(String::from).collect());
        self
    }

    /// Lets a source-controller keep its artifacts in `storage` below [`Program::folder`], and serve them.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn stores_artifacts(self) -> Result<Self> {
        let storage = self.folder().join("storage");
        fs::create_dir_all(&storage)?;
        Ok(self
            .listens(&["--storage-addr", "--storage-adv-addr"])
            .flag("--storage-path", &storage.to_string_lossy()))
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Returns a folder for the program's files. It stays over restarts and goes with this value.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the address that the flag `name` was given: `127.0.0.1:<port>`. It stays over restarts.
    ///
    /// # Errors
    /// When the flag has no value; those of [`Program::listens`] get theirs at the first start.
    pub fn address(&self, name: &str) -> Result<&str> {
        let address = self.flags.get(name).map(String::as_str);
        address.with_context(|| format!("{name} has no address"))
    }

    /// Starts the program and returns when `/readyz` at its health address answers 200.
    ///
    /// # Errors
    /// When it ends or is not ready within 30 s, with the end of its log.
    pub async fn start(mut self) -> Result<Self> {
        let mut attempt = 1;
        loop {
            for flags in &self.listeners {
                let [port] = free_ports()?;
                for flag in flags {
                    self.flags.insert(flag.clone(), format!("127.0.0.1:{port}"));
                }
            }
            match self.restart().await {
                Err(_)
                    if attempt < ATTEMPTS && self.log().is_ok_and(|log| log.contains("in use")) =>
                {
                    attempt += 1;
                }
                Err(error) => return Err(error),
                Ok(()) => return Ok(self),
            }
        }
    }

    /// Starts the program again with the same ports, flags and files, after killing it if it runs.
    ///
    /// # Errors
    /// As [`Program::start`].
    pub async fn restart(&self) -> Result<()> {
        self.launch()?;
        self.ready().await
    }

    /// Starts the program again as [`Program::restart`] does, without waiting for it to be ready.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn launch(&self) -> Result<()> {
        self.kill();
        let mut command = Command::new(&self.binary);
        command.args(
            self.flags
                .iter()
                .map(|(name, value)| format!("{name}={value}")),
        );
        command.envs(&self.environment).current_dir(self.folder());
        let started = Supervised::start(&command, &self.log_path())?;
        *self.running() = Some(started);
        Ok(())
    }

    /// Waits until `/readyz` at the health address answers 200.
    ///
    /// # Errors
    /// When the program ends or is not ready within 30 s, with the end of its log.
    pub async fn ready(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if matches!(self.get("--health-addr", "/readyz").await, Ok((200, _))) {
                return Ok(());
            }
            self.still_runs()?;
            if Instant::now() > deadline {
                let tail = self
                    .running()
                    .as_ref()
                    .map(Supervised::log_tail)
                    .unwrap_or_default();
                bail!(
                    "{} is not ready after {PATIENCE:?}:\n{tail}",
                    self.binary.display()
                );
            }
            sleep(PAUSE).await;
        }
    }

    /// Ends the program at once (`kill -9`), with everything it started. Does nothing when it does not run.
    pub fn kill(&self) {
        drop(self.running().take());
    }

    /// Asks the program to end (SIGTERM) and returns how it did.
    ///
    /// # Errors
    /// When it still runs after `patience`.
    pub async fn terminate(&self, patience: Duration) -> Result<ExitStatus> {
        let Some(program) = self.running().take() else {
            bail!("it does not run")
        };
        program.signal(Signal::Term)?;
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = program.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!(
                    "still runs {patience:?} after SIGTERM:\n{}",
                    program.log_tail()
                );
            }
            sleep(PAUSE).await;
        }
    }

    /// Sends a signal to the program.
    ///
    /// # Errors
    /// When it does not run.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.running()
            .as_ref()
            .context("it does not run")?
            .signal(signal)
    }

    /// Fails with the end of the log when the program does not run.
    ///
    /// # Errors
    /// When it does not run.
    pub fn still_runs(&self) -> Result<()> {
        self.running()
            .as_ref()
            .context("it does not run")?
            .still_runs()
    }

    /// Returns the process id while the program runs.
    pub fn pid(&self) -> Option<u32> {
        self.running().as_ref().map(Supervised::pid)
    }

    /// Returns the resident memory in bytes, as Linux counts it.
    ///
    /// # Errors
    /// When the program does not run.
    pub fn resident_bytes(&self) -> Result<u64> {
        let pid = self.pid().context("it does not run")?;
        let status =
            fs::read_to_string(format!("/proc/{pid}/status")).context("reading its memory")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kilobytes: u64 = kilobytes
            .context("no VmRSS")?
            .trim()
            .parse()
            .context("reading VmRSS")?;
        Ok(kilobytes * 1024)
    }

    /// Returns everything that the program has written, over all its runs.
    ///
    /// # Errors
    /// When it was never started.
    pub fn log(&self) -> Result<String> {
        let bytes = fs::read(self.log_path()).context("reading the log")?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Waits until the log holds `text`.
    ///
    /// # Errors
    /// When the program ends or 30 s pass without it.
    pub async fn logs(&self, text: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !self.log()?.contains(text) {
            self.still_runs()?;
            ensure!(
                Instant::now() < deadline,
                "the log does not hold {text:?} after {PATIENCE:?}"
            );
            sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Returns what `/metrics` shows.
    ///
    /// # Errors
    /// When it does not answer 200.
    pub async fn metrics(&self) -> Result<String> {
        let (status, body) = self.get("--metrics-addr", "/metrics").await?;
        ensure!(status == 200, "/metrics answers {status}");
        Ok(body)
    }

    /// Asks for `path` at the address that the flag `name` was given. Returns the status and the body.
    ///
    /// # Errors
    /// When there is no answer within 5 s.
    pub async fn get(&self, name: &str, path: &str) -> Result<(u16, String)> {
        let address = self.address(name)?;
        timeout(REQUEST_PATIENCE, get(address, path))
            .await
            .context("no answer")?
    }

    fn log_path(&self) -> PathBuf {
        let name = self.binary.file_name().unwrap_or(OsStr::new("program"));
        self.folder().join(name).with_extension("log")
    }

    fn running(&self) -> MutexGuard<'_, Option<Supervised>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// HTTP/1.0, so that the answer ends with the connection and is never chunked.
async fn get(address: &str, path: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await.context("connecting")?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .await
        .context("asking")?;
    let mut answer = Vec::new();
    stream
        .take(MAX_ANSWER_BYTES)
        .read_to_end(&mut answer)
        .await
        .context("reading the answer")?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .context("not an HTTP answer")?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    Ok((status.context("not an HTTP answer")?, body.to_owned()))
}
