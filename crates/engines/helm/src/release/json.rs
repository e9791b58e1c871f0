//! JSON as Go's `encoding/json` prints structs and maps: fields in the struct's order, HTML
//! characters escaped, floats in Go's shape.

use std::fmt::Write as _;

use serde_json::{Map, Value as Json};

/// Field names of a struct in its order. What is empty is left out unless it is marked.
pub(super) type Fields = &'static [(&'static str, Presence)];

/// When a field of a struct is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// Always; null where it is absent.
    Always,
    /// Unless it is empty.
    NotEmpty,
}

/// The text of one JSON object that is being written.
#[derive(Debug)]
pub(super) struct Object<'o> {
    out: &'o mut String,
    is_empty: bool,
}

impl<'o> Object<'o> {
    pub(super) fn begin(out: &'o mut String) -> Self {
        out.push('{');
        Self {
            out,
            is_empty: true,
        }
    }

    /// Writes a field's name; the value follows into the text given back.
    pub(super) fn field(&mut self, name: &str) -> &mut String {
        if !self.is_empty {
            self.out.push(',');
        }
        self.is_empty = false;
        string(self.out, name);
        self.out.push(':');
        self.out
    }

    pub(super) fn text(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            string(self.field(name), value);
        }
    }

    pub(super) fn integer(&mut self, name: &str, value: i64) {
        if value != 0 {
            // Writing to a String does not fail.
            let _ = write!(self.field(name), "{value}");
        }
    }

    pub(super) fn texts(&mut self, name: &str, values: &[impl AsRef<str>]) {
        if !values.is_empty() {
            list(self.field(name), values, |out, value| {
                string(out, value.as_ref());
            });
        }
    }

    pub(super) fn end(self) {
        self.out.push('}');
    }
}

/// Writes an array.
pub(super) fn list<T>(out: &mut String, items: &[T], mut each: impl FnMut(&mut String, &T)) {
    out.push('[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        each(out, item);
    }
    out.push(']');
}

/// Writes an object as the struct of these fields prints; other members are left out.
pub(super) fn structure(
    out: &mut String,
    json: &Json,
    fields: Fields,
    inner: fn(&str) -> Option<Fields>,
) {
    let mut object = Object::begin(out);
    for (name, presence) in fields {
        let value = &json[*name];
        if *presence == Presence::NotEmpty && is_empty(value) {
            continue;
        }
        let out = object.field(name);
        match (inner(name), value) {
            (Some(fields), Json::Array(items)) => {
                list(out, items, |out, item| {
                    structure(out, item, fields, |_| None);
                });
            }
            (None, Json::Null) if *presence == Presence::Always => string(out, ""),
            _ => any(out, value),
        }
    }
    object.end();
}

/// Whether `omitempty` leaves the value out.
fn is_empty(json: &Json) -> bool {
    match json {
        Json::Null => true,
        Json::Bool(value) => !value,
        Json::Number(number) => number.as_f64() == Some(0.0),
        Json::String(text) => text.is_empty(),
        Json::Array(items) => items.is_empty(),
        Json::Object(members) => members.is_empty(),
    }
}

/// Writes any value; members are sorted by their bytes.
pub(super) fn any(out: &mut String, json: &Json) {
    match json {
        Json::Null => out.push_str("null"),
        Json::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => {
                let _ = write!(out, "{integer}");
            }
            (None, Some(float)) => out.push_str(&go::strconv::format_json(float)),
            (None, None) => out.push_str("null"),
        },
        Json::String(text) => string(out, text),
        Json::Array(items) => list(out, items, any),
        Json::Object(members) => map(out, members),
    }
}

/// Writes a map; keys are sorted by their bytes.
pub(super) fn map(out: &mut String, members: &Map<String, Json>) {
    let mut object = Object::begin(out);
    // serde_json keeps its maps sorted.
    for (name, value) in members {
        any(object.field(name), value);
    }
    object.end();
}

/// Writes a string with Go's escapes.
pub(super) fn string(out: &mut String, text: &str) {
    out.push('"');
    let mut written = 0;
    for (at, c) in text.char_indices() {
        let plain = !matches!(
            c,
            '\0'..='\u{1f}' | '"' | '\\' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}'
        );
        if plain {
            continue;
        }
        out.push_str(&text[written..at]);
        written = at + c.len_utf8();
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            other => {
                let _ = write!(out, "\\u{:04x}", u32::from(other));
            }
        }
    }
    out.push_str(&text[written..]);
    out.push('"');
}
