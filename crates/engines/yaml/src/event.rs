//! The steps of a document, for those who need more than its tree.

use crate::node::Style;
use crate::span::Position;
use std::borrow::Cow;

/// One step of a document.
#[derive(Debug, Clone, PartialEq)]
pub enum Event<'a> {
    /// A document begins.
    DocumentStart,
    /// A document ends.
    DocumentEnd,
    /// `*name`.
    Alias(Cow<'a, str>),
    /// A scalar; its text has quotes, escapes and folding undone.
    Scalar {
        /// The text.
        text: Cow<'a, str>,
        /// How it is written.
        style: Style,
        /// Its anchor and tag.
        properties: Properties<'a>,
    },
    /// A sequence begins.
    SequenceStart {
        /// [`Style::Block`] or [`Style::Flow`].
        style: Style,
        /// Its anchor and tag.
        properties: Properties<'a>,
    },
    /// A mapping begins; keys and values alternate up to its end.
    MappingStart {
        /// [`Style::Block`] or [`Style::Flow`].
        style: Style,
        /// Its anchor and tag.
        properties: Properties<'a>,
    },
    /// The innermost sequence or mapping ends.
    CollectionEnd,
}

/// Anchor and tag of a node.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Properties<'a> {
    /// The name after `&`.
    pub anchor: Option<Cow<'a, str>>,
    /// The tag with its handle resolved, `tag:yaml.org,2002:str` or `!local`.
    pub tag: Option<Cow<'a, str>>,
}

/// An event with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Located<'a> {
    /// The event.
    pub event: Event<'a>,
    /// Where the node begins, its anchor and tag included.
    pub start: Position,
    /// Where its content begins.
    pub content: Position,
    /// Byte offset of the end.
    pub end: usize,
}

/// A comment, from its `#` to the end of its line.
#[derive(Debug, Clone, PartialEq)]
pub struct Comment<'a> {
    /// The text with its `#`.
    pub text: Cow<'a, str>,
    /// Where the `#` stands.
    pub start: Position,
}
