//! What is told of drift.

use manifest::diff::FieldChange;

/// The longest value in an event, in characters.
const MAX_VALUE: usize = 100;

/// Words one field: where, what it was, what it is to be. Values of Secrets are masked already; those of fields with
/// telling names are masked here.
pub fn field_words(field: &FieldChange) -> String {
    let value = |value: &Option<serde_json::Value>| match value {
        None => "nothing".to_owned(),
        Some(_) if is_sensitive(&field.path) => "***".to_owned(),
        Some(value) => {
            let text = value.to_string();
            match text.char_indices().nth(MAX_VALUE) {
                Some((at, _)) => format!("{}…", &text[..at]),
                None => text,
            }
        }
    };
    format!(
        "{}: {} instead of {}",
        field.path,
        value(&field.old),
        value(&field.new)
    )
}

/// Whether a field's name says that its value is for few eyes.
fn is_sensitive(path: &str) -> bool {
    let name = path.to_ascii_lowercase();
    [
        "password",
        "passwd",
        "secret",
        "token",
        "apikey",
        "api_key",
        "api-key",
        "credential",
        "private",
    ]
    .iter()
    .any(|word| name.contains(word))
}

#[cfg(test)]
pub(super) mod tests {
    use manifest::{ObjectId, managed_fields::Editor};
    use serde_json::json;

    use super::*;
    use crate::Drift;

    pub(in crate::drift) fn id(name: &str) -> ObjectId {
        ObjectId {
            namespace: "ns".into(),
            name: name.into(),
            group: "apps".into(),
            kind: "Deployment".into(),
        }
    }

    pub(in crate::drift) fn drift(path: &str) -> Drift {
        Drift {
            id: id("web"),
            fields: vec![FieldChange {
                path: path.into(),
                old: Some(json!(5)),
                new: Some(json!(2)),
            }],
            editors: vec![Editor {
                manager: "kubectl-scale".into(),
                time: "2026-01-01T00:00:00Z".into(),
            }],
        }
    }

    #[test]
    fn field_is_told_with_both_values_unless_its_name_is_for_few_eyes() {
        let words = |path: &str| field_words(&drift(path).fields[0]);
        assert_eq!(words("/spec/replicas"), "/spec/replicas: 5 instead of 2");
        assert_eq!(
            words("/spec/adminPassword"),
            "/spec/adminPassword: *** instead of ***"
        );
    }
}
