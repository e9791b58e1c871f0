//! What this crate says about a document, beside an answer of `hack/oracles/yaml`.

#![expect(unreachable_pub, reason = "a test and a tool share this file")]

use serde_json::Value as Json;
use std::fmt::Write as _;
use yaml::{
    Duplicates, Event, Kind, Limits, Located, Node, Properties, Reader, Schema, Style, Value, emit,
};

/// What is compared, and what both sides say.
pub type Row = (&'static str, String, String);

fn reader(schema: Schema) -> Reader {
    let limits = Limits {
        max_depth: Limits::GO_MAX_DEPTH,
        ..Limits::default()
    };
    Reader::new(schema).limits(limits)
}

fn field<'a>(answer: &'a Json, name: &str) -> &'a str {
    answer[name].as_str().unwrap_or_default()
}

/// Returns the value, or the error behind a word that no value begins with.
fn outcome(value: String, error: &str) -> String {
    if error.is_empty() {
        value
    } else {
        format!("error {error}")
    }
}

/// Compares one document with its answer.
pub fn compare(input: &[u8], answer: &Json) -> Vec<Row> {
    let tree_error = field(answer, "treeError");
    let mut rows = Vec::new();
    // An unknown anchor is found by what builds the reference's nodes, not by its parser.
    if let Ok(text) = std::str::from_utf8(input)
        && !tree_error.starts_with("yaml: unknown anchor")
    {
        let (tree, fault) = tree(text);
        rows.push((
            "tree",
            without_gaps(&tree),
            without_gaps(field(answer, "tree").trim()),
        ));
        rows.push(("error", fault, tree_error.to_owned()));
    }
    let core = reader(Schema::Core).read(input, "f");
    match &core {
        Ok(documents) if tree_error.is_empty() => rows.extend(compare_core(documents, answer)),
        // The reference's answer about a later document hides what is wrong with an earlier one.
        Err(_) if !tree_error.is_empty() && !field(answer, "tree").is_empty() => {}
        Err(error) => {
            let first = if tree_error.is_empty() {
                field(answer, "coreError")
            } else {
                tree_error
            };
            rows.push((
                "core",
                outcome(String::new(), &error.go_text()),
                outcome("read".into(), first),
            ));
        }
        Ok(_) => rows.push(("core", "read".into(), outcome(String::new(), tree_error))),
    }
    let ours = match reader(Schema::Legacy).read_first(input, "f") {
        Ok(node) => json(&node.unwrap_or_default()),
        Err(error) => outcome(String::new(), &error.go_text()),
    };
    let theirs = outcome(canonical(&answer["legacy"]), field(answer, "legacyError"));
    rows.push(("legacy", ours, theirs));
    let strict = reader(Schema::Legacy)
        .duplicates(Duplicates::Error)
        .read_first(input, "f");
    if field(answer, "legacyError").is_empty() {
        let ours = strict
            .err()
            .map(|error| error.go_text())
            .unwrap_or_default();
        rows.push(("strict", ours, field(answer, "strictError").to_owned()));
    }
    rows
}

fn compare_core(documents: &[Node], answer: &Json) -> Vec<Row> {
    let none = Vec::new();
    let theirs = answer["core"].as_array().unwrap_or(&none);
    let mut rows = Vec::new();
    for (at, document) in documents.iter().enumerate() {
        let value = theirs.get(at).map(canonical);
        let error = field(answer, "coreError");
        rows.push((
            "core",
            json(document),
            value.clone().unwrap_or_else(|| format!("error {error}")),
        ));
        if value.is_none() {
            break;
        }
        rows.extend(compare_prints(document, at, answer));
    }
    rows
}

fn compare_prints(document: &Node, at: usize, answer: &Json) -> Vec<Row> {
    let theirs = |name: &str, error: &str| {
        outcome(
            answer[name][at].as_str().unwrap_or_default().to_owned(),
            field(answer, error),
        )
    };
    let ours = |print: Result<String, emit::EmitError>| match print {
        Ok(text) => text,
        Err(error) => format!("error {error}"),
    };
    let mut rows = vec![("v2", ours(emit::v2(document)), theirs("v2", "v2Error"))];
    // The reference prints v3 from JSON, where a float without fraction is an integer.
    if !has_integral_float(document) {
        rows.push(("v3", ours(emit::v3(document)), theirs("v3", "v3Error")));
    }
    if let Ok(json) = yaml::to_json(document) {
        rows.push(("v2-json", ours(emit::v2(&json)), theirs("v2", "v2Error")));
    }
    rows
}

fn has_integral_float(node: &Node) -> bool {
    match &node.value {
        Value::Scalar(scalar) => matches!(scalar.kind, Kind::Float(f) if f.fract() == 0.0),
        Value::Sequence(items) => items.iter().any(has_integral_float),
        Value::Mapping(mapping) => mapping.values().any(has_integral_float),
    }
}

fn json(node: &Node) -> String {
    yaml::to_json(node).map_or_else(|error| format!("error {error}"), |json| canonical(&json))
}

/// Prints JSON with negative zero, which Go prints as `-0`, as zero.
fn canonical(json: &Json) -> String {
    [",", "]", "}"].iter().fold(json.to_string(), |text, end| {
        text.replace(&format!("-0.0{end}"), &format!("0{end}"))
    })
}

/// Prints the steps of a stream as the reference prints its nodes, and the error.
fn tree(text: &str) -> (String, String) {
    let mut out = String::new();
    let mut whole = 0;
    let result = reader(Schema::Core).visit(text, "f", &mut |located| {
        let ends = located.event == Event::DocumentEnd;
        // Writing to a String cannot fail.
        let _ = print_step(&mut out, &located);
        if ends {
            whole = out.len();
        }
    });
    // The reference shows whole documents only.
    out.truncate(whole);
    (
        out.trim().to_owned(),
        result
            .err()
            .map(|error| error.go_text())
            .unwrap_or_default(),
    )
}

fn print_step(out: &mut String, located: &Located<'_>) -> std::fmt::Result {
    let place = format!("{}:{}", located.start.line, located.start.column);
    match &located.event {
        Event::DocumentStart => write!(out, "D("),
        Event::DocumentEnd | Event::CollectionEnd => write!(out, ") "),
        Event::Alias(name) => write!(out, "A{place}*{name} "),
        Event::Scalar {
            text,
            style,
            properties,
        } => {
            let text = text
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            write!(
                out,
                "{}{place}{}=\"{text}\" ",
                letter(*style, 'P'),
                show(properties)
            )
        }
        Event::SequenceStart { style, properties } => {
            write!(out, "{}{place}{}(", letter(*style, 's'), show(properties))
        }
        Event::MappingStart { style, properties } => {
            write!(out, "{}{place}{}(", letter(*style, 'm'), show(properties))
        }
    }
}

fn letter(style: Style, base: char) -> char {
    match style {
        Style::SingleQuoted => '\'',
        Style::DoubleQuoted => '"',
        Style::Literal => '|',
        Style::Folded => '>',
        Style::Block => base.to_ascii_uppercase(),
        Style::Plain | Style::Flow => base,
    }
}

fn show(properties: &Properties<'_>) -> String {
    let anchor = properties
        .anchor
        .as_ref()
        .map(|name| format!("&{name}"))
        .unwrap_or_default();
    let tag = properties.tag.as_ref().filter(|tag| *tag != "!");
    format!(
        "{anchor}{}",
        tag.map(|tag| format!("<{tag}>")).unwrap_or_default()
    )
}

/// Removes the places of scalars that are left out: v3 puts them after comments.
fn without_gaps(tree: &str) -> String {
    let parts = tree.split("=\"\"").map(|part| match part.rfind('P') {
        Some(at)
            if part[at + 1..]
                .bytes()
                .all(|b| b.is_ascii_digit() || b == b':') =>
        {
            &part[..=at]
        }
        _ => part,
    });
    parts.collect::<Vec<_>>().join("=\"\"")
}
