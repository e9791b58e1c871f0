//! `lockgate completion`: what a shell needs to complete the command.

use anyhow::{Context as _, Result};
use clap::CommandFactory;

/// For which shell.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell.
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

/// Runs the command.
pub(crate) fn run<C: CommandFactory>(args: &Args) -> Result<String> {
    let mut out = Vec::new();
    clap_complete::generate(args.shell, &mut C::command(), "lockgate", &mut out);
    String::from_utf8(out).context("writing a completion script")
}
