//! `lockgate suspend` and `lockgate resume`.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail};
use api::extension::SUSPEND_REASON;
use api::meta::annotation::kustomize;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::cluster::name::Written;
use crate::cluster::{Cluster, Place};

/// What to suspend.
#[derive(Debug, clap::Args)]
pub(crate) struct Suspend {
    /// The object: `ks/apps`, `hr/web`, `gitrepo/app`.
    #[arg(value_name = "KIND/NAME")]
    what: Written,
    #[command(flatten)]
    place: Place,
    /// Why; whoever asks `lockgate explain` reads it.
    #[arg(long)]
    reason: Option<String>,
}

/// What to resume.
#[derive(Debug, clap::Args)]
pub(crate) struct Resume {
    /// The object: `ks/apps`, `hr/web`, `gitrepo/app`.
    #[arg(value_name = "KIND/NAME")]
    what: Written,
    #[command(flatten)]
    place: Place,
}

/// Suspends an object.
pub(crate) async fn suspend(args: &Suspend) -> Result<String> {
    let reason = args.reason.as_ref().map_or(Value::Null, |why| json!(why));
    set(&args.what, &args.place, true, &reason).await
}

/// Lets an object go on.
pub(crate) async fn resume(args: &Resume) -> Result<String> {
    set(&args.what, &args.place, false, &Value::Null).await
}

async fn set(what: &Written, place: &Place, suspend: bool, reason: &Value) -> Result<String> {
    let cluster = Cluster::connect(place).await?;
    let name = what.object(place.namespace())?;
    if matches!(name.kind.kind, "Provider" | "ExternalArtifact") {
        bail!("{name} cannot be suspended");
    }
    let object = cluster.get(&name).await?;
    let patch = json!({
        "metadata": {"annotations": {SUSPEND_REASON: reason}},
        "spec": {"suspend": suspend},
    });
    let api = cluster.api(name.kind, Some(&name.namespace));
    api.patch(&name.name, &PatchParams::default(), &Patch::Merge(patch))
        .await
        .with_context(|| format!("changing {name}"))?;
    let now = if suspend { "is suspended" } else { "goes on" };
    let mut out = format!("{name} {now}\n");
    let labels = object.metadata.labels.unwrap_or_default();
    if let (Some(owner), Some(namespace)) = (
        labels.get(kustomize::NAME),
        labels.get(kustomize::NAMESPACE),
    ) {
        writeln!(
            out,
            "note: Kustomization/{namespace}/{owner} manages it and will put back what Git says"
        )?;
    }
    Ok(out)
}
