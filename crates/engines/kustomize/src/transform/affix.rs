//! Name prefixes and suffixes.

use super::Transformer;
use crate::error::Error;
use crate::field_spec::{Create, FieldSpec};
use crate::id::IdRef;
use crate::res_map::ResMap;
use crate::schema::Schema;
use crate::tree;

/// Which end of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Prefix,
    Suffix,
}

/// Puts a text before or behind names.
#[derive(Debug)]
pub(crate) struct Affix {
    pub(crate) end: End,
    pub(crate) text: String,
    pub(crate) specs: Vec<FieldSpec>,
}

/// Tells whether objects of a kind keep their names.
fn keeps_name(id: &IdRef<'_>) -> bool {
    match id.kind {
        "CustomResourceDefinition" | "Namespace" => true,
        "APIService" => id.group == "apiregistration.k8s.io",
        _ => false,
    }
}

impl Transformer for Affix {
    fn name(&self) -> &'static str {
        match self.end {
            End::Prefix => "PrefixTransformer",
            End::Suffix => "SuffixTransformer",
        }
    }

    fn apply(&self, resources: &mut ResMap) -> Result<(), Error> {
        if self.text.is_empty() {
            return Ok(());
        }
        let schema = std::rc::Rc::clone(resources.schema());
        let schema: &Schema = &schema;
        resources.names_changed();
        resources.change(|resource| {
            let original = resource.original_id();
            if keeps_name(&original) {
                return Ok(());
            }
            let specs = self.specs.iter();
            let own: Vec<_> = specs.filter(|spec| spec.gvk.selects(&original)).collect();
            for spec in own {
                if spec.path == "metadata/name" {
                    match self.end {
                        End::Prefix => resource.prefixes.push(self.text.clone()),
                        End::Suffix => resource.suffixes.push(self.text.clone()),
                    }
                    resource.remember_id(schema);
                }
                if !spec.selects(resource) {
                    continue;
                }
                spec.visit(resource, Create::Scalar, &mut |node| {
                    let name = match self.end {
                        End::Prefix => format!("{}{}", self.text, node.text()),
                        End::Suffix => format!("{}{}", node.text(), self.text),
                    };
                    tree::set_text(node, &name)
                })?;
            }
            Ok(())
        })
    }
}
