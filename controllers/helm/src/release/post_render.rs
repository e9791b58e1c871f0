//! What changes rendered objects before they are sorted and written: kustomize patches and images,
//! common metadata, the labels that say whose they are. Pure.
//!
//! Labels are set on the objects themselves; kustomize runs only where patches or images are given.

use std::collections::BTreeMap;

use helm::{manifest, render::Rendered, template::PostRender};
use kustomize::MemoryTree;
use serde_json::{Value, json};
use yaml::Schema;

/// The file that kustomize sees.
const INPUT: &str = "helm-output.yaml";
/// Says which template an object came from, while kustomize has it.
const ORIGIN: &str = "postrenderer.helm.sh/postrender-filename";
const HOOK: &str = "helm.sh/hook";

/// Which objects are changed, and in how many passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Passes {
    /// Hooks and others in one.
    #[default]
    Combined,
    /// Hooks and others in one each.
    Separate,
    /// Hooks are left as they are.
    WithoutHooks,
}

/// One run of kustomize.
#[derive(Clone, Debug, Default)]
pub(crate) struct Step {
    /// `patches` of a kustomization.
    pub patches: Value,
    /// `images` of a kustomization.
    pub images: Value,
}

/// Everything that is changed.
#[derive(Clone, Debug, Default)]
pub(crate) struct PostRenderer {
    /// Runs of kustomize, in order.
    pub steps: Vec<Step>,
    /// Labels for all objects.
    pub labels: BTreeMap<String, String>,
    /// Annotations for all objects.
    pub annotations: BTreeMap<String, String>,
    /// Labels for all objects that go over all others.
    pub origin: BTreeMap<String, String>,
    /// Which objects.
    pub passes: Passes,
}

struct Document {
    path: String,
    text: String,
    object: Value,
}

impl Document {
    fn is_hook(&self) -> bool {
        ::manifest::object::annotation(&self.object, HOOK).is_some()
    }
}

impl PostRender for PostRenderer {
    fn run(&self, files: Vec<Rendered>) -> Result<Vec<Rendered>, String> {
        let documents = read(files)?;
        let failed = |what: &str, cause: String| {
            format!("error while running post render on {what}: {cause}")
        };
        let changed = match self.passes {
            Passes::Combined => self
                .combined(documents)
                .map_err(|cause| failed("files", cause))?,
            Passes::Separate | Passes::WithoutHooks => {
                let (hooks, others): (Vec<_>, Vec<_>) =
                    documents.into_iter().partition(Document::is_hook);
                let mut all = match self.passes {
                    Passes::Separate => {
                        self.change(hooks).map_err(|cause| failed("hooks", cause))?
                    }
                    _ => hooks,
                };
                all.extend(
                    self.change(others)
                        .map_err(|cause| failed("manifests", cause))?,
                );
                all
            }
        };
        Ok(write(changed))
    }
}

impl PostRenderer {
    /// One pass, unless a hook and another object have one identity: kustomize would refuse them,
    /// though Helm does not.
    fn combined(&self, documents: Vec<Document>) -> Result<Vec<Document>, String> {
        let id = |d: &Document| ::manifest::ObjectId::of(&d.object);
        let hooks: Vec<_> = documents.iter().filter(|d| d.is_hook()).map(id).collect();
        let has_twins = documents
            .iter()
            .any(|d| !d.is_hook() && hooks.contains(&id(d)));
        if self.steps.is_empty() || !has_twins {
            return self.change(documents);
        }
        let (hooks, others): (Vec<_>, Vec<_>) = documents.into_iter().partition(Document::is_hook);
        let mut all = self.change(hooks)?;
        all.extend(self.change(others)?);
        Ok(all)
    }

    fn change(&self, documents: Vec<Document>) -> Result<Vec<Document>, String> {
        let mut documents = documents;
        for step in &self.steps {
            documents = kustomized(documents, step)?;
        }
        for document in &mut documents {
            let object = &mut document.object;
            ::manifest::metadata::set_labels(object, &self.labels);
            ::manifest::metadata::set_annotations(object, &self.annotations);
            ::manifest::metadata::set_labels(object, &self.origin);
            document.text = yaml::emit::v2(object).map_err(|error| error.to_string())?;
        }
        Ok(documents)
    }
}

/// Reads the documents of all files; comments alone are none.
fn read(mut files: Vec<Rendered>) -> Result<Vec<Document>, String> {
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let mut documents = Vec::new();
    for file in files {
        if go::path::base(&file.path).starts_with('_') {
            continue;
        }
        for text in manifest::split(&file.text) {
            let path = file.path.clone();
            let failed = |cause: String| {
                format!("error merging files: parsing {path}: MalformedYAMLError: yaml: {cause}")
            };
            let node = yaml::Reader::new(Schema::Legacy)
                .read_first(text.as_bytes(), "")
                .map_err(|error| failed(error.go_text()))?;
            let Some(node) = node.filter(|node| !node.is_null()) else {
                continue;
            };
            let object = yaml::to_json(&node).map_err(|error| failed(error.to_string()))?;
            expand(path, text.to_owned(), object, &mut documents);
        }
    }
    Ok(documents)
}

/// Lists become their items, as kustomize has it.
fn expand(path: String, text: String, object: Value, into: &mut Vec<Document>) {
    let kind = ::manifest::object::kind(&object);
    if kind.ends_with("List") && object["items"].is_array() {
        for item in object["items"].as_array().into_iter().flatten() {
            expand(path.clone(), String::new(), item.clone(), into);
        }
        return;
    }
    into.push(Document { path, text, object });
}

fn kustomized(documents: Vec<Document>, step: &Step) -> Result<Vec<Document>, String> {
    if documents.is_empty() {
        return Ok(documents);
    }
    let mut input = String::new();
    for mut document in documents {
        let origin = [(ORIGIN.to_owned(), document.path)].into();
        ::manifest::metadata::set_annotations(&mut document.object, &origin);
        input.push_str("---\n");
        input.push_str(&yaml::emit::v2(&document.object).map_err(|error| error.to_string())?);
    }
    let kustomization = json!({ "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization", "resources": [INPUT], "patches": step.patches,
        "images": step.images });
    let mut tree = MemoryTree::new();
    tree.insert(INPUT, input);
    tree.insert("kustomization.yaml", kustomization.to_string());
    let options = kustomize::Options {
        load_restrictions: kustomize::LoadRestrictions::None,
        ..kustomize::Options::default()
    };
    let built = kustomize::build(&tree, "", &options).map_err(|error| match error {
        kustomize::Error::Invalid(fault) => fault.message,
        error => error.to_string(),
    })?;
    Ok(built
        .resources
        .into_iter()
        .map(|resource| unmark(resource.object))
        .collect())
}

/// Takes the template's path off an object again.
fn unmark(mut object: Value) -> Document {
    let path = ::manifest::object::annotation(&object, ORIGIN)
        .unwrap_or_default()
        .to_owned();
    if let Some(metadata) = ::manifest::object::metadata_mut(&mut object) {
        let empty = metadata
            .get_mut("annotations")
            .and_then(Value::as_object_mut)
            .is_some_and(|a| {
                a.remove(ORIGIN);
                a.is_empty()
            });
        if empty {
            metadata.remove("annotations");
        }
    }
    Document {
        path,
        text: String::new(),
        object,
    }
}

/// Each document becomes a file of its own under its template's name: joined and cut again, all but
/// the last would lose their final newlines, which upstream keeps.
fn write(documents: Vec<Document>) -> Vec<Rendered> {
    let file = |document: Document| Rendered {
        path: document.path,
        text: document.text,
    };
    documents.into_iter().map(file).collect()
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

    fn map(name: &str, more: &str) -> String {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n{more}data: {{}}\n")
    }

    fn renderer(steps: Vec<Step>) -> PostRenderer {
        PostRenderer {
            steps,
            origin: [("o".to_owned(), "1".to_owned())].into(),
            ..PostRenderer::default()
        }
    }

    #[test]
    fn labels_are_set_and_documents_stay_with_their_templates() {
        let text = format!(
            "{}---\n# only a comment\n---\n{}",
            map("a", ""),
            map("b", "")
        );
        let files = renderer(Vec::new())
            .run(vec![file("c/templates/x.yaml", &text)])
            .unwrap();
        let label = "  labels:\n    o: \"1\"\n";
        let one = |name| {
            format!(
                "apiVersion: v1\ndata: {{}}\nkind: ConfigMap\nmetadata:\n{label}  name: {name}\n"
            )
        };
        let texts: Vec<_> = files.into_iter().map(|f| f.text).collect();
        assert_eq!(texts, [one("a"), one("b")]);
    }

    #[test]
    fn patches_reach_what_they_name() {
        let step = Step {
            patches: json!([{ "patch": "- {op: add, path: /data/k, value: v}", "target": { "name": "a" } }]),
            images: json!([]),
        };
        let files = vec![
            file("c/templates/a.yaml", &map("a", "")),
            file("c/templates/b.yaml", &map("b", "")),
        ];
        let files = renderer(vec![step]).run(files).unwrap();
        assert!(files[0].text.contains("k: v") && !files[1].text.contains("k: v"));
        assert!(!files[0].text.contains(ORIGIN));
    }

    #[test]
    fn hook_and_object_of_one_name_are_both_kept() {
        let hook = map("a", "  annotations: {helm.sh/hook: pre-install}\n");
        let files = || {
            vec![
                file("c/templates/a.yaml", &map("a", "")),
                file("c/templates/h.yaml", &hook),
            ]
        };
        let step = Step {
            patches: json!([]),
            images: json!([{ "name": "x", "newTag": "1" }]),
        };
        assert_eq!(renderer(vec![step]).run(files()).unwrap().len(), 2);
        let untouched = PostRenderer {
            passes: Passes::WithoutHooks,
            ..renderer(Vec::new())
        };
        let files = untouched.run(files()).unwrap();
        let labelled = |path: &str| {
            let file = files.iter().find(|f| f.path.ends_with(path)).unwrap();
            file.text.contains("o: \"1\"")
        };
        assert!(labelled("a.yaml") && !labelled("h.yaml"));
    }

    #[test]
    fn failing_patch_names_what_failed() {
        let step = Step {
            patches: json!([{ "patch": "- {op: test, path: /data/k, value: other}", "target": { "kind": "ConfigMap" } }]),
            images: json!([]),
        };
        let error = renderer(vec![step])
            .run(vec![file("c/templates/a.yaml", &map("a", ""))])
            .unwrap_err();
        assert!(
            error.starts_with("error while running post render on files: "),
            "{error}"
        );
    }
}
