//! values.schema.json.

mod report;

use std::fmt::Write as _;

use gotemplate::Map as Table;
use gotemplate::value::Value;
use jsonschema::PatternOptions;
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
        && let Err(problems) = check_one(schema, values)
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

/// Checks a table by one schema; what does not fit, a line each.
pub(crate) fn check_one(schema: &[u8], values: &Table) -> Result<(), String> {
    let values = &Json::Object(to_json_map(values));
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
        .map_err(|e| unfit(&schema, &e))?;
    let errors: Vec<_> = validator.iter_errors(values).collect();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(report::lines(&schema, &errors.iter().collect::<Vec<_>>()).join("\n") + "\n")
    }
}

/// What is wrong with a schema itself.
fn unfit(schema: &Json, error: &jsonschema::ValidationError<'_>) -> String {
    const NEWEST: &str = "https://json-schema.org/draft/2020-12/schema";
    let draft = schema.get("$schema").and_then(Json::as_str);
    let draft = draft.unwrap_or(NEWEST).trim_end_matches('#');
    let lines = report::lines(schema, &[error]).join("\n");
    format!(
        "\"file:///values.schema.json#\" is not valid against metaschema: jsonschema validation failed with '{draft}#'\n{lines}"
    )
}
