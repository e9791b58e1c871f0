//! Whole builds against what kustomize 5.8.1 printed for the same input.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests read their cases from disk, and stop where that fails"
)]

use std::path::{Path, PathBuf};

use kustomize::{LoadRestrictions, MemoryTree, Options, build};

fn add(tree: &mut MemoryTree, dir: &Path, relative: &str) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{relative}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            add(tree, &entry.path(), &format!("{name}/"));
        } else {
            tree.insert(&name, std::fs::read(entry.path()).unwrap());
        }
    }
}

fn cases() -> Vec<PathBuf> {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    let mut cases: Vec<PathBuf> = std::fs::read_dir(golden)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    cases
}

/// Each case was printed by the kustomize named in its `oracle.txt`.
#[test]
fn golden_cases_print_what_kustomize_prints() {
    let cases = cases();
    assert!(!cases.is_empty());
    for case in cases {
        let mut tree = MemoryTree::new();
        add(&mut tree, &case.join("input"), "");
        let options = Options {
            load_restrictions: LoadRestrictions::None,
            ..Options::default()
        };
        let printed = build(&tree, "", &options).unwrap().to_yaml().unwrap();
        let expected = case.join("expected.yaml");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&expected, &printed).unwrap();
        }
        assert_eq!(
            printed,
            std::fs::read_to_string(expected).unwrap(),
            "{}",
            case.display()
        );
    }
}

fn failure(files: &[(&str, &str)]) -> kustomize::Error {
    let tree: MemoryTree = files.iter().copied().collect();
    build(&tree, "app", &Options::default())
        .and_then(|built| built.to_yaml())
        .unwrap_err()
}

const MAP: &str = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}";
const K: &str = "app/kustomization.yaml";
/// Kustomization, resource, part of the message, file named.
const BAD: &[(&str, &str, &str, &str)] = &[
    ("namespace: n", "", "cannot unmarshal bool", K),
    ("kind: Kustomization", "", "kustomization.yaml is empty", K),
    ("resorces: [r.yaml]", "", "unknown field \"resorces\"", K),
    (
        "resources: [r.yaml]",
        "a: b\n--- x\nc: d",
        "invalid document separator",
        "app/r.yaml",
    ),
    (
        "resources: [r.yaml]",
        "{kind: A, metadata: {generateName: a}}",
        "missing metadata.name",
        "app/r.yaml",
    ),
    (
        "resources: [r.yaml]",
        "a: [b",
        "MalformedYAMLError",
        "app/r.yaml",
    ),
    ("resources: ['.']", "", "cycle detected", K),
    (
        "resources: [r.yaml, ./r.yaml]",
        MAP,
        "already registered id",
        "app/r.yaml",
    ),
    ("resources: [gone.yaml]", "", "doesn't exist", K),
    ("resources: ['../../../x']", "", "leads out of the tree", K),
    (
        "resources: [r.yaml]\npatches: [{patch: '{kind: A, metadata: {name: z}}'}]",
        MAP,
        "no matches for Id",
        K,
    ),
    (
        "resources: [r.yaml]\npatches: [{patch: 'x'}]",
        MAP,
        "unable to parse SM or JSON patch",
        K,
    ),
    (
        "resources: [r.yaml]\npatchesJson6902: [{target: {kind: A}, patch: '[]'}]",
        MAP,
        "must specify the target name",
        K,
    ),
    (
        "configMapGenerator: [{name: a, literals: [b=c, b=d]}]",
        "",
        "illegally repeats the key",
        K,
    ),
    (
        "resources: [https://example.com/x.yaml]",
        "",
        "remote bases are not allowed",
        K,
    ),
    (
        "transformers: ['{apiVersion: x/v1, kind: T, metadata: {name: t}}']",
        "",
        "external plugins disabled",
        K,
    ),
];

#[test]
fn bad_input_is_named_with_its_file() {
    for (kustomization, resource, message, file) in BAD {
        let error = failure(&[(K, kustomization), ("app/r.yaml", resource)]);
        let text = error.to_string();
        assert!(text.contains(message), "{kustomization}: {text}");
        let files: Vec<&str> = error
            .places()
            .iter()
            .map(|place| place.file.as_str())
            .collect();
        assert!(files.contains(file), "{kustomization}: {text}");
    }
}

#[test]
fn two_kustomization_files_are_both_named() {
    let error = failure(&[
        ("app/kustomization.yaml", "{}"),
        ("app/Kustomization", "{}"),
    ]);
    assert!(
        error
            .to_string()
            .contains("Found multiple kustomization files")
    );
    assert_eq!(error.places().len(), 2);
}
