//! The source-controller: turns sources into artifacts and serves them to the other controllers.
//!
//! One module a kind; [`parts`] joins the kinds and the file server from the flags.

mod args;
pub mod bucket_source;
mod conditions;
mod failure;
mod features;
pub mod git_repository;
pub mod helm_chart;
pub mod helm_repository;
pub mod oci_repository;
mod provider;
mod shelf;
mod stages;
mod tree;
mod verify;

use std::sync::Arc;

use access::Reader;
use anyhow::{Context as _, anyhow};
use artifact::{Storage, gc::Retention, storage::advertised_address};
use futures::FutureExt;
use git::{Git, SshAlgorithms, Workspace};
use net_http::{Clients, Environment};
use runtime::{Kind, Server, run::Context, run::Controller, run::Parts};

pub use args::Args;
use bucket_source::Buckets;
use git_repository::GitRepositories;
use helm_chart::HelmCharts;
use helm_repository::HelmRepositories;
use oci_repository::OciRepositories;
use registry::Registries;
use shelf::Shelf;
use stages::Setup;

/// The facts of this controller that users see.
pub const CONTROLLER: Controller = Controller {
    name: "source-controller",
    field_owner: "source-controller",
};

/// Builds the kinds and the file server.
///
/// # Errors
/// Flags that cannot be carried out: a storage path that is no directory, an address in use, an unknown gate or digest
/// algorithm.
pub async fn parts(args: Args, context: Context) -> anyhow::Result<Parts> {
    let features = features::parse(&context.shared.gates.feature_gates, &args)?;
    let storage = Arc::new(storage(&args)?);
    let retention = Retention {
        ttl: args.artifact_retention_ttl,
        records: args.artifact_retention_records,
    };
    let environment = Environment::from_variables(runtime::env::variable);
    let user_agent = concat!("lockgate-source-controller/", env!("CARGO_PKG_VERSION"));
    let clients = Arc::new(Clients::new(user_agent, environment));
    let workspace = Workspace::open(&std::env::temp_dir())
        .context("failed to create temporary working directory")?;
    let scratch = workspace.path();
    let git = Git::new(
        Arc::clone(&clients),
        scratch.clone(),
        git::Limits::default(),
    )
    .with_ssh(algorithms(&args)?);
    let setup = |kind| Setup {
        client: context.client.clone(),
        clients: Arc::clone(&clients),
        reader: Reader::new(context.client.clone(), Arc::clone(&clients)),
        shelf: Shelf::new(kind, Arc::clone(&storage), retention),
        scratch: scratch.clone(),
        object_identity: features.enabled(features::WORKLOAD_IDENTITY),
    };
    let registries = Registries::new(Arc::clone(&clients));
    let limits = helm_chart::Limits {
        index_bytes: args.helm_index_max_size,
        chart_bytes: args.helm_chart_max_size,
        file_bytes: args.helm_chart_file_max_size,
    };
    Ok(Parts {
        kinds: vec![
            Kind::new(GitRepositories::new(
                setup(git_repository::KIND),
                git,
                workspace,
                context.shared.pace.requeue_dependency,
            )),
            Kind::new(HelmRepositories::new(
                setup(helm_repository::KIND),
                limits.index_bytes,
            )),
            Kind::new(HelmCharts::new(
                setup(helm_chart::KIND),
                registries.clone(),
                limits,
            )),
            Kind::new(OciRepositories::new(
                setup(oci_repository::KIND),
                registries,
            )),
            Kind::new(Buckets::new(setup(bucket_source::KIND))),
        ],
        servers: vec![file_server(&args, &storage).await?],
    })
}

/// Reads which algorithms SSH may use. One that is not known here is passed over where there is another.
fn algorithms(args: &Args) -> anyhow::Result<SshAlgorithms> {
    let algorithms = SshAlgorithms {
        key_exchange: args.ssh_kex_algos.clone(),
        host_keys: args.ssh_hostkey_algos.clone(),
    };
    let unknown = algorithms.unknown();
    for list in [&algorithms.key_exchange, &algorithms.host_keys] {
        if !list.is_empty() && list.iter().all(|name| unknown.contains(&name.as_str())) {
            return Err(anyhow!("no SSH algorithm of {list:?} is supported"));
        }
    }
    for name in unknown {
        tracing::warn!(name, "SSH algorithm is not supported");
    }
    Ok(algorithms)
}

fn storage(args: &Args) -> anyhow::Result<Storage> {
    let hostname = runtime::env::hostname();
    let advertised = advertised_address(&args.storage_adv_addr, &args.storage_addr, &hostname)?;
    let algorithm = args.artifact_digest_algo.parse()?;
    Ok(Storage::new(&args.storage_path, advertised, algorithm)?)
}

/// Binds at once, so that an address in use ends the process; serves once this replica leads, as only then its files
/// are the newest.
async fn file_server(args: &Args, storage: &Storage) -> anyhow::Result<Server> {
    let listener = runtime::probes::bind(&args.storage_addr).await?;
    let listener = listener.ok_or_else(|| anyhow!("--storage-addr must not be empty"))?;
    let root = storage.root().to_owned();
    Ok(Server {
        name: "artifacts",
        leader_only: true,
        serve: Box::new(move |stop| {
            async move {
                let limits = artifact::serve::Limits::default();
                artifact::serve::serve(listener, root, limits, stop.cancelled()).await;
                Ok(())
            }
            .boxed()
        }),
    })
}
