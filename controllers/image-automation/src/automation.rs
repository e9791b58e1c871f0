//! The image-automation-controller: ImageUpdateAutomations.

mod args;

use std::sync::Arc;

use access::{Identities, OBJECT_LEVEL};
use anyhow::Context as _;
use git::{Git, SshAlgorithms, Workspace};
use net_http::{Clients, Environment};
use runtime::{
    Kind,
    access::Access,
    features::{Features, Gate},
    run::{Context, Controller, Parts},
};

use crate::image_update_automation::Automations;

pub use args::Args;

/// The facts of this controller that users see.
pub const CONTROLLER: Controller = Controller {
    name: "image-automation-controller",
    field_owner: "image-automation-controller",
};

const FORCE_PUSH_BRANCH: &str = "GitForcePushBranch";
const ALL_BRANCHES: &str = "GitAllBranchReferences";
const GATES: &[Gate] = &[
    Gate {
        name: FORCE_PUSH_BRANCH,
        default: true,
    },
    Gate {
        name: ALL_BRANCHES,
        default: true,
    },
    Gate {
        name: OBJECT_LEVEL,
        default: false,
    },
];

/// Gates of upstream, of either image controller, whose effect this one has anyway or does not need.
const WITHOUT_EFFECT: &[&str] = &[
    "GitShallowClone",
    "GitSparseCheckout",
    "CacheSecretsAndConfigMaps",
    "FluxStorage",
];

/// Builds the controller's parts from its flags.
///
/// # Errors
/// A feature gate that does not exist, SSH algorithms that are not known, no room for temporary files.
#[expect(clippy::unused_async, reason = "the shape that runtime::run takes")]
pub async fn parts(args: Args, context: Context) -> anyhow::Result<Parts> {
    let features = Features::parse(&context.shared.gates.feature_gates, GATES, WITHOUT_EFFECT)?;
    let algorithms = SshAlgorithms {
        key_exchange: args.ssh_kex_algos.clone(),
        host_keys: args.ssh_hostkey_algos.clone(),
    };
    let unknown = algorithms.unknown();
    anyhow::ensure!(
        unknown.is_empty(),
        "unknown SSH algorithms: {}",
        unknown.join(", ")
    );
    let environment = Environment::from_variables(runtime::env::variable);
    let user_agent = concat!(
        "lockgate-image-automation-controller/",
        env!("CARGO_PKG_VERSION")
    );
    let clients = Arc::new(Clients::new(user_agent, environment));
    let workspace = Workspace::open(&std::env::temp_dir())
        .context("failed to create temporary working directory")?;
    let git = Git::new(
        Arc::clone(&clients),
        workspace.path(),
        git::Limits::default(),
    )
    .with_ssh(algorithms);
    anyhow::ensure!(
        args.default_service_account.is_empty() || features.enabled(OBJECT_LEVEL),
        "--default-service-account requires the feature gate {OBJECT_LEVEL}"
    );
    let (account, own) = (&args.default_service_account, Arc::clone(&clients));
    let identities = Identities::of_controller(&context, &features, account, own);
    let automations = Automations::new(
        (context.client, identities),
        (git, clients),
        Access {
            no_cross_namespace: args.no_cross_namespace_refs,
        },
        (
            features.enabled(FORCE_PUSH_BRANCH),
            features.enabled(ALL_BRANCHES),
        ),
        workspace,
    );
    Ok(Parts {
        kinds: vec![Kind::new(automations)],
        ..Parts::default()
    })
}
