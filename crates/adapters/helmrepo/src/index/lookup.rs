//! A chart found in a published index without reading the others.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use helm::repository::Candidate;
use serde::Deserialize;
use serde_json::Value as Json;

use super::IndexError;

/// How much is looked at once.
const WINDOW: usize = 256 << 10;

/// What a chart's download needs to know of one version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Listed {
    /// The chart's name.
    #[serde(default)]
    pub name: String,
    /// The version.
    #[serde(default)]
    pub version: String,
    /// Where it can be had.
    #[serde(default)]
    pub urls: Vec<String>,
    /// When it was made.
    #[serde(default)]
    pub created: String,
    /// SHA-256 of the archive in hex, with or without the algorithm before it; may be empty.
    #[serde(default)]
    pub digest: String,
}

impl Listed {
    /// Returns what the choice of a version needs.
    pub fn candidate(&self) -> Candidate {
        let created: Option<jiff::Timestamp> = self.created.parse().ok();
        Candidate {
            version: self.version.clone(),
            created: created.map_or(i128::MIN, jiff::Timestamp::as_nanosecond),
        }
    }
}

/// Returns the versions of a chart in a published index; nothing where the chart is not in it.
///
/// Published indexes are JSON over several lines, indented by two: the only line that begins with four spaces and a
/// chart's name is that chart's.
///
/// # Errors
/// [`IndexError::Read`], [`IndexError::Malformed`].
pub fn lookup(file: &mut File, chart: &str) -> Result<Option<Vec<Listed>>, IndexError> {
    let needle = format!("\n    {}: ", Json::from(chart));
    let Some(at) = find(file, needle.as_bytes()).map_err(IndexError::Read)? else {
        return Ok(None);
    };
    file.seek(SeekFrom::Start(at)).map_err(IndexError::Read)?;
    let json = serde_json::Deserializer::from_reader(BufReader::with_capacity(32 << 10, file));
    match json.into_iter::<Option<Vec<Listed>>>().next() {
        Some(Ok(list)) => Ok(Some(list.unwrap_or_default())),
        Some(Err(error)) => Err(IndexError::Malformed(error.to_string())),
        None => Err(IndexError::Malformed("the index breaks off".to_owned())),
    }
}

/// Returns the place behind the first occurrence.
fn find(file: &mut File, needle: &[u8]) -> io::Result<Option<u64>> {
    file.seek(SeekFrom::Start(0))?;
    let mut window = Vec::with_capacity(WINDOW + needle.len());
    let mut start = 0_u64;
    loop {
        let count = (&mut *file).take(WINDOW as u64).read_to_end(&mut window)?;
        let mut from = 0;
        // Jumps from line to line.
        while let Some(line) = window[from..].iter().position(|byte| *byte == b'\n') {
            let at = from + line;
            if window[at..].starts_with(needle) {
                return Ok(Some(start + (at + needle.len()) as u64));
            }
            from = at + 1;
        }
        if count == 0 {
            return Ok(None);
        }
        let kept = window.len().min(needle.len());
        let gone = window.len() - kept;
        window.drain(..gone);
        start += gone as u64;
    }
}
