//! Values as Go prints them with `%#v`, which some error texts contain.

use crate::mapping::Entry;
use crate::node::{Kind, Node, Scalar, Value};
use crate::number::go_float;
use crate::resolve::Schema;
use std::fmt::{self, Write};

/// Longest text printed; what follows is left out.
const MAX_BYTES: usize = 4096;
/// Deepest nesting printed.
const MAX_DEPTH: usize = 32;

/// Prints a value as Go does: `map[string]interface {}{"a":1, "b":interface {}(nil)}`.
pub(crate) fn go_syntax(node: &Node, schema: Schema) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = print(&mut out, node, schema, MAX_DEPTH);
    out
}

fn print(out: &mut String, node: &Node, schema: Schema, levels: usize) -> fmt::Result {
    if out.len() > MAX_BYTES || levels == 0 {
        return out.write_char('…');
    }
    match &node.value {
        Value::Scalar(scalar) => print_scalar(out, scalar),
        Value::Sequence(items) => {
            out.write_str("[]interface {}{")?;
            for (at, item) in items.iter().enumerate() {
                out.write_str(if at == 0 { "" } else { ", " })?;
                print(out, item, schema, levels - 1)?;
            }
            out.write_char('}')
        }
        Value::Mapping(mapping) => {
            let strings = mapping.iter().all(|entry| entry.key.is_string());
            let is_plain = schema == Schema::Core && strings;
            let key = if is_plain { "string" } else { "interface {}" };
            write!(out, "map[{key}]interface {{}}{{")?;
            let mut entries: Vec<&Entry> = mapping.iter().collect();
            entries.sort_by_key(|entry| (rank(&entry.key), entry.name()));
            for (at, entry) in entries.into_iter().enumerate() {
                out.write_str(if at == 0 { "" } else { ", " })?;
                print(out, &entry.key, schema, levels - 1)?;
                out.write_char(':')?;
                print(out, &entry.value, schema, levels - 1)?;
            }
            out.write_char('}')
        }
    }
}

/// Returns where Go sorts a key among keys of other types.
fn rank(key: &Node) -> u8 {
    match key.kind() {
        Some(Kind::Null) => 0,
        Some(Kind::String) => 1,
        _ => 2,
    }
}

fn print_scalar(out: &mut String, scalar: &Scalar) -> fmt::Result {
    match scalar.kind {
        Kind::Null => out.write_str("interface {}(nil)"),
        Kind::Uint(value) => write!(out, "{value:#x}"),
        Kind::Float(value) if value.is_nan() => out.write_str("NaN"),
        Kind::Float(f64::INFINITY) => out.write_str("+Inf"),
        Kind::Float(f64::NEG_INFINITY) => out.write_str("-Inf"),
        Kind::Float(value) => out.write_str(&go_float(value)),
        Kind::Bool(value) => write!(out, "{value}"),
        Kind::Int(value) => write!(out, "{value}"),
        Kind::Timestamp | Kind::String => quote(out, &scalar.text),
    }
}

/// Returns a string as Go's `strconv.Quote` does.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = quote(&mut out, text);
    out
}

fn quote(out: &mut String, text: &str) -> fmt::Result {
    out.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(out, "\\{c}")?,
            '\u{7}' => out.write_str("\\a")?,
            '\u{8}' => out.write_str("\\b")?,
            '\u{c}' => out.write_str("\\f")?,
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            '\u{b}' => out.write_str("\\v")?,
            '\0'..='\u{1f}' | '\u{7f}' => write!(out, "\\x{:02x}", u32::from(c))?,
            '\u{80}'..='\u{a0}' | '\u{ad}' | '\u{2028}' | '\u{2029}' | '\u{feff}' => {
                write!(out, "\\u{:04x}", u32::from(c))?;
            }
            c => out.write_char(c)?,
        }
    }
    out.write_char('"')
}
