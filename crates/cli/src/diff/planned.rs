//! What a Kustomization or HelmRelease would make of its source: built by the code of the controllers.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use api::helm::{ChartReferenceKind, HelmRelease};
use api::kustomize::Kustomization;
use kube::ResourceExt as _;
use manifest::{GroupVersionKind, ObjectId, object};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::source::Source;
use crate::cluster::Cluster;
use crate::cluster::name::ObjectName;
use crate::disk;
use crate::disk_tree::DiskTree;

/// What is compared with the cluster.
#[derive(Debug)]
pub(super) struct Planned {
    /// The objects.
    pub(super) objects: Vec<Value>,
    /// Where objects go that name no namespace.
    pub(super) namespace: String,
    /// In whose name they would be applied.
    pub(super) manager: &'static str,
    /// What would be deleted.
    pub(super) gone: Vec<(GroupVersionKind, ObjectId)>,
    /// Objects that cannot be compared.
    pub(super) sealed: Vec<String>,
}

/// Builds an object's source: the files below `path`, else the artifact that its source published.
///
/// # Errors
/// What the controller would say, and where the artifact cannot be had.
pub(super) async fn of(
    cluster: &Cluster,
    name: &ObjectName,
    path: Option<&Path>,
) -> Result<Planned> {
    match name.kind.kind {
        "Kustomization" => unit(cluster, &read(cluster, name).await?, path).await,
        "HelmRelease" => release(cluster, &read(cluster, name).await?, path).await,
        kind => bail!("a {kind} applies nothing: write ks/NAME or hr/NAME, or a directory"),
    }
}

async fn read<K: DeserializeOwned>(cluster: &Cluster, name: &ObjectName) -> Result<K> {
    let found = serde_json::to_value(cluster.get(name).await?)?;
    let remote = found.pointer("/spec/kubeConfig").is_some();
    ensure!(!remote, "{name} is applied to another cluster");
    serde_json::from_value(found).with_context(|| format!("reading {name}"))
}

async fn unit(cluster: &Cluster, object: &Kustomization, path: Option<&Path>) -> Result<Planned> {
    let own = object.namespace().unwrap_or_default();
    let built = if let Some(directory) = path {
        let directory = std::path::absolute(directory)?;
        let path = directory
            .to_str()
            .context("the directory's path is not UTF-8")?;
        let limits = kustomize::Limits::default();
        let tree = DiskTree::new(limits.max_file_bytes as u64);
        let path = path.trim_start_matches('/');
        kustomize_controller::preview(&cluster.client, object, &tree, path).await
    } else {
        let reference = &object.spec.source_ref;
        let source = Source {
            kind: reference.kind.as_str(),
            namespace: reference.namespace.as_deref().unwrap_or(&own),
            name: &reference.name,
        };
        let tree = source.artifact(cluster).await?.tree()?;
        let path = object.spec.path.as_deref().unwrap_or_default();
        let path = path.trim_start_matches("./").trim_matches('/');
        kustomize_controller::preview(&cluster.client, object, &tree, path).await
    };
    let built = built.map_err(anyhow::Error::msg)?;
    let objects: Vec<_> = built
        .objects
        .into_iter()
        .filter(|it| !is_left(it))
        .collect();
    let inventory = object.status.as_ref().and_then(|s| s.inventory.as_ref());
    let entries = inventory.map(|inventory| inventory.entries.as_slice());
    let gone = match (object.spec.prune, entries) {
        (true, Some(entries)) => {
            let entries = entries.iter().map(|entry| (&*entry.id, &*entry.v));
            gone(entries, &objects, &own, &built.sealed)
        }
        _ => Vec::new(),
    };
    Ok(Planned {
        objects,
        namespace: own,
        manager: kustomize_controller::FIELD_MANAGER,
        gone,
        sealed: built.sealed,
    })
}

async fn release(cluster: &Cluster, object: &HelmRelease, path: Option<&Path>) -> Result<Planned> {
    let own = object.namespace().unwrap_or_default();
    let made = object.status.as_ref().and_then(|s| s.helm_chart.as_deref());
    let (kind, namespace, name) = match (&object.spec.chart_ref, made) {
        (Some(reference), _) => {
            let kind = match reference.kind {
                ChartReferenceKind::OciRepository => "OCIRepository",
                ChartReferenceKind::HelmChart => "HelmChart",
                ChartReferenceKind::ExternalArtifact => "ExternalArtifact",
            };
            (
                kind,
                reference.namespace.as_deref().unwrap_or(&own),
                &*reference.name,
            )
        }
        (None, Some(made)) => {
            let (namespace, name) = made.split_once('/').context("its chart has no name")?;
            ("HelmChart", namespace, name)
        }
        (None, None) => bail!("it has no chart yet: is the helm-controller there?"),
    };
    let source = Source {
        kind,
        namespace,
        name,
    };
    let artifact = source.found(cluster).await;
    let revision = artifact
        .as_ref()
        .ok()
        .map(|artifact| artifact.revision.clone());
    let named = revision.filter(|revision| kind != "HelmChart" && revision.contains(':'));
    let chart = match path {
        Some(path) => disk::chart(path)?,
        None => source.artifact(cluster).await?.chart()?,
    };
    let built = helm_controller::preview(&cluster.client, object, chart, named.as_deref()).await;
    let built = built.map_err(anyhow::Error::msg)?;
    let inventory = object.status.as_ref().and_then(|s| s.inventory.as_ref());
    let entries = inventory.map(|inventory| inventory.entries.as_slice());
    let entries = entries.unwrap_or_default().iter();
    let entries = entries.map(|entry| (&*entry.id, &*entry.v));
    // Definitions of `crds/` stay, whatever becomes of the release.
    let mut gone = gone(entries, &built.objects, &built.namespace, &[]);
    gone.retain(|(gvk, _)| gvk.kind != "CustomResourceDefinition");
    Ok(Planned {
        objects: built.objects,
        namespace: built.namespace,
        manager: helm_controller::FIELD_MANAGER,
        gone,
        sealed: Vec::new(),
    })
}

/// Whether the controller leaves an object alone.
fn is_left(value: &Value) -> bool {
    let group = kustomize_controller::GROUP;
    let says = |key: &str, word: &str| {
        let key = format!("{group}/{key}");
        let found = object::annotation(value, &key).or_else(|| object::label(value, &key));
        found.is_some_and(|found| found.eq_ignore_ascii_case(word))
    };
    says("reconcile", "disabled") || says("ssa", "ignore")
}

/// Returns what an inventory has and the objects do not.
fn gone<'e>(
    entries: impl Iterator<Item = (&'e str, &'e str)>,
    objects: &[Value],
    namespace: &str,
    sealed: &[String],
) -> Vec<(GroupVersionKind, ObjectId)> {
    let mut kept = BTreeSet::new();
    for value in objects {
        let mut id = ObjectId::of(value);
        kept.insert(id.clone());
        if id.namespace.is_empty() {
            namespace.clone_into(&mut id.namespace);
            kept.insert(id);
        }
    }
    let entries = entries.filter_map(|(id, version)| {
        let id = ObjectId::from_inventory(id).ok()?;
        let shown = format!("{}/{}/{}", id.kind, id.namespace, id.name);
        let gvk = GroupVersionKind {
            group: id.group.clone(),
            version: version.to_owned(),
            kind: id.kind.clone(),
        };
        (!kept.contains(&id) && !sealed.contains(&shown)).then_some((gvk, id))
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_inventory_alone_has_would_go() {
        let map = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
        let entries = [
            ("ns_a__ConfigMap", "v1"),
            ("ns_b__ConfigMap", "v1"),
            ("ns_s__Secret", "v1"),
        ];
        let found = gone(
            entries.into_iter(),
            &[map("a")],
            "ns",
            &["Secret/ns/s".to_owned()],
        );
        let names: Vec<_> = found.iter().map(|(_, id)| id.name.as_str()).collect();
        assert_eq!(names, ["b"]);
    }

    #[test]
    fn objects_that_say_so_are_left_alone() {
        let with = |key: &str, word: &str| json!({"metadata": {"annotations": {format!("kustomize.toolkit.fluxcd.io/{key}"): word}}});
        assert!(is_left(&with("reconcile", "disabled")));
        assert!(is_left(&with("ssa", "Ignore")));
        assert!(!is_left(&with("ssa", "Merge")));
    }
}
