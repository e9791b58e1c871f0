//! Programs that scripts of `hack/` build or fetch, and that tests start.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::supervisor::Supervised;

const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);

/// Runs the script `hack/<name>` and returns the folder that it prints.
///
/// # Errors
/// When the script fails, with what it said.
pub(crate) fn folder_of(name: &str) -> Result<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../hack")
        .join(name);
    let output = Command::new("/bin/sh")
        .arg(script)
        .output()
        .with_context(|| format!("running hack/{name}"))?;
    ensure!(
        output.status.success(),
        "hack/{name} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(PathBuf::from(folder))
}

/// Returns the path of one of the servers that `hack/servers/build` builds, such as `nats-server`.
///
/// # Errors
/// When they cannot be built, with what was said, or there is none of this name.
pub fn server_program(name: &str) -> Result<PathBuf> {
    let path = folder_of("servers/build")?.join(name);
    ensure!(path.is_file(), "hack/servers/build makes no {name}");
    Ok(path)
}

/// Waits until something listens at `address`.
///
/// # Errors
/// When the program ends first, or after 30 s, with the end of its log.
pub(crate) fn wait_for(program: &Supervised, address: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while std::net::TcpStream::connect(address).is_err() {
        program.still_runs()?;
        if Instant::now() > deadline {
            bail!("nothing listens at {address}:\n{}", program.log_tail());
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}
