//! What wakes a HelmRelease beside its own changes: its source, a dependency that became ready,
//! values that changed.

use std::{collections::HashMap, sync::Arc};

use api::{
    Reconciled,
    helm::{ChartReferenceKind, HelmRelease},
    kustomize::SubstituteKind,
};
use futures::{StreamExt, stream::BoxStream};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Resource, ResourceExt,
    api::{DynamicObject, PartialObjectMeta},
    runtime::reflector::ObjectRef,
};
use runtime::{Triggers, conditions, watch};

use super::{
    attempts::Attempts,
    source::{self, Reference, kind_name},
};

/// A stream of HelmReleases to reconcile.
type Woken = BoxStream<'static, ObjectRef<HelmRelease>>;

const KINDS: [ChartReferenceKind; 3] = [
    ChartReferenceKind::HelmChart,
    ChartReferenceKind::OciRepository,
    ChartReferenceKind::ExternalArtifact,
];

/// Returns all triggers. `configs` selects the ConfigMaps and Secrets that are watched, if any are.
pub(super) fn all(
    triggers: &Triggers<HelmRelease>,
    external: bool,
    configs: Option<&str>,
    attempts: &Arc<Attempts>,
) -> Vec<Woken> {
    let mut streams: Vec<Woken> = KINDS
        .into_iter()
        .filter(|kind| *kind != ChartReferenceKind::ExternalArtifact || external)
        .map(|kind| sources(triggers, kind, Arc::clone(attempts)))
        .collect();
    streams.push(dependants(triggers));
    if let Some(selector) = configs {
        streams.push(self::configs::<ConfigMap>(
            triggers,
            selector,
            SubstituteKind::ConfigMap,
        ));
        streams.push(self::configs::<Secret>(
            triggers,
            selector,
            SubstituteKind::Secret,
        ));
    }
    streams
}

fn everywhere(triggers: &Triggers<HelmRelease>) -> watch::Scope {
    watch::Scope {
        selector: None,
        ..triggers.scope().clone()
    }
}

/// What of a source matters to those that wait for it.
fn aspect(source: &DynamicObject) -> String {
    let status = source.data.get("status");
    let of = |key: &str| {
        status
            .and_then(|s| s.get(key))
            .map(ToString::to_string)
            .unwrap_or_default()
    };
    let conditions = status
        .and_then(|s| s.get("conditions"))
        .and_then(|c| c.as_array());
    let words: Vec<_> = conditions
        .into_iter()
        .flatten()
        .filter(|c| c["type"] == "Ready" || c["type"] == "Stalled")
        .map(|c| format!("{}{}{}", c["type"], c["status"], c["message"]))
        .collect();
    let artifact = source::artifact(source).map(|a| format!("{} {}", a.revision, a.digest));
    format!(
        "{} {} {words:?}",
        artifact.unwrap_or_default(),
        of("observedGeneration")
    )
}

/// A source has news: a revision, or another state of readiness.
fn sources(
    triggers: &Triggers<HelmRelease>,
    kind: ChartReferenceKind,
    attempts: Arc<Attempts>,
) -> Woken {
    let (store, running) = (triggers.store(), triggers.running());
    let mut told: HashMap<(String, String), String> = HashMap::new();
    watch::applied_dynamic(
        triggers.client(),
        &everywhere(triggers),
        source::resource(kind),
    )
    .flat_map(move |source| {
        let id = (source.namespace().unwrap_or_default(), source.name_any());
        let reference = Reference {
            kind,
            namespace: id.0.clone(),
            name: id.1.clone(),
        };
        let aspect = aspect(&source);
        let is_news = told.insert(id, aspect.clone()).as_ref() != Some(&aspect);
        let hits = if is_news {
            store.state_filter(|o| reference.is_of(o))
        } else {
            Vec::new()
        };
        let artifact = source::artifact(&source);
        let woken: Vec<_> = hits
            .into_iter()
            .filter(|o| !artifact.as_ref().is_some_and(|a| attempts.knows(o, a)))
            .filter(|o| concerns(o, kind, &source, artifact.as_ref()))
            .map(|o| ObjectRef::from_obj(&*o))
            .collect();
        let by = format!(
            "{}/{}/{}",
            kind_name(kind),
            reference.namespace,
            reference.name
        );
        for object in &woken {
            // The watch may only now show the revision that a run has read already.
            let is_other = |a: &api::meta::Artifact| attempts.differ(object, a);
            if artifact.as_ref().is_some_and(is_other) {
                running.supersede(object, &by);
            }
        }
        futures::stream::iter(woken)
    })
    .boxed()
}

/// Whether a source's news matter to a release: it waits for the source, or there is a revision that
/// it has not tried.
fn concerns(
    object: &HelmRelease,
    kind: ChartReferenceKind,
    source: &DynamicObject,
    artifact: Option<&api::meta::Artifact>,
) -> bool {
    let ready = conditions::find(object.conditions(), "Ready");
    let waits =
        ready.is_none_or(|c| matches!(c.reason.as_str(), "SourceNotReady" | "ArtifactFailed"));
    if waits {
        return true;
    }
    let Some(artifact) = artifact else {
        return false;
    };
    let status = object.status.as_ref();
    let tried = match kind {
        ChartReferenceKind::HelmChart => {
            let revision = status.and_then(|s| s.last_attempted_revision.as_deref());
            revision == Some(artifact.revision.as_str())
        }
        ChartReferenceKind::OciRepository | ChartReferenceKind::ExternalArtifact => {
            let digest = status.and_then(|s| s.last_attempted_revision_digest.as_deref());
            let own = artifact.revision.rsplit('@').next().unwrap_or_default();
            digest.is_some_and(|d| d == own || d == artifact.revision)
        }
    };
    let unseen = status.and_then(|s| s.observed_generation) != object.metadata.generation;
    let is_up_to_date = source::ready(
        &Reference {
            kind,
            namespace: source.namespace().unwrap_or_default(),
            name: source.name_any(),
        },
        source,
    )
    .is_ok();
    !tried || (unseen && is_up_to_date)
}

/// A dependency became ready: those that wait for it need not poll.
fn dependants(triggers: &Triggers<HelmRelease>) -> Woken {
    let store = triggers.store();
    let mut told: HashMap<(String, String), Option<i64>> = HashMap::new();
    watch::applied::<HelmRelease>(triggers.client(), &everywhere(triggers))
        .flat_map(move |object| {
            let id = (object.namespace().unwrap_or_default(), object.name_any());
            let ready = conditions::is_true(object.conditions(), "Ready");
            let now = object.observed_generation().filter(|_| ready);
            let is_news = told.insert(id.clone(), now) != Some(now);
            let hits = if is_news {
                store.state_filter(|o| needs(o, &id) && waits(o))
            } else {
                Vec::new()
            };
            futures::stream::iter(hits.into_iter().map(|o| ObjectRef::from_obj(&*o)))
        })
        .boxed()
}

fn needs(object: &HelmRelease, id: &(String, String)) -> bool {
    let own = object.metadata.namespace.as_deref().unwrap_or_default();
    object.spec.depends_on.iter().any(|d| {
        let is_release = d
            .kind
            .as_deref()
            .is_none_or(|k| k.is_empty() || k == "HelmRelease");
        is_release && d.name == id.1 && d.namespace.as_deref().unwrap_or(own) == id.0
    })
}

fn waits(object: &HelmRelease) -> bool {
    let ready = conditions::find(object.conditions(), "Ready");
    ready.is_some_and(|c| c.reason == "DependencyNotReady")
}

/// A ConfigMap or Secret with the watch label changed; only its metadata is watched.
fn configs<K>(triggers: &Triggers<HelmRelease>, selector: &str, kind: SubstituteKind) -> Woken
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    K: Clone + std::fmt::Debug + Send + Sync + 'static,
{
    let store = triggers.store();
    let scope = watch::Scope {
        selector: Some(selector.to_owned()).filter(|s| !s.is_empty()),
        ..triggers.scope().clone()
    };
    watch::touched::<PartialObjectMeta<K>>(triggers.client(), &scope)
        .flat_map(move |config| {
            let (namespace, name) = (config.namespace(), config.name_any());
            let names = |o: &HelmRelease| {
                let by_values = o
                    .spec
                    .values_from
                    .iter()
                    .any(|r| r.kind == kind && r.name == name);
                let config = o
                    .spec
                    .kube_config
                    .as_ref()
                    .and_then(|k| k.secret_ref.as_ref());
                let identity = o
                    .spec
                    .kube_config
                    .as_ref()
                    .and_then(|k| k.config_map_ref.as_ref());
                by_values
                    || kind == SubstituteKind::Secret && config.is_some_and(|c| c.name == name)
                    || kind == SubstituteKind::ConfigMap && identity.is_some_and(|c| c.name == name)
            };
            let hits = store.state_filter(|o| o.metadata.namespace == namespace && names(o));
            futures::stream::iter(hits.into_iter().map(|o| ObjectRef::from_obj(&*o)))
        })
        .boxed()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn release(ready: &str, generation: i64, status: &Value) -> HelmRelease {
        let is_ready = if ready == "Fine" { "True" } else { "False" };
        let mut full = json!({ "observedGeneration": 1, "conditions": [{ "type": "Ready",
            "status": is_ready, "reason": ready, "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z" }] });
        full.as_object_mut()
            .unwrap()
            .extend(status.as_object().unwrap().clone());
        serde_json::from_value(json!({
            "metadata": { "name": "app", "namespace": "ns", "generation": generation },
            "spec": { "interval": "1m" }, "status": full }))
        .unwrap()
    }

    fn source(revision: Option<&str>) -> DynamicObject {
        let mut status = json!({ "observedGeneration": 1 });
        if let Some(revision) = revision {
            status["artifact"] = json!({ "url": "http://x/y", "path": "y", "revision": revision,
                "digest": "sha256:0", "size": 1, "lastUpdateTime": "2026-01-01T00:00:00Z" });
        }
        serde_json::from_value(json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmChart",
            "metadata": { "name": "app", "namespace": "ns", "generation": 1 }, "status": status }))
        .unwrap()
    }

    /// covers: HC-172
    #[test]
    fn news_of_a_source_matter_to_those_that_wait_or_have_not_tried_them() {
        use ChartReferenceKind::{HelmChart, OciRepository};
        let chart = json!({ "lastAttemptedRevision": "1.0.0" });
        let oci = json!({ "lastAttemptedRevisionDigest": "sha256:aa" });
        let none = json!({});
        let cases = [
            (HelmChart, "Fine", 1, &chart, Some("1.0.0"), false),
            (HelmChart, "Fine", 1, &chart, Some("1.0.1"), true),
            (HelmChart, "Fine", 1, &chart, None, false),
            // A generation that no run has answered may have been waiting for this.
            (HelmChart, "Fine", 2, &chart, Some("1.0.0"), true),
            (HelmChart, "UpgradeFailed", 1, &chart, Some("1.0.0"), false),
            (HelmChart, "UpgradeFailed", 1, &chart, Some("1.0.1"), true),
            (HelmChart, "SourceNotReady", 1, &chart, None, true),
            (HelmChart, "ArtifactFailed", 1, &chart, Some("1.0.0"), true),
            (
                OciRepository,
                "Fine",
                1,
                &oci,
                Some("1.0.0@sha256:aa"),
                false,
            ),
            (
                OciRepository,
                "Fine",
                1,
                &oci,
                Some("1.0.1@sha256:aa"),
                false,
            ),
            (
                OciRepository,
                "Fine",
                1,
                &oci,
                Some("1.0.0@sha256:bb"),
                true,
            ),
            (
                OciRepository,
                "Fine",
                1,
                &none,
                Some("1.0.0@sha256:aa"),
                true,
            ),
        ];
        for (kind, ready, generation, status, revision, expected) in cases {
            let source = source(revision);
            let artifact = source::artifact(&source);
            let object = release(ready, generation, status);
            let found = concerns(&object, kind, &source, artifact.as_ref());
            assert_eq!(
                found, expected,
                "{kind:?} {ready} {generation} {revision:?}"
            );
        }
    }
}
