//! What wakes a chart beside its own changes: a new revision of its source.

use api::meta::Artifact;
use api::source::{Bucket, ChartSourceKind, GitRepository, HelmChart, HelmRepository};
use futures::StreamExt;
use futures::stream::BoxStream;
use k8s_openapi::NamespaceResourceScope;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt};
use runtime::{Triggers, watch};
use serde::de::DeserializeOwned;

type Woken = BoxStream<'static, ObjectRef<HelmChart>>;

/// Returns all triggers.
pub(super) fn all(triggers: &Triggers<HelmChart>) -> Vec<Woken> {
    vec![
        sources::<HelmRepository>(triggers, ChartSourceKind::HelmRepository, |source| {
            source.status.as_ref()?.artifact.as_ref()
        }),
        sources::<GitRepository>(triggers, ChartSourceKind::GitRepository, |source| {
            source.status.as_ref()?.artifact.as_ref()
        }),
        sources::<Bucket>(triggers, ChartSourceKind::Bucket, |source| {
            source.status.as_ref()?.artifact.as_ref()
        }),
    ]
}

fn sources<K>(
    triggers: &Triggers<HelmChart>,
    kind: ChartSourceKind,
    artifact: fn(&K) -> Option<&Artifact>,
) -> Woken
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    K: DeserializeOwned + Clone + std::fmt::Debug + Send + Sync + 'static,
{
    let store = triggers.store();
    watch::applied::<K>(triggers.client(), triggers.scope())
        .flat_map(move |source| {
            let woken = match artifact(&source) {
                Some(artifact) => {
                    let namespace = source.namespace().unwrap_or_default();
                    behind(
                        &store,
                        kind,
                        (&namespace, &source.name_any()),
                        &artifact.revision,
                    )
                }
                None => Vec::new(),
            };
            futures::stream::iter(woken)
        })
        .boxed()
}

/// Returns the charts of a source that have seen another revision of it.
fn behind(
    store: &Store<HelmChart>,
    kind: ChartSourceKind,
    (namespace, name): (&str, &str),
    revision: &str,
) -> Vec<ObjectRef<HelmChart>> {
    let hits = store.state_filter(|chart| {
        is_behind(chart, kind, name, revision) && chart.namespace().as_deref() == Some(namespace)
    });
    hits.iter()
        .map(|chart| ObjectRef::from_obj(&**chart))
        .collect()
}

fn is_behind(chart: &HelmChart, kind: ChartSourceKind, name: &str, revision: &str) -> bool {
    let reference = &chart.spec.source_ref;
    let status = chart.status.as_ref();
    let seen = status.and_then(|status| status.observed_source_artifact_revision.as_deref());
    reference.kind == kind && reference.name == name && seen != Some(revision)
}

#[cfg(test)]
mod tests {
    use api::source::{ChartSourceReference, HelmChartSpec, HelmChartStatus};

    use super::*;

    /// covers: SC-180
    #[test]
    fn only_charts_that_saw_another_revision_are_woken() {
        let mut chart = HelmChart::new(
            "x",
            HelmChartSpec {
                source_ref: ChartSourceReference {
                    api_version: None,
                    kind: ChartSourceKind::GitRepository,
                    name: "app".into(),
                },
                ..HelmChartSpec::default()
            },
        );
        let behind =
            |chart: &HelmChart, kind, name: &str| is_behind(chart, kind, name, "main@sha1:b");
        assert!(behind(&chart, ChartSourceKind::GitRepository, "app"));
        assert!(!behind(&chart, ChartSourceKind::Bucket, "app"));
        assert!(!behind(&chart, ChartSourceKind::GitRepository, "other"));
        let mut seen = |revision: &str| {
            chart.status = Some(HelmChartStatus {
                observed_source_artifact_revision: Some(revision.into()),
                ..HelmChartStatus::default()
            });
            behind(&chart, ChartSourceKind::GitRepository, "app")
        };
        assert!(seen("main@sha1:a"));
        assert!(!seen("main@sha1:b"));
    }
}
