//! The notification-controller: events of other controllers go out to services, webhooks of
//! services come in and have objects reconciled.
//!
//! Out: [`server::events`] takes an event, [`dispatch`] finds its alerts and spools one
//! notification for each, `provider` says how each service is told. In: [`receiver`] computes a
//! secret path, [`server::webhooks`] answers there, `hook` knows how each service proves itself.

use std::{sync::Arc, time::Duration};

use access::Identities;
use net_http::{Clients, Environment};
use runtime::{
    Kind,
    features::Features,
    probes,
    run::{Context, Controller, Parts, Server},
    watch::Scope,
};
use tokio_util::sync::CancellationToken;

mod alert;
mod args;
pub mod dispatch;
pub mod event;
mod features;
pub mod hook;
mod metrics;
mod provider;
mod provider_kind;
mod provider_status;
pub mod receiver;
pub mod server;
mod status_name;
mod watched;

pub use args::Args;

/// The controller's fixed facts.
pub const CONTROLLER: Controller = Controller {
    name: "notification-controller",
    field_owner: "notification-controller",
};

/// Builds the controller's parts from its flags.
///
/// # Errors
/// A feature gate that does not exist, a spool that cannot be opened, an address in use.
pub async fn parts(args: Args, context: Context) -> anyhow::Result<Parts> {
    let gates = &context.shared.gates.feature_gates;
    let features = Features::parse(gates, features::GATES, features::WITHOUT_EFFECT)?;
    let account = &args.default_service_account;
    if !account.is_empty() && !features.enabled(features::WORKLOAD_IDENTITY) {
        anyhow::bail!(
            "--default-service-account needs the feature gate {}",
            features::WORKLOAD_IDENTITY
        );
    }
    let scope = scope(&context);
    let client = context.client.clone();
    let ready = &context.readiness;
    let (alerts, keep_alerts) = watched::keep("alerts", client.clone(), scope.clone(), ready);
    let (providers, keep_providers) =
        watched::keep("providers", client.clone(), scope.clone(), ready);
    let (receivers, keep_receivers) =
        watched::keep("receivers", client.clone(), scope.clone(), ready);
    let out = outbound(&args, &context, &features, (alerts, providers))?;
    let migration = alert::migration(client.clone(), scope.clone(), context.recorder.clone());
    let events = events(&args, &context, out.dispatcher).await?;
    let webhooks = webhooks(&args, &context, receivers, &out.clients).await?;
    let watches_configs = !features.enabled(features::NO_CONFIG_WATCHERS);
    let configs = &context.shared.watching.watch_configs_label_selector;
    let configs = watches_configs.then(|| configs.clone());
    let receiver = receiver::Reconciler { client, configs };
    let provider = provider_kind::Reconciler {
        metrics: out.deliveries,
        identities: out.identities,
    };
    let sending = sending(out.senders, ready.clone());
    Ok(Parts {
        kinds: vec![Kind::new(receiver), Kind::new(provider)],
        servers: [
            keep_alerts,
            keep_providers,
            keep_receivers,
            migration,
            sending,
        ]
        .into_iter()
        .chain(events)
        .chain(webhooks)
        .collect(),
        ..Parts::default()
    })
}

/// What sends events on.
struct Outbound {
    dispatcher: Arc<dispatch::Dispatcher>,
    senders: Senders,
    deliveries: metrics::Deliveries,
    identities: Identities,
    clients: Arc<Clients>,
}

type Known = (
    kube::runtime::reflector::Store<api::notification::Alert>,
    kube::runtime::reflector::Store<api::notification::Provider>,
);

/// Puts together what happens to an event between the event server and a service.
fn outbound(
    args: &Args,
    context: &Context,
    features: &Features,
    (alerts, providers): Known,
) -> anyhow::Result<Outbound> {
    let client = context.client.clone();
    let deliveries = metrics::Deliveries::new(&context.metrics);
    let environment = Environment::from_variables(|name| std::env::var(name).ok());
    let clients = Arc::new(Clients::new(CONTROLLER.name, environment));
    let (account, own) = (&args.default_service_account, Arc::clone(&clients));
    let identities = Identities::of_controller(context, features, account, own);
    let limiter = Arc::new(dispatch::limiter::Limiter::new(args.rate_limit_interval));
    let per_alert = Arc::new(dispatch::limiter::Limiter::new(args.rate_limit_interval));
    let teller = dispatch::tell::Teller::new(context.recorder.clone(), args.rate_limit_interval);
    let spool = dispatch::spool::Spool::open(&args.spool_path, args.spool_max_bytes)
        .map_err(|e| anyhow::anyhow!("cannot open the spool {}: {e}", args.spool_path.display()))?;
    let folder = spool.folder().to_owned();
    let statuses = provider_status::Statuses::new(client.clone(), providers.clone());
    let courier = dispatch::courier::Courier::new(
        spool,
        dispatch::courier::Parts {
            alerts: alerts.clone(),
            providers: providers.clone(),
            loader: provider::Loader {
                kube: client.clone(),
                clients: Arc::clone(&clients),
                identities: identities.clone(),
            },
            limiter: Arc::clone(&limiter),
            per_alert: Arc::clone(&per_alert),
            teller: Arc::clone(&teller),
            metrics: deliveries.clone(),
            statuses: Arc::clone(&statuses),
            patience: args.delivery_patience,
            per_provider: args.provider_concurrency,
        },
    );
    let recovery = dispatch::recovery::Recovery::new(
        client.clone(),
        alerts.clone(),
        Arc::clone(&courier),
        (Arc::clone(&limiter), Arc::clone(&per_alert)),
        &folder,
    );
    let dispatcher = Arc::new(dispatch::Dispatcher {
        client: client.clone(),
        alerts: alerts.clone(),
        providers: providers.clone(),
        limiter,
        per_alert,
        filters: dispatch::matching::Filters::default(),
        teller,
        courier: Arc::clone(&courier),
        recovery: Arc::clone(&recovery),
        no_cross_namespace: args.no_cross_namespace_refs,
    });
    Ok(Outbound {
        dispatcher,
        senders: (courier, recovery, statuses),
        deliveries,
        identities,
        clients,
    })
}

fn scope(context: &Context) -> Scope {
    let watching = &context.shared.watching;
    Scope {
        namespace: (!watching.watch_all_namespaces).then(|| context.namespace.clone()),
        selector: Some(watching.watch_label_selector.clone()).filter(|s| !s.is_empty()),
    }
}

type Senders = (
    Arc<dispatch::courier::Courier>,
    Arc<dispatch::recovery::Recovery>,
    Arc<provider_status::Statuses>,
);

/// Sends what is spooled, once alerts and providers are known: an alert that is not there yet must
/// not look like one that is gone.
fn sending((courier, recovery, statuses): Senders, ready: probes::Readiness) -> Server {
    Server {
        name: "courier",
        leader_only: false,
        serve: Box::new(move |stop| {
            Box::pin(async move {
                known(&ready, &["alerts", "providers"], &stop).await;
                tokio::join!(
                    courier.run(stop.clone()),
                    recovery.run(stop.clone()),
                    statuses.run(stop)
                );
                Ok(())
            })
        }),
    }
}

/// Waits until these have been listed once.
async fn known(ready: &probes::Readiness, names: &[&str], stop: &CancellationToken) {
    let missing = || ready.missing().iter().any(|n| names.contains(&n.as_str()));
    while missing() && !stop.is_cancelled() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn events(
    args: &Args,
    context: &Context,
    dispatcher: Arc<dispatch::Dispatcher>,
) -> anyhow::Result<Option<Server>> {
    let address = &args.shared.addresses.events_addr;
    let Some(listener) = probes::bind(address).await? else {
        return Ok(None);
    };
    let handler = (!args.export_http_path_metrics).then_some("/");
    let requests = metrics::Requests::new(&context.metrics, "gotk_event", handler);
    let ready = context.readiness.clone();
    Ok(Some(Server {
        name: "events",
        leader_only: false,
        serve: Box::new(move |stop| {
            Box::pin(async move {
                // Until then connections wait: an event answered earlier would find no alert.
                known(&ready, &["alerts", "providers"], &stop).await;
                let events = Arc::new(server::events::Events { dispatcher });
                server::serve(listener, events, requests, stop).await;
                Ok(())
            })
        }),
    }))
}

async fn webhooks(
    args: &Args,
    context: &Context,
    receivers: kube::runtime::reflector::Store<api::notification::Receiver>,
    clients: &Arc<Clients>,
) -> anyhow::Result<Option<Server>> {
    let Some(listener) = probes::bind(&args.receiver_addr).await? else {
        return Ok(None);
    };
    let handler = (!args.export_http_path_metrics).then_some("/hook/");
    let requests = metrics::Requests::new(&context.metrics, "gotk_receiver", handler);
    let webhooks = Arc::new(server::webhooks::Webhooks {
        client: context.client.clone(),
        receivers,
        keys: hook::keys::Keys::new(Arc::clone(clients)),
        no_cross_namespace: args.no_cross_namespace_refs,
        field_owner: CONTROLLER.field_owner,
    });
    let ready = context.readiness.clone();
    Ok(Some(Server {
        name: "webhooks",
        leader_only: false,
        serve: Box::new(move |stop| {
            Box::pin(async move {
                known(&ready, &["receivers"], &stop).await;
                server::serve(listener, webhooks, requests, stop).await;
                Ok(())
            })
        }),
    }))
}
