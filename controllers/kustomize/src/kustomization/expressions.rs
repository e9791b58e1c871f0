//! The expressions of a Kustomization, and what becomes of one that cannot be used. Pure.

use std::sync::Arc;

use api::kustomize::Kustomization;
use expression::health::{RuleSpec, Rules};
use runtime::Failure;

/// Compiles `spec.healthCheckExprs`.
///
/// # Errors
/// An expression that cannot be used: only a change of the spec can help.
pub(super) fn health_rules(object: &Kustomization) -> Result<Arc<Rules>, Failure> {
    let specs: Vec<_> = object
        .spec
        .health_check_exprs
        .iter()
        .map(|rule| {
            let version = rule.api_version.as_str();
            let group = version.split_once('/').map_or("", |(group, _)| group);
            let text = |field: &Option<String>| field.clone().unwrap_or_default();
            RuleSpec {
                group: group.to_owned(),
                kind: text(&rule.kind),
                current: rule.current.clone(),
                in_progress: text(&rule.in_progress),
                failed: text(&rule.failed),
            }
        })
        .collect();
    let rules = Rules::new(&specs).map_err(|error| invalid(&runtime::failure::chain(&error)))?;
    Ok(Arc::new(rules))
}

/// Fails a run for an expression that cannot be used.
pub(super) fn invalid(cause: &str) -> Failure {
    let message = format!("Reconciliation failed terminally due to configuration error: {cause}");
    Failure::stall("InvalidCELExpression", message)
}

#[cfg(test)]
mod tests {
    use runtime::Class;
    use serde_json::json;

    use super::*;

    /// covers: KC-003
    #[test]
    fn rule_that_cannot_be_compiled_stalls() {
        let mut object = Kustomization::default();
        let rule = json!([{ "apiVersion": "example.com/v1", "kind": "Box", "current": "a ==" }]);
        object.spec.health_check_exprs = serde_json::from_value(rule).unwrap();
        let failure = health_rules(&object).unwrap_err();
        assert_eq!(failure.class, Class::Stall);
        assert_eq!(failure.reason, "InvalidCELExpression");
        let start = "Reconciliation failed terminally due to configuration error: failed to create \
                     custom status evaluator for healthchecks[0]: failed to parse the expression \
                     Current: failed to parse the CEL expression 'a ==': ERROR: <input>:1:";
        assert!(failure.message.starts_with(start), "{}", failure.message);
    }
}
