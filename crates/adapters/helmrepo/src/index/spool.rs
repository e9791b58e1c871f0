//! Versions put aside until their order is known.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use helm::repository::ChartVersion;
use semver::Version;
use serde_json::Value as Json;

use super::{Head, IndexError, NO_TIME};

/// How far a version is indented in what is published.
const INDENT: &str = "      ";
/// How much is copied at once.
const COPIED: usize = 64 << 10;

/// Where one version is put aside.
#[derive(Debug)]
struct Place {
    /// Absent where it is no version: such sort behind all others.
    version: Option<Version>,
    offset: u64,
    length: u64,
}

#[derive(Debug)]
pub(crate) struct Spool {
    file: BufWriter<File>,
    offset: u64,
    charts: BTreeMap<String, Vec<Place>>,
    current: String,
}

impl Spool {
    pub(crate) fn new(scratch: &Path) -> Result<Self, IndexError> {
        let file = tempfile::tempfile_in(scratch).map_err(IndexError::Read)?;
        Ok(Self {
            file: BufWriter::with_capacity(COPIED, file),
            offset: 0,
            charts: BTreeMap::new(),
            current: String::new(),
        })
    }

    /// Begins a chart.
    pub(crate) fn chart(&mut self, name: &str) -> Result<(), IndexError> {
        if self.charts.insert(name.to_owned(), Vec::new()).is_some() {
            return Err(IndexError::Malformed(format!(
                "error converting YAML to JSON: yaml: unmarshal errors: key {name:?} already set in map"
            )));
        }
        name.clone_into(&mut self.current);
        Ok(())
    }

    /// Puts a version of the current chart aside, if it is valid.
    pub(crate) fn version(&mut self, version: &ChartVersion) -> Result<(), IndexError> {
        if !version.is_valid() {
            return Ok(());
        }
        let text = pretty(&Json::Object(version.to_json()), INDENT);
        self.file
            .write_all(text.as_bytes())
            .map_err(IndexError::Read)?;
        let place = Place {
            version: Version::parse(&version.metadata.version).ok(),
            offset: self.offset,
            length: text.len() as u64,
        };
        self.offset += place.length;
        self.charts
            .entry(self.current.clone())
            .or_default()
            .push(place);
        Ok(())
    }

    /// Writes everything in order.
    pub(crate) fn write(self, head: &Head, out: &mut dyn Write) -> Result<(), IndexError> {
        let file = self.file.into_inner();
        let file = file.map_err(|error| IndexError::Read(error.into_error()))?;
        let (api, generated) = (
            &head.api_version,
            head.generated.as_deref().unwrap_or(NO_TIME),
        );
        let mut text = format!(
            "{{\n  \"apiVersion\": {},\n  \"generated\": {},\n  \"entries\": {{",
            Json::from(api.as_str()),
            Json::from(generated)
        );
        for (at, (name, mut places)) in self.charts.into_iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            push(
                &mut text,
                format_args!("{comma}\n    {}: [", Json::from(name)),
            );
            // The highest first; equal ones stay as they came.
            places.sort_by(|a, b| match (&a.version, &b.version) {
                (Some(a), Some(b)) => b.precedence(a),
                (a, b) => b.is_some().cmp(&a.is_some()),
            });
            let empty = places.is_empty();
            for (at, place) in places.iter().enumerate() {
                text.push_str(if at > 0 { ",\n" } else { "\n" });
                text.push_str(INDENT);
                out.write_all(text.as_bytes()).map_err(IndexError::Write)?;
                text.clear();
                copy(&file, place, out)?;
            }
            text.push_str(if empty { "]" } else { "\n    ]" });
        }
        text.push_str("\n  }");
        for (name, value) in &head.rest {
            push(
                &mut text,
                format_args!(
                    ",\n  {}: {}",
                    Json::from(name.as_str()),
                    pretty(value, "  ")
                ),
            );
        }
        text.push_str("\n}");
        out.write_all(text.as_bytes()).map_err(IndexError::Write)
    }
}

fn copy(file: &File, place: &Place, out: &mut dyn Write) -> Result<(), IndexError> {
    let mut buffer = [0; 4096];
    let (mut offset, end) = (place.offset, place.offset + place.length);
    while offset < end {
        let count =
            usize::try_from(end - offset).map_or(buffer.len(), |left| left.min(buffer.len()));
        let read = file.read_exact_at(&mut buffer[..count], offset);
        read.map_err(IndexError::Read)?;
        out.write_all(&buffer[..count]).map_err(IndexError::Write)?;
        offset += count as u64;
    }
    Ok(())
}

/// Prints JSON over several lines, all but the first indented.
fn pretty(json: &Json, indent: &str) -> String {
    let text = serde_json::to_string_pretty(json).unwrap_or_default();
    let mut out = String::with_capacity(text.len() + 64);
    for (at, line) in text.lines().enumerate() {
        if at > 0 {
            out.push('\n');
            out.push_str(indent);
        }
        out.push_str(line);
    }
    out
}

fn push(text: &mut String, words: std::fmt::Arguments<'_>) {
    use std::fmt::Write;
    // Writing to a String cannot fail.
    let _ = text.write_fmt(words);
}
