//! Strategic merge patches and the objects they go into.

use std::collections::HashMap;

use yaml::Node;

use crate::error::Error;
use crate::res_map::ResMap;
use crate::resource::{BUILD_ANNOTATIONS, Resource};
use crate::schema::Schema;
use crate::transform::strategic_merge;
use crate::tree;

/// What may change beside the content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Allowed {
    pub(super) name: bool,
    pub(super) kind: bool,
}

/// Makes strings of the labels or annotations of a patch, nulls included.
pub(super) fn write_anew(patch: &mut Node, field: &str) {
    let mut entries: Vec<(String, String)> = tree::meta_map(patch, field)
        .filter(|(key, _)| !BUILD_ANNOTATIONS.contains(key))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    entries.sort();
    tree::set_meta_map(patch, field, &entries);
}

/// Applies a patch to the one object of its identity.
///
/// # Errors
/// Where there is none, or several, or it does not fit.
pub(super) fn to_own(
    resources: &mut ResMap,
    patch: &Resource,
    allowed: Allowed,
) -> Result<(), Error> {
    let id = patch.id();
    let at = resources.find_one(&id).map_err(|error| {
        let doing = format!("no resource matches strategic merge patch \"{id}\"");
        error.with_place(patch.place()).context(doing)
    })?;
    let schema = std::rc::Rc::clone(resources.schema());
    merge(resources.get_mut(at), patch, allowed, &schema)?;
    if allowed != Allowed::default() {
        resources.names_changed();
    }
    Ok(())
}

/// Applies a patch to selected objects, whatever it names itself.
///
/// # Errors
/// Every object it does not fit.
pub(super) fn to_all(
    resources: &mut ResMap,
    selected: &[usize],
    patch: &Resource,
    allowed: Allowed,
) -> Result<(), Error> {
    let mut patch = patch.clone();
    // Upstream writes labels and annotations anew before it applies a patch to several objects:
    // their values become strings, a null included.
    for field in ["labels", "annotations"] {
        write_anew(&mut patch.node, field);
    }
    let shared = std::rc::Rc::clone(resources.schema());
    let schema: &Schema = &shared;
    let mut versions: Vec<&str> = selected
        .iter()
        .map(|at| resources.get(*at).api_version())
        .collect();
    versions.sort_unstable();
    versions.dedup();
    // The patch is taken for one of each object's version.
    let patches: HashMap<String, Resource> = versions
        .into_iter()
        .map(|version| {
            let mut patch = patch.clone();
            if let Some(object) = patch.node.as_mapping_mut() {
                tree::set_field_text(object, "apiVersion", version);
            }
            (version.to_owned(), patch)
        })
        .collect();
    resources.change_at(selected, |resource| {
        let own = patches.get(resource.api_version()).unwrap_or(&patch);
        merge(resource, own, allowed, schema)
    })?;
    if allowed != Allowed::default() {
        resources.names_changed();
    }
    // Upstream adds everything anew; only JSON patches before may have made objects alike.
    resources.check_unique()
}

/// Merges a patch into one object, and gives it back what must not change.
fn merge(
    resource: &mut Resource,
    patch: &Resource,
    allowed: Allowed,
    schema: &Schema,
) -> Result<(), Error> {
    if resource.is_broken {
        return Ok(());
    }
    let before = resource.id().to_id();
    if allowed != Allowed::default() {
        resource.remember_id(schema);
    }
    let object = std::mem::take(&mut resource.node);
    let span = object.span.clone();
    let merged = match strategic_merge::merge(object, &patch.node, schema) {
        Ok(merged) => merged,
        Err(misfit) => {
            resource.lose_content(&before);
            let place = misfit.place(patch.place());
            return Err(Error::at(resource.place(), misfit.problem).with_place(place));
        }
    };
    resource.node = merged.unwrap_or_else(Node::null);
    resource.node.span = span;
    if resource.is_empty() {
        return Ok(());
    }
    if !allowed.kind {
        resource.set_kind(&before.gvk.kind);
    }
    if !allowed.name {
        resource.set_name(&before.name);
    }
    resource.set_namespace(&before.namespace);
    Ok(())
}
