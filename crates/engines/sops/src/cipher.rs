//! One encrypted value: `ENC[AES256_GCM,data:…,iv:…,tag:…,type:str]`.

use aes::Aes256;
use aes_gcm::{
    AesGcm, KeyInit,
    aead::{Aead, Payload, generic_array::typenum},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

/// The key of all values of a file: 32 bytes, wiped when dropped.
#[derive(Clone)]
pub struct DataKey(Zeroizing<Vec<u8>>);

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DataKey(..)")
    }
}

impl DataKey {
    /// Takes the bytes of a key; none where it has not 32.
    #[must_use]
    pub fn new(bytes: Zeroizing<Vec<u8>>) -> Option<Self> {
        (bytes.len() == 32).then_some(Self(bytes))
    }
}

/// A value that cannot be decrypted. No variant shows the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// It does not look like an encrypted value.
    #[error("Input string <redacted> does not match sops' data format")]
    Format,
    /// The key is wrong, or the value or its place was changed.
    #[error("Could not decrypt with AES_GCM: cipher: message authentication failed")]
    Authentication,
    /// Its type is unknown, or its text does not fit its type.
    #[error("the decrypted value does not fit its type")]
    Type,
}

/// A decrypted value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Plain {
    Text(String),
    Bytes(Vec<u8>),
    Int(i64),
    Float(f64),
    Bool(bool),
    /// As it is printed.
    Time(String),
    Comment(String),
}

impl Plain {
    /// What the MAC is made of.
    pub(crate) fn to_mac_bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) | Self::Time(text) | Self::Comment(text) => text.clone().into_bytes(),
            Self::Bytes(bytes) => bytes.clone(),
            Self::Int(number) => number.to_string().into_bytes(),
            Self::Float(number) => float_text(*number).into_bytes(),
            Self::Bool(value) => bool_text(*value).into(),
        }
    }
}

pub(crate) fn bool_text(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}

/// Prints a float as Go's `FormatFloat(f, 'f', -1, 64)`.
pub(crate) fn float_text(number: f64) -> String {
    if number.is_nan() {
        return "NaN".into();
    }
    if number.is_infinite() {
        return if number > 0.0 {
            "+Inf".into()
        } else {
            "-Inf".into()
        };
    }
    format!("{number}")
}

/// Tells whether a text has the shape of an encrypted value.
pub(crate) fn is_value(text: &str) -> bool {
    text.starts_with("ENC[AES256_GCM,data:") && text.ends_with(']')
}

struct Parts<'a> {
    data: Vec<u8>,
    nonce: Vec<u8>,
    kind: &'a str,
}

fn parse(text: &str) -> Option<Parts<'_>> {
    let inner = text
        .strip_prefix("ENC[AES256_GCM,data:")?
        .strip_suffix(']')?;
    let (data, rest) = inner.split_once(",iv:")?;
    let (nonce, rest) = rest.split_once(",tag:")?;
    let (tag, kind) = rest.split_once(",type:")?;
    let mut data = STANDARD.decode(data).ok()?;
    data.extend(STANDARD.decode(tag).ok()?);
    Some(Parts {
        data,
        nonce: STANDARD.decode(nonce).ok()?,
        kind,
    })
}

/// Decrypts a value. `path` is the additional data: the keys above it, each followed by `:`.
pub(crate) fn decrypt(text: &str, key: &DataKey, path: &str) -> Result<Plain, ValueError> {
    if text.is_empty() {
        return Ok(Plain::Text(String::new()));
    }
    let Parts { data, nonce, kind } = parse(text).ok_or(ValueError::Format)?;
    let payload = Payload {
        msg: &data,
        aad: path.as_bytes(),
    };
    let opened = match nonce.len() {
        12 => open::<typenum::U12>(key, &nonce, payload),
        16 => open::<typenum::U16>(key, &nonce, payload),
        32 => open::<typenum::U32>(key, &nonce, payload),
        _ => return Err(ValueError::Format),
    };
    typed(opened.ok_or(ValueError::Authentication)?, kind).ok_or(ValueError::Type)
}

fn open<N>(key: &DataKey, nonce: &[u8], payload: Payload<'_, '_>) -> Option<Vec<u8>>
where
    N: aes_gcm::aead::generic_array::ArrayLength<u8>,
{
    let cipher = AesGcm::<Aes256, N>::new_from_slice(&key.0).ok()?;
    cipher
        .decrypt(aes_gcm::Nonce::from_slice(nonce), payload)
        .ok()
}

fn typed(bytes: Vec<u8>, kind: &str) -> Option<Plain> {
    if kind == "bytes" {
        return Some(Plain::Bytes(bytes));
    }
    let bytes = match String::from_utf8(bytes) {
        Ok(text) => text,
        // A string that is no text: binary files are kept so.
        Err(error) if kind == "str" => return Some(Plain::Bytes(error.into_bytes())),
        Err(_) => return None,
    };
    let text = bytes;
    match kind {
        "str" => Some(Plain::Text(text)),
        "int" => text.parse().ok().map(Plain::Int),
        "float" => text.parse().ok().map(Plain::Float),
        "bool" => match text.as_str() {
            "True" | "true" | "TRUE" | "1" | "t" | "T" => Some(Plain::Bool(true)),
            "False" | "false" | "FALSE" | "0" | "f" | "F" => Some(Plain::Bool(false)),
            _ => None,
        },
        "time" => Some(Plain::Time(text)),
        "comment" => Some(Plain::Comment(text)),
        _ => None,
    }
}
