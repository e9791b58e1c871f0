//! Marked fields of YAML files, set to what policies chose. Pure.
//!
//! A field is marked by a comment on its line, or above it where it is an item of a sequence:
//! `image: ghcr.io/org/app:1.0.0 # {"$imagepolicy": "<namespace>:<policy>[:tag|:name|:digest]"}`. Only the marked
//! scalar changes; every other byte of the file stays.
//!
//! Source: fluxcd/image-automation-controller v1.2 `pkg/update`; kyaml v0.21 `setters2`.

use std::collections::{BTreeMap, BTreeSet};

use api::image::ImageReference;
use yaml::edit::{Edit, Field};

/// The key in markers. A file without it in double quotes is not read.
const KEY: &str = "$imagepolicy";
const SCREEN: &[u8] = b"\"$imagepolicy\"";
/// No file with markers is larger.
pub(crate) const MAX_FILE_BYTES: usize = 16 << 20;

/// What the policies of a namespace chose, by the policy's name.
pub(crate) type Chosen = BTreeMap<String, ImageReference>;

/// The object that a field belongs to; empty where a document does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ObjectId {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) namespace: String,
}

/// One changed field.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Change {
    pub(crate) old: String,
    pub(crate) new: String,
    /// As the marker has it: `<namespace>:<policy>[:<part>]`.
    pub(crate) setter: String,
    /// The policy's name.
    pub(crate) policy: String,
    /// What the policy chose.
    pub(crate) image: ImageReference,
}

/// A changed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) path: String,
    pub(crate) text: String,
    /// The changes of each object, in the order of the file.
    pub(crate) objects: Vec<(ObjectId, Vec<Change>)>,
}

/// What was found in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// The file with its marked fields set; none where nothing changes.
    pub(crate) changed: Option<Changed>,
    /// Markers that nothing could be done about: `<file>:<line>: <why>`.
    pub(crate) unresolved: Vec<String>,
}

/// Returns whether a file is one to look for markers in.
pub(crate) fn is_candidate(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    matches!(extension, Some("yaml" | "yml")) || name == "Kustomization"
}

/// Sets the marked fields of a file of `namespace`'s automation.
pub(crate) fn set(path: &str, bytes: &[u8], namespace: &str, chosen: &Chosen) -> Found {
    let skipped = |why: String| Found {
        changed: None,
        unresolved: vec![why],
    };
    if !holds(bytes, SCREEN) {
        return Found::default();
    }
    if bytes.len() > MAX_FILE_BYTES {
        return skipped(format!("{path}: larger than {MAX_FILE_BYTES} bytes"));
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return skipped(format!("{path}: not UTF-8"));
    };
    let fields = match yaml::edit::fields(text, path) {
        Ok(fields) => fields,
        Err(error) => return skipped(error.to_string()),
    };
    let mut scan = Scan {
        path,
        text,
        namespace,
        chosen,
        edits: Vec::new(),
        changes: Vec::new(),
        unresolved: Vec::new(),
    };
    for field in &fields {
        scan.field(field);
    }
    if scan.edits.is_empty() {
        return Found {
            changed: None,
            unresolved: scan.unresolved,
        };
    }
    match yaml::edit::apply(text, &scan.edits) {
        Ok(new) => Found {
            changed: Some(Changed {
                path: path.to_owned(),
                text: new,
                objects: by_object(path, text, scan.changes),
            }),
            unresolved: scan.unresolved,
        },
        Err(error) => skipped(format!("{path}: {error}")),
    }
}

fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

struct Scan<'a> {
    path: &'a str,
    text: &'a str,
    namespace: &'a str,
    chosen: &'a Chosen,
    edits: Vec<Edit>,
    /// With the number of their document.
    changes: Vec<(usize, Change)>,
    unresolved: Vec<String>,
}

impl Scan<'_> {
    fn field(&mut self, field: &Field<'_>) {
        let comments = field.comment.iter().chain(&field.above);
        let mut troubles = Vec::new();
        for comment in comments {
            let Some(setter) = marker(comment) else {
                continue;
            };
            match self.resolve(&setter) {
                Ok((policy, image, new)) => {
                    self.put(field, setter, (policy, image, new));
                    return;
                }
                Err(why) => troubles.push(why),
            }
        }
        let line = field.start.line;
        let found = troubles
            .into_iter()
            .map(|why| format!("{}:{line}: {why}", self.path));
        self.unresolved.extend(found);
    }

    fn put(
        &mut self,
        field: &Field<'_>,
        setter: String,
        (policy, image, new): (String, ImageReference, String),
    ) {
        if *field.value == *new || is_same_block(field, &new) {
            return;
        }
        self.edits.push(field.replace(self.text, &new));
        let change = Change {
            old: field.value.to_string(),
            new,
            setter,
            policy,
            image,
        };
        self.changes.push((field.document, change));
    }

    /// Returns the policy that a marker names, what it chose, and the value that the marker asks for.
    fn resolve(&self, setter: &str) -> Result<(String, ImageReference, String), String> {
        let mut parts = setter.splitn(3, ':');
        let (namespace, name) = (
            parts.next().unwrap_or_default(),
            parts.next().unwrap_or_default(),
        );
        let part = parts.next();
        if name.is_empty() {
            return Err(format!(
                "marker '{setter}' is not <namespace>:<policy>[:tag|:name|:digest]"
            ));
        }
        if namespace != self.namespace {
            return Err(format!(
                "marker '{setter}' names a policy of another namespace"
            ));
        }
        let Some(image) = self.chosen.get(name) else {
            return Err(format!(
                "marker '{setter}' names a policy that is not there, is not selected or chose nothing yet"
            ));
        };
        let digest = image.digest.as_deref().filter(|digest| !digest.is_empty());
        let value = match (part, digest) {
            (None, Some(digest)) => format!("{}:{}@{digest}", image.name, image.tag),
            (None, None) => format!("{}:{}", image.name, image.tag),
            (Some("tag"), _) => image.tag.clone(),
            (Some("name"), _) => image.name.clone(),
            (Some("digest"), Some(digest)) => digest.to_owned(),
            (Some("digest"), None) => {
                return Err(format!("marker '{setter}': the policy reflects no digest"));
            }
            (Some(other), _) => {
                return Err(format!("marker '{setter}' has an unknown part '{other}'"));
            }
        };
        Ok((name.to_owned(), image.clone(), value))
    }
}

/// A block scalar has a line end that the value is not meant to have.
fn is_same_block(field: &Field<'_>, new: &str) -> bool {
    matches!(field.style, yaml::Style::Literal | yaml::Style::Folded)
        && field.value.trim_end_matches('\n') == new
}

/// Returns what a comment marks its field with.
fn marker(comment: &str) -> Option<String> {
    let text = comment.trim_start_matches('#').trim();
    let fields: BTreeMap<String, String> = serde_json::from_str(text).ok()?;
    fields.get(KEY).cloned()
}

/// Groups changes by the object that their document describes.
fn by_object(
    path: &str,
    text: &str,
    changes: Vec<(usize, Change)>,
) -> Vec<(ObjectId, Vec<Change>)> {
    let ids = identities(path, text);
    let mut objects: Vec<(ObjectId, Vec<Change>)> = Vec::new();
    for (document, change) in changes {
        let id = ids.get(document).cloned().unwrap_or_default();
        match objects.iter_mut().find(|(known, _)| *known == id) {
            Some((_, list)) => list.push(change),
            None => objects.push((id, vec![change])),
        }
    }
    objects
}

/// Returns what each document of a file describes.
fn identities(path: &str, text: &str) -> Vec<ObjectId> {
    let parsed = yaml::parse(
        text.as_bytes(),
        path,
        yaml::Schema::Core,
        &yaml::Limits::default(),
    );
    let documents = parsed.unwrap_or_default();
    let word = |node: Option<&yaml::Node>| {
        node.and_then(yaml::Node::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let identity = |document: &yaml::Node| {
        let top = |key: &str| document.get(key);
        let meta = |key: &str| top("metadata").and_then(|metadata| metadata.get(key));
        ObjectId {
            api_version: word(top("apiVersion")),
            kind: word(top("kind")),
            name: word(meta("name")),
            namespace: word(meta("namespace")),
        }
    };
    documents.iter().map(identity).collect()
}

/// All distinct images that were put in, in order, with the policy that chose them.
pub(crate) fn images(files: &[Changed]) -> Vec<(ImageReference, String)> {
    let mut seen = BTreeSet::new();
    let all = files
        .iter()
        .flat_map(|file| &file.objects)
        .flat_map(|(_, changes)| changes);
    all.filter(|change| {
        let image = &change.image;
        seen.insert((&image.name, &image.tag, &image.digest, &change.policy))
    })
    .map(|change| (change.image.clone(), change.policy.clone()))
    .collect()
}

#[cfg(test)]
mod styles;
#[cfg(test)]
mod tests;
