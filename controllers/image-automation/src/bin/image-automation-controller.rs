//! The image-automation-controller's process.

use std::process::ExitCode;

use image_automation::automation::{Args, CONTROLLER, parts};

fn main() -> ExitCode {
    git::bound_windows();
    let args: Args = runtime::args::parse();
    let shared = args.shared.clone();
    runtime::run(CONTROLLER, shared, move |context| parts(args, context))
}
