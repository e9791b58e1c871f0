//! A mapping that is being filled: keys, duplicates, merges.

use super::findings::{Findings, place};
use super::{Done, Rules};
use crate::error::ErrorKind;
use crate::go_syntax::go_syntax;
use crate::mapping::{Entry, Mapping};
use crate::node::{Kind, Node, Scalar, Text, Value};
use crate::number::go_float_32;
use crate::parse::Duplicates;
use crate::resolve::Schema;
use crate::span::Position;

/// What the next node of a mapping is.
enum Slot {
    Key,
    Value(Node),
    MergeValue(Position),
    /// The value of a key that was refused.
    Dropped,
}

/// A mapping that is not complete.
pub(super) struct OpenMapping {
    /// Byte offset of its start.
    at: usize,
    is_core: bool,
    mapping: Mapping,
    slot: Slot,
    merges: Vec<Node>,
    merge_at: Option<Position>,
    /// Where the first sequence and the first mapping stand as keys.
    complex_at: [Option<Position>; 2],
}

impl OpenMapping {
    /// Opens a mapping; `room` is where its entries go.
    pub(super) fn new(start: Position, schema: Schema, room: Vec<Entry>) -> Self {
        Self {
            at: start.offset,
            is_core: schema == Schema::Core,
            mapping: Mapping::from_distinct(room),
            slot: Slot::Key,
            merges: Vec::new(),
            merge_at: None,
            complex_at: [None; 2],
        }
    }

    pub(super) fn expects_key(&self) -> bool {
        matches!(self.slot, Slot::Key)
    }

    /// Takes the next node, a key or a value.
    pub(super) fn accept(&mut self, done: Done, rules: &Rules, findings: &mut Findings) {
        match std::mem::replace(&mut self.slot, Slot::Key) {
            Slot::Key => self.slot = self.key(done, rules, findings),
            Slot::Value(key) => self.pair(key, done.node, rules, findings),
            Slot::MergeValue(at) => self.merge(done.node, at, rules, findings),
            Slot::Dropped => {}
        }
    }

    /// Returns the mapping, merges applied.
    pub(super) fn end(mut self, findings: &mut Findings) -> Mapping {
        if self.is_core {
            findings.leave_mapping(self.at);
        }
        for source in self.merges {
            let Value::Mapping(source) = source.value else {
                continue;
            };
            for entry in source {
                if !self.mapping.contains_key(entry.name()) {
                    self.mapping.insert_entry(entry);
                }
            }
        }
        self.mapping
    }

    fn key(&mut self, done: Done, rules: &Rules, findings: &mut Findings) -> Slot {
        let Done {
            node,
            start,
            is_merge_key,
            is_tagged,
        } = done;
        let refuses = rules.schema == Schema::Core && rules.duplicates == Duplicates::Error;
        if is_merge_key {
            if let (true, Some(first)) = (refuses, self.merge_at) {
                findings.duplicate(self.at, "<<", first, start);
            }
            self.merge_at.get_or_insert(start);
            return Slot::MergeValue(start);
        }
        if is_tagged && rules.schema == Schema::Core {
            findings.unsupported(start, || ErrorKind::TaggedKey);
        }
        let (kind, text) = match (&node.value, rules.schema) {
            (Value::Scalar(_), Schema::Core) => return Slot::Value(node),
            (Value::Scalar(Scalar { kind, text }), Schema::Legacy) => json_key(*kind, text.clone()),
            _ => {
                self.complex_key(&node, start, rules, findings);
                return Slot::Dropped;
            }
        };
        Slot::Value(Node {
            value: Value::Scalar(Scalar { kind, text }),
            ..node
        })
    }

    fn complex_key(&mut self, node: &Node, at: Position, rules: &Rules, findings: &mut Findings) {
        // Go compares the texts of keys, and those of collections are all empty.
        let before = &mut self.complex_at[usize::from(node.as_mapping().is_some())];
        let refuses = rules.schema == Schema::Core && rules.duplicates == Duplicates::Error;
        if let (true, Some(first)) = (refuses, *before) {
            findings.duplicate(self.at, "", first, at);
        }
        before.get_or_insert(at);
        // A key that could not be read is no key to Go.
        if !findings.has_duplicates(at.offset) {
            findings.refuse_with(at, || ErrorKind::ComplexKey {
                key: go_syntax(node, rules.schema),
            });
        }
    }

    fn pair(&mut self, key: Node, value: Node, rules: &Rules, findings: &mut Findings) {
        if rules.schema == Schema::Legacy && !key.is_string() {
            findings.unsupported(place(&key), || ErrorKind::UnsupportedKey {
                key: go_syntax(&key, Schema::Legacy),
                value: go_syntax(&value, Schema::Legacy),
            });
        }
        if rules.duplicates == Duplicates::Error {
            let Some(first) = self.mapping.entry(key.text()) else {
                self.mapping.push(Entry { key, value });
                return;
            };
            if self.is_core {
                let (first, at) = (place(&first.key), place(&key));
                return findings.duplicate(self.at, key.text(), first, at);
            }
            findings.set_twice(&key, &first.key, value.span.line());
        }
        self.mapping.insert_entry(Entry { key, value });
    }

    /// Applies `<<`: the legacy reader at once, over what came before; the core reader at the end of
    /// the mapping, under everything it holds.
    fn merge(&mut self, value: Node, at: Position, rules: &Rules, findings: &mut Findings) {
        let mut sources = match value.value {
            Value::Mapping(_) => vec![value],
            Value::Sequence(items) => items.into_items(),
            Value::Scalar(_) => return findings.refuse(at, ErrorKind::MergeValue),
        };
        if sources.iter().any(|source| source.as_mapping().is_none()) {
            return findings.refuse(at, ErrorKind::MergeValue);
        }
        match rules.schema {
            Schema::Core => self.merges.append(&mut sources),
            Schema::Legacy => {
                let entries = sources
                    .into_iter()
                    .rev()
                    .filter_map(|source| match source.value {
                        Value::Mapping(source) => Some(source),
                        Value::Scalar(_) | Value::Sequence(_) => None,
                    });
                for Entry { key, value } in entries.flatten() {
                    self.pair(key, value, rules, findings);
                }
            }
        }
    }
}

/// Returns the key a key of the legacy reading becomes in JSON: a string, unless there is none for it.
fn json_key(kind: Kind, text: Text) -> (Kind, Text) {
    let text = match kind {
        Kind::Bool(value) => Text::from(if value { "true" } else { "false" }),
        Kind::Int(value) => value.to_string().into(),
        Kind::Float(value) => go_float_32(value).into(),
        Kind::Null | Kind::Uint(_) => return (kind, text),
        Kind::Timestamp | Kind::String => text,
    };
    (Kind::String, text)
}
