//! Input that is wrong, or meant to do harm: a clear error, soon, with file and line.

use std::fmt::Write as _;
use std::time::Duration;

use kustomize::{Error, MemoryTree, Options, build};

const K: &str = "app/kustomization.yaml";
/// The only entry of a kustomization, on the second line.
const K2: &str = "app/kustomization.yaml:2";
const R: &str = "app/r.yaml";
/// No bad input may cost more CPU time, without optimisation: how long that takes depends on what else
/// the machine has to do.
const LONGEST: Duration = Duration::from_mins(1);
/// Nor may the whole of these tests.
const MOST_KILOBYTES: u64 = 1 << 20;

/// The error of a build, and everything at fault as `file:line`.
fn failure(files: &[(&str, Vec<u8>)]) -> (String, Vec<String>) {
    let tree: MemoryTree = files.iter().cloned().collect();
    let before = used();
    let error = build(&tree, "app", &Options::default())
        .and_then(|built| built.to_yaml())
        .unwrap_err();
    assert!(used().saturating_sub(before) < LONGEST, "{error}");
    assert!(memory() < MOST_KILOBYTES, "{} KiB", memory());
    let places = error.places().iter();
    let places = places.map(|place| format!("{}:{}", place.file, place.line));
    (error.to_string(), places.collect())
}

/// The CPU time this thread has used.
fn used() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}

/// The most memory this process ever had, in kilobytes.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// One resource file, built alone.
fn resource(content: impl Into<Vec<u8>>) -> (String, Vec<String>) {
    failure(&[(K, b"resources: [r.yaml]".to_vec()), (R, content.into())])
}

/// A kustomization beside a good resource.
fn kustomization(text: &str) -> (String, Vec<String>) {
    let map = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}";
    failure(&[(K, text.into()), (R, map.into())])
}

#[track_caller]
fn check((text, places): (String, Vec<String>), part: &str, expected: &[&str]) {
    assert!(text.contains(part), "{text}");
    for place in expected {
        assert!(
            places.iter().any(|p| p == place),
            "{place} not in {places:?}: {text}"
        );
    }
}

#[test]
fn cycles_of_bases_and_components() {
    let files = [
        (K, b"resources:\n- ../base".to_vec()),
        ("base/kustomization.yaml", b"resources:\n- ../app".to_vec()),
    ];
    check(
        failure(&files),
        "cycle detected",
        &["base/kustomization.yaml:2"],
    );
    let component =
        "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\ncomponents:\n- ";
    let files = [
        (K, b"components:\n- ../one".to_vec()),
        (
            "one/kustomization.yaml",
            format!("{component}../two").into_bytes(),
        ),
        (
            "two/kustomization.yaml",
            format!("{component}../one").into_bytes(),
        ),
    ];
    check(
        failure(&files),
        "cycle detected",
        &["two/kustomization.yaml:4"],
    );
}

#[test]
fn a_base_outside_the_root() {
    let found = kustomization("resources:\n- r.yaml\n- ../../elsewhere");
    check(
        found,
        "leads out of the tree",
        &["app/kustomization.yaml:3"],
    );
    let found = kustomization("resources:\n- /etc/passwd");
    check(found, "/etc/passwd", &["app/kustomization.yaml:2"]);
    let files = [
        (K, b"resources:\n- ../r.yaml".to_vec()),
        ("r.yaml", b"a: b".to_vec()),
    ];
    check(
        failure(&files),
        "security; file '/r.yaml' is not in or below '/app'",
        &["app/kustomization.yaml:2"],
    );
}

#[test]
fn files_that_are_no_utf_8() {
    check(resource(b"a: b\nc: \xff\xfe\n"), "UTF-8", &["app/r.yaml:2"]);
    let files = [(K, b"resources: []\nnamePrefix: \xff\n".to_vec())];
    check(failure(&files), "UTF-8", &["app/kustomization.yaml:2"]);
}

#[test]
fn a_file_of_more_than_50_mb() {
    let mut text = b"{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {x: \"".to_vec();
    text.resize(text.len() + (51 << 20), b'x');
    text.extend(b"\"}}");
    check(
        resource(text),
        "more than the 52428800 allowed",
        &["app/r.yaml:0"],
    );
}

/// A file below the limit on bytes that would need gigabytes as a tree.
#[test]
fn a_file_of_tens_of_millions_of_nodes() {
    let mut text = b"a: [".to_vec();
    for _ in 0..(20 << 20) / 2 {
        text.extend(b"1,");
    }
    text.extend(b"1]");
    check(resource(text), "nodes", &["app/r.yaml:1"]);
    // Each document is small; together they are not.
    let document = format!("---\na: [{}1]\n", "1,".repeat(100_000));
    check(resource(document.repeat(40)), "nodes", &["app/r.yaml:40"]);
}

#[test]
fn bombs_of_aliases() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(text, "a{level}: &a{level} [{aliases}]").unwrap();
    }
    let (message, places) = resource(text.clone());
    assert!(message.contains("alias"), "{message}");
    assert!(places[0].starts_with("app/r.yaml:"), "{places:?}");
    let (message, _) = failure(&[(K, text.into())]);
    assert!(message.contains("alias"), "{message}");
}

#[test]
fn ten_thousand_brackets() {
    let brackets =
        |open: &str, close: &str| format!("a:\n  {}{}", open.repeat(10_000), close.repeat(10_000));
    for text in [
        brackets("[", "]"),
        brackets("{a: ", "}"),
        "[".repeat(10_000),
        "- ".repeat(10_000),
        format!("a: {}", "{".repeat(1 << 20)),
    ] {
        let (message, places) = resource(text.clone());
        assert!(places[0].starts_with("app/r.yaml:"), "{message}");
        let (message, places) = failure(&[(K, text.into())]);
        assert!(places[0].starts_with(K), "{message}");
    }
    let json = "resources: [r.yaml]\nreplacements:\n- sourceValue: x\n  targets:\n  - select: {name: \
                a}\n    fieldPaths: [data.x.y]\n";
    let text = format!(
        "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: a}}, data: {{x: '{}'}}}}",
        "[".repeat(10_000)
    );
    let (message, _) = failure(&[(K, json.into()), (R, text.into())]);
    assert!(!message.is_empty());
}

#[test]
fn unknown_fields_are_all_named() {
    let found = kustomization("resources: [r.yaml]\nresorces: []\nimages:\n- name: a\n  tag: b\n");
    check(
        found,
        "unknown field",
        &["app/kustomization.yaml:2", "app/kustomization.yaml:5"],
    );
}

#[test]
fn missing_files() {
    for field in [
        "resources",
        "components",
        "configurations",
        "crds",
        "patchesStrategicMerge",
        "generators",
        "transformers",
        "validators",
    ] {
        let text = format!("namePrefix: a-\n{field}:\n- gone.yaml\n");
        check(
            kustomization(&text),
            "gone.yaml",
            &["app/kustomization.yaml:3"],
        );
    }
    for text in [
        "patches:\n- path: gone.yaml",
        "replacements:\n- path: gone.yaml",
        "configMapGenerator:\n- {name: a, files: [gone.yaml]}",
        "secretGenerator:\n- {name: a, envs: [gone.yaml]}",
        "openapi:\n  path: gone.yaml",
    ] {
        check(kustomization(text), "gone.yaml", &[]);
        let (message, places) = kustomization(text);
        assert!(places.iter().any(|place| place.starts_with(K)), "{message}");
    }
    let (message, _) = failure(&[("app/other.yaml", Vec::new())]);
    assert!(message.contains("unable to find one of"), "{message}");
}

#[test]
fn two_kustomization_files() {
    let files = [
        (K, b"{}".to_vec()),
        ("app/kustomization.yml", b"{}".to_vec()),
    ];
    check(
        failure(&files),
        "Found multiple kustomization files",
        &["app/kustomization.yaml:1", "app/kustomization.yml:1"],
    );
    let mut files = files
        .map(|(path, text)| (path.replace("app", "base"), text))
        .to_vec();
    files.push((K.to_owned(), b"resources:\n- ../base".to_vec()));
    let files: Vec<_> = files.iter().map(|(p, t)| (p.as_str(), t.clone())).collect();
    check(
        failure(&files),
        "Found multiple kustomization files",
        &["base/kustomization.yaml:1", K2, "base/kustomization.yml:1"],
    );
}

#[test]
fn no_kustomization_file_and_an_empty_one() {
    check(
        kustomization("kind: Kustomization\n"),
        "is empty",
        &["app/kustomization.yaml:1"],
    );
    check(kustomization(""), "is empty", &["app/kustomization.yaml:1"]);
    for entry in ["resources", "components"] {
        let files = [
            (K, format!("{entry}:\n- ../base").into_bytes()),
            ("base/other.yaml", Vec::new()),
        ];
        check(failure(&files), "unable to find one of", &[K2]);
        let files = [
            (K, format!("{entry}:\n- ../base").into_bytes()),
            ("base/kustomization.yaml", b"kind: Kustomization".to_vec()),
        ];
        check(
            failure(&files),
            "is empty",
            &[K2, "base/kustomization.yaml:1"],
        );
    }
}

#[test]
fn every_object_of_an_identity_that_another_has_is_named() {
    let map = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n---\n";
    let secret = "{apiVersion: v1, kind: Secret, metadata: {name: b}}\n---\n";
    let found = resource(format!("{map}{secret}{map}{secret}"));
    check(
        found,
        "already registered id",
        &[
            "app/r.yaml:1",
            "app/r.yaml:3",
            "app/r.yaml:5",
            "app/r.yaml:7",
        ],
    );
}

#[test]
fn every_object_without_name_or_kind_is_named() {
    let found = resource("kind: A\n---\nmetadata: {name: a}\n---\nkind: B\n");
    check(
        found,
        "missing",
        &["app/r.yaml:1", "app/r.yaml:3", "app/r.yaml:5"],
    );
}

#[test]
fn every_patch_without_object_is_named() {
    let found = kustomization(
        "resources: [r.yaml]\npatches:\n- patch: '{kind: ConfigMap, metadata: {name: x}}'\n- patch: \
         '{kind: ConfigMap, metadata: {name: y}}'\n",
    );
    check(
        found,
        "no matches for Id",
        &["app/kustomization.yaml:3", "app/kustomization.yaml:4"],
    );
}

#[test]
fn every_object_that_a_transformer_cannot_change_is_named() {
    let files = [
        (
            K,
            b"resources: [r.yaml]\nimages: [{name: a, newTag: b}]".to_vec(),
        ),
        (
            R,
            b"{apiVersion: x/v1, kind: W, metadata: {name: a}, spec: {containers: 1}}\n---\n{apiVersion: x/v1, kind: W, metadata: {name: b}, spec: {containers: 1}}"
                .to_vec(),
        ),
    ];
    check(
        failure(&files),
        "spec/containers",
        &["app/r.yaml:1", "app/r.yaml:3"],
    );
}

#[test]
fn bases_without_end_are_bounded() {
    // Each level names the next one twice, in directories of its own: 2^40 kustomizations.
    let mut files = vec![(K.to_owned(), "resources: [../l0]".to_owned())];
    for level in 0..40 {
        let text = format!(
            "resources: [../l{}, ../m{}]\nnamePrefix: a-\n",
            level + 1,
            level + 1
        );
        files.push((format!("l{level}/kustomization.yaml"), text.clone()));
        files.push((format!("m{level}/kustomization.yaml"), text));
    }
    let tree: MemoryTree = files.into_iter().collect();
    let before = used();
    let error: Error = build(&tree, "app", &Options::default()).unwrap_err();
    assert!(used().saturating_sub(before) < LONGEST, "{error}");
    assert!(error.to_string().len() < 100_000);
}

#[test]
fn every_wrong_entry_of_generators_is_named() {
    let found = kustomization(
        "resources: [r.yaml]\nconfigMapGenerator:\n- name: one\n  literals:\n  - fine=1\n  - none\n  - \
         =x\n  files:\n  - a=b=c\n  - gone.txt\n  envs:\n  - gone.env\n- name: two\n  literals: \
         [worse]\nsecretGenerator:\n- literals: [a=b]\n",
    );
    let places = [6, 7, 9, 10, 12, 14, 16].map(|line| format!("app/kustomization.yaml:{line}"));
    check(
        found,
        "invalid literal source none",
        &places.each_ref().map(String::as_str),
    );
}

#[test]
fn every_wrong_entry_of_resources_is_named() {
    let broken = "a: b: c\n";
    let files = [
        (
            K,
            b"resources:\n- gone.yaml\n- one.yaml\n- r.yaml\n- two.yaml\n- gone\n".to_vec(),
        ),
        ("app/one.yaml", broken.into()),
        (
            "app/two.yaml",
            format!("a: b\n---\n{broken}---\n{broken}").into(),
        ),
        (
            R,
            b"{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}".to_vec(),
        ),
    ];
    check(
        failure(&files),
        "gone.yaml",
        &[
            "app/kustomization.yaml:2",
            "app/one.yaml:1",
            "app/two.yaml:3",
            "app/two.yaml:5",
            "app/kustomization.yaml:6",
        ],
    );
}

#[test]
fn every_wrong_patch_and_replacement_is_named() {
    let found =
        kustomization("resources: [r.yaml]\npatches:\n- path: gone.yaml\n- patch: '{'\n- {}\n");
    check(
        found,
        "gone.yaml",
        &[
            "app/kustomization.yaml:3",
            "app/kustomization.yaml:4",
            "app/kustomization.yaml:5",
        ],
    );
    let target = "targets: [{select: {name: a}, fieldPaths: [data.x]}]";
    let found = kustomization(&format!(
        "resources: [r.yaml]\nreplacements:\n- {{source: {{name: gone}}, {target}}}\n- {{sourceValue: x, \
         {target}}}\n"
    ));
    check(
        found,
        "nothing selected by",
        &["app/kustomization.yaml:3", "app/kustomization.yaml:4"],
    );
    let found = kustomization(
        "resources: [r.yaml]\nreplicas:\n- {name: one, count: 1}\n- {name: two, count: 1}\n",
    );
    check(
        found,
        "resource with name",
        &["app/kustomization.yaml:3", "app/kustomization.yaml:4"],
    );
    let found = kustomization(
        "resources: [r.yaml]\nvars:\n- {name: A, objref: {apiVersion: v1, kind: Secret, name: x}}\n- \
         {name: B, objref: {apiVersion: v1, kind: Secret, name: z}}\n",
    );
    check(
        found,
        "cannot be mapped",
        &["app/kustomization.yaml:3", "app/kustomization.yaml:4"],
    );
}

#[test]
fn every_object_that_a_patch_does_not_fit_is_named() {
    let files = [
        (
            K,
            b"resources: [r.yaml]\npatches:\n- target: {kind: W}\n  patch: '{kind: any, metadata: {name: \
              any}, spec: {a: 1}}'\n"
                .to_vec(),
        ),
        (
            R,
            b"{apiVersion: x/v1, kind: W, metadata: {name: a}, spec: {a: []}}\n---\n{apiVersion: x/v1, \
              kind: W, metadata: {name: b}, spec: {a: []}}"
                .to_vec(),
        ),
    ];
    check(
        failure(&files),
        "wrong node kind",
        &["app/r.yaml:1", "app/r.yaml:3", "app/kustomization.yaml:4"],
    );
}

/// What threads read ahead must not change what is said, nor what is built.
#[test]
fn threads_make_no_difference() {
    let filler = format!("# {}\n", "x".repeat(100 << 10));
    let map = |name: &str| {
        format!("{filler}{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}}}}}\n---\n")
    };
    let files: [(&str, Vec<u8>); 5] = [
        (K, b"resources: [a.yaml, b.yaml, ../base, c.yaml]".to_vec()),
        ("app/a.yaml", (map("a1") + &map("a2")).into()),
        ("app/b.yaml", map("b").into()),
        ("app/c.yaml", (map("c1") + &map("c2")).into()),
        (
            "base/kustomization.yaml",
            b"{namePrefix: x-, resources: []}".to_vec(),
        ),
    ];
    let outcome = |files: &[(&str, Vec<u8>)], threads: usize| {
        let tree: MemoryTree = files.iter().cloned().collect();
        let options = Options {
            threads,
            ..Options::default()
        };
        build(&tree, "app", &options).and_then(|built| built.to_yaml())
    };
    let alone = outcome(&files, 0);
    assert!(alone.as_ref().unwrap().contains("name: c2"));
    assert_eq!(outcome(&files, 4), alone);
    for (at, text) in [(1, "a: b: c"), (2, "kind: A"), (3, "- *x")] {
        let mut files = files.clone();
        files[at].1.extend(format!("\n---\n{text}\n").into_bytes());
        let alone = outcome(&files, 0);
        assert!(alone.is_err(), "{text}");
        assert_eq!(outcome(&files, 4), alone, "{text}");
    }
}

/// Many objects are changed by several threads; every fault is told, in the order of the objects.
#[test]
fn threads_change_objects_as_one_does() {
    let kustomization = b"{namePrefix: x-, namespace: shop, commonLabels: {a: b}, resources: [r.yaml], images: [{name: i, \
        newTag: v}], patches: [{target: {kind: Deployment}, patch: '- {op: add, path: /spec/replicas, value: 2}'}, \
        {target: {kind: Deployment}, patch: '{kind: x, metadata: {name: x}, spec: {paused: true}}'}]}";
    let outcome = |broken: &[usize], threads: usize| {
        let mut text = String::new();
        for number in 0..400 {
            let spec = if broken.contains(&number) {
                "spec: wrong"
            } else {
                "spec: {template: {spec: {containers: [{name: c, image: i}], volumes: [{name: v, configMap: {name: m3}}]}}}"
            };
            write!(
                text,
                "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: d{number}}}\n{spec}\n---\n\
                 apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: m{number}}}\n---\n"
            )
            .unwrap();
        }
        let files = [
            (K, kustomization.to_vec()),
            ("app/r.yaml", text.into_bytes()),
        ];
        let tree: MemoryTree = files.into_iter().collect();
        let options = Options {
            threads,
            ..Options::default()
        };
        build(&tree, "app", &options).and_then(|built| built.to_yaml())
    };
    for broken in [&[][..], &[7, 250, 399]] {
        let alone = outcome(broken, 1);
        assert_eq!(alone.is_ok(), broken.is_empty(), "{alone:?}");
        for threads in [2, 3, 8] {
            assert_eq!(outcome(broken, threads), alone);
        }
    }
}

#[test]
fn every_wrong_component_is_named() {
    let component = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n";
    let files = [
        (
            K,
            b"components:\n- ../gone\n- ../base\n- ../one\n- ../two\n- ../three\n".to_vec(),
        ),
        ("base/kustomization.yaml", b"namePrefix: a-\n".to_vec()),
        (
            "one/kustomization.yaml",
            format!("{component}resources:\n- gone.yaml\npatches:\n- path: lost.yaml\n")
                .into_bytes(),
        ),
        (
            "two/kustomization.yaml",
            format!("{component}configMapGenerator:\n- name: c\n  literals: [none]\n").into_bytes(),
        ),
        // What it patches may be in a component that failed: nobody can tell.
        (
            "three/kustomization.yaml",
            format!("{component}patches:\n- patch: '{{kind: A, metadata: {{name: a}}}}'\n")
                .into_bytes(),
        ),
    ];
    let (text, places) = failure(&files);
    assert!(
        !places.iter().any(|place| place.starts_with("three")),
        "{text}"
    );
    check(
        (text, places),
        "expected kind 'Component' for path '/base' but got 'Kustomization'",
        &[
            "app/kustomization.yaml:2",
            "app/kustomization.yaml:3",
            "base/kustomization.yaml:1",
            "app/kustomization.yaml:4",
            "one/kustomization.yaml:4",
            "one/kustomization.yaml:6",
            "app/kustomization.yaml:5",
            "two/kustomization.yaml:5",
        ],
    );
}

/// Whatever can be told although objects are missing is told with them.
#[test]
fn every_wrong_field_is_named_whichever_comes_first() {
    let found = kustomization(
        "resources:\n- gone.yaml\nconfigMapGenerator:\n- {name: c, literals: [none]}\ngenerators:\n- \
         lost.yaml\npatchesStrategicMerge:\n- away.yaml\npatches:\n- patch: x\n- target: {kind: \
         '('}\n  patch: '[{\"op\": \"add\"}]'\npatchesJson6902:\n- path: p.yaml\nimages:\n- name: \
         (\nreplacements:\n- path: r.txt\ntransformers:\n- |\n  apiVersion: builtin\n  kind: \
         Nothing\n  metadata: {name: a}\n  ---\n  apiVersion: builtin\n  kind: \
         LabelTransformer\n  metadata: {name: b}\n  labels: 1\n",
    );
    let places = [2, 4, 6, 8, 10, 11, 14, 16, 18, 21, 28];
    let places = places.map(|line| format!("app/kustomization.yaml:{line}"));
    check(found, "gone.yaml", &places.each_ref().map(String::as_str));
}

#[test]
fn faults_of_inline_texts_are_told_on_their_own_lines() {
    for (patch, lines) in [
        (
            "patches:\n- target: {kind: ConfigMap}\n  patch: |\n\n    - op: add\n      path: /a\n    - \
          op: test\n      path: /b\n      value: 1\n",
            &[8][..],
        ),
        (
            "patches:\n- target: {kind: ConfigMap}\n  patch: |-\n    kind: any\n    metadata:\n      name: \
          any\n    data:\n    - x\n",
            &[9],
        ),
        (
            "patches:\n- patch: |-\n    kind: A\n    metadata:\n      name: a\n    ---\n    kind: B\n    \
          metadata:\n      name: b\n",
            &[4, 8],
        ),
        (
            "patches:\n- patch: |-\n    kind: A\n    metadata: [\n",
            &[6],
        ),
        (
            "patchesStrategicMerge:\n- |-\n  kind: A\n  metadata:\n    name: a\n",
            &[4],
        ),
        (
            "patches:\n- target: {kind: ConfigMap}\n  patch: >-\n    [{\"op\": \"test\",\n    \"path\": \
          \"/kind\",\n    \"value\": 1}]\n",
            &[4],
        ),
        (
            "validators:\n- |-\n  apiVersion: builtin\n  kind: LabelTransformer\n  metadata:\n    name: \
          a\n  labels:\n    a: b\n  fieldSpecs:\n  - path: metadata/labels\n    create: true\n",
            &[4],
        ),
    ] {
        let text = format!("resources: [r.yaml]\n{patch}");
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  x: y\n";
        let (message, places) = failure(&[(K, text.into()), (R, map.into())]);
        let own: Vec<_> = places.iter().filter(|place| place.starts_with(K)).collect();
        let expected: Vec<_> = lines.iter().map(|line| format!("{K}:{line}")).collect();
        assert_eq!(
            own,
            expected.iter().collect::<Vec<_>>(),
            "{patch}: {message}"
        );
    }
}

#[test]
fn what_does_not_fit_within_an_object_is_told_on_its_own_line() {
    let header = "apiVersion: x/v1\nkind: W\nmetadata:\n  name: a\nspec:\n";
    let images = "images: [{name: a, newTag: b}]";
    let labels = "labels: [{pairs: {a: b}, fields: [{path: spec/x/y, create: true}]}]";
    for (field, spec, line) in [
        (images, "  a: b\n  containers: 1\n", 7),
        (images, "  a:\n  - b\n  - containers:\n    - c\n", 9),
        (images, "  a:\n  - containers:\n    - image: [x]\n", 8),
        (labels, "  x:\n  - y: {}\n  - z\n", 8),
    ] {
        let files = [
            (K, format!("resources: [r.yaml]\n{field}\n").into_bytes()),
            (R, format!("{header}{spec}").into_bytes()),
        ];
        check(failure(&files), "", &[&format!("app/r.yaml:{line}")]);
    }
    let files = [
        (K, b"resources: [r.yaml]\n".to_vec()),
        (
            R,
            b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  x: .inf\n".to_vec(),
        ),
    ];
    check(failure(&files), "+Inf", &["app/r.yaml:6"]);
}

#[test]
fn broken_files_of_fields_and_schemas_are_told_on_their_lines() {
    for (field, text, line) in [
        ("configurations: [r.yaml]", "namePrefix:\n- x: y\n", 2),
        ("crds: [r.yaml]", "{\n \"a\": ]}\n", 2),
        ("crds: [r.yaml]", "a:\n- b: c: d\n", 2),
        ("crds: [r.yaml]", "- a\n", 1),
        ("openapi: {path: r.yaml}", "{\n \"a\": ]}\n", 2),
        ("openapi: {path: r.yaml}", "a:\n- b: c: d\n", 2),
        ("openapi: {path: r.yaml}", "- a\n", 1),
        ("replacements: [{path: r.yaml}]", "- source: x\n", 1),
        (
            "patches: [{path: r.yaml, target: {kind: A}}]",
            "- op: add\n- x\n",
            2,
        ),
        (
            "patchesJson6902: [{path: r.yaml, target: {name: a}}]",
            "- op: add\n- x\n",
            2,
        ),
    ] {
        let files = [(K, format!("{field}\n").into_bytes()), (R, text.into())];
        check(failure(&files), "", &[&format!("app/r.yaml:{line}")]);
    }
    let files = [
        (
            K,
            b"configMapGenerator: [{name: a, envs: [r.yaml]}]".to_vec(),
        ),
        (R, b"a=b\nc=\xff\n\xff\n".to_vec()),
    ];
    check(
        failure(&files),
        "invalid utf8",
        &["app/r.yaml:2", "app/r.yaml:3"],
    );
}

/// Everything that reads a file reads it within bounds, and says where it gave up.
#[test]
fn hostile_texts_wherever_they_are_read() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{aliases}]").unwrap();
    }
    let nested = |open: &str, close: &str| {
        let text = format!("a:\n  {}1{}", open.repeat(10_000), close.repeat(10_000));
        text.into_bytes()
    };
    let json = format!("{{\n{}1{}", "\"a\": {".repeat(10_000), "}".repeat(10_001));
    let texts = [
        nested("[", "]"),
        nested("{a: ", "}"),
        json.into_bytes(),
        bomb.into_bytes(),
        b"a: b\nc: \xff\n".to_vec(),
    ];
    for field in [
        "resources: [r.yaml]",
        "configurations: [r.yaml]",
        "crds: [r.yaml]",
        "openapi: {path: r.yaml}",
        "patches: [{path: r.yaml}]",
        "patchesStrategicMerge: [r.yaml]",
        "patchesJson6902: [{path: r.yaml, target: {name: a}}]",
        "replacements: [{path: r.yaml}]",
        "generators: [r.yaml]",
        "transformers: [r.yaml]",
        "validators: [r.yaml]",
    ] {
        for text in &texts {
            let (message, places) = failure(&[(K, field.into()), (R, text.clone())]);
            let mut lines = places
                .iter()
                .filter_map(|place| place.strip_prefix("app/r.yaml:"));
            assert!(
                lines.any(|line| line != "0"),
                "{field}: {places:?} {message:.300}"
            );
            assert!(message.len() < 100_000, "{field}: {}", message.len());
        }
    }
}

#[test]
fn objects_that_patches_made_alike_are_all_named() {
    let text = "resources: [r.yaml]\npatches:\n- target: {kind: ConfigMap}\n  patch: '[{\"op\": \"replace\", \
                \"path\": \"/metadata/name\", \"value\": \"same\"}]'\n- target: {name: nobody}\n  patch: \
                '{kind: any, metadata: {name: any}}'\n";
    let map =
        |name: &str| format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}}}}}\n");
    let resources = format!("{}---\n{}", map("a"), map("b"));
    let files = [(K, text.as_bytes().to_vec()), (R, resources.into_bytes())];
    let part = "already registered id: ConfigMap.v1.[noGrp]/same";
    check(failure(&files), part, &["app/r.yaml:1", "app/r.yaml:3"]);
}
