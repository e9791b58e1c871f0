//! Writes JSON values as block-style YAML, keys in order, for generated files only.

use std::fmt::Write as _;

use serde_json::Value;

/// Writes a whole document.
pub(super) fn document(value: &Value) -> String {
    let mut text = String::from("---\n");
    block(&mut text, value, 0);
    text
}

/// Writes a value from the start of a line.
fn block(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                out.extend(std::iter::repeat_n(' ', indent));
                entry(out, key, value, indent);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                out.extend(std::iter::repeat_n(' ', indent));
                out.push_str("- ");
                let mut inner = String::new();
                block(&mut inner, item, indent + 2);
                out.push_str(inner.trim_start_matches(' '));
            }
        }
        scalar => {
            out.push_str(&inline(scalar, indent));
            out.push('\n');
        }
    }
}

/// Writes `key: value`, the value on lines of its own where it has to be.
fn entry(out: &mut String, key: &str, value: &Value, indent: usize) {
    out.push_str(&quoted(key));
    out.push(':');
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            out.push('\n');
            block(out, value, indent + 2);
        }
        // Lists stand as far left as their key, as Kubernetes' own files have them.
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            block(out, value, indent);
        }
        scalar => {
            out.push(' ');
            out.push_str(&inline(scalar, indent + 2));
            out.push('\n');
        }
    }
}

/// Writes a scalar or an empty collection; text of several lines as a literal block.
fn inline(value: &Value, indent: usize) -> String {
    match value {
        Value::String(text) if text.contains('\n') => {
            let mut block = String::from("|-");
            for line in text.trim_end().lines() {
                block.push('\n');
                if !line.is_empty() {
                    let _ = write!(block, "{:indent$}{line}", "");
                }
            }
            block
        }
        Value::String(text) => quoted(text),
        other => other.to_string(),
    }
}

/// Quotes text that YAML would read as something else.
fn quoted(text: &str) -> String {
    let words = [
        "true", "false", "null", "yes", "no", "on", "off", "y", "n", "~", "",
    ];
    let first = text.chars().next().unwrap_or(' ');
    let is_word = words.contains(&text.to_lowercase().as_str());
    let is_special = "!&*-?:,[]{}#|>@`\"'%= ".contains(first) || first.is_ascii_digit();
    let is_special = is_special || "+.".contains(first) && text.len() > 1 && first == '+';
    let breaks = text.contains(": ") || text.contains(" #") || text.ends_with([':', ' ']);
    if is_word || is_special || breaks || text.chars().any(char::is_control) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_kubernetes_writes_them() {
        let value = serde_json::json!({
            "a": [{ "name": "x", "enum": ["True", "go-git"] }, [1, 2]],
            "b": { "default": {}, "pattern": "^a: b$", "text": "one\n\n- two" },
            "c": "60s",
            "d": ".spec.url",
            "e": "it's: so",
        });
        let text = "---\na:\n- enum:\n  - 'True'\n  - go-git\n  name: x\n- - 1\n  - 2\nb:\n  default: {}\n  pattern: \
                    '^a: b$'\n  text: |-\n    one\n\n    - two\nc: '60s'\nd: .spec.url\ne: 'it''s: so'\n";
        assert_eq!(document(&value), text);
    }
}
