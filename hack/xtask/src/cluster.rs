//! `cargo xtask cluster up | down`: a control plane to play with, which stays when the command has ended.
//!
//! A second process holds it. The two know each other by one file, the kubeconfig: `up` waits until it is there, and the
//! holder ends when it is gone. So no process is ever found by a number that may be another's by then.

use std::env;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use kube::config::Kubeconfig;
use testkit::{ControlPlane, install_definitions};

use crate::repository;

const CRDS: &str = "config/crd/bases";
const PAUSE: Duration = Duration::from_millis(200);
const END_PATIENCE: Duration = Duration::from_secs(30);

/// What to do with the control plane.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Starts one, unless it runs, and prints how to reach it: `eval "$(cargo xtask cluster up)"`.
    Up(Which),
    /// Ends it and removes its data.
    Down(Which),
    /// Runs one until its kubeconfig is removed; `up` starts this.
    #[command(hide = true)]
    Hold(Which),
}

/// One of several control planes.
#[derive(Debug, clap::Args)]
pub(crate) struct Which {
    /// Its name: those of different names run side by side.
    #[arg(long, default_value = "cluster")]
    name: String,
}

/// Runs the command.
///
/// # Errors
/// When the control plane does not start or does not end.
pub(crate) fn run(command: &Command) -> Result<()> {
    match command {
        Command::Up(Which { name }) => up(&folder(name)?, name),
        Command::Down(Which { name }) => down(&folder(name)?),
        Command::Hold(Which { name }) => {
            let runtime = tokio::runtime::Runtime::new().context("starting the runtime")?;
            runtime.block_on(hold(&folder(name)?))
        }
    }
}

/// The same cache as that of `hack/controlplane/build`.
fn folder(name: &str) -> Result<PathBuf> {
    let cache = match (env::var_os("LOCKGATE_CACHE"), env::var_os("XDG_CACHE_HOME")) {
        (Some(cache), _) => PathBuf::from(cache),
        (None, Some(caches)) => Path::new(&caches).join("lockgate"),
        (None, None) => {
            Path::new(&env::var_os("HOME").context("HOME is not set")?).join(".cache/lockgate")
        }
    };
    Ok(cache.join(name))
}

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is what the task is for"
)]
fn up(folder: &Path, name: &str) -> Result<()> {
    let kubeconfig = folder.join("kubeconfig");
    if !answers(&kubeconfig) {
        // Left by a holder that was killed.
        remove(&kubeconfig)?;
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let log_path = folder.join("log");
        let log =
            File::create(&log_path).with_context(|| format!("making {}", log_path.display()))?;
        eprintln!(
            "starting a control plane; the first time its programs are built, see {}",
            log_path.display()
        );
        let mut holder = process::Command::new(env::current_exe().context("finding this program")?)
            .args(["cluster", "hold", "--name", name])
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("sharing the log")?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .context("starting the holder")?;
        let began = Instant::now();
        let mut said = Duration::ZERO;
        while !kubeconfig.exists() {
            if let Some(status) = holder.try_wait().context("waiting for the holder")? {
                let log = fs::read_to_string(&log_path).unwrap_or_default();
                bail!("the control plane did not start ({status}):\n{log}");
            }
            if began.elapsed() > said + Duration::from_secs(15) {
                said = began.elapsed();
                eprintln!("{:4} s: {}", said.as_secs(), last_line(&log_path));
            }
            std::thread::sleep(PAUSE);
        }
        eprintln!("kubectl is {}/kubectl", binaries()?);
        eprintln!(
            "up after {:.1} s; `cargo xtask cluster down --name {name}` ends it",
            began.elapsed().as_secs_f32()
        );
    }
    println!("export KUBECONFIG={}", kubeconfig.display());
    Ok(())
}

#[expect(clippy::print_stderr, reason = "this is what the task is for")]
fn down(folder: &Path) -> Result<()> {
    let kubeconfig = folder.join("kubeconfig");
    if !kubeconfig.exists() {
        eprintln!("no control plane runs");
        return Ok(());
    }
    let address = address(&kubeconfig);
    remove(&kubeconfig)?;
    let deadline = Instant::now() + END_PATIENCE;
    while address.is_some_and(|address| TcpStream::connect(address).is_ok()) {
        if Instant::now() > deadline {
            bail!("the API server still answers after {END_PATIENCE:?}");
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

async fn hold(folder: &Path) -> Result<()> {
    let plane = ControlPlane::start().await?;
    let definitions = repository::root().join(CRDS);
    if definitions.exists() {
        install_definitions(&plane.client(), &definitions).await?;
    }
    let kubeconfig = folder.join("kubeconfig");
    // It appears whole: `up` takes its being there for the sign.
    let text = fs::read(plane.kubeconfig_path()).context("reading the kubeconfig")?;
    let part = folder.join("kubeconfig.part");
    fs::write(&part, text).context("writing the kubeconfig")?;
    fs::rename(&part, &kubeconfig).context("writing the kubeconfig")?;
    while kubeconfig.exists() {
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// Returns the folder of the control plane's programs, which are built by now.
fn binaries() -> Result<String> {
    let build = repository::root().join("hack/controlplane/build");
    let output = process::Command::new(&build)
        .output()
        .with_context(|| format!("running {}", build.display()))?;
    Ok(String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned())
}

fn answers(kubeconfig: &Path) -> bool {
    address(kubeconfig).is_some_and(|address| TcpStream::connect(address).is_ok())
}

/// Returns the API server's address from a kubeconfig.
fn address(kubeconfig: &Path) -> Option<SocketAddr> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).ok()?;
    let server = kubeconfig
        .clusters
        .first()?
        .cluster
        .as_ref()?
        .server
        .as_ref()?;
    server.strip_prefix("https://")?.parse().ok()
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", path.display()))
        }
        _ => Ok(()),
    }
}

fn last_line(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().last().unwrap_or_default().to_owned()
}
