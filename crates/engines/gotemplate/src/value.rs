//! Values with Go's kinds and types.
//!
//! Maps are shared and mutable, since sprig's `set`, `unset` and `merge` change them in place, live
//! `.Values` included. Lists are shared and never change.

mod compare;
mod dismantle;
mod json;
mod print;
mod types;

pub use compare::{deep_equal, truth};
pub(crate) use dismantle::WeakMap;
pub use types::{Kind, Method, NamedType, StructType, Type};
pub(crate) use types::{is_no_value, methods_of, no_value};

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use go::time::{Duration, Time};

use crate::text::Str;

/// A value in a template.
#[derive(Debug, Clone, Default)]
pub enum Value {
    /// An empty interface.
    #[default]
    Nil,
    /// `bool`
    Bool(bool),
    /// `int`
    Int(i64),
    /// `int64`
    Int64(i64),
    /// `uint64`
    Uint64(u64),
    /// `uint8`, an element of a byte slice.
    Byte(u8),
    /// `float64`
    Float(f64),
    /// `string`
    Str(Str),
    /// `[]uint8`
    Bytes(Str),
    /// A slice.
    List(List),
    /// A map with string keys.
    Map(Map),
    /// `time.Time`
    Time(Rc<Time>),
    /// `time.Duration`
    Duration(Duration),
    /// A struct or a pointer to one.
    Struct(Rc<Struct>),
}

/// The type name of an empty interface.
pub const ANY: &str = "interface {}";

/// A slice: its element type, and its elements unless it is nil.
#[derive(Debug, Clone)]
pub struct List {
    element: &'static str,
    named: Option<&'static NamedType>,
    items: Option<Rc<Vec<Value>>>,
}

impl List {
    /// A `[]interface {}`.
    pub fn new(items: Vec<Value>) -> Self {
        Self::typed(ANY, items)
    }

    /// A slice of another element type, such as `string`.
    pub fn typed(element: &'static str, items: Vec<Value>) -> Self {
        Self {
            element,
            named: None,
            items: Some(Rc::new(items)),
        }
    }

    /// A slice type with a name and methods.
    pub fn named(named: &'static NamedType, items: Vec<Value>) -> Self {
        Self {
            element: named.element,
            named: Some(named),
            items: Some(Rc::new(items)),
        }
    }

    /// A nil `[]interface {}`.
    pub fn nil() -> Self {
        Self {
            element: ANY,
            named: None,
            items: None,
        }
    }

    /// The same slice with strings as its element type.
    #[must_use]
    pub fn of_strings(self) -> Self {
        self.of_type("string")
    }

    /// The same slice with another element type.
    #[must_use]
    pub fn of_type(mut self, element: &'static str) -> Self {
        self.element = element;
        self
    }

    /// A `[]string`.
    pub fn strings<S: Into<Str>>(items: impl IntoIterator<Item = S>) -> Self {
        Self::typed(
            "string",
            items.into_iter().map(|s| Value::Str(s.into())).collect(),
        )
    }

    /// The elements; none for a nil slice.
    pub fn items(&self) -> &[Value] {
        self.items.as_ref().map_or(&[], |items| items.as_slice())
    }

    /// Whether the slice is nil, which JSON shows as `null`.
    pub fn is_nil(&self) -> bool {
        self.items.is_none()
    }

    /// The element type's name.
    pub fn element(&self) -> &'static str {
        self.element
    }

    /// The same type of slice with other elements.
    #[must_use]
    pub fn with_items(&self, items: Vec<Value>) -> Self {
        Self {
            element: self.element,
            named: self.named,
            items: Some(Rc::new(items)),
        }
    }

    pub(crate) fn type_of(&self) -> Option<&'static NamedType> {
        self.named
    }
}

/// A shared, mutable map with string keys, in the order of their bytes.
#[derive(Debug, Clone)]
pub struct Map {
    kind: MapKind,
    entries: Rc<RefCell<BTreeMap<Str, Value>>>,
}

/// The Go type of a map.
#[derive(Debug, Clone, Copy)]
pub enum MapKind {
    /// `map[string]interface {}`
    Any,
    /// `map[string]string`
    Strings,
    /// A named map type.
    Named(&'static NamedType),
}

impl Map {
    /// A `map[string]interface {}`.
    pub fn new(entries: BTreeMap<Str, Value>) -> Self {
        Self::of(MapKind::Any, entries)
    }

    /// A map of another type.
    pub fn of(kind: MapKind, entries: BTreeMap<Str, Value>) -> Self {
        Self {
            kind,
            entries: Rc::new(RefCell::new(entries)),
        }
    }

    /// The same shared entries under another type.
    #[must_use]
    pub fn retyped(&self, kind: MapKind) -> Self {
        Self {
            kind,
            entries: Rc::clone(&self.entries),
        }
    }

    /// The Go type.
    pub fn kind(&self) -> MapKind {
        self.kind
    }

    /// The value of a key.
    pub fn get(&self, key: &[u8]) -> Option<Value> {
        self.entries.borrow().get(key).cloned()
    }

    /// Whether the key is there.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.entries.borrow().contains_key(key)
    }

    /// Sets a key, seen by all who share the map.
    pub fn insert(&self, key: Str, value: Value) {
        self.entries.borrow_mut().insert(key, value);
    }

    /// Removes a key, seen by all who share the map.
    pub fn remove(&self, key: &[u8]) {
        self.entries.borrow_mut().remove(key);
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        self.entries.borrow().len()
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.entries.borrow().is_empty()
    }

    /// Reads the entries in place; the map must not be changed meanwhile.
    pub fn with<T>(&self, read: impl FnOnce(&BTreeMap<Str, Value>) -> T) -> T {
        read(&self.entries.borrow())
    }

    /// Keys and values now, in order.
    pub fn entries(&self) -> Vec<(Str, Value)> {
        self.entries
            .borrow()
            .iter()
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect()
    }

    /// Keys now, in order.
    pub fn keys(&self) -> Vec<Str> {
        self.entries.borrow().keys().cloned().collect()
    }

    /// What a key stands for.
    pub fn key_value(&self, key: &Str) -> Value {
        match self.kind {
            MapKind::Named(NamedType { key: Some(of), .. }) => of(key),
            _ => Value::Str(key.clone()),
        }
    }

    /// Removes all keys. Frees maps that hold themselves.
    pub fn clear(&self) {
        let entries = std::mem::take(&mut *self.entries.borrow_mut());
        drop(entries);
    }

    /// Whether both are the same shared map.
    pub fn same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.entries, &other.entries)
    }

    /// Whether the map can be passed where `map[string]interface {}` is wanted.
    pub fn is_dict(&self) -> bool {
        match self.kind {
            MapKind::Any => true,
            MapKind::Strings => false,
            MapKind::Named(named) => named.element == ANY,
        }
    }
}

impl<K: Into<Str>> FromIterator<(K, Value)> for Map {
    fn from_iter<T: IntoIterator<Item = (K, Value)>>(entries: T) -> Self {
        Self::new(entries.into_iter().map(|(k, v)| (k.into(), v)).collect())
    }
}

/// A struct: its type and its fields' values in the type's order.
#[derive(Debug)]
pub struct Struct {
    /// The Go type.
    pub of: &'static StructType,
    /// Names and values. A lower-case name is hidden from templates.
    pub fields: Vec<(&'static str, Value)>,
}

impl Struct {
    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.fields.iter().find(|(n, _)| *n == name).map(|(_, v)| v)
    }
}

impl Value {
    /// A string.
    pub fn str(text: impl Into<Str>) -> Self {
        Self::Str(text.into())
    }

    /// An empty string.
    pub fn empty() -> Self {
        Self::Str(Str::from(""))
    }

    /// A `[]interface {}`.
    pub fn list(items: Vec<Self>) -> Self {
        Self::List(List::new(items))
    }

    /// A struct with the fields given.
    pub fn structure(of: &'static StructType, fields: Vec<(&'static str, Self)>) -> Self {
        Self::Struct(Rc::new(Struct { of, fields }))
    }

    /// Whether this is an empty interface.
    pub fn is_nil(&self) -> bool {
        matches!(self, Self::Nil)
    }

    /// The Go kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Nil => Kind::Invalid,
            Self::Bool(_) => Kind::Bool,
            Self::Int(_) => Kind::Int,
            Self::Int64(_) | Self::Duration(_) => Kind::Int64,
            Self::Uint64(_) => Kind::Uint64,
            Self::Byte(_) => Kind::Uint8,
            Self::Float(_) => Kind::Float64,
            Self::Str(_) => Kind::String,
            Self::Bytes(_) | Self::List(_) => Kind::Slice,
            Self::Map(_) => Kind::Map,
            Self::Struct(s) if s.of.pointer => Kind::Ptr,
            Self::Time(_) | Self::Struct(_) => Kind::Struct,
        }
    }

    /// The Go type, as `%T` prints it.
    pub fn type_name(&self) -> String {
        match self {
            Self::Nil => "<nil>".to_owned(),
            Self::Bool(_) => "bool".to_owned(),
            Self::Int(_) => "int".to_owned(),
            Self::Int64(_) => "int64".to_owned(),
            Self::Uint64(_) => "uint64".to_owned(),
            Self::Byte(_) => "uint8".to_owned(),
            Self::Float(_) => "float64".to_owned(),
            Self::Str(_) => "string".to_owned(),
            Self::Bytes(_) => "[]uint8".to_owned(),
            Self::List(list) => list.type_of().map_or_else(
                || format!("[]{}", list.element()),
                |named| named.name.to_owned(),
            ),
            Self::Map(map) => match map.kind() {
                MapKind::Any => "map[string]interface {}".to_owned(),
                MapKind::Strings => "map[string]string".to_owned(),
                MapKind::Named(named) => named.name.to_owned(),
            },
            Self::Time(_) => "time.Time".to_owned(),
            Self::Duration(_) => "time.Duration".to_owned(),
            Self::Struct(s) if s.of.pointer => format!("*{}", s.of.name),
            Self::Struct(s) => s.of.name.to_owned(),
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::str(value)
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::str(value)
    }
}
