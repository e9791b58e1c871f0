//! Indexes: cut into versions, sorted, published as JSON; and a chart found in what was published.
//!
//! Never more than one version and a list of places is in memory: the versions are put aside in a file without a name
//! in the order that they come, and copied from there in the order that they are published.

mod json;
mod lookup;
mod spool;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use helm::chart::ChartError;
use helm::repository::{ChartVersion, Piece, Splitter};
use serde_json::Value as Json;

pub use lookup::{Listed, lookup};
use spool::Spool;

/// The largest index that is read as a whole where it cannot be cut.
const MAX_WHOLE_BYTES: u64 = 8 << 20;
/// The longest line of an index.
const MAX_LINE_BYTES: u64 = 8 << 20;
const NO_TIME: &str = "0001-01-01T00:00:00Z";
const FILE: &str = "index.yaml";

/// Why an index cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// There is nothing in it.
    #[error("empty index.yaml file")]
    Empty,
    /// It does not say which version of the format it is.
    #[error("no API version specified")]
    NoApiVersion,
    /// An entry is malformed.
    #[error(transparent)]
    Entry(#[from] ChartError),
    /// The document is malformed.
    #[error("{0}")]
    Malformed(String),
    /// It cannot be read or put aside.
    #[error("index cannot be read")]
    Read(#[source] io::Error),
    /// It cannot be published.
    #[error("index cannot be written")]
    Write(#[source] io::Error),
}

/// What is published beside the entries.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Head {
    api_version: String,
    generated: Option<String>,
    rest: serde_json::Map<String, Json>,
}

impl Head {
    fn take(&mut self, name: &str, value: Json) {
        match (name, value) {
            ("apiVersion", Json::String(text)) => self.api_version = text,
            ("generated", Json::String(text)) => self.generated = Some(text),
            ("serverInfo" | "publicKeys" | "annotations", value) if !value.is_null() => {
                self.rest.insert(name.to_owned(), value);
            }
            _ => {}
        }
    }
}

/// Reads a repository's index from `raw` and writes what is published to `out`. `scratch` is where versions are put
/// aside.
///
/// Invalid versions are left out. Charts are sorted by name, versions from the highest to the lowest.
///
/// # Errors
/// [`IndexError`].
pub fn publish(raw: &mut File, scratch: &Path, out: &mut dyn Write) -> Result<(), IndexError> {
    let size = raw.metadata().map_err(IndexError::Read)?.len();
    if size == 0 {
        return Err(IndexError::Empty);
    }
    let (head, spool) = read(raw, scratch, size)?;
    if head.api_version.is_empty() {
        return Err(IndexError::NoApiVersion);
    }
    spool.write(&head, out)
}

fn read(raw: &mut File, scratch: &Path, size: u64) -> Result<(Head, Spool), IndexError> {
    let rewind = |raw: &mut File| {
        raw.seek(SeekFrom::Start(0))
            .map(drop)
            .map_err(IndexError::Read)
    };
    rewind(raw)?;
    if looks_like_json(raw)? {
        rewind(raw)?;
        if let Ok(done) = json::read(BufReader::new(&*raw), Spool::new(scratch)?) {
            return Ok(done);
        }
        rewind(raw)?;
        return whole(raw, scratch, size, || {
            IndexError::Malformed("the index is neither JSON nor small enough YAML".to_owned())
        });
    }
    rewind(raw)?;
    match cut(raw, Spool::new(scratch)?) {
        Ok(done) => Ok(done),
        Err(IndexError::Read(error)) => Err(IndexError::Read(error)),
        // The cut does not know every form: only a reader of the whole says what is wrong.
        Err(error) => {
            rewind(raw)?;
            whole(raw, scratch, size, || error)
        }
    }
}

fn looks_like_json(raw: &mut File) -> Result<bool, IndexError> {
    let mut start = [0; 256];
    let count = raw.read(&mut start).map_err(IndexError::Read)?;
    let first = start[..count]
        .iter()
        .find(|byte| !byte.is_ascii_whitespace());
    Ok(first == Some(&b'{'))
}

/// Cuts an index in block style.
fn cut(raw: &File, mut spool: Spool) -> Result<(Head, Spool), IndexError> {
    let malformed = |error: helm::repository::SplitError| IndexError::Malformed(error.to_string());
    let mut lines = BufReader::with_capacity(64 << 10, raw);
    let mut splitter = Splitter::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut lines)
            .take(MAX_LINE_BYTES)
            .read_until(b'\n', &mut line);
        let count = read.map_err(IndexError::Read)?;
        if count == 0 {
            break;
        }
        if count as u64 == MAX_LINE_BYTES {
            return Err(IndexError::Malformed(
                "a line of the index is too long".to_owned(),
            ));
        }
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        for piece in splitter
            .line(text)
            .map_err(malformed)?
            .into_iter()
            .flatten()
        {
            take(&mut spool, piece)?;
        }
    }
    let (last, rest) = splitter.finish();
    if let Some(piece) = last {
        take(&mut spool, piece)?;
    }
    let mut head = Head::default();
    let reader = yaml::Reader::new(yaml::Schema::Legacy).duplicates(yaml::Duplicates::Error);
    let node = reader.read_first(&rest, FILE);
    let node = node.map_err(|error| IndexError::Malformed(error.go_text()))?;
    if let Some(mapping) = node.as_ref().and_then(yaml::Node::as_mapping) {
        for entry in mapping {
            if entry.name() == "entries" && !entry.value.is_null() {
                return Err(IndexError::Malformed(
                    "entries are not in block style".to_owned(),
                ));
            }
            head.take(entry.name(), json_of(&entry.value)?);
        }
    }
    Ok((head, spool))
}

fn take(spool: &mut Spool, piece: Piece) -> Result<(), IndexError> {
    match piece {
        Piece::Chart(name) => spool.chart(&name),
        Piece::Version(text) => match ChartVersion::parse(&text)? {
            Some(version) => spool.version(&version),
            None => Ok(()),
        },
    }
}

/// Reads a document of any form at once.
fn whole(
    raw: &mut File,
    scratch: &Path,
    size: u64,
    too_large: impl FnOnce() -> IndexError,
) -> Result<(Head, Spool), IndexError> {
    if size > MAX_WHOLE_BYTES {
        return Err(too_large());
    }
    let mut text = Vec::new();
    raw.read_to_end(&mut text).map_err(IndexError::Read)?;
    let reader = yaml::Reader::new(yaml::Schema::Legacy).duplicates(yaml::Duplicates::Error);
    let node = reader.read_first(&text, FILE);
    let node = node.map_err(|error| {
        IndexError::Malformed(format!(
            "error converting YAML to JSON: {}",
            error.go_text()
        ))
    })?;
    let malformed = |what: &str| IndexError::Malformed(format!("{what} is no mapping"));
    let node = node.ok_or(IndexError::NoApiVersion)?;
    let mapping = node.as_mapping().ok_or_else(|| malformed("the index"))?;
    let (mut head, mut spool) = (Head::default(), Spool::new(scratch)?);
    for entry in mapping {
        if entry.name() != "entries" {
            head.take(entry.name(), json_of(&entry.value)?);
            continue;
        }
        if entry.value.is_null() {
            continue;
        }
        let charts = entry
            .value
            .as_mapping()
            .ok_or_else(|| malformed("entries"))?;
        for chart in charts {
            spool.chart(chart.name())?;
            for item in chart.value.as_sequence().into_iter().flatten() {
                if let Some(version) = ChartVersion::from_node(item)? {
                    spool.version(&version)?;
                }
            }
        }
    }
    Ok((head, spool))
}

fn json_of(node: &yaml::Node) -> Result<Json, IndexError> {
    if node.is_scalar() && !node.is_null() {
        return Ok(Json::from(node.text()));
    }
    yaml::to_json(node).map_err(|error| IndexError::Malformed(error.to_string()))
}

#[cfg(test)]
mod tests;
