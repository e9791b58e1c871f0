//! What is wrong with a document whose syntax is right.

use crate::error::{DuplicateKey, ErrorKind};
use crate::go_syntax::quoted;
use crate::node::{Kind, Node, Style};
use crate::resolve::{Schema, implicit};
use crate::span::Position;

/// Most duplicate keys one error lists.
const MAX_DUPLICATES: usize = 100;

/// Collects what Go finds only after it has read a document to its end.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Ends the reading of a value at once.
    refused: Option<(Position, ErrorKind)>,
    /// Listed together.
    duplicates: Vec<Found>,
    /// Keys without a text in JSON come up last.
    unsupported: Option<(Position, ErrorKind)>,
}

/// A duplicate key, with the offsets of its mapping and of the key's first occurrence.
#[derive(Debug)]
struct Found {
    mapping: usize,
    first: usize,
    key: DuplicateKey,
}

impl Findings {
    pub(super) fn refuse(&mut self, at: Position, kind: ErrorKind) {
        self.refused.get_or_insert((at, kind));
    }

    /// Like [`Self::refuse`], with an error that is dear to make.
    pub(super) fn refuse_with(&mut self, at: Position, kind: impl FnOnce() -> ErrorKind) {
        self.refused.get_or_insert_with(|| (at, kind()));
    }

    pub(super) fn unsupported(&mut self, at: Position, kind: impl FnOnce() -> ErrorKind) {
        self.unsupported.get_or_insert_with(|| (at, kind()));
    }

    /// Notes that a key stands at `at` and before that at `first`, in the mapping at an offset.
    ///
    /// go-yaml v3 lists every pair of equal keys, so a third one repeats the second as well.
    pub(super) fn duplicate(&mut self, mapping: usize, key: &str, first: Position, at: Position) {
        if self.duplicates.len() >= MAX_DUPLICATES {
            return;
        }
        let is_same = |found: &&Found| {
            found.mapping == mapping && found.first == first.offset && found.key.key == key
        };
        let again: Vec<Position> = self
            .duplicates
            .iter()
            .filter(is_same)
            .map(|found| found.key.at)
            .collect();
        for before in std::iter::once(first).chain(again) {
            let key = DuplicateKey {
                go_key: quoted(key),
                key: key.to_owned(),
                first: before.line,
                at,
                go_line: at.line,
            };
            self.duplicates.push(Found {
                mapping,
                first: first.offset,
                key,
            });
        }
    }

    /// Notes a key the v2 library finds set already, when it sets a value that stands at a line.
    pub(super) fn set_twice(&mut self, key: &Node, first: &Node, line: usize) {
        if self.duplicates.len() >= MAX_DUPLICATES {
            return;
        }
        let text = key.text();
        let kind = implicit(text, Schema::Legacy);
        let is_string = matches!(kind, Kind::String | Kind::Timestamp) || key.style != Style::Plain;
        let key = DuplicateKey {
            go_key: if is_string {
                quoted(text)
            } else {
                text.to_owned()
            },
            key: text.to_owned(),
            first: first.span.line(),
            at: place(key),
            go_line: line,
        };
        // In the order they are found, and whatever mapping they are in.
        self.duplicates.push(Found {
            mapping: 0,
            first: 0,
            key,
        });
    }

    /// Tells whether the mapping at an offset has duplicates.
    pub(super) fn has_duplicates(&self, mapping: usize) -> bool {
        self.duplicates.iter().any(|found| found.mapping == mapping)
    }

    /// Forgets what was found inside a mapping with duplicates, which Go does not look into.
    pub(super) fn leave_mapping(&mut self, mapping: usize) {
        if !self.has_duplicates(mapping) {
            return;
        }
        self.duplicates.retain(|found| found.mapping <= mapping);
        self.refused.take_if(|(at, _)| at.offset >= mapping);
        self.unsupported.take_if(|(at, _)| at.offset >= mapping);
    }

    /// Returns what Go would say about the document, and forgets it.
    pub(super) fn take(&mut self, schema: Schema) -> Option<(Position, ErrorKind)> {
        let Self {
            refused,
            mut duplicates,
            unsupported,
        } = std::mem::take(self);
        let found = refused.or_else(|| {
            if schema == Schema::Core {
                duplicates.sort_by_key(|found| (found.mapping, found.first, found.key.at.offset));
            }
            let keys: Vec<_> = duplicates.into_iter().map(|found| found.key).collect();
            Some((keys.first()?.at, ErrorKind::DuplicateKeys { keys, schema }))
        });
        found.or(unsupported)
    }
}

/// Returns where a node read from this text stands.
pub(super) fn place(node: &Node) -> Position {
    let span = &node.span;
    Position {
        offset: span.range().start,
        line: span.line(),
        column: span.column(),
    }
}
