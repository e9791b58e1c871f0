//! The hash at the end of generated names.

use super::{Transformer, each};
use crate::error::Error;
use crate::generate::hash;
use crate::res_map::ResMap;

/// Appends the hash of its content to the name of each object that wants it.
#[derive(Debug)]
pub(crate) struct HashSuffix;

impl Transformer for HashSuffix {
    fn name(&self) -> &'static str {
        "HashTransformer"
    }

    fn apply(&self, resources: &mut ResMap) -> Result<(), Error> {
        let schema = std::rc::Rc::clone(resources.schema());
        let hashed = resources.iter_mut().filter(|resource| resource.needs_hash);
        each(hashed, |resource| {
            let hash =
                hash::of(&resource.node).map_err(|problem| Error::at(resource.place(), problem))?;
            resource.remember_id(&schema);
            let name = format!("{}-{hash}", resource.name());
            resource.set_name(&name);
            Ok(())
        })
    }
}
