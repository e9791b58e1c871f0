//! Reading checked arguments.

use crate::error::Fault;
use crate::text::Str;
use crate::value::{List, Map, Value};
use go::fmt::Operand as _;

/// What Go says when a nil is used.
pub(super) const NIL_POINTER: &str =
    "runtime error: invalid memory address or nil pointer dereference";

/// Arguments whose count and types were checked against a signature.
pub trait Arguments {
    /// The argument, or nil.
    fn any(&self, i: usize) -> Value;
    /// A string argument.
    fn string(&self, i: usize) -> Str;
    /// A string argument as text.
    fn text(&self, i: usize) -> String {
        self.string(i).text().into_owned()
    }
    /// An integer argument.
    fn int(&self, i: usize) -> i64;
    /// A boolean argument.
    fn bool(&self, i: usize) -> bool;
    /// A map argument; `None` for nil.
    fn dict(&self, i: usize) -> Option<Map>;
    /// A slice argument of any element type.
    ///
    /// # Errors
    /// `<what> <kind>` for what is no slice.
    fn slice(&self, i: usize, what: &str) -> Result<List, Fault>;
}

impl Arguments for [Value] {
    fn any(&self, i: usize) -> Value {
        self.get(i).cloned().unwrap_or_default()
    }

    fn string(&self, i: usize) -> Str {
        match self.get(i) {
            Some(Value::Str(text)) => text.clone(),
            _ => Str::from(""),
        }
    }

    fn int(&self, i: usize) -> i64 {
        match self.get(i) {
            Some(Value::Int(n) | Value::Int64(n)) => *n,
            _ => 0,
        }
    }

    fn bool(&self, i: usize) -> bool {
        matches!(self.get(i), Some(Value::Bool(true)))
    }

    fn dict(&self, i: usize) -> Option<Map> {
        match self.get(i) {
            Some(Value::Map(map)) => Some(map.clone()),
            _ => None,
        }
    }

    fn slice(&self, i: usize, what: &str) -> Result<List, Fault> {
        match self.get(i) {
            None | Some(Value::Nil) => Err(Fault::new(NIL_POINTER)),
            Some(value) => {
                as_slice(value).ok_or_else(|| Fault::new(format!("{what} {}", value.kind().name())))
            }
        }
    }
}

/// A slice value as a list; bytes come one by one.
pub(super) fn as_slice(value: &Value) -> Option<List> {
    match value {
        Value::List(list) => Some(list.clone()),
        Value::Bytes(bytes) => Some(List::typed(
            "uint8",
            bytes.as_bytes().iter().map(|b| Value::Byte(*b)).collect(),
        )),
        _ => None,
    }
}

/// A value as sprig turns it into a string: text as it is, else as it prints.
pub fn string_of(value: &Value) -> Str {
    match value {
        Value::Str(text) | Value::Bytes(text) => text.clone(),
        other => match other.text() {
            Some(text) => Str::from(text),
            None => Str::from(other.printed()),
        },
    }
}

/// A value as sprig turns it into a list of strings: nils left out, a scalar alone.
pub(super) fn strings_of(value: &Value) -> Vec<Str> {
    match as_slice(value) {
        Some(list) => list
            .items()
            .iter()
            .filter(|v| !v.is_nil())
            .map(string_of)
            .collect(),
        None if value.is_nil() => Vec::new(),
        None => vec![string_of(value)],
    }
}
