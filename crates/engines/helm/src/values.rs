//! Values: reading, merging with defaults, setting by path.

mod coalesce;
mod dependencies;
mod set;

pub use coalesce::coalesce;
pub(crate) use coalesce::to_json_map;
pub(crate) use dependencies::is_compatible;
pub use dependencies::process_dependencies;
pub use set::{SetError, SetKind, set};

use serde_json::{Map, Value as Json};
use yaml::{Node, Schema};

/// Why values cannot be used. The texts are upstream's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ValuesError {
    /// The YAML is malformed.
    #[error("error converting YAML to JSON: {0}")]
    Yaml(String),
    /// The YAML holds what JSON cannot.
    #[error("{0}")]
    Json(#[from] yaml::JsonError),
    /// The document is no mapping.
    #[error(
        "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {0} into Go value of type map[string]interface {{}}"
    )]
    NotAMap(&'static str),
    /// A subchart's values are no mapping.
    #[error("type mismatch on {chart}: {value}")]
    Mismatch {
        /// The subchart.
        chart: String,
        /// The value, as Go's `%t` shows it.
        value: String,
    },
}

/// Reads the first document of a values file. All numbers become floats.
pub fn read(data: &[u8], file: &str) -> Result<Map<String, Json>, ValuesError> {
    let node = yaml::Reader::new(Schema::Legacy)
        .read_first(data, file)
        .map_err(|e| ValuesError::Yaml(e.go_text()))?;
    node.map_or_else(|| Ok(Map::new()), |node| as_map(&node))
}

/// Reads all documents of a chart's values.yaml, later ones merged over earlier ones.
pub(crate) fn read_all(data: &[u8], file: &str) -> Result<Map<String, Json>, ValuesError> {
    let nodes = yaml::Reader::new(Schema::Legacy)
        .read(data, file)
        .map_err(|e| ValuesError::Yaml(e.go_text()))?;
    let mut merged = Map::new();
    for node in &nodes {
        overlay(&mut merged, as_map(node)?);
    }
    Ok(merged)
}

fn as_map(node: &Node) -> Result<Map<String, Json>, ValuesError> {
    match floats(yaml::to_json(node)?) {
        Json::Object(map) => Ok(map),
        Json::Null => Ok(Map::new()),
        Json::Array(_) => Err(ValuesError::NotAMap("array")),
        Json::String(_) => Err(ValuesError::NotAMap("string")),
        Json::Bool(_) => Err(ValuesError::NotAMap("bool")),
        Json::Number(_) => Err(ValuesError::NotAMap("number")),
    }
}

/// Turns all numbers into floats, as Go's decoder reads JSON.
pub fn floats(mut json: Json) -> Json {
    to_floats(&mut json);
    json
}

fn to_floats(json: &mut Json) {
    match json {
        Json::Number(n) => {
            let float = n.as_f64().and_then(serde_json::Number::from_f64);
            *json = float.map_or(Json::Null, Json::Number);
        }
        Json::Array(items) => items.iter_mut().for_each(to_floats),
        Json::Object(map) => map.values_mut().for_each(to_floats),
        Json::Null | Json::Bool(_) | Json::String(_) => {}
    }
}

/// Merges maps recursively, the second winning; `-f` files are joined like this.
pub fn overlay(base: &mut Map<String, Json>, over: Map<String, Json>) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Json::Object(inner)), Json::Object(more)) => overlay(inner, more),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}
