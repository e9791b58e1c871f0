//! Subcharts that a chart asks for and does not bring.

use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;

use api::source::{HelmChart, HelmRepository, HelmRepositoryKind};
use artifact::ArtifactTree;
use artifact::storage::ArtifactPath;
use helm::chart::{Chart, Dependency, read_archive_within};
use helmrepo::{Download, Everywhere, HttpRepository, Listed, OciCharts, Validators, normalize};
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use registry::{Access, Credentials, Repository};
use semver::{Constraint, Version};
use tokio::time::Instant;

use super::HelmCharts;
use super::build::load_text;
use super::find::choose_listed;
use crate::failure::chain;
use crate::helm_repository::access::HelmAccess;
use crate::helm_repository::gather::DEFAULT_TIMEOUT;
use crate::tree::{confined, join};

impl HelmCharts {
    /// Adds the subcharts that are missing, and returns how many.
    ///
    /// # Errors
    /// Which one could not be added, and why.
    pub(super) async fn add_dependencies(
        &self,
        object: &HelmChart,
        tree: &ArtifactTree,
        path: &str,
        chart: &mut Chart,
    ) -> Result<usize, String> {
        let missing = missing(chart);
        let count = missing.len();
        for (name, dependency) in missing {
            let added = if is_local(&dependency) {
                self.local_dependency(tree, path, &dependency)
                    .map_err(|why| format!("failed to add local dependency '{name}': {why}"))
            } else {
                self.remote_dependency(object, &dependency)
                    .await
                    .map_err(|why| format!("failed to add remote dependency '{name}': {why}"))
            };
            let mut added = added?;
            if !dependency.alias.is_empty() {
                added.metadata.name.clone_from(&dependency.alias);
            }
            chart.dependencies.push(added);
        }
        Ok(count)
    }

    fn local_dependency(
        &self,
        tree: &ArtifactTree,
        path: &str,
        dependency: &Dependency,
    ) -> Result<Chart, String> {
        let repository = &dependency.repository;
        let relative = match repository.strip_prefix("file://") {
            Some(relative) => relative.to_owned(),
            None => format!("charts/{}", dependency.name),
        };
        let at = confined(&join(path, &relative));
        if !tree.is_directory(&at) && tree.size(&at).is_none() {
            return Err(format!(
                "no chart found at '/{at}' (reference '{repository}')"
            ));
        }
        let wanted = &dependency.version;
        let range = Constraint::parse(wanted)
            .map_err(|error| format!("invalid version/constraint format '{wanted}': {error}"))?;
        let chart = load_text(tree, &at, &self.limits).map_err(|why| {
            format!("failed to load chart from '/{at}' (reference '{repository}'): {why}")
        })?;
        let version = Version::parse(&chart.metadata.version).map_err(|error| error.to_string())?;
        if !range.check(&version) {
            return Err(format!(
                "can't get a valid version for constraint '{wanted}'"
            ));
        }
        Ok(chart)
    }

    async fn remote_dependency(
        &self,
        object: &HelmChart,
        dependency: &Dependency,
    ) -> Result<Chart, String> {
        let repository = &dependency.repository;
        if repository.starts_with('@') || repository.starts_with("alias:") {
            return Err(format!(
                "aliased repository dependency is not supported: {repository}"
            ));
        }
        let scheme = repository.split("://").next().unwrap_or_default();
        if !matches!(scheme, "http" | "https" | "oci") {
            return Err(format!("invalid dependency repository URL: {repository}"));
        }
        let url = normalize(repository).map_err(|error| chain(&error))?;
        let source = self.repository_of(object, &url).await?;
        let access = match &source {
            Some(source) => HelmAccess::read(&self.setup.reader, source).await?,
            None => HelmAccess::none(),
        };
        let timeout = source.as_ref().and_then(|source| source.spec.timeout);
        let _turn = self.setup.hosts.turn(&url).await;
        let deadline = Instant::now() + timeout.map_or(DEFAULT_TIMEOUT, Into::into);
        let archive = if scheme == "oci" {
            self.ask_registry(&url, source.as_ref(), &access, dependency, deadline)
                .await?
        } else {
            self.ask_server(&url, source.as_ref(), &access, dependency, deadline)
                .await?
        };
        let version = &dependency.version;
        read_archive_within(&dependency.name, &archive, self.limits.file()).map_err(|error| {
            format!("failed to load downloaded archive of version '{version}': {error}")
        })
    }

    /// Returns the HelmRepository of the object's namespace that has this address.
    async fn repository_of(
        &self,
        object: &HelmChart,
        url: &str,
    ) -> Result<Option<HelmRepository>, String> {
        let namespace = object.namespace().unwrap_or_default();
        let api: Api<HelmRepository> = Api::namespaced(self.setup.client.clone(), &namespace);
        let all = api.list(&ListParams::default()).await.map_err(|error| {
            format!(
                "failed to get chart repository for URL '{url}': {}",
                chain(&error)
            )
        })?;
        let same = |each: &HelmRepository| normalize(&each.spec.url).is_ok_and(|own| own == url);
        Ok(all.items.into_iter().find(same))
    }

    async fn ask_registry(
        &self,
        url: &str,
        source: Option<&HelmRepository>,
        access: &HelmAccess,
        dependency: &Dependency,
        deadline: Instant,
    ) -> Result<Vec<u8>, String> {
        let base = url.trim_start_matches("oci://");
        let repository = Repository::parse(&format!("{base}/{}", dependency.name));
        let repository = repository.map_err(|error| chain(&error))?;
        let insecure = source
            .and_then(|source| source.spec.insecure)
            .unwrap_or_default();
        let credentials = match source {
            Some(source)
                if access.has_secret() || source.spec.kind == Some(HelmRepositoryKind::Oci) =>
            {
                self.login(source, access, &repository).await?
            }
            _ => Credentials::Anonymous,
        };
        let login = Access {
            http: access.http.clone(),
            credentials,
            insecure,
        };
        let failed = |error: &helmrepo::OciError| access.redactor.redact(&chain(error));
        let charts = OciCharts::new(&self.registries, url, &dependency.name, login, deadline);
        let charts = charts.map_err(|error| failed(&error))?;
        let version = charts.find(&dependency.version).await.map_err(|error| {
            let (name, version, from) = (
                &dependency.name,
                &dependency.version,
                &dependency.repository,
            );
            format!(
                "failed to get chart '{name}' version '{version}' from '{from}': {}",
                failed(&error)
            )
        })?;
        let archive = charts
            .download(&OciCharts::tag(&version), self.limits.chart_bytes)
            .await;
        archive.map_err(|error| {
            format!(
                "chart download of version '{version}' failed: {}",
                failed(&error)
            )
        })
    }

    async fn ask_server(
        &self,
        url: &str,
        source: Option<&HelmRepository>,
        access: &HelmAccess,
        dependency: &Dependency,
        deadline: Instant,
    ) -> Result<Vec<u8>, String> {
        let client = self
            .setup
            .clients
            .get(&access.http)
            .map_err(|error| chain(&error))?;
        let everywhere = source.and_then(|source| source.spec.pass_credentials);
        let everywhere = Everywhere(everywhere.unwrap_or_default());
        let repository = HttpRepository::new(client, url, access.auth(), everywhere);
        let repository = repository.map_err(|error| chain(&error))?;
        let failed = |error: &helmrepo::Error| access.redactor.redact(&chain(error));
        let listed = if let Some(file) = self.published_index(source) {
            lookup(file, &dependency.name).await?
        } else {
            let mut raw = scratch(&self.setup.scratch)?;
            let max = self.limits.index_bytes;
            let none = Validators::default();
            match repository.index(&none, &mut raw, max, deadline).await {
                Ok(Download::Written(_) | Download::NotModified) => {}
                Err(error) => return Err(format!("failed to cache index: {}", failed(&error))),
            }
            let sorted = sorted(raw, &self.setup.scratch).await?;
            lookup(sorted, &dependency.name).await?
        };
        let (name, wanted) = (&dependency.name, &dependency.version);
        let chosen = choose_listed(listed.as_deref(), name, wanted).map_err(|why| {
            let from = &dependency.repository;
            format!("failed to get chart '{name}' version '{wanted}' from '{from}': {why}")
        })?;
        let max = self.limits.chart_bytes;
        let archive = repository.chart(name, &chosen.urls, max, deadline).await;
        archive.map_err(|error| {
            format!(
                "chart download of version '{}' failed: {}",
                chosen.version,
                failed(&error)
            )
        })
    }

    /// Opens the index that is published for a repository, where there is one.
    fn published_index(&self, source: Option<&HelmRepository>) -> Option<File> {
        let artifact = source?.status.as_ref()?.artifact.as_ref()?;
        let path = ArtifactPath::parse(&artifact.path).ok()?;
        self.setup.shelf.storage().open(&path).ok()
    }
}

async fn lookup(mut file: File, chart: &str) -> Result<Option<Vec<Listed>>, String> {
    let chart = chart.to_owned();
    let looked = tokio::task::spawn_blocking(move || helmrepo::index::lookup(&mut file, &chart));
    let looked = looked.await.map_err(|error| error.to_string())?;
    looked.map_err(|error| format!("failed to load index: {}", chain(&error)))
}

fn scratch(directory: &Path) -> Result<File, String> {
    tempfile::tempfile_in(directory).map_err(|error| error.to_string())
}

async fn sorted(mut raw: File, directory: &Path) -> Result<File, String> {
    let directory = directory.to_owned();
    let sorting = tokio::task::spawn_blocking(move || {
        let mut out = std::io::BufWriter::new(scratch(&directory)?);
        helmrepo::index::publish(&mut raw, &directory, &mut out).map_err(|error| chain(&error))?;
        out.flush().map_err(|error| error.to_string())?;
        let mut file = out.into_inner().map_err(|error| error.to_string())?;
        file.rewind().map_err(|error| error.to_string())?;
        Ok(file)
    });
    let sorted = sorting.await.unwrap_or_else(|error| Err(error.to_string()));
    sorted.map_err(|why: String| format!("failed to load index: {why}"))
}

fn is_local(dependency: &Dependency) -> bool {
    dependency.repository.is_empty() || dependency.repository.starts_with("file://")
}

/// Returns the subcharts that are asked for, by the lock file where there is one, and are not there, by the name that
/// they get.
fn missing(chart: &Chart) -> Vec<(String, Dependency)> {
    let locked = chart
        .lock
        .as_ref()
        .and_then(|lock| lock["dependencies"].as_array());
    let asked: Vec<Dependency> = match locked {
        Some(locked) => locked.iter().map(Dependency::from_json).collect(),
        None => chart.metadata.dependencies.clone().unwrap_or_default(),
    };
    if asked.len() == chart.dependencies.len() {
        return Vec::new();
    }
    asked
        .into_iter()
        .map(|dependency| {
            let name = match dependency.alias.as_str() {
                "" => dependency.name.clone(),
                alias => alias.to_owned(),
            };
            (name, dependency)
        })
        .filter(|(name, _)| chart.dependencies.iter().all(|each| each.name() != name))
        .collect()
}

#[cfg(test)]
mod tests {
    use helm::chart::{File, from_files};

    use super::*;

    fn chart(files: &[(&str, &str)]) -> Chart {
        let files: Vec<File> = files
            .iter()
            .map(|(name, data)| File::new(*name, data.as_bytes()))
            .collect();
        from_files(&files).unwrap()
    }

    fn names(chart: &Chart) -> Vec<String> {
        missing(chart).into_iter().map(|(name, _)| name).collect()
    }

    /// covers: SC-177
    #[test]
    fn missing_subcharts_are_those_of_the_lock_file_or_of_the_chart() {
        let yaml = "apiVersion: v2\nname: x\nversion: 1.0.0\ndependencies:\n- {name: a, version: 1.x, repository: \"https://h.example\"}\n- {name: b, version: 1.x, repository: \"file://../b\", alias: c}\n";
        assert_eq!(names(&chart(&[("Chart.yaml", yaml)])), ["a", "c"]);
        let with_a = [
            ("Chart.yaml", yaml),
            (
                "charts/a/Chart.yaml",
                "apiVersion: v2\nname: a\nversion: 1.0.0\n",
            ),
        ];
        assert_eq!(names(&chart(&with_a)), ["c"]);
        let locked = [
            ("Chart.yaml", yaml),
            (
                "Chart.lock",
                "dependencies:\n- {name: a, version: 1.2.3, repository: \"https://h.example\"}\n",
            ),
        ];
        let found = missing(&chart(&locked));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].1.version, "1.2.3");
        assert!(
            names(&chart(&[(
                "Chart.yaml",
                "apiVersion: v2\nname: x\nversion: 1.0.0\n"
            )]))
            .is_empty()
        );
    }
}
