//! Schemas of the field types that schemars cannot derive as the API server is to see them.

use std::{borrow::Cow, fmt::Write as _};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use crate::meta::Duration;

/// Pattern of durations that users write.
pub const DURATION: &str = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$";

/// Pattern of time limits of sources, which may not be in hours.
pub const TIMEOUT: &str = r"^([0-9]+(\.[0-9]+)?(ms|s|m))+$";

/// Pattern of checksums with the name of their algorithm.
pub const DIGEST: &str = "^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$";

/// Pattern of a condition's reason.
const REASON: &str = "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$";

/// Pattern of a condition's type.
const CONDITION_TYPE: &str = concat!(
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?",
    r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"
);

impl JsonSchema for Duration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": DURATION })
    }
}

/// Returns the schema of a point in time.
#[must_use]
pub fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time" })
}

/// Returns the schema of any text.
#[must_use]
pub fn string(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string" })
}

/// Returns the schema of a whole number of any size.
#[must_use]
pub fn integer(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer" })
}

/// Returns the schema of a number of things.
#[must_use]
pub fn count(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "format": "int32", "minimum": 0 })
}

/// Returns the schema of a share in percent.
#[must_use]
pub fn percent(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "format": "int32", "minimum": 0, "maximum": 100 })
}

/// Returns the schema of a selector over labels.
#[must_use]
pub fn label_selector(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "properties": {
            "matchExpressions": {
                "type": "array",
                "x-kubernetes-list-type": "atomic",
                "description": "Conditions on labels, all of which have to hold.",
                "items": {
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": { "type": "string", "description": "Name of the label." },
                        "operator": {
                            "type": "string",
                            "description": "`In`, `NotIn`, `Exists` or `DoesNotExist`.",
                        },
                        "values": {
                            "type": "array",
                            "x-kubernetes-list-type": "atomic",
                            "items": { "type": "string" },
                            "description": "Values, for `In` and `NotIn`.",
                        },
                    },
                },
            },
            "matchLabels": {
                "type": "object",
                "additionalProperties": { "type": "string" },
                "description": "Labels that have to be there, each with exactly this value.",
            },
        },
    })
}

/// Returns the schema of a list of conditions.
#[must_use]
pub fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": {
            "type": "object",
            "description": "Says one thing about the state of the object.",
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
            "properties": {
                "lastTransitionTime": {
                    "type": "string",
                    "format": "date-time",
                    "description": "When the status last changed.",
                },
                "message": {
                    "type": "string",
                    "maxLength": 32768,
                    "description": "What happened, for people; at most 32768 bytes.",
                },
                "observedGeneration": {
                    "type": "integer",
                    "format": "int64",
                    "minimum": 0,
                    "description": "Generation of the object that this was said about.",
                },
                "reason": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 1024,
                    "pattern": REASON,
                    "description": "Why, as one word for programs.",
                },
                "status": {
                    "type": "string",
                    "enum": ["True", "False", "Unknown"],
                    "description": "Whether it is so.",
                },
                "type": {
                    "type": "string",
                    "maxLength": 316,
                    "pattern": CONDITION_TYPE,
                    "description": "What is said, such as `Ready`.",
                },
            },
        },
    })
}

/// Makes validation rules out of pairs of a CEL expression and the message that is shown when it is false.
#[must_use]
pub fn rules(pairs: &[(&str, &str)]) -> Value {
    pairs
        .iter()
        .map(|(rule, message)| json!({ "message": message, "rule": rule }))
        .collect()
}

/// Returns the rules of a reference to another cluster.
#[must_use]
pub fn kube_config_rules() -> Value {
    let message = "exactly one of spec.kubeConfig.configMapRef or spec.kubeConfig.secretRef must be specified";
    rules(&[
        ("has(self.configMapRef) || has(self.secretRef)", message),
        ("!has(self.configMapRef) || !has(self.secretRef)", message),
    ])
}

/// Turns a derived schema into the shape that the API server takes and that controller-gen would write.
///
/// References are expected to be inlined. Optional values lose their `null`, sets of constants become `enum`, arbitrary
/// values keep unknown fields, and what only restates serde's behaviour is dropped.
#[must_use]
pub fn structural(schema: Value) -> Value {
    let Value::Object(mut schema) = schema else {
        return json!({ "x-kubernetes-preserve-unknown-fields": true });
    };
    for word in ["title", "$schema"] {
        schema.remove(word);
    }
    if let Some(choices) = schema.remove("anyOf") {
        adopt(&mut schema, only_value(choices));
    }
    if let Some(choices) = schema.remove("oneOf") {
        adopt(&mut schema, enumeration(choices));
    }
    if let Some(Value::Array(types)) = schema.get("type") {
        let kept = types
            .iter()
            .find(|t| *t != "null")
            .cloned()
            .unwrap_or_default();
        schema.insert("type".into(), kept);
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    // serde's own defaults say nothing to the API server; those that it is to fill in are never empty.
    if schema.get("default").is_some_and(is_empty) {
        schema.remove("default");
    }
    if let Some(Value::Array(names)) = schema.get_mut("required") {
        names.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
    }
    for word in ["items", "additionalProperties"] {
        if let Some(part) = schema.get_mut(word) {
            *part = structural(part.take());
        }
    }
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        for property in properties.values_mut() {
            *property = structural(property.take());
        }
    }
    if schema.is_empty() || schema.keys().eq(["description"]) {
        schema.insert(
            "x-kubernetes-preserve-unknown-fields".into(),
            Value::Bool(true),
        );
    }
    Value::Object(schema)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Adds what an inner schema says wherever the outer one does not say it itself.
fn adopt(outer: &mut Map<String, Value>, inner: Value) {
    let Value::Object(inner) = structural(inner) else {
        return;
    };
    for (key, value) in inner {
        match outer.get_mut(&key) {
            // What an inner type's variants mean is worth keeping beside what the field is for.
            Some(Value::String(text)) if key == "description" => {
                if let Some(at) = value.as_str().and_then(|inner| inner.find("\n- `")) {
                    text.push_str(&value.as_str().unwrap_or_default()[at..]);
                }
            }
            Some(_) => {}
            None => {
                outer.insert(key, value);
            }
        }
    }
}

/// Picks the one choice that is not `null`.
fn only_value(choices: Value) -> Value {
    let Value::Array(choices) = choices else {
        return choices;
    };
    choices
        .into_iter()
        .find(|choice| choice["type"] != "null")
        .unwrap_or_default()
}

/// Makes one `enum` of constants, with a description that lists what each means.
fn enumeration(choices: Value) -> Value {
    let Value::Array(choices) = choices else {
        return choices;
    };
    let mut values = Vec::new();
    let mut meanings = String::new();
    for choice in choices {
        let value = match &choice["enum"] {
            Value::Array(several) => {
                values.extend(several.iter().cloned());
                continue;
            }
            _ => choice["const"].clone(),
        };
        if let (Some(name), Some(meaning)) = (value.as_str(), choice["description"].as_str()) {
            let _ = write!(meanings, "\n- `{name}`: {}", meaning.replace('\n', " "));
        }
        values.push(value);
    }
    json!({ "type": "string", "enum": values, "description": meanings })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(derived: Value, expected: &Value) {
        assert_eq!(&structural(derived), expected);
    }

    #[test]
    fn derived_schemas_become_controller_gens() {
        check(
            json!({ "type": ["string", "null"] }),
            &json!({ "type": "string" }),
        );
        check(
            json!({ "anyOf": [{ "type": "object", "description": "in" }, { "type": "null" }], "description": "out" }),
            &json!({ "type": "object", "description": "out" }),
        );
        check(
            json!({ "type": "array", "items": { "type": "string" }, "default": [] }),
            &json!({
                "type": "array", "items": { "type": "string" },
            }),
        );
        check(
            json!({ "type": "boolean", "default": false }),
            &json!({ "type": "boolean", "default": false }),
        );
        let anything = json!({ "x-kubernetes-preserve-unknown-fields": true });
        check(json!(true), &anything);
        check(
            json!({ "type": "array", "items": true }),
            &json!({ "type": "array", "items": anything }),
        );
        check(
            json!({ "description": "Any.", "default": null }),
            &json!({ "description": "Any.", "x-kubernetes-preserve-unknown-fields": true }),
        );
    }

    #[test]
    fn constants_become_an_enum_with_their_meanings() {
        let derived = json!({
            "description": "Which.",
            "oneOf": [
                { "type": "string", "const": "a", "description": "The\nfirst." },
                { "type": "string", "enum": ["b", "c"] },
            ],
        });
        let expected = json!({
            "description": "Which.\n- `a`: The first.", "type": "string", "enum": ["a", "b", "c"],
        });
        check(
            json!({ "anyOf": [derived.clone(), { "type": "null" }] }),
            &expected,
        );
        check(derived, &expected);
    }
}
