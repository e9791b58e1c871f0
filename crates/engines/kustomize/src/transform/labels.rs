//! Labels, on objects, templates and selectors.

use std::collections::BTreeMap;

use yaml::Node;

use super::Transformer;
use crate::error::Error;
use crate::field_spec::{Create, FieldSpec};
use crate::res_map::ResMap;
use crate::tree;

/// Sets labels in the fields that hold them.
#[derive(Debug)]
pub(crate) struct Labels {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) specs: Vec<FieldSpec>,
}

impl Transformer for Labels {
    fn name(&self) -> &'static str {
        "LabelTransformer"
    }

    fn apply(&self, resources: &mut ResMap) -> Result<(), Error> {
        set_entries(resources, &self.labels, &self.specs)
    }
}

/// Sets texts in the mappings that the fields lead to.
pub(super) fn set_entries(
    resources: &mut ResMap,
    entries: &BTreeMap<String, String>,
    specs: &[FieldSpec],
) -> Result<(), Error> {
    if entries.is_empty() {
        return Ok(());
    }
    resources.change(|resource| {
        FieldSpec::of(specs, resource)
            .into_iter()
            .try_for_each(|spec| {
                spec.visit(resource, Create::Mapping, &mut |node| set(node, entries))
            })
    })
}

fn set(node: &mut Node, entries: &BTreeMap<String, String>) -> Result<(), String> {
    if node.is_null() {
        return Ok(());
    }
    let shape = tree::shape(node);
    let mapping = node
        .as_mapping_mut()
        .ok_or_else(|| format!("wrong node kind: expected MappingNode but got {shape}"))?;
    for (key, value) in entries {
        let old = mapping.get(key).filter(|old| old.is_scalar());
        let new = match old {
            Some(old) => Node::string(value).with_style(old.style),
            None => tree::quoted(Node::string(value)),
        };
        mapping.insert(key, new);
    }
    Ok(())
}
