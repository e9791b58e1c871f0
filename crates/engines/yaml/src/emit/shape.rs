//! What the printer asks of a tree.

use crate::json::{JsonError, check_float, json_key, timestamp_to_json};
use crate::node::{Kind, Node, Value};
use serde_json::Value as Json;
use std::borrow::Cow;

/// One level of a tree.
#[derive(Debug)]
pub enum Shape<'a, T> {
    /// Null.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer past `i64`.
    Uint(u64),
    /// A float.
    Float(f64),
    /// A string.
    String(Cow<'a, str>),
    /// Items in order.
    Sequence(&'a [T]),
    /// Keys with values in any order; keys must differ.
    Mapping(Vec<(&'a str, &'a T)>),
}

/// A tree the printers can walk.
pub trait Tree: Sized {
    /// Returns what the root of the tree is.
    fn shape(&self) -> Result<Shape<'_, Self>, JsonError>;
}

impl Tree for Node {
    fn shape(&self) -> Result<Shape<'_, Self>, JsonError> {
        Ok(match &self.value {
            Value::Scalar(scalar) => match scalar.kind {
                Kind::Null => Shape::Null,
                Kind::Bool(value) => Shape::Bool(value),
                Kind::Int(value) => Shape::Int(value),
                Kind::Uint(value) => Shape::Uint(value),
                Kind::Float(value) => {
                    check_float(value, &self.span)?;
                    Shape::Float(value)
                }
                Kind::Timestamp => {
                    Shape::String(Cow::Owned(timestamp_to_json(&scalar.text, &self.span)?))
                }
                Kind::String => Shape::String(Cow::Borrowed(&scalar.text)),
            },
            Value::Sequence(items) => Shape::Sequence(items),
            Value::Mapping(mapping) => {
                let mut pairs = Vec::with_capacity(mapping.len());
                for entry in mapping {
                    pairs.push((json_key(&entry.key)?, &entry.value));
                }
                Shape::Mapping(pairs)
            }
        })
    }
}

impl Tree for Json {
    fn shape(&self) -> Result<Shape<'_, Self>, JsonError> {
        Ok(match self {
            Self::Null => Shape::Null,
            Self::Bool(value) => Shape::Bool(*value),
            Self::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(value), _) => Shape::Int(value),
                (None, Some(value)) => Shape::Uint(value),
                (None, None) => number.as_f64().map_or(Shape::Null, Shape::Float),
            },
            Self::String(text) => Shape::String(Cow::Borrowed(text)),
            Self::Array(items) => Shape::Sequence(items),
            Self::Object(object) => Shape::Mapping(
                object
                    .iter()
                    .map(|(key, value)| (key.as_str(), value))
                    .collect(),
            ),
        })
    }
}
