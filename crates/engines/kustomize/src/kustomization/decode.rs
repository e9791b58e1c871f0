//! Reads typed fields out of a YAML tree and collects everything that does not fit.

use std::collections::BTreeMap;
use std::sync::Arc;

use yaml::{Kind, Node, Style, Value};

use super::Text;
use crate::error::{Error, Place};

/// Reads typed fields; problems are gathered, so that one pass names them all.
#[derive(Debug)]
pub(crate) struct Decoder {
    file: Arc<str>,
    /// Whether fields nobody knows are a problem.
    strict: bool,
    problems: Vec<(Place, String)>,
    /// The fields nobody knows, where they are no problem.
    ignored: Vec<(Place, String)>,
}

/// Gives the line of a node.
pub(crate) fn line(node: &Node) -> u32 {
    u32::try_from(node.span.line()).unwrap_or(u32::MAX)
}

impl Decoder {
    pub(crate) fn new(file: &Arc<str>, strict: bool) -> Self {
        Self {
            file: Arc::clone(file),
            strict,
            problems: Vec::new(),
            ignored: Vec::new(),
        }
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// All problems found, `what` before them.
    pub(crate) fn finish(self, what: &str) -> Result<(), Error> {
        if self.problems.is_empty() {
            return Ok(());
        }
        let texts: Vec<String> = self.problems.iter().map(|(_, text)| text.clone()).collect();
        let error = Error::new(format!("{what}: {}", texts.join("; ")));
        Err(self
            .problems
            .into_iter()
            .fold(error, |error, (place, _)| error.with_place(place)))
    }

    /// Gives the fields nobody knows and nobody minded.
    pub(crate) fn take_ignored(&mut self) -> Vec<(Place, String)> {
        std::mem::take(&mut self.ignored)
    }

    pub(crate) fn place(&self, node: &Node) -> Place {
        Place {
            file: self.file.to_string(),
            line: line(node),
            column: u32::try_from(node.span.column()).unwrap_or(0),
            object: String::new(),
        }
    }

    /// Notes a problem.
    pub(crate) fn problem(&mut self, node: &Node, text: impl Into<String>) {
        let place = self.place(node);
        self.problems.push((place, text.into()));
    }

    /// Notes a field nobody knows.
    pub(crate) fn unknown(&mut self, key: &Node) {
        let text = format!("unknown field \"{}\"", key.text());
        if self.strict {
            self.problem(key, text);
        } else {
            let place = self.place(key);
            self.ignored.push((place, text));
        }
    }

    fn mismatch(&mut self, node: &Node, field: &str, wanted: &str) {
        let found = match &node.value {
            Value::Sequence(_) => "array",
            Value::Mapping(_) => "object",
            Value::Scalar(scalar) => match scalar.kind {
                Kind::Null => "null",
                Kind::Bool(_) => "bool",
                Kind::Int(_) | Kind::Uint(_) | Kind::Float(_) => "number",
                Kind::Timestamp | Kind::String => "string",
            },
        };
        let text = format!("cannot unmarshal {found} into field {field} of type {wanted}");
        self.problem(node, text);
    }

    /// Gives a mapping's keys, in lower case, with key and value nodes; null has none.
    pub(crate) fn fields<'n>(
        &mut self,
        node: &'n Node,
        field: &str,
    ) -> Vec<(String, &'n Node, &'n Node)> {
        match &node.value {
            Value::Mapping(mapping) => {
                let entries = mapping.iter();
                entries
                    .map(|e| (e.name().to_ascii_lowercase(), &e.key, &e.value))
                    .collect()
            }
            Value::Scalar(scalar) if matches!(scalar.kind, Kind::Null) => Vec::new(),
            _ => {
                self.mismatch(node, field, "object");
                Vec::new()
            }
        }
    }

    /// Gives a list's items; null has none.
    pub(crate) fn items<'n>(&mut self, node: &'n Node, field: &str) -> &'n [Node] {
        match &node.value {
            Value::Sequence(items) => items,
            Value::Scalar(scalar) if matches!(scalar.kind, Kind::Null) => &[],
            _ => {
                self.mismatch(node, field, "array");
                &[]
            }
        }
    }

    /// Gives a text; null is empty.
    pub(crate) fn text(&mut self, node: &Node, field: &str) -> String {
        self.optional_text(node, field).unwrap_or_default()
    }

    /// Gives a text, or nothing for null.
    pub(crate) fn optional_text(&mut self, node: &Node, field: &str) -> Option<String> {
        if let Value::Scalar(scalar) = &node.value {
            match scalar.kind {
                Kind::String | Kind::Timestamp => Some(scalar.text.to_string()),
                Kind::Null => None,
                _ => {
                    self.mismatch(node, field, "string");
                    None
                }
            }
        } else {
            self.mismatch(node, field, "string");
            None
        }
    }

    pub(crate) fn boolean(&mut self, node: &Node, field: &str) -> bool {
        match node.kind() {
            Some(Kind::Bool(value)) => value,
            Some(Kind::Null) => false,
            _ => {
                self.mismatch(node, field, "bool");
                false
            }
        }
    }

    pub(crate) fn integer(&mut self, node: &Node, field: &str) -> i64 {
        match node.kind() {
            Some(Kind::Int(value)) => value,
            Some(Kind::Float(value)) if value.fract() == 0.0 && value.abs() < 9e15 => {
                #[expect(clippy::cast_possible_truncation, reason = "it is whole and in range")]
                let whole = value as i64;
                whole
            }
            Some(Kind::Null) => 0,
            _ => {
                self.mismatch(node, field, "int");
                0
            }
        }
    }

    pub(crate) fn texts(&mut self, node: &Node, field: &str) -> Vec<String> {
        self.items(node, field)
            .iter()
            .map(|item| self.text(item, field))
            .collect()
    }

    /// Gives a text with the lines it stands on.
    pub(crate) fn placed(&mut self, node: &Node, field: &str) -> Text {
        let line = line(node);
        Text {
            value: self.text(node, field),
            line,
            block: (node.style == Style::Literal).then_some(line.saturating_add(1)),
        }
    }

    /// Gives a list of texts with their lines.
    pub(crate) fn lines(&mut self, node: &Node, field: &str) -> Vec<Text> {
        let items = self.items(node, field);
        items.iter().map(|item| self.placed(item, field)).collect()
    }

    /// Gives a mapping from texts to texts.
    pub(crate) fn text_map(&mut self, node: &Node, field: &str) -> BTreeMap<String, String> {
        match &node.value {
            Value::Mapping(mapping) => mapping
                .iter()
                .map(|entry| (entry.name().to_owned(), self.text(&entry.value, field)))
                .collect(),
            Value::Scalar(scalar) if matches!(scalar.kind, Kind::Null) => BTreeMap::new(),
            _ => {
                self.mismatch(node, field, "map of strings");
                BTreeMap::new()
            }
        }
    }

    /// Gives a mapping as JSON.
    pub(crate) fn json(
        &mut self,
        node: &Node,
        field: &str,
    ) -> serde_json::Map<String, serde_json::Value> {
        match yaml::to_json(node) {
            Ok(serde_json::Value::Object(map)) => map,
            Ok(serde_json::Value::Null) => serde_json::Map::new(),
            Err(error) => {
                self.problem(node, error.to_string());
                serde_json::Map::new()
            }
            Ok(_) => {
                self.mismatch(node, field, "object");
                serde_json::Map::new()
            }
        }
    }
}
