//! Sorts files into a chart.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

use super::archive::archive_files;
use super::{Chart, ChartError, File, Metadata};
use crate::values;

/// How deep subcharts may nest.
const MAX_DEPTH: usize = 64;

/// Takes a byte order mark off.
pub(super) fn without_mark(mut data: Vec<u8>) -> Vec<u8> {
    if data.starts_with(b"\xef\xbb\xbf") {
        data.drain(..3);
    }
    data
}

/// Makes a chart of its files, subcharts included.
pub fn from_files(files: &[File]) -> Result<Chart, ChartError> {
    load(files, 0)
}

fn load(files: &[File], depth: usize) -> Result<Chart, ChartError> {
    if depth > MAX_DEPTH {
        return Err(ChartError::Archive(format!(
            "subcharts nest deeper than {MAX_DEPTH} levels"
        )));
    }
    let Some(first) = files.iter().rfind(|f| f.name == "Chart.yaml") else {
        return Err(ChartError::Missing);
    };
    let mut chart = Chart {
        metadata: Metadata::parse(&first.data)?,
        ..Chart::default()
    };
    chart.raw = files.to_vec();
    let mut subcharts: BTreeMap<String, Vec<File>> = BTreeMap::new();
    for file in files {
        sort_in(&mut chart, file, &mut subcharts)?;
    }
    chart.metadata.validate()?;
    for (name, files) in subcharts {
        if name.starts_with(['_', '.']) {
            continue;
        }
        let loaded = subchart(&name, &files, depth).map_err(|source| ChartError::Subchart {
            name: name.clone(),
            chart: chart.metadata.name.clone(),
            source: Box::new(source),
        })?;
        chart.dependencies.push(loaded);
    }
    Ok(chart)
}

/// Puts a file where it belongs; a subchart's under the name of its folder or archive.
fn sort_in(
    chart: &mut Chart,
    file: &File,
    subcharts: &mut BTreeMap<String, Vec<File>>,
) -> Result<(), ChartError> {
    let v1 = chart.metadata.api_version == "v1";
    match file.name.as_str() {
        "Chart.yaml" => {}
        "Chart.lock" => chart.lock = Some(read_lock(file)?),
        "values.yaml" => chart.values = read_values(file)?,
        "values.schema.json" => chart.schema = Some(Arc::clone(&file.data)),
        "requirements.yaml" | "requirements.lock" => {
            if file.name == "requirements.yaml" {
                chart.metadata.overlay(&file.data)?;
            } else {
                chart.lock = Some(read_lock(file)?);
            }
            if v1 {
                chart.files.push(file.clone());
            }
        }
        name if name.starts_with("templates/") => chart.templates.push(file.clone()),
        name => match name
            .strip_prefix("charts/")
            .filter(|_| !is_provenance(name))
        {
            Some(inner) => {
                let head = inner.split('/').next().unwrap_or(inner);
                let renamed = File {
                    name: inner.to_owned(),
                    data: Arc::clone(&file.data),
                };
                subcharts.entry(head.to_owned()).or_default().push(renamed);
            }
            None => chart.files.push(file.clone()),
        },
    }
    Ok(())
}

/// A signature beside an archive.
fn is_provenance(name: &str) -> bool {
    go::path::ext(name) == ".prov"
}

fn subchart(name: &str, files: &[File], depth: usize) -> Result<Chart, ChartError> {
    if name.to_ascii_lowercase().ends_with(".tgz") {
        let file = &files[0];
        if file.name != name {
            let text = format!(
                "error unpacking subchart tar: expected {name}, got {}",
                file.name
            );
            return Err(ChartError::Archive(text));
        }
        return load(&archive_files(name, &file.data)?, depth + 1);
    }
    let inner: Vec<File> = files
        .iter()
        .filter_map(|file| {
            let (_, rest) = file.name.split_once('/')?;
            Some(File {
                name: rest.to_owned(),
                data: Arc::clone(&file.data),
            })
        })
        .collect();
    load(&inner, depth + 1)
}

fn read_lock(file: &File) -> Result<Json, ChartError> {
    let node = super::metadata::read_node(&file.data, &file.name)?;
    yaml::to_json(&node).map_err(|e| ChartError::File {
        file: file.name.clone(),
        reason: e.to_string(),
    })
}

/// All documents merged, later ones winning.
fn read_values(file: &File) -> Result<serde_json::Map<String, Json>, ChartError> {
    values::read_all(&file.data, &file.name).map_err(|e| ChartError::File {
        file: file.name.clone(),
        reason: e.to_string(),
    })
}
