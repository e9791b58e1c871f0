//! A whole controller of the tests' toy kind: what a controller's `main` looks like, and the process
//! that the tests start, watch and end.

#[path = "toy.rs"]
#[expect(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "shared with the tests, which use more of it"
)]
mod toy;

use std::{process::ExitCode, sync::Arc, time::Duration};

use clap::Parser;
use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::ConfigMap;
use runtime::{
    Kind, Server,
    args::Shared,
    run::{Context, Controller, Parts},
    watch::{self, Scope},
};

#[derive(Parser)]
struct Args {
    /// How many watches it opens besides the one of its kind.
    #[arg(long, default_value_t = 0)]
    watches: usize,
    /// How many seconds runs may go on after it was told to stop.
    #[arg(long, default_value_t = 600)]
    grace: u64,
    #[command(flatten)]
    shared: Shared,
}

fn main() -> ExitCode {
    let controller = Controller {
        name: "toy-controller",
        field_owner: "toy-controller",
    };
    let args = Args::parse();
    let (watches, grace) = (args.watches, Duration::from_secs(args.grace));
    runtime::run(controller, args.shared, async move |context| {
        let toys = toy::Toys::<toy::Ranked>::new(Arc::default());
        Ok(Parts {
            kinds: vec![Kind::new(toys)],
            servers: vec![watching(&context, watches)],
            grace,
        })
    })
}

/// Watches, and does nothing with what comes.
fn watching(context: &Context, watches: usize) -> Server {
    let scope = Scope {
        namespace: Some(context.namespace.clone()),
        selector: None,
    };
    let client = context.client.clone();
    let open = move |_| watch::applied::<ConfigMap>(client.clone(), &scope);
    Server {
        name: "watches",
        leader_only: false,
        serve: Box::new(move |stop| {
            Box::pin(async move {
                let all = stream::select_all((0..watches).map(open));
                let all = all.chain(stream::pending());
                all.take_until(stop.cancelled())
                    .for_each(async |_| {})
                    .await;
                Ok(())
            })
        }),
    }
}
