//! Post-rendering: someone else may change the documents before they are sorted.
//!
//! Each document is annotated with the file it came from, so that hooks and manifests find back to
//! their places whatever order the post-renderer prints them in.
//!
//! Source: helm v4.2.1, `pkg/action`.

use std::collections::BTreeMap;

use yaml::{Node, Reader, Schema};

use crate::manifest::{self, ManifestError};
use crate::render::Rendered;
use crate::template::PostRender;

/// The annotation that carries a document's file through the post-renderer.
const FILE_ANNOTATION: &str = "postrenderer.helm.sh/postrender-filename";

/// Changes a stream of documents, as programs such as `kustomize` do.
pub trait Stream {
    /// Takes a stream of YAML documents and gives another.
    ///
    /// # Errors
    /// The text to show.
    fn run(&self, manifests: &str) -> Result<String, String>;
}

/// What a post-renderer sees of hooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// Hooks and manifests in one stream.
    #[default]
    Combined,
    /// Hooks in one stream, manifests in another.
    Separate,
    /// Manifests only.
    NoHooks,
}

impl Strategy {
    /// Reads `combined`, `separate` or `nohooks`; empty is `combined`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "" | "combined" => Some(Self::Combined),
            "separate" => Some(Self::Separate),
            "nohooks" => Some(Self::NoHooks),
            _ => None,
        }
    }
}

/// Sends documents through a stream and back to the files they came from.
#[derive(Debug)]
pub struct Streamed<S> {
    /// What changes the stream.
    pub stream: S,
    /// What it sees of hooks.
    pub strategy: Strategy,
}

impl<S: Stream + Sync> PostRender for Streamed<S> {
    fn run(&self, files: Vec<Rendered>) -> Result<Vec<Rendered>, String> {
        run(&files, &self.stream, self.strategy).map_err(|e| e.to_string())
    }
}

/// Why post-rendering failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PostRenderError {
    /// A document that was rendered is no YAML.
    #[error("error merging {what}: parsing {file}: {reason}")]
    Merge {
        /// `manifests` or `hooks`.
        what: &'static str,
        /// The file.
        file: String,
        /// What the reader says.
        reason: String,
    },
    /// The post-renderer fails.
    #[error("error while running post render on {what}: {reason}")]
    Run {
        /// `files`, `manifests` or `hooks`.
        what: &'static str,
        /// What the post-renderer says.
        reason: String,
    },
    /// What the post-renderer gives is no YAML.
    #[error("error while parsing post rendered output{what}: {reason}")]
    Output {
        /// Empty, ` for manifests` or ` for hooks`.
        what: &'static str,
        /// What the reader says.
        reason: String,
    },
    /// Hooks and manifests cannot be told apart.
    #[error(transparent)]
    Unsorted(ManifestError),
}

/// The names of one stream in error texts.
struct Names {
    merged: &'static str,
    run: &'static str,
    output: &'static str,
    /// Begins the names of files that the post-renderer adds.
    added: &'static str,
}

const ALL: Names = Names {
    merged: "manifests",
    run: "files",
    output: "",
    added: "",
};
const HOOKS: Names = Names {
    merged: "hooks",
    run: "hooks",
    output: " for hooks",
    added: "hooks-",
};
const MANIFESTS: Names = Names {
    merged: "manifests",
    run: "manifests",
    output: " for manifests",
    added: "manifests-",
};

/// Files by name, documents joined by separators.
type Files = BTreeMap<String, String>;

/// Post-renders files.
///
/// # Errors
/// See [`PostRenderError`].
pub fn run(
    files: &[Rendered],
    renderer: &dyn Stream,
    strategy: Strategy,
) -> Result<Vec<Rendered>, PostRenderError> {
    let mut out = Files::new();
    if strategy == Strategy::Combined {
        let files = files
            .iter()
            .map(|f| (f.path.clone(), f.text.clone()))
            .collect();
        out = pass(&files, renderer, &ALL)?;
    } else {
        let (hooks, manifests) = apart(files)?;
        if strategy == Strategy::NoHooks {
            out = hooks;
        } else if !hooks.is_empty() {
            out = pass(&hooks, renderer, &HOOKS)?;
        }
        if !manifests.is_empty() {
            for (path, text) in pass(&manifests, renderer, &MANIFESTS)? {
                add(&mut out, path, &text);
            }
        }
    }
    Ok(out
        .into_iter()
        .map(|(path, text)| Rendered { path, text })
        .collect())
}

fn add(files: &mut Files, path: String, text: &str) {
    let file = files.entry(path).or_default();
    if !file.is_empty() {
        file.push_str("\n---\n");
    }
    file.push_str(text);
}

/// Hooks and manifests, each by file.
fn apart(files: &[Rendered]) -> Result<(Files, Files), PostRenderError> {
    let sorted = manifest::sort(files.to_vec());
    let sorted = sorted.map_err(|(problem, _)| PostRenderError::Unsorted(problem))?;
    let (mut hooks, mut manifests) = (Files::new(), Files::new());
    for hook in sorted.hooks {
        add(&mut hooks, hook.path, &hook.manifest);
    }
    for manifest in sorted.manifests {
        add(&mut manifests, manifest.path, &manifest.content);
    }
    Ok((hooks, manifests))
}

/// Sends one stream through the post-renderer.
fn pass(files: &Files, renderer: &dyn Stream, names: &Names) -> Result<Files, PostRenderError> {
    let merged = merge(files).map_err(|(file, reason)| PostRenderError::Merge {
        what: names.merged,
        file,
        reason,
    })?;
    let changed = renderer
        .run(&merged)
        .map_err(|reason| PostRenderError::Run {
            what: names.run,
            reason,
        })?;
    part(&changed, names.added).map_err(|reason| PostRenderError::Output {
        what: names.output,
        reason,
    })
}

/// Joins the documents of all files to one stream, each annotated with its file.
fn merge(files: &Files) -> Result<String, (String, String)> {
    let mut out = String::new();
    for (path, text) in files {
        if go::path::base(path).starts_with('_') {
            continue;
        }
        for document in manifest::split(text) {
            let fail = |reason: String| (path.clone(), reason);
            for mut node in read(document, path).map_err(fail)? {
                annotate(&mut node, path).map_err(fail)?;
                push(&mut out, &node).map_err(fail)?;
            }
        }
    }
    Ok(out)
}

/// Cuts a stream into files again by the annotations, which go.
fn part(text: &str, added: &str) -> Result<Files, String> {
    let mut files = Files::new();
    for (at, mut node) in read(text, "")?.into_iter().enumerate() {
        let path = take_annotation(&mut node)
            .unwrap_or_else(|| format!("generated-by-postrender-{added}{at}.yaml"));
        push(files.entry(path).or_default(), &node)?;
    }
    Ok(files)
}

/// Documents that hold something, read as kustomize reads them: `yes` is a string.
fn read(text: &str, file: &str) -> Result<Vec<Node>, String> {
    let nodes = Reader::new(Schema::Core)
        .read(text.as_bytes(), file)
        .map_err(|e| e.go_text())?;
    Ok(nodes.into_iter().filter(|node| !node.is_null()).collect())
}

fn push(out: &mut String, node: &Node) -> Result<(), String> {
    if !out.is_empty() {
        out.push_str("---\n");
    }
    yaml::emit::v2_into(out, node).map_err(|e| e.to_string())
}

fn annotate(node: &mut Node, path: &str) -> Result<(), String> {
    let mut at = node;
    for name in ["metadata", "annotations"] {
        let Some(mapping) = at.as_mapping_mut() else {
            return Err(format!("the parent of {name} is no mapping"));
        };
        let empty = || Node::mapping(yaml::Mapping::new());
        if mapping.get(name).is_some_and(Node::is_null) {
            mapping.insert(name, empty());
        }
        at = mapping.get_or_insert_with(name, empty);
    }
    if at.as_mapping().is_none() {
        return Err("annotations are no mapping".to_owned());
    }
    at.insert(FILE_ANNOTATION, Node::string(path));
    Ok(())
}

/// Takes the annotation off, and what only held it.
fn take_annotation(node: &mut Node) -> Option<String> {
    let metadata = node.get_mut("metadata")?;
    let annotations = metadata.get_mut("annotations")?;
    let path = annotations.remove(FILE_ANNOTATION)?;
    if annotations
        .as_mapping()
        .is_some_and(yaml::Mapping::is_empty)
    {
        metadata.remove("annotations");
    }
    if metadata.as_mapping().is_some_and(yaml::Mapping::is_empty) {
        node.remove("metadata");
    }
    Some(path.text().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds a label line's worth of change: every `v1` becomes `v2`, and a document is added.
    struct Change;

    impl Stream for Change {
        fn run(&self, manifests: &str) -> Result<String, String> {
            if manifests.contains("refuse") {
                return Err("refused".to_owned());
            }
            Ok(format!(
                "{}---\nkind: Added\n",
                manifests.replace("x: 1", "x: 2")
            ))
        }
    }

    fn files(strategy: Strategy, texts: &[(&str, &str)]) -> Result<Vec<(String, String)>, String> {
        let streamed = Streamed {
            stream: Change,
            strategy,
        };
        let files: Vec<Rendered> = texts
            .iter()
            .map(|(path, text)| Rendered {
                path: (*path).to_owned(),
                text: (*text).to_owned(),
            })
            .collect();
        let out = PostRender::run(&streamed, files)?;
        Ok(out.into_iter().map(|f| (f.path, f.text)).collect())
    }

    const HOOK: &str =
        "kind: Job\nmetadata:\n  annotations:\n    helm.sh/hook: test\nx: 1 # kept\n";

    fn pair(path: &str, text: &str) -> (String, String) {
        (path.to_owned(), text.to_owned())
    }

    /// covers: HE-118
    #[test]
    fn documents_find_back_to_their_files() {
        let out = files(
            Strategy::Combined,
            &[
                ("c/b.yaml", "kind: B\nx: 1\n---\nkind: C\ny: yes\n"),
                ("c/a.yaml", HOOK),
            ],
        );
        let hook = "kind: Job\nmetadata:\n  annotations:\n    helm.sh/hook: test\nx: 2\n";
        assert_eq!(
            out,
            Ok(vec![
                pair("c/a.yaml", hook),
                pair("c/b.yaml", "kind: B\nx: 2\n---\nkind: C\n\"y\": \"yes\"\n"),
                pair("generated-by-postrender-3.yaml", "kind: Added\n"),
            ])
        );
    }

    #[test]
    fn hooks_can_be_left_alone() {
        let texts = [("c/b.yaml", "kind: B\nx: 1\n"), ("c/a.yaml", HOOK)];
        let out = files(Strategy::NoHooks, &texts).unwrap();
        assert_eq!(out[0], pair("c/a.yaml", HOOK));
        assert_eq!(out[1], pair("c/b.yaml", "kind: B\nx: 2\n"));
        assert_eq!(out[2].0, "generated-by-postrender-manifests-1.yaml");
        let out = files(Strategy::Separate, &texts).unwrap();
        let names: Vec<&str> = out.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "c/a.yaml",
                "c/b.yaml",
                "generated-by-postrender-hooks-1.yaml",
                "generated-by-postrender-manifests-1.yaml"
            ]
        );
    }

    #[test]
    fn failures_say_where() {
        assert_eq!(
            files(Strategy::Combined, &[("c/a.yaml", "refuse: me")]),
            Err("error while running post render on files: refused".to_owned())
        );
        assert_eq!(
            files(Strategy::Combined, &[("c/a.yaml", "- 1")]),
            Err(
                "error merging manifests: parsing c/a.yaml: the parent of metadata is no mapping"
                    .to_owned()
            )
        );
        assert_eq!(Strategy::parse("nohooks"), Some(Strategy::NoHooks));
        assert_eq!(Strategy::parse("other"), None);
    }
}
