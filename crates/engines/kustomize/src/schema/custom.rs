//! A schema that a kustomization brings with its `openapi` field.

use std::collections::HashMap;

use serde_json::Value;

use crate::error::Error;

/// How many references in a row are followed before a schema counts as endless.
const MAX_REFERENCES: usize = 64;

/// What a reference leads to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Found<'s> {
    /// A node of the document.
    Here(&'s Value),
    /// A definition the document lacks.
    Elsewhere(&'s str),
}

/// An OpenAPI v2 document, indexed by kind.
#[derive(Debug)]
pub(crate) struct Custom {
    document: Value,
    /// Whether the built-in definitions stand beside the document's.
    pub(super) has_builtin: bool,
    /// Definition names by (apiVersion, kind).
    kinds: HashMap<(String, String), String>,
    /// Whether a kind is namespaced, as the paths say.
    namespaced: HashMap<(String, String), bool>,
}

impl Custom {
    pub(super) fn new(document: Value, has_builtin: bool) -> Result<Self, Error> {
        if !document.is_object() {
            return Err(Error::new("invalid schema file: it is no OpenAPI document"));
        }
        let mut kinds = HashMap::new();
        let definitions = document.get("definitions").and_then(Value::as_object);
        for (name, definition) in definitions.into_iter().flatten() {
            let Some(gvks) = definition.get("x-kubernetes-group-version-kind") else {
                continue;
            };
            for gvk in gvks.as_array().into_iter().flatten() {
                if let Some(kind) = type_of(gvk) {
                    kinds.insert(kind, name.clone());
                }
            }
        }
        let mut namespaced = HashMap::new();
        let paths = document.get("paths").and_then(Value::as_object);
        for (path, item) in paths.into_iter().flatten() {
            let gvk = item
                .get("get")
                .and_then(|get| get.get("x-kubernetes-group-version-kind"));
            if let Some(kind) = gvk.and_then(type_of) {
                let within = path.contains("namespaces/{namespace}");
                *namespaced.entry(kind).or_insert(within) |= within;
            }
        }
        Ok(Self {
            document,
            has_builtin,
            kinds,
            namespaced,
        })
    }

    pub(super) fn of_kind(&self, api_version: &str, kind: &str) -> Option<&Value> {
        let name = self.kinds.get(&(api_version.to_owned(), kind.to_owned()))?;
        self.document.get("definitions")?.get(name)
    }

    pub(super) fn is_cluster_scoped(&self, group: &str, version: &str, kind: &str) -> bool {
        let api_version = if group.is_empty() {
            version.to_owned()
        } else {
            format!("{group}/{version}")
        };
        self.namespaced.get(&(api_version, kind.to_owned())) == Some(&false)
    }

    /// Descends to a field; a reference to what the document lacks gives the name of that.
    pub(super) fn field<'s>(&'s self, schema: &'s Value, name: &str) -> Option<Found<'s>> {
        let property = schema
            .get("properties")
            .and_then(|properties| properties.get(name));
        let additional = || {
            schema
                .get("additionalProperties")
                .filter(|value| value.is_object())
        };
        self.resolve(property.or_else(additional)?)
    }

    pub(super) fn elements<'s>(&'s self, schema: &'s Value) -> Option<Found<'s>> {
        let is_array = match schema.get("type") {
            Some(Value::String(kind)) => kind == "array",
            Some(Value::Array(kinds)) => kinds.len() == 1 && kinds[0] == "array",
            _ => false,
        };
        if is_array {
            self.resolve(schema.get("items")?)
        } else {
            None
        }
    }

    pub(super) fn merge_keys(schema: &Value) -> Option<Vec<&str>> {
        let strategy = schema.get("x-kubernetes-patch-strategy")?.as_str()?;
        if !strategy.split(',').any(|part| part == "merge") {
            return None;
        }
        if let Some(keys) = schema
            .get("x-kubernetes-list-map-keys")
            .and_then(Value::as_array)
        {
            return Some(keys.iter().filter_map(Value::as_str).collect());
        }
        let key = schema
            .get("x-kubernetes-patch-merge-key")
            .and_then(Value::as_str);
        Some(key.into_iter().collect())
    }

    fn resolve<'s>(&'s self, mut schema: &'s Value) -> Option<Found<'s>> {
        for _ in 0..MAX_REFERENCES {
            let Some(reference) = schema.get("$ref").and_then(Value::as_str) else {
                return Some(Found::Here(schema));
            };
            match self.document.pointer(reference.strip_prefix('#')?) {
                Some(found) => schema = found,
                None => {
                    return reference
                        .strip_prefix("#/definitions/")
                        .map(Found::Elsewhere);
                }
            }
        }
        None
    }
}

/// Reads `{group, version, kind}` as (apiVersion, kind).
fn type_of(gvk: &Value) -> Option<(String, String)> {
    let text = |key: &str| gvk.get(key).and_then(Value::as_str);
    let (version, kind) = (text("version")?, text("kind")?);
    let api_version = match text("group") {
        Some(group) if !group.is_empty() => format!("{group}/{version}"),
        _ => version.to_owned(),
    };
    Some((api_version, kind.to_owned()))
}
