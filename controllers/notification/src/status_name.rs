//! The name of a commit status.

use api::notification::{Alert, Provider};
use expression::Expression;
use kube::ResourceExt;
use serde_json::Value;

use crate::{
    event::Event,
    provider::{self, BuildError},
};

/// Returns the name of the commit status that an event updates: what the Provider's expression
/// makes of it, else kind, name and the first part of the Provider's uid. Empty for services
/// without commit statuses.
///
/// # Errors
/// An expression that cannot be evaluated to a text.
pub(crate) fn of(provider: &Provider, alert: &Alert, event: &Event) -> Result<String, BuildError> {
    if !provider::is_commit_status(provider.spec.kind) {
        return Ok(String::new());
    }
    let expression = provider.spec.commit_status_expr.as_deref();
    if let Some(expression) = expression.filter(|e| !e.is_empty()) {
        let made = evaluate(expression, provider, alert, event);
        return made.map_err(|cause| {
            BuildError::new(format!(
                "failed to create commit status: failed to evaluate the spec.commitStatusExpr \
                 CEL expression for the event: {cause}"
            ))
        });
    }
    let uid = provider.uid().unwrap_or_default();
    let first = uid.split('-').next().unwrap_or_default();
    let object = &event.involved_object;
    Ok(format!("{}/{}/{first}", object.kind, object.name).to_lowercase())
}

fn evaluate(
    expression: &str,
    provider: &Provider,
    alert: &Alert,
    event: &Event,
) -> Result<String, String> {
    let compiled = Expression::text(expression, &["event", "provider", "alert"])
        .map_err(|error| error.to_string())?;
    let json = |value: serde_json::Result<Value>| value.map_err(|error| error.to_string());
    let event = json(serde_json::to_value(event))?;
    let provider = json(serde_json::to_value(provider))?;
    let alert = json(serde_json::to_value(alert))?;
    let variables = [
        ("event", &event),
        ("provider", &provider),
        ("alert", &alert),
    ];
    let text = compiled.evaluate_string(&variables);
    text.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(kind: &str, expression: Option<&str>) -> Result<String, String> {
        let provider = serde_json::from_value(json!({
            "metadata": { "name": "p", "uid": "0c9c2e41-d2f9-4f9b-9c41-bebc1984d67a" },
            "spec": { "type": kind, "commitStatusExpr": expression } }))
        .unwrap();
        let alert = Alert::new("Foo", api::notification::AlertSpec::default());
        let mut event = crate::event::tests::sample("info");
        event.involved_object.kind = "Kustomization".into();
        event.involved_object.name = "gitops-system".into();
        event.metadata.insert("environment".into(), "prod".into());
        of(&provider, &alert, &event).map_err(|error| error.to_string())
    }

    /// covers: NC-065, NC-066
    #[test]
    fn name_is_kind_name_and_the_start_of_the_providers_uid() {
        assert_eq!(status("slack", None).unwrap(), "");
        let expect = "kustomization/gitops-system/0c9c2e41";
        assert_eq!(status("github", None).unwrap(), expect);
    }

    /// covers: NC-067, NC-068, NC-069
    #[test]
    fn expression_makes_the_name_of_event_provider_and_alert() {
        for (text, expect) in [
            (
                "event.involvedObject.kind + '/' + event.involvedObject.name + '/' + \
                 event.metadata.environment + '/' + provider.metadata.uid",
                "Kustomization/gitops-system/prod/0c9c2e41-d2f9-4f9b-9c41-bebc1984d67a",
            ),
            (
                "provider.metadata.uid.split('-').first().value()",
                "0c9c2e41",
            ),
            ("(alert.metadata.name + '/x').lowerAscii()", "foo/x"),
        ] {
            assert_eq!(
                status("github", Some(text)).as_deref(),
                Ok(expect),
                "{text}"
            );
        }
    }

    /// covers: NC-070
    #[test]
    fn expression_that_makes_no_text_is_an_error() {
        for text in [
            "event.metadata.notExist",
            "event.message == 'x'",
            "foo.bar + 'x'",
            "1 +",
        ] {
            let error = status("github", Some(text)).unwrap_err();
            assert!(
                error.starts_with("failed to create commit status: failed to evaluate"),
                "{error}"
            );
        }
    }
}
