//! Reads the files of `crds`: OpenAPI definitions whose extensions say which fields hold
//! annotations, labels, names and references.

use serde_json::{Map, Value};

use super::{Config, NameReference};
use crate::error::{Error, Gathered, Place};
use crate::field_spec::{FieldSpec, merge_one};
use crate::id::Gvk;
use crate::load::File;
use crate::read;

/// How deep definitions may refer to each other.
const MAX_DEPTH: usize = 64;

/// Reads one file of definitions.
///
/// # Errors
/// Where it is neither JSON nor YAML, or its definitions refer to themselves.
pub(crate) fn read_crd(file: &File<'_>) -> Result<Config, Error> {
    let start = || Place::line(&file.path, 1);
    let doing = || format!("unable to parse open API definition from '{}'", file.path);
    let definitions = read::json(file).map_err(|error| error.context(doing()))?;
    let Value::Object(definitions) = definitions else {
        let error = Error::at(start(), "it is no mapping of definitions");
        return Err(error.context(doing()));
    };
    let mut config = Config::default();
    let mut faults = Gathered::default();
    for (name, definition) in &definitions {
        let Some(properties) = properties(definition) else {
            continue;
        };
        if !["kind", "apiVersion", "metadata"]
            .iter()
            .all(|field| properties.contains_key(*field))
        {
            continue;
        }
        let kind = name.rsplit('.').next().unwrap_or(name);
        let walk = Walk {
            definitions: &definitions,
            gvk: Gvk::new("", "", kind),
        };
        let walked = walk.visit(&mut config, name, &mut Vec::new());
        faults.note(walked.map_err(|error| error.or_place(start)));
    }
    faults.end()?;
    Ok(config)
}

/// Gives a definition's properties, whose schema Go's JSON finds under any spelling of `Schema`.
fn properties(definition: &Value) -> Option<&Map<String, Value>> {
    let fields = definition.as_object()?;
    let schema = fields
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case("schema"))?;
    schema.1.get("properties")?.as_object()
}

struct Walk<'d> {
    definitions: &'d Map<String, Value>,
    gvk: Gvk,
}

impl Walk<'_> {
    fn visit(&self, config: &mut Config, name: &str, path: &mut Vec<String>) -> Result<(), Error> {
        if path.len() > MAX_DEPTH {
            return Err(Error::new(format!("definition '{name}' refers to itself")));
        }
        let Some(properties) = self.definitions.get(name).and_then(properties) else {
            return Ok(());
        };
        for (property, schema) in properties {
            path.push(property.clone());
            self.note(config, schema, path)?;
            if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
                self.visit(config, reference, path)?;
            }
            path.pop();
        }
        Ok(())
    }

    fn note(&self, config: &mut Config, schema: &Value, path: &[String]) -> Result<(), Error> {
        let text = |key: &str| schema.get(key).and_then(Value::as_str);
        let spec = |path: &str| FieldSpec::new(self.gvk.clone(), path, false);
        let joined = path.join("/");
        if text("x-kubernetes-annotation").is_some() {
            merge_one(&mut config.common_annotations, spec(&joined))?;
        }
        if text("x-kubernetes-label-selector").is_some() {
            merge_one(&mut config.common_labels, spec(&joined))?;
        }
        if text("x-kubernetes-identity").is_some() {
            merge_one(&mut config.name_prefix, spec(&joined))?;
        }
        let version = text("x-kubernetes-object-ref-api-version");
        if let (Some(version), Some(kind)) = (version, text("x-kubernetes-object-ref-kind")) {
            let key = text("x-kubernetes-object-ref-name-key").unwrap_or("name");
            config.add_reference(&NameReference {
                gvk: Gvk::new("", version, kind),
                referrers: vec![spec(&format!("{joined}/{key}"))],
            })?;
        }
        Ok(())
    }
}
