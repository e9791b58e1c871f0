//! The `lockgate` command: one file a subcommand.

mod build;
mod disk;
mod disk_tree;
mod inflate;
mod lint;
mod template;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;

/// A GitOps toolkit.
#[derive(Debug, Parser)]
#[command(name = "lockgate", version)]
enum Command {
    /// Build a kustomization and print its objects, as `kustomize build` does.
    Build(build::Args),
    /// Render a chart's templates.
    Template(template::Args),
    /// Check a chart by rendering it.
    Lint(lint::Args),
}

fn main() -> ExitCode {
    let result = match Command::parse() {
        Command::Build(args) => build::run(&args),
        Command::Template(args) => template::run(&args),
        Command::Lint(args) => lint::run(&args),
    };
    let written = result.and_then(|out| Ok(std::io::stdout().lock().write_all(out.as_bytes())?));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to tell if the error cannot be written either.
            writeln!(std::io::stderr().lock(), "Error: {error:#}").ok();
            ExitCode::FAILURE
        }
    }
}
