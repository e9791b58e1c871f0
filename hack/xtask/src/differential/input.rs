//! Random trees of kustomizations: bases, components and an overlay over them.

use std::collections::BTreeMap;

use super::objects::{NAMES, TEXTS, json_patch, merge_patch, object};
use super::random::Random;

/// Files by absolute path.
type Files = BTreeMap<String, String>;

/// An object that a file holds.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) namespace: String,
    text: String,
}

/// Finds the objects that the files below a directory hold, so that what is asked of them mostly
/// exists.
fn known(files: &Files, dir: &str) -> Vec<Known> {
    let resources = files
        .iter()
        .filter(|(path, _)| path.contains("/r") && path.starts_with(dir));
    resources.flat_map(|(_, text)| objects_of(text)).collect()
}

/// Takes a file's objects apart.
fn objects_of(text: &str) -> Vec<Known> {
    let documents = text.split("---\n");
    let objects = documents.filter_map(|document| {
        let field = |field: &str| {
            let found = document.lines().find_map(|line| line.strip_prefix(field));
            found.map(|value| value.trim().to_owned())
        };
        Some(Known {
            kind: field("kind: ")?,
            name: field("  name: ")?,
            namespace: field("  namespace: ").unwrap_or_default(),
            text: document.to_owned(),
        })
    });
    objects.collect()
}

/// Picks an object of one of some kinds; where there is none, now and then one that does not exist.
fn one_of(r: &mut Random, known: &[Known], kinds: &[&str]) -> Option<Known> {
    let fitting: Vec<&Known> = known
        .iter()
        .filter(|known| kinds.contains(&known.kind.as_str()))
        .collect();
    if fitting.is_empty() || r.chance(1) {
        return r.chance(3).then(|| Known {
            kind: r.pick(kinds).to_owned(),
            name: r.pick(NAMES).to_owned(),
            namespace: String::new(),
            text: String::new(),
        });
    }
    Some(fitting[r.below(fitting.len())].clone())
}

/// Writes a file in another way that means the same, now and then.
fn odd(r: &mut Random, text: String) -> String {
    match r.below(40) {
        0 => text.replace('\n', "\r\n"),
        1 => format!("\u{feff}{text}"),
        2 => format!("---\n{text}"),
        3 => format!("{text}---\n# nothing\n"),
        4 => format!("# first\n\n--- # a separator\n{text}\n\n---\n"),
        5 => text.trim_end().to_owned(),
        6 => format!("{text}...\n"),
        _ => text,
    }
}

/// Makes objects that no file has yet, but for a few that are meant to clash.
fn fresh_objects(r: &mut Random, files: &Files) -> String {
    let all = known(files, "");
    let mut text = String::new();
    for _ in 0..8 {
        text = object(r);
        if r.chance(20) {
            text = format!("# a comment\n{text}---\n{}", object(r));
        }
        let own = objects_of(&text);
        let clashes = |(at, one): (usize, &Known)| {
            let others = own[..at].iter().chain(&all);
            let is_same = |other: &Known| {
                let same_namespace = one.namespace == other.namespace || one.kind == "Namespace";
                other.kind == one.kind && other.name == one.name && same_namespace
            };
            others.into_iter().any(is_same)
        };
        if !own.iter().enumerate().any(clashes) || r.chance(3) {
            break;
        }
    }
    text
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
        let text = fresh_objects(r, files);
        files.insert(format!("{dir}/r{number}.yaml"), odd(r, text));
        k += &format!("- r{number}.yaml\n");
    }
    if bases.is_empty() && count == 0 {
        k = k.replace("resources:\n", "resources: []\n");
    }
    // A directory that builds on others knows what is in them; so does a component.
    let is_alone = bases.is_empty() && !is_component;
    let known = known(files, if is_alone { dir } else { "" });
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
        && let Some(Known { name, .. }) = one_of(r, known, &["Deployment", "StatefulSet"])
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
        && let Some(object) = one_of(r, known, &["Service", "ConfigMap"])
    {
        let Known { kind, name, .. } = &object;
        *k += &format!(
            "vars:\n- name: NAME\n  objref:\n    apiVersion: v1\n    kind: {kind}\n    name: \
             {name}\n"
        );
        if !object.namespace.is_empty() {
            *k += &format!("    namespace: {}\n", object.namespace);
        }
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
        let (name, namespace, behavior) = match one_of(r, known, &[kind]).filter(|_| r.chance(40)) {
            Some(object) => (object.name, object.namespace, r.pick(&["merge", "replace"])),
            None => (
                format!("gen{}", r.below(1000)),
                r.pick(&["", "", "", "", "", "", "", "prod", "dev"])
                    .to_owned(),
                r.pick(&["", "", "", "create"]),
            ),
        };
        *k += &format!("{field}:\n- name: {name}\n");
        if !behavior.is_empty() {
            *k += &format!("  behavior: {behavior}\n");
        }
        if !namespace.is_empty() && r.chance(97) {
            *k += &format!("  namespace: {namespace}\n");
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

/// What a patch's `target` may say, and whether only objects with pods fit it.
const TARGETS: &[(&str, bool)] = &[
    ("kind: Deployment", true),
    ("kind: ConfigMap", false),
    ("name: web|db", false),
    ("name: w.*", false),
    ("labelSelector: app=a", false),
    ("kind: Deployment|StatefulSet", true),
    ("namespace: prod", false),
    ("group: apps", true),
    ("annotationSelector: note", false),
];

/// The kinds that patches are made for.
const PATCHED: &[&str] = &["Deployment", "StatefulSet", "ConfigMap"];

fn patches(r: &mut Random, files: &mut Files, dir: &str, k: &mut String, known: &[Known]) {
    if r.chance(45) {
        *k += "patches:\n";
        for number in 0..=r.below(2) {
            one_patch(r, files, &format!("{dir}/p{number}.yaml"), k, known);
        }
    }
    if r.chance(12)
        && let Some(object) = one_of(r, known, PATCHED)
    {
        let text = merge_patch(r, &object);
        *k += &format!("patchesStrategicMerge:\n- |-\n{}", block(&text, 2));
    }
    if r.chance(8)
        && let Some(object) = one_of(r, known, &["Deployment", "StatefulSet"])
    {
        let text = block(&json_patch(r, true), 4);
        let Known { kind, name, .. } = &object;
        let namespace = match object.namespace.as_str() {
            "" => String::new(),
            namespace => format!(", namespace: {namespace}"),
        };
        *k += &format!(
            "patchesJson6902:\n- target: {{group: apps, version: v1, kind: {kind}, name: \
             {name}{namespace}}}\n  patch: |-\n{text}"
        );
    }
}

/// Makes an entry of `patches`, its text inline or in a file.
fn one_patch(r: &mut Random, files: &mut Files, file: &str, k: &mut String, known: &[Known]) {
    let is_json = r.chance(40);
    let found = one_of(r, known, PATCHED);
    let is_targeted = is_json || found.is_none() || r.chance(50);
    let (target, on_pods) = TARGETS[r.below(TARGETS.len())];
    let object = found.unwrap_or_else(|| Known {
        kind: "Deployment".to_owned(),
        name: "web".to_owned(),
        namespace: String::new(),
        text: String::new(),
    });
    let has_pods = object.kind != "ConfigMap";
    let text = if is_json {
        json_patch(r, on_pods)
    } else {
        merge_patch(r, &object)
    };
    if r.chance(50) {
        *k += &format!("- patch: |-\n{}", block(&text, 4));
    } else {
        files.insert(file.to_owned(), text);
        *k += &format!("- path: {}\n", file.rsplit('/').next().unwrap_or(file));
    }
    if is_targeted {
        *k += &format!("  target:\n    {target}\n");
    } else if !is_json && has_pods && r.chance(20) {
        *k += &format!(
            "  options:\n    {}: true\n",
            r.pick(&["allowNameChange", "allowKindChange"])
        );
    }
}

/// Gives the paths of fields that an object has and a replacement may take.
fn sources(object: &Known) -> Vec<&'static str> {
    let mut paths = vec!["metadata.name"];
    let has = |text: &str| object.text.contains(text);
    let is_said = |line: &str| {
        let value = object.text.lines().find_map(|l| l.strip_prefix(line));
        value.is_some_and(|value| !matches!(value.trim(), "null" | "~" | ""))
    };
    if matches!(object.kind.as_str(), "ConfigMap" | "Secret") && has("\ndata:") && is_said("  a:") {
        paths.push("data.a");
    }
    if has("\n  labels:\n    app:") {
        paths.push("metadata.labels.app");
    }
    if is_said("    note:") {
        paths.push("metadata.annotations.note");
    }
    paths
}

fn replacements(r: &mut Random, k: &mut String, known: &[Known]) {
    if !r.chance(18) {
        return;
    }
    let kinds = ["ConfigMap", "Deployment", "Service"];
    let Some(object) = one_of(r, known, &kinds) else {
        return;
    };
    let Known { kind, name, .. } = &object;
    *k += &format!("replacements:\n- source:\n    kind: {kind}\n    name: {name}\n");
    if !object.namespace.is_empty() && r.chance(70) {
        *k += &format!("    namespace: {}\n", object.namespace);
    }
    let mut is_name = true;
    if r.chance(60) {
        let path = if r.chance(5) {
            "data.a"
        } else {
            r.pick(&sources(&object))
        };
        is_name = path == "metadata.name";
        *k += &format!("    fieldPath: {path}\n");
    }
    // KE-C06: a part of a number, or an empty one, is no text.
    if is_name && r.chance(25) {
        *k += "    options:\n      delimiter: e\n      index: 0\n";
    }
    let select = r.pick(&[
        "kind: Deployment",
        "kind: ConfigMap",
        "name: web",
        "kind: Widget",
    ]);
    *k += &format!("  targets:\n  - select:\n      {select}\n");
    if r.chance(20) {
        *k += "    reject:\n    - name: db\n";
    }
    // KE-C14: names and images set to what is none, such as null.
    if !is_name || r.chance(80) {
        let paths: &[&str] = match (is_name, select) {
            (true, "kind: Deployment") => &[
                "metadata.labels.app",
                "spec.template.spec.containers.[name=c].image",
                "spec.template.spec.containers.0.image",
            ],
            (false, "kind: Deployment") => &[
                "metadata.labels.app",
                "spec.template.spec.containers.*.name",
                "spec.template.spec.containers.[name=c].workingDir",
                "spec.template.metadata.annotations.made",
            ],
            // KE-C06: no text goes where a number may be.
            (false, "kind: Widget") => &["spec.list.*.made", "spec.made.deep"],
            _ => &[
                "metadata.labels.app",
                "metadata.annotations.repl",
                "metadata.finalizers.0",
                "metadata.annotations.[x.io/y]",
            ],
        };
        let path = r.pick(paths);
        *k += &format!("    fieldPaths:\n    - {path}\n");
    }
    if r.chance(95) {
        let options = [
            "create: true",
            "create: true",
            "create: true",
            "{create: true, delimiter: \":\", index: 1}",
            "{delimiter: /, index: -1}",
        ];
        *k += &format!("    options:\n      {}\n", r.pick(&options));
    }
}
