use artifact::fetch::{ArtifactTree, Bounds};
use kustomize::{FileTree, MemoryTree};
use serde_json::json;

use super::*;
use crate::kustomization::gather::BuildSettings;

const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, labels: {app: web}}\n\
    spec:\n  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    \
    spec: {containers: [{name: web, image: web:1, envFrom: [{configMapRef: {name: settings}}]}]}\n";
const CONFIG_MAP: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {colour: blue}\n";

fn object(spec: &Value) -> Kustomization {
    let mut full = json!({ "interval": "1m", "prune": true,
        "sourceRef": { "kind": "GitRepository", "name": "app" } });
    let spec = spec.as_object().unwrap().clone();
    full.as_object_mut().unwrap().extend(spec);
    serde_json::from_value(json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": { "name": "app", "namespace": "ns" }, "spec": full }))
    .unwrap()
}

fn inputs(files: &[(&str, &str)], path: &str) -> Inputs {
    let archive = testkit::archive(files).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let tree = ArtifactTree::unpack(&archive[..], folder.path(), Bounds::default()).unwrap();
    Inputs {
        revision: Revision {
            name: "main@sha1:1".into(),
            origin: None,
        },
        tree: Arc::new(tree),
        path: path.into(),
        substitution: Ok(Substitution::default()),
        build: BuildSettings {
            strict_substitution: true,
        },
        decryption: None,
        rules: Arc::default(),
        remote: None,
        is_new_revision: true,
    }
}

fn planned(object: &Kustomization, inputs: Inputs) -> Result<Objects, String> {
    match build(object, inputs) {
        Ok(Next::Last(Plan {
            content: Content::Open(objects),
            ..
        })) => Ok(objects),
        Ok(other) => panic!("no objects: {other:?}"),
        Err(failure) => {
            assert_eq!(failure.reason, "BuildFailed");
            Err(failure.message)
        }
    }
}

/// Builds the root of an artifact.
fn built(spec: &Value, files: &[(&str, &str)]) -> Result<Vec<Value>, String> {
    planned(&object(spec), inputs(files, "")).map(|objects| objects.list)
}

fn found<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let mut hits = objects.iter().filter(|object| object["kind"] == kind);
    let found = hits
        .next()
        .unwrap_or_else(|| panic!("no {kind} among {objects:#?}"));
    assert!(hits.next().is_none(), "several {kind}");
    found
}

fn names(objects: &[Value]) -> Vec<&str> {
    objects.iter().map(manifest::object::name).collect()
}

fn substituted(
    post_build: &Value,
    variables: &[(&str, &str)],
    text: &str,
) -> Result<Value, String> {
    let always = post_build["substituteStrategy"] == "Always";
    let mut all = manifest::substitute::Variables::default();
    for (name, value) in variables {
        all.set(name, value).unwrap();
    }
    let mut inputs = inputs(&[("a.yaml", text)], "");
    inputs.substitution = Ok(Substitution {
        variables: all,
        always,
    });
    let mut objects = planned(&object(&json!({ "postBuild": post_build })), inputs)?.list;
    Ok(objects.remove(0))
}

/// covers: KC-038
#[test]
fn several_documents_in_one_patch_and_several_patches_delete() {
    let delete = |name: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n$patch: delete\n")
    };
    let three: String = ["a", "b", "c"]
        .map(|n| format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {n}}}\n"))
        .concat();
    let files = [("all.yaml", three.as_str())];
    let both = format!("{}---\n{}", delete("a"), delete("b"));
    for patches in [
        json!([{ "patch": both }]),
        json!([{ "patch": delete("a") }, { "patch": delete("b") }]),
    ] {
        let objects = built(&json!({ "patches": patches }), &files).unwrap();
        assert_eq!(names(&objects), ["c"], "{patches}");
    }
}

/// covers: KC-049, KC-082
#[test]
fn prefix_and_suffix_reach_names_and_references() {
    let files = [("d.yaml", DEPLOYMENT), ("c.yaml", CONFIG_MAP)];
    let spec = json!({ "namePrefix": "pre-", "nameSuffix": "-post" });
    let objects = built(&spec, &files).unwrap();
    assert_eq!(names(&objects), ["pre-settings-post", "pre-web-post"]);
    let from = found(&objects, "Deployment")
        .pointer("/spec/template/spec/containers/0/envFrom/0/configMapRef/name");
    assert_eq!(from.unwrap(), "pre-settings-post");
}

/// covers: KC-050
#[test]
fn transformers_of_the_kustomization_file_all_work() {
    let file = "namespace: apps\nnamePrefix: p-\nresources: [d.yaml]\n\
        labels: [{pairs: {team: one}, includeSelectors: false}]\ncommonAnnotations: {note: here}\n\
        configMapGenerator: [{name: gen, literals: [a=b]}]\n\
        secretGenerator: [{name: sec, files: [token.txt]}]\n\
        generatorOptions: {disableNameSuffixHash: true}\n\
        images: [{name: web, newTag: '2'}]\nreplicas: [{name: web, count: 3}]\n\
        patchesStrategicMerge: [sm.yaml]\n\
        patchesJson6902: [{target: {kind: Deployment, name: web}, path: j.yaml}]\n\
        patches: [{patch: '- {op: add, path: /metadata/annotations/inline, value: x}', target: {kind: Deployment}}]\n\
        replacements: [{path: r.yaml}]\n";
    let replacement = "source: {kind: ConfigMap, name: gen, fieldPath: data.a}\n\
        targets: [{select: {kind: Deployment}, fieldPaths: [metadata.annotations.copied], options: {create: true}}]\n";
    let files = [
        ("kustomization.yaml", file),
        ("d.yaml", DEPLOYMENT),
        ("token.txt", "secret"),
        (
            "sm.yaml",
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {paused: true}\n",
        ),
        (
            "j.yaml",
            "- {op: add, path: /spec/minReadySeconds, value: 7}\n",
        ),
        ("r.yaml", replacement),
    ];
    let objects = built(&json!({}), &files).unwrap();
    let web = found(&objects, "Deployment");
    assert_eq!(web["metadata"]["name"], "p-web");
    assert_eq!(web["metadata"]["namespace"], "apps");
    assert_eq!(web["metadata"]["labels"]["team"], "one");
    let expected = json!({ "note": "here", "inline": "x", "copied": "b" });
    assert_eq!(web["metadata"]["annotations"], expected);
    let spec = &web["spec"];
    assert_eq!(
        (&spec["paused"], &spec["minReadySeconds"]),
        (&json!(true), &json!(7))
    );
    assert_eq!(spec["replicas"], 3);
    assert_eq!(
        spec.pointer("/template/spec/containers/0/image").unwrap(),
        "web:2"
    );
    assert_eq!(found(&objects, "ConfigMap")["data"], json!({ "a": "b" }));
    assert_eq!(
        found(&objects, "Secret")["data"],
        json!({ "token.txt": "c2VjcmV0" })
    );
}

/// covers: KC-051
#[test]
fn patches_of_the_spec_change_what_their_targets_name() {
    let other = DEPLOYMENT.replace("web", "db");
    let files = [("web.yaml", DEPLOYMENT), ("db.yaml", other.as_str())];
    let spec = json!({ "patches": [
        { "patch": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: db}\nspec: {replicas: 4}\n" },
        { "patch": "- {op: add, path: /spec/replicas, value: 2}",
          "target": { "kind": "Deployment", "labelSelector": "app=web" } },
    ] });
    let objects = built(&spec, &files).unwrap();
    let replicas: Vec<_> = objects
        .iter()
        .map(|o| (manifest::object::name(o), o["spec"]["replicas"].clone()))
        .collect();
    assert_eq!(replicas, [("db", json!(4)), ("web", json!(2))]);
}

/// covers: KC-052, KC-087
#[test]
fn build_metadata_of_the_spec_takes_the_place_of_the_files() {
    let origin = |spec: &Value, file: &str| {
        let files = [("kustomization.yaml", file), ("c.yaml", CONFIG_MAP)];
        let objects = built(spec, &files).unwrap();
        let annotations = objects[0]["metadata"]["annotations"].clone();
        (
            annotations.get("config.kubernetes.io/origin").is_some(),
            annotations
                .get("alpha.config.kubernetes.io/transformations")
                .is_some(),
        )
    };
    let plain = "resources: [c.yaml]\nnamePrefix: a-\n";
    let own = "resources: [c.yaml]\nnamePrefix: a-\nbuildMetadata: [transformerAnnotations]\n";
    let asks = json!({ "buildMetadata": ["originAnnotations"] });
    assert_eq!(origin(&asks, plain), (true, false));
    assert_eq!(origin(&json!({}), plain), (false, false));
    assert_eq!(origin(&asks, own), (true, false));
    assert_eq!(origin(&json!({}), own), (false, true));
}

/// covers: KC-053, KC-054
#[test]
fn same_object_twice_and_missing_bases_fail_the_build() {
    let twice = [("a.yaml", CONFIG_MAP), ("b.yaml", CONFIG_MAP)];
    let error = built(&json!({}), &twice).unwrap_err();
    assert!(error.starts_with("kustomize build failed: "), "{error}");
    assert!(
        error.contains("may not add resource with an already registered id"),
        "{error}"
    );
    let gone = [("kustomization.yaml", "resources: [../gone]\n")];
    let error = built(&json!({}), &gone).unwrap_err();
    assert!(
        error.starts_with("kustomize build failed: accumulating resources"),
        "{error}"
    );
}

/// covers: KC-057, KC-059
#[test]
fn defaults_are_filled_in_only_where_something_is_substituted() {
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: '${x:=d}'}\n";
    let value = |strategy: &str, variables| {
        let post_build = json!({ "substituteStrategy": strategy });
        substituted(&post_build, variables, text).map(|object| object["data"]["k"].clone())
    };
    assert_eq!(value("WithVariables", &[]).unwrap(), "${x:=d}");
    assert_eq!(value("WithVariables", &[("y", "1")]).unwrap(), "d");
    assert_eq!(value("Always", &[]).unwrap(), "d");
    let unset = text.replace("${x:=d}", "${x}");
    let error = substituted(&json!({ "substituteStrategy": "Always" }), &[], &unset).unwrap_err();
    assert!(
        error.contains("\"x\"") && error.contains("data.k"),
        "{error}"
    );
}

/// covers: KC-080, KC-081, KC-090
#[test]
fn nothing_to_build_is_no_error_and_a_file_that_is_there_is_taken() {
    assert_eq!(
        built(&json!({}), &[("README.md", "x")]).unwrap(),
        Vec::<Value>::new()
    );
    assert_eq!(
        built(
            &json!({}),
            &[("kustomization.yaml", "kind: Kustomization\n")]
        )
        .unwrap(),
        Vec::<Value>::new()
    );
    let files = [
        ("kustomization.yml", "resources: [in/c.yaml]\n"),
        ("in/c.yaml", CONFIG_MAP),
        ("in/left-out.yaml", "no: object"),
    ];
    assert_eq!(names(&built(&json!({}), &files).unwrap()), ["settings"]);
    let generated = [("in/c.yaml", CONFIG_MAP)];
    assert_eq!(names(&built(&json!({}), &generated).unwrap()), ["settings"]);
}

/// covers: KC-083
#[test]
fn artifact_builds_as_the_same_files_in_memory_do() {
    let files = [
        (
            "apps/kustomization.yaml",
            "resources: [../base, c.yaml]\nnamePrefix: x-\n",
        ),
        ("apps/c.yaml", CONFIG_MAP),
        ("base/kustomization.yaml", "resources: [d.yaml]\n"),
        ("base/d.yaml", DEPLOYMENT),
    ];
    let memory: MemoryTree = files.into_iter().collect();
    let injected = generate::overlay(&memory, "apps", &Injection::default()).unwrap();
    let options = Options {
        load_restrictions: kustomize::LoadRestrictions::None,
        ..Options::default()
    };
    let expected = kustomize::build(&injected, "apps", &options).unwrap();
    let objects = planned(&object(&json!({})), inputs(&files, "apps")).unwrap();
    assert_eq!(objects.digest, digest(&expected.to_yaml().unwrap()));
    assert_eq!(objects.origins["ConfigMap/x-settings"], "apps/c.yaml:1");
}

/// covers: KC-085
#[test]
fn bases_beside_the_path_are_found_and_none_above_the_root() {
    let files = [
        ("apps/web/kustomization.yaml", "resources: [../../base]\n"),
        ("base/kustomization.yaml", "resources: [c.yaml]\n"),
        ("base/c.yaml", CONFIG_MAP),
    ];
    let objects = planned(&object(&json!({})), inputs(&files, "apps/web")).unwrap();
    assert_eq!(names(&objects.list), ["settings"]);
    let climbing = [("apps/kustomization.yaml", "resources: [../../../etc]\n")];
    let error = planned(&object(&json!({})), inputs(&climbing, "apps")).unwrap_err();
    assert!(error.contains("../../../etc"), "{error}");
}

/// covers: KC-086, KC-089
#[test]
fn components_of_file_and_spec_are_joined_and_missing_ones_may_be_left_out() {
    let component = |name: &str| {
        format!(
            "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n\
             patches: [{{patch: '- {{op: add, path: /metadata/labels/{name}, value: y}}', target: {{kind: Deployment}}}}]\n"
        )
    };
    let (one, two) = (component("one"), component("two"));
    let labels = |file: &str, spec: &Value| {
        let files = [
            ("app/kustomization.yaml", file),
            ("app/d.yaml", DEPLOYMENT),
            ("parts/one/kustomization.yaml", one.as_str()),
            ("parts/two/kustomization.yaml", two.as_str()),
        ];
        let objects = planned(&object(spec), inputs(&files, "app"))?.list;
        let labels = found(&objects, "Deployment")["metadata"]["labels"].clone();
        Ok::<_, String>((labels.get("one").is_some(), labels.get("two").is_some()))
    };
    let (plain, own) = (
        "resources: [d.yaml]\n",
        "resources: [d.yaml]\ncomponents: [../parts/one]\n",
    );
    let of_spec = json!({ "components": ["../parts/two"] });
    assert_eq!(labels(own, &json!({})), Ok((true, false)));
    assert_eq!(labels(plain, &of_spec), Ok((false, true)));
    assert_eq!(labels(own, &of_spec), Ok((true, true)));
    let some_gone = json!({ "components": ["../parts/gone", "../parts/two"] });
    assert!(
        labels(plain, &some_gone)
            .unwrap_err()
            .contains("parts/gone")
    );
    let lenient = |names: &Value| json!({ "components": names, "ignoreMissingComponents": true });
    let some = lenient(&json!(["../parts/gone", "../parts/two"]));
    assert_eq!(labels(plain, &some), Ok((false, true)));
    assert_eq!(
        labels(own, &lenient(&json!(["../parts/gone"]))),
        Ok((true, false))
    );
    assert_eq!(
        labels(own, &lenient(&json!(["../parts/two"]))),
        Ok((true, true))
    );
}

/// covers: KC-088
#[test]
fn components_are_local_and_relative() {
    let files = [
        ("kustomization.yaml", "resources: [c.yaml]\n"),
        ("c.yaml", CONFIG_MAP),
    ];
    for component in [
        "https://example.com/x",
        "/abs",
        "github.com/org/repo//x",
        "git@example.com:org/repo.git",
        "ssh://git@example.com/org/repo",
    ] {
        let error = built(&json!({ "components": [component] }), &files).unwrap_err();
        let words = format!("component path '{component}' must be local and relative");
        assert!(error.contains(&words), "{error}");
    }
    let error = built(&json!({ "components": ["../x"] }), &files).unwrap_err();
    assert!(!error.contains("must be local and relative"), "{error}");
}

/// covers: KC-091
#[test]
fn every_stray_file_is_named_and_none_stops_the_process() {
    let files = [
        (".sops.yaml", "creation_rules: []\n"),
        (".gitlab-ci.yml", "build: {script: [make]}\n"),
        ("broken.yaml", "a: [\n"),
        ("c.yaml", CONFIG_MAP),
    ];
    let error = built(&json!({}), &files).unwrap_err();
    for file in [".sops.yaml", ".gitlab-ci.yml", "broken.yaml"] {
        assert!(error.contains(file), "{file} in {error}");
    }
    assert!(!error.contains("c.yaml:"), "{error}");
}

/// covers: KC-092
#[test]
fn schema_of_one_build_is_gone_in_the_next_and_adds_to_what_is_built_in() {
    // The list is merged by name where the schema says so, and replaced where nobody says anything.
    let schema = r#"{ "definitions": { "v1.Robot": { "properties": { "spec": { "properties": {
        "arms": { "type": "array", "items": {}, "x-kubernetes-patch-merge-key": "name",
                  "x-kubernetes-patch-strategy": "merge" } } } },
        "x-kubernetes-group-version-kind": [{ "group": "example.com", "kind": "Robot", "version": "v1" }] } } }"#;
    let robot = "apiVersion: example.com/v1\nkind: Robot\nmetadata: {name: r}\nspec: {arms: [{name: left, length: 1}]}\n";
    let patch = "patches:\n- patch: |\n    {apiVersion: example.com/v1, kind: Robot, metadata: {name: r}, spec: {arms: [{name: right}]}}\n\
        - patch: |\n    {apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {template: {spec: {containers: [{name: side, image: s}]}}}}\n";
    let arms = |head: &str| {
        let file = format!("resources: [r.yaml, d.yaml]\n{head}{patch}");
        let files = [
            ("kustomization.yaml", file.as_str()),
            ("r.yaml", robot),
            ("d.yaml", DEPLOYMENT),
            ("schema.json", schema),
        ];
        let objects = built(&json!({}), &files).unwrap();
        let count = |kind: &str, path: &str| {
            found(&objects, kind)
                .pointer(path)
                .unwrap()
                .as_array()
                .unwrap()
                .len()
        };
        (
            count("Robot", "/spec/arms"),
            count("Deployment", "/spec/template/spec/containers"),
        )
    };
    assert_eq!(arms("openapi: {path: schema.json}\n"), (2, 2));
    assert_eq!(arms(""), (1, 2));
}

#[test]
fn what_other_hosts_have_is_asked_for_or_refused_by_name() {
    let url = "https://git.example/org/repo.git//base?ref=v1";
    let file = format!("resources: ['{url}']\n");
    let files = [("kustomization.yaml", file.as_str())];
    let error = built(&json!({}), &files).unwrap_err();
    assert!(error.contains("remote bases are not allowed"), "{error}");
    assert!(
        error.contains("https://git.example/org/repo.git"),
        "{error}"
    );
    let mut asking = inputs(&files, "");
    asking.remote = Some(BTreeMap::new());
    let next = build(&object(&json!({})), asking).unwrap();
    let Next::More(Plan {
        content: Content::Missing(sources),
        ..
    }) = next
    else {
        panic!("nothing is asked for: {next:?}")
    };
    let mut answers = BTreeMap::new();
    for source in sources {
        let answer = kustomize::Fetched::Failed("no such host".into());
        answers.insert(source, answer);
    }
    let mut tree = MemoryTree::new();
    tree.insert("base/kustomization.yaml", "resources: [c.yaml]\n");
    tree.insert("base/c.yaml", CONFIG_MAP);
    assert!(tree.stat("base").is_some());
    answers.insert(
        RemoteSource::Git {
            repository: "https://git.example/org/repo.git".into(),
            reference: Some("v1".into()),
            submodules: true,
            timeout_seconds: 27,
        },
        kustomize::Fetched::Tree(Arc::new(tree)),
    );
    let mut given = inputs(&files, "");
    given.remote = Some(answers);
    let objects = planned(&object(&json!({})), given).unwrap();
    assert_eq!(names(&objects.list), ["settings"]);
}

/// covers: KC-075
#[test]
fn kustomization_file_has_one_of_three_names_and_no_second() {
    let content = "resources: [in/c.yaml]\nnamePrefix: x-\n";
    for name in ["kustomization.yaml", "kustomization.yml", "Kustomization"] {
        let files = [(name, content), ("in/c.yaml", CONFIG_MAP)];
        assert_eq!(
            names(&built(&json!({}), &files).unwrap()),
            ["x-settings"],
            "{name}"
        );
    }
    let two = [
        ("kustomization.yaml", content),
        ("Kustomization", content),
        ("in/c.yaml", CONFIG_MAP),
    ];
    let error = built(&json!({}), &two).unwrap_err();
    assert!(
        error.contains("Found multiple kustomization files"),
        "{error}"
    );
    let broken = [("kustomization.yaml", "resources: [\n")];
    let error = built(&json!({}), &broken).unwrap_err();
    assert!(error.contains("kustomization.yaml:"), "{error}");
    let absolute = [("kustomization.yaml", "resources: [/etc/passwd]\n")];
    let error = built(&json!({}), &absolute).unwrap_err();
    assert!(error.contains("/etc/passwd"), "{error}");
}
