//! Charts: their files, metadata and subcharts.

mod archive;
mod directory;
mod ignore;
mod load;
mod metadata;
mod package;

pub use archive::{archive_files, read_archive, read_archive_within};
pub use directory::{Directory, Entry, EntryKind, directory_files, read_directory};
pub use ignore::{IgnoreError, Rules};
pub use load::from_files;
pub(crate) use metadata::fields;
pub use metadata::{Dependency, ImportValue, Maintainer, Metadata};
pub use package::{package, set_default_values};

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

/// The largest single file of a chart, in bytes.
pub const MAX_FILE_BYTES: usize = 5 << 20;

/// The most files of a folder.
pub const MAX_FILES: usize = 100_000;

/// The largest decompressed archive or folder, in bytes.
pub const MAX_CHART_BYTES: usize = 100 << 20;

/// Why a chart was not loaded. The texts are upstream's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChartError {
    /// There is no Chart.yaml.
    #[error("Chart.yaml file is missing")]
    Missing,
    /// A file of the chart cannot be read.
    #[error("cannot load {file}: {reason}")]
    File {
        /// The file's name.
        file: String,
        /// What the reader says.
        reason: String,
    },
    /// The archive is broken or holds what no chart may.
    #[error("{0}")]
    Archive(String),
    /// The directory cannot be walked.
    #[error("{0}")]
    Directory(String),
    /// The ignore file is malformed.
    #[error(transparent)]
    Ignore(#[from] IgnoreError),
    /// A subchart cannot be loaded.
    #[error("error unpacking subchart {name} in {chart}: {source}")]
    Subchart {
        /// The subchart's file or folder.
        name: String,
        /// The chart it is in.
        chart: String,
        /// Why.
        source: Box<Self>,
    },
    /// The metadata is not valid.
    #[error("validation: {0}")]
    Invalid(String),
}

/// A file of a chart: its path inside the chart and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The path, with slashes, relative to the chart.
    pub name: String,
    /// The bytes, without a byte order mark.
    pub data: Arc<[u8]>,
}

impl File {
    /// Makes a file.
    pub fn new(name: impl Into<String>, data: impl Into<Arc<[u8]>>) -> Self {
        Self {
            name: name.into(),
            data: data.into(),
        }
    }
}

/// A chart with its subcharts.
#[derive(Debug, Clone, Default)]
pub struct Chart {
    /// Chart.yaml and what requirements.yaml adds.
    pub metadata: Metadata,
    /// Chart.lock or requirements.lock.
    pub lock: Option<Json>,
    /// The files under `templates/`.
    pub templates: Vec<File>,
    /// The default values; all numbers are floats.
    pub values: Map<String, Json>,
    /// values.schema.json.
    pub schema: Option<Arc<[u8]>>,
    /// All other files.
    pub files: Vec<File>,
    /// Every file as it was read, for the release record.
    pub raw: Vec<File>,
    /// The subcharts.
    pub dependencies: Vec<Self>,
}

/// A custom resource definition a chart carries.
#[derive(Debug, Clone)]
pub struct Crd {
    /// The path from the root chart, such as `app/charts/sub/crds/a.yaml`.
    pub file_name: String,
    /// The path inside its chart.
    pub name: String,
    /// The manifest.
    pub data: Arc<[u8]>,
}

impl Crd {
    /// The manifest as text; bytes that are no UTF-8 are replaced.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.data)
    }
}

impl Chart {
    /// The name; an alias has replaced it where the parent gave one.
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// Whether only the chart's partials are rendered.
    pub fn is_library(&self) -> bool {
        self.metadata.kind.eq_ignore_ascii_case("library")
    }

    /// What Chart.yaml wants in `charts/` and is not there, by name.
    pub fn missing_dependencies(&self) -> Vec<&str> {
        let wanted = self.metadata.dependencies.iter().flatten();
        let is_there = |name: &str| self.dependencies.iter().any(|chart| chart.name() == name);
        wanted
            .map(|dependency| dependency.name.as_str())
            .filter(|name| !is_there(name))
            .collect()
    }

    /// All definitions under `crds/`, the chart's own before its subcharts'.
    pub fn crds(&self) -> Vec<Crd> {
        let mut found = Vec::new();
        self.collect_crds(self.name(), &mut found);
        found
    }

    fn collect_crds(&self, path: &str, found: &mut Vec<Crd>) {
        for file in &self.files {
            let manifest = [".yaml", ".yml", ".json"]
                .iter()
                .any(|suffix| file.name.to_ascii_lowercase().ends_with(suffix));
            if file.name.starts_with("crds/") && manifest {
                found.push(Crd {
                    file_name: go::path::join(&[path, &file.name]),
                    name: file.name.clone(),
                    data: Arc::clone(&file.data),
                });
            }
        }
        for dependency in &self.dependencies {
            dependency.collect_crds(&format!("{path}/charts/{}", dependency.name()), found);
        }
    }
}
