//! Whether the Kustomizations that one depends on are ready for it. Pure.

use api::{Reconciled, kustomize::Kustomization};
use kube::ResourceExt;

use super::source::{Reference, same_revision};

/// Checks one dependency against the object that waits for it.
///
/// Both may share a source: then the dependency must have applied the revision at hand.
///
/// # Errors
/// The sentence that Ready shows.
pub(super) fn check(
    object: &Kustomization,
    dependency: &Kustomization,
    revision: &str,
) -> Result<(), String> {
    let id = format!(
        "{}/{}",
        dependency.namespace().unwrap_or_default(),
        dependency.name_any()
    );
    let observed = dependency.observed_generation();
    let ready = dependency
        .conditions()
        .iter()
        .any(|c| c.type_ == "Ready" && c.status == "True");
    if !ready || dependency.metadata.generation != observed {
        return Err(format!("dependency '{id}' is not ready"));
    }
    let applied = dependency
        .status
        .as_ref()
        .and_then(|s| s.last_applied_revision.as_deref());
    let shared = Reference::of(object) == Reference::of(dependency);
    if shared && !same_revision(applied.unwrap_or_default(), revision) {
        return Err(format!("dependency '{id}' revision is not up to date"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kustomization(name: &str, source: &str, status: &serde_json::Value) -> Kustomization {
        serde_json::from_value(json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": { "name": name, "namespace": "ns", "generation": 2 },
            "spec": { "interval": "1m", "prune": true,
                "sourceRef": { "kind": "GitRepository", "name": source } },
            "status": status,
        }))
        .unwrap()
    }

    fn ready(applied: &str) -> serde_json::Value {
        json!({ "observedGeneration": 2, "lastAppliedRevision": applied, "conditions": [{
            "type": "Ready", "status": "True", "reason": "ReconciliationSucceeded", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z" }] })
    }

    #[test]
    fn dependency_of_the_same_source_must_have_the_same_revision() {
        let object = kustomization("b", "app", &json!({}));
        let old = kustomization("a", "app", &ready("main@sha1:1"));
        let verdict = check(&object, &old, "main@sha1:2").unwrap_err();
        assert_eq!(verdict, "dependency 'ns/a' revision is not up to date");
        assert_eq!(check(&object, &old, "main@sha1:1"), Ok(()));
        let other = kustomization("a", "infra", &ready("main@sha1:1"));
        assert_eq!(check(&object, &other, "main@sha1:2"), Ok(()));
    }

    #[test]
    fn dependency_that_has_not_seen_its_generation_is_not_ready() {
        let object = kustomization("b", "app", &json!({}));
        let mut dependency = kustomization("a", "infra", &ready("main@sha1:1"));
        dependency.metadata.generation = Some(3);
        let verdict = check(&object, &dependency, "main@sha1:1").unwrap_err();
        assert_eq!(verdict, "dependency 'ns/a' is not ready");
    }
}
