//! Custom resource definitions.

use serde_json::Value;

use super::{Health, HealthError, conditions};

pub(super) fn definition(value: &Value) -> Result<Health, HealthError> {
    for condition in conditions(value)? {
        match (condition.kind, condition.status) {
            ("NamesAccepted", "False") => {
                return Ok(Health::failed(condition.reason, condition.message));
            }
            ("Established", "False") if condition.reason != "Installing" => {
                return Ok(Health::failed(condition.reason, condition.message));
            }
            ("Established", "True") => return Ok(Health::current("CRD is established")),
            _ => {}
        }
    }
    Ok(Health::in_progress("Installing", "Install in progress"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{Status, tests::check};

    /// covers: KC-115
    #[test]
    fn a_definition_is_ready_once_established() {
        let definition = |conditions: &Value| json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "status": {"conditions": conditions}});
        let condition = |kind: &str, status: &str, reason: &str| json!({"type": kind, "status": status, "reason": reason, "message": "m"});
        let installing = (Status::InProgress, "Installing", "Install in progress");
        check(&definition(&json!([])), installing);
        check(
            &definition(&json!([condition("NamesAccepted", "True", "")])),
            installing,
        );
        check(
            &definition(&json!([condition("Established", "False", "Installing")])),
            installing,
        );
        check(
            &definition(&json!([condition("Established", "False", "Broken")])),
            (Status::Failed, "Broken", "m"),
        );
        check(
            &definition(&json!([
                condition("NamesAccepted", "False", "Conflict"),
                condition("Established", "True", "")
            ])),
            (Status::Failed, "Conflict", "m"),
        );
        check(
            &definition(&json!([
                condition("NamesAccepted", "True", ""),
                condition("Established", "True", "")
            ])),
            (Status::Current, "", "CRD is established"),
        );
    }
}
