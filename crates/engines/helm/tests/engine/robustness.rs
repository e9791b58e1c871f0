//! Whatever bytes come in, there is an answer and no panic.

use helm::chart::read_archive;
use helm::release::Record;
use helm::values::{SetKind, set};
use proptest::prelude::*;
use serde_json::Map;

use super::fixture::{gzip, load, request};

const WORDS: &str = "range if else end with block break continue tpl printf index slice dict list set merge until repeat toYaml fromYaml toToml toJson regexReplaceAll date dig semver substr trunc wrapWith round include template define";

const SIGNS: &[&str] = &[
    "{{",
    "}}",
    "{{- ",
    " -}}",
    ".Values",
    ".Values.a ",
    ".Chart ",
    ".Files",
    " $",
    "$x ",
    ":=",
    "=",
    "|",
    "(",
    ")",
    " . ",
    ",",
    " nil ",
    " true ",
    " 0 ",
    " -1 ",
    " 9223372036854775807 ",
    " 1e999 ",
    "0x",
    "'a'",
    "\"%v\"",
    "\"a\" ",
    "`",
    "/*",
    "*/",
    "\n",
    "\u{e9}",
    "\u{0}",
];

/// Pieces that mean something to a template, so that random texts reach beyond the lexer.
fn template() -> impl Strategy<Value = String> {
    let words: Vec<String> = WORDS.split(' ').map(|word| format!(" {word} ")).collect();
    let piece = prop_oneof![
        prop::sample::select(words),
        prop::sample::select(SIGNS).prop_map(str::to_owned),
        "[ -~]{0,6}",
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn render(template: &str, values: &str) {
    let Ok(mut request) = request(values) else {
        return;
    };
    request.settings.limits = gotemplate::Limits {
        steps: 20_000,
        output_bytes: 1 << 20,
        depth: 100,
    };
    let chart = load(&[("templates/a.yaml", template)]).unwrap();
    helm::template(chart, &request).ok();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn templates_render_or_fail(text in template(), values in "(a: |b: |\\[|\\{|x|1|\n| |-){0,12}") {
        render(&text, &values);
    }

    #[test]
    fn values_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        helm::values::read(&bytes, "values").ok();
    }

    #[test]
    fn set_expressions_are_taken_or_refused(text in "[a-c.,=\\[\\]{}0-9\\\\\"é ]{0,40}") {
        for kind in [SetKind::Typed, SetKind::Text, SetKind::Json, SetKind::Literal] {
            set(&mut Map::new(), &text, kind).ok();
        }
    }

    #[test]
    fn archives_load_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..2048)) {
        read_archive("c.tgz", &bytes).ok();
        read_archive("c.tgz", &gzip(&bytes)).ok();
    }

    #[test]
    fn records_are_read_or_refused(text in "[\\[\\]{}:,\"a-z0-9.]{0,60}") {
        Record::decode(&base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &text).into_bytes()).ok();
    }
}
