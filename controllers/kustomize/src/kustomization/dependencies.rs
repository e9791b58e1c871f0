//! Whether what a Kustomization depends on is ready for it. Pure.

use api::{Reconciled, kustomize::Kustomization, meta::DependencyReference};
use expression::{CompileError, Expression};
use kube::ResourceExt;
use manifest::health::{self, Status};
use serde_json::Value;

use super::source::{Reference, same_revision};

/// What is asked of a dependency, with its expression compiled.
#[derive(Debug)]
pub(super) struct Dependency {
    /// The namespace; the dependant's own where none is named.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The type, where it is no Kustomization: apiVersion and kind.
    pub foreign: Option<(String, String)>,
    ready: Option<Expression>,
}

/// Why a dependency does not let its dependant go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Blocked {
    /// It is not ready; the sentence that Ready shows.
    NotReady(String),
    /// The expression came to no result; the sentence that Ready shows.
    Failed(String),
}

impl Dependency {
    /// Reads a reference.
    ///
    /// # Errors
    /// The expression cannot be used.
    pub(super) fn new(
        object: &Kustomization,
        reference: &DependencyReference,
    ) -> Result<Self, CompileError> {
        let own = || object.namespace().unwrap_or_default();
        let text = |field: &Option<String>| field.clone().filter(|t| !t.is_empty());
        let expression = text(&reference.ready_expr);
        let ready = expression.map(|e| Expression::condition(&e, &["self", "dep"]));
        Ok(Self {
            namespace: text(&reference.namespace).unwrap_or_else(own),
            name: reference.name.clone(),
            foreign: foreign(reference),
            ready: ready.transpose()?,
        })
    }

    /// Returns how messages name it.
    pub(super) fn id(&self) -> String {
        match &self.foreign {
            Some((_, kind)) => format!("{kind}/{}/{}", self.namespace, self.name),
            None => format!("{}/{}", self.namespace, self.name),
        }
    }

    /// Checks a Kustomization that is depended on. `additive`: the built-in rules count also where
    /// there is an expression.
    ///
    /// # Errors
    /// Why it is not ready.
    pub(super) fn check(
        &self,
        object: &Kustomization,
        found: &Value,
        revision: &str,
        additive: bool,
    ) -> Result<(), Blocked> {
        let id = self.id();
        if let Some(expression) = &self.ready {
            let own =
                serde_json::to_value(object).map_err(|error| Blocked::Failed(error.to_string()))?;
            let is_ready = expression
                .evaluate_bool(&[("self", &own), ("dep", found)])
                .map_err(|error| Blocked::Failed(format!("dependency '{id}' {error}")))?;
            if !is_ready {
                return Err(Blocked::NotReady(format!(
                    "dependency '{id}' is not ready according to readyExpr eval"
                )));
            }
            if !additive {
                return Ok(());
            }
        }
        let verdict = match self.foreign {
            Some(_) => foreign_is_ready(&id, found),
            None => kustomization_is_ready(object, found, &id, revision),
        };
        verdict.map_err(Blocked::NotReady)
    }
}

/// The type of a dependency that is no Kustomization.
fn foreign(reference: &DependencyReference) -> Option<(String, String)> {
    let kind = reference.kind.clone().filter(|k| !k.is_empty())?;
    let version = reference.api_version.clone().unwrap_or_default();
    let version = match (version.as_str(), kind.as_str()) {
        ("", "HelmRelease") => "helm.toolkit.fluxcd.io/v2".to_owned(),
        ("", "GitRepository" | "OCIRepository" | "Bucket" | "HelmRepository" | "HelmChart") => {
            "source.toolkit.fluxcd.io/v1".to_owned()
        }
        _ => version,
    };
    let group = version.split_once('/').map_or("", |(group, _)| group);
    let is_own = kind == "Kustomization" && (version.is_empty() || group == crate::GROUP);
    (!is_own).then_some((version, kind))
}

/// Any other object is ready when its health says so.
fn foreign_is_ready(id: &str, found: &Value) -> Result<(), String> {
    match health::evaluate(found, jiff::Timestamp::now()) {
        Ok(health) if health.status == Status::Current => Ok(()),
        Ok(health) => Err(format!(
            "dependency '{id}' is not ready: {}",
            health.message
        )),
        Err(error) => Err(format!("dependency '{id}' is not ready: {error}")),
    }
}

/// Both may share a source: then the dependency must have applied the revision at hand.
fn kustomization_is_ready(
    object: &Kustomization,
    found: &Value,
    id: &str,
    revision: &str,
) -> Result<(), String> {
    let not_ready = || format!("dependency '{id}' is not ready");
    let dependency: Kustomization =
        serde_json::from_value(found.clone()).map_err(|_| not_ready())?;
    let observed = dependency.observed_generation();
    let ready = dependency
        .conditions()
        .iter()
        .any(|c| c.type_ == "Ready" && c.status == "True");
    if !ready || dependency.metadata.generation != observed {
        return Err(not_ready());
    }
    let applied = dependency
        .status
        .as_ref()
        .and_then(|s| s.last_applied_revision.as_deref());
    let shared = Reference::of(object) == Reference::of(&dependency);
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

    fn check(
        object: &Kustomization,
        reference: &serde_json::Value,
        found: &Kustomization,
        revision: &str,
    ) -> Result<(), Blocked> {
        let reference: DependencyReference = serde_json::from_value(reference.clone()).unwrap();
        let dependency = Dependency::new(object, &reference).unwrap();
        dependency.check(
            object,
            &serde_json::to_value(found).unwrap(),
            revision,
            false,
        )
    }

    fn not_ready(message: &str) -> Result<(), Blocked> {
        Err(Blocked::NotReady(message.to_owned()))
    }

    /// covers: KC-018
    #[test]
    fn dependency_of_the_same_source_must_have_the_same_revision() {
        let object = kustomization("b", "app", &json!({}));
        let old = kustomization("a", "app", &ready("main@sha1:1"));
        let by_name = json!({ "name": "a" });
        assert_eq!(
            check(&object, &by_name, &old, "main@sha1:2"),
            not_ready("dependency 'ns/a' revision is not up to date")
        );
        assert_eq!(check(&object, &by_name, &old, "main@sha1:1"), Ok(()));
        let other = kustomization("a", "infra", &ready("main@sha1:1"));
        assert_eq!(check(&object, &by_name, &other, "main@sha1:2"), Ok(()));
    }

    #[test]
    fn dependency_that_has_not_seen_its_generation_is_not_ready() {
        let object = kustomization("b", "app", &json!({}));
        let mut dependency = kustomization("a", "infra", &ready("main@sha1:1"));
        dependency.metadata.generation = Some(3);
        assert_eq!(
            check(&object, &json!({ "name": "a" }), &dependency, "main@sha1:1"),
            not_ready("dependency 'ns/a' is not ready")
        );
    }

    /// covers: KC-019, KC-020
    #[test]
    fn expression_takes_the_place_of_the_built_in_rules() {
        let object = kustomization("b", "app", &json!({}));
        let never_ran = kustomization("a", "infra", &json!({}));
        let same = json!({ "name": "a",
            "readyExpr": "self.metadata.generation == dep.metadata.generation" });
        assert_eq!(check(&object, &same, &never_ran, "x"), Ok(()));
        let other = json!({ "name": "a", "readyExpr": "dep.metadata.generation > 2" });
        let text = "dependency 'ns/a' is not ready according to readyExpr eval";
        assert_eq!(check(&object, &other, &never_ran, "x"), not_ready(text));
        let broken = json!({ "name": "a", "readyExpr": "dep.status.x == 1" });
        let verdict = check(&object, &broken, &never_ran, "x");
        assert!(matches!(verdict, Err(Blocked::Failed(_))), "{verdict:?}");
    }

    #[test]
    fn other_kinds_are_ready_when_their_health_says_so() {
        let object = kustomization("b", "app", &json!({}));
        let reference = json!({ "kind": "HelmRelease", "name": "db" });
        let reference: DependencyReference = serde_json::from_value(reference).unwrap();
        let dependency = Dependency::new(&object, &reference).unwrap();
        let version = "helm.toolkit.fluxcd.io/v2".to_owned();
        assert_eq!(dependency.foreign, Some((version, "HelmRelease".into())));
        let release = |status: &str| {
            json!({ "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
                "metadata": { "name": "db", "namespace": "ns" },
                "status": { "conditions": [{ "type": "Ready", "status": status,
                    "reason": "X", "message": "busy" }] } })
        };
        let check = |status| dependency.check(&object, &release(status), "x", false);
        assert_eq!(check("True"), Ok(()));
        let text = "dependency 'HelmRelease/ns/db' is not ready: busy";
        assert_eq!(check("False"), not_ready(text));
    }
}
