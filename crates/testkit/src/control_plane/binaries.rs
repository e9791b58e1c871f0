//! Where the control plane's programs are.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

const BUILD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../hack/controlplane/build");

/// Returns the folder that holds `etcd`, `kube-apiserver`, `kube-controller-manager`, `kwok` and `kubectl`.
///
/// The first time on a machine this builds them (`hack/controlplane/build`), which takes minutes; the script says so
/// on stderr.
///
/// # Errors
/// When they cannot be built: no Go toolchain, no way to the Go modules, no space.
pub async fn control_plane_binaries() -> Result<PathBuf> {
    let output = Command::new(BUILD)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .await
        .with_context(|| format!("running {BUILD}"))?;
    ensure!(
        output.status.success(),
        "hack/controlplane/build failed ({})",
        output.status
    );
    let folder = String::from_utf8(output.stdout).context("reading the build's answer")?;
    Ok(PathBuf::from(folder.trim_end()))
}
