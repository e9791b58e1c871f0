//! Whether the HelmReleases that one depends on are ready for it. Pure.

use api::{helm::HelmRelease, meta::DependencyReference};
use expression::Expression;
use manifest::object;
use serde_json::Value;

/// Why a release has to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NotReady {
    /// It may become ready.
    Yet(String),
    /// Its expression can never be evaluated.
    Never(String),
}

/// Checks one dependency of a release. `additive` makes the built-in check beside an expression.
pub(super) fn check(
    object: &HelmRelease,
    reference: &DependencyReference,
    dependency: &Value,
    additive: bool,
) -> Result<(), NotReady> {
    let (namespace, name) = (object::namespace(dependency), object::name(dependency));
    let id = format!("{namespace}/{name}");
    let expression = reference.ready_expr.as_deref().filter(|e| !e.is_empty());
    if let Some(text) = expression {
        if !evaluate(text, object, dependency, &reference.name)? {
            let words = format!("dependency '{id}' is not ready according to readyExpr eval");
            return Err(NotReady::Yet(words));
        }
        if !additive {
            return Ok(());
        }
    }
    if is_ready(dependency) {
        Ok(())
    } else {
        Err(NotReady::Yet(format!("dependency '{id}' is not ready")))
    }
}

/// Whether an object is Ready in its newest generation.
fn is_ready(dependency: &Value) -> bool {
    let conditions = object::at(dependency, &["status", "conditions"]).and_then(Value::as_array);
    let mut conditions = conditions.into_iter().flatten();
    let ready = conditions.any(|c| c["type"] == "Ready" && c["status"] == "True");
    let generation = object::int_at(dependency, &["metadata", "generation"]);
    ready && generation == object::int_at(dependency, &["status", "observedGeneration"])
}

fn evaluate(
    text: &str,
    object: &HelmRelease,
    dependency: &Value,
    name: &str,
) -> Result<bool, NotReady> {
    let expression = Expression::condition(text, &["self", "dep"]).map_err(|error| {
        NotReady::Never(format!("failed to evaluate dependency {name}: {error}"))
    })?;
    let own = serde_json::to_value(object).unwrap_or(Value::Null);
    let variables = [("self", &own), ("dep", dependency)];
    let result = expression.evaluate_bool(&variables);
    result.map_err(|error| NotReady::Yet(error.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn release(name: &str, label: Option<&str>, ready: &str, observed: i64) -> HelmRelease {
        let labels = label.map(|l| json!({ "go": l }));
        serde_json::from_value(json!({ "metadata": { "name": name, "namespace": "ns", "generation": 2, "labels": labels },
            "spec": { "interval": "1m" }, "status": { "observedGeneration": observed, "conditions": [{
                "type": "Ready", "status": ready, "reason": "X", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z" }] } }))
        .unwrap()
    }

    fn reference(expression: &str) -> DependencyReference {
        serde_json::from_value(json!({ "name": "a", "readyExpr": expression })).unwrap()
    }

    /// covers: HC-161
    #[test]
    fn dependency_is_ready_by_its_status_or_by_an_expression() {
        let object = release("b", Some("1"), "True", 2);
        let checked = |reference: &DependencyReference, dependency: &HelmRelease, additive| {
            let dependency = serde_json::to_value(dependency).unwrap();
            check(&object, reference, &dependency, additive)
        };
        let plain = reference("");
        assert_eq!(
            checked(&plain, &release("a", None, "True", 2), false),
            Ok(())
        );
        let not = |words: &str| Err(NotReady::Yet(words.to_owned()));
        assert_eq!(
            checked(&plain, &release("a", None, "False", 2), false),
            not("dependency 'ns/a' is not ready")
        );
        assert_eq!(
            checked(&plain, &release("a", None, "True", 1), false),
            not("dependency 'ns/a' is not ready")
        );
        let same = reference("dep.metadata.labels['go'] == self.metadata.labels['go']");
        assert_eq!(
            checked(&same, &release("a", Some("1"), "False", 1), false),
            Ok(())
        );
        assert_eq!(
            checked(&same, &release("a", Some("1"), "False", 1), true),
            not("dependency 'ns/a' is not ready")
        );
        assert_eq!(
            checked(&same, &release("a", Some("2"), "True", 2), false),
            not("dependency 'ns/a' is not ready according to readyExpr eval")
        );
        let broken = checked(
            &reference("dep.metadata.name +"),
            &release("a", None, "True", 2),
            false,
        );
        let Err(NotReady::Never(words)) = broken else {
            panic!("terminal")
        };
        assert!(
            words
                .starts_with("failed to evaluate dependency a: failed to parse the CEL expression"),
            "{words}"
        );
    }
}
