//! A release's chart, as its record holds it.

use base64::Engine as _;
use serde_json::{Map, Value as Json, json};

use super::json::{self, Fields, Object, Presence};
use super::{BASE64, ZERO_TIME};
use crate::chart::{Chart, Dependency, File, Metadata};

/// Chart.yaml in the order of Helm's struct.
const METADATA: Fields = &[
    ("name", Presence::NotEmpty),
    ("home", Presence::NotEmpty),
    ("sources", Presence::NotEmpty),
    ("version", Presence::NotEmpty),
    ("description", Presence::NotEmpty),
    ("keywords", Presence::NotEmpty),
    ("maintainers", Presence::NotEmpty),
    ("icon", Presence::NotEmpty),
    ("apiVersion", Presence::NotEmpty),
    ("condition", Presence::NotEmpty),
    ("tags", Presence::NotEmpty),
    ("appVersion", Presence::NotEmpty),
    ("deprecated", Presence::NotEmpty),
    ("annotations", Presence::NotEmpty),
    ("kubeVersion", Presence::NotEmpty),
    ("dependencies", Presence::NotEmpty),
    ("type", Presence::NotEmpty),
];

const MAINTAINER: Fields = &[
    ("name", Presence::NotEmpty),
    ("email", Presence::NotEmpty),
    ("url", Presence::NotEmpty),
];

const DEPENDENCY: Fields = &[
    ("name", Presence::Always),
    ("version", Presence::NotEmpty),
    ("repository", Presence::Always),
    ("condition", Presence::NotEmpty),
    ("tags", Presence::NotEmpty),
    ("enabled", Presence::NotEmpty),
    ("import-values", Presence::NotEmpty),
    ("alias", Presence::NotEmpty),
];

const LOCK: Fields = &[
    ("generated", Presence::Always),
    ("digest", Presence::Always),
    ("dependencies", Presence::Always),
];

const FILE: Fields = &[
    ("name", Presence::Always),
    ("data", Presence::Always),
    ("modtime", Presence::NotEmpty),
];

/// Writes Chart.yaml as Helm's struct prints it.
pub(super) fn write_metadata(out: &mut String, metadata: &Json) {
    json::structure(out, metadata, METADATA, |name| match name {
        "maintainers" => Some(MAINTAINER),
        "dependencies" => Some(DEPENDENCY),
        _ => None,
    });
}

/// Writes a chart as Helm's struct prints it.
pub(super) fn write_chart(out: &mut String, chart: &Json) {
    let mut object = Object::begin(out);
    match &chart["metadata"] {
        Json::Null => object.field("metadata").push_str("null"),
        metadata => write_metadata(object.field("metadata"), metadata),
    }
    match &chart["lock"] {
        Json::Null => object.field("lock").push_str("null"),
        lock => json::structure(object.field("lock"), lock, LOCK, |name| {
            (name == "dependencies").then_some(DEPENDENCY)
        }),
    }
    files(object.field("templates"), &chart["templates"]);
    for name in ["values", "schema"] {
        json::any(object.field(name), &chart[name]);
    }
    let modified = chart["schemamodtime"].as_str().unwrap_or(ZERO_TIME);
    json::string(object.field("schemamodtime"), modified);
    files(object.field("files"), &chart["files"]);
    object.text("modtime", chart["modtime"].as_str().unwrap_or_default());
    object.end();
}

fn files(out: &mut String, found: &Json) {
    match found {
        Json::Array(items) => {
            json::list(out, items, |out, file| {
                json::structure(out, file, FILE, |_| None);
            });
        }
        _ => out.push_str("null"),
    }
}

/// A chart as a record holds it: without its subcharts, files in base64.
pub fn chart_json(chart: &Chart) -> Json {
    let files = |files: &[File]| -> Json {
        if files.is_empty() {
            return Json::Null;
        }
        let one = |f: &File| json!({ "name": f.name, "data": BASE64.encode(&f.data) });
        Json::Array(files.iter().map(one).collect())
    };
    let has_values = chart.raw.iter().any(|f| f.name == "values.yaml");
    let values = if chart.values.is_empty() && !has_values {
        Json::Null
    } else {
        Json::Object(chart.values.clone())
    };
    json!({
        "metadata": metadata_json(&chart.metadata),
        "lock": chart.lock,
        "templates": files(&chart.templates),
        "values": values,
        "schema": chart.schema.as_ref().map(|s| BASE64.encode(s)),
        "schemamodtime": ZERO_TIME,
        "files": files(&chart.files),
    })
}

fn put_text(map: &mut Map<String, Json>, name: &str, text: &str) {
    if !text.is_empty() {
        map.insert(name.to_owned(), Json::String(text.to_owned()));
    }
}

fn metadata_json(metadata: &Metadata) -> Json {
    let mut out = Map::new();
    let texts = [
        ("name", &metadata.name),
        ("home", &metadata.home),
        ("version", &metadata.version),
        ("description", &metadata.description),
        ("icon", &metadata.icon),
        ("apiVersion", &metadata.api_version),
        ("condition", &metadata.condition),
        ("tags", &metadata.tags),
        ("appVersion", &metadata.app_version),
        ("kubeVersion", &metadata.kube_version),
        ("type", &metadata.kind),
    ];
    for (name, text) in texts {
        put_text(&mut out, name, text);
    }
    for (name, list) in [
        ("sources", &metadata.sources),
        ("keywords", &metadata.keywords),
    ] {
        if !list.is_empty() {
            out.insert(name.to_owned(), json!(list));
        }
    }
    let maintainers: Vec<Json> = metadata
        .maintainers
        .iter()
        .flatten()
        .map(|m| {
            let mut one = Map::new();
            put_text(&mut one, "name", &m.name);
            put_text(&mut one, "email", &m.email);
            put_text(&mut one, "url", &m.url);
            Json::Object(one)
        })
        .collect();
    if !maintainers.is_empty() {
        out.insert("maintainers".to_owned(), Json::Array(maintainers));
    }
    if metadata.deprecated {
        out.insert("deprecated".to_owned(), Json::Bool(true));
    }
    if let Some(annotations) = metadata.annotations.as_ref().filter(|a| !a.is_empty()) {
        out.insert("annotations".to_owned(), Json::Object(annotations.clone()));
    }
    let dependencies: Vec<Json> = metadata
        .dependencies
        .iter()
        .flatten()
        .map(dependency_json)
        .collect();
    if !dependencies.is_empty() {
        out.insert("dependencies".to_owned(), Json::Array(dependencies));
    }
    Json::Object(out)
}

fn dependency_json(dependency: &Dependency) -> Json {
    let mut out = Map::new();
    out.insert("name".to_owned(), dependency.name.clone().into());
    put_text(&mut out, "version", &dependency.version);
    out.insert(
        "repository".to_owned(),
        dependency.repository.clone().into(),
    );
    put_text(&mut out, "condition", &dependency.condition);
    if !dependency.tags.is_empty() {
        out.insert("tags".to_owned(), json!(dependency.tags));
    }
    if dependency.enabled {
        out.insert("enabled".to_owned(), Json::Bool(true));
    }
    let imports: Vec<Json> = dependency
        .import_values
        .iter()
        .map(|i| json!({ "child": i.child, "parent": i.parent }))
        .collect();
    if !imports.is_empty() {
        out.insert("import-values".to_owned(), Json::Array(imports));
    }
    put_text(&mut out, "alias", &dependency.alias);
    Json::Object(out)
}
