//! Charts and values that mean harm, or are merely broken: a clear error, soon, and no panic.

use helm::chart::read_archive;
use serde_json::Map;

use super::fixture::{self, gzip, request};

const CHART: &str = "apiVersion: v2\nname: c\nversion: 1.0.0\n";

fn render(files: &[(&str, &str)], values: &str) -> Result<String, String> {
    let chart = fixture::load(files).map_err(|e| e.to_string())?;
    let mut request = request(values)?;
    // A hundredth of what a controller allows, since tests run unoptimised.
    request.settings.limits.steps = 500_000;
    request.settings.limits.output_bytes = 4 << 20;
    let output = helm::template(chart, &request).map_err(|e| e.to_string())?;
    Ok(output.manifest(false))
}

/// Renders one template, which must fail before the test's time is over.
fn fails(template: &str, expect: &str) {
    let error = render(&[("templates/a.yaml", template)], "").unwrap_err();
    assert!(error.contains(expect), "{template}: {error}");
}

/// covers: HE-175
#[test]
fn templates_cannot_run_for_ever() {
    for (template, expect) in [
        (
            "{{ range until 9999999 }}{{ range until 9999999 }}{{ end }}{{ end }}",
            "rendering ",
        ),
        ("{{ range 9999999999 }}x{{ end }}", "rendering "),
        (
            "{{ define \"r\" }}{{ include \"r\" . }}{{ end }}{{ include \"r\" . }}",
            "rendering template has a nested reference name: r",
        ),
        (
            "{{ define \"r\" }}{{ template \"r\" . }}{{ end }}{{ template \"r\" . }}",
            "exceeded maximum template depth",
        ),
        (
            "{{ define \"r\" }}{{ tpl \"{{ include \\\"r\\\" . }}\" . }}{{ end }}{{ include \"r\" . }}",
            "nested reference name",
        ),
        ("{{ untilStep 0 999999999 1 | len }}", "rendering"),
        ("{{ seq 999999999 }}", "rendering"),
    ] {
        fails(template, expect);
    }
}

#[test]
fn templates_cannot_take_all_memory() {
    for template in [
        "{{ repeat 999999999 \"xxxxxxxxxxxxxxxx\" }}",
        "{{ indent 999999999 \"a\" }}",
        "{{ nindent 999999999 \"a\" }}",
        "{{ printf \"%999999d\" 1 | repeat 100000 }}",
        "{{ $x := \"0123456789\" }}{{ range until 60 }}{{ $x = print $x $x }}{{ end }}{{ $x }}",
        "{{ $x := list 1 }}{{ range until 60 }}{{ $x = concat $x $x }}{{ end }}{{ len $x }}",
        "{{ $x := \"0123456789\" }}{{ range until 60 }}{{ $x = cat (quote $x) $x }}{{ end }}{{ $x }}",
        "{{ regexReplaceAll \"x\" (repeat 100000 \"x\") (repeat 100000 \"y\") }}",
        "{{ randAlphaNum 999999999 }}",
        "{{ replace \"\" (repeat 100000 \"x\") (repeat 100000 \"y\") }}",
        "{{ wrap 1 (repeat 3000000 \"a \") }}",
    ] {
        fails(template, "");
    }
}

/// A map in itself, and one so deep that freeing it by recursion would end the process.
#[test]
fn values_may_nest_or_hold_themselves() {
    for template in [
        "{{ $m := dict }}{{ $_ := set $m \"m\" $m }}a: {{ $m | toJson | len }}",
        "{{ $m := dict }}{{ $_ := set $m \"m\" $m }}{{ $m }}",
        "{{ $m := dict }}{{ $_ := set $m \"m\" $m }}{{ deepCopy $m | len }}",
        "{{ $m := dict }}{{ $_ := set $m \"m\" $m }}{{ toYaml $m }}{{ toToml $m }}{{ deepEqual $m $m }}",
        "{{ $m := dict }}{{ range until 100000 }}{{ $m = dict \"a\" $m }}{{ end }}a: {{ len $m }}",
        "{{ $m := list }}{{ range until 100000 }}{{ $m = list $m }}{{ end }}{{ $m }}",
        "{{ $m := list }}{{ range until 100000 }}{{ $m = list $m }}{{ end }}{{ toYamlPretty $m }}",
    ] {
        // What it gives is not the point; that it ends is.
        render(&[("templates/a.yaml", template)], "").ok();
    }
}

#[test]
fn long_parse_trees_are_bounded() {
    let deep = format!("{}1{}", "(".repeat(200_000), ")".repeat(200_000));
    render(&[("templates/a.yaml", &format!("{{{{ {deep} }}}}"))], "").unwrap_err();
    let nested = "{{ if true }}".repeat(200_000);
    render(&[("templates/a.yaml", &nested)], "").unwrap_err();
    render(&[("templates/a.yaml", &"[".repeat(200_000))], "").unwrap_err();
    let values = format!("a: {}", "[".repeat(200_000));
    render(&[("templates/a.yaml", "")], &values).unwrap_err();
}

#[test]
fn set_expressions_are_bounded() {
    for expression in [
        "a[999999999]=x",
        "a[0][999999999]=x",
        "a[99999999999999999999]=x",
        &format!("{}=1", vec!["a"; 100].join(".")),
        &format!("a{}=1", "[0]".repeat(1000)),
    ] {
        let mut values = Map::new();
        helm::values::set(&mut values, expression, helm::values::SetKind::Typed).unwrap_err();
    }
}

#[test]
fn schemas_may_refer_to_themselves() {
    for schema in [
        r##"{"$ref":"#"}"##,
        r##"{"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}},"$ref":"#/$defs/a"}"##,
        r##"{"properties":{"a":{"$ref":"#"}},"allOf":[{"$ref":"#"}]}"##,
        r#"{"$ref":"http://127.0.0.1:1/schema.json"}"#,
        r#"{"$ref":"file:///etc/passwd"}"#,
        r#"{"properties":{"a":{"pattern":"(a+)+$"}}}"#,
        "[1",
    ] {
        let files = [("values.schema.json", schema), ("templates/a.yaml", "a: 1")];
        let values = format!("a: {}b", "a".repeat(10_000));
        if let Err(error) = render(&files, &values) {
            assert!(
                error.contains("values don't meet the specifications"),
                "{error}"
            );
        }
    }
}

/// covers: HE-145
#[test]
fn schemas_are_not_fetched() {
    let files = [(
        "values.schema.json",
        r#"{"properties":{"a":{"$ref":"http://127.0.0.1:1/x.json"}}}"#,
    )];
    let error = render(&files, "a: 1").unwrap_err();
    assert!(error.contains("is not fetched"), "{error}");
}

#[test]
fn broken_output_names_its_file() {
    for broken in ["a: b: c", "\t- x", "a: [", "a: *nope", "- {", "a: \u{1}"] {
        let error = render(&[("templates/sub/x.yaml", broken)], "").unwrap_err();
        assert!(
            error.starts_with("YAML parse error on c/templates/sub/x.yaml: "),
            "{error}"
        );
    }
    let laughs = "a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c]\ne: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d]\nf: &f [*e, *e, *e, *e, *e, *e, *e, *e, *e]\ng: &g [*f, *f, *f, *f, *f, *f, *f, *f, *f]\nh: [*g, *g, *g, *g, *g, *g, *g, *g, *g]\n";
    render(&[("templates/x.yaml", laughs)], "").unwrap_err();
    render(&[("templates/x.yaml", "")], laughs).unwrap_err();
}

/// Errors lead to the template, the line, the column and the value.
#[test]
fn errors_say_where_and_what() {
    let files = [(
        "templates/a.yaml",
        "kind: A\nname: {{ required \"set .Values.name to the name\" .Values.name }}\n",
    )];
    assert_eq!(
        render(&files, "").unwrap_err(),
        "execution error at (c/templates/a.yaml:2:9): set .Values.name to the name"
    );
    let files = [("templates/a.yaml", "a:\n  {{ .Values.db.host.name }}\n")];
    assert_eq!(
        render(&files, "").unwrap_err(),
        "c/templates/a.yaml:2:12\n  executing \"c/templates/a.yaml\" at <.Values.db.host.name>:\n    nil pointer evaluating interface {}.host"
    );
    let schema =
        r#"{"properties":{"db":{"required":["host"],"properties":{"port":{"type":"integer"}}}}}"#;
    let error = render(&[("values.schema.json", schema)], "db: {port: x}").unwrap_err();
    assert!(
        error.contains("- at '/db': missing property 'host'"),
        "{error}"
    );
    assert!(
        error.contains("- at '/db/port': got string, want integer"),
        "{error}"
    );
}

/// A tar with entries as they are given: names, kinds, contents.
fn tar(entries: &[(&str, tar::EntryType, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, kind, data) in entries {
        let mut header = tar::Header::new_gnu();
        // The library's own setter refuses what is wanted here.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(data.len() as u64);
        header.set_mode(0o644);
        if kind.is_symlink() || kind.is_hard_link() {
            header.as_old_mut().linkname[..11].copy_from_slice(b"/etc/passwd");
        }
        header.set_cksum();
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(data);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

fn load(entries: &[(&str, tar::EntryType, &[u8])]) -> Result<helm::chart::Chart, String> {
    read_archive("c.tgz", &gzip(&tar(entries))).map_err(|e| e.to_string())
}

const FILE: tar::EntryType = tar::EntryType::Regular;

#[test]
fn archives_cannot_leave_their_folder() {
    let chart = ("c/Chart.yaml", FILE, CHART.as_bytes());
    for (name, expect) in [
        (
            "c/../../etc/passwd",
            "chart illegally references parent directory",
        ),
        (
            "c/templates/../../x",
            "chart illegally references parent directory",
        ),
        ("c//etc/passwd", "chart illegally contains absolute paths"),
        (
            "c/.",
            "chart illegally contains content outside the base directory: \"c/.\"",
        ),
        (
            "c",
            "chart illegally contains content outside the base directory: \"c\"",
        ),
        (
            "c\\..\\..\\x",
            "chart illegally references parent directory",
        ),
        ("c/C:/x", "chart contains illegally named files"),
        ("Chart.yaml/x", "chart yaml not in base directory"),
    ] {
        let error = load(&[chart, (name, FILE, b"x")]).unwrap_err();
        assert_eq!(error, expect, "{name}");
    }
    let loaded = load(&[chart, ("c/templates/./x/../a.yaml", FILE, b"a: 1")]).unwrap();
    assert_eq!(loaded.templates[0].name, "templates/a.yaml");
}

/// covers: HE-154
#[test]
fn links_in_archives_lead_nowhere() {
    let loaded = load(&[
        ("c/Chart.yaml", FILE, CHART.as_bytes()),
        ("c/templates/a.yaml", tar::EntryType::Symlink, b""),
        ("c/b", tar::EntryType::Link, b""),
        ("c/templates", tar::EntryType::Directory, b""),
    ])
    .unwrap();
    assert!(loaded.templates[0].data.is_empty());
    assert!(loaded.files[0].data.is_empty());
}

#[test]
fn archives_that_are_none_are_refused() {
    assert_eq!(load(&[]).unwrap_err(), "no files in chart archive");
    assert_eq!(
        load(&[("c/x", FILE, b"")]).unwrap_err(),
        "Chart.yaml file is missing"
    );
    for bytes in [
        &b""[..],
        b"apiVersion: v1",
        &[0x1f, 0x8b, 0x08],
        &gzip(b"no tar"),
    ] {
        read_archive("c.tgz", bytes).unwrap_err();
    }
    let whole = gzip(&tar(&[("c/Chart.yaml", FILE, CHART.as_bytes())]));
    for cut in 0..whole.len() {
        // A cut may leave the whole chart: what follows is only the end of the archive.
        read_archive("c.tgz", &whole[..cut]).ok();
    }
    for at in 0..whole.len() {
        let mut broken = whole.clone();
        broken[at] ^= 0xff;
        read_archive("c.tgz", &broken).ok();
    }
}

#[test]
fn bombs_are_not_unpacked() {
    let large = vec![0; (5 << 20) + 1];
    let error = load(&[
        ("c/Chart.yaml", FILE, CHART.as_bytes()),
        ("c/x", FILE, &large),
    ]);
    assert_eq!(
        error.unwrap_err(),
        "decompressed chart file \"c/x\" is larger than the maximum file size 5242880"
    );
    let many: Vec<_> = std::iter::once(("c/Chart.yaml", FILE, CHART.as_bytes()))
        .chain(std::iter::repeat_n(("c/x", FILE, &large[..5 << 20]), 21))
        .collect();
    let error = load(&many).unwrap_err();
    assert_eq!(
        error,
        "decompressed chart is larger than the maximum size 104857600"
    );
    // A chart in a chart in a chart, each of them an archive.
    let mut inner = gzip(&tar(&[("c/Chart.yaml", FILE, CHART.as_bytes())]));
    for _ in 0..100 {
        inner = gzip(&tar(&[
            ("c/Chart.yaml", FILE, CHART.as_bytes()),
            ("c/charts/c.tgz", FILE, &inner),
        ]));
    }
    let error = read_archive("c.tgz", &inner).unwrap_err().to_string();
    assert!(error.contains("subcharts nest deeper"), "{error}");
}
