//! values.schema.json.

use std::fmt::Write as _;

use gotemplate::Map as Table;
use gotemplate::value::Value;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{PatternOptions, ValidationError};
use serde_json::Value as Json;

use crate::chart::Chart;
use crate::values::to_json_map;

/// Values that do not fit the schemas of a chart and its subcharts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("values don't meet the specifications of the schema(s) in the following chart(s):\n{0}")]
pub struct SchemaError(String);

/// Checks coalesced values by the schemas of a chart and its subcharts.
pub fn validate(chart: &Chart, values: &Table) -> Result<(), SchemaError> {
    let mut report = String::new();
    check(chart, values, &mut report);
    if report.is_empty() {
        Ok(())
    } else {
        Err(SchemaError(report))
    }
}

fn check(chart: &Chart, values: &Table, report: &mut String) {
    if let Some(schema) = &chart.schema
        && let Err(problems) = check_one(schema, &Json::Object(to_json_map(values)))
    {
        report.push_str(chart.name());
        report.push_str(":\n");
        report.push_str(&problems);
    }
    for dependency in &chart.dependencies {
        match values.get(dependency.name().as_bytes()) {
            None | Some(Value::Nil) => {}
            Some(Value::Map(inner)) => check(dependency, &inner, report),
            Some(other) => {
                let (name, found) = (dependency.name(), other.type_name());
                let _ = writeln!(
                    report,
                    "{name}:\ninvalid type for values: expected object (map), got {found}"
                );
            }
        }
    }
}

/// A reference to another document is never fetched: rendering does no I/O.
struct Refuse;

impl jsonschema::Retrieve for Refuse {
    fn retrieve(
        &self,
        uri: &jsonschema::Uri<String>,
    ) -> Result<Json, Box<dyn std::error::Error + Send + Sync>> {
        // Upstream lets an unresolved URN pass with everything allowed.
        if uri.as_str().starts_with("urn:") {
            return Ok(Json::Bool(true));
        }
        Err(format!("remote schema {uri} is not fetched").into())
    }
}

fn check_one(schema: &[u8], values: &Json) -> Result<(), String> {
    let schema: Json = serde_json::from_slice(schema).map_err(|e| e.to_string())?;
    let newer = schema
        .get("$schema")
        .and_then(Json::as_str)
        .is_none_or(|s| s.contains("2019-09") || s.contains("2020-12"));
    let validator = jsonschema::options()
        .should_validate_formats(!newer)
        .with_pattern_options(PatternOptions::regex())
        .with_retriever(Refuse)
        .build(&schema)
        .map_err(|e| {
            format!("\"file:///values.schema.json#\" is not valid against metaschema: {e}\n")
        })?;
    let lines: Vec<String> = validator
        .iter_errors(values)
        .flat_map(|e| lines(&e, 0))
        .collect();
    if lines.is_empty() {
        Ok(())
    } else {
        Err(lines.join("\n") + "\n")
    }
}

/// `- at '/path': message`, and below it what an alternative lacks.
fn lines(error: &ValidationError<'_>, depth: usize) -> Vec<String> {
    let path = error.instance_path().as_str();
    let mut out = vec![format!(
        "{}- at '{path}': {}",
        "  ".repeat(depth),
        message(error)
    )];
    let context = match error.kind() {
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            context.as_slice()
        }
        _ => &[],
    };
    for inner in context.iter().flatten() {
        out.extend(lines(inner, depth + 1));
    }
    out
}

fn listed(names: &[String]) -> String {
    names
        .iter()
        .map(|n| format!("'{n}'"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn message(error: &ValidationError<'_>) -> String {
    let found = error.instance();
    match error.kind() {
        ValidationErrorKind::Type { kind } => {
            let want = match kind {
                TypeKind::Single(one) => one.to_string(),
                TypeKind::Multiple(many) => many
                    .iter()
                    .map(|t| t.to_string())
                    .collect::<Vec<_>>()
                    .join(" or "),
            };
            format!("got {}, want {want}", type_of(found))
        }
        ValidationErrorKind::Required { property } => {
            format!(
                "missing property '{}'",
                property.as_str().unwrap_or_default()
            )
        }
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            format!("additional properties {} not allowed", listed(unexpected))
        }
        ValidationErrorKind::Enum { options } => {
            let options: Vec<String> = options
                .as_array()
                .into_iter()
                .flatten()
                .map(shown)
                .collect();
            if let [one] = options.as_slice() {
                return format!("value must be {one}");
            }
            format!("value must be one of {}", options.join(", "))
        }
        ValidationErrorKind::Constant { expected_value } => {
            format!("value must be {}", shown(expected_value))
        }
        ValidationErrorKind::Pattern { pattern } => {
            format!("{} does not match pattern '{pattern}'", shown(found))
        }
        ValidationErrorKind::Format { format } => {
            format!("{} is not valid {format}", shown(found))
        }
        ValidationErrorKind::AnyOf { .. } => "'anyOf' failed".to_owned(),
        ValidationErrorKind::OneOfNotValid { .. } => "'oneOf' failed, none matched".to_owned(),
        ValidationErrorKind::OneOfMultipleValid { .. } => {
            "'oneOf' failed, subschemas matched more than once".to_owned()
        }
        ValidationErrorKind::Not { .. } => "'not' failed".to_owned(),
        ValidationErrorKind::FalseSchema => "false schema".to_owned(),
        ValidationErrorKind::UniqueItems => "items are not unique".to_owned(),
        _ => bound(error).unwrap_or_else(|| error.to_string()),
    }
}

/// Limits of numbers and lengths: `minimum: got -5, want 0`.
fn bound(error: &ValidationError<'_>) -> Option<String> {
    let found = error.instance();
    let size = match &**found {
        Json::String(text) => text.chars().count(),
        Json::Array(items) => items.len(),
        Json::Object(members) => members.len(),
        _ => 0,
    };
    let keyword = error.kind().keyword();
    match error.kind() {
        ValidationErrorKind::Minimum { limit }
        | ValidationErrorKind::Maximum { limit }
        | ValidationErrorKind::ExclusiveMinimum { limit }
        | ValidationErrorKind::ExclusiveMaximum { limit } => Some(format!(
            "{keyword}: got {}, want {}",
            number(found),
            number(limit)
        )),
        ValidationErrorKind::MinLength { limit }
        | ValidationErrorKind::MaxLength { limit }
        | ValidationErrorKind::MinItems { limit }
        | ValidationErrorKind::MaxItems { limit }
        | ValidationErrorKind::MinProperties { limit }
        | ValidationErrorKind::MaxProperties { limit } => {
            Some(format!("{keyword}: got {size}, want {limit}"))
        }
        _ => None,
    }
}

fn shown(value: &Json) -> String {
    match value {
        Json::String(text) => format!("'{text}'"),
        Json::Number(_) => number(value),
        other => other.to_string(),
    }
}

fn number(value: &Json) -> String {
    value
        .as_f64()
        .map_or_else(|| value.to_string(), go::strconv::format_json)
}

fn type_of(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}
