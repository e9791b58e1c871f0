//! Rules of health that a release brings along, as expressions.

use std::sync::Arc;

use api::helm::HelmRelease;
use cluster::HealthRule;
use expression::health::{RuleError, RuleSpec, Rules, Verdict};
use manifest::health::{Health, Status};
use serde_json::Value;

/// Compiles the rules of a release; none where it has none.
///
/// # Errors
/// The first rule that cannot be used.
pub(super) fn rules(object: &HelmRelease) -> Result<Option<Arc<dyn HealthRule>>, RuleError> {
    let text = |t: &Option<String>| t.clone().unwrap_or_default();
    let spec = |e: &api::kustomize::HealthCheckExpression| RuleSpec {
        group: e
            .api_version
            .rsplit_once('/')
            .map_or("", |(group, _)| group)
            .to_owned(),
        kind: text(&e.kind),
        current: e.current.clone(),
        in_progress: text(&e.in_progress),
        failed: text(&e.failed),
    };
    let specs: Vec<_> = object.spec.health_check_exprs.iter().map(spec).collect();
    let rules = Rules::new(&specs)?;
    Ok((!rules.is_empty()).then(|| Arc::new(Judge(rules)) as Arc<dyn HealthRule>))
}

struct Judge(Rules);

impl HealthRule for Judge {
    fn evaluate(&self, object: &Value) -> Option<Result<Health, String>> {
        let verdict = self.0.judge(object)?;
        Some(verdict.map(|verdict| {
            let (status, message) = match verdict {
                Verdict::InProgress => (Status::InProgress, "Resource is in progress"),
                Verdict::Failed => (Status::Failed, "Resource has failed"),
                Verdict::Current => (Status::Current, "Resource is current"),
            };
            Health {
                status,
                reason: String::new(),
                message: message.to_owned(),
            }
        }))
    }
}
