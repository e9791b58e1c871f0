//! `cargo xtask cli`: the command as it is shipped, one program that needs no library of the system.
//!
//! It is also what the engines' benchmarks measure when `LOCKGATE` names it: a program that the
//! system's loader does not have to put together starts sooner and holds less memory.

use anyhow::Result;

use crate::images;

/// Builds the `lockgate` command as it is shipped.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The program's target triple. Another than this machine's needs its linker and C compiler installed.
    #[arg(long, default_value = "x86_64-unknown-linux-gnu")]
    target: String,
}

#[expect(clippy::print_stdout, reason = "this is what it is for")]
pub(crate) fn run(args: &Args) -> Result<()> {
    let folder = images::build(&args.target, &["lockgate-cli"])?;
    println!("{}", folder.join("lockgate").display());
    Ok(())
}
