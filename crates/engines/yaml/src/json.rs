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

/// Makes of a tree, in place, what [`to_json`] and [`from_json`] would make of it. Entries keep their
/// order, nodes their spans, strings their styles.
///
/// # Errors
/// As for [`to_json`]; the tree is then half done.
pub fn through_json(node: &mut Node) -> Result<(), JsonError> {
    settle(node, MAX_DEPTH)
}

fn settle(node: &mut Node, levels: usize) -> Result<(), JsonError> {
    let inner = |child: &mut Node| match levels.checked_sub(1) {
        Some(levels) => settle(child, levels),
        None => Err(JsonError::TooDeep {
            limit: MAX_DEPTH,
            span: child.span.clone(),
        }),
    };
    match &mut node.value {
        Value::Sequence(items) => items.iter_mut().try_for_each(inner),
        Value::Mapping(mapping) => {
            mapping
                .iter()
                .try_for_each(|entry| json_key(&entry.key).map(drop))?;
            mapping.values_mut().try_for_each(inner)
        }
        Value::Scalar(scalar) => {
            let text = scalar.text.as_str();
            let is_settled = match scalar.kind {
                Kind::String => true,
                Kind::Null => text == "null",
                Kind::Bool(value) => text == if value { "true" } else { "false" },
                Kind::Int(_) | Kind::Uint(_) => is_canonical(text),
                Kind::Float(_) | Kind::Timestamp => false,
            };
            if !is_settled {
                let json = scalar_to_json(scalar, &node.span)?;
                node.value = from_json(&json).value;
            }
            Ok(())
        }
    }
}

/// Tells whether an integer is spelled as it is printed.
fn is_canonical(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    match digits.as_bytes() {
        [b'0'] => digits.len() == text.len(),
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, Schema, parse};

    fn texts(node: &Node, found: &mut Vec<String>) {
        match &node.value {
            Value::Scalar(scalar) => found.push(scalar.text.as_str().to_owned()),
            Value::Sequence(items) => items.iter().for_each(|item| texts(item, found)),
            Value::Mapping(mapping) => mapping.values().for_each(|value| texts(value, found)),
        }
    }

    #[test]
    fn a_tree_led_through_json_in_place_is_the_one_that_was_written_and_read() {
        let text = "a: [1, 0x10, -0, 1_000, 1.0, 1.5, 1e21, 18446744073709551615]\n\
                    b: {n: ~, e: , t: True, s: 'x', d: 2001-01-01}\nc: -0.0\n";
        let limits = Limits::default();
        let mut node = parse(text.as_bytes(), "f", Schema::Core, &limits)
            .unwrap()
            .remove(0);
        let expected = from_json(&to_json(&node).unwrap());
        through_json(&mut node).unwrap();
        assert_eq!(node, expected);
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        texts(node.get("a").unwrap(), &mut ours);
        texts(expected.get("a").unwrap(), &mut theirs);
        assert_eq!(ours, theirs);
    }

    #[test]
    fn what_json_cannot_hold_is_refused_in_place_as_well() {
        for text in ["a: .inf", "1: x", "a: [.nan]"] {
            let limits = Limits::default();
            let mut node = parse(text.as_bytes(), "f", Schema::Core, &limits)
                .unwrap()
                .remove(0);
            let error = to_json(&node).unwrap_err();
            assert_eq!(through_json(&mut node).unwrap_err(), error, "{text}");
        }
    }
}
