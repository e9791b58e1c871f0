//! What upstream's definitions say, field by field.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;
use serde_json::{Map, Value};

/// Fields of one version by path: `spec.include[].toPath`, `[]` for entries of a list, `{}` for values of a map.
pub(crate) type Fields = BTreeMap<String, Map<String, Value>>;

/// One of upstream's definitions, from the last release that served each version.
#[derive(Debug, Deserialize)]
pub(crate) struct Facts {
    pub(crate) group: String,
    pub(crate) names: Value,
    pub(crate) annotations: Value,
    pub(crate) versions: BTreeMap<String, VersionFacts>,
}

/// One version of one of upstream's definitions.
#[derive(Debug, Deserialize)]
pub(crate) struct VersionFacts {
    pub(crate) columns: Vec<Vec<Value>>,
    pub(crate) deprecation: Option<String>,
    pub(crate) status: bool,
    pub(crate) fields: Fields,
}

impl Facts {
    /// Reads the facts of every kind, by name of the kind.
    pub(crate) fn all() -> BTreeMap<String, Self> {
        // Tests of other folders read them too.
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../api/tests/facts");
        let files = std::fs::read_dir(folder).unwrap();
        files
            .map(|file| {
                let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
                let facts: Self = serde_json::from_str(&text).unwrap();
                (facts.kind().to_owned(), facts)
            })
            .collect()
    }

    pub(crate) fn kind(&self) -> &str {
        self.names["kind"].as_str().unwrap()
    }
}
