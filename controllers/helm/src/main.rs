//! The helm-controller's process.

use std::process::ExitCode;

use helm_controller::{Args, CONTROLLER, parts};

fn main() -> ExitCode {
    let args: Args = runtime::args::parse();
    let shared = args.shared.clone();
    runtime::run(CONTROLLER, shared, move |context| parts(args, context))
}
