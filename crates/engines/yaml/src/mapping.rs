//! Ordered mappings with fast lookup by key.

use crate::node::{Node, Text};
use std::collections::HashMap;

/// Below this many entries a linear search beats hashing.
const INDEX_FROM: usize = 17;

/// One key with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key: always a scalar node. Its [`Node::text`] is what lookups compare.
    pub key: Node,
    /// The value.
    pub value: Node,
}

impl Entry {
    /// Returns the key's text.
    pub fn name(&self) -> &str {
        self.key.text()
    }
}

/// Positions by key text; behind a pointer, so that small mappings stay small.
struct Index(HashMap<Text, usize>);

/// A mapping that keeps the order of its entries; each key text occurs once.
///
/// Lookups are by the key's text: for [`crate::Schema::Core`] the scalar's source text (as kyaml
/// compares keys), for [`crate::Schema::Legacy`] the text the key has in JSON (`yes` is `true`).
#[derive(Default)]
pub struct Mapping {
    pub(crate) entries: Vec<Entry>,
    /// Positions by key text, kept only for large mappings.
    index: Option<Box<Index>>,
}

impl Mapping {
    /// Makes an empty mapping.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes an empty mapping with room for `entries`.
    pub fn with_capacity(entries: usize) -> Self {
        Self {
            entries: Vec::with_capacity(entries),
            index: None,
        }
    }

    /// Returns the number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Tells whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the position of `key` among the entries.
    pub fn position(&self, key: &str) -> Option<usize> {
        match &self.index {
            Some(index) => index.0.get(key).copied(),
            None => self.entries.iter().position(|entry| entry.name() == key),
        }
    }

    /// Tells whether `key` is there.
    pub fn contains_key(&self, key: &str) -> bool {
        self.position(key).is_some()
    }

    /// Returns the value of `key`.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.position(key).map(|at| &self.entries[at].value)
    }

    /// Returns the value of `key` for change.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.position(key).map(|at| &mut self.entries[at].value)
    }

    /// Returns key and value of `key`.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.position(key).map(|at| &self.entries[at])
    }

    /// Returns the value of `key`, putting what `make` returns at the end if it is not there.
    pub fn get_or_insert_with(&mut self, key: &str, make: impl FnOnce() -> Node) -> &mut Node {
        let at = match self.position(key) {
            Some(at) => at,
            None => self.push(Entry {
                key: Node::string(key),
                value: make(),
            }),
        };
        &mut self.entries[at].value
    }

    /// Sets `key`: replaces the value in place and returns the old one, or appends.
    pub fn insert(&mut self, key: impl Into<Text>, value: Node) -> Option<Node> {
        self.insert_entry(Entry {
            key: Node::string(key),
            value,
        })
        .map(|entry| entry.value)
    }

    /// Sets an entry: replaces key and value in place and returns the old entry, or appends.
    ///
    /// A key that is no scalar counts as the empty text.
    pub fn insert_entry(&mut self, entry: Entry) -> Option<Entry> {
        if let Some(at) = self.position(entry.name()) {
            return Some(std::mem::replace(&mut self.entries[at], entry));
        }
        self.push(entry);
        None
    }

    /// Removes `key` and keeps the order of the others; linear in the number of entries.
    pub fn remove(&mut self, key: &str) -> Option<Node> {
        self.remove_entry(key).map(|entry| entry.value)
    }

    /// Removes `key` and returns it with its value; linear in the number of entries.
    pub fn remove_entry(&mut self, key: &str) -> Option<Entry> {
        let at = self.position(key)?;
        let entry = self.entries.remove(at);
        if let Some(index) = &mut self.index {
            index.0.remove(entry.name());
            index
                .0
                .values_mut()
                .filter(|position| **position > at)
                .for_each(|p| *p -= 1);
        }
        Some(entry)
    }

    /// Changes a key and keeps its place; returns false when `from` is missing or `to` exists.
    pub fn rename(&mut self, from: &str, to: impl Into<Text>) -> bool {
        let to = to.into();
        let Some(at) = self.position(from) else {
            return false;
        };
        if self.contains_key(&to) {
            return false;
        }
        if let Some(index) = &mut self.index {
            index.0.remove(from);
            index.0.insert(to.clone(), at);
        }
        self.entries[at].key = Node::string(to);
        true
    }

    /// Keeps the entries `keep` accepts, in order.
    pub fn retain(&mut self, mut keep: impl FnMut(&mut Entry) -> bool) {
        self.entries.retain_mut(|entry| keep(entry));
        self.reindex();
    }

    /// Sorts the entries by key text with `compare`, keeping equal ones in order.
    pub fn sort_by(&mut self, mut compare: impl FnMut(&str, &str) -> std::cmp::Ordering) {
        self.entries.sort_by(|a, b| compare(a.name(), b.name()));
        self.reindex();
    }

    /// Iterates over the entries in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Entry> {
        self.entries.iter()
    }

    /// Iterates over key texts and values in order, values for change.
    pub fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = (&Node, &mut Node)> {
        self.entries
            .iter_mut()
            .map(|entry| (&entry.key, &mut entry.value))
    }

    /// Iterates over key texts in order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &str> {
        self.entries.iter().map(Entry::name)
    }

    /// Iterates over values in order.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &Node> {
        self.entries.iter().map(|entry| &entry.value)
    }

    /// Iterates over values in order, for change.
    pub fn values_mut(&mut self) -> impl ExactSizeIterator<Item = &mut Node> {
        self.entries.iter_mut().map(|entry| &mut entry.value)
    }

    /// Returns the entries in order.
    pub fn into_entries(mut self) -> Vec<Entry> {
        std::mem::take(&mut self.entries)
    }

    /// Appends an entry whose key is known to be new; returns its position.
    pub(crate) fn push(&mut self, entry: Entry) -> usize {
        let at = self.entries.len();
        if let Some(index) = &mut self.index {
            index.0.insert(entry.key.shared_text(), at);
        }
        self.entries.push(entry);
        if self.index.is_none() && self.entries.len() >= INDEX_FROM {
            self.reindex();
        }
        at
    }

    fn reindex(&mut self) {
        self.index = (self.entries.len() >= INDEX_FROM).then(|| {
            let keys = self.entries.iter().map(|entry| entry.key.shared_text());
            Box::new(Index(keys.zip(0..).collect()))
        });
    }

    /// Makes a mapping from entries whose keys are known to differ.
    pub(crate) fn from_distinct(entries: Vec<Entry>) -> Self {
        let mut mapping = Self {
            entries,
            index: None,
        };
        mapping.reindex();
        mapping
    }
}

/// Later entries replace earlier ones of the same key text.
impl FromIterator<Entry> for Mapping {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        let mut mapping = Self::new();
        mapping.extend(entries);
        mapping
    }
}

impl<K: Into<Text>> FromIterator<(K, Node)> for Mapping {
    fn from_iter<I: IntoIterator<Item = (K, Node)>>(pairs: I) -> Self {
        pairs
            .into_iter()
            .map(|(key, value)| Entry {
                key: Node::string(key),
                value,
            })
            .collect()
    }
}

impl Extend<Entry> for Mapping {
    fn extend<I: IntoIterator<Item = Entry>>(&mut self, entries: I) {
        for entry in entries {
            self.insert_entry(entry);
        }
    }
}

impl<'a> IntoIterator for &'a Mapping {
    type Item = &'a Entry;
    type IntoIter = std::slice::Iter<'a, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for Mapping {
    type Item = Entry;
    type IntoIter = std::vec::IntoIter<Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.into_entries().into_iter()
    }
}
