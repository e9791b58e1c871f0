//! The tree a YAML text is read into.

mod deep;
mod text;

pub use text::Text;

use crate::mapping::Mapping;
use crate::span::Span;
use std::ops::{Deref, DerefMut};

/// How a node was, or is to be, written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Style {
    /// A scalar without quotes.
    #[default]
    Plain,
    /// `'text'`.
    SingleQuoted,
    /// `"text"`.
    DoubleQuoted,
    /// `|`.
    Literal,
    /// `>`.
    Folded,
    /// A collection by indentation.
    Block,
    /// A collection in brackets or braces.
    Flow,
}

/// What a scalar means.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// `null`, `~` or nothing.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer that fits `i64`.
    Int(i64),
    /// An integer that only fits `u64`.
    Uint(u64),
    /// A float, including infinities and NaN.
    Float(f64),
    /// A date or time of the [`crate::Schema::Core`] reading; [`crate::timestamp`] parses it.
    Timestamp,
    /// A string; the text is [`Node::text`].
    String,
}

/// A scalar: what it means and how it was spelled.
#[derive(Debug, Clone)]
pub struct Scalar {
    /// What it means.
    pub kind: Kind,
    /// Its text after quotes, escapes and folding are undone; for a string its value.
    pub text: Text,
}

/// What a node holds.
pub enum Value {
    /// A scalar.
    Scalar(Scalar),
    /// A sequence.
    Sequence(Sequence),
    /// A mapping.
    Mapping(Mapping),
}

/// A sequence of nodes; use it as the `Vec<Node>` it dereferences to.
#[derive(Default)]
pub struct Sequence(pub(crate) Vec<Node>);

/// One node of a document: what it holds, where it stands and how it is written.
///
/// Aliases and merge keys are expanded, so a tree holds neither. Equality compares what nodes
/// mean: kinds, texts of strings, items in order, entries in any order; not spans or styles.
pub struct Node {
    /// What it holds.
    pub value: Value,
    /// Where it was read from.
    pub span: Span,
    /// How it was written.
    pub style: Style,
}

impl Node {
    /// Makes a scalar node.
    pub fn scalar(kind: Kind, text: impl Into<Text>) -> Self {
        Self {
            value: Value::Scalar(Scalar {
                kind,
                text: text.into(),
            }),
            span: Span::NONE,
            style: Style::Plain,
        }
    }

    /// Makes a string.
    pub fn string(text: impl Into<Text>) -> Self {
        Self::scalar(Kind::String, text)
    }

    /// Makes a null.
    pub fn null() -> Self {
        Self::scalar(Kind::Null, "null")
    }

    /// Makes a boolean.
    pub fn bool(value: bool) -> Self {
        Self::scalar(Kind::Bool(value), if value { "true" } else { "false" })
    }

    /// Makes an integer.
    pub fn int(value: i64) -> Self {
        Self::scalar(Kind::Int(value), value.to_string())
    }

    /// Makes an unsigned integer; one that fits `i64` is the same as [`Node::int`].
    pub fn uint(value: u64) -> Self {
        match i64::try_from(value) {
            Ok(value) => Self::int(value),
            Err(_) => Self::scalar(Kind::Uint(value), value.to_string()),
        }
    }

    /// Makes a float, spelled as Go prints it.
    pub fn float(value: f64) -> Self {
        Self::scalar(Kind::Float(value), crate::number::go_float(value))
    }

    /// Makes a block sequence.
    pub fn sequence(items: impl Into<Sequence>) -> Self {
        Self {
            value: Value::Sequence(items.into()),
            span: Span::NONE,
            style: Style::Block,
        }
    }

    /// Makes a block mapping.
    pub fn mapping(mapping: Mapping) -> Self {
        Self {
            value: Value::Mapping(mapping),
            span: Span::NONE,
            style: Style::Block,
        }
    }

    /// Returns the node with another span.
    #[must_use]
    pub fn with_span(mut self, span: Span) -> Self {
        self.span = span;
        self
    }

    /// Returns the node with another style.
    #[must_use]
    pub fn with_style(mut self, style: Style) -> Self {
        self.style = style;
        self
    }

    /// Returns the scalar's text whatever its kind; empty for a collection.
    pub fn text(&self) -> &str {
        match &self.value {
            Value::Scalar(scalar) => &scalar.text,
            Value::Sequence(_) | Value::Mapping(_) => "",
        }
    }

    /// Returns the scalar's text for sharing; empty for a collection.
    pub fn shared_text(&self) -> Text {
        match &self.value {
            Value::Scalar(scalar) => scalar.text.clone(),
            Value::Sequence(_) | Value::Mapping(_) => Text::default(),
        }
    }

    /// Returns what the scalar means; `None` for a collection.
    pub fn kind(&self) -> Option<Kind> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar.kind),
            Value::Sequence(_) | Value::Mapping(_) => None,
        }
    }

    /// Returns the text of a string; `None` for anything else, numbers included.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(Scalar {
                kind: Kind::String,
                text,
            }) => Some(text),
            _ => None,
        }
    }

    /// Returns the boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match self.kind() {
            Some(Kind::Bool(value)) => Some(value),
            _ => None,
        }
    }

    /// Returns the integer, if it fits.
    pub fn as_i64(&self) -> Option<i64> {
        match self.kind() {
            Some(Kind::Int(value)) => Some(value),
            _ => None,
        }
    }

    /// Returns the number of an integer or float.
    #[expect(clippy::cast_precision_loss, reason = "a float is asked for")]
    pub fn as_f64(&self) -> Option<f64> {
        match self.kind() {
            Some(Kind::Int(value)) => Some(value as f64),
            Some(Kind::Uint(value)) => Some(value as f64),
            Some(Kind::Float(value)) => Some(value),
            _ => None,
        }
    }

    /// Returns the items of a sequence.
    pub fn as_sequence(&self) -> Option<&Sequence> {
        match &self.value {
            Value::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// Returns the items of a sequence for change.
    pub fn as_sequence_mut(&mut self) -> Option<&mut Sequence> {
        match &mut self.value {
            Value::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// Returns the mapping.
    pub fn as_mapping(&self) -> Option<&Mapping> {
        match &self.value {
            Value::Mapping(mapping) => Some(mapping),
            _ => None,
        }
    }

    /// Returns the mapping for change.
    pub fn as_mapping_mut(&mut self) -> Option<&mut Mapping> {
        match &mut self.value {
            Value::Mapping(mapping) => Some(mapping),
            _ => None,
        }
    }

    /// Tells whether the node is a null.
    pub fn is_null(&self) -> bool {
        matches!(self.kind(), Some(Kind::Null))
    }

    /// Tells whether the node is a string.
    pub fn is_string(&self) -> bool {
        matches!(self.kind(), Some(Kind::String))
    }

    /// Tells whether the node is a scalar.
    pub fn is_scalar(&self) -> bool {
        matches!(self.value, Value::Scalar(_))
    }

    /// Returns the value of `key`, if the node is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_mapping()?.get(key)
    }

    /// Returns the value of `key` for change, if the node is a mapping that has it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        self.as_mapping_mut()?.get_mut(key)
    }

    /// Sets `key` of a mapping and returns its old value; does nothing to any other node.
    pub fn insert(&mut self, key: impl Into<Text>, value: Self) -> Option<Self> {
        self.as_mapping_mut()?.insert(key, value)
    }

    /// Removes `key`, if the node is a mapping that has it, and returns its value.
    pub fn remove(&mut self, key: &str) -> Option<Self> {
        self.as_mapping_mut()?.remove(key)
    }

    /// Returns the node at a path of mapping keys and sequence positions.
    ///
    /// Shape: `["spec", "containers", "0", "image"]`; a decimal segment is a position in a
    /// sequence and a key in a mapping.
    pub fn at<S: AsRef<str>>(&self, path: &[S]) -> Option<&Self> {
        path.iter()
            .try_fold(self, |node, segment| match &node.value {
                Value::Mapping(mapping) => mapping.get(segment.as_ref()),
                Value::Sequence(items) => items.get(segment.as_ref().parse::<usize>().ok()?),
                Value::Scalar(_) => None,
            })
    }

    /// Returns the node at a path for change; see [`Node::at`].
    pub fn at_mut<S: AsRef<str>>(&mut self, path: &[S]) -> Option<&mut Self> {
        path.iter()
            .try_fold(self, |node, segment| match &mut node.value {
                Value::Mapping(mapping) => mapping.get_mut(segment.as_ref()),
                Value::Sequence(items) => items.get_mut(segment.as_ref().parse::<usize>().ok()?),
                Value::Scalar(_) => None,
            })
    }
}

impl Default for Node {
    fn default() -> Self {
        Self::null()
    }
}

impl Sequence {
    /// Makes an empty sequence.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the items.
    pub fn into_items(mut self) -> Vec<Node> {
        std::mem::take(&mut self.0)
    }
}

impl Deref for Sequence {
    type Target = Vec<Node>;

    fn deref(&self) -> &Vec<Node> {
        &self.0
    }
}

impl DerefMut for Sequence {
    fn deref_mut(&mut self) -> &mut Vec<Node> {
        &mut self.0
    }
}

impl From<Vec<Node>> for Sequence {
    fn from(items: Vec<Node>) -> Self {
        Self(items)
    }
}

impl FromIterator<Node> for Sequence {
    fn from_iter<I: IntoIterator<Item = Node>>(items: I) -> Self {
        Self(items.into_iter().collect())
    }
}

impl IntoIterator for Sequence {
    type Item = Node;
    type IntoIter = std::vec::IntoIter<Node>;

    fn into_iter(self) -> Self::IntoIter {
        self.into_items().into_iter()
    }
}

impl<'a> IntoIterator for &'a Sequence {
    type Item = &'a Node;
    type IntoIter = std::slice::Iter<'a, Node>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_small() {
        assert!(size_of::<Node>() <= 72, "{}", size_of::<Node>());
    }
}
