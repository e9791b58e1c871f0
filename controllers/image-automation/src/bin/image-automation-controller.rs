//! The image-automation-controller's process.

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};
use image_automation::automation::{Args, CONTROLLER, parts};

fn main() -> ExitCode {
    let matches = Args::command().get_matches();
    match Args::from_arg_matches(&matches) {
        Ok(args) => {
            let shared = args.shared.clone();
            runtime::run(CONTROLLER, shared, move |context| parts(args, context))
        }
        Err(error) => error.exit(),
    }
}
