//! Values, as a user's and as a chart's own: no panic, bounded, the same each time.
#![no_main]

use go::time::Time;
use helm::chart::{File, from_files};
use helm::render::{Release, Settings};
use helm::template::{Request, render_files};
use libfuzzer_sys::fuzz_target;

const METADATA: &[u8] = b"apiVersion: v2\nname: c\nversion: 1.0.0\n";

fuzz_target!(|bytes: &[u8]| {
    let Ok(values) = helm::values::read(bytes, "values") else {
        return;
    };
    let mut joined = values.clone();
    helm::values::overlay(&mut joined, values.clone());
    assert_eq!(joined, values);
    let files = [
        File::new("Chart.yaml", METADATA),
        File::new("values.yaml", bytes),
        File::new("templates/a.yaml", &b"{{ .Values | mustToYaml }}{{ .Values }}{{ toToml .Values }}"[..]),
    ];
    // All documents of a chart's own values count, so later ones may be refused.
    let Ok(chart) = from_files(&files) else {
        return;
    };
    let settings = Settings::new(Time::from_unix(1_700_000_000, 0), [1; 32]);
    let request = Request::new(values, Release::install("rel", "ns"), settings);
    let run = || render_files(chart.clone(), &request).map_err(|error| error.to_string());
    assert_eq!(run(), run());
});
