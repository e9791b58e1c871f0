//! One process: its kinds, its servers, its beginning and its orderly end.

use std::{process::ExitCode, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use kube::Client;
use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    Kind,
    args::Shared,
    client::{self, Rate},
    controller::{GRACE, Surroundings},
    drive::Settings,
    env,
    events::Recorder,
    leader::Candidate,
    metrics::Metrics,
    migrate,
    probes::{self, Condition, Readiness},
    requeue::Jitter,
    telemetry::{self, Verbosity},
    traces::Tracer,
    watch::Scope,
};

/// How long a process that waits to lead may take to say that it is ready to.
const STANDBY: Duration = Duration::from_secs(2);
/// How long events may take to be written at the end.
const FLUSH: Duration = Duration::from_secs(5);

/// A server beside the reconcilers: artifacts, events, webhooks.
pub struct Server {
    /// Its name in logs.
    pub name: &'static str,
    /// Whether only the leader serves.
    pub leader_only: bool,
    /// Serves until the token is cancelled; an error ends the process.
    pub serve: Box<dyn FnOnce(CancellationToken) -> BoxFuture<'static, anyhow::Result<()>> + Send>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What a controller is made of.
#[derive(Debug)]
pub struct Parts {
    /// The kinds it reconciles.
    pub kinds: Vec<Kind>,
    /// Its servers.
    pub servers: Vec<Server>,
    /// How long a stopping process waits for the runs that go on; ten minutes, where a controller has no flag for it.
    pub grace: Duration,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            kinds: Vec::new(),
            servers: Vec::new(),
            grace: GRACE,
        }
    }
}

/// A controller's fixed facts.
#[derive(Clone, Copy, Debug)]
pub struct Controller {
    /// Its name: of the lease, in events and logs.
    pub name: &'static str,
    /// The field manager of its writes to the kinds it reconciles.
    pub field_owner: &'static str,
}

/// What a controller is given to build its parts.
#[derive(Clone)]
pub struct Context {
    /// The API server.
    pub client: Client,
    /// Metrics to add to.
    pub metrics: Metrics,
    /// The namespace that the controller runs in.
    pub namespace: String,
    /// The flags that all controllers share.
    pub shared: Arc<Shared>,
    /// A permit for each processor, taken by work that keeps one busy.
    pub processors: Arc<Semaphore>,
    /// What has to be there before the process is ready; servers add their own conditions.
    pub readiness: Readiness,
    /// Takes the events of servers; kinds have theirs emitted by what they report.
    pub recorder: Recorder,
    verbosity: Verbosity,
    tracer: Tracer,
}

impl Context {
    /// Returns which objects the controller sees.
    #[must_use]
    pub fn scope(&self) -> Scope {
        let watching = &self.shared.watching;
        let selector = watching.watch_label_selector.clone();
        Scope {
            namespace: (!watching.watch_all_namespaces).then(|| self.namespace.clone()),
            selector: Some(selector).filter(|selector| !selector.is_empty()),
        }
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

/// Runs a controller until it is told to stop. Builds the async runtime, so it is `main`'s last
/// call.
pub fn run<F>(controller: Controller, shared: Shared, parts: F) -> ExitCode
where
    F: AsyncFnOnce(Context) -> anyhow::Result<Parts> + 'static,
{
    crate::memory::share_arenas();
    // kube, reqwest and our own TLS all take the process's provider; only one is compiled in.
    drop(rustls::crypto::ring::default_provider().install_default());
    let verbosity = match telemetry::start(&shared.logging) {
        Ok(verbosity) => verbosity,
        Err(error) => return fail(&anyhow::anyhow!(error)),
    };
    crate::handles::allow_all();
    let blocking = shared.pace.concurrent.saturating_mul(2).saturating_add(4);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(blocking.max(8))
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => {
            let result =
                runtime.block_on(Box::pin(supervise(controller, shared, verbosity, parts)));
            // Blocking work that hangs must not keep the process.
            runtime.shutdown_timeout(Duration::from_secs(1));
            result.map_or_else(|error| fail(&error), |()| ExitCode::SUCCESS)
        }
        Err(error) => fail(&anyhow::anyhow!(error)),
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    let cause = crate::failure::chain(error.as_ref());
    tracing::error!(logger = "setup", error = %cause, "unable to run controller");
    ExitCode::FAILURE
}

async fn supervise<F>(
    controller: Controller,
    shared: Shared,
    verbosity: Verbosity,
    parts: F,
) -> anyhow::Result<()>
where
    F: AsyncFnOnce(Context) -> anyhow::Result<Parts>,
{
    let stop = CancellationToken::new();
    crate::shutdown::listen(stop.clone())?;
    let rate = Rate {
        qps: shared.kube_api.kube_api_qps,
        burst: shared.kube_api.kube_api_burst,
    };
    let metrics = Metrics::new();
    let client = client::connect(rate, &metrics).await?;
    let (recorder, events) = Recorder::start(
        client.clone(),
        controller.name,
        env::hostname(),
        Some(shared.addresses.events_addr.clone()),
    );
    let (tracer, tracing) = Tracer::start(controller.name, env::variable);
    let context = Context {
        client,
        metrics: metrics.clone(),
        namespace: env::runtime_namespace(),
        shared: Arc::new(shared),
        processors: Arc::new(Semaphore::new(processors())),
        readiness: Readiness::default(),
        recorder,
        verbosity,
        tracer,
    };
    let parts = parts(context.clone()).await?;
    let mut tasks = JoinSet::new();
    // Probes and metrics outlive the reconcilers, so that a slow end can be watched.
    let last = CancellationToken::new();
    let started = context.readiness.condition("start");
    open(&context, &metrics, &last, &mut tasks).await?;
    let working = (&stop, started);
    let result = work(controller, &context, parts, working, &mut tasks).await;
    stop.cancel();
    last.cancel();
    let ended = async { while tasks.join_next().await.is_some() {} };
    drop(tokio::time::timeout(FLUSH, ended).await);
    drop(context);
    drop(tokio::time::timeout(FLUSH, events).await);
    if let Some(tracing) = tracing {
        drop(tokio::time::timeout(FLUSH, tracing).await);
    }
    result
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

async fn open(
    context: &Context,
    metrics: &Metrics,
    last: &CancellationToken,
    tasks: &mut JoinSet<anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let addresses = &context.shared.addresses;
    if let Some(listener) = probes::bind(&addresses.health_addr).await? {
        let (readiness, last) = (context.readiness.clone(), last.clone());
        let verbosity = context.verbosity.clone();
        tasks.spawn(async move {
            Ok(probes::serve_health(listener, readiness, verbosity, last).await?)
        });
    }
    if let Some(listener) = probes::bind(&addresses.metrics_addr).await? {
        let (metrics, last) = (metrics.clone(), last.clone());
        tasks.spawn(async move { Ok(probes::serve_metrics(listener, metrics, last).await?) });
    }
    Ok(())
}

/// Serves and reconciles: servers for everyone at once, the rest once this process leads.
async fn work(
    controller: Controller,
    context: &Context,
    parts: Parts,
    (stop, started): (&CancellationToken, Condition),
    tasks: &mut JoinSet<anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let (leading, always): (Vec<_>, Vec<_>) =
        parts.servers.into_iter().partition(|s| s.leader_only);
    let serve = |tasks: &mut JoinSet<_>, servers: Vec<Server>| {
        for server in servers {
            tasks.spawn((server.serve)(stop.clone()));
        }
    };
    serve(tasks, always);
    let mut candidate = candidate(controller, context);
    if let Some(candidate) = &mut candidate {
        context.metrics.lead(candidate.lease(), false);
        let led = tokio::select! {
            led = candidate.lead(stop) => led,
            never = stand_by(&started) => match never {},
            ended = tasks.join_next(), if !tasks.is_empty() => return early(ended),
        };
        if !led {
            return Ok(());
        }
        context.metrics.lead(candidate.lease(), true);
    }
    serve(tasks, leading);
    let _migration = migration(context, &context.recorder, &parts.kinds);
    let grace = parts.grace;
    let mut kinds = JoinSet::new();
    for kind in parts.kinds {
        tracing::info!(logger = "setup", kind = kind.name(), "Starting Controller");
        kinds.spawn(kind.run(surroundings(controller, context, stop)));
    }
    started.meet();
    let reconciling = reconcile(kinds, grace, tasks, stop);
    let Some(candidate) = &mut candidate else {
        return reconciling.await;
    };
    // The lease is held until the last run has ended, and no run goes on without it.
    let result = tokio::select! {
        biased;
        result = reconciling => result,
        () = candidate.hold() => return Err(anyhow::anyhow!("leader election lost")),
    };
    candidate.release().await;
    context.metrics.lead(candidate.lease(), false);
    result
}

/// Looks at the definitions of the kinds beside their first runs, until what it returns is dropped.
fn migration(context: &Context, recorder: &Recorder, kinds: &[Kind]) -> JoinSet<()> {
    let served = kinds.iter().filter_map(Kind::served).collect::<Vec<_>>();
    let enabled = context.shared.migration.migrate_stored_versions;
    let (client, recorder) = (context.client.clone(), recorder.clone());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        migrate::run(&client, &recorder, served, enabled).await;
        // Who has nothing to reconcile would keep what the start took: definitions are large.
        crate::memory::tidy();
    });
    tasks
}

/// Says after a while that the process is ready to take over.
async fn stand_by(started: &Condition) -> std::convert::Infallible {
    tokio::time::sleep(STANDBY).await;
    started.meet();
    std::future::pending().await
}

fn candidate(controller: Controller, context: &Context) -> Option<Candidate> {
    let flags = context.shared.leader_election.clone();
    let selector = &context.shared.watching.watch_label_selector;
    let (client, namespace) = (context.client.clone(), &context.namespace);
    flags
        .enable_leader_election
        .then(|| Candidate::new(client, namespace, controller.name, selector, flags))
}

/// Reconciles until told to stop, then lets the runs that go on end. Dropped, it cuts them off.
async fn reconcile(
    mut kinds: JoinSet<()>,
    grace: Duration,
    tasks: &mut JoinSet<anyhow::Result<()>>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let result = tokio::select! {
        biased;
        () = stop.cancelled() => Ok(()),
        ended = tasks.join_next(), if !tasks.is_empty() => early(ended),
        ended = kinds.join_next(), if !kinds.is_empty() => match ended {
            Some(Err(error)) => Err(error.into()),
            // It was told to stop just now.
            _ if stop.is_cancelled() => Ok(()),
            _ => Err(anyhow::anyhow!("a kind is not reconciled any more")),
        },
    };
    stop.cancel();
    let ended = async { while kinds.join_next().await.is_some() {} };
    if tokio::time::timeout(grace, ended).await.is_err() {
        tracing::error!("runs were cut off at the end of the grace period");
    }
    result
}

/// A server that ends before it was told to has failed.
fn early(ended: Option<Result<anyhow::Result<()>, tokio::task::JoinError>>) -> anyhow::Result<()> {
    match ended {
        Some(Ok(Err(error))) => Err(error),
        Some(Err(error)) => Err(error.into()),
        Some(Ok(Ok(()))) | None => Err(anyhow::anyhow!("a server ended unexpectedly")),
    }
}

fn surroundings(
    controller: Controller,
    context: &Context,
    stop: &CancellationToken,
) -> Surroundings {
    let pace = &context.shared.pace;
    Surroundings {
        client: context.client.clone(),
        recorder: context.recorder.clone(),
        metrics: context.metrics.clone(),
        scope: context.scope(),
        settings: Settings {
            controller: String::new(),
            field_owner: controller.field_owner.to_owned(),
            concurrent: pace.concurrent,
            retry_delay: (pace.min_retry_delay, pace.max_retry_delay),
            jitter: Jitter::new(pace.interval_jitter_percentage),
            processors: Arc::clone(&context.processors),
            tracer: context.tracer.clone(),
        },
        readiness: context.readiness.clone(),
        stop: stop.clone(),
    }
}
