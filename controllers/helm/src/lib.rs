//! The helm-controller: keeps releases of charts as HelmReleases describe them.
//!
//! It knows a chart only by the artifact in a source's status, so any controller that publishes one
//! serves it. What it releases, `helm` sees, and the other way round.

use std::{path::Path, sync::Arc};

use ::access::{Clusters, Identities};
use artifact::fetch::FetchConfig;
use cluster::KubeconfigOptions;
use net_http::{ClientConfig, Clients, Environment};
use runtime::{Kind, access::Access, env, features::Features, run::Context, run::Parts};
use tokio::sync::Semaphore;

mod args;
mod features;
mod helm_release;
mod memory;
mod release;

pub use args::{Args, DigestAlgorithm};
pub use helm_release::{Preview, Reconciler, preview};

use helm_release::{ChartCache, Localhost};

/// The field manager of everything that is written.
pub const FIELD_MANAGER: &str = "helm-controller";
/// The API group of HelmReleases; prefix of labels and event metadata.
pub const GROUP: &str = "helm.toolkit.fluxcd.io";
/// The controller's fixed facts.
pub const CONTROLLER: runtime::run::Controller = runtime::run::Controller {
    name: FIELD_MANAGER,
    field_owner: FIELD_MANAGER,
};
/// `host:port` that replaces the host of artifacts that other controllers publish.
const SOURCE_WATCHER_LOCALHOST: &str = "SOURCE_WATCHER_LOCALHOST";

/// Builds the controller's parts from its flags.
///
/// # Errors
/// A feature gate that does not exist.
#[expect(clippy::unused_async, reason = "the shape that runtime::run takes")]
pub async fn parts(args: Args, context: Context) -> anyhow::Result<Parts> {
    let gates = &context.shared.gates.feature_gates;
    let features = Features::parse(gates, features::GATES, features::WITHOUT_EFFECT)?;
    let mut servers = Vec::new();
    if features.enabled(features::OOM_WATCH) {
        servers.push(memory::MemoryWatch::new(&args, Path::new("/"))?.server());
    }
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let clusters = clusters(&args, &features, &context)?;
    let reconciler = Reconciler {
        clusters,
        client: context.client,
        charts: charts(&args)?,
        access: Access {
            no_cross_namespace: args.no_cross_namespace_refs,
        },
        features,
        localhost: Localhost::new(
            env::variable(env::SOURCE_CONTROLLER_LOCALHOST),
            env::variable(SOURCE_WATCHER_LOCALHOST),
        ),
        requeue_dependency: context.shared.pace.requeue_dependency,
        override_managers: args.override_managers,
        config_selector: context.shared.watching.watch_configs_label_selector.clone(),
        digests: args.snapshot_digest_algo,
        processors: Arc::new(Semaphore::new(processors)),
        attempts: Arc::default(),
        drift: Arc::default(),
    };
    Ok(Parts {
        kinds: vec![Kind::new(reconciler)],
        servers,
        grace: args.graceful_shutdown_timeout,
    })
}

/// Other clusters may be reached by the identities of ServiceAccounts, where the gate allows them.
fn clusters(args: &Args, features: &Features, context: &Context) -> anyhow::Result<Clusters> {
    let account = &args.default_kubeconfig_service_account;
    let flags = [("--default-kubeconfig-service-account", account)];
    ::access::refuse_ungated(features, &flags).map_err(anyhow::Error::msg)?;
    let environment = Environment::from_variables(env::variable);
    let clients = Arc::new(Clients::new(CONTROLLER.name, environment));
    Ok(Clusters::new(
        context.client.clone(),
        Identities::of_controller(context, features, account, clients),
        KubeconfigOptions {
            allow_exec: args.insecure_kubeconfig_exec,
            allow_insecure_tls: args.insecure_kubeconfig_tls,
        },
        args.default_service_account.clone(),
        |secret, cause| format!("could not get KubeConfig secret '{secret}': {cause}"),
    ))
}

/// Charts come from inside the cluster: no proxy, no credentials.
fn charts(args: &Args) -> anyhow::Result<ChartCache> {
    let clients = Clients::new(CONTROLLER.name, Environment::default());
    let client = clients.get(&ClientConfig::default())?;
    let config = FetchConfig {
        retries: args.http_retry,
        ..FetchConfig::default()
    };
    Ok(ChartCache::new(client, config, args.http_timeout))
}
