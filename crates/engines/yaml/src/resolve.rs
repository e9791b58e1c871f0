//! What a scalar means: Go's two readings.

use crate::error::ErrorKind;
use crate::node::{Kind, Scalar, Style, Text};
use crate::number::{self, Integer};
use crate::timestamp::Timestamp;

/// Whose reading of scalars and merge keys applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Schema {
    /// go-yaml v3 and kyaml: resource files. `yes` is a string, dates are timestamps.
    Core,
    /// go-yaml v2 and sigs.k8s.io/yaml: kustomization files, Helm values. `yes` is a boolean.
    Legacy,
}

const NAMESPACE: &str = "tag:yaml.org,2002:";

/// Returns the meaning of a scalar with its style and explicit tag.
///
/// Source: go.yaml.in/yaml v2.4 and v3.0, observed.
pub(crate) fn scalar(
    text: Text,
    style: Style,
    tag: Option<&str>,
    schema: Schema,
) -> Result<Scalar, ErrorKind> {
    let plain = style == Style::Plain;
    let tag = match tag {
        Some("!") if schema == Schema::Core => None,
        Some("!") => return Ok(string(text)),
        other => other,
    };
    let Some(tag) = tag else {
        return Ok(if plain {
            untagged(text, schema)
        } else {
            string(text)
        });
    };
    match tag.strip_prefix(NAMESPACE) {
        Some("binary") => binary(&text),
        Some(wanted @ ("null" | "bool" | "int" | "float" | "timestamp")) => {
            tagged(text, wanted, schema)
        }
        _ => Ok(string(text)),
    }
}

fn string(text: Text) -> Scalar {
    Scalar {
        kind: Kind::String,
        text,
    }
}

fn untagged(text: Text, schema: Schema) -> Scalar {
    let kind = match implicit(&text, schema) {
        // The v2 reader recognises dates and hands them on as text.
        Kind::Timestamp if schema == Schema::Legacy => Kind::String,
        kind => kind,
    };
    Scalar { kind, text }
}

/// Applies an explicit tag of the YAML namespace.
fn tagged(text: Text, wanted: &str, schema: Schema) -> Result<Scalar, ErrorKind> {
    let kind = match (implicit(&text, schema), wanted) {
        // Only an explicit timestamp tag or none makes a date of a text.
        (Kind::Timestamp, "timestamp") => Kind::Timestamp,
        (Kind::Timestamp, _) => Kind::String,
        (kind, _) => kind,
    };
    #[expect(
        clippy::cast_precision_loss,
        reason = "an integer tagged as float is rounded"
    )]
    let kind = match (kind, wanted) {
        (Kind::Int(value), "float") => Kind::Float(value as f64),
        (Kind::Uint(value), "float") => Kind::Float(value as f64),
        (kind, _) => kind,
    };
    let found = short_tag(kind);
    if found.strip_prefix("!!") == Some(wanted) {
        return Ok(Scalar { kind, text });
    }
    let wanted = match wanted {
        "null" => "!!null",
        "bool" => "!!bool",
        "int" => "!!int",
        "float" => "!!float",
        _ => "!!timestamp",
    };
    Err(ErrorKind::Tag {
        found,
        text: text.as_str().to_owned(),
        wanted,
    })
}

fn short_tag(kind: Kind) -> &'static str {
    match kind {
        Kind::Null => "!!null",
        Kind::Bool(_) => "!!bool",
        Kind::Int(_) | Kind::Uint(_) => "!!int",
        Kind::Float(_) => "!!float",
        Kind::Timestamp => "!!timestamp",
        Kind::String => "!!str",
    }
}

/// Returns what plain text without a tag means.
pub fn implicit(text: &str, schema: Schema) -> Kind {
    let Some(first) = text.bytes().next() else {
        return Kind::Null;
    };
    match first {
        b'~' | b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' => {
            word(text, schema)
        }
        b'.' => match text {
            ".nan" | ".NaN" | ".NAN" => Kind::Float(f64::NAN),
            ".inf" | ".Inf" | ".INF" => Kind::Float(f64::INFINITY),
            _ => number::parse_fraction(text).map_or(Kind::String, Kind::Float),
        },
        b'+' | b'-' | b'0'..=b'9' => numeric(text),
        _ => Kind::String,
    }
}

fn word(text: &str, schema: Schema) -> Kind {
    match text {
        "~" | "null" | "Null" | "NULL" => Kind::Null,
        "true" | "True" | "TRUE" => Kind::Bool(true),
        "false" | "False" | "FALSE" => Kind::Bool(false),
        _ if schema == Schema::Core => Kind::String,
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Kind::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Kind::Bool(false),
        _ => Kind::String,
    }
}

/// Reads what begins with a digit or a sign: a date, an integer, a float, or text after all.
fn numeric(text: &str) -> Kind {
    match text {
        "+.inf" | "+.Inf" | "+.INF" => return Kind::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Kind::Float(f64::NEG_INFINITY),
        _ => {}
    }
    if Timestamp::parse(text).is_some() {
        return Kind::Timestamp;
    }
    let joined;
    let digits = if text.contains('_') {
        joined = text.replace('_', "");
        &joined
    } else {
        text
    };
    match number::parse_integer(digits) {
        Some(Integer::Signed(value)) => Kind::Int(value),
        Some(Integer::Unsigned(value)) => Kind::Uint(value),
        None => number::parse_float(digits).map_or(Kind::String, Kind::Float),
    }
}

/// Decodes base64 as Go's `StdEncoding` does: line breaks skipped, padding required.
fn binary(text: &str) -> Result<Scalar, ErrorKind> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let mut symbols = text.bytes().filter(|b| !matches!(b, b'\r' | b'\n'));
    loop {
        let mut group = [0u8; 4];
        let mut filled = 0;
        for slot in &mut group {
            let Some(symbol) = symbols.next() else { break };
            *slot = symbol;
            filled += 1;
        }
        if filled == 0 {
            break;
        }
        let padding = group
            .iter()
            .rev()
            .take_while(|symbol| **symbol == b'=')
            .count();
        if filled != 4 || padding > 2 {
            return Err(ErrorKind::Binary);
        }
        let mut bits = 0u32;
        for symbol in &group[..4 - padding] {
            bits = bits << 6 | sextet(*symbol).ok_or(ErrorKind::Binary)?;
        }
        bits <<= 6 * padding;
        let [_, a, b, c] = bits.to_be_bytes();
        bytes.extend_from_slice(&[a, b, c][..3 - padding]);
        if padding > 0 {
            if symbols.next().is_some() {
                return Err(ErrorKind::Binary);
            }
            break;
        }
    }
    // JSON is where such values go, and Go's JSON replaces what is not UTF-8.
    Ok(string(String::from_utf8_lossy(&bytes).into_owned().into()))
}

fn sextet(symbol: u8) -> Option<u32> {
    let value = match symbol {
        b'A'..=b'Z' => symbol - b'A',
        b'a'..=b'z' => symbol - b'a' + 26,
        b'0'..=b'9' => symbol - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> (String, String) {
        let show = |schema| format!("{:?}", untagged(text.into(), schema).kind);
        (show(Schema::Core), show(Schema::Legacy))
    }

    #[test]
    fn both_readings_agree_on_most_texts() {
        for (text, kind) in [
            ("", "Null"),
            ("~", "Null"),
            ("Null", "Null"),
            ("nUll", "String"),
            ("True", "Bool(true)"),
            ("tRUE", "String"),
            ("0777", "Int(511)"),
            ("0o17", "Int(15)"),
            ("08", "Float(8.0)"),
            ("1_000", "Int(1000)"),
            ("1__0", "Int(10)"),
            ("+5", "Int(5)"),
            ("1e3", "Float(1000.0)"),
            ("1e400", "String"),
            (".5", "Float(0.5)"),
            (".inf", "Float(inf)"),
            ("12:30", "String"),
            ("1,000", "String"),
            ("18446744073709551615", "Uint(18446744073709551615)"),
            ("18446744073709551616", "Float(1.8446744073709552e19)"),
            ("<<", "String"),
            ("=", "String"),
        ] {
            assert_eq!(kinds(text), (kind.to_owned(), kind.to_owned()), "{text}");
        }
    }

    #[test]
    fn yes_and_no_are_booleans_only_in_the_legacy_reading() {
        assert_eq!(kinds("yes"), ("String".to_owned(), "Bool(true)".to_owned()));
        assert_eq!(kinds("N"), ("String".to_owned(), "Bool(false)".to_owned()));
        assert_eq!(
            kinds("2001-01-01"),
            ("Timestamp".to_owned(), "String".to_owned())
        );
    }

    #[test]
    fn tags_convert_or_refuse() {
        let read = |text: &str, tag: &str| {
            scalar(text.into(), Style::Plain, Some(tag), Schema::Core)
                .map(|s| format!("{:?}", s.kind))
        };
        assert_eq!(read("1", "tag:yaml.org,2002:str").unwrap(), "String");
        assert_eq!(read("5", "tag:yaml.org,2002:float").unwrap(), "Float(5.0)");
        let refused = read("1.5", "tag:yaml.org,2002:int").unwrap_err();
        assert_eq!(
            refused.to_string(),
            "cannot decode !!float `1.5` as a !!int"
        );
        assert_eq!(read("aGk=", "tag:yaml.org,2002:binary").unwrap(), "String");
        assert!(read("aGk", "tag:yaml.org,2002:binary").is_err());
    }
}
