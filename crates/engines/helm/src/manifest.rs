//! From rendered files to documents: splitting, hooks, order.

mod hook;
mod order;

pub use hook::{Event, Hook, hooks_for};
pub use order::{INSTALL_ORDER, UNINSTALL_ORDER, compare_kinds};

use go::regexp::Regexp;
use yaml::{Kind, Node, Schema};

use crate::render::Rendered;

/// A document that is no hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The file it came from.
    pub path: String,
    /// The document as it was rendered.
    pub content: String,
    /// The object's kind; empty for a comment.
    pub kind: String,
    /// The object's apiVersion.
    pub api_version: String,
}

/// A document that is no YAML. The text is upstream's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("YAML parse error on {path}: {reason}")]
pub struct ManifestError {
    /// The file.
    pub path: String,
    /// What the reader says.
    pub reason: String,
}

/// The documents of a rendering.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Documents {
    /// What is installed, in the order it is.
    pub manifests: Vec<Manifest>,
    /// What runs around it, in the order of kinds.
    pub hooks: Vec<Hook>,
}

/// Cuts a text at its document separators; blank documents are left out.
///
/// Source: helm v4.2.3 and older, whose separator takes the white space around it along.
pub fn split(text: &str) -> Vec<String> {
    let text = text.trim_start();
    let Ok(separator) = Regexp::new(r"(?:^|\s*\n)---\s*") else {
        return vec![text.to_owned()];
    };
    separator
        .split(text.as_bytes(), -1)
        .into_iter()
        .map(|doc| String::from_utf8_lossy(doc).trim_start().to_owned())
        .filter(|doc| !doc.trim().is_empty())
        .collect()
}

/// What of a document decides how it is treated.
pub(crate) struct Head {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) annotations: Vec<(String, String)>,
}

impl Head {
    pub(crate) fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }
}

/// Sorts rendered files into hooks and manifests.
pub fn sort(files: &[Rendered]) -> Result<Documents, ManifestError> {
    let mut files: Vec<&Rendered> = files.iter().collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let mut documents = Documents::default();
    for file in files {
        if go::path::base(&file.path).starts_with('_') || file.text.trim().is_empty() {
            continue;
        }
        for content in split(&file.text) {
            let head = read_head(&content).map_err(|reason| ManifestError {
                path: file.path.clone(),
                reason,
            })?;
            match head.annotation(hook::ANNOTATION) {
                Some(events) => {
                    documents
                        .hooks
                        .extend(Hook::read(events, &head, &file.path, content));
                }
                None => documents.manifests.push(Manifest {
                    path: file.path.clone(),
                    content,
                    kind: head.kind,
                    api_version: head.api_version,
                }),
            }
        }
    }
    documents
        .manifests
        .sort_by(|a, b| compare_kinds(&a.kind, &b.kind, INSTALL_ORDER));
    documents
        .hooks
        .sort_by(|a, b| compare_kinds(&a.kind, &b.kind, INSTALL_ORDER));
    Ok(documents)
}

fn read_head(content: &str) -> Result<Head, String> {
    let node = yaml::Reader::new(Schema::Legacy)
        .read_first(content.as_bytes(), "")
        .map_err(|e| format!("error converting YAML to JSON: {}", e.go_text()))?
        .unwrap_or_else(Node::null);
    yaml::to_json(&node).map_err(|e| format!("error converting YAML to JSON: {e}"))?;
    let mut head = Head {
        api_version: String::new(),
        kind: String::new(),
        name: String::new(),
        annotations: Vec::new(),
    };
    if node.is_null() {
        return Ok(head);
    }
    if node.as_mapping().is_none() {
        return Err(mismatch(&node, "util.SimpleHead", None));
    }
    head.api_version = field(&node, "apiVersion", "SimpleHead.apiVersion")?;
    head.kind = field(&node, "kind", "SimpleHead.kind")?;
    let Some(metadata) = node.get("metadata").filter(|m| !m.is_null()) else {
        return Ok(head);
    };
    if metadata.as_mapping().is_none() {
        return Err(mismatch(metadata, "struct", Some("SimpleHead.metadata")));
    }
    head.name = field(metadata, "name", "SimpleHead.metadata.name")?;
    let Some(annotations) = metadata.get("annotations").filter(|a| !a.is_null()) else {
        return Ok(head);
    };
    let place = "SimpleHead.metadata.annotations";
    let Some(annotations) = annotations.as_mapping() else {
        return Err(mismatch(annotations, "map[string]string", Some(place)));
    };
    for entry in annotations {
        let value =
            scalar(&entry.value).ok_or_else(|| mismatch(&entry.value, "string", Some(place)))?;
        head.annotations.push((entry.name().to_owned(), value));
    }
    Ok(head)
}

fn field(node: &Node, name: &str, place: &str) -> Result<String, String> {
    match node.get(name) {
        None => Ok(String::new()),
        Some(value) => scalar(value).ok_or_else(|| mismatch(value, "string", Some(place))),
    }
}

/// A scalar as Go's decoder puts it into a string.
fn scalar(node: &Node) -> Option<String> {
    Some(match node.kind()? {
        Kind::Null => String::new(),
        Kind::Bool(b) => b.to_string(),
        Kind::Int(n) => n.to_string(),
        Kind::Uint(n) => n.to_string(),
        Kind::Float(f) => go::strconv::format_general(f),
        Kind::Timestamp | Kind::String => node.text().to_owned(),
    })
}

fn mismatch(node: &Node, want: &str, place: Option<&str>) -> String {
    let found = match (node.as_mapping(), node.kind()) {
        (Some(_), _) => "object",
        (None, None) => "array",
        (None, Some(Kind::Bool(_))) => "bool",
        (None, Some(Kind::Int(_) | Kind::Uint(_) | Kind::Float(_))) => "number",
        (None, Some(_)) => "string",
    };
    let target = place.map_or_else(
        || format!("value of type {want}"),
        |place| format!("struct field {place} of type {want}"),
    );
    format!(
        "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {found} into Go {target}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> Rendered {
        Rendered {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    /// covers: HE-113, HE-115, HE-117
    #[test]
    fn documents_are_cut_at_separators() {
        for (text, expect) in [
            ("---\na: 1\n---\n\nb: 2\n", vec!["a: 1", "b: 2\n"]),
            ("a: 1\r\n---\r\nb: 2", vec!["a: 1", "b: 2"]),
            ("a: 1\n--- # c\nb: 2", vec!["a: 1", "# c\nb: 2"]),
            ("# only a comment\n", vec!["# only a comment\n"]),
            ("\n\n---\n---\n", vec!["---\n"]),
            ("a: \"---\"\n", vec!["a: \"---\"\n"]),
        ] {
            assert_eq!(split(text), expect, "{text:?}");
        }
    }

    /// covers: HE-095, HE-096, HE-102, HE-112, HE-178
    #[test]
    fn documents_sort_into_hooks_and_kinds() {
        let files = [
            file(
                "c/templates/b.yaml",
                "kind: Zebra\n---\nkind: Service\nmetadata: {name: s1}\n---\nkind: Certificate",
            ),
            file(
                "c/templates/a.yaml",
                "kind: Service\nmetadata: {name: s0}\n---\nkind: Namespace",
            ),
            file("c/templates/_p.yaml", "kind: Ignored"),
            file(
                "c/templates/h.yaml",
                "kind: Job\nmetadata: {name: j, annotations: {helm.sh/hook: \"Pre-Install, post-upgrade\", helm.sh/hook-weight: 05, helm.sh/hook-delete-policy: hook-succeeded}}",
            ),
            file(
                "c/templates/u.yaml",
                "kind: Job\nmetadata: {annotations: {helm.sh/hook: crd-install}}",
            ),
            file(
                "c/templates/l.yaml",
                "kind: List\nitems: [{metadata: {annotations: {helm.sh/hook: test}}}]",
            ),
        ];
        let documents = sort(&files).unwrap();
        let kinds: Vec<_> = documents
            .manifests
            .iter()
            .map(|m| m.kind.as_str())
            .collect();
        assert_eq!(
            kinds,
            [
                "Namespace",
                "Service",
                "Service",
                "Certificate",
                "List",
                "Zebra"
            ]
        );
        assert!(documents.manifests[1].content.contains("s0"));
        let [hook] = documents.hooks.as_slice() else {
            panic!("one hook")
        };
        assert_eq!(hook.events, [Event::PreInstall, Event::PostUpgrade]);
        assert_eq!((hook.weight, hook.name.as_str()), (5, "j"));
        assert_eq!(hook.delete_policies, ["hook-succeeded"]);
    }

    #[test]
    fn broken_yaml_names_its_file() {
        let error = sort(&[file("c/templates/x.yaml", "a: b: c")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "YAML parse error on c/templates/x.yaml: error converting YAML to JSON: yaml: mapping values are not allowed in this context"
        );
    }
}
