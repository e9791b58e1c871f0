//! The source-controller binary.

use std::process::ExitCode;

use source_controller::{Args, CONTROLLER, parts};

fn main() -> ExitCode {
    git::bound_windows();
    let args: Args = runtime::args::parse();
    let shared = args.shared.clone();
    runtime::run(CONTROLLER, shared, move |context| parts(args, context))
}
