//! Annotations, on objects and templates.

use std::collections::BTreeMap;

use super::Transformer;
use super::labels::set_entries;
use crate::error::Error;
use crate::field_spec::FieldSpec;
use crate::res_map::ResMap;

/// Sets annotations in the fields that hold them.
#[derive(Debug)]
pub(crate) struct Annotations {
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) specs: Vec<FieldSpec>,
}

impl Transformer for Annotations {
    fn name(&self) -> &'static str {
        "AnnotationsTransformer"
    }

    fn apply(&self, resources: &mut ResMap) -> Result<(), Error> {
        set_entries(resources, &self.annotations, &self.specs)
    }
}
