//! Errors with Go's texts, and the chain by which one wraps another.

use std::fmt;

/// An error with the errors it wraps, outermost first. The text of an outer one holds the texts of
/// the inner ones, as in Go; the chain tells where each begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    text: String,
    kind: FaultKind,
    source: Option<Box<Self>>,
}

/// What an error is, beyond its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// A function's or method's own error.
    Plain,
    /// A template's execution failed.
    Exec,
    /// A template's text is malformed.
    Parse,
    /// A budget ran out.
    Budget,
}

impl Fault {
    /// A function's own error.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            kind: FaultKind::Plain,
            source: None,
        }
    }

    pub(crate) fn of(kind: FaultKind, text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            kind,
            source: None,
        }
    }

    /// Wraps an error in a text that holds it.
    #[must_use]
    pub fn wrap(self, kind: FaultKind, text: impl Into<String>) -> Self {
        let kind = if self.kind == FaultKind::Budget {
            FaultKind::Budget
        } else {
            kind
        };
        Self {
            text: text.into(),
            kind,
            source: Some(Box::new(self)),
        }
    }

    /// What the error is.
    pub fn kind(&self) -> FaultKind {
        self.kind
    }

    /// The error wrapped directly inside.
    pub fn source(&self) -> Option<&Self> {
        self.source.as_deref()
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Fault {}
