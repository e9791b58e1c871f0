//! Writing JSON.

use base64::Engine as _;
use go::strconv::{self, decode_rune};

use crate::value::{Struct, Value};

/// How JSON is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Compact, `<`, `>` and `&` escaped.
    Html,
    /// Indented by two spaces, `<`, `>` and `&` escaped.
    Pretty,
    /// Compact, nothing escaped that need not be.
    Raw,
}

const MAX_DEPTH: usize = 1000;

/// Writes a value as JSON; keys sorted by bytes.
///
/// # Errors
/// Go's text, for what JSON cannot hold: infinities and values inside themselves.
pub fn encode(value: &Value, style: Style) -> Result<Vec<u8>, String> {
    let mut encoder = Encoder {
        out: Vec::new(),
        style,
    };
    encoder.value(value, 0)?;
    Ok(encoder.out)
}

struct Encoder {
    out: Vec<u8>,
    style: Style,
}

impl Encoder {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            let of = value.type_name();
            return Err(format!(
                "json: unsupported value: encountered a cycle via {of}"
            ));
        }
        match value {
            Value::Nil => self.raw("null"),
            Value::Bool(b) => self.raw(if *b { "true" } else { "false" }),
            Value::Int(n) | Value::Int64(n) => self.raw(&n.to_string()),
            Value::Uint64(n) => self.raw(&n.to_string()),
            Value::Byte(n) => self.raw(&n.to_string()),
            Value::Float(f) if !f.is_finite() => {
                let shown = strconv::format_general(*f);
                return Err(format!("json: unsupported value: {shown}"));
            }
            Value::Float(f) => self.raw(&strconv::format_json(*f)),
            Value::Str(text) => self.string(text.as_bytes()),
            Value::Bytes(bytes) => {
                let text = base64::engine::general_purpose::STANDARD.encode(bytes.as_bytes());
                self.string(text.as_bytes());
            }
            Value::Duration(d) => self.raw(&d.nanos().to_string()),
            Value::Time(time) => {
                self.string(
                    time.format("2006-01-02T15:04:05.999999999Z07:00")
                        .as_bytes(),
                );
            }
            Value::List(list) if list.is_nil() => self.raw("null"),
            Value::List(list) => {
                self.sequence(*b"[]", list.items().iter(), depth, |encoder, item| {
                    encoder.value(item, depth + 1)
                })?;
            }
            Value::Map(map) => {
                map.with(|entries| {
                    self.sequence(*b"{}", entries.iter(), depth, |encoder, (key, item)| {
                        encoder.key(key.as_bytes());
                        encoder.value(item, depth + 1)
                    })
                })?;
            }
            Value::Struct(s) => self.structure(s, depth)?,
        }
        Ok(())
    }

    /// Exported fields by their Go names; a type that hides them all shows its text.
    fn structure(&mut self, s: &Struct, depth: usize) -> Result<(), String> {
        let shown: Vec<_> = s
            .fields
            .iter()
            .filter(|(n, _)| n.starts_with(char::is_uppercase))
            .collect();
        if let (true, Some(text)) = (shown.is_empty(), s.of.text) {
            self.string(text(s).as_bytes());
            return Ok(());
        }
        self.sequence(*b"{}", shown.iter(), depth, |encoder, (name, value)| {
            encoder.key(name.as_bytes());
            encoder.value(value, depth + 1)
        })
    }

    fn sequence<T>(
        &mut self,
        [open, close]: [u8; 2],
        items: impl ExactSizeIterator<Item = T>,
        depth: usize,
        mut each: impl FnMut(&mut Self, T) -> Result<(), String>,
    ) -> Result<(), String> {
        let count = items.len();
        self.out.push(open);
        for (i, item) in items.enumerate() {
            if i > 0 {
                self.out.push(b',');
            }
            self.line(depth + 1);
            each(self, item)?;
        }
        if count > 0 {
            self.line(depth);
        }
        self.out.push(close);
        Ok(())
    }

    fn line(&mut self, depth: usize) {
        if self.style == Style::Pretty {
            self.out.push(b'\n');
            self.out.extend(std::iter::repeat_n(b' ', depth * 2));
        }
    }

    fn key(&mut self, name: &[u8]) {
        self.string(name);
        self.raw(if self.style == Style::Pretty {
            ": "
        } else {
            ":"
        });
    }

    fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn string(&mut self, text: &[u8]) {
        self.out.push(b'"');
        let is_plain =
            |b: &u8| matches!(b, b' '..=b'~') && !matches!(b, b'"' | b'\\' | b'<' | b'>' | b'&');
        let mut rest = text;
        loop {
            let plain = rest.iter().take_while(|b| is_plain(b)).count();
            self.out.extend_from_slice(&rest[..plain]);
            rest = &rest[plain..];
            let Some((rune, width)) = decode_rune(rest) else {
                break;
            };
            let raw = &rest[..width];
            rest = &rest[width..];
            match rune {
                Ok('"') => self.raw("\\\""),
                Ok('\\') => self.raw("\\\\"),
                Ok('\n') => self.raw("\\n"),
                Ok('\r') => self.raw("\\r"),
                Ok('\t') => self.raw("\\t"),
                Ok('\u{8}') => self.raw("\\b"),
                Ok('\u{c}') => self.raw("\\f"),
                Ok(c) if c < ' ' || matches!(c, '\u{2028}' | '\u{2029}') => {
                    self.raw(&format!("\\u{:04x}", u32::from(c)));
                }
                Ok(c @ ('<' | '>' | '&')) if self.style != Style::Raw => {
                    self.raw(&format!("\\u{:04x}", u32::from(c)));
                }
                Ok(_) => self.out.extend_from_slice(raw),
                Err(_) => self.raw("\\ufffd"),
            }
        }
        self.out.push(b'"');
    }
}
