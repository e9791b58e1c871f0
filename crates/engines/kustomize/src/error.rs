//! Why a build failed, and where.

use std::fmt;

use crate::file_tree::TreeError;
use crate::options::RemoteSource;

/// A place in a file.
///
/// **Units:** line and column count from 1; 0 is unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file's path in the tree.
    pub file: String,
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
    /// The object concerned, as `Kind.version.group/name.namespace`; empty where it is not one.
    pub object: String,
}

impl Place {
    /// Names a file as a whole.
    pub fn file(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            ..Self::default()
        }
    }

    /// Names where something within an object was written; the object itself where nobody wrote it.
    #[must_use]
    pub(crate) fn within(self, span: &yaml::Span) -> Self {
        match span.file() {
            Some(file) if span.line() > 0 => Self {
                file: file.to_owned(),
                line: number(span.line()),
                column: number(span.column()),
                ..self
            },
            _ => self,
        }
    }

    /// Names a line of a file.
    pub fn line(file: &str, line: u32) -> Self {
        Self {
            file: file.to_owned(),
            line,
            ..Self::default()
        }
    }
}

/// Gives a number of lines or columns as places hold it.
pub(crate) fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
            if self.column > 0 {
                write!(f, ":{}", self.column)?;
            }
        }
        if self.object.is_empty() {
            Ok(())
        } else {
            write!(f, " ({})", self.object)
        }
    }
}

/// Why a build failed. Each text is whole: it has its causes in it, and where they stand.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The build needs files from other hosts; build again with them in
    /// [`crate::Options::remote`].
    #[error("files from other hosts are needed: {}", list(.0))]
    Missing(Vec<RemoteSource>),
    /// The input is at fault.
    #[error(transparent)]
    Invalid(Box<Fault>),
}

fn list(sources: &[RemoteSource]) -> String {
    sources
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

/// What is wrong with the input, and everywhere it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// What was being done, outermost first: `accumulating resources from '../base'`.
    pub context: Vec<String>,
    /// What is wrong.
    pub message: String,
    /// Every place at fault.
    pub places: Vec<Place>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for context in &self.context {
            write!(f, "{context}: ")?;
        }
        f.write_str(&self.message)?;
        for (index, place) in self.places.iter().enumerate() {
            write!(f, "{}{place}", if index == 0 { " [at " } else { ", " })?;
        }
        if self.places.is_empty() {
            Ok(())
        } else {
            f.write_str("]")
        }
    }
}

impl std::error::Error for Fault {}

impl Fault {
    /// Says what is wrong to those who know already what another fault says was being done.
    fn beside(&self, first: &Self) -> String {
        let pairs = self.context.iter().zip(&first.context);
        let shared = pairs.take_while(|(own, other)| own == other).count();
        let mut text = String::new();
        for context in &self.context[shared..] {
            text.push_str(context);
            text.push_str(": ");
        }
        if text.len() > LONGEST_MESSAGE {
            text.clear();
        }
        text.push_str(&self.message);
        text
    }
}

impl Error {
    /// Makes an error that has no place yet.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self::Invalid(Box::new(Fault {
            context: Vec::new(),
            message: message.into(),
            places: Vec::new(),
        }))
    }

    /// Makes an error at one place.
    pub(crate) fn at(place: Place, message: impl Into<String>) -> Self {
        Self::new(message).with_place(place)
    }

    /// Adds what was being done.
    #[must_use]
    pub(crate) fn context(mut self, doing: impl Into<String>) -> Self {
        if let Self::Invalid(fault) = &mut self {
            fault.context.insert(0, doing.into());
        }
        self
    }

    /// Adds a place.
    #[must_use]
    pub(crate) fn with_place(mut self, place: Place) -> Self {
        if let Self::Invalid(fault) = &mut self
            && !fault.places.contains(&place)
        {
            fault.places.push(place);
        }
        self
    }

    /// Adds a place unless the error has one.
    #[must_use]
    pub(crate) fn or_place(self, place: impl FnOnce() -> Place) -> Self {
        if self.places().is_empty() {
            self.with_place(place())
        } else {
            self
        }
    }

    /// Gives what is wrong without what was being done, and without the places.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Invalid(fault) => fault.message.clone(),
            Self::Missing(_) => self.to_string(),
        }
    }

    /// Gives every place at fault.
    pub fn places(&self) -> &[Place] {
        match self {
            Self::Invalid(fault) => &fault.places,
            Self::Missing(_) => &[],
        }
    }
}

/// The most places one error names.
const MOST_PLACES: usize = 100;
/// The most problems one error tells apart.
const MOST_MESSAGES: usize = 10;
/// The longest problem that is added to others, in bytes: those of nested bases hold further ones.
const LONGEST_MESSAGE: usize = 4096;

/// What is wrong with several objects, gathered into one error.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    first: Option<Error>,
    /// The other problems, each once.
    told: Vec<String>,
    /// What is said of them.
    messages: Vec<String>,
}

impl Gathered {
    /// Takes note of an outcome; gives what a success brought.
    pub(crate) fn note<T>(&mut self, outcome: Result<T, Error>) -> Option<T> {
        let error = match outcome {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        match (&mut self.first, error) {
            (None, error) => self.first = Some(error),
            (Some(Error::Invalid(first)), Error::Invalid(other)) => {
                let message = &other.message;
                let is_told = *message == first.message || self.told.contains(message);
                if !is_told && self.told.len() < MOST_MESSAGES && message.len() <= LONGEST_MESSAGE {
                    self.messages.push(other.beside(first));
                    self.told.push(other.message);
                }
                for place in other.places {
                    if first.places.len() < MOST_PLACES && !first.places.contains(&place) {
                        first.places.push(place);
                    }
                }
            }
            // What is missing on other hosts comes first: nothing else can be told before.
            (_, Error::Missing(sources)) => self.first = Some(Error::Missing(sources)),
            (Some(Error::Missing(_)), _) => {}
        }
        None
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Ends with everything that was noted.
    ///
    /// # Errors
    /// One error with all messages and places.
    pub(crate) fn end(self) -> Result<(), Error> {
        match self.first {
            None => Ok(()),
            Some(Error::Invalid(mut fault)) => {
                for message in self.messages {
                    fault.message.push_str("; ");
                    fault.message.push_str(&message);
                }
                Err(Error::Invalid(fault))
            }
            Some(missing) => Err(missing),
        }
    }
}

impl From<TreeError> for Error {
    fn from(error: TreeError) -> Self {
        Self::at(Place::file(error.path()), error.to_string())
    }
}
