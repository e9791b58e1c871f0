//! The kustomization file that is made where there is none: it lists everything below.

use serde_json::{Map, Value, json};

use super::Injection;
use crate::error::{Error, Place};
use crate::file_tree::{FileTree, Kind, join};
use crate::kustomization::FILE_NAMES;
use crate::options::Limits;
use crate::read::{self, Input, Lines};

/// The namespace of a kustomization that has nothing in it, so that it is not an empty file.
const PLACEHOLDER: &str = "_placeholder";

/// Lists everything below a directory as a kustomization.
///
/// # Errors
/// Every file that holds anything but Kubernetes objects.
pub(super) fn fields(
    tree: &dyn FileTree,
    dir: &str,
    injection: &Injection,
) -> Result<Map<String, Value>, Error> {
    let mut scan = Scan {
        tree,
        found: Vec::new(),
        problems: Vec::new(),
    };
    scan.directory(dir, "", Limits::default().max_depth)?;
    if let Some((message, places)) = scan.failure() {
        return Err(places
            .into_iter()
            .fold(Error::new(message), Error::with_place));
    }
    let mut fields = Map::new();
    fields.insert(
        "apiVersion".to_owned(),
        json!("kustomize.config.k8s.io/v1beta1"),
    );
    fields.insert("kind".to_owned(), json!("Kustomization"));
    if scan.found.is_empty() && injection.target_namespace.is_none() {
        fields.insert("namespace".to_owned(), json!(PLACEHOLDER));
    }
    fields.insert("resources".to_owned(), json!(scan.found));
    Ok(fields)
}

/// A walk over the files below a directory.
struct Scan<'t> {
    tree: &'t dyn FileTree,
    found: Vec<String>,
    problems: Vec<(String, Error)>,
}

impl Scan<'_> {
    fn directory(&mut self, dir: &str, relative: &str, levels: usize) -> Result<(), Error> {
        if levels == 0 {
            return Err(Error::at(
                Place::file(dir),
                "directories are nested too deep",
            ));
        }
        for entry in self.tree.list(dir)? {
            let path = join(dir, &entry.name).unwrap_or_default();
            let relative = format!("{relative}/{}", entry.name);
            match entry.kind {
                Kind::Directory => {
                    let has_file = FILE_NAMES.iter().any(|name| {
                        let file = join(&path, name).unwrap_or_default();
                        self.tree.stat(&file) == Some(Kind::File)
                    });
                    if has_file {
                        self.found.push(format!(".{relative}"));
                    } else {
                        self.directory(&path, &relative, levels - 1)?;
                    }
                }
                Kind::File if has_yaml_name(&entry.name) => {
                    self.file(&path)?;
                    self.found.push(format!(".{relative}"));
                }
                Kind::File => {}
            }
        }
        Ok(())
    }

    /// Checks that a file holds Kubernetes objects.
    fn file(&mut self, path: &str) -> Result<(), Error> {
        let content = self.tree.read(path)?;
        let max_bytes = Limits::default().max_file_bytes;
        let input = Input {
            bytes: &content,
            file: path,
            lines: Lines::From(1),
        };
        if let Err((error, _)) = read::resources(&input, max_bytes, 1) {
            self.problems.push((path.to_owned(), error));
        }
        Ok(())
    }

    /// Puts all problems into one.
    fn failure(&self) -> Option<(String, Vec<Place>)> {
        let (path, first) = self.problems.first()?;
        let cause = first.message();
        let mut message = format!("failed to decode Kubernetes YAML from /{path}: {cause}");
        if self.problems.len() > 1 {
            let more = self.problems.len() - 1;
            message = format!("{message} (and {more} more)");
        }
        let places = self
            .problems
            .iter()
            .flat_map(|(_, error)| error.places().to_vec());
        Some((message, places.collect()))
    }
}

fn has_yaml_name(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    matches!(extension, Some("yaml" | "yml"))
}
