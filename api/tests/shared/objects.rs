//! Objects made from schemas: with every property there is, or with the required ones only.

use serde_json::{Map, Value, json};

/// How much of an object is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Every property.
    Full,
    /// What is required.
    Minimal,
}

/// Makes a value that a schema accepts. Rules in CEL are not looked at.
pub(crate) fn value_of(schema: &Value, extent: Extent) -> Value {
    if let Some(choices) = schema["enum"].as_array() {
        return choices[0].clone();
    }
    match schema["type"].as_str() {
        Some("object") => object_of(schema, extent),
        Some("array") => json!([value_of(&schema["items"], extent)]),
        Some("boolean") => json!(true),
        Some("integer") => json!(3),
        Some("string") => json!(text_of(schema, extent)),
        _ => json!({ "free": { "form": [1, "two", true], "size": 2.5 } }),
    }
}

fn object_of(schema: &Value, extent: Extent) -> Value {
    if let Some(values) = schema["additionalProperties"].as_object() {
        return json!({ "key": value_of(&Value::Object(values.clone()), extent) });
    }
    let required = |name: &String| {
        let names = schema["required"].as_array();
        names.is_some_and(|names| names.contains(&Value::String(name.clone())))
    };
    let properties = schema["properties"].as_object().into_iter().flatten();
    let kept = properties.filter(|(name, _)| extent == Extent::Full || required(name));
    let value = |name: &String, part| match value_of(part, extent) {
        // Statuses have durations whose schema is that of any text.
        Value::String(text) if name.ends_with("Duration") && text == "text" => json!("5.7s"),
        value => value,
    };
    Value::Object(
        kept.map(|(name, part)| (name.clone(), value(name, part)))
            .collect(),
    )
}

/// Makes text for a pattern; minimal texts differ from full ones, so that it shows which of the two was written.
fn text_of(schema: &Value, extent: Extent) -> String {
    let full = extent == Extent::Full;
    let pattern = schema["pattern"].as_str().unwrap_or_default();
    let text = match pattern {
        "" if schema["format"] == "date-time" => "2026-11-21T00:03:54Z",
        "" if schema["default"].is_string() => schema["default"].as_str().unwrap(),
        "" if full => "text",
        "" => "other",
        _ if pattern.contains("(ms|s|m|h)") && full => "1h30m",
        _ if pattern.contains("(ms|s|m|h)") => "7m",
        _ if pattern.contains("(ms|s|m)") => "45s",
        _ if pattern.contains("oci") && !full => "oci://registry.example.com/other",
        _ if pattern.contains("http") && !full => "https://example.com/other",
        _ if pattern.contains("oci") => "oci://registry.example.com/org/app",
        _ if pattern.contains("http") => "https://example.com/org/app",
        _ if pattern.contains(":[a-zA-Z0-9=_-]+") => "sha256:9f86d081884c7d65",
        _ if pattern.to_lowercase().contains("a-z") => "Text",
        _ => panic!("no text for {pattern}"),
    };
    text.to_owned()
}

/// Makes a whole object of a kind at a version whose root schema is given; `None` where the version cannot say it.
///
/// A kind whose rules exclude some fields from each other has two variants, so that every field is in one of them.
pub(crate) fn object(
    kind: &str,
    group: &str,
    version: &str,
    root: &Value,
    extent: Extent,
    variant: usize,
) -> Option<Value> {
    let part = |name: &str| value_of(&root["properties"][name], extent);
    let mut object = json!({
        "apiVersion": format!("{group}/{version}"), "kind": kind, "metadata": {}, "spec": part("spec"),
    });
    let has_status = root["properties"]["status"].is_object();
    if extent == Extent::Full && has_status {
        object["status"] = part("status");
    }
    let patches = if extent == Extent::Full {
        FULL
    } else {
        MINIMAL
    };
    for (of, number, patch) in patches {
        if *of == kind && *number == variant {
            merge(&mut object, &serde_json::from_str(patch).unwrap());
            // What an older version does not have, its objects do not have either.
            let object = prune(object, root);
            return is_whole(&object["spec"], &root["properties"]["spec"]).then_some(object);
        }
    }
    (variant == 0).then_some(object)
}

/// Merge patches that make an object with every property fit its kind's rules, by kind and variant.
const FULL: &[(&str, usize, &str)] = &[
    (
        "Bucket",
        0,
        r#"{"spec": {"sts": {"provider": "ldap"}, "serviceAccountName": null}}"#,
    ),
    (
        "Bucket",
        1,
        r#"{"spec": {"provider": "aws", "secretRef": null, "sts": {"secretRef": null, "certSecretRef": null}}}"#,
    ),
    ("GitRepository", 0, r#"{"spec": {"provider": "azure"}}"#),
    (
        "HelmRelease",
        0,
        r#"{"spec": {"chartRef": null, "kubeConfig": {"configMapRef": null},
            "install": {"strategy": {"name": "RetryOnFailure"}}, "upgrade": {"strategy": {"name": "RetryOnFailure"}}}}"#,
    ),
    (
        "HelmRelease",
        1,
        r#"{"spec": {"chart": null, "kubeConfig": {"secretRef": null},
            "install": {"strategy": {"name": "RetryOnFailure"}}, "upgrade": {"strategy": {"name": "RetryOnFailure"}}}}"#,
    ),
    (
        "ImagePolicy",
        0,
        r#"{"spec": {"digestReflectionPolicy": "Always"}}"#,
    ),
    (
        "Kustomization",
        0,
        r#"{"spec": {"kubeConfig": {"configMapRef": null}}}"#,
    ),
    (
        "Kustomization",
        1,
        r#"{"spec": {"kubeConfig": {"secretRef": null}}}"#,
    ),
    ("Provider", 0, r#"{"spec": {"type": "github"}}"#),
    (
        "Receiver",
        0,
        r#"{"spec": {"type": "github", "oidcProviders": null}}"#,
    ),
    (
        "Receiver",
        1,
        r#"{"spec": {"type": "generic-oidc", "secretRef": null}}"#,
    ),
];

/// Merge patches that make an object with what is required fit its kind's rules, by kind and variant.
const MINIMAL: &[(&str, usize, &str)] = &[
    ("Bucket", 1, "{}"),
    (
        "HelmRelease",
        0,
        r#"{"spec": {"chart": {"spec": {"chart": "app", "sourceRef": {"kind": "HelmRepository", "name": "other"}}}}}"#,
    ),
    (
        "HelmRelease",
        1,
        r#"{"spec": {"chart": null, "chartRef": {"kind": "HelmChart", "name": "other"}}}"#,
    ),
    ("Kustomization", 1, "{}"),
    ("Provider", 0, r#"{"spec": {"type": "gitlab"}}"#),
    (
        "Receiver",
        0,
        r#"{"spec": {"type": "gitlab", "secretRef": {"name": "other"}}}"#,
    ),
    (
        "Receiver",
        1,
        r#"{"spec": {"type": "generic-oidc", "oidcProviders": [{"issuerURL": "https://example.com/org/app",
            "audience": "text", "variables": [{"name": "text", "expression": "text"}],
            "validations": [{"expression": "text", "message": "text"}]}]}}"#,
    ),
];

/// Says whether a value has all that its schema requires, and a type that its schema has.
fn is_whole(value: &Value, schema: &Value) -> bool {
    let Some(fields) = value.as_object() else {
        return true;
    };
    let mut required = schema["required"].as_array().into_iter().flatten();
    let types = schema["properties"]["type"]["enum"].as_array();
    required.all(|name| fields.contains_key(name.as_str().unwrap()))
        && types.is_none_or(|types| fields.get("type").is_none_or(|kind| types.contains(kind)))
        && fields
            .iter()
            .all(|(name, value)| is_whole(value, &schema["properties"][name]))
}

/// Takes out what a schema does not have.
fn prune(value: Value, schema: &Value) -> Value {
    match (value, schema["properties"].as_object()) {
        (Value::Object(fields), Some(properties)) => {
            let kept = fields.into_iter().filter_map(|(name, value)| {
                let value = prune(value, properties.get(&name)?);
                Some((name, value))
            });
            Value::Object(kept.collect())
        }
        (value, _) => value,
    }
}

/// Applies a JSON merge patch.
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    for (name, value) in patch {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(name);
        } else {
            merge(&mut target[name], value);
        }
    }
}
