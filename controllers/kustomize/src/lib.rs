//! The kustomize-controller: builds what sources hold and keeps a cluster equal to it.
//!
//! It knows a source only by the artifact in its status, so any controller that publishes one
//! serves it.

use std::sync::{Arc, OnceLock};

use ::access::{Clusters, Identities};
use artifact::fetch::{ArtifactCache, FetchConfig};
use cluster::KubeconfigOptions;
use net_http::{ClientConfig, Clients, Environment};
use runtime::{Kind, access::Access, env, features::Features, run::Context, run::Parts};

mod args;
mod features;
mod kustomization;
mod remote;

pub use args::Args;
pub use kustomization::{Preview, Reconciler, preview};

/// The field manager of applied objects.
pub const FIELD_MANAGER: &str = "kustomize-controller";
/// The API group of Kustomizations; prefix of labels, annotations and event metadata.
pub const GROUP: &str = "kustomize.toolkit.fluxcd.io";
/// The controller's fixed facts.
pub const CONTROLLER: runtime::run::Controller = runtime::run::Controller {
    name: FIELD_MANAGER,
    field_owner: "gotk-kustomize-controller",
};

/// Builds the controller's parts from its flags.
///
/// # Errors
/// A feature gate that does not exist.
#[expect(clippy::unused_async, reason = "the shape that runtime::run takes")]
pub async fn parts(args: Args, context: Context) -> anyhow::Result<Parts> {
    let gates = &context.shared.gates.feature_gates;
    let features = Features::parse(gates, features::GATES, features::WITHOUT_EFFECT)?;
    let account = &args.default_kubeconfig_service_account;
    let flags = [
        (
            "--default-decryption-service-account",
            &args.default_decryption_service_account,
        ),
        ("--default-kubeconfig-service-account", account),
    ];
    ::access::refuse_ungated(&features, &flags).map_err(anyhow::Error::msg)?;
    let clients = clients();
    let identities = Identities::of_controller(&context, &features, account, Arc::clone(&clients));
    let sops = sops(&args, Arc::clone(&clients), &identities);
    let clusters = clusters(&args, &context, identities);
    let remotes = || remote::Remotes::new(clients, std::env::temp_dir());
    let remotes = (!args.no_remote_bases).then(remotes);
    let reconciler = Reconciler {
        clusters,
        client: context.client,
        artifacts: Arc::new(artifacts(args.http_retry)?),
        access: Access {
            no_cross_namespace: args.no_cross_namespace_refs,
        },
        features,
        localhost: kustomization::Localhost::new(env::variable(env::SOURCE_CONTROLLER_LOCALHOST)),
        requeue_dependency: context.shared.pace.requeue_dependency,
        concurrent_ssa: args.concurrent_ssa,
        override_managers: args.override_managers,
        custom_stage_kinds: args.custom_apply_stage_kinds,
        sops,
        remotes,
        drift: Arc::default(),
        shelf: Arc::default(),
        units: OnceLock::new(),
        alone: kustomization::Alone::default(),
        config_selector: context.shared.watching.watch_configs_label_selector.clone(),
    };
    Ok(Parts {
        kinds: vec![Kind::new(reconciler)],
        ..Parts::default()
    })
}

fn clusters(args: &Args, context: &Context, identities: Identities) -> Clusters {
    Clusters::new(
        context.client.clone(),
        identities,
        KubeconfigOptions {
            allow_exec: args.insecure_kubeconfig_exec,
            allow_insecure_tls: args.insecure_kubeconfig_tls,
        },
        args.default_service_account.clone(),
        |secret, cause| format!("unable to read KubeConfig secret '{secret}' error: {cause}"),
    )
}

/// What the controller itself has for decryption: key services are reached as the environment says.
fn sops(
    args: &Args,
    clients: Arc<Clients>,
    identities: &Identities,
) -> kustomization::SopsSettings {
    let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let own = |name: String| (env::runtime_namespace(), name);
    let account = &args.default_decryption_service_account;
    kustomization::SopsSettings {
        clients,
        endpoints: keys::Endpoints {
            aws_kms: env::variable("AWS_ENDPOINT_URL_KMS"),
            aws_sts: env::variable("AWS_ENDPOINT_URL_STS"),
            azure_metadata: env::variable("AZURE_POD_IDENTITY_AUTHORITY_HOST"),
            ..keys::Endpoints::default()
        },
        age_secret: given(&args.sops_age_secret).map(own),
        vault_servers: given(&args.sops_vault_configmap).map(own),
        default_account: given(account),
        vault_token: env::variable("VAULT_TOKEN"),
        identities: identities.with_default_account(account),
        data_keys: Arc::default(),
    }
}

/// Other hosts are reached as the environment says. A client is made when it is first needed: each
/// holds the system's certificate authorities.
fn clients() -> Arc<Clients> {
    let environment = Environment::from_variables(env::variable);
    Arc::new(Clients::new(CONTROLLER.name, environment))
}

/// Artifacts come from inside the cluster: no proxy, no credentials.
fn artifacts(retries: u32) -> anyhow::Result<ArtifactCache> {
    let clients = Clients::new(CONTROLLER.name, Environment::default());
    let client = clients.get(&ClientConfig::default())?;
    Ok(ArtifactCache::new(
        client,
        FetchConfig {
            retries,
            ..FetchConfig::default()
        },
    ))
}
