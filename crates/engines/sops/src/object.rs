//! Objects that were encrypted as files and came through a build.

use serde_json::Value;

use crate::{
    DataKey, Metadata, MetadataError, ValueError,
    cipher::{self, Plain},
};

/// An object that cannot be decrypted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectError {
    /// Its `sops` section cannot be used.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// A value cannot be decrypted.
    #[error("cannot decrypt {path}")]
    Value {
        /// The keys to the value, joined by dots.
        path: String,
        /// Why.
        source: ValueError,
    },
}

/// Tells whether an object carries a `sops` section with a MAC.
#[must_use]
pub fn is_encrypted(object: &Value) -> bool {
    let mac = object.get("sops").and_then(|sops| sops.get("mac"));
    mac.and_then(Value::as_str)
        .is_some_and(|mac| !mac.is_empty())
}

/// Reads an object's `sops` section.
///
/// # Errors
/// [`MetadataError`].
pub fn metadata_of(object: &Value) -> Result<Metadata, MetadataError> {
    Metadata::read(object.get("sops").ok_or(MetadataError::Missing)?)
}

/// Decrypts an object and drops its `sops` section.
///
/// The MAC is not checked: a build may have changed values that were never encrypted. Each
/// encrypted value is authenticated with its own place.
///
/// # Errors
/// [`ObjectError`]; the object is then half decrypted and must not be used.
pub fn decrypt_object(
    object: &mut Value,
    metadata: &Metadata,
    key: &DataKey,
) -> Result<(), ObjectError> {
    if let Some(map) = object.as_object_mut() {
        map.remove("sops");
    }
    walk(object, &mut Vec::new(), metadata, key)
}

fn walk(
    value: &mut Value,
    path: &mut Vec<String>,
    metadata: &Metadata,
    key: &DataKey,
) -> Result<(), ObjectError> {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                path.push(name.clone());
                walk(value, path, metadata, key)?;
                path.pop();
            }
        }
        Value::Array(list) => {
            for value in list {
                walk(value, path, metadata, key)?;
            }
        }
        // Builds add values, and change some, that were never encrypted.
        Value::String(text) if cipher::is_value(text) && metadata.rule.encrypts(path, text) => {
            let place = path.join(":") + ":";
            let plain = cipher::decrypt(text, key, &place).map_err(|source| {
                let path = path.join(".");
                ObjectError::Value { path, source }
            })?;
            *value = json(plain);
        }
        _ => {}
    }
    Ok(())
}

fn json(plain: Plain) -> Value {
    match plain {
        Plain::Text(text) | Plain::Time(text) | Plain::Comment(text) => Value::String(text),
        Plain::Bytes(bytes) => Value::String(String::from_utf8_lossy(&bytes).into_owned()),
        Plain::Int(number) => number.into(),
        Plain::Float(number) => number.into(),
        Plain::Bool(value) => value.into(),
    }
}
