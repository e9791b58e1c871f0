//! Archives of charts, compressed and not: no panic, bounded; what loads can be packed, rendered and linted.
#![no_main]

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use go::time::Time;
use helm::chart::{archive_files, read_archive};
use helm::render::{Release, Settings};
use helm::template::{Request, template};
use libfuzzer_sys::fuzz_target;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

fuzz_target!(|bytes: &[u8]| {
    for archive in [bytes.to_vec(), gzip(bytes)] {
        let Ok(files) = archive_files("c.tgz", &archive) else {
            continue;
        };
        let mut settings = Settings::new(Time::from_unix(1_700_000_000, 0), [1; 32]);
        settings.limits.steps = 5_000;
        settings.limits.output_bytes = 1 << 18;
        let request = Request::new(Default::default(), Release::install("rel", "ns"), settings);
        for finding in helm::lint::lint(&files, "/c", &request) {
            assert!(!finding.to_string().is_empty());
        }
        if let Ok(chart) = read_archive("c.tgz", &archive) {
            template(chart, &request).ok();
        }
    }
});
