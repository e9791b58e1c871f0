//! Random trees of kustomizations: bases, components and an overlay over them.

use std::collections::BTreeMap;

use super::objects::{NAMES, TEXTS, json_patch, merge_patch, object};
use super::random::Random;

/// Files by absolute path.
type Files = BTreeMap<String, String>;

/// A kind and a name.
type Known = (String, String);

/// Finds the objects that the files below a directory hold, so that what is asked of them mostly
/// exists.
fn known(files: &Files, dir: &str) -> Vec<Known> {
    let mut known = Vec::new();
    for (path, text) in files {
        if !path.contains("/r") || !path.starts_with(dir) {
            continue;
        }
        for document in text.split("---\n") {
            let field = |field: &str| {
                let found = document.lines().find_map(|line| line.strip_prefix(field));
                found.map(|value| value.trim().to_owned())
            };
            if let (Some(kind), Some(name)) = (field("kind: "), field("  name: ")) {
                known.push((kind, name));
            }
        }
    }
    known
}

/// Picks an object of one of some kinds; where there is none, one that does not exist.
fn one_of(r: &mut Random, known: &[Known], kinds: &[&str]) -> Option<Known> {
    let fitting: Vec<&Known> = known
        .iter()
        .filter(|(kind, _)| kinds.contains(&kind.as_str()))
        .collect();
    if fitting.is_empty() || r.chance(2) {
        return r
            .chance(4)
            .then(|| (r.pick(kinds).to_owned(), r.pick(NAMES).to_owned()));
    }
    Some(fitting[r.below(fitting.len())].clone())
}

/// Makes the files of one case; the root is `/overlay`.
pub(super) fn generate(r: &mut Random) -> Files {
    let mut files = Files::new();
    let bases = 1 + r.below(2);
    for number in 0..bases {
        directory(r, &mut files, &format!("/base{number}"), &[], false);
    }
    let names: Vec<String> = (0..bases)
        .map(|number| format!("../base{number}"))
        .collect();
    let mut operands: Vec<&str> = names.iter().map(String::as_str).collect();
    if r.chance(25) {
        directory(r, &mut files, "/middle", &operands, false);
        operands = vec!["../middle"];
    }
    if r.chance(25) {
        directory(r, &mut files, "/component", &[], true);
    }
    directory(r, &mut files, "/overlay", &operands, false);
    if files.contains_key("/component/kustomization.yaml")
        && let Some(text) = files.get_mut("/overlay/kustomization.yaml")
    {
        text.push_str("components:\n- ../component\n");
    }
    files
}

/// Makes one directory with its kustomization file.
fn directory(r: &mut Random, files: &mut Files, dir: &str, bases: &[&str], is_component: bool) {
    let mut k = String::new();
    if is_component {
        k += "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n";
    } else if r.chance(50) {
        k += "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n";
    }
    k += "resources:\n";
    for base in bases {
        k += &format!("- {base}\n");
    }
    let count = if bases.is_empty() {
        1 + r.below(4)
    } else {
        r.below(2)
    };
    for number in 0..count {
        let mut text = object(r);
        if r.chance(20) {
            text = format!("# a comment\n{text}---\n{}", object(r));
        }
        files.insert(format!("{dir}/r{number}.yaml"), text);
        k += &format!("- r{number}.yaml\n");
    }
    if bases.is_empty() && count == 0 {
        k = k.replace("resources:\n", "resources: []\n");
    }
    // A directory that builds on others knows what is in them.
    let known = known(files, if bases.is_empty() { dir } else { "" });
    simple_fields(r, dir, &mut k, &known);
    generators(r, files, dir, &mut k, &known);
    patches(r, files, dir, &mut k, &known);
    replacements(r, &mut k, &known);
    files.insert(format!("{dir}/kustomization.yaml"), k);
}

fn simple_fields(r: &mut Random, dir: &str, k: &mut String, known: &[Known]) {
    let texts = [("namespace", 20), ("namePrefix", 25), ("nameSuffix", 20)];
    for (field, percent) in texts {
        if r.chance(percent) {
            let value = match field {
                "namespace" => r.pick(&["prod", "other", "\"1\""]),
                "namePrefix" => r.pick(&["p-", "x.", "\"1-\""]),
                _ => r.pick(&["-s", "-v1"]),
            };
            *k += &format!("{field}: {value}\n");
        }
    }
    if r.chance(15) {
        *k += &format!(
            "commonLabels:\n  stage: {}\n  team: \"7\"\n",
            r.pick(
                &TEXTS[..3]
                    .iter()
                    .copied()
                    .chain(["blue"])
                    .collect::<Vec<_>>()
            )
        );
    }
    if r.chance(20) {
        *k += &format!(
            "labels:\n- pairs:\n    {}: {}\n",
            dir.trim_matches('/'),
            r.pick(&["me", "\"yes\"", "\"\""])
        );
        match r.below(4) {
            0 => *k += "  includeSelectors: true\n",
            1 => *k += "  includeTemplates: true\n",
            2 => *k += "  fields:\n  - path: spec/marks\n    create: true\n    kind: Widget\n",
            _ => {}
        }
    }
    if r.chance(20) {
        *k += &format!(
            "commonAnnotations:\n  common: {}\n  \"on\": {}\n",
            r.pick(&["common", "\"1\""]),
            r.pick(&["x", "'no'"])
        );
    }
    if r.chance(25) {
        *k += &format!(
            "images:\n- name: {}\n",
            r.pick(&["nginx", "redis", "reg:5000/nginx", "n.*x"])
        );
        for (field, value) in [
            ("newName", "mirror/img"),
            ("newTag", "\"2.0\""),
            ("digest", "sha256:f00"),
            ("tagSuffix", "-dbg"),
        ] {
            if r.chance(40) {
                *k += &format!("  {field}: {value}\n");
            }
        }
    }
    if r.chance(10)
        && let Some((_, name)) = one_of(r, known, &["Deployment", "StatefulSet"])
    {
        *k += &format!("replicas:\n- name: {name}\n  count: 5\n");
    }
    if r.chance(10) {
        *k += &format!(
            "buildMetadata: [{}]\n",
            r.pick(&[
                "originAnnotations",
                "transformerAnnotations",
                "managedByLabel",
                "originAnnotations, transformerAnnotations"
            ])
        );
    }
    if r.chance(8) {
        *k += "sortOptions:\n  order: legacy\n";
    }
    if r.chance(12)
        && let Some((kind, name)) = one_of(r, known, &["Service", "ConfigMap"])
    {
        *k += &format!(
            "vars:\n- name: NAME\n  objref:\n    apiVersion: v1\n    kind: {kind}\n    name: \
             {name}\n"
        );
    }
}

fn generators(r: &mut Random, files: &mut Files, dir: &str, k: &mut String, known: &[Known]) {
    for (field, percent) in [("configMapGenerator", 30), ("secretGenerator", 20)] {
        if !r.chance(percent) {
            continue;
        }
        let kind = if field == "secretGenerator" {
            "Secret"
        } else {
            "ConfigMap"
        };
        let (name, behavior) = match one_of(r, known, &[kind]).filter(|_| r.chance(40)) {
            Some((_, name)) => (name, r.pick(&["merge", "replace"])),
            None => (
                format!("gen{}", r.below(1000)),
                r.pick(&["", "", "", "create"]),
            ),
        };
        *k += &format!("{field}:\n- name: {name}\n");
        if !behavior.is_empty() {
            *k += &format!("  behavior: {behavior}\n");
        }
        if r.chance(6) {
            *k += &format!("  namespace: {}\n", r.pick(&["prod", "dev"]));
        }
        *k += &format!(
            "  literals:\n  - a={}\n",
            r.pick(&["b", "'q'", "<&>", "1", "two words", ""])
        );
        if r.chance(40) {
            files.insert(
                format!("{dir}/{field}.env"),
                format!("E={}\n# c\nF = g\n\n", r.pick(&["1", "'q'", "x=y"])),
            );
            *k += &format!("  envs:\n  - {field}.env\n");
        }
        if r.chance(40) {
            let text = r.pick(&[
                "one line",
                "two\nlines\n",
                "trailing  \nspaces\n",
                "a: b\n",
                "  indented\nless\n",
                "\n\nleading",
                "crlf\r\nfile\r\n",
                "ends in newlines\n\n\n",
            ]);
            files.insert(format!("{dir}/{field}.txt"), text.to_owned());
            *k += &format!("  files:\n  - {}{field}.txt\n", r.pick(&["", "key="]));
        }
        if r.chance(20) {
            *k += &format!(
                "  options:\n    {}\n",
                r.pick(&[
                    "disableNameSuffixHash: true",
                    "immutable: true",
                    "labels: {l: \"1\"}",
                    "annotations: {an: \"yes\"}"
                ])
            );
        }
    }
    if r.chance(8) {
        *k += &format!(
            "generatorOptions:\n  {}\n",
            r.pick(&[
                "disableNameSuffixHash: true",
                "labels: {g: h}",
                "immutable: true"
            ])
        );
    }
}

/// Indents a text for a block scalar.
fn block(text: &str, indent: usize) -> String {
    let pad = " ".repeat(indent);
    let mut indented = String::new();
    for line in text.lines() {
        indented += &format!("{pad}{line}\n");
    }
    indented
}

fn patches(r: &mut Random, files: &mut Files, dir: &str, k: &mut String, known: &[Known]) {
    if r.chance(45) {
        *k += "patches:\n";
        for number in 0..=r.below(2) {
            let is_json = r.chance(40);
            let kinds = ["Deployment", "StatefulSet", "ConfigMap"];
            let found = one_of(r, known, &kinds);
            let is_targeted = is_json || found.is_none() || r.chance(50);
            let object = found.unwrap_or_else(|| ("Deployment".to_owned(), "web".to_owned()));
            let text = if is_json {
                json_patch(r)
            } else {
                merge_patch(r, &object.0, &object.1)
            };
            if r.chance(50) {
                *k += &format!("- patch: |-\n{}", block(&text, 4));
            } else {
                files.insert(format!("{dir}/p{number}.yaml"), text);
                *k += &format!("- path: p{number}.yaml\n");
            }
            if is_targeted {
                *k += &format!(
                    "  target:\n    {}\n",
                    r.pick(&[
                        "kind: Deployment",
                        "kind: ConfigMap",
                        "name: web|db",
                        "name: w.*",
                        "labelSelector: app=a",
                        "kind: Deployment|StatefulSet",
                        "namespace: prod",
                        "group: apps",
                        "annotationSelector: note"
                    ])
                );
            }
            if !is_json && object.0 != "ConfigMap" && !is_targeted && r.chance(20) {
                *k += &format!(
                    "  options:\n    {}: true\n",
                    r.pick(&["allowNameChange", "allowKindChange"])
                );
            }
        }
    }
    if r.chance(12)
        && let Some((kind, name)) = one_of(r, known, &["Deployment", "StatefulSet", "ConfigMap"])
    {
        let text = merge_patch(r, &kind, &name);
        *k += &format!("patchesStrategicMerge:\n- |-\n{}", block(&text, 2));
    }
    if r.chance(8)
        && let Some((kind, name)) = one_of(r, known, &["Deployment", "StatefulSet"])
    {
        let text = block(&json_patch(r), 4);
        *k += &format!(
            "patchesJson6902:\n- target: {{group: apps, version: v1, kind: {kind}, name: \
             {name}}}\n  patch: |-\n{text}"
        );
    }
}

fn replacements(r: &mut Random, k: &mut String, known: &[Known]) {
    if !r.chance(18) {
        return;
    }
    let kinds = ["ConfigMap", "Deployment", "Service"];
    let Some((kind, name)) = one_of(r, known, &kinds) else {
        return;
    };
    *k += &format!("replacements:\n- source:\n    kind: {kind}\n    name: {name}\n");
    let mut is_name = true;
    if r.chance(60) {
        let path = r.pick(&[
            "metadata.name",
            "data.a",
            "metadata.labels.app",
            "metadata.annotations.note",
        ]);
        is_name = path == "metadata.name";
        *k += &format!("    fieldPath: {path}\n");
    }
    if r.chance(15) {
        *k += "    options:\n      delimiter: e\n      index: 0\n";
    }
    *k += &format!(
        "  targets:\n  - select:\n      {}\n",
        r.pick(&[
            "kind: Deployment",
            "kind: ConfigMap",
            "name: web",
            "kind: Widget"
        ])
    );
    if r.chance(20) {
        *k += "    reject:\n    - name: db\n";
    }
    // KE-C14: names and images set to what is none, such as null.
    if !is_name || r.chance(80) {
        *k += &format!(
            "    fieldPaths:\n    - {}\n",
            r.pick(if is_name {
                &[
                    "metadata.labels.app",
                    "spec.template.spec.containers.[name=c].image",
                    "spec.template.spec.containers.0.image",
                ][..]
            } else {
                &[
                    "metadata.labels.app",
                    "metadata.annotations.repl",
                    "data.a",
                    "spec.list.*.value",
                    "spec.template.spec.containers.*.name",
                    "metadata.annotations.[x.io/y]",
                ]
            })
        );
    }
    if r.chance(60) {
        *k += &format!(
            "    options:\n      {}\n",
            r.pick(&[
                "create: true",
                "create: true",
                "create: true",
                "{delimiter: \":\", index: 1}",
                "{delimiter: /, index: -1}"
            ])
        );
    }
}
