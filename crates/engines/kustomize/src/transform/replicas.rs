//! Numbers of replicas.

use yaml::Node;

use super::Transformer;
use crate::error::{Error, Gathered, Place};
use crate::field_spec::{Create, FieldSpec};
use crate::kustomization::Replica;
use crate::res_map::ResMap;
use crate::tree;

/// Sets the number of replicas of the workloads of one name.
#[derive(Debug)]
pub(crate) struct Replicas {
    pub(crate) replica: Replica,
    pub(crate) specs: Vec<FieldSpec>,
    pub(crate) place: Place,
}

impl Replicas {
    fn set(&self, node: &mut Node) -> Result<(), String> {
        tree::require_scalar(node)?;
        let style = tree::style_of(node);
        // A quoted number stays quoted, and with that a string.
        *node = if tree::is_quoted(style) && !node.text().is_empty() {
            Node::string(self.replica.count.to_string()).with_style(style)
        } else {
            Node::int(self.replica.count)
        };
        Ok(())
    }
}

impl Transformer for Replicas {
    fn name(&self) -> &'static str {
        "ReplicaCountTransformer"
    }

    fn apply(&self, resources: &mut ResMap) -> Result<(), Error> {
        let named = resources.named(&self.replica.name);
        let mut found = false;
        let mut faults = Gathered::default();
        for spec in &self.specs {
            for at in &named {
                let resource = resources.get_mut(*at);
                let is_meant = resource
                    .any_ids()
                    .any(|id| id.name == self.replica.name && spec.gvk.selects(&id));
                if resource.is_empty() || !is_meant {
                    continue;
                }
                found = true;
                if spec.selects(resource) {
                    let set = &mut |node: &mut Node| self.set(node);
                    faults.note(spec.visit(resource, Create::Scalar, set));
                }
            }
        }
        if found {
            return faults.end();
        }
        let kinds: Vec<String> = self.specs.iter().map(|spec| spec.gvk.to_string()).collect();
        Err(Error::at(
            self.place.clone(),
            format!(
                "resource with name {} does not match a config with the following GVK [{}]",
                self.replica.name,
                kinds.join(" ")
            ),
        ))
    }
}
