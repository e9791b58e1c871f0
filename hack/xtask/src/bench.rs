//! `cargo xtask bench <controller>`: what a controller costs, measured on a real control plane, beside upstream's.

use anyhow::Result;

mod kustomize;
mod process;

/// Which controller.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Kustomizations: time, processor and memory for many, at rest, in a chain, at drift, and for a large one.
    KustomizeController(kustomize::Args),
}

/// Runs the measurements and prints a table.
///
/// # Errors
/// When a binary cannot be run, or a measurement does not come to its end.
pub(crate) fn run(command: &Command) -> Result<()> {
    match command {
        Command::KustomizeController(args) => kustomize::run(args),
    }
}
