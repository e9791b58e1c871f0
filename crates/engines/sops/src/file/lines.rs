//! Dotenv files.

use serde_json::Value;

use super::{FileError, unflatten};
use crate::{
    DataKey, Metadata,
    cipher::{self, Plain},
    mac::Mac,
};

const PREFIX: &str = "sops_";

/// Line feeds in values are written `\n`.
fn unescape(value: &str) -> String {
    value.replace("\\n", "\n")
}

pub(super) fn section(text: &str) -> Result<Value, FileError> {
    let mut flat = Vec::new();
    for line in text.split('\n') {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line
            .split_once('=')
            .ok_or_else(|| FileError::Syntax("invalid dotenv input line".into()))?;
        if let Some(key) = key.strip_prefix(PREFIX) {
            flat.push((key.to_owned(), unescape(value)));
        }
    }
    Ok(unflatten(flat.into_iter()))
}

pub(super) fn decrypt(
    text: &str,
    metadata: &Metadata,
    key: &DataKey,
) -> Result<Vec<u8>, FileError> {
    let mut mac = Mac::new(metadata);
    let mut out = Vec::new();
    for (index, line) in text.split('\n').enumerate() {
        if line.is_empty() {
            continue;
        }
        if let Some(comment) = line.strip_prefix('#') {
            let plain = cipher::decrypt(comment, key, ":");
            let plain = plain.ok().map(|p| p.to_mac_bytes());
            out.push(b'#');
            out.extend(plain.unwrap_or_else(|| comment.into()));
            out.push(b'\n');
            continue;
        }
        let Some((name, value)) = line.split_once('=') else {
            continue;
        };
        if name.starts_with(PREFIX) {
            continue;
        }
        let value = unescape(value);
        let path = [name.to_owned()];
        let plain = if metadata.rule.encrypts(&path, &value) {
            let plain = cipher::decrypt(&value, key, &format!("{name}:"));
            let plain = plain.map_err(|source| FileError::Value {
                path: name.to_owned(),
                line: index + 1,
                source,
            })?;
            mac.encrypted(&plain);
            plain
        } else {
            mac.clear(value.as_bytes());
            Plain::Text(value)
        };
        out.extend(name.as_bytes());
        out.push(b'=');
        out.extend(escaped(&plain));
        out.push(b'\n');
    }
    if mac.agrees(metadata, key) {
        Ok(out)
    } else {
        Err(FileError::Mac)
    }
}

fn escaped(plain: &Plain) -> Vec<u8> {
    match plain {
        Plain::Text(text) => text.replace('\n', "\\n").into_bytes(),
        Plain::Bool(value) => if *value { "true" } else { "false" }.into(),
        other => other.to_mac_bytes(),
    }
}
