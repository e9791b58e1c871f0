//! The notification-controller's process.

use std::process::ExitCode;

use notification_controller::{Args, CONTROLLER, parts};

fn main() -> ExitCode {
    let args: Args = runtime::args::parse();
    let shared = args.for_runtime();
    runtime::run(CONTROLLER, shared, move |context| parts(args, context))
}
