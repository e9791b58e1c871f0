//! The kustomization file that is there.

use serde_json::{Map, Value};

use super::list;
use crate::error::Error;
use crate::file_tree::FileTree;
use crate::read::{self, Input, Lines};

/// The fields looked at here, in the spelling that is documented.
const INJECTED: &[&str] = &[
    "resources",
    "components",
    "generators",
    "configMapGenerator",
    "secretGenerator",
    "helmCharts",
    "bases",
    "images",
    "imageTags",
    "patches",
    "namespace",
    "namePrefix",
    "nameSuffix",
    "buildMetadata",
];

/// Reads a kustomization file's fields, their names as they are documented and old fields under
/// their new names.
///
/// # Errors
/// Where the file is no YAML, or no mapping.
pub(super) fn fields(tree: &dyn FileTree, file: &str) -> Result<Map<String, Value>, Error> {
    let content = tree.read(file)?;
    let input = Input {
        bytes: &content,
        file,
        lines: Lines::From(1),
    };
    let invalid = |error: Error| error.context("invalid Kustomization");
    let node = input.legacy().map_err(invalid)?;
    let json = yaml::to_json(&node)
        .map_err(|error| Error::at(read::json_place(&error, file), error.to_string()))
        .map_err(invalid)?;
    let raw = match json {
        Value::Object(raw) => raw,
        Value::Null => Map::new(),
        _ => {
            let error = Error::at(input.place(&node), "the file is no mapping");
            return Err(invalid(error));
        }
    };
    let mut fields = Map::new();
    for (name, value) in raw {
        let known = INJECTED
            .iter()
            .find(|known| known.eq_ignore_ascii_case(&name));
        fields.insert(known.map_or(name, |known| (*known).to_owned()), value);
    }
    for (old, new) in [("bases", "resources"), ("imageTags", "images")] {
        if let Some(Value::Array(more)) = fields.remove(old) {
            list(&mut fields, new).extend(more);
        }
    }
    Ok(fields)
}
