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
mod index_cache;
pub mod oci_repository;
mod orphans;
mod polling;
mod provider;
mod replica;
mod shelf;
mod stages;
mod tree;
mod verify;

use std::sync::Arc;

use access::{Identities, Reader};
use anyhow::{Context as _, anyhow};
use artifact::serve::Switch;
use artifact::{Storage, gc::Retention, storage::advertised_address};
use futures::FutureExt;
use git::{Git, SshAlgorithms, Workspace};
use net_http::{Clients, Environment, Hosts};
use runtime::{Kind, Server, metrics::Metrics, run::Context, run::Controller, run::Parts};

pub use args::Args;
use bucket_source::Buckets;
use git_repository::GitRepositories;
use helm_chart::HelmCharts;
use helm_repository::HelmRepositories;
use index_cache::{CacheLimits, IndexCache};
use oci_repository::OciRepositories;
use registry::Registries;
use replica::Replica;
use shelf::Shelf;
use stages::Setup;
use tokio_util::sync::CancellationToken;

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
    let clients = Arc::new(clients());
    let workspace = Workspace::open(&std::env::temp_dir())
        .context("failed to create temporary working directory")?;
    let scratch = workspace.path();
    let limits = git::Limits::default();
    let hosts = Arc::new(Hosts::new(limits.per_host));
    let git = Git::new(Arc::clone(&clients), scratch.clone(), limits);
    let git = git.with_ssh(algorithms(&args)?);
    let (account, own) = (&args.default_service_account, Arc::clone(&clients));
    let identities = Identities::of_controller(&context, &features, account, own);
    let setup = |kind| Setup {
        client: context.client.clone(),
        clients: Arc::clone(&clients),
        reader: Reader::new(context.client.clone(), Arc::clone(&clients)),
        shelf: Shelf::new(kind, Arc::clone(&storage), retention),
        hosts: Arc::clone(&hosts),
        scratch: scratch.clone(),
        identities: identities.clone(),
    };
    let registries = Registries::new(Arc::clone(&clients));
    let (indexes, limits) = charts(&args, &context.metrics);
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
                Arc::clone(&indexes),
            )),
            Kind::new(HelmCharts::new(
                setup(helm_chart::KIND),
                registries.clone(),
                limits,
                indexes,
            )),
            Kind::new(OciRepositories::new(
                setup(oci_repository::KIND),
                registries,
            )),
            Kind::new(Buckets::new(setup(bucket_source::KIND))),
        ],
        servers: servers(&args, &context, storage).await?,
        ..Parts::default()
    })
}

fn clients() -> Clients {
    let environment = Environment::from_variables(runtime::env::variable);
    let user_agent = concat!("lockgate-source-controller/", env!("CARGO_PKG_VERSION"));
    Clients::new(user_agent, environment)
}

/// Reads what is kept of the indexes of repositories, and how large they and charts may be.
fn charts(args: &Args, metrics: &Metrics) -> (Arc<IndexCache>, helm_chart::Limits) {
    let indexes = Arc::new(IndexCache::new(
        CacheLimits {
            indexes: args.helm_cache_max_size,
            ttl: args.helm_cache_ttl,
            purge_interval: args.helm_cache_purge_interval,
        },
        metrics,
    ));
    let limits = helm_chart::Limits {
        index_bytes: args.helm_index_max_size,
        chart_bytes: args.helm_chart_max_size,
        file_bytes: args.helm_chart_file_max_size,
    };
    (indexes, limits)
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

/// Returns the file server and what it depends on. It binds at once, so that an address in use ends the process, and
/// hands files out once this replica leads or holds them all.
async fn servers(
    args: &Args,
    context: &Context,
    storage: Arc<Storage>,
) -> anyhow::Result<Vec<Server>> {
    let listener = runtime::probes::bind(&args.storage_addr).await?;
    let listener = listener.ok_or_else(|| anyhow!("--storage-addr must not be empty"))?;
    let switch = Switch::default();
    let (root, open) = (storage.root().to_owned(), switch.clone());
    let artifacts = Server {
        name: "artifacts",
        leader_only: false,
        serve: Box::new(move |stop| {
            async move {
                let limits = artifact::serve::Limits::default();
                artifact::serve::serve(listener, root, open, limits, stop.cancelled()).await;
                Ok(())
            }
            .boxed()
        }),
    };
    let (client, scope) = (context.client.clone(), context.scope());
    let replica = Replica {
        client: client.clone(),
        scope: scope.clone(),
        storage: Arc::clone(&storage),
        switch,
        leads: CancellationToken::new(),
    };
    let orphans = Server {
        name: "orphans",
        leader_only: true,
        serve: Box::new(move |stop| {
            async move {
                orphans::sweep(client, scope, storage, stop).await;
                Ok(())
            }
            .boxed()
        }),
    };
    let elected = context.shared.leader_election.enable_leader_election;
    let mut servers = replica.servers(elected);
    servers.extend([artifacts, orphans]);
    Ok(servers)
}
