//! What the templates render.

use serde_json::Value as Json;

use super::{Report, Severity, deprecation, documents, names};
use crate::chart::{Chart, File};
use crate::manifest::Head;
use crate::render::Rendered;
use crate::template::{Request, TemplateError, render_files};

const FOLDER: &str = "templates/";

pub(super) fn check(
    files: &[File],
    loaded: &Result<Chart, String>,
    request: &Request,
    report: &mut Report,
) {
    if !files.iter().any(|file| file.name.starts_with(FOLDER)) {
        return report.add(Severity::Warning, FOLDER, "directory does not exist");
    }
    let chart = match loaded {
        Ok(chart) => chart,
        Err(error) => return report.add(Severity::Error, FOLDER, error.as_str()),
    };
    let rendered = match render_files(chart.clone(), request) {
        Ok(rendered) => rendered,
        // Upstream leaves these to other rules.
        Err(TemplateError::Values(_) | TemplateError::Dependencies(_)) => return,
        Err(error) => return report.add(Severity::Error, FOLDER, error.to_string()),
    };
    for template in &chart.templates {
        if !check_file(chart, &template.name, &rendered, request, report) {
            return;
        }
    }
}

/// Checks one template; whether the next ones are looked at.
fn check_file(
    chart: &Chart,
    name: &str,
    rendered: &[Rendered],
    request: &Request,
    report: &mut Report,
) -> bool {
    let extension = go::path::ext(name);
    if !matches!(extension, ".yaml" | ".yml" | ".tpl" | ".txt") {
        let text = format!(
            "file extension '{extension}' not valid. Valid extensions are .yaml, .yml, .tpl, or .txt"
        );
        report.add(Severity::Error, name, text);
    }
    if !matches!(extension.to_ascii_lowercase().as_str(), ".yaml" | ".yml") {
        return true;
    }
    let path = go::path::join(&[chart.name(), name]);
    let Some(file) = rendered.iter().find(|file| file.path == path) else {
        return true;
    };
    if let Some(line) = file.text.lines().find(|line| !line.trim().is_empty())
        && line.starts_with([' ', '\t'])
    {
        let line = go::strconv::quote(line.as_bytes(), go::strconv::Charset::Unicode);
        let text = format!(
            "document starts with an illegal indent: {line}, which may cause parsing problems"
        );
        report.add(Severity::Warning, name, text);
    }
    for head in documents::read(&file.text) {
        match head {
            Ok(head) => check_object(&head, name, &file.text, request, report),
            Err(reason) => {
                let text = format!("unable to parse YAML: {reason}");
                report.add(Severity::Error, name, text);
                return false;
            }
        }
    }
    true
}

fn check_object(head: &Head, file: &str, content: &str, request: &Request, report: &mut Report) {
    report.check(
        Severity::Warning,
        file,
        names::check(&head.kind, &head.name),
    );
    let version = &request.capabilities.kube_version;
    let deprecated = deprecation::check(&head.api_version, &head.kind, version);
    report.check(Severity::Warning, file, deprecated);
    let selects = matches!(
        head.kind.as_str(),
        "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet"
    );
    if selects && !content.contains("matchLabels") && !content.contains("matchExpressions") {
        let text = format!(
            "a {} must contain matchLabels or matchExpressions, and {:?} does not",
            head.kind, head.name
        );
        report.add(Severity::Error, file, text);
    }
    if head.kind == "List" && keeps_items(content) {
        let text = "annotation 'helm.sh/resource-policy' within List objects are ignored";
        report.add(Severity::Error, file, text);
    }
}

/// Whether an item of a list has a policy that Helm does not see.
fn keeps_items(content: &str) -> bool {
    let node = yaml::Reader::new(yaml::Schema::Legacy).read_first(content.as_bytes(), "");
    let json = node
        .ok()
        .flatten()
        .and_then(|node| yaml::to_json(&node).ok());
    let items = json.as_ref().and_then(|json| json.get("items"));
    let mut items = items.and_then(Json::as_array).into_iter().flatten();
    items.any(|item| {
        let annotations = item.pointer("/metadata/annotations");
        annotations.is_some_and(|all| all.get("helm.sh/resource-policy").is_some())
    })
}
