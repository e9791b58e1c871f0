//! Downloads a chart, joins its values, packages it.

use std::sync::Arc;

use api::source::HelmChart;
use artifact::ArtifactTree;
use helm::chart::{Chart, package, read_archive_within, read_directory, set_default_values};
use runtime::Failure;

use super::failure::{Reason, build, login};
use super::find::{Found, Origin};
use super::values::{LeaveOutMissing, Merged, of_chart, of_source};
use super::{HelmCharts, Limits};
use crate::failure::chain;
use crate::tree::ChartFolder;

/// A built chart.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) archive: Vec<u8>,
    /// The values files that changed the chart's own values.
    pub(super) values_files: Vec<String>,
    /// How many subcharts were added.
    pub(super) dependencies: usize,
}

impl HelmCharts {
    pub(super) async fn build(&self, object: &HelmChart, found: &Found) -> Result<Built, Failure> {
        match &found.origin {
            Origin::Http {
                repository,
                access,
                urls,
            } => {
                let max = self.limits.chart_bytes;
                // An index may name another server.
                let elsewhere = urls.first().filter(|url| url.contains("://"));
                let address = elsewhere.map_or(repository.url(), String::as_str);
                let download = async {
                    let archive = repository.chart(&found.name, urls, max, found.deadline);
                    archive.await.map_err(|error| {
                        let words = access.redactor.redact(&chain(&error));
                        not_downloaded(&words, error.is_authentication())
                    })
                };
                let archive = self.setup.politely_at(address, download).await?;
                remote(object, found, (archive, self.limits)).await
            }
            Origin::Registry {
                charts,
                access,
                reference,
            } => {
                let address = charts.remote().repository().to_string();
                let download = async {
                    let archive = charts.download(reference, self.limits.chart_bytes);
                    archive.await.map_err(|error| {
                        let words = access.redactor.redact(&chain(&error));
                        not_downloaded(&words, error.is_authentication())
                    })
                };
                let archive = self.setup.politely_at(&address, download).await?;
                remote(object, found, (archive, self.limits)).await
            }
            Origin::Files { tree, path } => self.local(object, found, tree, path).await,
        }
    }

    async fn local(
        &self,
        object: &HelmChart,
        found: &Found,
        tree: &Arc<ArtifactTree>,
        path: &str,
    ) -> Result<Built, Failure> {
        let (files, at, limits) = (Arc::clone(tree), path.to_owned(), self.limits);
        if !found.packaged {
            let reading = move || {
                files
                    .content(&at)
                    .map_err(|error| build(Reason::Pull, error))
            };
            return Ok(Built {
                archive: blocking(reading).await?,
                values_files: Vec::new(),
                dependencies: 0,
            });
        }
        let leave_out =
            LeaveOutMissing(object.spec.ignore_missing_values_files.unwrap_or_default());
        let values = found.values_files.clone();
        let (merged, mut chart) = blocking(move || {
            let merged = merged_of_source(&files, &values, leave_out)?;
            Ok((merged, load(&files, &at, &limits)?))
        })
        .await?;
        let is_directory = tree.is_directory(path);
        chart.metadata.version.clone_from(&found.version);
        let values_files = merged.map_or(Ok(Vec::new()), |merged| overwrite(&mut chart, merged))?;
        let mut dependencies = 0;
        if is_directory {
            let added = self.add_dependencies(object, tree, path, &mut chart).await;
            dependencies = added.map_err(|why| build(Reason::Dependency, why))?;
        }
        let archive = blocking(move || packaged(&chart)).await?;
        Ok(Built {
            archive,
            values_files,
            dependencies,
        })
    }
}

fn not_downloaded(words: &str, is_authentication: bool) -> Failure {
    if is_authentication {
        return login(words);
    }
    build(
        Reason::Pull,
        format!("failed to download chart for remote reference: {words}"),
    )
}

/// Runs what takes a processor for itself.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(build(Reason::Package, error)))
}

/// A downloaded chart stays as it is, unless values files make it another one.
async fn remote(
    object: &HelmChart,
    found: &Found,
    (archive, limits): (Vec<u8>, Limits),
) -> Result<Built, Failure> {
    let leave_out = LeaveOutMissing(object.spec.ignore_missing_values_files.unwrap_or_default());
    let (version, files, is_packaged) = (
        found.version.clone(),
        found.values_files.clone(),
        found.packaged,
    );
    blocking(move || {
        let loaded = read_archive_within("chart.tgz", &archive, limits.file());
        if !is_packaged {
            loaded.map_err(|error| {
                let words = format!("failed to load chart metadata from written chart: {error}");
                build(Reason::Pull, words)
            })?;
            return Ok(Built {
                archive,
                values_files: Vec::new(),
                dependencies: 0,
            });
        }
        let mut chart = loaded.map_err(|error| {
            build(
                Reason::Package,
                format!("failed to load downloaded chart: {error}"),
            )
        })?;
        drop(archive);
        chart.metadata.version = version;
        let merged = of_chart(&chart, &files, leave_out).map_err(|why| {
            build(
                Reason::Values,
                format!("failed to merge chart values: {why}"),
            )
        })?;
        let values_files = overwrite(&mut chart, merged)?;
        Ok(Built {
            archive: packaged(&chart)?,
            values_files,
            dependencies: 0,
        })
    })
    .await
}

fn merged_of_source(
    tree: &ArtifactTree,
    files: &[String],
    leave_out: LeaveOutMissing,
) -> Result<Option<Merged>, Failure> {
    if files.is_empty() {
        return Ok(None);
    }
    of_source(tree, files, leave_out)
        .map(Some)
        .map_err(|why| build(Reason::Values, why))
}

/// Returns the files whose values the chart has now, none where it had the same before.
fn overwrite(chart: &mut Chart, merged: Merged) -> Result<Vec<String>, Failure> {
    let changed = set_default_values(chart, &merged.values);
    let changed = changed.map_err(|error| build(Reason::Values, error))?;
    Ok(if changed { merged.files } else { Vec::new() })
}

fn load(tree: &ArtifactTree, path: &str, limits: &Limits) -> Result<Chart, Failure> {
    load_text(tree, path, limits).map_err(|why| build(Reason::Package, why))
}

/// Loads a chart of a source, from a directory or an archive.
pub(super) fn load_text(tree: &ArtifactTree, path: &str, limits: &Limits) -> Result<Chart, String> {
    if tree.is_directory(path) {
        let folder = ChartFolder::new(tree, path, limits.file_bytes);
        return read_directory(&folder).map_err(|error| error.to_string());
    }
    let archive = tree.content(path).map_err(|error| error.to_string())?;
    read_archive_within(path, &archive, limits.file()).map_err(|error| error.to_string())
}

fn packaged(chart: &Chart) -> Result<Vec<u8>, Failure> {
    package(chart).map_err(|error| build(Reason::Package, error))
}
