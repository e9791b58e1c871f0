//! Reads what a run needs: the chart and its source, dependencies, values, the cluster.

use std::sync::Arc;

use api::{
    helm::{ChartReferenceKind, HelmRelease},
    meta::{Artifact, DependencyReference},
};
use cluster::{Cluster, HealthRule, Location, chain_text};
use helm::chart::Chart;
use kube::ResourceExt;
use manifest::GroupVersionKind;
use runtime::{
    Failure, Note, Progress,
    conditions::{READY, RECONCILING, STALLED},
};
use serde_json::{Map, Value};

use super::{
    Reconciler,
    chart::ChartError,
    dependencies::{self, NotReady},
    health,
    journal::Journal,
    source::{self, Reference},
    values,
};
use crate::{GROUP, features};

/// What was read.
pub struct Inputs {
    pub(super) journal: Journal,
    pub(super) chart: Arc<Chart>,
    pub(super) kind: ChartReferenceKind,
    pub(super) revision: String,
    pub(super) values: Map<String, Value>,
    pub(super) cluster: Cluster,
    pub(super) rules: Option<Arc<dyn HealthRule>>,
    pub(super) settings: Settings,
}

impl std::fmt::Debug for Inputs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inputs").finish_non_exhaustive()
    }
}

/// Settings of the controller that matter to a plan.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    /// The digest of an artifact is part of the chart's version.
    pub track_digest: bool,
}

impl Reconciler {
    /// Reads everything that a run needs.
    pub(super) async fn read(
        &self,
        object: &HelmRelease,
        progress: &Progress,
    ) -> Result<Inputs, Failure> {
        let mut journal = Journal::new(object);
        self.attempts.reading(object);
        if object.spec.chart.is_some() && object.spec.chart_ref.is_some() {
            return Err(Failure::stall("InvalidChart", "invalid Chart reference")
                .quietly()
                .verbatim());
        }
        let rules = health::rules(object);
        let rules =
            rules.map_err(|error| terminal(&mut journal, &runtime::failure::chain(&error)))?;
        let settled = self.settle_chart(object, &mut journal, progress).await;
        settled.map_err(|failure| journal.end(failure))?;
        journal.progressing("Fulfilling prerequisites");
        if is_news(object) {
            journal.write(progress).await?;
        }
        self.await_dependencies(object, &mut journal).await?;
        journal.passed(&["DependencyNotReady"]);
        let (reference, artifact) = loop {
            let found = self.source(object, &mut journal).await?;
            if self.attempts.begin(object, &found.1) {
                break found;
            }
        };
        progress.uses(&artifact);
        let values = values::compose(&self.client, object).await;
        let values = values.map_err(|cause| {
            journal.set(READY, "False", "ValuesError", cause.clone());
            journal.end(Failure::retry("ValuesError", cause))
        })?;
        journal.passed(&["ValuesError"]);
        let chart = self.chart(&reference, &artifact, &mut journal).await?;
        let cluster = self.cluster_of(object).await.map_err(|cause| {
            journal.set(READY, "False", "RESTClientError", cause.clone());
            journal.end(Failure::retry("RESTClientError", cause))
        })?;
        journal.passed(&[
            "ArtifactFailed",
            "SourceNotReady",
            "AccessDenied",
            "RESTClientError",
            "FactoryError",
            "InvalidCELExpression",
        ]);
        Ok(Inputs {
            journal,
            chart,
            kind: reference.kind,
            revision: artifact.revision,
            values,
            cluster,
            rules,
            settings: Settings {
                track_digest: !self.features.enabled(features::NO_CHART_DIGEST),
            },
        })
    }

    /// Checks the dependencies, one after the other; the first that is not ready is told.
    async fn await_dependencies(
        &self,
        object: &HelmRelease,
        journal: &mut Journal,
    ) -> Result<(), Failure> {
        for reference in &object.spec.depends_on {
            let additive = self.features.enabled(features::ADDITIVE_CEL);
            let verdict = match self.dependency(object, reference).await {
                Ok(found) => dependencies::check(object, reference, &found, additive),
                Err(cause) => Err(NotReady::Yet(cause)),
            };
            match verdict {
                Ok(()) => {}
                Err(NotReady::Never(cause)) => {
                    return Err(terminal(journal, &format!("terminal error: {cause}")));
                }
                Err(NotReady::Yet(cause)) => {
                    tracing::info!("dependencies do not meet ready condition ({cause})");
                    let note = Note::info("DependencyNotReady", cause.clone());
                    journal.set(READY, "False", "DependencyNotReady", cause.clone());
                    let wait = Failure::wait(self.requeue_dependency, "DependencyNotReady", cause);
                    return Err(journal.end(wait.note(note)));
                }
            }
        }
        Ok(())
    }

    /// Reads a dependency; of no kind it is a HelmRelease.
    async fn dependency(
        &self,
        object: &HelmRelease,
        reference: &DependencyReference,
    ) -> Result<Value, String> {
        let own = object.namespace().unwrap_or_default();
        let namespace = reference.namespace.clone().unwrap_or(own);
        let (kind, name) = (reference.kind.as_deref(), &reference.name);
        let kind = kind.filter(|k| !k.is_empty()).unwrap_or("HelmRelease");
        let version = reference.api_version.clone().unwrap_or_else(|| match kind {
            "Kustomization" => "kustomize.toolkit.fluxcd.io/v1".to_owned(),
            _ => format!("{GROUP}/v2"),
        });
        let failed =
            |cause: String| format!("unable to get '{namespace}/{name}' dependency: {cause}");
        let gvk = GroupVersionKind::new(&version, kind);
        let resource = self.clusters.home().resolve(&gvk).await;
        let resource = resource.map_err(|error| failed(chain_text(&error)))?;
        let at = Location {
            resource: &resource,
            namespace: &namespace,
            name,
        };
        let found = self
            .clusters
            .home()
            .get(&at)
            .await
            .map_err(|error| failed(chain_text(&error)))?;
        found.ok_or_else(|| {
            let (plural, group) = (&resource.plural, &resource.gvk.group);
            failed(format!("{plural}.{group} {name:?} not found"))
        })
    }

    /// Reads the source of the chart, and its artifact once it is up to date.
    async fn source(
        &self,
        object: &HelmRelease,
        journal: &mut Journal,
    ) -> Result<(Reference, Artifact), Failure> {
        let made = journal.status.helm_chart.clone();
        let Some(reference) = Reference::of(object, made.as_deref()) else {
            let words = "could not get Source object: no chart is named";
            journal.set(READY, "False", "ArtifactFailed", words);
            return Err(journal.end(Failure::retry("ArtifactFailed", words)));
        };
        self.check_access(object, &reference, journal)?;
        let found = source::api(self.client.clone(), &reference)
            .get_opt(&reference.name)
            .await;
        let found = match found {
            Ok(Some(found)) => found,
            Ok(None) => {
                let (kind, name) = (source::kind_name(reference.kind), &reference.name);
                let cause = format!("{kind}.source.toolkit.fluxcd.io {name:?} not found");
                return Err(no_source(journal, &cause));
            }
            Err(error) => return Err(no_source(journal, &runtime::failure::chain(&error))),
        };
        self.obey_for_source(object, &reference, (&found, &mut *journal))
            .await?;
        match source::ready(&reference, &found) {
            Ok(artifact) => Ok((reference, artifact)),
            Err(cause) => {
                tracing::info!("{cause}");
                journal.set(READY, "False", "SourceNotReady", cause.clone());
                let wait = Failure::wait(self.requeue_dependency, "SourceNotReady", cause);
                Err(journal.end(wait))
            }
        }
    }

    fn check_access(
        &self,
        object: &HelmRelease,
        reference: &Reference,
        journal: &mut Journal,
    ) -> Result<(), Failure> {
        let own = object.namespace().unwrap_or_default();
        let kind = source::kind_name(reference.kind);
        let checked = self
            .access
            .check(&own, kind, &reference.namespace, &reference.name);
        let gated = reference.kind == ChartReferenceKind::ExternalArtifact
            && !self.features.enabled(features::EXTERNAL_ARTIFACT);
        let cause = match checked {
            Err(denied) => denied.to_string(),
            Ok(()) if gated => {
                format!("can't access '{reference}', ExternalArtifact feature gate is disabled")
            }
            Ok(()) => return Ok(()),
        };
        journal.set(STALLED, "True", "AccessDenied", cause.clone());
        journal.set(READY, "False", "AccessDenied", cause.clone());
        journal.remove(RECONCILING);
        Err(journal.end(Failure::stall("AccessDenied", cause)))
    }

    /// Downloads the chart, or takes it from the cache.
    async fn chart(
        &self,
        reference: &Reference,
        artifact: &Artifact,
        journal: &mut Journal,
    ) -> Result<Arc<Chart>, Failure> {
        let url = self.localhost.rewrite(reference.kind, &artifact.url);
        let digest = artifact.digest().map_err(|error| {
            let cause = runtime::failure::chain(&error);
            no_chart(journal, &format!("Could not load chart: {cause}"))
        })?;
        match self.charts.get(&url, digest.as_str()).await {
            Ok(chart) => Ok(chart),
            Err(ChartError::NotFound) => {
                // The source's next status wakes this object; the delay is for one that got lost.
                let delay = self.requeue_dependency;
                let text = api::meta::Duration::from(delay);
                let words = format!("Source not ready: artifact not found. Retrying in {text}");
                journal.set(READY, "False", "ArtifactFailed", words.clone());
                Err(journal.end(Failure::wait(delay, "ArtifactFailed", words)))
            }
            Err(error) => Err(no_chart(journal, &format!("Could not load chart: {error}"))),
        }
    }
}

fn no_chart(journal: &mut Journal, words: &str) -> Failure {
    journal.set(READY, "False", "ArtifactFailed", words);
    journal.end(Failure::retry("ArtifactFailed", words))
}

fn no_source(journal: &mut Journal, cause: &str) -> Failure {
    let words = format!("could not get Source object: {cause}");
    journal.set(READY, "False", "ArtifactFailed", words.clone());
    journal.end(Failure::retry("ArtifactFailed", words).quietly())
}

/// Fails for good: only another specification can help.
pub(super) fn terminal(journal: &mut Journal, cause: &str) -> Failure {
    const REASON: &str = "InvalidCELExpression";
    let words = format!("Reconciliation failed terminally due to configuration error: {cause}");
    journal.set(STALLED, "True", REASON, words.clone());
    journal.set(READY, "False", REASON, words);
    let note = Note::error(REASON, cause);
    journal.end(Failure::stall(REASON, cause).note(note))
}

/// Whether the user wishes something that no run has answered yet, or the last one did not go well:
/// then a run says at once that it has begun.
fn is_news(object: &HelmRelease) -> bool {
    use api::Reconciled;
    let requested = object
        .annotations()
        .get(runtime::drive::REQUESTED_AT)
        .map(String::as_str);
    let is_ready = runtime::conditions::is_true(object.conditions(), READY);
    object.metadata.generation != object.observed_generation()
        || requested.unwrap_or_default() != object.last_handled_reconcile_at().unwrap_or_default()
        || !is_ready
}
