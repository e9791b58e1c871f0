//! What is set, and what is left alone.

use super::*;

fn chosen() -> Chosen {
    let image = |name: &str, tag: &str, digest: Option<&str>| ImageReference {
        name: name.into(),
        tag: tag.into(),
        digest: digest.map(str::to_owned),
    };
    [
        ("app".to_owned(), image("ghcr.io/org/app", "1.10", None)),
        (
            "pinned".to_owned(),
            image("ghcr.io/org/app", "v1.0.0", Some("sha256:6745")),
        ),
    ]
    .into()
}

fn run(text: &str) -> Found {
    set("apps/web.yaml", text.as_bytes(), "ns", &chosen())
}

fn after(text: &str) -> String {
    run(text)
        .changed
        .map_or_else(|| text.to_owned(), |changed| changed.text)
}

/// covers: IA-148, IA-149, IA-159, IA-161
#[test]
fn only_marked_scalars_change() {
    for (before, expected) in [
        (
            "image: ghcr.io/org/app:1.0 # {\"$imagepolicy\": \"ns:app\"}\r\nother: x  \r\n",
            "image: ghcr.io/org/app:1.10 # {\"$imagepolicy\": \"ns:app\"}\r\nother: x  \r\n",
        ),
        (
            "\u{feff}---\n# first\n\ntag:   1.2   #{\"$imagepolicy\":\"ns:app:tag\"}",
            "\u{feff}---\n# first\n\ntag:   \"1.10\"   #{\"$imagepolicy\":\"ns:app:tag\"}",
        ),
        (
            "tag: '1.2' # {\"$imagepolicy\": \"ns:app:tag\"}\n...\n",
            "tag: '1.10' # {\"$imagepolicy\": \"ns:app:tag\"}\n...\n",
        ),
        (
            "a: 1.2 # {\"$imagepolicy\": \"ns:pinned:tag\"}\nb: |\n  patch: # {\"$imagepolicy\": \"ns:app:tag\"}\n\n  x\n",
            "a: v1.0.0 # {\"$imagepolicy\": \"ns:pinned:tag\"}\nb: |\n  patch: # {\"$imagepolicy\": \"ns:app:tag\"}\n\n  x\n",
        ),
        (
            "a: 1 # {\"$imagepolicy\": \"ns:app:tag\"} and more\nb: 2 # \"$imagepolicy\"\n",
            "a: 1 # {\"$imagepolicy\": \"ns:app:tag\"} and more\nb: 2 # \"$imagepolicy\"\n",
        ),
        (
            "digest: old # {\"$imagepolicy\": \"ns:pinned:digest\"}\nfull: x:1 # {\"$imagepolicy\": \"ns:pinned\"}\n",
            "digest: sha256:6745 # {\"$imagepolicy\": \"ns:pinned:digest\"}\nfull: ghcr.io/org/app:v1.0.0@sha256:6745 # {\"$imagepolicy\": \"ns:pinned\"}\n",
        ),
        (
            "empty: # {\"$imagepolicy\": \"ns:app:name\"}\n",
            "empty: ghcr.io/org/app # {\"$imagepolicy\": \"ns:app:name\"}\n",
        ),
    ] {
        assert_eq!(after(before), expected);
        assert_eq!(
            run(expected).changed,
            None,
            "a second run changes nothing: {expected}"
        );
    }
}

/// covers: IA-150, IA-158, IA-160
#[test]
fn markers_count_wherever_a_scalar_stands() {
    for (before, expected) in [
        (
            "- op: replace\n  value: x # {\"$imagepolicy\": \"ns:app:name\"}\n",
            "- op: replace\n  value: ghcr.io/org/app # {\"$imagepolicy\": \"ns:app:name\"}\n",
        ),
        (
            "kind: List\nitems:\n- image: x # {\"$imagepolicy\": \"ns:app:name\"}\n",
            "kind: List\nitems:\n- image: ghcr.io/org/app # {\"$imagepolicy\": \"ns:app:name\"}\n",
        ),
        (
            "a: &x old # {\"$imagepolicy\": \"ns:app:name\"}\nb: *x # {\"$imagepolicy\": \"ns:app:name\"}\n",
            "a: &x ghcr.io/org/app # {\"$imagepolicy\": \"ns:app:name\"}\nb: *x # {\"$imagepolicy\": \"ns:app:name\"}\n",
        ),
        (
            "images:\n# {\"$imagepolicy\": \"ns:app:name\"}\n- old\n",
            "images:\n# {\"$imagepolicy\": \"ns:app:name\"}\n- ghcr.io/org/app\n",
        ),
        (
            "# {\"$imagepolicy\": \"ns:app:name\"}\nimage: old\n",
            "# {\"$imagepolicy\": \"ns:app:name\"}\nimage: old\n",
        ),
    ] {
        assert_eq!(after(before), expected);
    }
}

/// covers: IA-154, IA-162
#[test]
fn markers_that_cannot_be_resolved_are_told_with_file_and_line() {
    let found = run(
        "a: 1 # {\"$imagepolicy\": \"other:app\"}\nb: 2 # {\"$imagepolicy\": \"ns:absent\"}\nc: 3 # {\"$imagepolicy\": \"ns:app:foo\"}\nd: 4 # {\"$imagepolicy\": \"ns:app:digest\"}\n",
    );
    assert_eq!(found.changed, None);
    let lines: Vec<_> = found
        .unresolved
        .iter()
        .map(|u| u.split(": ").next().unwrap())
        .collect();
    assert_eq!(
        lines,
        [
            "apps/web.yaml:1",
            "apps/web.yaml:2",
            "apps/web.yaml:3",
            "apps/web.yaml:4"
        ]
    );
    let broken = run("a: [1 # {\"$imagepolicy\": \"ns:app\"}\n");
    assert!(broken.changed.is_none() && broken.unresolved.len() == 1);
    assert!(
        broken.unresolved[0].contains("apps/web.yaml"),
        "{:?}",
        broken.unresolved
    );
}

/// covers: IA-144
#[test]
fn files_are_chosen_by_name_and_by_the_quoted_key() {
    for path in [
        "a.yaml",
        "b/c.yml",
        "x/Kustomization",
        ".hidden/d.yaml",
        "app..v2.yaml",
    ] {
        assert!(is_candidate(path), "{path}");
    }
    for path in ["a.json", "b.YAML", "yaml", "kustomization", "c.yaml.tpl"] {
        assert!(!is_candidate(path), "{path}");
    }
    assert_eq!(run("a: [ # $imagepolicy\n"), Found::default());
}

/// covers: IA-145, IA-146
#[test]
fn changes_are_told_by_object() {
    let text = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: a\n  namespace: x\nspec:\n  one: o # {\"$imagepolicy\": \"ns:app:name\"}\n  two: o # {\"$imagepolicy\": \"ns:app:tag\"}\n---\nkind: ConfigMap\nmetadata: {name: b}\ndata:\n  one: o # {\"$imagepolicy\": \"ns:pinned:tag\"}\n";
    let changed = run(text).changed.unwrap();
    let names: Vec<_> = changed
        .objects
        .iter()
        .map(|(id, list)| (&*id.kind, &*id.name, list.len()))
        .collect();
    assert_eq!(names, [("Deployment", "a", 2), ("ConfigMap", "b", 1)]);
    let images = images(&[changed]);
    let policies: Vec<_> = images.iter().map(|(_, policy)| policy.as_str()).collect();
    assert_eq!(policies, ["app", "pinned"]);
}

/// One folder with files of every kind that is met: each becomes exactly this.
///
/// covers: IA-143, IA-145, IA-159
#[test]
#[expect(clippy::too_many_lines, reason = "the files and what they become")]
fn folder_of_many_kinds_of_files_becomes_exactly_this() {
    const DIGEST: &str = "sha256:6745aaad46d795c9836632e1fb62f24b7e7f4c843144da8e47a5465c411a14be";
    let image = |name: &str, tag: &str, digest: Option<&str>| ImageReference {
        name: name.into(),
        tag: tag.into(),
        digest: digest.map(str::to_owned),
    };
    let chosen: Chosen = [
        (
            "policy".to_owned(),
            image("index.repo.fake/updated", "v1.0.1", None),
        ),
        ("unchanged".to_owned(), image("image", "v1.0.0", None)),
        ("pinned".to_owned(), image("image", "v1.0.0", Some(DIGEST))),
    ]
    .into();
    let mark = |of: &str| format!("# {{\"$imagepolicy\": \"automation-ns:{of}\"}}");
    let (name, tag) = (mark("policy:name"), mark("policy:tag"));
    let (full, same) = (mark("policy"), mark("unchanged"));
    let (digest, pinned) = (mark("pinned:digest"), mark("pinned"));
    let wide = |new: &str, number: &str| {
        format!(
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nimages:\n  - name: container\n    newName: {new} {name}\n    newTag: {number} {tag}\n"
        )
    };
    let literal =
        "patches:\n- patch: |\n    - op: add\n      path: /spec   \n\n      value: {a: b}\n";
    let pins = |one: &str, two: &str| {
        format!("images:\n- name: c\n  newDigest: {one} {digest}\n{literal}extra: {two} {pinned}\n")
    };
    let compact = |c: &str| {
        format!(
            "apiVersion: batch/v1\nkind: CronJob\nmetadata:\n  name: bar\n  namespace: foo\nspec:\n  containers:\n  - name: c\n    image: {c} {full}\n  - name: d\n    image: image:v1.0.0 {same}\n"
        )
    };
    let elsewhere = format!(
        "image: x:1 {}\n",
        mark("x").replace("automation-ns", "other")
    );
    let long = format!("image@{DIGEST}");
    for (path, before, after, changes) in [
        (
            "Kustomization",
            wide("repo/image", "v1.0.0"),
            wide("index.repo.fake/updated", "v1.0.1"),
            2,
        ),
        (
            "kustomization.yml",
            pins("old", "image:v0"),
            pins(DIGEST, &long.replace('@', ":v1.0.0@")),
            2,
        ),
        (
            "marked.yaml",
            compact("image:v1.0.0"),
            compact("index.repo.fake/updated:v1.0.1"),
            1,
        ),
        ("otherns.yaml", elsewhere.clone(), elsewhere, 0),
        (
            "unmarked.yaml",
            "image: a:1 # as \"$imagepolicy\" has it\n".to_owned(),
            String::new(),
            0,
        ),
        ("test.yaml", "just a text\n".to_owned(), String::new(), 0),
    ] {
        assert!(is_candidate(path));
        let found = set(path, before.as_bytes(), "automation-ns", &chosen);
        let Some(changed) = found.changed else {
            assert_eq!(changes, 0, "{path}");
            continue;
        };
        assert_eq!(changed.text, after, "{path}");
        let [(id, list)] = &changed.objects[..] else {
            panic!("{path}: {:?}", changed.objects);
        };
        assert_eq!(list.len(), changes, "{path}");
        if path == "marked.yaml" {
            let expect = ["batch/v1", "CronJob", "bar", "foo"];
            let id = [&id.api_version, &id.kind, &id.name, &id.namespace];
            assert_eq!(id.map(String::as_str), expect);
            assert_eq!(
                (&*list[0].old, &*list[0].setter),
                ("image:v1.0.0", "automation-ns:policy")
            );
        }
    }
}
