//! Encrypted files: their values are replaced where they stand, the rest stays as it is.

mod ini;
mod lines;
mod structured;

use crate::{DataKey, Metadata, MetadataError, ValueError};

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// YAML.
    Yaml,
    /// JSON.
    Json,
    /// `KEY=value` lines.
    Dotenv,
    /// Sections of `key = value` lines.
    Ini,
    /// Anything else, as one value in a JSON envelope.
    Binary,
}

impl Format {
    /// Returns the format that a file's name says; binary where it says none.
    #[must_use]
    pub fn of_path(path: &str) -> Self {
        let name = path.rsplit('/').next().unwrap_or(path);
        match name.rsplit_once('.').map(|(_, extension)| extension) {
            Some("yaml" | "yml") => Self::Yaml,
            Some("json" | "dockerconfigjson" | "dockercfg") => Self::Json,
            Some("env") => Self::Dotenv,
            Some("ini") => Self::Ini,
            _ => Self::Binary,
        }
    }
}

/// Tells by its marks whether bytes are an encrypted file, and in which format.
#[must_use]
pub fn detect(bytes: &[u8]) -> Option<Format> {
    let has = |mark: &[u8]| bytes.windows(mark.len()).any(|window| window == mark);
    if has(b"\"mac\": \"ENC[") {
        Some(Format::Json)
    } else if has(b"mac: ENC[") {
        Some(Format::Yaml)
    } else if has(b"sops_mac=ENC[") {
        Some(Format::Dotenv)
    } else if has(b"[sops]") {
        Some(Format::Ini)
    } else {
        None
    }
}

/// A file that cannot be decrypted. No variant shows its content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It is not written as its format wants.
    #[error("it cannot be read: {0}")]
    Syntax(String),
    /// Its `sops` section cannot be used.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// A value cannot be decrypted.
    #[error("cannot decrypt {path} in line {line}")]
    Value {
        /// The keys to the value, joined by dots.
        path: String,
        /// The line, from 1.
        line: usize,
        /// Why.
        source: ValueError,
    },
    /// The file was changed after it was encrypted.
    #[error("MAC mismatch: the file was changed after it was encrypted")]
    Mac,
}

/// An encrypted file, read.
#[derive(Debug)]
pub struct File<'a> {
    text: &'a str,
    format: Format,
    metadata: Metadata,
}

impl<'a> File<'a> {
    /// Reads a file's metadata.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn read(bytes: &'a [u8], format: Format) -> Result<Self, FileError> {
        let text =
            std::str::from_utf8(bytes).map_err(|_| FileError::Syntax("it is not UTF-8".into()))?;
        let section = match format {
            Format::Yaml | Format::Json | Format::Binary => structured::section(text)?,
            Format::Dotenv => lines::section(text)?,
            Format::Ini => ini::section(text),
        };
        let metadata = Metadata::read(&section)?;
        Ok(Self {
            text,
            format,
            metadata,
        })
    }

    /// Returns what the file says of its encryption.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Decrypts the file and checks its MAC.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn decrypt(&self, key: &DataKey) -> Result<Vec<u8>, FileError> {
        match self.format {
            Format::Yaml => structured::decrypt(self.text, &self.metadata, key, false),
            Format::Json => structured::decrypt(self.text, &self.metadata, key, true),
            Format::Binary => structured::decrypt_binary(self.text, &self.metadata, key),
            Format::Dotenv => lines::decrypt(self.text, &self.metadata, key),
            Format::Ini => ini::decrypt(self.text, &self.metadata, key),
        }
    }
}

/// Joins a flat section (`age__list_0__map_enc`) into the shape that structured files have.
fn unflatten(flat: impl Iterator<Item = (String, String)>) -> serde_json::Value {
    let mut root = serde_json::Value::Object(serde_json::Map::new());
    for (name, value) in flat {
        let mut at = &mut root;
        let marked = name.replace("__list_", "\u{0}").replace("__map_", "\u{0}");
        for part in marked.split('\u{0}') {
            at = entry(at, part);
        }
        *at = serde_json::Value::String(value);
    }
    lists(root)
}

/// Returns the place of a key, which is made where it is missing.
fn entry<'v>(value: &'v mut serde_json::Value, key: &str) -> &'v mut serde_json::Value {
    if !value.is_object() {
        *value = serde_json::Value::Object(serde_json::Map::new());
    }
    &mut value[key]
}

/// Maps whose keys are all numbers become lists.
fn lists(value: serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(map) => {
            let is_list =
                !map.is_empty() && map.keys().all(|k| k.bytes().all(|b| b.is_ascii_digit()));
            if is_list {
                let mut items: Vec<_> = map.into_iter().collect();
                items.sort_by_key(|(index, _)| index.parse::<usize>().unwrap_or(usize::MAX));
                items.into_iter().map(|(_, item)| lists(item)).collect()
            } else {
                map.into_iter()
                    .map(|(key, item)| (key, lists(item)))
                    .collect()
            }
        }
        other => other,
    }
}
