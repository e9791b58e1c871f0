//! The `lockgate` command: one file a subcommand.

mod build;
mod check;
mod cluster;
mod completion;
mod diff;
mod disk;
mod disk_tree;
mod events;
mod explain;
mod failure;
mod get;
mod inflate;
mod install;
mod lint;
mod output;
mod reconcile;
mod suspend;
mod template;

use std::io::{BufWriter, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::cluster::progress::patiently;

/// A build allocates a great many small pieces, and gives none back before it ends.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    /// Show what applying a directory, a Kustomization or a HelmRelease would change in the cluster.
    Diff(diff::Args),
    /// Show our objects and how they stand, what fails first.
    Get(get::Args),
    /// Say why a change is not live.
    Explain(explain::Args),
    /// Show what controllers have told.
    Events(events::Args),
    /// Ask a controller to act now and wait until it has.
    Reconcile(reconcile::Args),
    /// Let nothing act on an object.
    Suspend(suspend::Suspend),
    /// Let a suspended object go on.
    Resume(suspend::Resume),
    /// Check what has to be there before and after an installation.
    Check(check::Args),
    /// Install the controllers.
    Install(install::Args),
    /// Print what a shell needs to complete this command.
    Completion(completion::Args),
}

/// What a command ends with.
#[derive(Debug)]
struct Outcome {
    /// What is printed.
    out: String,
    /// The exit code.
    code: u8,
}

impl From<String> for Outcome {
    fn from(out: String) -> Self {
        Self { out, code: 0 }
    }
}

impl Command {
    /// Runs a command on this thread alone.
    fn run(&self) -> anyhow::Result<Outcome> {
        let done = match self {
            Self::Build(args) => return print(&build::run(args)?),
            Self::Template(args) => return write(|out| template::run(args, out)),
            Self::Lint(args) => return write(|out| lint::run(args, out)),
            Self::Completion(args) => completion::run::<Self>(args)?,
            other => {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()?;
                return runtime.block_on(other.ask());
            }
        };
        Ok(done.into())
    }

    /// Runs a command that asks a cluster.
    async fn ask(&self) -> anyhow::Result<Outcome> {
        let done = match self {
            Self::Diff(args) => return patiently(Box::pin(diff::run(args))).await,
            Self::Check(args) => return patiently(Box::pin(check::run(args))).await,
            Self::Get(args) => patiently(Box::pin(get::run(args))).await?,
            Self::Explain(args) => patiently(Box::pin(explain::run(args))).await?,
            Self::Events(args) => patiently(Box::pin(events::run(args))).await?,
            Self::Reconcile(args) => Box::pin(reconcile::run(args)).await?,
            Self::Suspend(args) => Box::pin(suspend::suspend(args)).await?,
            Self::Resume(args) => Box::pin(suspend::resume(args)).await?,
            Self::Install(args) => Box::pin(install::run(args)).await?,
            Self::Build(_) | Self::Template(_) | Self::Lint(_) | Self::Completion(_) => {
                String::new()
            }
        };
        Ok(done.into())
    }

    /// The exit code of a failure: that of `diff` tells it from a difference.
    fn failure(&self) -> u8 {
        match self {
            Self::Diff(_) => 2,
            _ => 1,
        }
    }
}

/// Prints pieces one after the other.
fn print(pieces: &[String]) -> anyhow::Result<Outcome> {
    let mut out = std::io::stdout().lock();
    for piece in pieces {
        out.write_all(piece.as_bytes())?;
    }
    Ok(String::new().into())
}

/// How much is written at once.
const OUT_BYTES: usize = 64 << 10;

/// Runs a command that writes as it goes; what it has written shows even where it fails.
///
/// All of it runs on one stack: memory that one thread gave back does not help another.
fn write(run: impl FnOnce(&mut dyn Write) -> anyhow::Result<()> + Send) -> anyhow::Result<Outcome> {
    helm::template::on_large_stack(move || {
        let mut out = BufWriter::with_capacity(OUT_BYTES, std::io::stdout().lock());
        let done = run(&mut out);
        out.flush()?;
        done
    })??;
    Ok(String::new().into())
}

/// `build` by itself, told as the subcommand is.
#[derive(Debug, Parser)]
#[command(name = "build", bin_name = "lockgate build")]
struct BuildAlone {
    #[command(flatten)]
    args: build::Args,
}

/// Reads the command line. Scripts run `build` for one directory after the other, and most of these are
/// small: the parsers of the other commands would cost more than the build, and so would any parser where nothing but
/// the directory is named.
fn command() -> Command {
    let mut words = std::env::args_os();
    let program = words.next();
    if words.next().is_none_or(|word| word != "build") {
        return Command::parse();
    }
    let words: Vec<_> = words.collect();
    if let [directory] = words.as_slice()
        && !directory.as_encoded_bytes().starts_with(b"-")
    {
        return Command::Build(build::Args::of(directory.into()));
    }
    let alone = BuildAlone::parse_from(program.into_iter().chain(words));
    Command::Build(alone.args)
}

/// Whether nobody reads what is written.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let cause = error.root_cause().downcast_ref::<std::io::Error>();
    cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}

fn main() -> ExitCode {
    let command = command();
    let written = command.run().and_then(|done| {
        std::io::stdout().lock().write_all(done.out.as_bytes())?;
        Ok(done.code)
    });
    match written {
        Ok(code) => ExitCode::from(code),
        // Whoever read the output has seen enough: the code is what a shell shows of a program that SIGPIPE ended.
        Err(error) if is_broken_pipe(&error) => ExitCode::from(141),
        Err(error) => {
            // Nothing is left to tell if the error cannot be written either.
            writeln!(
                std::io::stderr().lock(),
                "Error: {}",
                failure::words(&error)
            )
            .ok();
            ExitCode::from(command.failure())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_alone_is_read_as_the_parser_reads_it() {
        for directory in ["apps/web", ".", "é"] {
            let parsed = BuildAlone::parse_from(["lockgate build", directory]);
            let read = build::Args::of(directory.into());
            assert_eq!(format!("{read:?}"), format!("{:?}", parsed.args));
        }
    }
}
