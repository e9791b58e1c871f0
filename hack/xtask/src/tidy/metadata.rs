//! What `cargo metadata` says, as far as the checks need it.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::repository;

/// The platform that is shipped; crates for others are not fetched for a check.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    pub(super) packages: Vec<Package>,
    workspace_members: BTreeSet<String>,
    workspace_root: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Package {
    id: String,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) description: Option<String>,
    pub(super) license: Option<String>,
    /// `None` for a package of this repository.
    pub(super) source: Option<String>,
    manifest_path: String,
    pub(super) dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Dependency {
    pub(super) name: String,
    /// `None` for a normal one, else `dev` or `build`.
    pub(super) kind: Option<String>,
    /// Where it lies, if in this repository.
    pub(super) path: Option<String>,
}

impl Metadata {
    /// Returns the packages of this repository, each with its folder from the root.
    pub(super) fn members(&self) -> impl Iterator<Item = (&Package, &str)> {
        self.packages
            .iter()
            .filter(|package| self.workspace_members.contains(&package.id))
            .map(|package| {
                (
                    package,
                    self.folder(package.manifest_path.trim_end_matches("/Cargo.toml")),
                )
            })
    }

    /// Returns an absolute path of this repository as one from its root.
    pub(super) fn folder<'a>(&self, path: &'a str) -> &'a str {
        path.strip_prefix(self.workspace_root.as_str())
            .unwrap_or(path)
            .trim_start_matches('/')
    }
}

/// Asks `cargo metadata`.
pub(super) fn load() -> Result<Metadata> {
    let output = Command::new(env!("CARGO"))
        .current_dir(repository::root())
        .args([
            "metadata",
            "--format-version=1",
            "--locked",
            "--filter-platform",
            PLATFORM,
        ])
        .output()
        .context("running cargo metadata")?;
    ensure!(
        output.status.success(),
        "cargo metadata: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).context("reading the answer of cargo metadata")
}
