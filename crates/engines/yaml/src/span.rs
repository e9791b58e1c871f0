//! Where a node was written: file, line, column and byte range.

use std::fmt;
use std::sync::Arc;

/// The name of the file a span points into, shared by all nodes of one parse.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Source(Arc<Name>);

/// Makes the shared pointer a thin one: every node holds one.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Name(Box<str>);

impl Source {
    /// Wraps a file name for sharing between spans.
    pub fn new(file: &str) -> Self {
        Self(Arc::new(Name(Box::from(file))))
    }

    /// Returns the file name as it was given to the parser.
    pub fn name(&self) -> &str {
        &self.0.0
    }
}

/// A position in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Position {
    /// Byte offset from the start of the text, in the bytes that were handed in.
    pub offset: usize,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Position {
    /// The first position of a text.
    pub const START: Self = Self {
        offset: 0,
        line: 1,
        column: 1,
    };
}

/// The place a node was read from.
///
/// Shape: `start..end` are byte offsets into the bytes handed to the parser, `line` and `column`
/// (both from 1, columns in characters) are those of `start`. A node that was made by code has
/// [`Span::NONE`]. A node that was expanded from an alias keeps the span of its anchor.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct Span {
    source: Option<Source>,
    start: u32,
    end: u32,
    line: u32,
    column: u32,
}

impl Span {
    /// The span of a node no file contains.
    pub const NONE: Self = Self {
        source: None,
        start: 0,
        end: 0,
        line: 0,
        column: 0,
    };

    /// Makes a span; offsets past 4 GiB saturate (the parser's size limit lies far below).
    pub fn new(source: Source, start: Position, end: usize) -> Self {
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self {
            source: Some(source),
            start: narrow(start.offset),
            end: narrow(end),
            line: narrow(start.line),
            column: narrow(start.column),
        }
    }

    /// Tells whether the node came from a file.
    pub fn is_known(&self) -> bool {
        self.source.is_some()
    }

    /// Returns the file's name, if the node came from one.
    pub fn file(&self) -> Option<&str> {
        self.source.as_ref().map(Source::name)
    }

    /// Returns the line of the first character, from 1; 0 when unknown.
    pub fn line(&self) -> usize {
        self.line as usize
    }

    /// Returns the column of the first character, from 1, in characters; 0 when unknown.
    pub fn column(&self) -> usize {
        self.column as usize
    }

    /// Returns the byte range in the text that was parsed; empty when unknown.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// Prints `file:line:column`, or `<generated>` for a node without a file.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Some(source) => write!(f, "{}:{}:{}", source.name(), self.line, self.column),
            None => f.write_str("<generated>"),
        }
    }
}
