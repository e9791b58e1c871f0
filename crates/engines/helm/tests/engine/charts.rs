//! Charts in memory, rendered as Helm's engine renders them.

use helm::capabilities::KubeVersion;
use helm::chart::{ChartError, File, from_files};
use helm::render::Rendered;
use helm::template::render_files;

use super::fixture::{METADATA, load, request};

fn render_all(files: &[(&str, &str)], values: &str) -> Result<Vec<Rendered>, String> {
    let chart = load(files).map_err(|e| e.to_string())?;
    render_files(chart, &request(values)?).map_err(|e| e.to_string())
}

/// The output of `templates/a.yaml`, or the error.
fn render(files: &[(&str, &str)], values: &str) -> Result<String, String> {
    let rendered = render_all(files, values)?;
    let found = rendered
        .into_iter()
        .find(|f| f.path == "c/templates/a.yaml");
    found.map(|f| f.text).ok_or_else(|| "no output".to_owned())
}

fn check(template: &str, values: &str, expect: &str) {
    let out = render(&[("templates/a.yaml", template)], values);
    assert_eq!(out.as_deref(), Ok(expect), "{template}");
}

fn fails(files: &[(&str, &str)], values: &str, expect: &str) {
    assert_eq!(render(files, values), Err(expect.to_owned()), "{files:?}");
}

/// covers: HE-001, HE-004, HE-022, HE-023, HE-025, HE-026, HE-027, HE-140
#[test]
fn values_print_and_serialise_apart() {
    let values = "big: 1000000\nf: 1234567.5\noct: 0777\nver: 1.10\nid: 9007199254740993\n";
    check(
        "{{ .Values.big }} {{ toYaml .Values.big }} {{ toJson .Values.big }}",
        values,
        "1e+06 1000000 1000000",
    );
    check(
        "{{ toYaml .Values.f }} {{ toJson .Values.f }}",
        values,
        "1.2345675e+06 1234567.5",
    );
    check(
        "{{ .Values.oct }} {{ .Values.ver }} {{ toYaml .Values.id }}",
        values,
        "511 1.1 9007199254740992",
    );
    check(
        "{{ .Chart.AppVersion }} {{ toYaml nil }} {{ toYaml \"\" }} {{ toJson nil }}",
        "",
        "1.1 null \"\" null",
    );
    check("a{{ .Values.nope }}b <no value>", "", "ab ");
}

/// covers: HE-014, HE-016, HE-018, HE-020, HE-021
#[test]
fn yaml_comes_out_as_go_prints_it() {
    check(
        "{{ toYaml .Values }}",
        "m: {c10: 1, c2: 2, y: on}\nl: [1]\ns: '1:30'\n",
        "l:\n- 1\nm:\n  c2: 2\n  c10: 1\n  \"true\": true\ns: \"1:30\"",
    );
    check("{{ toYamlPretty .Values }}", "l: [1]\n", "l:\n  - 1");
    check(
        "{{ toRawJson .Values }}{{ toJson .Values }}",
        "a: <",
        "{\"a\":\"<\"}{\"a\":\"\\u003c\"}",
    );
}

/// covers: HE-049, HE-050, HE-051, HE-052, HE-138, HE-139, HE-143, HE-176
#[test]
fn errors_are_helms() {
    let a = |t| [("templates/a.yaml", t)];
    fails(
        &a("{{ required \"x\\nis needed\" .Values.x }}"),
        "",
        "execution error at (c/templates/a.yaml:1:3): x\nis needed",
    );
    fails(
        &a("{{ fail \"no\" }}"),
        "",
        "execution error at (c/templates/a.yaml:1:3): no",
    );
    check("{{ required \"m\" .Values.x }}", "x: false", "false");
    fails(
        &a("\n{{ nope }}"),
        "",
        "parse error at (c/templates/a.yaml:2): function \"nope\" not defined",
    );
    fails(
        &a("{{ include \"x\" . }}"),
        "",
        "c/templates/a.yaml:1:3\n  executing \"c/templates/a.yaml\" at <include \"x\" .>:\n    error calling include:\ntemplate: no template \"x\" associated with template \"gotpl\"",
    );
    fails(
        &a("{{ .Values.a.b }}"),
        "",
        "c/templates/a.yaml:1:10\n  executing \"c/templates/a.yaml\" at <.Values.a.b>:\n    nil pointer evaluating interface {}.b",
    );
    check(
        "{{ (fromYaml \"[1]\").Error }}",
        "",
        "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go value of type map[string]interface {}",
    );
    check(
        "{{ (fromYaml \"a: b: c\").Error }}",
        "",
        "error converting YAML to JSON: yaml: mapping values are not allowed in this context",
    );
    check(
        "{{ toToml (dict \"a\" (list nil)) }}",
        "",
        "toml: cannot encode array with nil element",
    );
}

/// covers: HE-056, HE-057, HE-058, HE-059, HE-060, HE-061, HE-168, HE-172
#[test]
fn templates_share_one_namespace() {
    let sub = "apiVersion: v2\nname: s\nversion: 1.0.0\n";
    let files = [
        (
            "templates/a.yaml",
            "{{ include \"x\" . }} {{ include \"y\" . }} {{ include (print $.Template.BasePath \"/cm.yaml\") . }}",
        ),
        (
            "templates/_a.tpl",
            "{{ define \"x\" }}a{{ end }}{{ define \"y\" }}y{{ end }}",
        ),
        (
            "templates/_b.tpl",
            "{{ define \"x\" }}b{{ end }}{{ define \"y\" }} {{ end }}",
        ),
        ("templates/cm.yaml", "cm"),
        ("charts/s/Chart.yaml", sub),
        ("charts/s/templates/_h.tpl", "{{ define \"x\" }}s{{ end }}"),
    ];
    assert_eq!(render(&files, "").as_deref(), Ok("a y cm"));
    check(
        "{{ tpl `{{ define \"q\" }}1{{ end }}{{ include \"q\" . }}{{ .Values.nope }}` . }}",
        "",
        "1",
    );
    fails(
        &[(
            "templates/a.yaml",
            "{{ tpl `{{ define \"q\" }}1{{ end }}` . }}{{ template \"q\" }}",
        )],
        "",
        "c/templates/a.yaml:1:52\n  executing \"c/templates/a.yaml\" at <{{template \"q\"}}>:\n    template \"q\" not defined",
    );
    let deep = "{{ define \"r\" }}{{ if gt . 0 }}{{ include \"r\" (sub . 1 | int) }}{{ else }}end{{ end }}{{ end }}{{ include \"r\" 900 }}";
    check(deep, "", "end");
    let endless = "{{ define \"r\" }}{{ include \"r\" . }}{{ end }}{{ include \"r\" . }}";
    let error = render(&[("templates/a.yaml", endless)], "")
        .err()
        .unwrap_or_default();
    assert!(
        error.contains("rendering template has a nested reference name: r"),
        "{error}"
    );
}

/// covers: HE-036, HE-041, HE-042, HE-044, HE-045, HE-048, HE-147
#[test]
fn values_reach_subcharts() {
    let files = [
        (
            "values.yaml",
            "s: {a: parent, m: {x: 1, z: 2}}\nglobal: {g: parent}\ndrop: 1\nnil: null\n",
        ),
        (
            "templates/a.yaml",
            "{{ toJson (omit .Values \"s\") }} {{ toJson .Values.s }} {{ .Subcharts.s.Values.a }}",
        ),
        (
            "charts/s/Chart.yaml",
            "apiVersion: v2\nname: s\nversion: 1.0.0\n",
        ),
        (
            "charts/s/values.yaml",
            "a: own\nb: own\nglobal: {g: own, h: own}\n",
        ),
    ];
    assert_eq!(
        render(&files, "drop: null\nkeep: null\ns: {m: {x: null}}\n").as_deref(),
        Ok(
            "{\"global\":{\"g\":\"parent\"},\"keep\":null} {\"a\":\"parent\",\"b\":\"own\",\"global\":{\"g\":\"parent\",\"h\":\"own\"},\"m\":{\"x\":null,\"z\":2}} parent"
        )
    );
    fails(&files, "s: text", "type mismatch on s: %!t(string=text)");
}

/// covers: HE-033, HE-034, HE-037, HE-038, HE-039
#[test]
fn dependencies_are_enabled_renamed_and_imported() {
    let chart = "apiVersion: v2\nname: c\nversion: 1.0.0\ndependencies:\n- {name: s, version: 1.x, alias: one, condition: one.enabled, import-values: [data]}\n- {name: s, version: 1.x, alias: two, tags: [t]}\n";
    let files = [
        ("Chart.yaml", chart),
        ("values.yaml", "tags: {t: false}\n"),
        (
            "templates/a.yaml",
            "{{ .Values.imported }} {{ keys .Subcharts | sortAlpha }}",
        ),
        (
            "charts/s/Chart.yaml",
            "apiVersion: v2\nname: s\nversion: 1.2.0\n",
        ),
        (
            "charts/s/values.yaml",
            "exports: {data: {imported: yes!}}\n",
        ),
        ("charts/s/templates/n.yaml", "{{ .Chart.Name }}"),
    ];
    assert_eq!(render(&files, "").as_deref(), Ok("yes! [one]"));
    assert_eq!(
        render(&files, "tags: {t: true}").as_deref(),
        Ok("yes! [one two]")
    );
    assert_eq!(
        render(&files, "one: {enabled: false}").as_deref(),
        Ok(" []")
    );
}

/// covers: HE-028, HE-088, HE-091, HE-093, HE-163, HE-164, HE-165, HE-167
#[test]
fn objects_have_fields_and_methods() {
    let files = [
        ("conf/a.txt", "1\n2\n"),
        ("conf/b.txt", "b"),
        ("empty", ""),
        (
            "templates/a.yaml",
            "{{ .Files.Get \"conf/b.txt\" }}|{{ .Files.Get \"zz\" }}|{{ .Files.Lines \"conf/a.txt\" }}|{{ (.Files.Glob \"conf/*\").AsConfig }}",
        ),
    ];
    assert_eq!(
        render(&files, "").as_deref(),
        Ok("b||[1 2]|a.txt: |\n  1\n  2\nb.txt: b")
    );
    check(
        "{{ .Capabilities.APIVersions.Has \"apps/v1\" }} {{ .Capabilities.APIVersions.Has \"x/v1\" }} {{ .Capabilities.KubeVersion }}",
        "",
        "true false v1.36.0",
    );
    check(
        "{{ .Release.Service }} {{ .Release.Revision }} {{ .Release.IsInstall }} {{ .Chart.Nope }}",
        "",
        "Helm 1 true ",
    );
    check(
        "{{ typeOf .Values }} {{ (.Values.AsMap | dig \"a\" \"b\" 0) }} {{ lookup \"v1\" \"Pod\" \"\" \"\" }}",
        "a: {b: 1}",
        "common.Values 1 map[]",
    );
    let error = render(&[("templates/a.yaml", "{{ .Values.Table }}")], "Table: 1")
        .err()
        .unwrap_or_default();
    assert!(
        error.contains("wrong number of args for Table: want 1 got 0"),
        "{error}"
    );
    let error = render(
        &[
            ("templates/a.yaml", "{{ .Files.Lines \"empty\" }}"),
            ("empty", ""),
        ],
        "",
    )
    .err()
    .unwrap_or_default();
    assert!(error.contains("index out of range"), "{error}");
}

/// covers: HE-046, HE-144, HE-146
#[test]
fn schemas_are_enforced() {
    let schema = r#"{"type":"object","required":["name"],"properties":{"age":{"type":"integer","minimum":0},"name":{"type":"string","pattern":"^[a-z]+$"}}}"#;
    let files = [("values.schema.json", schema), ("templates/a.yaml", "ok")];
    assert_eq!(render(&files, "name: a\nage: 5.0").as_deref(), Ok("ok"));
    let head =
        "values don't meet the specifications of the schema(s) in the following chart(s):\nc:\n";
    fails(
        &files,
        "name: a\nage: -5",
        &format!("{head}- at '/age': minimum: got -5, want 0\n"),
    );
    fails(
        &files,
        "age: 1",
        &format!("{head}- at '': missing property 'name'\n"),
    );
    fails(
        &files,
        "name: 1",
        &format!("{head}- at '/name': got number, want string\n"),
    );
}

/// covers: HE-029, HE-030
#[test]
fn kube_versions_are_checked() {
    let chart = "apiVersion: v2\nname: c\nversion: 1.0.0\nkubeVersion: \">=1.99\"\n";
    fails(
        &[("Chart.yaml", chart), ("templates/a.yaml", "")],
        "",
        "chart requires kubeVersion: >=1.99 which is incompatible with Kubernetes v1.36.0",
    );
    let version = KubeVersion::parse("1.33.4-gke.1").map(|v| (v.version, v.normalized, v.minor));
    assert_eq!(
        version,
        Some((
            "v1.33.4-gke.1".to_owned(),
            "v1.33.4".to_owned(),
            "33".to_owned()
        ))
    );
}

/// covers: HE-148, HE-150, HE-152
#[test]
fn broken_charts_are_refused() {
    let load = |files: &[(&str, &str)]| {
        let files: Vec<File> = files
            .iter()
            .map(|(n, t)| File::new(*n, t.as_bytes()))
            .collect();
        from_files(&files)
            .map_err(|e: ChartError| match e {
                ChartError::Subchart { source, .. } => format!("sub: {source}"),
                other => other.to_string(),
            })
            .map(|c| c.dependencies.len())
    };
    for (files, expect) in [
        (vec![("values.yaml", "")], Err("Chart.yaml file is missing")),
        (
            vec![("Chart.yaml", "name: c")],
            Err("validation: chart.metadata.version is required"),
        ),
        (
            vec![("Chart.yaml", "name: c\nversion: x")],
            Err("validation: chart.metadata.version \"x\" is invalid"),
        ),
        (
            vec![("Chart.yaml", "name: c\nversion: 1\ntype: Library")],
            Err("validation: chart.metadata.type must be application or library"),
        ),
        (
            vec![("Chart.yaml", METADATA), ("charts/README.md", "")],
            Err("sub: Chart.yaml file is missing"),
        ),
        (
            vec![
                ("Chart.yaml", METADATA),
                ("charts/_x/a", ""),
                ("charts/.h/b", ""),
            ],
            Ok(0),
        ),
        (
            vec![("Chart.yaml", "name: [a]\nversion: 1")],
            Err(
                "cannot load Chart.yaml: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go struct field Metadata.name of type string",
            ),
        ),
    ] {
        assert_eq!(
            load(&files).as_ref().map_err(String::as_str).copied(),
            expect,
            "{files:?}"
        );
    }
}
