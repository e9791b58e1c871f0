//! What can be wrong with a YAML text.

use crate::resolve::Schema;
use crate::span::{Position, Source};
use std::fmt;

/// A text that is not the YAML its reader expects.
///
/// Display prints `file:line:column: message`; [`Error::go_text`] prints what Go's library prints
/// for the same input, which some user-visible texts of Helm and kustomize contain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    pub(crate) file: Source,
    pub(crate) at: Position,
    pub(crate) kind: ErrorKind,
    /// Line of the file the text began at.
    pub(crate) origin: usize,
}

/// The kinds of [`Error`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The text breaks a rule of the syntax; the message and the line are Go's.
    #[error("{message}")]
    Syntax {
        /// What Go's scanner or parser says.
        message: &'static str,
        /// The line Go prints, counted from the start of the text, or `None` where it prints none.
        go_line: Option<usize>,
    },
    /// The bytes are no text: not UTF-8, or a character YAML forbids.
    #[error("{message}")]
    Encoding {
        /// What Go's reader says.
        message: &'static str,
    },
    /// Mappings hold keys twice and the reader was told to refuse that.
    #[error("{}", list(keys))]
    DuplicateKeys {
        /// All of the document, in order.
        keys: Vec<DuplicateKey>,
        /// Which library's sentences [`Error::go_text`] prints.
        schema: Schema,
    },
    /// An alias names no anchor that precedes it.
    #[error("unknown anchor '{0}' referenced")]
    UnknownAnchor(String),
    /// An anchored node contains an alias to itself.
    #[error("anchor '{0}' value contains itself")]
    RecursiveAnchor(String),
    /// Aliases expand to far more than the text holds.
    #[error("document contains excessive aliasing")]
    ExcessiveAliasing,
    /// `<<` has a value that is no mapping and no list of mappings.
    #[error("map merge requires map or sequence of maps as the value")]
    MergeValue,
    /// A mapping key is a mapping or a sequence: often a template that was not rendered.
    #[error("invalid map key: {key}")]
    ComplexKey {
        /// The key as Go prints it.
        key: String,
    },
    /// A key of the core reading has a tag other than `!!str`, so that there is no JSON for it.
    #[error("json: unsupported type: map[interface {{}}]interface {{}}")]
    TaggedKey,
    /// A key of the legacy reading is null or past `i64`.
    #[error("unsupported map key {key}, value {value}")]
    UnsupportedKey {
        /// The key as Go prints it.
        key: String,
        /// Its value as Go prints it.
        value: String,
    },
    /// An explicit tag does not fit the scalar.
    #[error("cannot decode {found} `{text}` as a {wanted}")]
    Tag {
        /// Short tag of what the text is.
        found: &'static str,
        /// The scalar's text.
        text: String,
        /// Short tag that was asked for.
        wanted: &'static str,
    },
    /// A `!!binary` scalar is no base64.
    #[error("!!binary value contains invalid base64 data")]
    Binary,
    /// The input is larger than [`crate::Limits::max_bytes`].
    #[error("input of {bytes} bytes is over the limit of {limit} bytes")]
    TooLarge {
        /// Size of the input.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Collections nest deeper than [`crate::Limits::max_depth`].
    #[error("exceeded max depth of {0}")]
    TooDeep(usize),
    /// The text has more nodes than [`crate::Limits::max_nodes`].
    #[error("more than {0} nodes")]
    TooManyNodes(usize),
}

/// A key that occurs again in its mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuplicateKey {
    /// The key's text.
    pub key: String,
    /// Line of an earlier occurrence, from 1.
    pub first: usize,
    /// Where it occurs again.
    pub at: Position,
    /// The line Go prints: that of the key for v3, that of its value for v2.
    pub(crate) go_line: usize,
    /// The key as Go prints it.
    pub(crate) go_key: String,
}

fn list(keys: &[DuplicateKey]) -> String {
    let texts = keys.iter().enumerate().map(
        |(
            at,
            DuplicateKey {
                key,
                first,
                at: place,
                ..
            },
        )| {
            let line = if at == 0 {
                String::new()
            } else {
                format!("line {}: ", place.line)
            };
            format!("{line}mapping key {key:?} already defined at line {first}")
        },
    );
    texts.collect::<Vec<_>>().join("; ")
}

impl Error {
    /// Returns the file's name as given to the parser.
    pub fn file(&self) -> &str {
        self.file.name()
    }

    /// Returns the place the error was found.
    pub fn position(&self) -> Position {
        self.at
    }

    /// Returns the line, from 1.
    pub fn line(&self) -> usize {
        self.at.line
    }

    /// Returns the column, from 1, in characters.
    pub fn column(&self) -> usize {
        self.at.column
    }

    /// Returns what is wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// Prints the sentence Go's YAML library prints for this error, `yaml: ` included.
    ///
    /// Its lines count from the start of the text that was read, wherever that stands in its file.
    ///
    /// Source: observed with go.yaml.in/yaml v2.4 and v3.0.
    pub fn go_text(&self) -> String {
        match &self.kind {
            ErrorKind::Syntax {
                message,
                go_line: Some(line),
            } => {
                format!("yaml: line {line}: {message}")
            }
            ErrorKind::DuplicateKeys { keys, schema } => {
                let lines = keys.iter().map(|key| self.go_duplicate(key, *schema));
                format!(
                    "yaml: unmarshal errors:{}",
                    lines.collect::<Vec<_>>().concat()
                )
            }
            ErrorKind::UnsupportedKey { key, value } => go_unsupported(key, value),
            ErrorKind::TaggedKey => self.kind.to_string(),
            kind => format!("yaml: {kind}"),
        }
    }

    fn go_duplicate(&self, duplicate: &DuplicateKey, schema: Schema) -> String {
        let relative = |line: usize| (line + 1).saturating_sub(self.origin);
        let (line, first) = (relative(duplicate.go_line), relative(duplicate.first));
        let key = &duplicate.go_key;
        match schema {
            Schema::Core => {
                format!("\n  line {line}: mapping key {key} already defined at line {first}")
            }
            Schema::Legacy => format!("\n  line {line}: key {key} already set in map"),
        }
    }
}

/// Says what sigs.k8s.io/yaml says of a key it has no text for.
fn go_unsupported(key: &str, value: &str) -> String {
    const NIL: &str = "interface {}(nil)";
    let kind = match key
        .strip_prefix("0x")
        .map(|hex| u64::from_str_radix(hex, 16))
    {
        Some(Ok(number)) => format!("%!s(uint64={number})"),
        _ => "%!s(<nil>)".to_owned(),
    };
    let key = if key == NIL { "<nil>" } else { key };
    let value = if value == NIL { "<nil>" } else { value };
    format!("unsupported map key of type: {kind}, key: {key}, value: {value}")
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: {}",
            self.file.name(),
            self.at.line,
            self.at.column,
            self.kind
        )
    }
}

impl std::error::Error for Error {}
