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
