//! Reference pages: one a kind, from its definition and its sample.

use std::fmt::Write as _;

use api::{
    extension::Entry,
    served::{Difference, Kind},
};
use serde_json::{Map, Value};

/// Writes the page of a kind.
pub(super) fn page(kind: &Kind, crd: &Value, sample: &str) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "<!-- Written by `cargo xtask codegen`. -->\n\n# {}\n\n{}\n",
        kind.kind, kind.about
    );
    let _ = writeln!(
        out,
        "Group `{}`, plural `{}`{}.\n",
        kind.group,
        kind.plural,
        short_names(kind)
    );
    versions(&mut out, kind);
    let _ = writeln!(out, "## Example\n\n```yaml\n{}\n```\n", sample.trim_end());
    let stored = crd["spec"]["versions"].as_array().into_iter().flatten();
    for version in stored.filter(|version| version["storage"] == true) {
        let root = &version["schema"]["openAPIV3Schema"]["properties"];
        for (title, part) in [("Spec", "spec"), ("Status", "status")] {
            let _ = writeln!(out, "## {title}\n");
            fields(&mut out, &root[part]);
            rules(&mut out, &root[part], part);
        }
    }
    extensions(&mut out, kind);
    differences(&mut out, kind);
    format!("{}\n", out.trim_end())
}

fn short_names(kind: &Kind) -> String {
    let names = kind
        .short_names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>();
    if names.is_empty() {
        String::new()
    } else {
        format!(", short {}", names.join(", "))
    }
}

fn versions(out: &mut String, kind: &Kind) {
    let _ = writeln!(out, "| version | |\n|---|---|");
    for version in kind.versions {
        let state = if version.name == kind.storage().name {
            "stored"
        } else {
            "deprecated, served"
        };
        let _ = writeln!(out, "| `{}/{}` | {state} |", kind.group, version.name);
    }
    let _ = writeln!(out);
}

/// Writes a table of all fields below a part of a schema.
fn fields(out: &mut String, schema: &Value) {
    let _ = writeln!(
        out,
        "| field | type | default | meaning |\n|---|---|---|---|"
    );
    rows(out, schema, "");
    let _ = writeln!(out);
}

fn rows(out: &mut String, schema: &Value, path: &str) {
    let required = schema["required"].as_array();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        let is_required = required.is_some_and(|names| names.iter().any(|other| other == name));
        let _ = writeln!(
            out,
            "| `{path}` | {}{} | {} | {} |",
            kind_of(property),
            if is_required { ", required" } else { "" },
            property
                .get("default")
                .map(|value| format!("`{}`", cell(&plain(value))))
                .unwrap_or_default(),
            meaning(property),
        );
        // A list of conditions is the same everywhere; docs of one would be repeated on every page.
        if name != "conditions" {
            rows(out, property, &path);
            rows(out, &property["items"], &format!("{path}[]"));
            rows(
                out,
                &property["additionalProperties"],
                &format!("{path}{{}}"),
            );
        }
    }
}

/// Says in words what values a field takes.
fn kind_of(schema: &Value) -> String {
    let inner = |part: &str| kind_of(&schema[part]);
    match schema["type"].as_str() {
        Some("array") => format!("list of {}", inner("items")),
        Some("object") if schema["additionalProperties"].is_object() => {
            format!("map of {}", inner("additionalProperties"))
        }
        Some("integer") => "whole number".into(),
        Some("string") if schema["format"] == "date-time" => "time".into(),
        Some("string")
            if schema["pattern"]
                .as_str()
                .is_some_and(|p| p.contains("(ms|s|m")) =>
        {
            "duration".into()
        }
        Some(other) => other.into(),
        None => "anything".into(),
    }
}

/// Writes description and limits of a field into one cell.
fn meaning(schema: &Value) -> String {
    let description = schema["description"].as_str().unwrap_or_default();
    let mut text = description.replace("\n- ", "<br>").replace('\n', " ");
    let number = |word: &str| schema[word].as_u64();
    match (number("minLength"), number("maxLength")) {
        (Some(least), Some(most)) => drop(write!(text, " {least} to {most} characters.")),
        (None, Some(most)) => drop(write!(text, " At most {most} characters.")),
        _ => {}
    }
    if let Some(most) = number("maxItems") {
        let _ = write!(text, " At most {most} entries.");
    }
    if let Some(pattern) = schema["pattern"]
        .as_str()
        .filter(|pattern| !pattern.contains("(ms|s|m"))
    {
        let _ = write!(text, " Pattern: `{pattern}`.");
    }
    cell(&text)
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// Escapes what would end a cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// Lists the rules in CEL below a part of a schema, by their messages.
fn rules(out: &mut String, schema: &Value, path: &str) {
    let mut found = Vec::new();
    collect_rules(&mut found, schema, path);
    if found.is_empty() {
        return;
    }
    let _ = writeln!(out, "Rules between fields:\n");
    for (path, message) in found {
        let _ = writeln!(out, "- `{path}`: {message}");
    }
    let _ = writeln!(out);
}

fn collect_rules(found: &mut Vec<(String, String)>, schema: &Value, path: &str) {
    for rule in schema["x-kubernetes-validations"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let entry = (path.to_owned(), plain(&rule["message"]));
        if !found.contains(&entry) {
            found.push(entry);
        }
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        collect_rules(found, property, &format!("{path}.{name}"));
        collect_rules(found, &property["items"], &format!("{path}.{name}[]"));
    }
}

/// Lists the fields that upstream does not have, with the annotations that say the same.
fn extensions(out: &mut String, kind: &Kind) {
    let entries = api::extension::entries()
        .filter(|entry| entry.kinds.contains(&kind.kind))
        .collect::<Vec<_>>();
    if entries.is_empty() {
        return;
    }
    let _ = writeln!(
        out,
        "## Not in upstream\n\nWhere upstream's definitions are installed, the API server drops these fields; the annotation, \
         with the field's value as JSON or in short, says the same. Where both are there, the field counts; in lists, both \
         do.\n\n| field | annotation | values, such as |\n|---|---|---|"
    );
    for Entry {
        annotation,
        path,
        examples,
        ..
    } in entries
    {
        let examples = examples.iter().map(|text| format!("`{text}`"));
        let examples = examples.collect::<Vec<_>>().join("<br>");
        let _ = writeln!(out, "| `{path}` | `{annotation}` | {} |", cell(&examples));
    }
    let _ = writeln!(out);
}

/// Lists what older versions have otherwise.
fn differences(out: &mut String, kind: &Kind) {
    let different = |version: &&api::served::Version| !version.differences.is_empty();
    if !kind.versions.iter().any(|version| different(&version)) {
        return;
    }
    let _ = writeln!(
        out,
        "## Older versions\n\n| version | field | what differs |\n|---|---|---|"
    );
    for version in kind.versions.iter().filter(different) {
        for Difference(path, patch) in version.differences {
            let patch: Map<String, Value> = serde_json::from_str(patch).unwrap_or_default();
            let words = patch
                .iter()
                .map(|(word, value)| difference(word, value))
                .collect::<Vec<_>>();
            let _ = writeln!(
                out,
                "| `{}` | `{path}` | {} |",
                version.name,
                cell(&words.join("; "))
            );
        }
    }
}

fn difference(word: &str, value: &Value) -> String {
    let list = || {
        let values = value.as_array().into_iter().flatten();
        values
            .map(|value| format!("`{}`", plain(value)))
            .collect::<Vec<_>>()
            .join(", ")
    };
    match (word, value) {
        ("x-kubernetes-validations", Value::Null) => "no rules between fields".into(),
        ("pattern", Value::Null) => "any text".into(),
        ("default", Value::Null) => "no default".into(),
        ("enum", Value::Null) => "any value".into(),
        ("minLength", Value::Null) => "may be empty".into(),
        ("maxLength" | "maxItems", Value::Null) => "of any length".into(),
        ("enum", _) => format!("one of {}", list()),
        ("required", _) => format!("required: {}", list()),
        ("default", _) => format!("default `{}`", plain(value)),
        ("pattern", _) => format!("pattern `{}`", plain(value)),
        ("maxLength", _) => format!("at most {value} characters"),
        (word, value) => format!("{word} `{value}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_is_said_in_words() {
        for version in api::served::kinds().flat_map(|kind| kind.versions) {
            for Difference(path, patch) in version.differences {
                let patch: Map<String, Value> = serde_json::from_str(patch).unwrap();
                for (word, value) in patch {
                    let raw = format!("{word} `{value}`");
                    assert_ne!(difference(&word, &value), raw, "{path}");
                }
            }
        }
    }

    #[test]
    fn cells_hold_pipes_and_lists() {
        let schema = serde_json::json!({
            "type": "string", "description": "One\ntwo.\n- `a`: A.\n- `b`: B.", "pattern": "^(a|b)$", "maxLength": 3,
        });
        assert_eq!(
            meaning(&schema),
            "One two.<br>`a`: A.<br>`b`: B. At most 3 characters. Pattern: `^(a\\|b)$`."
        );
        assert_eq!(
            kind_of(&serde_json::json!({ "type": "array", "items": schema })),
            "list of string"
        );
    }
}
