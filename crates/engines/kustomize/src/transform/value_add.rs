//! Sets or extends a field with one value: the `ValueAddTransformer`.

use yaml::{Mapping, Node};

use super::Transformer;
use super::namespace::{Namespace, Subjects};
use crate::error::{Error, Gathered};
use crate::field_spec::split_path;
use crate::res_map::ResMap;
use crate::selector::Matcher;
use crate::tree;

/// Puts a value into the fields of the objects that targets name.
#[derive(Debug)]
pub(crate) struct ValueAdd {
    pub(crate) value: String,
    pub(crate) targets: Vec<ValueTarget>,
}

/// Which field of which objects.
#[derive(Debug)]
pub(crate) struct ValueTarget {
    pub(crate) selector: Option<Matcher>,
    pub(crate) field_path: String,
    /// Where in a path the value goes, from 1; 0 replaces the field.
    pub(crate) position: i64,
}

impl Transformer for ValueAdd {
    fn name(&self) -> &'static str {
        "ValueAddTransformer"
    }

    fn apply(&self, resources: &mut ResMap) -> Result<(), Error> {
        let schema = std::rc::Rc::clone(resources.schema());
        let mut faults = Gathered::default();
        for target in &self.targets {
            let selected = match &target.selector {
                Some(selector) => selector.select(resources),
                None => (0..resources.len()).collect(),
            };
            for at in selected {
                let resource = resources.get_mut(at);
                if target.field_path == "metadata/namespace" {
                    let namespace = Namespace {
                        name: self.value.clone(),
                        specs: Vec::new(),
                        unset_only: false,
                        subjects: Subjects::NamedDefault,
                    };
                    faults.note(namespace.set(resource, &schema));
                    continue;
                }
                let path = split_path(&target.field_path, '/');
                let set = self.set(&mut resource.node, &path, target.position);
                faults.note(set.map_err(|problem| Error::at(resource.place(), problem)));
            }
        }
        resources.names_changed();
        faults.end()
    }
}

impl ValueAdd {
    fn set(&self, node: &mut Node, path: &[String], position: i64) -> Result<(), String> {
        let Some((name, rest)) = path.split_first() else {
            tree::require_scalar(node)?;
            let value = if position > 0 {
                insert_part(node.text(), position - 1, &self.value)
            } else {
                self.value.clone()
            };
            return tree::set_text(node, &value);
        };
        let shape = tree::shape(node);
        let mapping = node
            .as_mapping_mut()
            .ok_or_else(|| format!("wrong node kind: expected MappingNode but got {shape}"))?;
        let make = || match rest {
            [] => Node::string(""),
            _ => Node::mapping(Mapping::new()),
        };
        self.set(mapping.get_or_insert_with(name, make), rest, position)
    }
}

/// Puts a part into a path; positions count the same in absolute and relative ones.
fn insert_part(path: &str, position: i64, part: &str) -> String {
    let mut parts: Vec<&str> = path.split('/').collect();
    if path.is_empty() {
        parts.clear();
    }
    let mut at = usize::try_from(position).unwrap_or(0).min(parts.len());
    if parts.first() == Some(&"") && at < parts.len() {
        at += 1;
    }
    parts.insert(at, part);
    parts.join("/")
}
