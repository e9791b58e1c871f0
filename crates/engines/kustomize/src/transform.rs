//! What changes objects: one file a transformer.

pub(crate) mod affix;
pub(crate) mod annotations;
pub(crate) mod hash;
pub(crate) mod images;
pub(crate) mod json6902;
pub(crate) mod labels;
pub(crate) mod name_reference;
pub(crate) mod namespace;
pub(crate) mod patches;
pub(crate) mod replacements;
pub(crate) mod replicas;
pub(crate) mod strategic_merge;
pub(crate) mod value_add;
pub(crate) mod vars;

use crate::error::{Error, Gathered};
use crate::res_map::ResMap;
use crate::resource::Resource;

/// Changes the objects that came together so far.
pub(crate) trait Transformer {
    /// Gives the name the transformer has in `alpha.config.kubernetes.io/transformations`.
    fn name(&self) -> &'static str;

    /// Changes the objects.
    ///
    /// # Errors
    /// What is wrong with an object or with what was asked.
    fn apply(&self, resources: &mut ResMap) -> Result<(), Error>;
}

/// Changes each object; one that cannot be changed does not keep the others from being tried.
///
/// # Errors
/// What is wrong with all of them.
fn each<'r>(
    resources: impl Iterator<Item = &'r mut Resource>,
    mut change: impl FnMut(&mut Resource) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut faults = Gathered::default();
    for resource in resources {
        faults.note(change(resource));
    }
    faults.end()
}
