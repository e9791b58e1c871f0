//! What `helm lint` says of a chart: of its files, its values and what it renders.
//!
//! Source: helm v4.2.1, `pkg/chart/v2/lint`.

mod definitions;
mod deprecation;
mod documents;
mod metadata;
mod names;
mod templates;

use std::fmt;

use serde_json::{Map, Value as Json};

use crate::chart::{Chart, File, from_files};
use crate::schema;
use crate::template::Request;
use crate::values;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something that is recommended is missing.
    Info,
    /// Something breaks a convention.
    Warning,
    /// The chart cannot be installed.
    Error,
}

/// Something a chart should do better.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The file or folder.
    pub path: String,
    /// What is wrong.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Info => "INFO",
            Severity::Warning => "WARNING",
            Severity::Error => "ERROR",
        };
        write!(f, "[{severity}] {}: {}", self.path, self.text)
    }
}

/// The findings so far.
#[derive(Default)]
struct Report(Vec<Finding>);

impl Report {
    fn add(&mut self, severity: Severity, path: &str, text: impl Into<String>) {
        self.0.push(Finding {
            severity,
            path: path.to_owned(),
            text: text.into(),
        });
    }

    fn check(&mut self, severity: Severity, path: &str, checked: Result<(), String>) {
        if let Err(text) = checked {
            self.add(severity, path, text);
        }
    }
}

/// Checks a chart's files, among which is Chart.yaml; `place` names the chart where no file does.
///
/// The request's values, capabilities and settings count; its release should be of revision 0.
pub fn lint(files: &[File], place: &str, request: &Request) -> Vec<Finding> {
    let mut report = Report::default();
    let file = |name: &str| files.iter().rfind(|file| file.name == name);
    if let Some(metadata) = file("Chart.yaml") {
        metadata::check(&metadata.data, &mut report);
    }
    match file("values.yaml") {
        None => report.add(Severity::Info, "values.yaml", "file does not exist"),
        Some(values) => {
            let schema = file("values.schema.json").filter(|_| !request.skip_schema);
            let checked = check_values(values, schema, &request.values);
            report.check(Severity::Error, "values.yaml", checked);
        }
    }
    let loaded = from_files(files).map_err(|error| error.to_string());
    templates::check(files, &loaded, request, &mut report);
    match &loaded {
        Ok(chart) => dependencies(chart, place, &mut report),
        Err(error) => {
            let text = format!("unable to load chart\n\t{error}");
            report.add(Severity::Error, "", text);
        }
    }
    definitions::check(files, &loaded, &mut report);
    report.0
}

fn check_values(
    file: &File,
    schema: Option<&File>,
    overrides: &Map<String, Json>,
) -> Result<(), String> {
    let values = values::read(&file.data, &file.name);
    let chart = Chart {
        values: values.map_err(|error| format!("unable to parse YAML: {error}"))?,
        ..Chart::default()
    };
    let Some(schema) = schema.filter(|file| !file.data.is_empty()) else {
        return Ok(());
    };
    let joined = values::coalesce(&chart, overrides).map_err(|error| error.to_string())?;
    schema::check_one(&schema.data, &joined)
}

/// What Chart.yaml wants and what `charts/` has.
fn dependencies(chart: &Chart, place: &str, report: &mut Report) {
    let wanted = chart.metadata.dependencies.as_deref().unwrap_or_default();
    let unwanted: Vec<&str> = chart
        .dependencies
        .iter()
        .map(Chart::name)
        .filter(|name| !wanted.iter().any(|w| w.name == *name))
        .collect();
    if !unwanted.is_empty() {
        let text = format!(
            "chart metadata is missing these dependencies: {}",
            unwanted.join(",")
        );
        report.add(Severity::Error, place, text);
    }
    let missing = chart.missing_dependencies();
    if !missing.is_empty() {
        let text = format!(
            "chart directory is missing these dependencies: {}",
            missing.join(",")
        );
        report.add(Severity::Warning, place, text);
    }
}
