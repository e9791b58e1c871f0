//! The hash that ends generated names.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use yaml::Node;

/// How many characters of the hash are used.
const LENGTH: usize = 10;

/// Hashes an object's content; its name, namespace, labels and annotations do not count.
///
/// # Errors
/// Where the content is no JSON.
///
/// **Source:** kustomize api v0.21.1, its hasher: the name it hashes is always empty.
pub(crate) fn of(object: &Node) -> Result<String, String> {
    let value = |field: &str| match object.get(field) {
        None => Ok(json!("")),
        Some(node) if node.is_scalar() => Ok(json!(node.text())),
        Some(node) => yaml::to_json(node).map_err(|error| error.to_string()),
    };
    let kind = object.get("kind").map_or("", Node::text);
    let content = match kind {
        "ConfigMap" | "Secret" => {
            let mut content = Map::new();
            content.insert("kind".to_owned(), json!(kind));
            content.insert("name".to_owned(), json!(""));
            content.insert("data".to_owned(), value("data")?);
            let other = if kind == "Secret" {
                "stringData"
            } else {
                "binaryData"
            };
            if kind == "Secret" {
                content.insert("type".to_owned(), value("type")?);
            }
            let more = value(other)?;
            if more.is_object() {
                content.insert(other.to_owned(), more);
            }
            Value::Object(content)
        }
        _ => yaml::to_json(object).map_err(|error| error.to_string())?,
    };
    let mut printed = String::new();
    go_json(&content, &mut printed);
    Ok(encode(&printed))
}

/// Prints JSON as Go does that has read it into no type of its own: every number is a float.
fn go_json(value: &Value, out: &mut String) {
    match value {
        Value::Null | Value::Bool(_) => out.push_str(&value.to_string()),
        Value::Number(number) => match number.as_f64() {
            Some(float) => out.push_str(&yaml::number::go_json_float(float)),
            None => out.push_str(&number.to_string()),
        },
        Value::String(_) => escaped(&value.to_string(), out),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                go_json(item, out);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            out.push('{');
            for (at, (key, field)) in fields.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                escaped(&json!(key).to_string(), out);
                out.push(':');
                go_json(field, out);
            }
            out.push('}');
        }
    }
}

/// Prints a string of JSON with what HTML could misread escaped.
fn escaped(printed: &str, out: &mut String) {
    for c in printed.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                // Writing to a String cannot fail.
                let _: std::fmt::Result = write!(out, "\\u{:04x}", u32::from(c));
            }
            other => out.push(other),
        }
    }
}

/// Gives the first characters of the SHA-256, the ones that could spell something replaced.
fn encode(content: &str) -> String {
    let digest = hex(&Sha256::digest(content.as_bytes()));
    let spelled = digest.chars().take(LENGTH).map(|c| match c {
        '0' => 'g',
        '1' => 'h',
        '3' => 'k',
        'a' => 'm',
        'e' => 't',
        other => other,
    });
    spelled.collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _: std::fmt::Result = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(text: &str) -> String {
        let node = yaml::Reader::new(yaml::Schema::Core).read_first(text.as_bytes(), "t");
        of(&node.unwrap().unwrap()).unwrap()
    }

    /// covers: KE-097, KE-098, KE-099
    #[test]
    fn hash_depends_on_content_alone() {
        let cases = [
            ("kind: ConfigMap", "6ct58987ht"),
            ("kind: ConfigMap\ndata: {a: b}", "4h2mbtbbt6"),
            ("kind: ConfigMap\ndata: {k: 'v<&>'}", "kk7fgbmht7"),
            ("kind: Secret\ntype: Opaque\ndata: {k: dg==}", "ftgtgc4t9f"),
            ("kind: Secret\ntype: t/x\ndata: {k: dg==}", "k5m4tgdc2k"),
            (
                "kind: ConfigMap\nimmutable: true\nmetadata: {labels: {a: b}, namespace: n}\n\
                 data: {e: '', m: 'a=b', n: '1', x: q, y: z}",
                "25kcm96ff9",
            ),
        ];
        for (object, expected) in cases {
            assert_eq!(hash(object), expected, "{object}");
        }
    }
}
