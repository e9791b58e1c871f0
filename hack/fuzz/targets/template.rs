//! Charts of one template and its values: no panic, bounded, the same each time; what comes out is YAML.
//!
//! The input is the template; after a line `%%%` come the values.
#![no_main]

use go::time::Time;
use helm::chart::{File, from_files};
use helm::render::{Release, Settings};
use helm::template::{Request, template};
use libfuzzer_sys::fuzz_target;
use yaml::{Reader, Schema};

const METADATA: &[u8] = b"apiVersion: v2\nname: c\nversion: 1.0.0\n";

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let (body, values) = text.split_once("\n%%%\n").unwrap_or((&text, ""));
    let Ok(values) = helm::values::read(values.as_bytes(), "values") else {
        return;
    };
    let files = [
        File::new("Chart.yaml", METADATA),
        File::new("templates/a.yaml", body.as_bytes()),
    ];
    let chart = from_files(&files).expect("the chart is whole");
    let mut settings = Settings::new(Time::from_unix(1_700_000_000, 0), [1; 32]);
    settings.limits.steps = 20_000;
    settings.limits.output_bytes = 1 << 20;
    let request = Request::new(values, Release::install("rel", "ns"), settings);
    let run = || template(chart.clone(), &request).map_err(|error| error.to_string());
    match (run(), run()) {
        (Ok(one), Ok(other)) => {
            assert_eq!(one.documents, other.documents);
            for manifest in one.documents.manifests {
                let reader = Reader::new(Schema::Legacy);
                let read = reader.read_first(manifest.content.as_bytes(), "");
                let node = read.expect("what is sorted is YAML");
                let _json = node.map(|node| yaml::to_json(&node).expect("JSON can hold it"));
            }
        }
        (Err(one), Err(other)) => assert_eq!(one, other),
        (one, other) => panic!("{one:?} and then {other:?}"),
    }
});
