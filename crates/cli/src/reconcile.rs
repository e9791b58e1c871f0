//! `lockgate reconcile`: asks a controller to act now, and waits until it has.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use api::meta::annotation::{FORCE_REQUEST, RECONCILE_REQUEST, RESET_REQUEST};
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::json;

use crate::cluster::name::{ObjectName, Written};
use crate::cluster::progress::Progress;
use crate::cluster::standing::{self, State, condition};
use crate::cluster::table::one_line;
use crate::cluster::{Cluster, Place, text};
use crate::explain::source_of;

const PAUSE: Duration = Duration::from_millis(200);

/// What to reconcile.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The object: `ks/apps`, `hr/web`, `gitrepo/app`.
    #[arg(value_name = "KIND/NAME")]
    what: Written,
    #[command(flatten)]
    place: Place,
    /// Reconciles what the object takes its content from first.
    #[arg(long)]
    with_source: bool,
    /// HelmRelease: upgrades though nothing changed.
    #[arg(long)]
    force: bool,
    /// HelmRelease: starts counting failures anew.
    #[arg(long)]
    reset: bool,
    /// How long to wait, in seconds.
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    timeout: u64,
}

/// Runs the command.
pub(crate) async fn run(args: &Args) -> Result<String> {
    let cluster = Cluster::connect(&args.place).await?;
    let name = args.what.object(args.place.namespace())?;
    let is_release = name.kind.kind == "HelmRelease";
    if (args.force || args.reset) && !is_release {
        bail!("--force and --reset are for releases, {name} is none");
    }
    let deadline = Instant::now() + Duration::from_secs(args.timeout);
    let object = cluster.get(&name).await?;
    let mut out = String::new();
    if args.with_source {
        let mut sources = Vec::new();
        let mut next = source_of(&name, &object);
        while let Some(source) = next.take().filter(|_| sources.len() < 3) {
            let found = cluster.get(&source).await?;
            next = source_of(&source, &found);
            sources.insert(0, source);
        }
        for source in sources {
            out += &one(&cluster, &source, &[], deadline).await?;
        }
    }
    let mut also = Vec::new();
    if args.force {
        also.push(FORCE_REQUEST);
    }
    if args.reset {
        also.push(RESET_REQUEST);
    }
    out += &one(&cluster, &name, &also, deadline).await?;
    Ok(out)
}

/// Asks for a run of one object and waits for its end.
async fn one(
    cluster: &Cluster,
    name: &ObjectName,
    also: &[&str],
    deadline: Instant,
) -> Result<String> {
    let object = cluster.get(name).await?;
    if standing::is_suspended(&object) {
        bail!("{name} is suspended: `lockgate resume` first");
    }
    if standing::of(&object).state == State::Static {
        return Ok(format!("{name} has nothing to reconcile\n"));
    }
    let token = jiff::Timestamp::now().to_string();
    let mut annotations = json!({RECONCILE_REQUEST: token});
    for key in also {
        annotations[*key] = json!(token);
    }
    let patch = json!({"metadata": {"annotations": annotations}});
    let api = cluster.api(name.kind, Some(&name.namespace));
    api.patch(&name.name, &PatchParams::default(), &Patch::Merge(patch))
        .await?;
    let mut progress = Progress::new();
    loop {
        let object = cluster.get(name).await?;
        let standing = standing::of(&object);
        if is_handled(&object, &token) {
            match standing.state {
                State::Ready => {
                    let revision = standing
                        .revision
                        .map_or(String::new(), |at| format!(" at {at}"));
                    return Ok(format!("{name} is ready{revision}\n"));
                }
                State::Failed => bail!("{name}: {}: {}", standing.reason, standing.message),
                _ => {}
            }
        }
        if Instant::now() > deadline {
            bail!("{name} is not ready in time: {}", standing.message);
        }
        let running = condition(&object, "Reconciling");
        let running = running.and_then(|found| found["message"].as_str());
        let now = one_line(running.unwrap_or("waiting for the controller"));
        progress.tell(format!("{name}: {now}"));
        tokio::time::sleep(PAUSE).await;
    }
}

/// The controller has ended a run that began after the request.
fn is_handled(object: &DynamicObject, token: &str) -> bool {
    text(object, "/status/lastHandledReconcileAt") == Some(token) && !standing::is_running(object)
}
