//! ConfigMaps and Secrets from literals, files and env files.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use yaml::{Mapping, Node, Style};

use super::sources;
use crate::error::{Error, Place};
use crate::kustomization::{GeneratorOptions, MapGenerator};
use crate::load::Loader;
use crate::resource::{Behavior, Resource};
use crate::tree;

/// The width base64 is broken at.
const LINE_LENGTH: usize = 70;

/// Which of the two kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MapKind {
    ConfigMap,
    Secret,
}

/// Makes the object of one generator.
///
/// # Errors
/// Where it has no name, a key twice, or a source that cannot be read.
pub(crate) fn generate(
    loader: &Loader<'_>,
    kind: MapKind,
    generator: &MapGenerator,
    options: &GeneratorOptions,
    place: &Place,
) -> Result<Resource, Error> {
    let located = |error: Error| error.with_place(place.clone());
    if generator.name.is_empty() {
        return Err(Error::at(place.clone(), "a configmap must have a name"));
    }
    let pairs = sources::read(loader, generator, &place.file)
        .map_err(|error| located(error.context("loading KV pairs")))?;
    let mut values: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut repeated = BTreeSet::new();
    for (key, value) in pairs {
        if values.contains_key(&key) {
            repeated.insert(key.clone());
        }
        values.insert(key, value);
    }
    if !repeated.is_empty() {
        let keys: Vec<String> = repeated.iter().map(|key| format!("`{key}`")).collect();
        let text = format!(
            "configmap {} illegally repeats the key {}",
            generator.name,
            keys.join(", ")
        );
        return Err(Error::at(place.clone(), text));
    }
    let mut object = base(kind, generator);
    match kind {
        MapKind::ConfigMap => config_map_data(&mut object, values),
        MapKind::Secret => secret_data(&mut object, values),
    }
    let pairs = |map: &BTreeMap<String, String>| -> Vec<(String, String)> {
        map.iter().map(|(k, v)| (k.clone(), v.clone())).collect()
    };
    if !options.labels.is_empty() {
        tree::set_meta_map(&mut object, "labels", &pairs(&options.labels));
    }
    if !options.annotations.is_empty() {
        tree::set_meta_map(&mut object, "annotations", &pairs(&options.annotations));
    }
    if options.immutable {
        object.insert("immutable", Node::bool(true));
    }
    let mut resource = Resource::new(object, &Arc::from(place.file.as_str()));
    resource.line = place.line;
    resource.needs_hash = !options.disable_name_suffix_hash;
    resource.behavior = Behavior::parse(&generator.behavior);
    Ok(resource)
}

fn base(kind: MapKind, generator: &MapGenerator) -> Node {
    let mut meta = Mapping::new();
    meta.insert(
        "name",
        tree::untagged(&generator.name, name_style(&generator.name)),
    );
    if !generator.namespace.is_empty() {
        let style = name_style(&generator.namespace);
        meta.insert("namespace", tree::untagged(&generator.namespace, style));
    }
    let name = if kind == MapKind::Secret {
        "Secret"
    } else {
        "ConfigMap"
    };
    let mut object = tree::strings([("apiVersion", "v1"), ("kind", name)]);
    object.insert("metadata", Node::mapping(meta));
    if kind == MapKind::Secret {
        let secret_type = match generator.secret_type.as_str() {
            "" => "Opaque",
            other => other,
        };
        object.insert("type", Node::string(secret_type));
    }
    object
}

/// A name that reads as something else is quoted.
fn name_style(name: &str) -> Style {
    if tree::untagged(name, Style::Plain).is_string() {
        Style::Plain
    } else {
        Style::DoubleQuoted
    }
}

fn config_map_data(object: &mut Node, values: BTreeMap<String, Vec<u8>>) {
    for (key, value) in values {
        let (field, text) = match String::from_utf8(value) {
            Ok(text) => ("data", text),
            Err(error) => ("binaryData", base64_lines(error.as_bytes())),
        };
        put(object, field, &key, text);
    }
}

fn secret_data(object: &mut Node, values: BTreeMap<String, Vec<u8>>) {
    object.insert("data", Node::mapping(Mapping::new()));
    for (key, value) in values {
        put(object, "data", &key, base64_lines(&value));
    }
}

fn put(object: &mut Node, field: &str, key: &str, text: String) {
    let style = if text.contains('\n') {
        Style::Literal
    } else {
        Style::Plain
    };
    let Some(mapping) = tree::mapping_at(object, field) else {
        return;
    };
    mapping.insert_entry(yaml::Entry {
        key: tree::untagged(key, Style::Plain),
        value: tree::quoted(Node::string(text).with_style(style)),
    });
}

/// Encodes bytes; a long text is broken into lines.
fn base64_lines(bytes: &[u8]) -> String {
    let encoded = STANDARD.encode(bytes);
    if encoded.len() <= LINE_LENGTH {
        return encoded;
    }
    let mut lines = String::with_capacity(encoded.len() + encoded.len() / LINE_LENGTH + 1);
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, next) = rest.split_at(rest.len().min(LINE_LENGTH));
        lines.push_str(line);
        lines.push('\n');
        rest = next;
    }
    lines
}
