//! The kustomization file that Flux's kustomize-controller writes before it builds.
//!
//! **Source:** fluxcd/pkg/kustomize as kustomize-controller 1.9 uses it.

use serde_json::{Map, Value, json};

use crate::error::{Error, Place};
use crate::file_tree::{FileTree, Kind, OverlayTree, join};
use crate::kustomization::FILE_NAMES;
use crate::options::Limits;
use crate::{read, remote};

/// The namespace of a kustomization that has nothing in it, so that it is not an empty file.
const PLACEHOLDER: &str = "_placeholder";
/// The fields that bring objects in.
const OPERANDS: &[&str] = &[
    "resources",
    "components",
    "generators",
    "configMapGenerator",
    "secretGenerator",
    "helmCharts",
];

/// What a Flux Kustomization adds to the kustomization it points at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Injection {
    /// `spec.targetNamespace`: replaces `namespace`.
    pub target_namespace: Option<String>,
    /// `spec.namePrefix`: replaces `namePrefix`.
    pub name_prefix: Option<String>,
    /// `spec.nameSuffix`: replaces `nameSuffix`.
    pub name_suffix: Option<String>,
    /// `spec.patches`: go after those there are.
    pub patches: Vec<Patch>,
    /// `spec.components`: go after those there are.
    pub components: Vec<String>,
    /// `spec.ignoreMissingComponents`: leaves out components whose directory does not exist.
    pub ignore_missing_components: bool,
    /// `spec.images`: merged by name.
    pub images: Vec<Image>,
    /// `spec.buildMetadata`: replaces `buildMetadata` where it is not empty.
    pub build_metadata: Vec<String>,
}

/// One inline patch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patch {
    /// The patch's text, strategic merge or JSON 6902.
    pub patch: String,
    /// The objects it applies to.
    pub target: Option<Selector>,
}

/// Which objects a patch applies to; empty fields match all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    /// API group, an anchored regular expression.
    pub group: String,
    /// API version, an anchored regular expression.
    pub version: String,
    /// Kind, an anchored regular expression.
    pub kind: String,
    /// Name, an anchored regular expression.
    pub name: String,
    /// Namespace, an anchored regular expression.
    pub namespace: String,
    /// A selector over annotations: `a=b,!c`.
    pub annotation_selector: String,
    /// A selector over labels: `a=b,!c`.
    pub label_selector: String,
}

/// One image to rewrite.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// The image's name as the objects have it.
    pub name: String,
    /// The name to use instead; empty keeps it.
    pub new_name: String,
    /// The tag to use instead; empty keeps it.
    pub new_tag: String,
    /// The digest to use instead: `sha256:…`; empty keeps it.
    pub digest: String,
}

/// Gives the tree as kustomize-controller would build it: with the kustomization file at `path`
/// generated where none exists, and the injection written into it. A file that needs no change
/// stays as it is, so that errors point into it. Build the tree with
/// [`crate::Options::lenient_root`].
///
/// # Errors
/// [`Error::Invalid`] where the file cannot be read, a file to be listed is not Kubernetes YAML, or
/// a component is not a local path.
pub fn overlay<'a>(
    tree: &'a dyn FileTree,
    path: &str,
    injection: &Injection,
) -> Result<OverlayTree<'a>, Error> {
    let dir = join("", path).unwrap_or_default();
    let at = |name: &str| join(&dir, name).unwrap_or_default();
    let existing = FILE_NAMES
        .iter()
        .find(|name| tree.stat(&at(name)) == Some(Kind::File));
    let (file, mut fields, mut changed) = match existing {
        Some(name) => {
            let file = at(name);
            let fields = existing_file(tree, &file)?;
            (file, fields, false)
        }
        None => (at(FILE_NAMES[0]), generated(tree, &dir, injection)?, true),
    };
    if existing.is_some() && OPERANDS.iter().all(|operand| is_absent(&fields, operand)) {
        fields.insert("buildMetadata".to_owned(), json!(["originAnnotations"]));
        changed = true;
    }
    changed |= inject(tree, &dir, &file, &mut fields, injection)?;
    let mut overlay = OverlayTree::new(tree);
    if changed {
        let text = yaml::emit::v2(&Value::Object(fields))
            .map_err(|error| Error::at(Place::file(&file), error.to_string()))?;
        overlay.insert(&file, text);
    }
    Ok(overlay)
}

fn is_absent(fields: &Map<String, Value>, name: &str) -> bool {
    match fields.get(name) {
        None | Some(Value::Null) => true,
        Some(Value::Array(items)) => items.is_empty(),
        Some(_) => false,
    }
}

/// Reads a kustomization file's fields, their names as they are documented and old fields under
/// their new names.
fn existing_file(tree: &dyn FileTree, file: &str) -> Result<Map<String, Value>, Error> {
    let content = tree.read(file)?;
    let reader = yaml::Reader::new(yaml::Schema::Legacy);
    let node = reader.read_first(&content, file).map_err(|error| {
        let text = format!("invalid Kustomization: {}", error.go_text());
        Error::at(read::yaml_place(&error, file), text)
    })?;
    let json = yaml::to_json(&node.unwrap_or_default())
        .map_err(|error| Error::at(Place::file(file), error.to_string()))?;
    let raw = match json {
        Value::Object(raw) => raw,
        Value::Null => Map::new(),
        _ => {
            let text = "invalid Kustomization: the file is no mapping";
            return Err(Error::at(Place::file(file), text));
        }
    };
    let mut fields = Map::new();
    for (name, value) in raw {
        let known = INJECTED
            .iter()
            .find(|known| known.eq_ignore_ascii_case(&name));
        fields.insert(known.map_or(name, |known| (*known).to_owned()), value);
    }
    for (old, new) in [("bases", "resources"), ("imageTags", "images")] {
        if let Some(Value::Array(more)) = fields.remove(old) {
            list(&mut fields, new).extend(more);
        }
    }
    Ok(fields)
}

/// The fields looked at here, in the spelling that is documented.
const INJECTED: &[&str] = &[
    "resources",
    "components",
    "generators",
    "configMapGenerator",
    "secretGenerator",
    "helmCharts",
    "bases",
    "images",
    "imageTags",
    "patches",
    "namespace",
    "namePrefix",
    "nameSuffix",
    "buildMetadata",
];

/// Gives a field that is a list, made where it is missing.
fn list<'f>(fields: &'f mut Map<String, Value>, name: &str) -> &'f mut Vec<Value> {
    let value = fields.entry(name).or_insert_with(|| json!([]));
    if !value.is_array() {
        *value = json!([]);
    }
    match value {
        Value::Array(items) => items,
        // It was made an array above.
        _ => unreachable!("the field is a list"),
    }
}

/// Lists everything below a directory as a kustomization.
fn generated(
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
        if let Err((error, _)) = read::resources(&content, path, max_bytes, 1) {
            self.problems.push((path.to_owned(), error));
        }
        Ok(())
    }

    /// Puts all problems into one.
    fn failure(&self) -> Option<(String, Vec<Place>)> {
        let (path, first) = self.problems.first()?;
        let cause = match first {
            Error::Invalid(fault) => fault.message.clone(),
            other @ Error::Missing(_) => other.to_string(),
        };
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

/// Writes the injection into the fields; tells whether anything changed.
fn inject(
    tree: &dyn FileTree,
    dir: &str,
    file: &str,
    fields: &mut Map<String, Value>,
    injection: &Injection,
) -> Result<bool, Error> {
    let before = fields.clone();
    let texts = [
        ("namespace", &injection.target_namespace),
        ("namePrefix", &injection.name_prefix),
        ("nameSuffix", &injection.name_suffix),
    ];
    for (name, value) in texts {
        if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
            fields.insert(name.to_owned(), json!(value));
        }
    }
    if !injection.patches.is_empty() {
        list(fields, "patches").extend(injection.patches.iter().map(patch));
    }
    for component in &injection.components {
        if remote::parse(component).is_ok()
            || remote::is_http(component)
            || component.starts_with('/')
        {
            let text = format!("component path '{component}' must be local and relative");
            return Err(Error::at(Place::file(file), text));
        }
        let path = join(dir, component);
        let exists = path.is_some_and(|path| tree.stat(&path) == Some(Kind::Directory));
        if exists || !injection.ignore_missing_components {
            list(fields, "components").push(json!(component));
        }
    }
    for image in &injection.images {
        merge_image(list(fields, "images"), image);
    }
    if !injection.build_metadata.is_empty() {
        fields.insert("buildMetadata".to_owned(), json!(injection.build_metadata));
    }
    Ok(before != *fields)
}

fn patch(patch: &Patch) -> Value {
    let mut fields = Map::new();
    fields.insert("patch".to_owned(), json!(patch.patch));
    if let Some(target) = &patch.target {
        let parts = [
            ("group", &target.group),
            ("version", &target.version),
            ("kind", &target.kind),
            ("name", &target.name),
            ("namespace", &target.namespace),
            ("annotationSelector", &target.annotation_selector),
            ("labelSelector", &target.label_selector),
        ];
        let set = parts.into_iter().filter(|(_, value)| !value.is_empty());
        let target: Map<String, Value> = set
            .map(|(name, value)| (name.to_owned(), json!(value)))
            .collect();
        fields.insert("target".to_owned(), Value::Object(target));
    }
    Value::Object(fields)
}

/// Merges an image into the one of its name: the new name alone, tag and digest as one.
fn merge_image(images: &mut Vec<Value>, image: &Image) {
    let at = images
        .iter()
        .position(|value| value.get("name") == Some(&json!(image.name)));
    let at = at.unwrap_or_else(|| {
        images.push(json!({ "name": image.name }));
        images.len() - 1
    });
    let Value::Object(entry) = &mut images[at] else {
        return;
    };
    if !image.new_name.is_empty() {
        entry.insert("newName".to_owned(), json!(image.new_name));
    }
    if !image.new_tag.is_empty() || !image.digest.is_empty() {
        for (name, value) in [("newTag", &image.new_tag), ("digest", &image.digest)] {
            entry.remove(name);
            if !value.is_empty() {
                entry.insert(name.to_owned(), json!(value));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MemoryTree, Options, build};

    const CONFIG_MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";

    fn built(tree: &MemoryTree, injection: &Injection) -> Result<String, Error> {
        let tree = overlay(tree, "app", injection)?;
        let options = Options {
            lenient_root: true,
            ..Options::default()
        };
        build(&tree, "app", &options)?.to_yaml()
    }

    #[test]
    fn missing_file_is_generated_from_what_lies_below() {
        let tree: MemoryTree = [
            ("app/b.yaml", CONFIG_MAP),
            ("app/notes.txt", "no: object"),
            ("app/base/kustomization.yaml", "resources: [s.yml]"),
            (
                "app/base/s.yml",
                "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n",
            ),
            ("app/base/ignored.yaml", "no: object"),
            ("app/z/c.yml", "# only a comment\n"),
        ]
        .into_iter()
        .collect();
        let laid = overlay(&tree, "app", &Injection::default()).unwrap();
        let text = laid.read("app/kustomization.yaml").unwrap();
        assert_eq!(
            String::from_utf8_lossy(&text),
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n- \
             ./b.yaml\n- ./base\n- ./z/c.yml\n"
        );
        let printed = built(&tree, &Injection::default()).unwrap();
        assert!(printed.contains("kind: Secret") && printed.contains("kind: ConfigMap"));
    }

    #[test]
    fn empty_directory_builds_to_nothing() {
        let mut tree = MemoryTree::new();
        tree.insert_directory("app");
        assert_eq!(built(&tree, &Injection::default()), Ok(String::new()));
    }

    #[test]
    fn every_file_that_is_no_object_is_named() {
        let tree: MemoryTree = [
            ("app/a.yaml", "x: 1"),
            ("app/b.yaml", CONFIG_MAP),
            ("app/c.yaml", "- y"),
        ]
        .into_iter()
        .collect();
        let error = overlay(&tree, "app", &Injection::default()).unwrap_err();
        let files: Vec<&str> = error
            .places()
            .iter()
            .map(|place| place.file.as_str())
            .collect();
        assert_eq!(files, ["app/a.yaml", "app/c.yaml"]);
        assert!(
            error
                .to_string()
                .contains("failed to decode Kubernetes YAML from /app/a.yaml")
        );
    }

    #[test]
    fn injection_goes_into_an_existing_file_and_unknown_fields_are_ignored() {
        let tree: MemoryTree = [
            (
                "app/kustomization.yaml",
                "resources: [d.yaml]\nnamespace: old\nfoo: bar\nimages:\n- {name: web, newTag: \
                 '1', digest: 'sha256:x'}\n",
            ),
            (
                "app/d.yaml",
                "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {template: \
                 {spec: {containers: [{name: c, image: web}]}}}\n",
            ),
        ]
        .into_iter()
        .collect();
        let injection = Injection {
            target_namespace: Some("new".to_owned()),
            name_prefix: Some("p-".to_owned()),
            patches: vec![Patch {
                patch: "- {op: add, path: /metadata/annotations/a, value: b}".to_owned(),
                target: Some(Selector {
                    kind: "Deployment".to_owned(),
                    ..Selector::default()
                }),
            }],
            images: vec![Image {
                name: "web".to_owned(),
                new_tag: "2".to_owned(),
                ..Image::default()
            }],
            components: vec!["gone".to_owned()],
            ignore_missing_components: true,
            ..Injection::default()
        };
        let printed = built(&tree, &injection).unwrap();
        for part in ["namespace: new", "name: p-d", "a: b", "image: web:2\n"] {
            assert!(printed.contains(part), "{part} in {printed}");
        }
    }

    #[test]
    fn remote_components_are_refused_and_missing_ones_fail_the_build() {
        let tree: MemoryTree = [
            ("app/kustomization.yaml", "resources: [c.yaml]"),
            ("app/c.yaml", CONFIG_MAP),
        ]
        .into_iter()
        .collect();
        let with = |component: &str| Injection {
            components: vec![component.to_owned()],
            ..Injection::default()
        };
        for component in ["https://github.com/o/r", "/abs", "github.com/o/r//x"] {
            let error = overlay(&tree, "app", &with(component)).unwrap_err();
            assert!(
                error.to_string().contains("must be local and relative"),
                "{error}"
            );
        }
        assert!(built(&tree, &with("gone")).is_err());
    }

    #[test]
    fn file_without_operands_builds_to_nothing_and_an_untouched_one_keeps_its_lines() {
        let tree: MemoryTree = [("app/kustomization.yaml", "kind: Kustomization\n")]
            .into_iter()
            .collect();
        assert_eq!(built(&tree, &Injection::default()), Ok(String::new()));
        let tree: MemoryTree = [
            ("app/kustomization.yaml", "resources: [c.yaml]"),
            ("app/c.yaml", CONFIG_MAP),
        ]
        .into_iter()
        .collect();
        let laid = overlay(&tree, "app", &Injection::default()).unwrap();
        assert_eq!(laid.over().files().count(), 0);
    }
}
