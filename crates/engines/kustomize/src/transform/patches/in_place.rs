//! JSON patches and the objects they go into: what a patch sees of an object, and what is left of
//! the object's books afterwards.

use yaml::{Kind, Node, Style, Value};

use crate::error::Error;
use crate::origin::transformations;
use crate::resource::{BUILD_ANNOTATIONS, ORIGIN, Resource, TRANSFORMATIONS};
use crate::transform::json6902::JsonPatch;
use crate::tree;

/// Applies a JSON patch to one object. It sees the annotations upstream keeps its books in.
///
/// # Errors
/// The first operation that does not apply, and the object.
pub(super) fn apply(resource: &mut Resource, patch: &JsonPatch) -> Result<(), Error> {
    if resource.is_broken {
        return Ok(());
    }
    let place = resource.place();
    yaml::through_json(&mut resource.node)
        .map_err(|error| Error::at(place.clone().within(error.span()), error.to_string()))?;
    let books = books(resource);
    lay_out(&books, &mut resource.node);
    let span = resource.node.span.clone();
    let applied = patch.apply(&mut resource.node);
    let applied = applied.map_err(|error| error.with_place(place));
    resource.node.span = span;
    reread(&mut resource.node);
    for (key, held) in [(ORIGIN, resource.origin.is_some()), (TRANSFORMATIONS, true)] {
        let is_kept = tree::meta_entry(&resource.node, "annotations", key).is_some();
        match key {
            ORIGIN if held && !is_kept => resource.origin = None,
            TRANSFORMATIONS if !is_kept => resource.transformations.clear(),
            _ => {}
        }
    }
    let is_book = |key: &str| books.iter().any(|(book, _)| book == key);
    let mut kept: Vec<(String, String)> = tree::meta_map(&resource.node, "annotations")
        .filter(|(key, _)| !is_book(key) && !BUILD_ANNOTATIONS.contains(key))
        .filter(|(key, _)| *key != ORIGIN && *key != TRANSFORMATIONS)
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    kept.sort();
    tree::set_meta_map(&mut resource.node, "annotations", &kept);
    applied
}

/// Writes the books into the annotations of an object.
fn lay_out(books: &[(String, String)], node: &mut Node) {
    if node.as_mapping().is_none() {
        *node = Node::mapping(yaml::Mapping::new());
    }
    if books.is_empty() {
        return;
    }
    let empty = || Node::mapping(yaml::Mapping::new());
    let object = node.as_mapping_mut();
    let meta = object.map(|object| object.get_or_insert_with("metadata", empty));
    let Some(meta) = meta.and_then(Node::as_mapping_mut) else {
        return;
    };
    let annotations = meta.get_or_insert_with("annotations", empty);
    if annotations.as_mapping().is_none() {
        *annotations = empty();
    }
    for (key, value) in books {
        annotations.insert(key, Node::string(value));
    }
}

/// The largest integer that a float holds exactly.
const MAX_EXACT: u64 = 1 << 53;

/// Makes of a tree what is left of it after JSON was printed as YAML and read again: numbers went
/// through floats, and strings that could be read as something else are quoted.
fn reread(node: &mut Node) {
    match &mut node.value {
        Value::Sequence(items) => items.iter_mut().for_each(reread),
        Value::Mapping(mapping) => mapping.values_mut().for_each(reread),
        Value::Scalar(scalar) => match scalar.kind {
            Kind::String => {
                let is_string = |schema: &yaml::Schema| {
                    matches!(yaml::resolve(&scalar.text, *schema), Kind::String)
                };
                let both = [yaml::Schema::Legacy, yaml::Schema::Core];
                node.style = match yaml::emit::v3_style(&scalar.text) {
                    Style::Plain if !both.iter().all(is_string) => Style::DoubleQuoted,
                    style => style,
                };
            }
            Kind::Int(number) if number.unsigned_abs() > MAX_EXACT => {
                #[expect(clippy::cast_precision_loss, reason = "upstream loses it here")]
                let rounded = number as f64;
                *node = Node::float(rounded);
            }
            Kind::Uint(number) => {
                #[expect(clippy::cast_precision_loss, reason = "upstream loses it here")]
                let rounded = number as f64;
                *node = Node::float(rounded);
            }
            _ => node.style = Style::Plain,
        },
    }
}

/// Gives the history of an object as the annotations upstream keeps it in.
fn books(resource: &Resource) -> Vec<(String, String)> {
    let mut books = Vec::new();
    let mut note = |name: &str, values: Vec<&str>| {
        if !values.is_empty() {
            let key = format!("internal.config.kubernetes.io/{name}");
            books.push((key, values.join(",")));
        }
    };
    let history = &resource.history;
    note(
        "previousKinds",
        history.iter().map(|id| id.kind.as_str()).collect(),
    );
    note(
        "previousNames",
        history.iter().map(|id| id.name.as_str()).collect(),
    );
    note(
        "previousNamespaces",
        history.iter().map(|id| id.namespace.as_str()).collect(),
    );
    note(
        "prefixes",
        resource.prefixes.iter().map(String::as_str).collect(),
    );
    note(
        "suffixes",
        resource.suffixes.iter().map(String::as_str).collect(),
    );
    if resource.behavior != crate::resource::Behavior::Unspecified {
        note("generatorBehavior", vec![resource.behavior.name()]);
    }
    if resource.needs_hash {
        note("needsHashSuffix", vec!["enabled"]);
    }
    if let Some(origin) = &resource.origin {
        books.push((ORIGIN.to_owned(), origin.to_annotation()));
    }
    if !resource.transformations.is_empty() {
        let text = transformations(&resource.transformations);
        books.push((TRANSFORMATIONS.to_owned(), text));
    }
    books
}
