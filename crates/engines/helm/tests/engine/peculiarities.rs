//! What charts get wrong about Helm, and Helm about itself: each as Helm 4.2.1 does it.

use std::sync::Arc;

use helm::chart::Chart;
use helm::render::Lookup;
use helm::template::{Output, Request};
use helm::values::{SetKind, set};
use serde_json::{Value as Json, json};

use super::fixture;

struct Cluster;

impl Lookup for Cluster {
    fn lookup(&self, _: &str, kind: &str, _: &str, name: &str) -> Result<Json, String> {
        Ok(json!({ "kind": kind, "metadata": { "name": name, "generation": 2_000_000 } }))
    }
}

fn chart(files: &[(&str, &str)]) -> Chart {
    fixture::load(files).unwrap()
}

fn request(values: &str) -> Request {
    let mut request = fixture::request(values).unwrap();
    request.settings.lookup = Some(Arc::new(Cluster));
    request
}

fn output(files: &[(&str, &str)], values: &str) -> Result<Output, String> {
    helm::template(chart(files), &request(values)).map_err(|e| e.to_string())
}

/// What one template renders, or how it fails.
fn text(template: &str, values: &str) -> Result<String, String> {
    let files = [("templates/a.txt", template)];
    let rendered = helm::template::render_files(chart(&files), &request(values));
    rendered
        .map(|files| files[0].text.clone())
        .map_err(|e| e.to_string())
}

fn check(template: &str, values: &str, expect: &str) {
    assert_eq!(text(template, values).as_deref(), Ok(expect), "{template}");
}

fn fails(template: &str, values: &str, expect: &str) {
    let error = text(template, values).unwrap_err();
    assert!(error.contains(expect), "{template}: {error}");
}

/// covers: HE-005, HE-156
#[test]
fn integers_of_set_are_integers_until_they_are_stored() {
    let template = "{{ range .Values.num }}{{ . }},{{ end }}{{ kindOf .Values.num }}";
    let mut request = request("");
    set(&mut request.values, "num=3", SetKind::Typed).unwrap();
    let files = [("templates/a.yaml", template)];
    let rendered = helm::template::render_files(chart(&files), &request).unwrap();
    assert_eq!(rendered[0].text, "0,1,2,int64");
    let record = helm::release::Record {
        name: "r".to_owned(),
        version: 1,
        config: request.values.clone(),
        ..helm::release::Record::default()
    };
    let stored = helm::release::Record::decode(&record.encode().unwrap()).unwrap();
    assert_eq!(stored.config["num"], json!(3.0));
    fails(template, "num: 3", "range can't iterate over 3");
}

/// covers: HE-015, HE-017, HE-019, HE-022
#[test]
fn yaml_goes_through_json() {
    check("{{ .Values | toYaml }}", "a: \"x\\u0085y\"", "a: x y");
    check("[{{ .Values | toYaml }}]", "a: \"x\\u007fy\"", "[]");
    check(
        "{{ .Values | toYaml }}",
        "a: \"\\U0001F600\"",
        "a: \"\\U0001F600\"",
    );
    let words = "word ".repeat(20);
    let folded = text("{{ .Values | toYaml }}", &format!("a: {words}")).unwrap();
    assert_eq!(folded.lines().count(), 2);
    let long = text("{{ .Values | toYamlPretty }}", &format!("a: {words}")).unwrap();
    assert_eq!(long.lines().count(), 1);
    check(
        "{{ .Values | toYaml }} {{ .Values.a | toJson }}",
        "a: 1234567.5",
        "a: 1.2345675e+06 1234567.5",
    );
}

/// covers: HE-024, HE-157, HE-158
#[test]
fn numbers_of_values_are_floats() {
    check("{{ .Values.sha }}", "sha: 12e3", "12000");
    check("{{ .Values.sha }}", "sha: 1234567e8", "1.234567e+14");
    check("{{ .Values.sha }}", "sha: 123e4567", "123e4567");
    check("{{ printf \"%d\" .Values.i }}", "i: 5", "%!d(float64=5)");
    check(
        "{{ .Values.l | join \",\" }}",
        "l: [1, 1000000, 2.5]",
        "1,1e+06,2.5",
    );
}

const SUB: &str = "apiVersion: v2\nname: sub\nversion: 1.0.0\n";
const PARENT: &str = "apiVersion: v2\nname: c\nversion: 1.0.0\ndependencies:\n- {name: sub, version: 1.x, tags: [red]}\n";

fn sources(output: &Output) -> Vec<&str> {
    let manifests = output.documents.manifests.iter();
    manifests.map(|m| m.path.as_str()).collect()
}

/// covers: HE-035
#[test]
fn tags_are_read_in_the_parents_values() {
    let files = [
        ("Chart.yaml", PARENT),
        ("charts/sub/Chart.yaml", SUB),
        ("charts/sub/templates/a.yaml", "kind: A"),
    ];
    let found = output(&files, "tags: {red: false}").unwrap();
    assert!(sources(&found).is_empty());
    let found = output(&files, "sub: {tags: {red: false}}").unwrap();
    assert_eq!(sources(&found), ["c/charts/sub/templates/a.yaml"]);
}

/// covers: HE-040, HE-174
#[test]
fn dependencies_can_be_processed_twice() {
    let aliased = "apiVersion: v2\nname: c\nversion: 1.0.0\ndependencies:\n- {name: sub, version: 1.x, alias: other, import-values: [x]}\n";
    let files = [
        ("Chart.yaml", aliased),
        ("charts/sub/Chart.yaml", SUB),
        ("charts/sub/values.yaml", "exports: {x: {k: v}}"),
        (
            "charts/sub/templates/a.yaml",
            "kind: A\nv: {{ .Chart.Name }}",
        ),
        ("templates/b.yaml", "kind: B\nk: {{ .Values.k }}"),
    ];
    let original = chart(&files);
    let mut processed = original.clone();
    helm::values::process_dependencies(&mut processed, &request("").values).unwrap();
    let once = helm::template(original, &request("")).unwrap();
    let twice = helm::template(processed, &request("")).unwrap();
    assert_eq!(once.manifest(false), twice.manifest(false));
    assert_eq!(once.documents.manifests[1].content, "kind: B\nk: v");
    assert_eq!(
        sources(&twice),
        ["c/charts/other/templates/a.yaml", "c/templates/b.yaml"]
    );
}

/// What is imported second to where an import is already shows in the first subchart's own table,
/// unless that was empty.
#[test]
fn imports_share_tables_that_hold_something() {
    const METADATA: &str = "apiVersion: v2\nname: c\nversion: 1.0.0\ndependencies:\n- {name: one, version: 1.x, import-values: [{child: a, parent: x}]}\n- {name: two, version: 1.x, import-values: [{child: a, parent: x}]}\n";
    for (first, expect) in [("a: {}", "{}|two"), ("a: {k: one}", "k: one\nl: two|two")] {
        let files = [
            ("Chart.yaml", METADATA),
            (
                "templates/a.txt",
                "{{ toYaml .Values.one.a }}|{{ .Values.x.l }}",
            ),
            (
                "charts/one/Chart.yaml",
                "apiVersion: v2\nname: one\nversion: 1.0.0\n",
            ),
            ("charts/one/values.yaml", first),
            (
                "charts/two/Chart.yaml",
                "apiVersion: v2\nname: two\nversion: 1.0.0\n",
            ),
            ("charts/two/values.yaml", "a: {l: two}"),
        ];
        let rendered = helm::template::render_files(chart(&files), &request("")).unwrap();
        assert_eq!(rendered[0].text, expect, "{first}");
    }
}

/// covers: HE-043, HE-046, HE-047, HE-048
#[test]
fn subcharts_want_tables_that_fit_their_schema() {
    let broken = [("charts/sub/Chart.yaml", SUB), ("values.yaml", "sub: text")];
    assert_eq!(
        output(&broken, "").unwrap_err(),
        "type mismatch on sub: %!t(string=text)"
    );
    let strict = r#"{"additionalProperties": false, "properties": {"a": {}}}"#;
    let files = [
        ("charts/sub/Chart.yaml", SUB),
        ("charts/sub/values.schema.json", strict),
    ];
    assert_eq!(
        output(&files, "").unwrap_err(),
        "values don't meet the specifications of the schema(s) in the following chart(s):\nsub:\n- at '': additional properties 'global' not allowed\n"
    );
    let files = [
        ("charts/sub/Chart.yaml", SUB),
        ("charts/sub/values.yaml", "b: 1"),
        (
            "values.schema.json",
            r#"{"properties": {"sub": {"properties": {"b": {"type": "string"}}}}}"#,
        ),
    ];
    assert!(
        output(&files, "")
            .unwrap_err()
            .contains("- at '/sub/b': got number, want string")
    );
}

/// covers: HE-053, HE-054, HE-055, HE-177
#[test]
fn every_file_in_templates_is_a_template() {
    let files = [("templates/picture.png", "\u{1}{{ nope }}")];
    assert_eq!(
        output(&files, "").unwrap_err(),
        "parse error at (c/templates/picture.png:1): function \"nope\" not defined"
    );
    let files = [
        ("templates/a.txt", "kind: FromText"),
        ("templates/foo-NOTES.txt", "kind: Dropped"),
        ("templates/NOTES.txt", "notes of {{ .Chart.Name }}"),
        ("charts/sub/Chart.yaml", SUB),
        ("charts/sub/templates/NOTES.txt", "notes of sub"),
    ];
    let found = output(&files, "").unwrap();
    assert_eq!(sources(&found), ["c/templates/a.txt"]);
    assert_eq!(found.notes, "notes of c");
    let mut all = request("");
    all.sub_notes = true;
    let found = helm::template(chart(&files), &all).unwrap();
    assert!(found.notes.contains("notes of sub") && found.notes.contains("notes of c"));
}

/// covers: HE-070, HE-162
#[test]
fn comparisons_and_conditions_are_strict() {
    fails(
        "{{ eq .Values.l .Values.l }}",
        "l: [1]",
        "non-comparable type",
    );
    check("{{ eq .Values.l nil }}", "l: [1]", "false");
    fails(
        "{{ ternary \"a\" \"b\" .Values.x }}",
        "x: \"true\"",
        "wrong type for value; expected bool; got string",
    );
}

/// covers: HE-075, HE-074
#[test]
fn nindent_begins_a_line() {
    check(
        "key: {{ .Values | toYaml | nindent 2 }}",
        "a: 1",
        "key: \n  a: 1",
    );
    check(
        "key: {{- .Values | toYaml | nindent 2 }}",
        "a: 1",
        "key:\n  a: 1",
    );
}

/// covers: HE-090, HE-089
#[test]
fn randomness_is_the_requests() {
    let template = "{{ uuidv4 }} {{ randAlphaNum 9 }} {{ now | unixEpoch }}";
    let first = text(template, "").unwrap();
    assert_eq!(first, text(template, "").unwrap());
    assert!(first.ends_with(" 1700000000"));
    let mut other = request("");
    other.settings.seed = [2; 32];
    let files = [("templates/a.txt", template)];
    let second = helm::template::render_files(chart(&files), &other).unwrap();
    assert_ne!(first, second[0].text);
}

/// covers: HE-094, HE-166
#[test]
fn files_are_found_by_path_and_kept_by_name() {
    let files = [
        (
            "templates/a.txt",
            "{{ (.Files.Glob \"conf/**\").AsConfig }}",
        ),
        ("conf/a/x", "1"),
        ("conf/b/x", "2"),
    ];
    let rendered = helm::template::render_files(chart(&files), &request("")).unwrap();
    assert_eq!(rendered[0].text, "x: \"2\"");
    let files = [("templates/a.txt", "{{ .Files.Get }}"), ("Get", "1")];
    let error = helm::template::render_files(chart(&files), &request("")).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("wrong number of args for Get: want 1 got 0")
    );
}

/// covers: HE-111, HE-116
#[test]
fn documents_are_cut_by_their_text() {
    let files = [(
        "templates/a.yaml",
        "kind: List\nitems:\n- kind: B\n- kind: A\n---\nkind: C\ntext: |\n---\nd: 1\n",
    )];
    let found = output(&files, "").unwrap();
    let kinds: Vec<&str> = found
        .documents
        .manifests
        .iter()
        .map(|m| m.kind.as_str())
        .collect();
    assert_eq!(kinds, ["", "C", "List"]);
}

/// covers: HE-114
#[test]
fn the_last_of_equal_keys_wins() {
    check("{{ .Values.a }}", "a: 1\na: 2\n", "2");
    let files = [("templates/a.yaml", "kind: A\nkind: B\n")];
    assert_eq!(output(&files, "").unwrap().documents.manifests[0].kind, "B");
}

/// covers: HE-134, HE-029
#[test]
fn capabilities_are_the_callers() {
    let template = "{{ .Capabilities.APIVersions.Has \"example.com/v1\" }} {{ .Capabilities.KubeVersion.Minor }}";
    check(template, "", "false 36");
    let mut asked = request("");
    asked
        .capabilities
        .api_versions
        .push("example.com/v1".to_owned());
    asked.capabilities.kube_version =
        helm::capabilities::KubeVersion::discovered("v1.33.4-gke.1", "1", "33+");
    let files = [("templates/a.txt", template)];
    let rendered = helm::template::render_files(chart(&files), &asked).unwrap();
    assert_eq!(rendered[0].text, "true 33+");
}

/// covers: HE-136, HE-137
#[test]
fn numbers_from_elsewhere_are_integers() {
    check(
        "{{ (lookup \"v1\" \"Pod\" \"ns\" \"x\").metadata.generation }}",
        "",
        "2000000",
    );
    check(
        "{{ (fromYaml \"a: 2000000\").a }} {{ (fromToml \"a = 2000000\").a }}",
        "",
        "2e+06 2000000",
    );
}

/// covers: HE-153
#[test]
fn requirements_replace_the_dependencies_of_chart_yaml() {
    let loaded = chart(&[
        ("Chart.yaml", PARENT),
        (
            "requirements.yaml",
            "dependencies: [{name: other, version: 1.0.0}]",
        ),
    ]);
    let wanted = loaded.metadata.dependencies.unwrap_or_default();
    let names: Vec<&str> = wanted.iter().map(|d| d.name.as_str()).collect();
    assert_eq!(names, ["other"]);
}

/// covers: HE-169, HE-170, HE-171
#[test]
fn checksums_are_of_what_was_included() {
    let files = [
        ("templates/b.yaml", "kind: B\nx: {{ .Values.nope }}\n"),
        (
            "templates/a.yaml",
            "kind: A\nsum: {{ include (print $.Template.BasePath \"/b.yaml\") . | sha256sum }}\n",
        ),
    ];
    let manifest = output(&files, "").unwrap().manifest(false);
    // Of "kind: B\nx: <no value>\n": what is missing is deleted later.
    assert!(
        manifest.contains("sum: f4e877a8139fa42fc74331d3c08ac8a2dfa0f541a70451bacd7a2a6f02e1ac3d"),
        "{manifest}"
    );
}
