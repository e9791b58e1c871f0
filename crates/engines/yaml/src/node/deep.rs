//! Clone, drop, comparison and debug print of trees of any depth, with bounded recursion.

use super::{Kind, Node, Scalar, Sequence, Value};
use crate::mapping::{Entry, Mapping};
use std::cell::Cell;
use std::fmt;

/// How many levels a debug print shows.
const DEBUG_DEPTH: usize = 64;
/// How many levels are cloned and dropped by recursion, which is faster; what is deeper is not.
const RECURSION: usize = 64;

thread_local! {
    /// How many collections of a tree are being dropped, one in another.
    static DROPPING: Cell<usize> = const { Cell::new(0) };
}

/// Drops a collection's content, by recursion unless that is deep already.
fn release<T>(content: T, dismantle: impl FnOnce(T)) {
    let depth = DROPPING.get();
    if depth < RECURSION {
        DROPPING.set(depth + 1);
        drop(content);
        DROPPING.set(depth);
    } else {
        dismantle(content);
    }
}

impl Drop for Sequence {
    fn drop(&mut self) {
        if self.0.iter().any(|node| !node.is_scalar()) {
            release(std::mem::take(&mut self.0), dismantle);
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.entries.iter().any(|entry| !entry.value.is_scalar()) {
            release(std::mem::take(&mut self.entries), |entries| {
                dismantle(entries.into_iter().map(|entry| entry.value).collect());
            });
        }
    }
}

/// Drops nodes level by level: every collection is empty by the time its own drop runs.
fn dismantle(mut pending: Vec<Node>) {
    while let Some(node) = pending.pop() {
        match node.value {
            Value::Scalar(_) => {}
            Value::Sequence(mut items) => pending.append(&mut items.0),
            Value::Mapping(mut mapping) => {
                pending.extend(mapping.entries.drain(..).map(|entry| entry.value));
            }
        }
    }
}

/// A collection whose copy is not complete.
enum Copying<'a> {
    Sequence(&'a Node, std::slice::Iter<'a, Node>, Vec<Node>),
    Mapping(&'a Node, std::slice::Iter<'a, Entry>, Vec<Entry>),
}

impl<'a> Copying<'a> {
    /// Begins the copy of a collection, or makes the copy of a scalar.
    fn begin(node: &'a Node) -> Result<Self, Node> {
        match &node.value {
            Value::Scalar(scalar) => Err(dressed(node, Value::Scalar(scalar.clone()))),
            Value::Sequence(items) => Ok(Self::Sequence(
                node,
                items.iter(),
                Vec::with_capacity(items.len()),
            )),
            Value::Mapping(mapping) => Ok(Self::Mapping(
                node,
                mapping.iter(),
                Vec::with_capacity(mapping.len()),
            )),
        }
    }

    /// Copies scalar children up to the next collection, which it returns.
    fn advance(&mut self) -> Option<&'a Node> {
        match self {
            Self::Sequence(_, rest, copied) => rest.find(|child| {
                let Value::Scalar(scalar) = &child.value else {
                    return true;
                };
                copied.push(dressed(child, Value::Scalar(scalar.clone())));
                false
            }),
            Self::Mapping(_, rest, copied) => {
                for entry in rest {
                    let key = match &entry.key.value {
                        Value::Scalar(key) => dressed(&entry.key, Value::Scalar(key.clone())),
                        Value::Sequence(_) | Value::Mapping(_) => Node::null(),
                    };
                    let Value::Scalar(scalar) = &entry.value.value else {
                        copied.push(Entry {
                            key,
                            value: Node::null(),
                        });
                        return Some(&entry.value);
                    };
                    let value = dressed(&entry.value, Value::Scalar(scalar.clone()));
                    copied.push(Entry { key, value });
                }
                None
            }
        }
    }

    /// Takes the copy of the collection [`Self::advance`] stopped at.
    fn accept(&mut self, copy: Node) {
        match self {
            Self::Sequence(_, _, copied) => copied.push(copy),
            Self::Mapping(_, _, copied) => {
                if let Some(entry) = copied.last_mut() {
                    entry.value = copy;
                }
            }
        }
    }

    fn end(self) -> Node {
        match self {
            Self::Sequence(node, _, copied) => dressed(node, Value::Sequence(Sequence(copied))),
            Self::Mapping(node, _, copied) => {
                dressed(node, Value::Mapping(Mapping::from_distinct(copied)))
            }
        }
    }
}

/// Makes a node with the span and style of another.
fn dressed(like: &Node, value: Value) -> Node {
    Node {
        value,
        span: like.span.clone(),
        style: like.style,
    }
}

impl Clone for Node {
    fn clone(&self) -> Self {
        copy(self, RECURSION)
    }
}

impl Node {
    /// Counts the nodes of the tree, keys included.
    pub fn count(&self) -> usize {
        let (mut count, mut pending) = (0, vec![self]);
        while let Some(node) = pending.pop() {
            count += 1;
            match &node.value {
                Value::Scalar(_) => {}
                Value::Sequence(items) => pending.extend(items),
                Value::Mapping(mapping) => {
                    count += mapping.len();
                    pending.extend(mapping.values());
                }
            }
        }
        count
    }
}

/// Copies a tree: so many levels by recursion, what is below them without.
fn copy(node: &Node, levels: usize) -> Node {
    let Some(levels) = levels.checked_sub(1) else {
        return copy_deep(node);
    };
    let value = match &node.value {
        Value::Scalar(scalar) => Value::Scalar(scalar.clone()),
        Value::Sequence(items) => Value::Sequence(Sequence(
            items.iter().map(|item| copy(item, levels)).collect(),
        )),
        Value::Mapping(mapping) => {
            let entries = mapping.iter().map(|entry| Entry {
                key: copy(&entry.key, levels),
                value: copy(&entry.value, levels),
            });
            Value::Mapping(Mapping::from_distinct(entries.collect()))
        }
    };
    dressed(node, value)
}

fn copy_deep(node: &Node) -> Node {
    let mut current = match Copying::begin(node) {
        Ok(copying) => copying,
        Err(copy) => return copy,
    };
    let mut above = Vec::new();
    loop {
        if let Some(child) = current.advance() {
            match Copying::begin(child) {
                Ok(copying) => above.push(std::mem::replace(&mut current, copying)),
                Err(copy) => current.accept(copy),
            }
            continue;
        }
        let copy = current.end();
        let Some(parent) = above.pop() else {
            return copy;
        };
        current = parent;
        current.accept(copy);
    }
}

impl Clone for Value {
    fn clone(&self) -> Self {
        match self {
            Self::Scalar(scalar) => Self::Scalar(scalar.clone()),
            Self::Sequence(items) => Self::Sequence(items.clone()),
            Self::Mapping(mapping) => Self::Mapping(mapping.clone()),
        }
    }
}

impl Clone for Sequence {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl Clone for Mapping {
    fn clone(&self) -> Self {
        Self::from_distinct(self.entries.clone())
    }
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        let mut pending = vec![(self, other)];
        while let Some((a, b)) = pending.pop() {
            match (a, b) {
                (Self::Scalar(a), Self::Scalar(b)) if a == b => {}
                (Self::Sequence(a), Self::Sequence(b)) if a.len() == b.len() => {
                    pending.extend(a.iter().zip(b.iter()).map(|(a, b)| (&a.value, &b.value)));
                }
                (Self::Mapping(a), Self::Mapping(b)) if a.len() == b.len() => {
                    for entry in a {
                        match b.entry(entry.name()) {
                            Some(twin) if same_key(&entry.key, &twin.key) => {
                                pending.push((&entry.value.value, &twin.value.value));
                            }
                            _ => return false,
                        }
                    }
                }
                _ => return false,
            }
        }
        true
    }
}

fn same_key(a: &Node, b: &Node) -> bool {
    match (&a.value, &b.value) {
        (Value::Scalar(a), Value::Scalar(b)) => a == b,
        _ => false,
    }
}

impl PartialEq for Mapping {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self.iter().all(|entry| {
                let twin = other.entry(entry.name());
                twin.is_some_and(|twin| {
                    same_key(&entry.key, &twin.key) && entry.value == twin.value
                })
            })
    }
}

impl PartialEq for Sequence {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        match (self.kind, other.kind) {
            (Kind::Null, Kind::Null) => true,
            (Kind::Bool(a), Kind::Bool(b)) => a == b,
            (Kind::Int(a), Kind::Int(b)) => a == b,
            (Kind::Uint(a), Kind::Uint(b)) => a == b,
            (Kind::Float(a), Kind::Float(b)) => a.to_bits() == b.to_bits(),
            (Kind::Timestamp, Kind::Timestamp) | (Kind::String, Kind::String) => {
                self.text == other.text
            }
            _ => false,
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(self, DEBUG_DEPTH, f)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show_value(self, DEBUG_DEPTH, f)
    }
}

impl fmt::Debug for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|e| (e.name(), &e.value)))
            .finish()
    }
}

fn show(node: &Node, levels: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    show_value(&node.value, levels, f)
}

/// Prints one line in flow style, down to `levels`.
fn show_value(value: &Value, levels: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match value {
        Value::Scalar(scalar) if matches!(scalar.kind, Kind::String) => {
            write!(f, "{:?}", scalar.text)
        }
        Value::Scalar(scalar) => write!(f, "{:?}({})", scalar.kind, scalar.text),
        _ if levels == 0 => f.write_str("…"),
        Value::Sequence(items) => {
            f.write_str("[")?;
            for (at, item) in items.iter().enumerate() {
                f.write_str(if at == 0 { "" } else { ", " })?;
                show(item, levels - 1, f)?;
            }
            f.write_str("]")
        }
        Value::Mapping(mapping) => {
            f.write_str("{")?;
            for (at, entry) in mapping.iter().enumerate() {
                write!(f, "{}{:?}: ", if at == 0 { "" } else { ", " }, entry.name())?;
                show(&entry.value, levels - 1, f)?;
            }
            f.write_str("}")
        }
    }
}
