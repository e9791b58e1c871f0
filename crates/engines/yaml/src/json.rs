//! Conversion to and from `serde_json::Value`, with Go's rules for numbers and dates.

use crate::mapping::{Entry, Mapping};
use crate::node::{Kind, Node, Scalar, Value};
use crate::number::go_json_float;
use crate::span::Span;
use crate::timestamp::Timestamp;
use serde_json::{Map, Number, Value as Json};

/// Deepest nesting [`to_json`] converts: `serde_json` values are dropped recursively.
const MAX_DEPTH: usize = 512;

/// A tree JSON cannot hold.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// A float that is infinite or no number.
    #[error("json: unsupported value: {text}")]
    Float {
        /// Go's name of it: `+Inf`, `-Inf`, `NaN`.
        text: &'static str,
        /// Where it stands.
        span: Span,
    },
    /// A date whose zone RFC 3339 cannot say.
    #[error("json: unsupported timestamp {text}")]
    Timestamp {
        /// The date's text.
        text: String,
        /// Where it stands.
        span: Span,
    },
    /// A key that is no string.
    #[error("json: unsupported type: map[interface {{}}]interface {{}}")]
    Key {
        /// The key's text.
        text: String,
        /// Where it stands.
        span: Span,
    },
    /// The tree is too deep for a recursive consumer.
    #[error("exceeded max depth of {limit}")]
    TooDeep {
        /// The limit.
        limit: usize,
        /// Where it is exceeded.
        span: Span,
    },
}

impl JsonError {
    /// Returns the place of the node at fault.
    pub fn span(&self) -> &Span {
        match self {
            Self::Float { span, .. }
            | Self::Timestamp { span, .. }
            | Self::Key { span, .. }
            | Self::TooDeep { span, .. } => span,
        }
    }
}

/// Converts a tree to JSON as Go would after reading it: dates become RFC 3339 strings, a float
/// without fraction becomes an integer (`1.0` is `1`, `1e+21` stays a float).
///
/// Keys: strings always; other scalars of the legacy reading by their JSON text (null refused), of
/// the core reading refused.
pub fn to_json(node: &Node) -> Result<Json, JsonError> {
    convert(node, MAX_DEPTH)
}

fn convert(node: &Node, levels: usize) -> Result<Json, JsonError> {
    let inner = |child: &Node| match levels.checked_sub(1) {
        Some(levels) => convert(child, levels),
        None => Err(JsonError::TooDeep {
            limit: MAX_DEPTH,
            span: child.span.clone(),
        }),
    };
    match &node.value {
        Value::Scalar(scalar) => scalar_to_json(scalar, &node.span),
        Value::Sequence(items) => items
            .iter()
            .map(inner)
            .collect::<Result<_, _>>()
            .map(Json::Array),
        Value::Mapping(mapping) => {
            // Go looks at the type of a map before its values.
            mapping
                .iter()
                .try_for_each(|entry| json_key(&entry.key).map(drop))?;
            let pairs = mapping
                .iter()
                .map(|Entry { key, value }| Ok((json_key(key)?.to_owned(), inner(value)?)));
            Ok(Json::Object(pairs.collect::<Result<Map<_, _>, _>>()?))
        }
    }
}

/// Returns the JSON text of a key, or refuses it.
pub(crate) fn json_key(key: &Node) -> Result<&str, JsonError> {
    match key.kind() {
        Some(Kind::String) => Ok(key.text()),
        _ => Err(JsonError::Key {
            text: key.text().to_owned(),
            span: key.span.clone(),
        }),
    }
}

fn scalar_to_json(scalar: &Scalar, span: &Span) -> Result<Json, JsonError> {
    Ok(match scalar.kind {
        Kind::Null => Json::Null,
        Kind::Bool(value) => Json::Bool(value),
        Kind::Int(value) => Json::Number(value.into()),
        Kind::Uint(value) => Json::Number(value.into()),
        Kind::Float(value) => Json::Number(float_to_json(value, span)?),
        Kind::Timestamp => Json::String(timestamp_to_json(&scalar.text, span)?),
        Kind::String => Json::String(scalar.text.as_str().to_owned()),
    })
}

fn float_to_json(value: f64, span: &Span) -> Result<Number, JsonError> {
    check_float(value, span)?;
    let printed = go_json_float(value);
    if let Ok(integer) = printed.parse::<i64>() {
        return Ok(integer.into());
    }
    if let Ok(integer) = printed.parse::<u64>() {
        return Ok(integer.into());
    }
    Number::from_f64(value).ok_or(JsonError::Float {
        text: "NaN",
        span: span.clone(),
    })
}

/// Refuses the floats JSON has no spelling for.
pub(crate) fn check_float(value: f64, span: &Span) -> Result<(), JsonError> {
    let text = if value.is_nan() {
        "NaN"
    } else if value == f64::INFINITY {
        "+Inf"
    } else if value == f64::NEG_INFINITY {
        "-Inf"
    } else {
        return Ok(());
    };
    Err(JsonError::Float {
        text,
        span: span.clone(),
    })
}

/// Prints a date as Go's JSON does.
pub(crate) fn timestamp_to_json(text: &str, span: &Span) -> Result<String, JsonError> {
    Timestamp::parse(text)
        .and_then(Timestamp::to_rfc3339)
        .ok_or_else(|| JsonError::Timestamp {
            text: text.to_owned(),
            span: span.clone(),
        })
}

/// Converts JSON to a tree without spans.
pub fn from_json(json: &Json) -> Node {
    match json {
        Json::Null => Node::null(),
        Json::Bool(value) => Node::bool(*value),
        Json::Number(number) => number_node(number),
        Json::String(text) => Node::string(text),
        Json::Array(items) => Node::sequence(items.iter().map(from_json).collect::<Vec<_>>()),
        Json::Object(object) => {
            let entries = object.iter().map(|(key, value)| Entry {
                key: Node::string(key),
                value: from_json(value),
            });
            Node::mapping(Mapping::from_distinct(entries.collect()))
        }
    }
}

fn number_node(number: &Number) -> Node {
    if let Some(value) = number.as_i64() {
        Node::int(value)
    } else if let Some(value) = number.as_u64() {
        Node::uint(value)
    } else {
        number.as_f64().map_or_else(Node::null, Node::float)
    }
}
