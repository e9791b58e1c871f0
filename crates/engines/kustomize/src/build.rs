//! What a build gives.

use crate::error::{Error, Place};
use crate::file_tree::FileTree;
use crate::options::Options;

/// What a build gives: the objects in order, and what was odd about the input.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Build {
    /// The objects in the order they are printed.
    pub resources: Vec<Resource>,
    /// What kustomize would say on stderr, in order.
    pub warnings: Vec<String>,
}

/// One object.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// The object, a JSON mapping.
    pub object: serde_json::Value,
    /// Where it was written: the file and line of the document, or of the generator's entry. Its
    /// `object` is empty.
    pub origin: Place,
}

impl Build {
    /// Prints the objects as `kustomize build` does: keys in natural order, `---` between objects,
    /// none before the first; empty where there are none.
    pub fn to_yaml(&self) -> String {
        let mut out = String::new();
        for (index, resource) in self.resources.iter().enumerate() {
            if index > 0 {
                out.push_str("---\n");
            }
            out.push_str(&resource.to_yaml());
        }
        out
    }
}

impl Resource {
    /// Prints the object alone.
    pub fn to_yaml(&self) -> String {
        self.object.to_string()
    }
}

/// Builds the kustomization in a directory of a tree.
///
/// **Shape:** `path` is normalised and relative to the tree's root, `""` the root itself.
///
/// # Errors
/// [`Error::Missing`] names every remote file and repository the build found it needs;
/// [`Error::Invalid`] says what is wrong, with file and line.
///
/// **Source:** kustomize 5.8.1 (api v0.21.1, kyaml v0.21.1).
pub fn build(tree: &dyn FileTree, path: &str, options: &Options<'_>) -> Result<Build, Error> {
    let _: (&dyn FileTree, &Options<'_>) = (tree, options);
    Err(Error::at(Place::file(path), "not built yet"))
}
