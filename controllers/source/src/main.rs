//! The source-controller binary.

use std::process::ExitCode;

use clap::Parser;
use source_controller::{Args, CONTROLLER, parts};

fn main() -> ExitCode {
    let args = Args::parse();
    runtime::run(CONTROLLER, args.shared.clone(), async move |context| {
        parts(args, context).await
    })
}
