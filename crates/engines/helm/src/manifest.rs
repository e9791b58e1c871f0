//! From rendered files to documents: splitting, hooks, order.

mod head;
mod hook;
mod order;
mod outline;

pub use hook::{Event, Hook, hooks_for};
pub use order::{INSTALL_ORDER, UNINSTALL_ORDER, compare_kinds};

use std::ops::Range;

use crate::render::Rendered;
pub(crate) use head::{Head, Shape};

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

/// Cuts a text at its document separators, each taking the white space around it along; blank
/// documents are left out.
///
/// Source: helm v4.2.3 and older.
pub fn split(text: &str) -> Vec<&str> {
    let ranges = ranges(text).into_iter();
    ranges.filter_map(|range| text.get(range)).collect()
}

const SEPARATOR: &str = "---";
const LINE_AND_SEPARATOR: &str = "\n---";

/// Where the documents of a text are.
fn ranges(text: &str) -> Vec<Range<usize>> {
    let (mut found, mut at) = (Vec::new(), text.len() - text.trim_start().len());
    let is_space = |c: char| matches!(c, '\t' | '\n' | '\x0c' | '\r' | ' ');
    // Where what follows a separator begins.
    let after = |at: usize| text.len() - text[at..].trim_start_matches(is_space).len();
    if text[at..].starts_with(SEPARATOR) {
        at = after(at + SEPARATOR.len());
    }
    while let Some(length) = text[at..].find(LINE_AND_SEPARATOR) {
        let end = at + length;
        found.push(at..at + text[at..end].trim_end_matches(is_space).len());
        at = after(end + LINE_AND_SEPARATOR.len());
    }
    found.push(at..text.len());
    for range in &mut found {
        range.start = range.end - text[range.clone()].trim_start().len();
    }
    found.retain(|range| !range.is_empty());
    found
}

/// Sorts rendered files into hooks and manifests.
///
/// # Errors
/// A document that is no YAML, and the files as they were.
pub fn sort(files: Vec<Rendered>) -> Result<Documents, (ManifestError, Vec<Rendered>)> {
    let mut order: Vec<usize> = (0..files.len()).collect();
    order.sort_by(|a, b| files[*a].path.cmp(&files[*b].path));
    let mut heads = Vec::new();
    for index in order {
        let file = &files[index];
        if go::path::base(&file.path).starts_with('_') {
            continue;
        }
        match read_heads(file) {
            Ok(read) => heads.push((index, read)),
            Err(problem) => return Err((problem, files)),
        }
    }
    let mut files: Vec<Option<Rendered>> = files.into_iter().map(Some).collect();
    let mut documents = Documents::default();
    for (index, heads) in heads {
        if let Some(file) = files[index].take() {
            documents.add(file, heads);
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

fn read_heads(file: &Rendered) -> Result<Vec<(Range<usize>, Head)>, ManifestError> {
    let read = |range: Range<usize>| match Head::read(&file.text[range.clone()]) {
        Ok(head) => Ok((range, head)),
        Err(reason) => Err(ManifestError {
            path: file.path.clone(),
            reason,
        }),
    };
    ranges(&file.text).into_iter().map(read).collect()
}

impl Documents {
    /// Adds the documents of a file; one alone takes the file's text over.
    fn add(&mut self, file: Rendered, heads: Vec<(Range<usize>, Head)>) {
        let Rendered { path, mut text } = file;
        let is_alone = heads.len() == 1;
        for (range, head) in heads {
            let content = if is_alone {
                text.truncate(range.end);
                text.drain(..range.start);
                std::mem::take(&mut text)
            } else {
                text[range].to_owned()
            };
            match head.annotation(hook::ANNOTATION) {
                Some(events) => self.hooks.extend(Hook::read(events, &head, &path, content)),
                None => self.manifests.push(Manifest {
                    path: path.clone(),
                    content,
                    kind: head.kind,
                    api_version: head.api_version,
                }),
            }
        }
    }
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
        let documents = sort(files.to_vec()).unwrap();
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
        let files = vec![file("c/templates/x.yaml", "a: b: c")];
        let (problem, kept) = sort(files.clone()).unwrap_err();
        assert_eq!(kept, files);
        assert_eq!(
            problem.to_string(),
            "YAML parse error on c/templates/x.yaml: error converting YAML to JSON: yaml: mapping values are not allowed in this context"
        );
    }
}
