//! Upstream's definitions, rebuilt from what is known of them.

use serde_json::{Value, json};

use crate::facts::{Facts, Fields};

/// Rebuilds upstream's definition of a kind, with all its versions served and one of them stored.
pub(crate) fn definition(facts: &Facts, storage: &str) -> Value {
    let versions = facts.versions.iter().map(|(name, version)| {
        let columns = version.columns.iter().map(|column| {
            let mut shown = json!({ "name": column[0], "jsonPath": column[1], "type": column[2] });
            if let Some(priority) = column.get(3) {
                shown["priority"] = priority.clone();
            }
            shown
        });
        let mut described = json!({
            "name": name,
            "served": true,
            "storage": name == storage,
            "deprecated": version.deprecation.is_some(),
            "additionalPrinterColumns": columns.collect::<Vec<_>>(),
            "schema": { "openAPIV3Schema": unflatten(&version.fields) },
        });
        if version.status {
            described["subresources"] = json!({ "status": {} });
        }
        if let Some(warning) = &version.deprecation {
            described["deprecationWarning"] = json!(warning);
        }
        described
    });
    let name = format!(
        "{}.{}",
        facts.names["plural"].as_str().unwrap(),
        facts.group
    );
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": name, "annotations": facts.annotations },
        "spec": {
            "group": facts.group,
            "names": facts.names,
            "scope": "Namespaced",
            "versions": versions.collect::<Vec<_>>(),
        },
    })
}

fn unflatten(fields: &Fields) -> Value {
    let mut root = json!({ "properties": {
        "apiVersion": { "type": "string" }, "kind": { "type": "string" }, "metadata": { "type": "object" },
    }});
    for (path, own) in fields {
        let mut part = &mut root;
        for step in path.split('.').filter(|step| !step.is_empty()) {
            let name = step.trim_end_matches(['[', ']', '{', '}']);
            part = &mut part["properties"][name];
            let mut marks = &step[name.len()..];
            while !marks.is_empty() {
                part = &mut part[if marks.starts_with('[') {
                    "items"
                } else {
                    "additionalProperties"
                }];
                marks = &marks[2..];
            }
        }
        for (word, value) in own {
            part[word] = value.clone();
        }
    }
    root
}
