//! Charts of a few files, and what is asked for.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use helm::chart::{Chart, ChartError, File, from_files};
use helm::render::{Release, Settings};
use helm::template::Request;

pub(crate) const METADATA: &str = "apiVersion: v2\nname: c\nversion: 1.0.0\nappVersion: 1.10\n";

/// A chart of files; its Chart.yaml only needs to be among them where it matters.
pub(crate) fn load(files: &[(&str, &str)]) -> Result<Chart, ChartError> {
    let mut all = vec![("Chart.yaml", METADATA)];
    all.retain(|(name, _)| !files.iter().any(|(n, _)| n == name));
    all.extend_from_slice(files);
    let files = all.iter();
    let files: Vec<File> = files.map(|(n, t)| File::new(*n, t.as_bytes())).collect();
    from_files(&files)
}

/// A first installation with values, at a fixed time and without chance.
pub(crate) fn request(values: &str) -> Result<Request, String> {
    let values = helm::values::read(values.as_bytes(), "values").map_err(|e| e.to_string())?;
    let now = go::time::Time::from_unix(1_700_000_000, 0);
    let release = Release::install("rel", "ns");
    Ok(Request::new(values, release, Settings::new(now, [1; 32])))
}

/// Compresses bytes.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
