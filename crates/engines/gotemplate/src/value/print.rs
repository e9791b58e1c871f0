//! Values as the printer sees them.

use std::borrow::Cow;

use go::fmt::{Operand, View};

use super::Value;

impl Operand for Value {
    fn view(&self) -> View<'_, Self> {
        match self {
            Self::Nil => View::Nil,
            Self::Bool(b) => View::Bool(*b),
            Self::Int(n) | Self::Int64(n) => View::Int(*n),
            Self::Uint64(n) => View::Uint(*n),
            Self::Byte(n) => View::Uint(u64::from(*n)),
            Self::Float(f) => View::Float(*f),
            Self::Str(s) => View::Str(Cow::Borrowed(s.as_bytes())),
            Self::Bytes(s) => View::Bytes(Cow::Borrowed(s.as_bytes())),
            Self::List(list) => View::List(if list.is_nil() {
                None
            } else {
                Some(list.items())
            }),
            Self::Map(map) => View::Map(Some(
                map.entries()
                    .into_iter()
                    .map(|(k, v)| (map.key_value(&k).printed(), v))
                    .collect(),
            )),
            Self::Time(time) => View::Int(time.unix()),
            Self::Duration(duration) => View::Int(duration.nanos()),
            Self::Struct(s) => View::Struct {
                fields: s
                    .fields
                    .iter()
                    .map(|(n, v)| (Cow::Borrowed(*n), v.clone()))
                    .collect(),
                pointer: s.of.pointer,
            },
        }
    }

    fn type_name(&self) -> Cow<'_, str> {
        Cow::Owned(Self::type_name(self))
    }

    fn text(&self) -> Option<Vec<u8>> {
        match self {
            Self::Time(time) => Some(time.to_string().into_bytes()),
            Self::Duration(duration) => Some(duration.to_string().into_bytes()),
            Self::Struct(s) => s.of.text.map(|text| text(s).into_bytes()),
            _ => None,
        }
    }
}

impl Value {
    /// The value as `%v` prints it.
    pub fn printed(&self) -> Vec<u8> {
        match self {
            Self::Str(s) => s.as_bytes().to_vec(),
            _ => go::fmt::print_value(self),
        }
    }
}
