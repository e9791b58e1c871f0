//! TOML as BurntSushi's encoder writes it.

use std::fmt::Write as _;

use gotemplate::value::Value;
use gotemplate::{Map as Table, Str};

/// How deep tables may nest. Headers repeat the whole path, so the text grows with its square.
const MAX_DEPTH: usize = 200;

/// Writes a value; tables are indented by their depth.
///
/// # Errors
/// Upstream's text, for what TOML cannot hold.
pub(super) fn encode(value: &Value) -> Result<String, String> {
    let mut encoder = Encoder {
        out: String::new(),
        written: false,
    };
    match value {
        Value::Map(map) => encoder.table(&[], map)?,
        Value::List(_) if is_table(value) => {
            return Err("toml: top-level values must be Go maps or structs".to_owned());
        }
        Value::Nil => return Err("reflect: call of reflect.Value.Type on zero Value".to_owned()),
        other => encoder.element(other, 0)?,
    }
    Ok(encoder.out)
}

struct Encoder {
    out: String,
    written: bool,
}

impl Encoder {
    /// Simple keys first, then tables, each group by name.
    fn table(&mut self, path: &[String], map: &Table) -> Result<(), String> {
        if path.len() > MAX_DEPTH {
            return Err("toml: tables nest too deep".to_owned());
        }
        let entries = map.entries();
        let (tables, simple): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .filter(|(_, v)| !v.is_nil())
            .partition(|(_, v)| is_table(v));
        let indent = "  ".repeat(path.len().saturating_sub(1) + usize::from(!path.is_empty()));
        let indent = if path.is_empty() {
            String::new()
        } else {
            indent
        };
        for (key, value) in simple {
            self.out.push_str(&indent);
            self.out.push_str(&key_text(&key));
            self.out.push_str(" = ");
            self.element(&value, 0)?;
            self.out.push('\n');
            self.written = true;
        }
        for (key, value) in tables {
            let mut inner = path.to_vec();
            inner.push(key_text(&key));
            match &value {
                Value::Map(map) => {
                    self.header(&inner, "[", "]");
                    self.table(&inner, map)?;
                }
                Value::List(list) => {
                    for item in list.items() {
                        if let Value::Map(map) = item {
                            self.header(&inner, "[[", "]]");
                            self.table(&inner, map)?;
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn header(&mut self, path: &[String], open: &str, close: &str) {
        if self.written {
            self.out.push('\n');
        }
        self.out.push_str(&"  ".repeat(path.len() - 1));
        self.out.push_str(open);
        self.out.push_str(&path.join("."));
        self.out.push_str(close);
        self.out.push('\n');
        self.written = true;
    }

    fn element(&mut self, value: &Value, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err("toml: values nest too deep".to_owned());
        }
        match value {
            Value::Bool(b) => self.out.push_str(if *b { "true" } else { "false" }),
            Value::Int(n) | Value::Int64(n) => self.out.push_str(&n.to_string()),
            Value::Uint64(n) => self.out.push_str(&n.to_string()),
            Value::Byte(n) => self.out.push_str(&n.to_string()),
            Value::Float(f) => self.float(*f),
            Value::Str(text) => self.out.push_str(&quoted(&text.text())),
            Value::Time(time) => {
                self.out
                    .push_str(&time.format("2006-01-02T15:04:05.999999999Z07:00"));
            }
            Value::Duration(d) => self.out.push_str(&quoted(&d.to_string())),
            Value::List(list) => {
                self.out.push('[');
                for (i, item) in list.items().iter().enumerate() {
                    if i > 0 {
                        self.out.push_str(", ");
                    }
                    if item.is_nil() {
                        return Err("toml: cannot encode array with nil element".to_owned());
                    }
                    self.element(item, depth + 1)?;
                }
                self.out.push(']');
            }
            Value::Map(map) => {
                self.out.push('{');
                let entries = map.entries();
                for (i, (key, item)) in entries.iter().filter(|(_, v)| !v.is_nil()).enumerate() {
                    if i > 0 {
                        self.out.push_str(", ");
                    }
                    self.out.push_str(&key_text(key));
                    self.out.push_str(" = ");
                    self.element(item, depth + 1)?;
                }
                self.out.push('}');
            }
            other => return Err(format!("unsupported type: {}", other.type_name())),
        }
        Ok(())
    }

    fn float(&mut self, value: f64) {
        if value.is_nan() {
            self.out.push_str("nan");
            return;
        }
        if value.is_infinite() {
            self.out.push_str(if value > 0.0 { "inf" } else { "-inf" });
            return;
        }
        let text = go::strconv::format_general(value);
        self.out.push_str(&text);
        if !text.contains(['.', 'e']) {
            self.out.push_str(".0");
        }
    }
}

fn is_table(value: &Value) -> bool {
    match value {
        Value::Map(_) => true,
        Value::List(list) => {
            !list.items().is_empty() && list.items().iter().all(|v| matches!(v, Value::Map(_)))
        }
        _ => false,
    }
}

fn key_text(key: &Str) -> String {
    let text = key.text();
    let bare = !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if bare {
        text.into_owned()
    } else {
        quoted(&text)
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c.is_ascii_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Reads TOML into a map; what is wrong is under `Error`.
pub(super) fn decode(text: &str) -> Value {
    match text.parse::<::toml::Table>() {
        Ok(table) => from_table(table),
        Err(error) => {
            let text = format!("toml: {}", error.message());
            Value::Map(std::iter::once(("Error", Value::from(text))).collect())
        }
    }
}

fn from_table(table: ::toml::Table) -> Value {
    Value::Map(
        table
            .into_iter()
            .map(|(k, v)| (Str::from(k), from_toml(v)))
            .collect(),
    )
}

fn from_toml(value: ::toml::Value) -> Value {
    match value {
        ::toml::Value::String(text) => Value::from(text),
        ::toml::Value::Integer(n) => Value::Int64(n),
        ::toml::Value::Float(f) => Value::Float(f),
        ::toml::Value::Boolean(b) => Value::Bool(b),
        ::toml::Value::Datetime(time) => {
            let text = time.to_string();
            go::time::Time::parse(go::time::RFC3339, &text, &go::time::Zone::utc())
                .map_or_else(|_| Value::from(text), |t| Value::Time(std::rc::Rc::new(t)))
        }
        ::toml::Value::Array(items) => {
            let tables =
                !items.is_empty() && items.iter().all(|i| matches!(i, ::toml::Value::Table(_)));
            let values: Vec<Value> = items.into_iter().map(from_toml).collect();
            if tables {
                return Value::List(gotemplate::List::typed("map[string]interface {}", values));
            }
            Value::list(values)
        }
        ::toml::Value::Table(table) => from_table(table),
    }
}
