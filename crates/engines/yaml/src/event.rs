//! What the parser tells the composer.

use crate::error::Error;
use crate::node::Style;
use crate::span::Position;
use std::borrow::Cow;

/// One step of a document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Event<'a> {
    DocumentStart,
    DocumentEnd,
    Alias(Cow<'a, str>),
    Scalar {
        text: Cow<'a, str>,
        style: Style,
        properties: Properties<'a>,
    },
    SequenceStart {
        style: Style,
        properties: Properties<'a>,
    },
    MappingStart {
        style: Style,
        properties: Properties<'a>,
    },
    /// Ends the innermost sequence or mapping.
    CollectionEnd,
}

/// Anchor and tag of a node.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Properties<'a> {
    pub(crate) anchor: Option<Cow<'a, str>>,
    pub(crate) tag: Option<Cow<'a, str>>,
}

/// An event with the place it was read from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Located<'a> {
    pub(crate) event: Event<'a>,
    pub(crate) start: Position,
    /// Byte offset of the end.
    pub(crate) end: usize,
}

/// A source of events.
pub(crate) trait Events<'a> {
    /// Returns the next event, or `None` at the end of the stream.
    fn next(&mut self) -> Result<Option<Located<'a>>, Error>;
}
