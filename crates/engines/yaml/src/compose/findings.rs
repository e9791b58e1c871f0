//! What is wrong with a document whose syntax is right.

use crate::error::{DuplicateKey, ErrorKind};
use crate::resolve::Schema;
use crate::span::Position;

/// Most duplicate keys one error lists.
const MAX_DUPLICATES: usize = 100;

/// Collects what Go finds only after it has read a document to its end.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Ends the reading of a value at once.
    refused: Option<(Position, ErrorKind)>,
    /// Listed together, with the offsets of their mapping and their first key.
    duplicates: Vec<(usize, usize, DuplicateKey)>,
    /// Keys without a text in JSON come up last.
    unsupported: Option<(Position, ErrorKind)>,
}

impl Findings {
    pub(super) fn refuse(&mut self, at: Position, kind: ErrorKind) {
        self.refused.get_or_insert((at, kind));
    }

    pub(super) fn unsupported(&mut self, at: Position, kind: ErrorKind) {
        self.unsupported.get_or_insert((at, kind));
    }

    /// Notes that a key stands at `at` and before that at `first`, in the mapping at an offset.
    pub(super) fn duplicate(&mut self, mapping: usize, key: &str, first: Position, at: Position) {
        if self.duplicates.len() >= MAX_DUPLICATES {
            return;
        }
        // A third occurrence repeats the second one as well.
        let again: Vec<_> = self
            .duplicates
            .iter()
            .filter(|(start, offset, d)| {
                *start == mapping && *offset == first.offset && d.key == key
            })
            .map(|(_, _, d)| d.at)
            .collect();
        let pairs = std::iter::once(first).chain(again);
        self.duplicates.extend(pairs.map(|first| {
            (
                mapping,
                first.offset,
                DuplicateKey {
                    key: key.to_owned(),
                    first: first.line,
                    at,
                },
            )
        }));
    }

    /// Tells whether the mapping at an offset has duplicates.
    pub(super) fn has_duplicates(&self, mapping: usize) -> bool {
        self.duplicates.iter().any(|(start, ..)| *start == mapping)
    }

    /// Forgets what was found inside a mapping with duplicates, which Go does not look into.
    pub(super) fn leave_mapping(&mut self, mapping: usize) {
        if !self.has_duplicates(mapping) {
            return;
        }
        self.duplicates.retain(|(start, ..)| *start <= mapping);
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
            duplicates.sort_by_key(|(mapping, first, d)| (*mapping, *first, d.at.offset));
            let keys: Vec<_> = duplicates.into_iter().map(|(_, _, key)| key).collect();
            Some((keys.first()?.at, ErrorKind::DuplicateKeys { keys, schema }))
        });
        found.or(unsupported)
    }
}
