//! The image-reflector-controller: ImageRepositories and ImagePolicies.

mod args;
mod sweep;

use std::sync::Arc;

use access::{Identities, OBJECT_LEVEL, Reader};
use net_http::{Clients, Environment};
use registry::Registries;
use runtime::{
    Kind,
    access::Access,
    features::{Features, Gate},
    run::{Context, Controller, Parts},
};

use crate::{
    image_policy::ImagePolicies,
    image_repository::{Accesses, ImageRepositories},
    tags::Tags,
};

pub use args::Args;

/// The facts of this controller that users see.
pub const CONTROLLER: Controller = Controller {
    name: "image-reflector-controller",
    field_owner: "image-reflector-controller",
};

const GATES: &[Gate] = &[Gate {
    name: OBJECT_LEVEL,
    default: false,
}];

/// Gates of upstream, of either image controller, whose effect this one has anyway or does not need.
const WITHOUT_EFFECT: &[&str] = &[
    "CacheSecretsAndConfigMaps",
    "FluxStorage",
    "GitForcePushBranch",
    "GitShallowClone",
    "GitAllBranchReferences",
    "GitSparseCheckout",
];

/// Builds the controller's parts from its flags.
///
/// # Errors
/// A feature gate that does not exist, a storage that cannot be used, an account for cloud identities without the gate
/// for them.
#[expect(clippy::unused_async, reason = "the shape that runtime::run takes")]
pub async fn parts(args: Args, context: Context) -> anyhow::Result<Parts> {
    args.warn_of_retired();
    let features = Features::parse(&context.shared.gates.feature_gates, GATES, WITHOUT_EFFECT)?;
    let workload_identity = features.enabled(OBJECT_LEVEL);
    anyhow::ensure!(
        args.default_service_account.is_empty() || workload_identity,
        "--default-service-account requires the feature gate {OBJECT_LEVEL}"
    );
    let tags = Arc::new(Tags::open(
        &args.storage_path,
        args.storage_compression_threshold,
    )?);
    let environment = Environment::from_variables(runtime::env::variable);
    let user_agent = concat!(
        "lockgate-image-reflector-controller/",
        env!("CARGO_PKG_VERSION")
    );
    let clients = Arc::new(Clients::new(user_agent, environment));
    let registries = Registries::new(Arc::clone(&clients));
    let account = &args.default_service_account;
    let accesses = Accesses {
        reader: Reader::new(context.client.clone(), Arc::clone(&clients)),
        identities: Identities::of_controller(&context, &features, account, clients),
    };
    let repositories = ImageRepositories {
        registries: registries.clone(),
        accesses: accesses.clone(),
        tags: Arc::clone(&tags),
    };
    let policies = ImagePolicies {
        client: context.client.clone(),
        registries,
        accesses,
        tags: Arc::clone(&tags),
        access: Access {
            no_cross_namespace: args.no_cross_namespace_refs,
        },
        requeue_dependency: context.shared.pace.requeue_dependency,
    };
    let sweep = sweep::server(context.client, tags, args.gc_interval);
    Ok(Parts {
        kinds: vec![Kind::new(repositories), Kind::new(policies)],
        servers: sweep.into_iter().collect(),
        ..Parts::default()
    })
}
