//! Remote bases, the bounds of the tree, and what one build may not do to the next.

use std::collections::BTreeMap;
use std::sync::Arc;

use kustomize::{Error, Fetched, MemoryTree, Options, Remote, RemoteSource, build};

const MAP: &str = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}";

/// Builds `app` with what was fetched.
fn built(
    files: &[(&str, &str)],
    fetched: &BTreeMap<RemoteSource, Fetched>,
) -> Result<String, Error> {
    let tree: MemoryTree = files.iter().copied().collect();
    let options = Options {
        remote: Remote::Fetched(fetched),
        ..Options::default()
    };
    build(&tree, "app", &options).and_then(|built| built.to_yaml())
}

fn missing(resources: &str, fetched: &BTreeMap<RemoteSource, Fetched>) -> Vec<RemoteSource> {
    let kustomization = format!("resources: {resources}");
    match built(&[("app/kustomization.yaml", &kustomization)], fetched) {
        Err(Error::Missing(sources)) => sources,
        other => panic!("{resources}: {other:?}"),
    }
}

/// The repository that a URL means once it turned out to be no file.
fn repository_of(url: &str) -> RemoteSource {
    let file = RemoteSource::Http {
        url: url.to_owned(),
    };
    let resources = format!("['{url}']");
    assert_eq!(
        missing(&resources, &BTreeMap::new()),
        std::slice::from_ref(&file)
    );
    let failed = BTreeMap::from([(file, Fetched::Failed("404".to_owned()))]);
    missing(&resources, &failed).remove(0)
}

fn git(repository: &str, reference: Option<&str>) -> RemoteSource {
    RemoteSource::Git {
        repository: repository.to_owned(),
        reference: reference.map(str::to_owned),
        submodules: true,
        timeout_seconds: 27,
    }
}

fn clone_of(files: &[(&str, &str)]) -> Fetched {
    Fetched::Tree(Arc::new(files.iter().copied().collect::<MemoryTree>()))
}

/// covers: KE-015
#[test]
fn a_url_of_a_file_is_a_file_and_one_of_a_repository_a_clone() {
    let url = "https://raw.githubusercontent.com/o/r/main/x.yaml";
    let file = RemoteSource::Http {
        url: url.to_owned(),
    };
    let repository = git("https://github.com/o/r", None);
    let resources = format!("[{url}, github.com/o/r/x]");
    let mut wanted = missing(&resources, &BTreeMap::new());
    wanted.sort();
    assert_eq!(wanted, [file.clone(), repository.clone()]);
    let other = "{apiVersion: v1, kind: ConfigMap, metadata: {name: b}}";
    let fetched = BTreeMap::from([
        (file, Fetched::File(Arc::from(MAP.as_bytes()))),
        (
            repository,
            clone_of(&[
                ("x/kustomization.yaml", "resources: [b.yaml]"),
                ("x/b.yaml", other),
            ]),
        ),
    ]);
    let kustomization = format!("resources: {resources}");
    let text = built(&[("app/kustomization.yaml", &kustomization)], &fetched).unwrap();
    let names: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("  name:"))
        .collect();
    assert_eq!(names, ["  name: a", "  name: b"]);
}

/// covers: KE-145
#[test]
fn ref_is_over_version_and_a_timeout_is_a_number_or_a_duration() {
    let base = "https://github.com/o/r";
    let of = |query: &str| repository_of(&format!("{base}?{query}"));
    assert_eq!(of("version=v1&ref=main"), git(base, Some("main")));
    assert_eq!(of("version=v1"), git(base, Some("v1")));
    for (query, seconds) in [("timeout=90", 90), ("timeout=1m30s", 90), ("x=y", 27)] {
        match of(query) {
            RemoteSource::Git {
                timeout_seconds,
                submodules,
                ..
            } => {
                assert_eq!(timeout_seconds, seconds, "{query}");
                assert!(submodules);
            }
            other @ RemoteSource::Http { .. } => panic!("{query}: {other}"),
        }
    }
    assert!(matches!(
        of("submodules=false"),
        RemoteSource::Git {
            submodules: false,
            ..
        }
    ));
}

/// covers: KE-146, KE-147
#[test]
fn markers_end_the_repository_and_a_commit_is_asked_for_as_it_stands() {
    let sha = "0123456789012345678901234567890123456789";
    let cases = [
        (
            "https://host.example/_git/a/b//c",
            "https://host.example/_git/a",
        ),
        (
            "https://host.example/a.git/b//c",
            "https://host.example/a.git/b",
        ),
        (
            "https://host.example/a/b.git/c",
            "https://host.example/a/b.git",
        ),
        ("https://host.example/a/b/c", "https://host.example/a/b"),
    ];
    for (url, repository) in cases {
        let wanted = repository_of(&format!("{url}?ref={sha}"));
        assert_eq!(wanted, git(repository, Some(sha)), "{url}");
    }
}

/// covers: KE-148
#[test]
fn a_base_outside_its_clone_is_refused() {
    let repository = git("https://github.com/o/r", None);
    for base in ["../../outside", "../../app"] {
        let kustomization = format!("resources: [{base}]");
        let fetched = BTreeMap::from([(
            repository.clone(),
            clone_of(&[("x/kustomization.yaml", &kustomization)]),
        )]);
        let files = [
            ("app/kustomization.yaml", "resources: [github.com/o/r/x]"),
            ("outside/kustomization.yaml", "resources: [r.yaml]"),
            ("outside/r.yaml", MAP),
        ];
        let error = built(&files, &fetched).unwrap_err().to_string();
        assert!(error.contains("leads out of the tree"), "{error}");
    }
}

/// covers: KE-149
#[test]
fn a_clones_relative_bases_and_urls_begin_in_the_clone() {
    let (outer, inner) = (
        git("https://github.com/o/r", None),
        git("https://github.com/o/inner", Some("v1")),
    );
    let files = [
        (
            "app/kustomization.yaml",
            "resources: [github.com/o/r//deep/x]",
        ),
        ("base/kustomization.yaml", "namePrefix: wrong-"),
    ];
    let mut fetched = BTreeMap::from([(
        outer,
        clone_of(&[
            (
                "deep/x/kustomization.yaml",
                "resources: [../../base, 'github.com/o/inner?ref=v1']",
            ),
            (
                "base/kustomization.yaml",
                "resources: [r.yaml]\nnamePrefix: right-",
            ),
            ("base/r.yaml", MAP),
        ]),
    )]);
    let wanted = built(&files, &fetched).unwrap_err();
    assert_eq!(wanted, Error::Missing(vec![inner.clone()]));
    fetched.insert(
        inner,
        clone_of(&[
            ("kustomization.yaml", "resources: [r.yaml]"),
            (
                "r.yaml",
                "{apiVersion: v1, kind: ConfigMap, metadata: {name: b}}",
            ),
        ]),
    );
    let text = built(&files, &fetched).unwrap();
    assert!(
        text.contains("name: right-a\n") && text.contains("name: b\n"),
        "{text}"
    );
}

/// covers: KE-150
#[test]
fn the_network_and_what_is_outside_the_tree_are_refused() {
    let refused = |resources: &str, part: &str| {
        let kustomization = format!("resources:\n- {resources}");
        let tree: MemoryTree = [("app/kustomization.yaml", kustomization)]
            .into_iter()
            .collect();
        let error = build(&tree, "app", &Options::default()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(part), "{resources}: {text}");
        let place = error.places().iter().find(|place| place.line == 2).unwrap();
        assert_eq!(place.file, "app/kustomization.yaml");
    };
    for url in [
        "https://example.com/x.yaml",
        "github.com/o/r",
        "git@github.com:o/r",
    ] {
        refused(url, "remote bases are not allowed");
    }
    refused("../../etc/passwd", "leads out of the tree");
}

/// covers: KE-151
#[test]
fn a_schema_ends_with_its_build() {
    let schema = r#"{"definitions": {"x.Widget": {"x-kubernetes-group-version-kind":
        [{"group": "example.com", "version": "v1", "kind": "Widget"}], "properties": {"list":
        {"type": "array", "x-kubernetes-patch-merge-key": "name",
         "x-kubernetes-patch-strategy": "merge", "items": {"type": "object"}}}}}}"#;
    let patches = "patches:\n- patch: '{apiVersion: example.com/v1, kind: Widget, metadata: {name: \
                   w}, list: [{name: b}]}'\n- patch: '{apiVersion: v1, kind: Pod, metadata: {name: \
                   p}, spec: {containers: [{name: b}]}}'";
    let resources = "{apiVersion: example.com/v1, kind: Widget, metadata: {name: w}, list: [{name: \
                     a}]}\n---\n{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: \
                     {containers: [{name: a}]}}\n";
    let with = |openapi: &str| {
        let kustomization = format!("resources: [r.yaml]\n{openapi}\n{patches}");
        let files = [
            ("app/kustomization.yaml", kustomization.as_str()),
            ("app/r.yaml", resources),
            ("app/s.json", schema),
        ];
        let tree: MemoryTree = files.into_iter().collect();
        let text = build(&tree, "app", &Options::default()).unwrap();
        text.to_yaml().unwrap().matches("- name: a").count()
    };
    // Without a schema only the pod's containers merge, with this one only the widget's list does.
    let (plain, custom) = (with(""), with("openapi: {path: s.json}"));
    assert_eq!((plain, custom, with("")), (1, 1, 1));
    let kinds = |openapi: &str| {
        let kustomization = format!("resources: [r.yaml]\n{openapi}\n{patches}");
        let files = [
            ("app/kustomization.yaml", kustomization.as_str()),
            ("app/r.yaml", resources),
            ("app/s.json", schema),
        ];
        let tree: MemoryTree = files.into_iter().collect();
        build(&tree, "app", &Options::default())
            .unwrap()
            .to_yaml()
            .unwrap()
    };
    let (before, between, after) = (kinds(""), kinds("openapi: {path: s.json}"), kinds(""));
    assert_eq!(before, after);
    assert_ne!(before, between);
}

/// covers: KE-152
#[test]
fn errors_are_the_same_each_time() {
    let files = [
        (
            "app/kustomization.yaml",
            "resources: [r.yaml]\nnamespace: prod\nconfigMapGenerator: [{name: g, literals: [a=b]}]",
        ),
        (
            "app/r.yaml",
            "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: x, annotations: {k: \
             v, l: w}}}\n---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: \
             y}}\n---\n{apiVersion: v1, kind: Secret, metadata: {name: a, namespace: \
             x}}\n---\n{apiVersion: v1, kind: Secret, metadata: {name: a, namespace: y}}\n",
        ),
    ];
    let texts: Vec<String> = (0..3)
        .map(|_| built(&files, &BTreeMap::new()).unwrap_err().to_string())
        .collect();
    assert!(texts[0].contains("ID conflict"), "{}", texts[0]);
    assert!(texts.iter().all(|text| *text == texts[0]));
    assert!(
        !texts[0].contains("0x") && !texts[0].contains("map["),
        "{}",
        texts[0]
    );
}
