//! `lockgate diff`: what applying a directory, a Kustomization or a HelmRelease would change. Ends as `kubectl diff` does: 0
//! nothing, 1 something, above 1 it failed.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, pinned_kind};
use serde_json::{Map, Value, json};
use similar::TextDiff;

use crate::Outcome;
use crate::build;
use crate::cluster::name::Written;
use crate::cluster::{Cluster, Place};

mod planned;
mod source;

use planned::Planned;

/// Lines around a change that are shown with it.
const CONTEXT: usize = 3;

/// What to compare.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A directory with a kustomization file, or an object: `ks/NAME`, `hr/NAME`.
    #[arg(value_name = "DIR|KIND/NAME")]
    target: String,
    /// What an object is to be built from instead of its source's artifact: a Kustomization's directory, a HelmRelease's chart.
    #[arg(long, value_name = "PATH")]
    path: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
    /// In whose name the change is tried; an object's own controller, or kustomize-controller.
    #[arg(long)]
    field_manager: Option<String>,
}

/// Runs the command.
pub(crate) async fn run(args: &Args) -> Result<Outcome> {
    let directory = Path::new(&args.target);
    let written = args.target.parse::<Written>();
    let (planned, cluster) = match written {
        Ok(written) if !directory.is_dir() => {
            let cluster = Cluster::connect(&args.place).await?;
            let name = written.object(args.place.namespace())?;
            let planned = planned::of(&cluster, &name, args.path.as_deref()).await;
            (planned.with_context(|| name.to_string())?, cluster)
        }
        _ => {
            ensure!(args.path.is_none(), "--path is for KIND/NAME");
            let objects = build::objects(directory)?;
            let namespace = args.place.namespace.as_deref().unwrap_or("default");
            let planned = Planned {
                objects,
                namespace: namespace.to_owned(),
                manager: kustomize_controller::FIELD_MANAGER,
                gone: Vec::new(),
                sealed: Vec::new(),
            };
            (planned, Cluster::connect(&args.place).await?)
        }
    };
    for sealed in &planned.sealed {
        // A remark that cannot be written is no reason to fail.
        writeln!(
            std::io::stderr().lock(),
            "{sealed} is encrypted: not compared"
        )
        .ok();
    }
    let manager = args.field_manager.as_deref().unwrap_or(planned.manager);
    let mut out = String::new();
    for object in &planned.objects {
        out += &one(&cluster, object, &planned.namespace, manager).await?;
    }
    for (gvk, id) in &planned.gone {
        out += &deleted(&cluster, gvk, id).await?;
    }
    let code = u8::from(!out.is_empty());
    Ok(Outcome { out, code })
}

/// Shows an object that would be deleted; nothing where it is gone or kept.
async fn deleted(
    cluster: &Cluster,
    gvk: &manifest::GroupVersionKind,
    id: &manifest::ObjectId,
) -> Result<String> {
    let place = format!("{}/{}", id.kind, id.name);
    let gvk = GroupVersionKind::gvk(&gvk.group, &gvk.version, &gvk.kind);
    let Some((resource, _)) = served(cluster, &gvk, &place).await? else {
        return Ok(String::new());
    };
    let namespace = Some(id.namespace.as_str()).filter(|namespace| !namespace.is_empty());
    let live = access(cluster, namespace, &resource)
        .get_opt(&id.name)
        .await;
    let live = live.with_context(|| format!("reading {place}"))?;
    let Some(live) = live.map(|live| json!(live)).filter(|live| !is_kept(live)) else {
        return Ok(String::new());
    };
    Ok(unified(&place, Some(&live), None))
}

/// Whether a live object says that it is to stay.
fn is_kept(live: &Value) -> bool {
    let prune = format!("{}/prune", kustomize_controller::GROUP);
    let says = |key: &str, word: &str| {
        let found =
            manifest::object::annotation(live, key).or_else(|| manifest::object::label(live, key));
        found.is_some_and(|found| found.trim().eq_ignore_ascii_case(word))
    };
    says(&prune, "disabled") || says("helm.sh/resource-policy", "keep")
}

/// Finds out how a kind is served; `None` where it is not: its definition may be among what is applied.
async fn served(
    cluster: &Cluster,
    gvk: &GroupVersionKind,
    place: &str,
) -> Result<Option<(ApiResource, kube::discovery::ApiCapabilities)>> {
    match pinned_kind(&cluster.client, gvk).await {
        Ok(found) => Ok(Some(found)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(kube::Error::Discovery(_)) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("looking for the kind of {place}")),
    }
}

/// Tries an object in the cluster without changing anything and returns how it would differ.
async fn one(cluster: &Cluster, object: &Value, home: &str, manager: &str) -> Result<String> {
    let text = |pointer: &str| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let (group, version) = text("/apiVersion")
        .split_once('/')
        .unwrap_or(("", text("/apiVersion")));
    let gvk = GroupVersionKind::gvk(group, version, text("/kind"));
    let name = text("/metadata/name");
    let place = format!("{}/{name}", text("/kind"));
    let found = served(cluster, &gvk, &place).await?;
    let Some((resource, capabilities)) = found else {
        return Ok(unified(&place, None, Some(object)));
    };
    let namespace = match (text("/metadata/namespace"), capabilities.scope) {
        (_, Scope::Cluster) => None,
        ("", Scope::Namespaced) => Some(home),
        (namespace, Scope::Namespaced) => Some(namespace),
    };
    let api = access(cluster, namespace, &resource);
    let live = api
        .get_opt(name)
        .await
        .with_context(|| format!("reading {place}"))?;
    if live.as_ref().is_some_and(|_| is_only_created(object)) {
        return Ok(String::new());
    }
    let params = PatchParams {
        dry_run: true,
        ..PatchParams::apply(manager).force()
    };
    let tried = api.patch(name, &params, &Patch::Apply(object)).await;
    let merged = match tried {
        Ok(merged) => Some(json!(merged)),
        // Its namespace may be among what is applied.
        Err(kube::Error::Api(status)) if status.code == 404 && live.is_none() => {
            Some(object.clone())
        }
        Err(error) => return Err(error).with_context(|| format!("trying {place}")),
    };
    let live = live.map(|live| json!(live));
    Ok(unified(&place, live.as_ref(), merged.as_ref()))
}

/// Whether an object is left alone once it is there.
fn is_only_created(object: &Value) -> bool {
    let key = format!("{}/ssa", kustomize_controller::GROUP);
    let found = manifest::object::annotation(object, &key);
    found.is_some_and(|found| found.eq_ignore_ascii_case("IfNotPresent"))
}

fn access(
    cluster: &Cluster,
    namespace: Option<&str>,
    resource: &ApiResource,
) -> Api<DynamicObject> {
    match namespace {
        Some(namespace) => Api::namespaced_with(cluster.client.clone(), namespace, resource),
        None => Api::all_with(cluster.client.clone(), resource),
    }
}

/// Returns a unified diff; empty where both are the same to a user.
fn unified(place: &str, live: Option<&Value>, merged: Option<&Value>) -> String {
    let (live, merged) = masked(live, merged);
    let print = |value: Option<Value>| {
        value.map_or_else(String::new, |value| {
            yaml::emit::v2(&yaml::from_json(&value)).unwrap_or_else(|error| error.to_string())
        })
    };
    let (live, merged) = (print(live), print(merged));
    if live == merged {
        return String::new();
    }
    let diff = TextDiff::from_lines(&live, &merged);
    let mut shown = diff.unified_diff();
    shown
        .context_radius(CONTEXT)
        .header(&format!("live/{place}"), &format!("merged/{place}"))
        .to_string()
}

/// Takes out what the server writes by itself, and hides what Secrets hold: two values that differ stay different.
fn masked(live: Option<&Value>, merged: Option<&Value>) -> (Option<Value>, Option<Value>) {
    let clean = |value: Option<&Value>| {
        let mut value = value.cloned()?;
        if let Some(object) = value.as_object_mut() {
            object.remove("status");
        }
        if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            for key in [
                "managedFields",
                "resourceVersion",
                "generation",
                "uid",
                "creationTimestamp",
                "selfLink",
            ] {
                metadata.remove(key);
            }
        }
        Some(value)
    };
    let (mut live, mut merged) = (clean(live), clean(merged));
    let is_secret = |value: &Option<Value>| {
        value
            .as_ref()
            .is_some_and(|value| value["kind"] == "Secret")
    };
    if is_secret(&live) || is_secret(&merged) {
        for field in ["data", "stringData"] {
            let before = live
                .as_ref()
                .and_then(|value| value[field].as_object().cloned());
            let before = before.unwrap_or_default();
            hide(live.as_mut(), field, |_, _| "*** (before)");
            hide(merged.as_mut(), field, |key, value| {
                if before.get(key) == Some(value) {
                    "*** (before)"
                } else {
                    "*** (after)"
                }
            });
        }
    }
    (live, merged)
}

fn hide(object: Option<&mut Value>, field: &str, word: impl Fn(&str, &Value) -> &'static str) {
    let found = object
        .and_then(|object| object.get_mut(field))
        .and_then(Value::as_object_mut);
    if let Some(values) = found {
        let hidden: Map<String, Value> = values
            .iter()
            .map(|(key, value)| (key.clone(), json!(word(key, value))))
            .collect();
        *values = hidden;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_writes_by_itself_is_no_difference() {
        let live = json!({"kind": "ConfigMap", "metadata": {"name": "a", "uid": "1", "resourceVersion": "5", "managedFields": []},
            "data": {"x": "1"}, "status": {}});
        let merged = json!({"kind": "ConfigMap", "metadata": {"name": "a", "resourceVersion": "6"}, "data": {"x": "1"}});
        assert_eq!(unified("ConfigMap/a", Some(&live), Some(&merged)), "");
        let changed = json!({"kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "2"}});
        let shown = unified("ConfigMap/a", Some(&live), Some(&changed));
        assert!(
            shown.starts_with("--- live/ConfigMap/a\n+++ merged/ConfigMap/a\n"),
            "{shown}"
        );
        assert!(shown.contains("-  x: \"1\"\n+  x: \"2\"\n"), "{shown}");
    }

    #[test]
    fn secrets_show_that_they_change_and_not_what_they_hold() {
        let secret = |value: &str| json!({"kind": "Secret", "metadata": {"name": "a"}, "data": {"k": value, "same": "c2FtZQ=="}});
        let shown = unified("Secret/a", Some(&secret("b25l")), Some(&secret("dHdv")));
        assert!(
            shown.contains("-  k: '*** (before)'\n+  k: '*** (after)'\n"),
            "{shown}"
        );
        assert!(
            !shown.contains("b25l") && !shown.contains("dHdv") && !shown.contains("c2FtZQ"),
            "{shown}"
        );
        assert_eq!(
            unified("Secret/a", Some(&secret("b25l")), Some(&secret("b25l"))),
            ""
        );
    }
}
