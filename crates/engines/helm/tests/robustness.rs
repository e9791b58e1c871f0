//! Whatever bytes come in, there is an answer and no panic.
#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use helm::capabilities::Capabilities;
use helm::chart::{File, from_files, read_archive};
use helm::release::Record;
use helm::render::{Mode, Release, Settings};
use helm::template::Request;
use helm::values::{SetKind, set};
use proptest::prelude::*;
use serde_json::Map;

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

fn render(template: &str, values: &[u8]) {
    let Ok(values) = helm::values::read(values, "values") else {
        return;
    };
    let files = [
        File::new(
            "Chart.yaml",
            &b"apiVersion: v2\nname: c\nversion: 1.0.0\n"[..],
        ),
        File::new("templates/a.yaml", template.as_bytes()),
    ];
    let chart = from_files(&files).unwrap();
    let request = Request {
        values,
        release: Release {
            name: "rel".to_owned(),
            namespace: "ns".to_owned(),
            revision: 1,
            is_upgrade: false,
        },
        capabilities: Capabilities::default(),
        settings: Settings {
            mode: Mode::Normal,
            now: go::time::Time::from_unix(1_700_000_000, 0),
            seed: [1; 32],
            limits: gotemplate::Limits {
                steps: 20_000,
                output_bytes: 1 << 20,
                depth: 100,
            },
            lookup: None,
        },
        skip_schema: false,
        sub_notes: false,
    };
    helm::template(chart, &request).ok();
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn templates_render_or_fail(text in template(), values in "(a: |b: |\\[|\\{|x|1|\n| |-){0,12}") {
        render(&text, values.as_bytes());
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
