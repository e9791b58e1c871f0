//! What linting says, in Helm's words.

use helm::chart::File;
use helm::lint::lint;
use helm::render::{Mode, Release};

use super::fixture::request;

const WHOLE: &str = "apiVersion: v2\nname: c\nversion: 1.0.0\nicon: https://example.com/i.png\n";

fn findings(files: &[(&str, &str)], values: &str) -> Vec<String> {
    let files = files.iter();
    let files: Vec<File> = files.map(|(n, t)| File::new(*n, t.as_bytes())).collect();
    let mut request = request(values).unwrap();
    request.settings.mode = Mode::Lint;
    request.release = Release {
        revision: 0,
        ..Release::install("test-release", "ns")
    };
    let found = lint(&files, "/charts/c", &request).into_iter();
    found.map(|finding| finding.to_string()).collect()
}

/// What is said of a Chart.yaml beside whole files.
fn metadata(text: &str) -> Vec<String> {
    let files = [
        ("Chart.yaml", text),
        ("values.yaml", ""),
        ("templates/a.txt", ""),
    ];
    findings(&files, "")
}

/// What is said of a template of a whole chart.
fn template(text: &str, values: &str) -> Vec<String> {
    let files = [
        ("Chart.yaml", WHOLE),
        ("values.yaml", "a: 1\n"),
        (
            "values.schema.json",
            r#"{"properties":{"a":{"type":"integer"}}}"#,
        ),
        ("templates/a.yaml", text),
    ];
    findings(&files, values)
}

#[test]
fn whole_charts_need_nothing() {
    assert_eq!(metadata(WHOLE), Vec::<String>::new());
    let found = template("kind: Service\nmetadata:\n  name: a-b\n", "");
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn metadata_is_checked_field_by_field() {
    for (more, expect) in [
        (
            "colour: red",
            "[WARNING] Chart.yaml: failed to strictly parse chart metadata file\n\terror unmarshaling JSON: while decoding JSON: json: unknown field \"colour\"",
        ),
        (
            "maintainers: [{name: a, mail: b}]",
            "[WARNING] Chart.yaml: failed to strictly parse chart metadata file\n\terror unmarshaling JSON: while decoding JSON: json: unknown field \"mail\"",
        ),
        (
            "appVersion: 1.10",
            "[ERROR] Chart.yaml: appVersion should be of type string but it's of type float64",
        ),
        (
            "maintainers: [{email: a@b.io}]",
            "[ERROR] Chart.yaml: each maintainer requires a name",
        ),
        (
            "maintainers: [{name: a, email: here}]",
            "[ERROR] Chart.yaml: invalid email 'here' for maintainer 'a'",
        ),
        (
            "maintainers: [{name: a, url: 'no where'}]",
            "[ERROR] Chart.yaml: invalid url 'no where' for maintainer 'a'",
        ),
        (
            "sources: [example.com/x]",
            "[ERROR] Chart.yaml: invalid source URL 'example.com/x'",
        ),
    ] {
        assert_eq!(metadata(&format!("{WHOLE}{more}\n")), [expect], "{more}");
    }
}

#[test]
fn metadata_is_checked_as_a_whole() {
    for (text, expect) in [
        (
            "apiVersion: v2\nname: c\nversion: 1.0.0\n",
            &["[INFO] Chart.yaml: icon is recommended"][..],
        ),
        (
            "apiVersion: v2\nname: c\nversion: '1.0'\nicon: i.png\n",
            &[
                "[ERROR] Chart.yaml: invalid icon URL 'i.png'",
                "[WARNING] Chart.yaml: version '1.0' is not a valid SemVerV2",
            ],
        ),
        (
            "apiVersion: v1\nname: c\nversion: 1.0.0\nicon: https://e.io\ntype: application\n",
            &[
                "[ERROR] Chart.yaml: chart type is not valid in apiVersion 'v1'. It is valid in apiVersion 'v2'",
            ],
        ),
        (
            "name: c\nversion: 1.0.0\nicon: https://e.io\n",
            &[
                "[ERROR] Chart.yaml: apiVersion is required. The value must be either \"v1\" or \"v2\"",
            ],
        ),
        (
            "apiVersion: v2\nversion: 0.0.0-0\nicon: https://e.io\n",
            &[
                "[ERROR] Chart.yaml: name is required",
                "[ERROR] Chart.yaml: version 0.0.0-0 is less than or equal to 0.0.0-0",
                "[ERROR] templates/: validation: chart.metadata.name is required",
                "[ERROR] : unable to load chart\n\tvalidation: chart.metadata.name is required",
            ],
        ),
        (
            "a: b: c",
            &[
                "[ERROR] Chart.yaml: unable to parse YAML\n\terror converting YAML to JSON: yaml: mapping values are not allowed in this context",
                "[ERROR] templates/: cannot load Chart.yaml: error converting YAML to JSON: yaml: mapping values are not allowed in this context",
                "[ERROR] : unable to load chart\n\tcannot load Chart.yaml: error converting YAML to JSON: yaml: mapping values are not allowed in this context",
            ],
        ),
    ] {
        assert_eq!(metadata(text), expect, "{text}");
    }
}

#[test]
fn templates_are_rendered_and_their_objects_checked() {
    for (text, expect) in [
        (
            "x: {{ .Values.a.b }}",
            "[ERROR] templates/: c/templates/a.yaml:1:13",
        ),
        (
            "a: b: c",
            "[ERROR] templates/a.yaml: unable to parse YAML: error converting YAML to JSON: yaml: mapping values are not allowed in this context",
        ),
        (
            " kind: A\n metadata: {name: a}\n",
            "[WARNING] templates/a.yaml: document starts with an illegal indent: \" kind: A\", which may cause parsing problems",
        ),
        (
            "kind: Service\nmetadata: {name: 1a}\n",
            "[WARNING] templates/a.yaml: object name does not conform to Kubernetes naming requirements: \"1a\": metadata.name: Invalid value: \"1a\": a DNS-1035 label",
        ),
        (
            "kind: Role\nmetadata: {name: 'a/b'}\n",
            "metadata.name: Invalid value: \"a/b\": may not contain '/'",
        ),
        (
            "kind: Pod\n",
            "\"\": metadata.name: Invalid value: \"\": a lowercase RFC 1123 subdomain",
        ),
        (
            "apiVersion: batch/v1beta1\nkind: CronJob\nmetadata: {name: a}\n",
            "[WARNING] templates/a.yaml: batch/v1beta1 CronJob is deprecated in v1.21+, unavailable in v1.25+; use batch/v1 CronJob",
        ),
        (
            "apiVersion: v1\nkind: ComponentStatus\nmetadata: {name: a}\n",
            "v1 ComponentStatus is deprecated in v1.19+",
        ),
        (
            "kind: Deployment\nmetadata: {name: a}\n",
            "[ERROR] templates/a.yaml: a Deployment must contain matchLabels or matchExpressions, and \"a\" does not",
        ),
        (
            "kind: List\nmetadata: {name: a}\nitems: [{metadata: {annotations: {helm.sh/resource-policy: keep}}}]\n",
            "[ERROR] templates/a.yaml: annotation 'helm.sh/resource-policy' within List objects are ignored",
        ),
    ] {
        let found = template(text, "");
        assert!(
            found.len() == 1 && found[0].contains(expect),
            "{text}: {found:?}"
        );
    }
    // What stops an installation does not stop linting.
    let lenient = "kind: A\nmetadata: {name: a}\nb: {{ required \"set b\" .Values.b | quote }}{{ fail \"no\" }}\n";
    assert_eq!(template(lenient, ""), Vec::<String>::new());
}

#[test]
fn values_and_folders_are_checked() {
    let found = template("", "a: x");
    assert_eq!(
        found,
        [
            "[ERROR] values.yaml: - at '/a': got string, want integer\n",
            "[ERROR] templates/: values don't meet the specifications of the schema(s) in the following chart(s):\nc:\n- at '/a': got string, want integer\n",
        ]
    );
    let wants = format!("{WHOLE}dependencies:\n- {{name: gone, version: 1.x}}\n");
    let files = [
        ("Chart.yaml", wants.as_str()),
        (
            "charts/there/Chart.yaml",
            "apiVersion: v2\nname: there\nversion: 1.0.0\n",
        ),
        ("crds/a.yaml", "kind: A\n"),
        ("templates/a.json", "{}"),
    ];
    assert_eq!(
        findings(&files, ""),
        [
            "[INFO] values.yaml: file does not exist",
            "[ERROR] templates/a.json: file extension '.json' not valid. Valid extensions are .yaml, .yml, .tpl, or .txt",
            "[ERROR] /charts/c: chart metadata is missing these dependencies: there",
            "[WARNING] /charts/c: chart directory is missing these dependencies: gone",
            "[ERROR] crds/a.yaml: apiVersion is not in 'apiextensions.k8s.io'",
            "[ERROR] crds/a.yaml: object kind is not 'CustomResourceDefinition'",
        ]
    );
    let found = findings(&[("Chart.yaml", WHOLE), ("values.yaml", "a: [")], "");
    assert!(
        found[0].starts_with("[ERROR] values.yaml: unable to parse YAML: "),
        "{found:?}"
    );
    assert!(found.contains(&"[WARNING] templates/: directory does not exist".to_owned()));
}
