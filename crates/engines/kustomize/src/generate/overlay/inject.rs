//! What a Flux Kustomization adds to the fields of a kustomization file.

use serde_json::{Map, Value, json};

use super::{Image, Injection, Patch, list};
use crate::error::{Error, Gathered, Place};
use crate::file_tree::{FileTree, Kind, join};
use crate::remote;

/// Writes the injection into the fields; tells whether anything changed.
///
/// # Errors
/// Every component that is not a local path.
pub(super) fn into(
    tree: &dyn FileTree,
    dir: &str,
    file: &str,
    fields: &mut Map<String, Value>,
    injection: &Injection,
) -> Result<bool, Error> {
    let before = fields.clone();
    let texts = [
        ("namespace", &injection.target_namespace),
        ("namePrefix", &injection.name_prefix),
        ("nameSuffix", &injection.name_suffix),
    ];
    for (name, value) in texts {
        if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
            fields.insert(name.to_owned(), json!(value));
        }
    }
    if !injection.patches.is_empty() {
        list(fields, "patches").extend(injection.patches.iter().map(patch));
    }
    let mut faults = Gathered::default();
    for component in &injection.components {
        if remote::parse(component).is_ok()
            || remote::is_http(component)
            || component.starts_with('/')
        {
            let text = format!("component path '{component}' must be local and relative");
            faults.note::<()>(Err(Error::at(Place::file(file), text)));
            continue;
        }
        let path = join(dir, component);
        let exists = path.is_some_and(|path| tree.stat(&path) == Some(Kind::Directory));
        if exists || !injection.ignore_missing_components {
            list(fields, "components").push(json!(component));
        }
    }
    faults.end()?;
    for image in &injection.images {
        merge_image(list(fields, "images"), image);
    }
    if !injection.build_metadata.is_empty() {
        fields.insert("buildMetadata".to_owned(), json!(injection.build_metadata));
    }
    Ok(before != *fields)
}

fn patch(patch: &Patch) -> Value {
    let mut fields = Map::new();
    fields.insert("patch".to_owned(), json!(patch.patch));
    if let Some(target) = &patch.target {
        let parts = [
            ("group", &target.group),
            ("version", &target.version),
            ("kind", &target.kind),
            ("name", &target.name),
            ("namespace", &target.namespace),
            ("annotationSelector", &target.annotation_selector),
            ("labelSelector", &target.label_selector),
        ];
        let set = parts.into_iter().filter(|(_, value)| !value.is_empty());
        let target: Map<String, Value> = set
            .map(|(name, value)| (name.to_owned(), json!(value)))
            .collect();
        fields.insert("target".to_owned(), Value::Object(target));
    }
    Value::Object(fields)
}

/// Merges an image into the one of its name: the new name alone, tag and digest as one.
fn merge_image(images: &mut Vec<Value>, image: &Image) {
    let at = images
        .iter()
        .position(|value| value.get("name") == Some(&json!(image.name)));
    let at = at.unwrap_or_else(|| {
        images.push(json!({ "name": image.name }));
        images.len() - 1
    });
    let Value::Object(entry) = &mut images[at] else {
        return;
    };
    if !image.new_name.is_empty() {
        entry.insert("newName".to_owned(), json!(image.new_name));
    }
    if !image.new_tag.is_empty() || !image.digest.is_empty() {
        for (name, value) in [("newTag", &image.new_tag), ("digest", &image.digest)] {
            entry.remove(name);
            if !value.is_empty() {
                entry.insert(name.to_owned(), json!(value));
            }
        }
    }
}
