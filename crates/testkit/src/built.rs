//! The repository's own programs, where a test needs one of another crate.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Names a folder with other binaries than those of the running build, such as `target/release`.
const FOLDER: &str = "LOCKGATE_BIN_DIR";

/// Finds a binary beside the running test. `cargo test --workspace` has built it; where it is missing, `package` is built
/// now. The environment variable `LOCKGATE_BIN_DIR` names another folder, in which it has to be.
///
/// # Errors
/// When it does not build.
pub fn built(package: &str, binary: &str) -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os(FOLDER) {
        let path = std::path::absolute(folder).context("finding the folder of the binaries")?;
        let path = path.join(binary);
        ensure!(path.is_file(), "{FOLDER} has no {binary}");
        return Ok(path);
    }
    let own = std::env::current_exe().context("finding the test's own binary")?;
    let folder = own.parent().and_then(|deps| deps.parent());
    let path = folder
        .context("the test has no target folder")?
        .join(binary);
    if !path.exists() {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
        let status = Command::new(cargo)
            .args(["build", "-p", package, "--bin", binary])
            .status()
            .context("running cargo")?;
        ensure!(status.success(), "{binary} does not build");
    }
    Ok(path)
}
