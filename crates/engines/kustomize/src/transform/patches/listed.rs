//! The deprecated `patchesStrategicMerge`: a list of files and inline patches that are one
//! transformer together.

use super::merge::{self, Allowed};
use crate::error::{Error, Gathered, Place};
use crate::kustomization::Text;
use crate::load::Loader;
use crate::read::{self, Input};
use crate::res_map::ResMap;
use crate::resource::Resource;
use crate::transform::Transformer;

/// All entries of `patchesStrategicMerge`.
#[derive(Debug)]
pub(crate) struct StrategicMerges {
    patches: Vec<Resource>,
}

impl StrategicMerges {
    /// Reads the entries, which stand in `file`: inline YAML, or else files.
    ///
    /// # Errors
    /// Where an entry is neither, or all are empty.
    pub(crate) fn new(loader: &Loader<'_>, entries: &[Text], file: &str) -> Result<Self, Error> {
        let max_bytes = loader.session.options.limits.max_file_bytes;
        let mut patches = Vec::new();
        let mut faults = Gathered::default();
        let place = |entry: &Text| Place::line(file, entry.line);
        for entry in entries {
            if let Ok(found) = read::resources(&entry.input(file), max_bytes, 1) {
                patches.extend(found);
                continue;
            }
            let loaded = loader
                .load(&entry.value)
                .map_err(|error| error.into_error(&loader.session).with_place(place(entry)));
            let found = loaded.and_then(|loaded| {
                let read = read::resources(&Input::whole(&loaded), max_bytes, 1);
                read.map_err(|(error, _)| error)
            });
            patches.extend(faults.note(found).into_iter().flatten());
        }
        faults.end()?;
        if !patches.is_empty() {
            return Ok(Self { patches });
        }
        let names: Vec<&str> = entries.iter().map(|entry| entry.value.trim()).collect();
        let error = Error::new(format!(
            "patch appears to be empty; files=[{}], Patch=",
            names.join(" ")
        ));
        Err(entries.iter().map(place).fold(error, Error::with_place))
    }
}

impl Transformer for StrategicMerges {
    fn name(&self) -> &'static str {
        "PatchStrategicMergeTransformer"
    }

    fn apply(&self, resources: &mut ResMap) -> Result<(), Error> {
        let mut faults = Gathered::default();
        for patch in &self.patches {
            let found = resources.find_one(&patch.id());
            let found = faults.note(found.map_err(|error| error.with_place(patch.place())));
            if let Some(at) = found {
                faults.note(merge::to_all(resources, &[at], patch, Allowed::default()));
            }
        }
        faults.end()
    }
}
