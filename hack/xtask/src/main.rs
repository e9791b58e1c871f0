//! Tasks of the repository that need more than a shell: `cargo xtask <task>`.

use clap::Parser;

mod codegen;

/// Runs a task of the repository.
#[derive(Debug, Parser)]
#[command(name = "xtask")]
enum Task {
    /// Writes the files that are made from the types of `api/`.
    Codegen(codegen::Args),
}

fn main() -> anyhow::Result<()> {
    match Task::parse() {
        Task::Codegen(args) => codegen::run(&args),
    }
}
