//! Charts in a .tgz.

use std::io::Read as _;

use flate2::read::MultiGzDecoder;

use super::{Chart, ChartError, File, MAX_CHART_BYTES, MAX_FILE_BYTES, from_files};

/// Loads a chart from a gzipped archive.
pub fn read_archive(name: &str, bytes: &[u8]) -> Result<Chart, ChartError> {
    read_archive_within(name, bytes, MAX_FILE_BYTES)
}

/// Loads a chart from a gzipped archive none of whose files has more than `max_file_bytes`.
pub fn read_archive_within(
    name: &str,
    bytes: &[u8],
    max_file_bytes: usize,
) -> Result<Chart, ChartError> {
    from_files(&files_within(name, bytes, max_file_bytes)?)
}

fn refuse<T>(text: impl Into<String>) -> Result<T, ChartError> {
    Err(ChartError::Archive(text.into()))
}

/// The files of an archive in its order, the chart's own folder taken off their names.
pub fn archive_files(name: &str, bytes: &[u8]) -> Result<Vec<File>, ChartError> {
    files_within(name, bytes, MAX_FILE_BYTES)
}

fn files_within(name: &str, bytes: &[u8], max_file_bytes: usize) -> Result<Vec<File>, ChartError> {
    if !bytes.starts_with(&[0x1f, 0x8b, 0x08]) {
        return refuse(format!(
            "file '{name}' does not appear to be a gzipped archive; got '{}'",
            if std::str::from_utf8(bytes).is_ok() {
                "text/plain; charset=utf-8"
            } else {
                "application/octet-stream"
            }
        ));
    }
    let broken = |e: std::io::Error| ChartError::Archive(e.to_string());
    let mut archive = tar::Archive::new(MultiGzDecoder::new(bytes));
    let mut files = Vec::new();
    let mut total = 0_usize;
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let kind = entry.header().entry_type();
        if kind.is_dir() || kind.is_pax_global_extensions() || kind.is_pax_local_extensions() {
            continue;
        }
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let name = inner_name(&path)?;
        let limit = max_file_bytes.min(MAX_CHART_BYTES - total) as u64 + 1;
        let mut data = Vec::new();
        // A link has no content, whatever its header says.
        if !kind.is_symlink() && !kind.is_hard_link() {
            entry
                .by_ref()
                .take(limit)
                .read_to_end(&mut data)
                .map_err(broken)?;
        }
        if data.len() > max_file_bytes {
            return refuse(format!(
                "decompressed chart file {path:?} is larger than the maximum file size {max_file_bytes}"
            ));
        }
        total += data.len();
        if total > MAX_CHART_BYTES {
            return refuse(format!(
                "decompressed chart is larger than the maximum size {MAX_CHART_BYTES}"
            ));
        }
        files.push(File::new(name, super::load::without_mark(data)));
    }
    if files.is_empty() {
        return refuse("no files in chart archive");
    }
    Ok(files)
}

/// The path inside the chart, checked against everything that would leave it.
fn inner_name(path: &str) -> Result<String, ChartError> {
    let separator = if path.contains('\\') { '\\' } else { '/' };
    let mut parts = path.split(separator);
    let first = parts.next().unwrap_or_default();
    let rest: Vec<&str> = parts.collect();
    let joined = rest.join("/");
    if joined.starts_with('/') {
        return refuse("chart illegally contains absolute paths");
    }
    let name = go::path::clean(&joined);
    if name == "." {
        return refuse(format!(
            "chart illegally contains content outside the base directory: {path:?}"
        ));
    }
    if name.starts_with("..") {
        return refuse("chart illegally references parent directory");
    }
    let bytes = name.as_bytes();
    if bytes.len() > 2 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':' && bytes[2] == b'/' {
        return refuse("chart contains illegally named files");
    }
    if first == "Chart.yaml" {
        return refuse("chart yaml not in base directory");
    }
    Ok(name)
}
