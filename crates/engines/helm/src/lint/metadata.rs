//! Chart.yaml.

use semver::{Constraint, Version};
use serde_json::{Map, Value as Json};

use super::{Report, Severity};
use crate::chart::{ChartError, Metadata};

const FILE: &str = "Chart.yaml";

const FIELDS: &[&str] = &[
    "name",
    "home",
    "sources",
    "version",
    "description",
    "keywords",
    "maintainers",
    "icon",
    "apiVersion",
    "condition",
    "tags",
    "appVersion",
    "deprecated",
    "annotations",
    "kubeVersion",
    "dependencies",
    "type",
];
const MAINTAINER_FIELDS: &[&str] = &["name", "email", "url"];
const DEPENDENCY_FIELDS: &[&str] = &[
    "name",
    "version",
    "repository",
    "condition",
    "tags",
    "enabled",
    "import-values",
    "alias",
];

pub(super) fn check(data: &[u8], report: &mut Report) {
    let (metadata, fields) = match read(data) {
        Ok(read) => read,
        Err(reason) => {
            let text = format!("unable to parse YAML\n\t{reason}");
            return report.add(Severity::Error, FILE, text);
        }
    };
    if let Some(problem) = strict(data, &fields) {
        let text = format!("failed to strictly parse chart metadata file\n\t{problem}");
        report.add(Severity::Warning, FILE, text);
    }
    for checked in [
        name(&metadata),
        api_version(&fields),
        is_text(&fields, "version"),
        version(&metadata),
        is_text(&fields, "appVersion"),
        maintainers(&metadata),
        sources(&metadata),
    ] {
        report.check(Severity::Error, FILE, checked);
    }
    if metadata.icon.is_empty() {
        report.add(Severity::Info, FILE, "icon is recommended");
    } else if !is_request_url(&metadata.icon) {
        let text = format!("invalid icon URL '{}'", metadata.icon);
        report.add(Severity::Error, FILE, text);
    }
    for checked in [
        only_in_v2(&fields, "type"),
        only_in_v2(&fields, "dependencies"),
    ] {
        report.check(Severity::Error, FILE, checked);
    }
    if Version::parse_strict(&metadata.version).is_err() {
        let text = format!("version '{}' is not a valid SemVerV2", metadata.version);
        report.add(Severity::Warning, FILE, text);
    }
}

/// The metadata, and the fields as they are written.
fn read(data: &[u8]) -> Result<(Metadata, Map<String, Json>), String> {
    let metadata = Metadata::parse(data).map_err(|error| match error {
        ChartError::File { reason, .. } => reason,
        other => other.to_string(),
    })?;
    let reader = yaml::Reader::new(yaml::Schema::Legacy);
    let node = reader.read_first(data, FILE).map_err(|e| e.go_text())?;
    let json = node.map(|node| yaml::to_json(&node)).transpose();
    match json.map_err(|error| error.to_string())? {
        Some(Json::Object(fields)) => Ok((metadata, fields)),
        _ => Ok((metadata, Map::new())),
    }
}

/// What a strict reader says: a key that is there twice, or one that nobody knows.
fn strict(data: &[u8], fields: &Map<String, Json>) -> Option<String> {
    let reader = yaml::Reader::new(yaml::Schema::Legacy).duplicates(yaml::Duplicates::Error);
    if let Err(error) = reader.read_first(data, FILE) {
        return Some(format!(
            "error converting YAML to JSON: {}",
            error.go_text()
        ));
    }
    let field = unknown(fields)?;
    Some(format!(
        "error unmarshaling JSON: while decoding JSON: json: unknown field {field:?}"
    ))
}

/// The first unknown field in the order in which Go's decoder meets them.
fn unknown(fields: &Map<String, Json>) -> Option<&str> {
    for (name, value) in fields {
        if !is_known(FIELDS, name) {
            return Some(name);
        }
        let inner = match name.as_str() {
            "maintainers" => MAINTAINER_FIELDS,
            "dependencies" => DEPENDENCY_FIELDS,
            _ => continue,
        };
        let items = value.as_array().into_iter().flatten();
        let mut names = items.filter_map(Json::as_object).flat_map(Map::keys);
        if let Some(found) = names.find(|name| !is_known(inner, name)) {
            return Some(found);
        }
    }
    None
}

fn is_known(fields: &[&str], name: &str) -> bool {
    fields.iter().any(|field| field.eq_ignore_ascii_case(name))
}

fn name(metadata: &Metadata) -> Result<(), String> {
    let name = &metadata.name;
    if name.is_empty() {
        return Err("name is required".to_owned());
    }
    if go::path::base(name) != *name {
        return Err(format!("chart name {name:?} is invalid"));
    }
    Ok(())
}

fn api_version(fields: &Map<String, Json>) -> Result<(), String> {
    const VALUES: &str = "The value must be either \"v1\" or \"v2\"";
    match text(fields, "apiVersion") {
        "" => Err(format!("apiVersion is required. {VALUES}")),
        "v1" | "v2" => Ok(()),
        other => Err(format!("apiVersion '{other}' is not valid. {VALUES}")),
    }
}

fn text<'f>(fields: &'f Map<String, Json>, name: &str) -> &'f str {
    fields.get(name).and_then(Json::as_str).unwrap_or_default()
}

fn is_text(fields: &Map<String, Json>, name: &str) -> Result<(), String> {
    let found = match fields.get(name) {
        None | Some(Json::String(_)) => return Ok(()),
        Some(Json::Null) => "<nil>",
        Some(Json::Bool(_)) => "bool",
        Some(Json::Number(_)) => "float64",
        Some(Json::Array(_)) => "[]interface {}",
        Some(Json::Object(_)) => "map[string]interface {}",
    };
    Err(format!(
        "{name} should be of type string but it's of type {found}"
    ))
}

/// Versions are to be more than this one.
const LEAST: &str = "0.0.0-0";

fn version(metadata: &Metadata) -> Result<(), String> {
    let text = &metadata.version;
    if text.is_empty() {
        return Err("version is required".to_owned());
    }
    let Ok(version) = Version::parse(text) else {
        return Err(format!("version '{text}' is not a valid SemVer"));
    };
    let is_more = Constraint::parse(&format!(">{LEAST}")).is_ok_and(|range| range.check(&version));
    if is_more {
        Ok(())
    } else {
        Err(format!("version {text} is less than or equal to {LEAST}"))
    }
}

fn maintainers(metadata: &Metadata) -> Result<(), String> {
    for maintainer in &metadata.maintainers {
        let Some(maintainer) = maintainer else {
            return Err("a maintainer entry is empty".to_owned());
        };
        let (name, email, url) = (&maintainer.name, &maintainer.email, &maintainer.url);
        if name.is_empty() {
            return Err("each maintainer requires a name".to_owned());
        }
        if !email.is_empty() && !is_email(email) {
            return Err(format!("invalid email '{email}' for maintainer '{name}'"));
        }
        if !url.is_empty() && !is_url(url) {
            return Err(format!("invalid url '{url}' for maintainer '{name}'"));
        }
    }
    Ok(())
}

fn sources(metadata: &Metadata) -> Result<(), String> {
    match metadata.sources.iter().find(|url| !is_request_url(url)) {
        None => Ok(()),
        Some(url) => Err(format!("invalid source URL '{url}'")),
    }
}

fn only_in_v2(fields: &Map<String, Json>, name: &str) -> Result<(), String> {
    let version = text(fields, "apiVersion");
    let is_there = match fields.get(name) {
        Some(Json::Array(items)) => !items.is_empty(),
        Some(Json::String(text)) => !text.is_empty(),
        _ => false,
    };
    if version == "v2" || !is_there {
        return Ok(());
    }
    Err(match name {
        "type" => format!(
            "chart type is not valid in apiVersion '{version}'. It is valid in apiVersion 'v2'"
        ),
        _ => format!(
            "dependencies are not valid in the Chart file with apiVersion '{version}'. They are valid in apiVersion 'v2'"
        ),
    })
}

/// Whether a text has a scheme and nothing that no address has.
fn is_request_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    let host = rest.strip_prefix("//").unwrap_or_default();
    let host = host.split(['/', '?', '#']).next().unwrap_or_default();
    is_scheme && !text.chars().any(char::is_control) && !host.contains(' ')
}

/// Whether a text looks like an address of the web, with or without its scheme.
fn is_url(text: &str) -> bool {
    let rest = match text.split_once("://") {
        Some((scheme, rest)) if is_request_url(&format!("{scheme}:")) => rest,
        Some(_) => return false,
        None => text,
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default();
    !text.contains(char::is_whitespace) && (host == "localhost" || is_host(host))
}

fn is_email(text: &str) -> bool {
    let Some((local, host)) = text.rsplit_once('@') else {
        return false;
    };
    let is_dotted = !local.starts_with('.') && !local.ends_with('.') && !local.contains("..");
    let is_word = |c: char| c.is_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(c);
    !local.is_empty() && is_dotted && local.chars().all(is_word) && is_host(host)
}

/// Whether a text is a name of a host with a dot in it.
fn is_host(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
    };
    text.contains('.') && text.split('.').all(is_label)
}
