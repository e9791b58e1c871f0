//! What a run is to bring about. Pure.

use std::sync::Arc;

use api::{
    helm::{ChartReferenceKind, HelmRelease},
    meta::{
        annotation::{FORCE_REQUEST, RESET_REQUEST},
        is_asked_for,
    },
};
use cluster::{Cluster, HealthRule};
use helm::chart::Chart;
use kube::ResourceExt;
use runtime::{Failure, conditions::READY};
use serde_json::{Map, Value};

use super::{
    chart::{self, Mutation},
    digest,
    gather::{Inputs, Settings},
    journal::Journal,
};
use crate::DigestAlgorithm;

/// What is to be released, and what is remembered of the try.
pub struct Plan {
    pub(super) journal: Journal,
    pub(super) chart: Arc<Chart>,
    pub(super) values: Map<String, Value>,
    pub(super) config_digest: String,
    pub(super) cluster: Cluster,
    pub(super) rules: Option<Arc<dyn HealthRule>>,
    /// An upgrade was asked for, whatever the state.
    pub(super) forced: bool,
    /// What Ready was before this run.
    pub(super) was_ready: bool,
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan").finish_non_exhaustive()
    }
}

/// Names the chart's version, and forgets failures that belong to other inputs.
pub(super) fn make(object: &HelmRelease, inputs: Inputs) -> Result<Plan, Failure> {
    let Inputs {
        mut journal,
        mut chart,
        kind,
        revision,
        values,
        cluster,
        rules,
        settings,
    } = inputs;
    let revision_digest = name_version(&mut chart, kind, &revision, settings, &mut journal)?;
    journal.passed(&["ChartMutateError"]);
    let text = digest::values_text(&values);
    let config_digest = digest::of(DigestAlgorithm::default(), &text);
    let generation = object.metadata.generation.unwrap_or(0);
    let status = &mut journal.status;
    let forced = requested(object, FORCE_REQUEST, &mut status.last_handled_force_at);
    let reset = requested(object, RESET_REQUEST, &mut status.last_handled_reset_at);
    let version = &chart.metadata.version;
    if let Some(why) = reset_reason(&journal, generation, version, &text, reset) {
        tracing::debug!("resetting failure counters: {why}");
        let status = &mut journal.status;
        (
            status.failures,
            status.install_failures,
            status.upgrade_failures,
        ) = (None, None, None);
    }
    let status = &mut journal.status;
    status.last_attempted_generation = Some(generation);
    status.last_attempted_revision = Some(version.clone());
    status.last_attempted_revision_digest = revision_digest;
    status.last_attempted_config_digest = Some(config_digest.clone());
    status.last_attempted_values_checksum = None;
    status.last_release_revision = None;
    let was_ready = runtime::conditions::is_true(api::Reconciled::conditions(object), READY);
    Ok(Plan {
        journal,
        chart,
        values,
        config_digest,
        cluster,
        rules,
        forced,
        was_ready,
    })
}

/// Puts the digest of a source's revision into the chart's version. Returns what is remembered of it.
fn name_version(
    chart: &mut Arc<Chart>,
    kind: ChartReferenceKind,
    revision: &str,
    settings: Settings,
    journal: &mut Journal,
) -> Result<Option<String>, Failure> {
    if !has_digest(kind, revision) {
        return Ok(None);
    }
    let version = &chart.metadata.version;
    let mutation = chart::mutate(version, revision, settings.track_digest);
    let Mutation { version, digest } = mutation.map_err(|cause| {
        journal.set(READY, "False", "ChartMutateError", cause.clone());
        journal.end(Failure::retry("ChartMutateError", cause))
    })?;
    if let Some(version) = version {
        Arc::make_mut(chart).metadata.version = version;
    }
    Ok(Some(digest))
}

/// Whether a source's revision carries a digest of the chart.
fn has_digest(kind: ChartReferenceKind, revision: &str) -> bool {
    match kind {
        ChartReferenceKind::HelmChart => false,
        ChartReferenceKind::OciRepository => true,
        ChartReferenceKind::ExternalArtifact => revision.contains(':'),
    }
}

/// Whether a user asked for something by an annotation, together with a run; remembers its value.
fn requested(object: &HelmRelease, annotation: &str, handled: &mut Option<String>) -> bool {
    let is_asked = is_asked_for(&object.metadata, annotation, handled.as_deref());
    if let Some(value) = object.annotations().get(annotation) {
        *handled = Some(value.clone());
    }
    is_asked
}

fn reset_reason(
    journal: &Journal,
    generation: i64,
    version: &str,
    values: &str,
    requested: bool,
) -> Option<&'static str> {
    let status = &journal.status;
    if status.last_attempted_generation != Some(generation) {
        return Some("generation differs from last attempt");
    }
    if status.last_attempted_revision.as_deref() != Some(version) {
        return Some("chart version differs from last attempt");
    }
    let attempted = status.attempted_config_digest();
    if !attempted.is_some_and(|attempted| digest::fits(&attempted, values)) {
        return Some("values differ from last attempt");
    }
    requested.then_some("reset requested through annotation")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use api::meta::RECONCILE_REQUEST;

    fn object(annotations: &Value, status: &Value) -> HelmRelease {
        serde_json::from_value(
            json!({ "metadata": { "name": "a", "annotations": annotations },
            "spec": { "interval": "1m" }, "status": status }),
        )
        .unwrap()
    }

    /// covers: HC-165
    #[test]
    fn failures_are_forgotten_when_an_input_changes() {
        let empty = digest::of(DigestAlgorithm::Sha256, "");
        let status = json!({ "lastAttemptedGeneration": 1, "lastAttemptedRevision": "1.0.0", "lastAttemptedConfigDigest": empty });
        let journal = Journal::new(&object(&json!({}), &status));
        let reason = |generation, version, values, requested| {
            reset_reason(&journal, generation, version, values, requested)
        };
        assert_eq!(reason(1, "1.0.0", "", false), None);
        assert_eq!(
            reason(2, "1.0.0", "", false),
            Some("generation differs from last attempt")
        );
        assert_eq!(
            reason(1, "1.1.0", "", false),
            Some("chart version differs from last attempt")
        );
        assert_eq!(
            reason(1, "1.0.0", "a: 1\n", false),
            Some("values differ from last attempt")
        );
        assert_eq!(
            reason(1, "1.0.0", "", true),
            Some("reset requested through annotation")
        );
        let old = json!({ "lastAttemptedGeneration": 1, "lastAttemptedRevision": "1.0.0",
            "lastAttemptedValuesChecksum": "da39a3ee5e6b4b0d3255bfef95601890afd80709" });
        let journal = Journal::new(&object(&json!({}), &old));
        assert_eq!(reset_reason(&journal, 1, "1.0.0", "", false), None);
    }

    #[test]
    fn annotation_counts_once_and_only_with_a_request() {
        let (force, request) = (FORCE_REQUEST, RECONCILE_REQUEST);
        let asked = object(&json!({ force: "1", request: "1" }), &json!({}));
        let mut handled = None;
        assert!(requested(&asked, force, &mut handled));
        assert!(!requested(&asked, force, &mut handled));
        let alone = object(&json!({ force: "2", request: "1" }), &json!({}));
        assert!(!requested(&alone, force, &mut handled));
        assert_eq!(handled.as_deref(), Some("2"));
    }
}
