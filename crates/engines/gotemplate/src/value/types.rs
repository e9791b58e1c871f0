//! Descriptions of Go types: kinds, parameters, methods, named types.

use super::{Struct, Value};
use crate::Str;
use crate::error::Fault;

/// Go's reflection kinds, as far as values here have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// No value.
    Invalid,
    /// `bool`
    Bool,
    /// `int`
    Int,
    /// `int64`
    Int64,
    /// `uint8`
    Uint8,
    /// `uint64`
    Uint64,
    /// `float64`
    Float64,
    /// `string`
    String,
    /// A slice.
    Slice,
    /// A map.
    Map,
    /// A pointer.
    Ptr,
    /// A struct.
    Struct,
}

impl Kind {
    /// The name Go prints.
    pub fn name(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Int64 => "int64",
            Self::Uint8 => "uint8",
            Self::Uint64 => "uint64",
            Self::Float64 => "float64",
            Self::String => "string",
            Self::Slice => "slice",
            Self::Map => "map",
            Self::Ptr => "ptr",
            Self::Struct => "struct",
        }
    }
}

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// `interface {}`
    Any,
    /// `reflect.Value`: anything, as the builtin functions take it.
    Reflect,
    /// `reflect.Value` of `len`, which tells no value at all from nil.
    Length,
    /// `string`
    String,
    /// `bool`
    Bool,
    /// `int`
    Int,
    /// `int64`
    Int64,
    /// `uint32`
    Uint32,
    /// `float64`
    Float,
    /// `map[string]interface {}`
    Dict,
    /// `[]interface {}`
    List,
    /// `time.Time`
    Time,
    /// A struct or pointer type, by its printed name.
    Named(&'static str),
}

impl Type {
    /// The name in error texts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => super::ANY,
            Self::Reflect | Self::Length => "reflect.Value",
            Self::String => "string",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Int64 => "int64",
            Self::Uint32 => "uint32",
            Self::Float => "float64",
            Self::Dict => "map[string]interface {}",
            Self::List => "[]interface {}",
            Self::Time => "time.Time",
            Self::Named(name) => name,
        }
    }

    /// Whether the value has this type or can be assigned to it.
    pub fn accepts(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Any | Self::Reflect | Self::Length, _)
            | (Self::String, Value::Str(_))
            | (Self::Bool, Value::Bool(_))
            | (Self::Int, Value::Int(_))
            | (Self::Int64, Value::Int64(_))
            | (Self::Float, Value::Float(_))
            | (Self::Time, Value::Time(_)) => true,
            (Self::Dict, Value::Map(map)) => map.is_dict(),
            (Self::List, Value::List(list)) => list.element() == super::ANY,
            (Self::Named(name), value) => value.type_name() == name,
            _ => false,
        }
    }

    /// Whether nil can be passed.
    pub fn takes_nil(self) -> bool {
        match self {
            Self::Any | Self::Reflect | Self::Length | Self::Dict | Self::List => true,
            Self::Named(name) => name.starts_with('*'),
            _ => false,
        }
    }
}

/// A method of a type.
pub struct Method {
    /// The exported name.
    pub name: &'static str,
    /// The parameters; of a variadic method the last may come any number of times.
    pub params: &'static [Type],
    /// Whether the last parameter may come any number of times.
    pub variadic: bool,
    /// What it does: receiver, then arguments.
    pub call: fn(&Value, &[Value]) -> Result<Value, Fault>,
}

impl std::fmt::Debug for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Method")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A slice or map type with a name and methods.
#[derive(Debug)]
pub struct NamedType {
    /// The printed name, such as `common.Values`.
    pub name: &'static str,
    /// The element type.
    pub element: &'static str,
    /// The methods.
    pub methods: &'static [Method],
    /// Of a map type whose keys are no strings: what a key stands for.
    pub key: Option<fn(&Str) -> Value>,
}

/// A struct type.
pub struct StructType {
    /// The printed name without the pointer's star.
    pub name: &'static str,
    /// Whether templates hold it by pointer.
    pub pointer: bool,
    /// The `String` method, where it has one.
    pub text: Option<fn(&Struct) -> String>,
    /// The methods templates can call.
    pub methods: &'static [Method],
}

impl std::fmt::Debug for StructType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StructType")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

static NO_VALUE: StructType = StructType {
    name: "reflect.Value",
    pointer: false,
    text: None,
    methods: &[],
};

/// Stands for no value at all, which a parameter of type [`Type::Length`] can take.
pub(crate) fn no_value() -> Value {
    Value::structure(&NO_VALUE, Vec::new())
}

pub(crate) fn is_no_value(value: &Value) -> bool {
    matches!(value, Value::Struct(s) if std::ptr::eq(s.of, &raw const NO_VALUE))
}

/// The methods of a value's type.
pub(crate) fn methods_of(value: &Value) -> &'static [Method] {
    match value {
        Value::Map(map) => match map.kind() {
            super::MapKind::Named(named) => named.methods,
            _ => &[],
        },
        Value::List(list) => list.type_of().map_or(&[], |named| named.methods),
        Value::Struct(s) => s.of.methods,
        Value::Time(_) => crate::funcs::dates::TIME_METHODS,
        Value::Duration(_) => crate::funcs::dates::DURATION_METHODS,
        _ => &[],
    }
}
