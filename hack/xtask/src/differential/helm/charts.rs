//! Random charts: subcharts with aliases, conditions, tags and imports, values that collide, hooks,
//! schemas, notes.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::super::random::Random;

const NAMES: &[&str] = &["one", "two", "three"];
const KEYS: &[&str] = &[
    "a", "b", "c", "enabled", "global", "one", "two", "tags", "exports",
];
const KINDS: &[&str] = &[
    "ConfigMap",
    "Secret",
    "Service",
    "Deployment",
    "Zebra",
    "Namespace",
    "Job",
    "ClusterRole",
    "Certificate",
    "List",
];

/// A chart and the user's values.
pub(super) fn generate(random: &mut Random) -> (BTreeMap<String, String>, String) {
    let mut files = BTreeMap::new();
    chart(random, "c", "", 0, &mut files);
    let values = values(random, 0, 40);
    (files, Json::Object(values).to_string())
}

/// A tree of values with few names, so that charts and users meet in them.
fn values(random: &mut Random, depth: usize, nulls: usize) -> Map<String, Json> {
    let mut map = Map::new();
    for _ in 0..random.below(6) {
        let key = random.pick(KEYS);
        let value = match (key, random.below(9)) {
            ("enabled", 0..=6) => json!(random.chance(50)),
            ("tags", 0..=6) => json!({ "red": random.chance(50), "blue": random.chance(50) }),
            ("global" | "one" | "two" | "exports", _) if depth < 3 && random.chance(97) => {
                Json::Object(values(random, depth + 1, nulls))
            }
            (_, 0) if random.chance(nulls) => Json::Null,
            (_, 1) => json!(random.below(3_000_000)),
            (_, 2) => json!(random.chance(50)),
            (_, 3) => json!([1, random.pick(KEYS), { "k": random.below(9) }]),
            (_, 4) => json!(0.5 + f64::from(u8::try_from(random.below(40)).unwrap_or(0))),
            (_, 5 | 6) if depth < 3 => Json::Object(values(random, depth + 1, nulls)),
            _ => json!(random.pick(&["x", "", "yes", "1e3", "a: b", "two words", "multi\nline\n"])),
        };
        map.insert(key.to_owned(), value);
    }
    map
}

fn chart(
    random: &mut Random,
    name: &str,
    folder: &str,
    depth: usize,
    files: &mut BTreeMap<String, String>,
) {
    let mut metadata = json!({
        "apiVersion": random.pick(&["v2", "v2", "v2", "v1"]), "name": name,
        "version": random.pick(&["1.0.0", "0.3.1", "2.1.0-rc.1", "1.2"]),
        "description": "a & <b>", "appVersion": random.pick(&["1.0", "v2", "latest"]),
        "maintainers": [{ "name": "m", "email": "m@example.com" }],
        "annotations": { "z": "1", "a": "2" }, "keywords": ["k"],
    });
    if depth > 0 && random.chance(10) {
        metadata["type"] = json!("library");
    }
    if random.chance(6) {
        metadata["kubeVersion"] = json!(random.pick(&[">=1.20.0-0", "^1.10", "<1.0", ">=1.36"]));
    }
    if depth < 2 {
        let wanted = subcharts(random, folder, depth, files);
        if !wanted.is_empty() && random.chance(90) {
            metadata["dependencies"] = json!(wanted);
        }
    }
    if random.chance(85) {
        let own = Json::Object(values(random, 0, 30));
        files.insert(format!("{folder}values.yaml"), own.to_string());
    }
    if random.chance(15) {
        files.insert(
            format!("{folder}values.schema.json"),
            schema(random).to_string(),
        );
    }
    files.insert(format!("{folder}Chart.yaml"), metadata.to_string());
    files.insert(format!("{folder}files/x.conf"), format!("x={name}\ny=2\n"));
    files.insert(format!("{folder}templates/_h.tpl"), partials(random, name));
    for number in 0..=random.below(3) {
        let path = format!("{folder}templates/t{number}.yaml");
        files.insert(path, template(random));
    }
    if random.chance(30) {
        let notes = "{{ .Release.Name }} of {{ .Chart.Name }}: {{ .Values.a }}\n";
        files.insert(format!("{folder}templates/NOTES.txt"), notes.to_owned());
    }
}

/// Writes subcharts; what the parent asks for.
fn subcharts(
    random: &mut Random,
    folder: &str,
    depth: usize,
    files: &mut BTreeMap<String, String>,
) -> Vec<Json> {
    let mut wanted = Vec::new();
    for name in NAMES.iter().take(random.below(4)) {
        chart(
            random,
            name,
            &format!("{folder}charts/{name}/"),
            depth + 1,
            files,
        );
        for copy in 0..=usize::from(random.chance(15)) {
            let mut dependency = json!({
                "name": name, "version": random.pick(&[">=0.0.0-0", ">=0.0.0-0", "*", "1.x", ""]),
                "repository": "https://example.com",
            });
            if copy > 0 || random.chance(15) {
                dependency["alias"] = json!(format!("{name}{copy}x"));
            }
            if random.chance(40) {
                let paths = ["one.enabled", "two.enabled,a", "enabled", "global.enabled"];
                dependency["condition"] = json!(random.pick(&paths));
            }
            if random.chance(25) {
                dependency["tags"] = json!([random.pick(&["red", "blue"])]);
            }
            if random.chance(30) {
                let child = random.pick(&["a", "global", "exports.b"]);
                let parent = random.pick(&["c", ".", "b.x", "one"]);
                dependency["import-values"] = json!([random.pick(&["a", "b"]),
                    { "child": child, "parent": parent }]);
            }
            wanted.push(dependency);
        }
    }
    wanted
}

fn schema(random: &mut Random) -> Json {
    let kind = random.pick(&["string", "number", "integer", "boolean", "object", "null"]);
    let others = ["string", "number", "array"];
    let other = random.pick(
        &others
            .into_iter()
            .filter(|o| *o != kind)
            .collect::<Vec<_>>(),
    );
    let key = random.pick(&["a", "b", "c"]);
    match random.below(7) {
        0 => json!({ "type": "object", "required": [key] }),
        1 => json!({ "properties": { key: { "type": kind } } }),
        2 => json!({ "properties": { key: { "type": [kind, other] } } }),
        3 => json!({ "properties": { key: { "enum": ["x", 1, true] } } }),
        4 => json!({ "properties": { key: { "anyOf": [{ "type": kind }, { "type": other }] } } }),
        5 => json!({ "properties": { "a": { "type": kind }, "b": { "type": other },
            "c": { "minLength": 2, "maximum": 10 } } }),
        _ => json!({ "$schema": "http://json-schema.org/draft-07/schema#",
            "properties": { key: { "oneOf": [{ "type": kind }, { "minLength": 1 }] } } }),
    }
}

fn partials(random: &mut Random, name: &str) -> String {
    let mut text =
        format!("{{{{- define \"{name}.id\" -}}}}{name}-{{{{ .Release.Name }}}}{{{{- end }}}}\n");
    // Several charts define these: who wins is part of what is compared.
    for shared in ["shared", "other"] {
        if random.chance(50) {
            text.push_str(&format!(
                "{{{{ define \"{shared}\" }}}}{shared} of {name}{{{{ end }}}}\n"
            ));
        }
    }
    text.push_str("{{ define \"always\" }}{{ .Chart.Name }}{{ end }}\n");
    text
}

fn template(random: &mut Random) -> String {
    let mut text = String::new();
    for number in 0..=random.below(3) {
        if number > 0 {
            text.push_str(random.pick(&["---\n", "--- # more\n", "\n---\n\n", "---\r\n"]));
        }
        let kind = random.pick(KINDS);
        text.push_str(&format!(
            "apiVersion: v1\nkind: {kind}\nmetadata:\n  name: n{number}-{{{{ include \"always\" . }}}}\n"
        ));
        if random.chance(25) {
            let event = random.pick(&["pre-install", "post-install,test", "Test", "crd-install"]);
            let weight = random.pick(&["5", "-3", "0", "x"]);
            text.push_str(&format!(
                "  annotations:\n    helm.sh/hook: {event}\n    helm.sh/hook-weight: \"{weight}\"\n    helm.sh/hook-delete-policy: hook-succeeded, before-hook-creation\n"
            ));
        }
        for line in 0..=random.below(4) {
            let calls = if random.chance(3) { RISKY } else { CALLS };
            let call = random.pick(calls);
            text.push_str(&format!("v{line}: {call}\n"));
        }
    }
    text
}

/// What stands behind a key of a document.
const CALLS: &[&str] = &[
    "{{ .Values.a | toJson }}",
    "{{ .Values.a | quote }}",
    "{{ .Values | toYaml | quote }}",
    "{{- .Values | toYaml | nindent 2 }}",
    "{{ .Values.global | toJson }}",
    "{{ .Values.c | default \"none\" | quote }}",
    "{{ .Chart | toJson | quote }}",
    "{{ .Chart.Name }}-{{ .Chart.IsRoot }}",
    "{{ .Subcharts | keys | sortAlpha | join \",\" | quote }}",
    "{{ .Template.Name | quote }} # {{ .Template.BasePath }}",
    "{{ .Files.Get \"files/x.conf\" | quote }}",
    "{{- (.Files.Glob \"files/*\").AsConfig | nindent 2 }}",
    "{{ .Release | toJson }}",
    "{{ .Capabilities.KubeVersion }}",
    "{{ if .Values.enabled }}on{{ else }}off{{ end }}",
    "{{ range $k, $v := .Values }}{{ $k }}={{ kindOf $v }};{{ end }}",
    "{{ tpl \"{{ .Values.a }}{{ .Chart.Name }}\" . | quote }}",
    "{{ $_ := set .Values \"seen\" .Chart.Name }}{{ .Values.seen }}",
    "{{ with .Values.one }}{{ .a | toJson }}{{ end }}",
];

/// The same, where values of many a chart make it fail.
const RISKY: &[&str] = &[
    "{{ include \"shared\" . | quote }}",
    "{{ .Values.one.a | toJson }}",
    "{{ required \"a is wanted\" .Values.a | toJson }}",
    "{{ .Values.b }}",
    "{{ .Values.a | toYaml }}",
];
