//! Tasks of the repository that need more than a shell: `cargo xtask <task>`.

use std::process::ExitCode;

use clap::Parser;

mod bench;
mod cli;
mod cluster;
mod codegen;
mod conformance;
mod coverage;
mod demo;
mod differential;
mod images;
mod repository;
mod tidy;

/// Runs a task of the repository.
#[derive(Debug, Parser)]
#[command(name = "xtask")]
enum Task {
    /// Measures what a controller costs, beside upstream's.
    #[command(subcommand)]
    Bench(bench::Command),
    /// Builds the `lockgate` command as it is shipped.
    Cli(cli::Args),
    /// Writes the files that are made from the types of `api/` and the flags of the controllers.
    Codegen(codegen::Args),
    /// Shows the main job on a real control plane.
    Demo(demo::Args),
    /// Builds random input with an engine and with upstream's, and compares.
    Differential(differential::Args),
    /// Makes container images of the controllers.
    Images(images::Args),
    /// Checks what compilers do not: layers, licences, names, sizes, links.
    Tidy,
    /// Says which behaviours of the specifications tests claim to prove.
    Coverage(coverage::Args),
    /// Starts and ends a control plane to play with.
    #[command(subcommand)]
    Cluster(cluster::Command),
    /// Runs an engine on recorded cases and compares what it gives.
    Conformance(conformance::Args),
}

#[expect(
    clippy::print_stderr,
    reason = "this is where a task says why it failed"
)]
fn main() -> ExitCode {
    let result = match Task::parse() {
        Task::Bench(command) => bench::run(&command),
        Task::Cli(args) => cli::run(&args),
        Task::Codegen(args) => codegen::run(&args),
        Task::Demo(args) => demo::run(&args),
        Task::Differential(args) => differential::run(&args),
        Task::Images(args) => images::run(&args),
        Task::Tidy => tidy::run(),
        Task::Coverage(args) => coverage::run(&args),
        Task::Cluster(command) => cluster::run(&command),
        Task::Conformance(args) => conformance::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without a backtrace, which the environment may ask for: the text says it all.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
