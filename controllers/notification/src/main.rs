//! The notification-controller's process.

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};
use notification_controller::{Args, CONTROLLER, parts};

fn main() -> ExitCode {
    let matches = Args::command().get_matches();
    match Args::from_arg_matches(&matches) {
        Ok(args) => {
            let shared = args.for_runtime();
            runtime::run(CONTROLLER, shared, move |context| parts(args, context))
        }
        Err(error) => error.exit(),
    }
}
