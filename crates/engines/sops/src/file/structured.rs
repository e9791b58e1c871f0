//! YAML and JSON files, and the JSON envelope of binary ones.

use std::ops::Range;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use yaml::{Comment, Event, Kind, Located, Reader, Schema, Style};

use super::FileError;
use crate::{
    DataKey, Metadata, MetadataError,
    cipher::{self, Plain},
    mac::Mac,
};

/// The indentation of files that sops writes.
const INDENT: usize = 4;

fn syntax(error: &dyn std::fmt::Display) -> FileError {
    FileError::Syntax(error.to_string())
}

/// Reads the `sops` section of the first document that has one.
pub(super) fn section(text: &str) -> Result<Value, FileError> {
    let documents = Reader::new(Schema::Core)
        .read(text.as_bytes(), "")
        .map_err(|error| syntax(&error))?;
    let found = documents.iter().find_map(|document| document.get("sops"));
    let found = found.ok_or(MetadataError::Missing)?;
    yaml::to_json(found).map_err(|error| syntax(&error))
}

/// A scalar that is a value.
struct Leaf<'a> {
    path: Vec<String>,
    text: std::borrow::Cow<'a, str>,
    style: Style,
    range: Range<usize>,
    line: usize,
    /// The column of the key or list that it belongs to, from 0.
    indent: usize,
    in_flow: bool,
    /// Whether it is an item of a list.
    is_item: bool,
}

enum Open {
    /// A mapping: the key whose value comes next, and where the keys stand.
    Mapping(Option<String>, usize, bool),
    /// A list, and where it stands.
    List(usize, bool),
}

#[derive(Default)]
struct Walk<'a> {
    leaves: Vec<Leaf<'a>>,
    open: Vec<Open>,
    /// The `sops` keys with their values.
    sections: Vec<Range<usize>>,
    section_start: Option<usize>,
    alias: bool,
}

impl<'a> Walk<'a> {
    fn step(&mut self, step: Located<'a>) {
        let Located {
            event,
            content,
            start,
            end,
        } = step;
        match event {
            Event::DocumentStart | Event::DocumentEnd => {}
            Event::Alias(_) => {
                self.alias = true;
                self.value_ends(end);
            }
            Event::Scalar { text, style, .. } => {
                let expects_key = matches!(self.open.last(), Some(Open::Mapping(None, ..)));
                if expects_key {
                    self.key(text.into_owned(), start.offset, start.column);
                    return;
                }
                let (indent, in_flow) = match self.open.last() {
                    Some(Open::Mapping(_, column, flow) | Open::List(column, flow)) => {
                        (*column, *flow)
                    }
                    None => (0, false),
                };
                if self.section_start.is_none() {
                    self.leaves.push(Leaf {
                        path: self.path(),
                        text,
                        style,
                        range: content.offset..end,
                        line: content.line,
                        indent,
                        in_flow,
                        is_item: matches!(self.open.last(), Some(Open::List(..))),
                    });
                }
                self.value_ends(end);
            }
            Event::SequenceStart { style, .. } => {
                let flow = style == Style::Flow;
                self.open
                    .push(Open::List(start.column.saturating_sub(1), flow));
            }
            Event::MappingStart { style, .. } => {
                let flow = style == Style::Flow;
                self.open
                    .push(Open::Mapping(None, start.column.saturating_sub(1), flow));
            }
            Event::CollectionEnd => {
                self.open.pop();
                self.value_ends(end);
            }
        }
    }

    fn key(&mut self, name: String, start: usize, column: usize) {
        if self.open.len() == 1 && name == "sops" {
            self.section_start = Some(start);
        }
        if let Some(Open::Mapping(key, indent, _)) = self.open.last_mut() {
            *key = Some(name);
            *indent = column.saturating_sub(1);
        }
    }

    fn value_ends(&mut self, end: usize) {
        if let Some(Open::Mapping(key, ..)) = self.open.last_mut() {
            *key = None;
        }
        if self.open.len() == 1
            && let Some(start) = self.section_start.take()
        {
            self.sections.push(start..end);
        }
    }

    fn path(&self) -> Vec<String> {
        let keys = self.open.iter().filter_map(|open| match open {
            Open::Mapping(key, ..) => key.clone(),
            Open::List(..) => None,
        });
        keys.collect()
    }
}

struct Read<'a> {
    walk: Walk<'a>,
    comments: Vec<Comment<'a>>,
}

fn read(text: &str) -> Result<Read<'_>, FileError> {
    let mut walk = Walk::default();
    let comments = Reader::new(Schema::Core)
        .visit(text, "", &mut |step| walk.step(step))
        .map_err(|error| syntax(&error))?;
    if walk.alias {
        return Err(FileError::Syntax("encrypted files have no aliases".into()));
    }
    Ok(Read { walk, comments })
}

/// The values of a file in their order, with those that were encrypted; checks the MAC.
fn values<'r, 'a>(
    read: &'r Read<'a>,
    metadata: &Metadata,
    key: &DataKey,
) -> Result<Vec<(&'r Leaf<'a>, Plain)>, FileError> {
    let mut mac = Mac::new(metadata);
    let mut found = Vec::new();
    for leaf in &read.walk.leaves {
        let is_plain = leaf.style == Style::Plain;
        let kind = if is_plain {
            yaml::resolve(&leaf.text, Schema::Core)
        } else {
            Kind::String
        };
        if matches!(kind, Kind::Null) {
            continue;
        }
        if !metadata.rule.encrypts(&leaf.path, &leaf.text) {
            mac.clear(&clear_bytes(kind, &leaf.text));
            continue;
        }
        let place = leaf.path.join(":") + ":";
        let plain =
            cipher::decrypt(&leaf.text, key, &place).map_err(|source| FileError::Value {
                path: leaf.path.join("."),
                line: leaf.line,
                source,
            })?;
        mac.encrypted(&plain);
        found.push((leaf, plain));
    }
    if mac.agrees(metadata, key) {
        Ok(found)
    } else {
        Err(FileError::Mac)
    }
}

/// What the MAC is made of where a value stands in the clear.
fn clear_bytes(kind: Kind, text: &str) -> Vec<u8> {
    match kind {
        Kind::Null => Vec::new(),
        Kind::Bool(value) => cipher::bool_text(value).into(),
        Kind::Int(number) => number.to_string().into_bytes(),
        Kind::Uint(number) => number.to_string().into_bytes(),
        Kind::Float(number) => cipher::float_text(number).into_bytes(),
        Kind::Timestamp if text.len() == "2024-01-01".len() => format!("{text}T00:00:00Z").into(),
        Kind::Timestamp | Kind::String => text.into(),
    }
}

pub(super) fn decrypt(
    text: &str,
    metadata: &Metadata,
    key: &DataKey,
    is_json: bool,
) -> Result<Vec<u8>, FileError> {
    let read = read(text)?;
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    for (leaf, plain) in values(&read, metadata, key)? {
        if leaf.text.is_empty() {
            continue;
        }
        if let (Plain::Comment(comment), true) = (&plain, leaf.is_item && !is_json) {
            edits.extend(item_comment(text, leaf, comment));
            continue;
        }
        let written = if is_json {
            json_scalar(&plain)
        } else {
            let followed = read
                .comments
                .iter()
                .any(|c| c.start.line == leaf.line && c.start.offset > leaf.range.start);
            yaml_scalar(&plain, leaf, followed)?
        };
        edits.push((leaf.range.clone(), written));
    }
    for comment in &read.comments {
        edits.extend(comment_edits(text, comment, &read, key));
    }
    for section in &read.walk.sections {
        let range = if is_json {
            json_entry(text, section)
        } else {
            lines_of(text, section)
        };
        edits.push((range, String::new()));
    }
    Ok(apply(text, edits).into_bytes())
}

/// Takes the one value of a binary file out of its envelope.
pub(super) fn decrypt_binary(
    text: &str,
    metadata: &Metadata,
    key: &DataKey,
) -> Result<Vec<u8>, FileError> {
    let read = read(text)?;
    let values = values(&read, metadata, key)?;
    let data = values.into_iter().find(|(leaf, _)| leaf.path == ["data"]);
    let (_, plain) =
        data.ok_or_else(|| FileError::Syntax("no binary data found in tree".into()))?;
    Ok(plain.to_mac_bytes())
}

fn apply(text: &str, mut edits: Vec<(Range<usize>, String)>) -> String {
    edits.sort_by_key(|(range, _)| range.start);
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (range, written) in edits {
        if range.start < at {
            continue;
        }
        out.push_str(text.get(at..range.start).unwrap_or_default());
        out.push_str(&written);
        at = range.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

/// The whole lines of a block entry.
fn lines_of(text: &str, range: &Range<usize>) -> Range<usize> {
    let before = text.get(..range.start).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let after = text.get(range.end..).unwrap_or_default();
    // The last value may be a block that ends with its own line feed.
    let ends_line = text.get(..range.end).is_some_and(|t| t.ends_with('\n'));
    let end = match after.find('\n') {
        _ if ends_line => range.end,
        Some(at) => range.end + at + 1,
        None => text.len(),
    };
    start..end
}

/// An entry of a JSON object with the comma that goes with it.
fn json_entry(text: &str, range: &Range<usize>) -> Range<usize> {
    let before = text.get(..range.start).unwrap_or_default();
    let trimmed = before.trim_end();
    if trimmed.ends_with(',') {
        return trimmed.len() - 1..range.end;
    }
    let after = text.get(range.end..).unwrap_or_default();
    let rest = after.trim_start();
    match rest.strip_prefix(',') {
        Some(rest) => range.start..text.len() - rest.trim_start().len(),
        None => range.clone(),
    }
}

/// Decrypts a comment, which is bound to the keys above it.
fn comment_edits(
    text: &str,
    comment: &Comment<'_>,
    read: &Read<'_>,
    key: &DataKey,
) -> Vec<(Range<usize>, String)> {
    let sealed = comment.text.strip_prefix('#').unwrap_or_default();
    if !cipher::is_value(sealed) {
        return Vec::new();
    }
    let start = comment.start.offset;
    let next = read
        .walk
        .leaves
        .partition_point(|leaf| leaf.range.start < start);
    let before = next
        .checked_sub(1)
        .and_then(|index| read.walk.leaves.get(index));
    let near = read.walk.leaves.get(next).into_iter().chain(before);
    let mut paths: Vec<String> = near
        .flat_map(|leaf| (0..=leaf.path.len()).map(|n| leaf.path[..n].join(":") + ":"))
        .collect();
    paths.push(":".into());
    let plain = paths
        .iter()
        .find_map(|path| cipher::decrypt(sealed, key, path).ok());
    let Some(plain) = plain else {
        return Vec::new();
    };
    let Plain::Comment(plain) = plain else {
        return Vec::new();
    };
    let end = start + comment.text.len();
    let before = text.get(..start).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = before.get(line_start..).unwrap_or_default();
    if line.trim().is_empty() {
        return vec![(start..end, format!("#{plain}"))];
    }
    // As sops prints it: above its line.
    let margin = line.len() - line.trim_start().len();
    let above = format!("{}#{plain}\n", line.get(..margin).unwrap_or_default());
    vec![
        (line_start..line_start, above),
        (line_start + line.trim_end().len()..end, String::new()),
    ]
}

/// Writes a comment that is kept as an item of a list.
fn item_comment(text: &str, leaf: &Leaf<'_>, comment: &str) -> Option<(Range<usize>, String)> {
    let before = text.get(..leaf.range.start)?;
    let dash = before.trim_end().strip_suffix('-')?.len();
    Some((dash..leaf.range.end, format!("#{comment}")))
}

fn json_scalar(plain: &Plain) -> String {
    match plain {
        Plain::Text(text) | Plain::Time(text) | Plain::Comment(text) => json_string(text),
        Plain::Bytes(bytes) => json_string(&String::from_utf8_lossy(bytes)),
        Plain::Int(number) => number.to_string(),
        Plain::Float(number) => serde_json::Value::from(*number).to_string(),
        Plain::Bool(value) => value.to_string(),
    }
}

/// Writes a string as Go does: marks of HTML are escaped.
fn json_string(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    let mut out = String::with_capacity(quoted.len());
    for c in quoted.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let escape = format!("\\u{:04x}", u32::from(c));
                out.push_str(&escape);
            }
            c => out.push(c),
        }
    }
    out
}

/// Writes a value as go-yaml v3 does with the indentation of sops.
fn yaml_scalar(plain: &Plain, leaf: &Leaf<'_>, has_comment: bool) -> Result<String, FileError> {
    let value = match plain {
        Plain::Bytes(bytes) => return Ok(format!("!!binary {}", STANDARD.encode(bytes))),
        Plain::Int(number) => Value::from(*number),
        Plain::Float(number) => Value::from(*number),
        Plain::Bool(value) => Value::from(*value),
        Plain::Time(text) => return Ok(text.clone()),
        Plain::Text(text) | Plain::Comment(text) => {
            let is_long = text.contains('\n');
            if leaf.in_flow || (is_long && has_comment) {
                return Ok(json_scalar(plain));
            }
            if is_long {
                return block(text, leaf);
            }
            Value::from(text.as_str())
        }
    };
    let printed = yaml::emit::v3(&value).map_err(|error| syntax(&error))?;
    Ok(printed.trim_end_matches('\n').to_owned())
}

/// Writes text of several lines below its key.
fn block(text: &str, leaf: &Leaf<'_>) -> Result<String, FileError> {
    let wrapped = serde_json::json!({ "k": text });
    let printed = yaml::emit::v3(&wrapped).map_err(|error| syntax(&error))?;
    let printed = printed.strip_prefix("k: ").unwrap_or(&printed);
    let margin = " ".repeat(if leaf.is_item {
        leaf.indent + 2
    } else {
        INDENT * ((leaf.indent + INDENT) / INDENT)
    });
    let mut lines = printed.split('\n');
    let header = lines.next().unwrap_or_default();
    let mut out = header.replace('2', &INDENT.to_string());
    if !header.starts_with(['|', '>']) {
        return Ok(printed.trim_end_matches('\n').to_owned());
    }
    let lines: Vec<&str> = lines.collect();
    let count = lines.len().saturating_sub(usize::from(!lines.is_empty()));
    for line in &lines[..count] {
        out.push('\n');
        if let Some(body) = line.strip_prefix("  ").filter(|body| !body.is_empty()) {
            out.push_str(&margin);
            out.push_str(body);
        }
    }
    Ok(out)
}
