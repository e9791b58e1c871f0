//! The kustomization file that Flux's kustomize-controller writes before it builds.
//!
//! **Source:** fluxcd/pkg/kustomize as kustomize-controller 1.9 uses it.

mod existing;
mod inject;
mod listed;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use crate::error::{Error, Place};
use crate::file_tree::{FileTree, Kind, OverlayTree, join};
use crate::kustomization::FILE_NAMES;

/// The fields that bring objects in.
const OPERANDS: &[&str] = &[
    "resources",
    "components",
    "generators",
    "configMapGenerator",
    "secretGenerator",
    "helmCharts",
];

/// What a Flux Kustomization adds to the kustomization it points at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Injection {
    /// `spec.targetNamespace`: replaces `namespace`.
    pub target_namespace: Option<String>,
    /// `spec.namePrefix`: replaces `namePrefix`.
    pub name_prefix: Option<String>,
    /// `spec.nameSuffix`: replaces `nameSuffix`.
    pub name_suffix: Option<String>,
    /// `spec.patches`: go after those there are.
    pub patches: Vec<Patch>,
    /// `spec.components`: go after those there are.
    pub components: Vec<String>,
    /// `spec.ignoreMissingComponents`: leaves out components whose directory does not exist.
    pub ignore_missing_components: bool,
    /// `spec.images`: merged by name.
    pub images: Vec<Image>,
    /// `spec.buildMetadata`: replaces `buildMetadata` where it is not empty.
    pub build_metadata: Vec<String>,
}

/// One inline patch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patch {
    /// The patch's text, strategic merge or JSON 6902.
    pub patch: String,
    /// The objects it applies to.
    pub target: Option<Selector>,
}

/// Which objects a patch applies to; empty fields match all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    /// API group, an anchored regular expression.
    pub group: String,
    /// API version, an anchored regular expression.
    pub version: String,
    /// Kind, an anchored regular expression.
    pub kind: String,
    /// Name, an anchored regular expression.
    pub name: String,
    /// Namespace, an anchored regular expression.
    pub namespace: String,
    /// A selector over annotations: `a=b,!c`.
    pub annotation_selector: String,
    /// A selector over labels: `a=b,!c`.
    pub label_selector: String,
}

/// One image to rewrite.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// The image's name as the objects have it.
    pub name: String,
    /// The name to use instead; empty keeps it.
    pub new_name: String,
    /// The tag to use instead; empty keeps it.
    pub new_tag: String,
    /// The digest to use instead: `sha256:…`; empty keeps it.
    pub digest: String,
}

/// Gives the tree as kustomize-controller would build it: with the kustomization file at `path`
/// generated where none exists, and the injection written into it. A file that needs no change
/// stays as it is, so that errors point into it. Build the tree with
/// [`crate::Options::lenient_root`].
///
/// # Errors
/// [`Error::Invalid`] where the file cannot be read, a file to be listed is not Kubernetes YAML, or
/// a component is not a local path.
pub fn overlay<'a>(
    tree: &'a dyn FileTree,
    path: &str,
    injection: &Injection,
) -> Result<OverlayTree<'a>, Error> {
    let dir = join("", path).unwrap_or_default();
    let at = |name: &str| join(&dir, name).unwrap_or_default();
    let existing = FILE_NAMES
        .iter()
        .find(|name| tree.stat(&at(name)) == Some(Kind::File));
    let (file, mut fields, mut changed) = match existing {
        Some(name) => {
            let file = at(name);
            let fields = existing::fields(tree, &file)?;
            (file, fields, false)
        }
        None => (
            at(FILE_NAMES[0]),
            listed::fields(tree, &dir, injection)?,
            true,
        ),
    };
    if existing.is_some() && OPERANDS.iter().all(|operand| is_absent(&fields, operand)) {
        fields.insert("buildMetadata".to_owned(), json!(["originAnnotations"]));
        changed = true;
    }
    changed |= inject::into(tree, &dir, &file, &mut fields, injection)?;
    let mut overlay = OverlayTree::new(tree);
    if changed {
        let text = yaml::emit::v2(&Value::Object(fields))
            .map_err(|error| Error::at(Place::file(&file), error.to_string()))?;
        overlay.insert(&file, text);
    }
    Ok(overlay)
}

fn is_absent(fields: &Map<String, Value>, name: &str) -> bool {
    match fields.get(name) {
        None | Some(Value::Null) => true,
        Some(Value::Array(items)) => items.is_empty(),
        Some(_) => false,
    }
}

/// Gives a field that is a list, made where it is missing.
fn list<'f>(fields: &'f mut Map<String, Value>, name: &str) -> &'f mut Vec<Value> {
    let value = fields.entry(name).or_insert_with(|| json!([]));
    if !value.is_array() {
        *value = json!([]);
    }
    match value {
        Value::Array(items) => items,
        // It was made an array above.
        _ => unreachable!("the field is a list"),
    }
}
