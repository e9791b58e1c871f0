//! INI files.

use serde_json::Value;

use super::{FileError, unflatten};
use crate::{
    DataKey, Metadata,
    cipher::{self, Plain},
    mac::Mac,
};

/// A line of a file.
enum Line<'a> {
    Section(&'a str),
    /// The text up to the value, the key, the value.
    Pair(&'a str, &'a str, &'a str),
    /// The mark with the blanks after it, and the text.
    Comment(&'a str, &'a str),
    Other,
}

fn read(line: &str) -> Line<'_> {
    let trimmed = line.trim();
    if let Some(name) = trimmed.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        return Line::Section(name.trim());
    }
    if trimmed.starts_with([';', '#']) {
        let text = trimmed.trim_start_matches([';', '#', ' ']);
        let start = line.len() - line.trim_start().len();
        let body = line.trim_end().len() - text.len();
        return Line::Comment(&line[start..body], text);
    }
    let Some(at) = line.find(['=', ':']) else {
        return Line::Other;
    };
    let (before, after) = line.split_at(at + 1);
    let value = after.trim();
    let blanks = after.len() - after.trim_start().len();
    let head = &line[..before.len() + blanks];
    Line::Pair(head, before[..at].trim(), unquote(value))
}

fn unquote(value: &str) -> &str {
    for quote in ["\"\"\"", "`", "\"", "'"] {
        let inner = value
            .strip_prefix(quote)
            .and_then(|v| v.strip_suffix(quote));
        if let Some(inner) = inner {
            return inner;
        }
    }
    value
}

pub(super) fn section(text: &str) -> Value {
    let mut flat = Vec::new();
    let mut in_section = false;
    for line in text.lines() {
        match read(line) {
            Line::Section(name) => in_section = name == "sops",
            Line::Pair(_, key, value) if in_section => {
                flat.push((key.to_owned(), value.replace("\\n", "\n")));
            }
            _ => {}
        }
    }
    unflatten(flat.into_iter())
}

pub(super) fn decrypt(
    text: &str,
    metadata: &Metadata,
    key: &DataKey,
) -> Result<Vec<u8>, FileError> {
    let mut mac = Mac::new(metadata);
    let mut out = String::new();
    let mut section = "DEFAULT".to_owned();
    let lines: Vec<&str> = text.lines().collect();
    for (index, line) in lines.iter().copied().enumerate() {
        match read(line) {
            Line::Section(name) => {
                name.clone_into(&mut section);
                if name != "sops" {
                    out.push_str(line);
                    out.push('\n');
                }
            }
            _ if section == "sops" => {}
            Line::Pair(head, name, value) => {
                let path = [section.clone(), name.to_owned()];
                out.push_str(head);
                if metadata.rule.encrypts(&path, value) {
                    let place = format!("{section}:{name}:");
                    let plain = cipher::decrypt(value, key, &place).map_err(|source| {
                        let path = path.join(".");
                        let line = index + 1;
                        FileError::Value { path, line, source }
                    })?;
                    mac.encrypted(&plain);
                    out.push_str(&quoted(&plain));
                } else {
                    mac.clear(value.as_bytes());
                    out.push_str(line.get(head.len()..).unwrap_or_default());
                }
                out.push('\n');
            }
            Line::Comment(head, text) => {
                let owner = next_section(&lines[index..]).unwrap_or(&section);
                let plain = comment(text, owner, key);
                out.push_str(head);
                out.push_str(plain.as_deref().unwrap_or(text));
                out.push('\n');
            }
            Line::Other => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    if mac.agrees(metadata, key) {
        Ok(format!("{}\n", out.trim_end_matches('\n')).into_bytes())
    } else {
        Err(FileError::Mac)
    }
}

/// The section that comments stand above, where they do.
fn next_section<'a>(lines: &[&'a str]) -> Option<&'a str> {
    let mut rest = lines.iter().map(|line| read(line));
    match rest.find(|line| !matches!(line, Line::Comment(..) | Line::Other)) {
        Some(Line::Section(name)) => Some(name),
        _ => None,
    }
}

fn comment(text: &str, section: &str, key: &DataKey) -> Option<String> {
    match cipher::decrypt(text, key, &format!("{section}:")).ok()? {
        Plain::Comment(text) => Some(text),
        _ => None,
    }
}

/// Writes a value as the INI library that sops uses does.
fn quoted(plain: &Plain) -> String {
    let text = match plain {
        Plain::Bool(value) => if *value { "true" } else { "false" }.to_owned(),
        other => String::from_utf8_lossy(&other.to_mac_bytes()).into_owned(),
    };
    if text.contains(['\n', '`']) {
        format!("\"\"\"{text}\"\"\"")
    } else if text.contains(['#', ';']) {
        format!("`{text}`")
    } else if text.trim() != text {
        format!("\"{text}\"")
    } else {
        text
    }
}
