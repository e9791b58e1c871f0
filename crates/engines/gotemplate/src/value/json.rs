//! Values from and to `serde_json` trees, for data that comes from outside.

use serde_json::Value as Json;

use super::{Map, Value};
use crate::text::Str;

impl Value {
    /// Takes a JSON tree as Go's `encoding/json` does into an interface: all numbers are floats.
    pub fn from_json(json: &Json) -> Self {
        Self::from_json_with(json, &|n| Self::Float(n.as_f64().unwrap_or(f64::NAN)))
    }

    /// Takes a JSON tree with integers kept as `int64`, as objects of a cluster and `--set` values
    /// have them.
    pub fn from_json_exact(json: &Json) -> Self {
        Self::from_json_with(json, &|n| {
            n.as_i64()
                .map_or_else(|| Self::Float(n.as_f64().unwrap_or(f64::NAN)), Self::Int64)
        })
    }

    fn from_json_with(json: &Json, number: &dyn Fn(&serde_json::Number) -> Self) -> Self {
        match json {
            Json::Null => Self::Nil,
            Json::Bool(b) => Self::Bool(*b),
            Json::Number(n) => number(n),
            Json::String(s) => Self::str(s.as_str()),
            Json::Array(items) => Self::list(
                items
                    .iter()
                    .map(|i| Self::from_json_with(i, number))
                    .collect(),
            ),
            Json::Object(entries) => Self::Map(
                entries
                    .iter()
                    .map(|(k, v)| (Str::from(k.as_str()), Self::from_json_with(v, number)))
                    .collect::<Map>(),
            ),
        }
    }
}
