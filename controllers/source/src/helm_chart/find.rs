//! Finds the version that is meant: in an index, among the tags of a registry, in the files of a source.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use api::meta::Artifact;
use api::source::{ChartSourceKind, HelmChart, HelmRepository, ReconcileStrategy};
use artifact::fetch::Bounds;
use artifact::storage::ArtifactPath;
use artifact::{ArtifactTree, Storage};
use helm::chart::{Metadata, read_archive_within};
use helm::repository::{Candidate, choose};
use helmrepo::{HttpRepository, Listed, OciCharts, OciError};
use kube::ResourceExt;
use registry::{Access, Credentials, Repository};
use runtime::Failure;
use semver::Version;
use tokio::time::Instant;

use super::build::blocking;
use super::failure::{Reason, build, login};
use super::source::Source;
use super::values::is_default;
use super::verify::Verified;
use super::{HelmCharts, Limits};
use crate::failure::{AUTH_FAILED, chain, fetch, stalled};
use crate::helm_repository::access::HelmAccess;
use crate::helm_repository::gather::{DEFAULT_TIMEOUT, repository};
use crate::index_cache::Versions;
use crate::provider::{asker, cloud};
use crate::tree::confined;

/// How long a chart from files may take to gather its subcharts.
const LOCAL_TIMEOUT: Duration = Duration::from_mins(1);

/// The version that is meant, and where it is.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) name: String,
    /// With the metadata that this controller adds.
    pub(super) version: String,
    pub(super) origin: Origin,
    /// The values files that make it another package; the chart's own values are none.
    pub(super) values_files: Vec<String>,
    /// Whether it is written anew.
    pub(super) packaged: bool,
    /// What came of looking at its signatures.
    pub(super) verified: Verified,
    pub(super) deadline: Instant,
}

/// Where a chart is.
#[derive(Debug)]
pub(super) enum Origin {
    Http {
        repository: HttpRepository,
        access: Box<HelmAccess>,
        urls: Vec<String>,
    },
    Registry {
        charts: Box<OciCharts>,
        access: Box<HelmAccess>,
        reference: String,
    },
    Files {
        tree: Arc<ArtifactTree>,
        path: String,
    },
}

impl HelmCharts {
    pub(super) async fn find(
        &self,
        object: &HelmChart,
        source: &Source,
        artifact: Option<&Artifact>,
    ) -> Result<Found, Failure> {
        match (source, artifact) {
            (Source::Helm(repository), _) if source.is_registry() => {
                check_name(&object.spec.chart)?;
                let found = self.find_in_registry(object, repository);
                self.setup.politely_at(&repository.spec.url, found).await
            }
            (Source::Helm(repository), Some(artifact)) => {
                check_name(&object.spec.chart)?;
                self.find_in_index(object, repository, artifact).await
            }
            (Source::Git(_) | Source::Bucket(_), Some(artifact)) => {
                self.find_in_files(object, artifact).await
            }
            (_, None) => Err(fetch("NoSourceArtifact", "the source has no artifact")),
        }
    }

    async fn find_in_index(
        &self,
        object: &HelmChart,
        source: &HelmRepository,
        artifact: &Artifact,
    ) -> Result<Found, Failure> {
        let setup = &self.setup;
        let access = HelmAccess::read(&setup.reader, source).await;
        let access = access.map_err(|why| fetch(AUTH_FAILED, why))?;
        let repository = repository(&setup.clients, source, &access)?;
        if object.spec.verify.is_some() {
            return Err(build(Reason::Verification, "not implemented"));
        }
        let listed = self.listed(source, artifact, &object.spec.chart).await?;
        let wanted = object.spec.version.as_deref().unwrap_or("*");
        let chosen =
            choose_listed(listed.as_deref(), &object.spec.chart, wanted).map_err(|why| {
                build(
                    Reason::Reference,
                    format!("failed to get chart version for remote reference: {why}"),
                )
            })?;
        let timeout = source.spec.timeout.map_or(DEFAULT_TIMEOUT, Into::into);
        let origin = Origin::Http {
            repository,
            access: Box::new(access),
            urls: chosen.urls.clone(),
        };
        found(object, (&chosen.name, &chosen.version), origin, timeout)
    }

    /// Reads the versions of a chart from a published index, where they are not known.
    async fn listed(
        &self,
        source: &HelmRepository,
        artifact: &Artifact,
        chart: &str,
    ) -> Result<Versions, Failure> {
        let (namespace, name) = (source.namespace().unwrap_or_default(), source.name_any());
        let of = (namespace.as_str(), name.as_str());
        if let Some(versions) = self.indexes.get(&artifact.path, chart, of) {
            return Ok(versions);
        }
        let read = self.read_index(artifact, chart).await?;
        let versions = read.map(Into::into);
        self.indexes.put(&artifact.path, chart, &versions);
        Ok(versions)
    }

    async fn read_index(
        &self,
        artifact: &Artifact,
        chart: &str,
    ) -> Result<Option<Vec<Listed>>, Failure> {
        let (store, path, chart) = (
            Arc::clone(self.setup.shelf.storage()),
            artifact.path.clone(),
            chart.to_owned(),
        );
        let looked = tokio::task::spawn_blocking(move || {
            let mut file = open(&store, &path)?;
            helmrepo::index::lookup(&mut file, &chart).map_err(|error| chain(&error))
        });
        let looked = looked.await.unwrap_or_else(|error| Err(error.to_string()));
        looked.map_err(|why| {
            build(
                Reason::Pull,
                format!(
                    "failed to get chart version for remote reference: failed to load index: {why}"
                ),
            )
        })
    }

    async fn find_in_registry(
        &self,
        object: &HelmChart,
        source: &HelmRepository,
    ) -> Result<Found, Failure> {
        let setup = &self.setup;
        let url = source.spec.url.trim_end_matches('/');
        if !url.starts_with("oci://") {
            let words = format!("failed to construct Helm client: invalid OCI registry URL: {url}");
            return Err(stalled("Failed", words));
        }
        let access = HelmAccess::read(&setup.reader, source).await;
        let access = access.map_err(|why| fetch(AUTH_FAILED, why))?;
        let timeout = source.spec.timeout.map_or(DEFAULT_TIMEOUT, Into::into);
        let charts = self
            .charts(object, source, &access, Instant::now() + timeout)
            .await?;
        let wanted = object.spec.version.as_deref().unwrap_or("*");
        let version = charts.find(wanted).await.map_err(|error| {
            not_found_in_registry(
                &error,
                "failed to get chart version for remote reference",
                &access,
            )
        })?;
        let mut reference = OciCharts::tag(&version);
        let mut verified = Verified::NotAsked;
        if object.spec.verify.is_some() {
            let resolved = charts.remote().resolve(&reference).await;
            let digest = resolved.map_err(|error| {
                let words = format!("failed to resolve digest for '{reference}'");
                not_found_in_registry(&error.into(), &words, &access)
            })?;
            let checked = self.verify(object, &charts, &digest.digest, &version);
            verified = checked.await?;
            // What is downloaded is what was verified, whatever the tag names by then.
            reference = digest.digest;
        }
        let name = object
            .spec
            .chart
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned();
        let origin = Origin::Registry {
            charts: Box::new(charts),
            access: Box::new(access),
            reference,
        };
        let mut found = found(object, (&name, &version), origin, timeout)?;
        found.verified = verified;
        Ok(found)
    }

    async fn charts(
        &self,
        object: &HelmChart,
        source: &HelmRepository,
        access: &HelmAccess,
        deadline: Instant,
    ) -> Result<OciCharts, Failure> {
        let url = &source.spec.url;
        let base = url.trim_start_matches("oci://").trim_end_matches('/');
        let repository = Repository::parse(&format!("{base}/{}", object.spec.chart));
        let repository = repository.map_err(|error| build(Reason::Reference, error))?;
        let credentials = self.login(source, access, &repository).await;
        let credentials = credentials.map_err(|why| fetch(AUTH_FAILED, why))?;
        let access = Access {
            http: access.http.clone(),
            credentials,
            insecure: source.spec.insecure.unwrap_or_default(),
        };
        OciCharts::new(&self.registries, url, &object.spec.chart, access, deadline)
            .map_err(|error| build(Reason::Reference, chain(&error)))
    }

    /// Returns the credentials of a repository in a registry: of its Secret, or else of its provider.
    pub(super) async fn login(
        &self,
        source: &HelmRepository,
        access: &HelmAccess,
        repository: &Repository,
    ) -> Result<Credentials, String> {
        if access.has_secret() {
            return access.credentials(repository);
        }
        let Some(cloud) = cloud(source.spec.provider.unwrap_or_default()) else {
            return Ok(Credentials::Anonymous);
        };
        let (namespace, name) = (source.namespace().unwrap_or_default(), source.name_any());
        let asker = asker(
            crate::helm_repository::KIND,
            (&namespace, &name),
            None,
            &access.http.proxy,
        );
        let login = self
            .setup
            .identities
            .registry_login(cloud, repository, &asker);
        login.await.map_err(|error| {
            let why = chain(&error);
            format!("unable to get authentication data from OIDC: {why}")
        })
    }

    async fn find_in_files(
        &self,
        object: &HelmChart,
        artifact: &Artifact,
    ) -> Result<Found, Failure> {
        let tree = self.unpacked(artifact).await?;
        let path = confined(&object.spec.chart);
        let (files, at, limits) = (Arc::clone(&tree), path.clone(), self.limits);
        let reading = move || metadata(&files, &at, &limits);
        let metadata =
            blocking(move || reading().map_err(|why| build(Reason::Reference, why))).await?;
        metadata
            .validate()
            .map_err(|error| build(Reason::Reference, error))?;
        let directory = tree.is_directory(&path);
        let origin = Origin::Files { tree, path };
        let named = (metadata.name.as_str(), metadata.version.as_str());
        let mut found = found(object, named, origin, LOCAL_TIMEOUT)?;
        if let Some(label) = revision_label(object, &artifact.revision) {
            let mut parts = vec![label];
            if !found.values_files.is_empty() {
                parts.push(object.metadata.generation.unwrap_or_default().to_string());
            }
            found.version = with_metadata(&metadata.version, &parts.join("."))?;
            found.packaged = true;
        }
        found.packaged |= directory;
        Ok(found)
    }

    async fn unpacked(&self, artifact: &Artifact) -> Result<Arc<ArtifactTree>, Failure> {
        let (store, path) = (
            Arc::clone(self.setup.shelf.storage()),
            artifact.path.clone(),
        );
        let scratch = self.setup.scratch.clone();
        let unpacking = tokio::task::spawn_blocking(move || {
            let file = open(&store, &path)?;
            ArtifactTree::unpack(file, &scratch, Bounds::default()).map_err(|error| chain(&error))
        });
        let tree = unpacking
            .await
            .unwrap_or_else(|error| Err(error.to_string()));
        tree.map(Arc::new)
            .map_err(|why| fetch("Failed", format!("artifact untar error: {why}")))
    }
}

fn open(store: &Storage, path: &str) -> Result<File, String> {
    let path = ArtifactPath::parse(path).map_err(|error| error.to_string())?;
    store.open(&path).map_err(|error| error.to_string())
}

/// Reads Chart.yaml of a directory, or of an archive.
fn metadata(tree: &ArtifactTree, path: &str, limits: &Limits) -> Result<Metadata, String> {
    let within = |path: &str, what: &str, max: u64| match tree.size(path) {
        Some(size) if size > max => Err(format!("size of {what} exceeds '{max}' bytes limit")),
        _ => Ok(()),
    };
    let missing = |what: &str| format!("{what}: no such file or directory");
    if tree.is_directory(path) {
        let file = if path.is_empty() {
            "Chart.yaml".to_owned()
        } else {
            format!("{path}/Chart.yaml")
        };
        within(&file, "'Chart.yaml'", limits.file_bytes)?;
        let content = tree
            .content(&file)
            .map_err(|_| missing(&format!("open /{file}")))?;
        return Metadata::parse(&content).map_err(|error| error.to_string());
    }
    let name = path.rsplit('/').next().unwrap_or(path);
    within(path, &format!("chart '{name}'"), limits.chart_bytes)?;
    let content = tree
        .content(path)
        .map_err(|_| missing(&format!("stat /{path}")))?;
    let chart = read_archive_within(path, &content, limits.file());
    Ok(chart.map_err(|error| error.to_string())?.metadata)
}

fn found(
    object: &HelmChart,
    (name, version): (&str, &str),
    origin: Origin,
    timeout: Duration,
) -> Result<Found, Failure> {
    let files: Vec<String> = object.spec.all_values_files().map(str::to_owned).collect();
    let values_files = if is_default(&files) {
        Vec::new()
    } else {
        files
    };
    let packaged = !values_files.is_empty();
    let version = if packaged {
        with_metadata(
            version,
            &object.metadata.generation.unwrap_or_default().to_string(),
        )?
    } else {
        version.to_owned()
    };
    Ok(Found {
        name: name.to_owned(),
        version,
        origin,
        values_files,
        packaged,
        verified: Verified::NotAsked,
        deadline: Instant::now() + timeout,
    })
}

fn with_metadata(version: &str, metadata: &str) -> Result<String, Failure> {
    let parsed = Version::parse(version).map_err(|error| {
        build(
            Reason::Metadata,
            format!("failed to parse version from chart metadata as SemVer: {error}"),
        )
    })?;
    let labelled = parsed.with_metadata(metadata).map_err(|error| {
        build(
            Reason::Metadata,
            format!("failed to set SemVer metadata on chart version: {error}"),
        )
    })?;
    Ok(labelled.to_string())
}

/// With the strategy `Revision`: the first twelve characters of the commit or of the bucket's digest.
fn revision_label(object: &HelmChart, revision: &str) -> Option<String> {
    if object.spec.reconcile_strategy != Some(ReconcileStrategy::Revision) {
        return None;
    }
    let hash = match object.spec.source_ref.kind {
        ChartSourceKind::HelmRepository => return None,
        ChartSourceKind::GitRepository | ChartSourceKind::Bucket => {
            revision.rsplit([':', '/']).next().unwrap_or(revision)
        }
    };
    Some(hash.chars().take(12).collect())
}

/// Refuses names that no repository has.
fn check_name(name: &str) -> Result<(), Failure> {
    let allowed = |each: char| each.is_ascii_lowercase() || each.is_ascii_digit() || each == '-';
    if name.is_empty() {
        return Err(build(
            Reason::Reference,
            "no name set for remote chart reference",
        ));
    }
    let mut after_word = false;
    let mut after_slash = false;
    for each in name.chars() {
        match each {
            each if allowed(each) => (after_word, after_slash) = (true, false),
            '/' if after_word => (after_word, after_slash) = (false, true),
            '.' if after_word || after_slash => (after_word, after_slash) = (false, false),
            _ => {
                return Err(build(
                    Reason::Reference,
                    format!(
                        "invalid chart name '{name}': a valid name must be lower case letters and numbers and MAY be separated with dashes (-), slashes (/) or periods (.)"
                    ),
                ));
            }
        }
    }
    Ok(())
}

pub(super) fn choose_listed<'a>(
    listed: Option<&'a [Listed]>,
    chart: &str,
    wanted: &str,
) -> Result<&'a Listed, String> {
    let Some(listed) = listed else {
        return Err("no chart name found".to_owned());
    };
    let candidates: Vec<Candidate> = listed.iter().map(Listed::candidate).collect();
    let at = choose(&candidates, chart, wanted).map_err(|error| error.to_string())?;
    listed
        .get(at)
        .ok_or_else(|| "no chart version found".to_owned())
}

fn not_found_in_registry(error: &OciError, what: &str, access: &HelmAccess) -> Failure {
    let words = access.redactor.redact(&chain(error));
    if error.is_authentication() {
        return login(&words);
    }
    build(Reason::Pull, format!("{what}: {words}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: SC-174
    #[test]
    fn chart_names_are_checked() {
        for good in ["demo", "demo-2", "org/demo", "a.b", "a-b/c.d", "3x"] {
            check_name(good).unwrap();
        }
        for bad in [
            "", "Demo", "de_mo", "a//b", "a..b", "../x", "/x", "demo:1", "a b",
        ] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn revision_becomes_a_label_of_the_version() {
        let mut object = HelmChart::default();
        object.spec.source_ref.kind = ChartSourceKind::GitRepository;
        let label = |object: &HelmChart, revision| revision_label(object, revision);
        assert_eq!(label(&object, "main@sha1:0123456789abcdef"), None);
        object.spec.reconcile_strategy = Some(ReconcileStrategy::Revision);
        assert_eq!(
            label(&object, "main@sha1:0123456789abcdef").unwrap(),
            "0123456789ab"
        );
        assert_eq!(
            label(&object, "main/0123456789abcdef").unwrap(),
            "0123456789ab"
        );
        object.spec.source_ref.kind = ChartSourceKind::Bucket;
        assert_eq!(
            label(&object, "sha256:0123456789abcdef").unwrap(),
            "0123456789ab"
        );
        object.spec.source_ref.kind = ChartSourceKind::HelmRepository;
        assert_eq!(label(&object, "sha256:0123456789abcdef"), None);
    }

    #[test]
    fn version_takes_metadata_or_stalls() {
        assert_eq!(with_metadata("1.1.0", "1").unwrap(), "1.1.0+1");
        assert_eq!(with_metadata("0.1.0", "abc.3").unwrap(), "0.1.0+abc.3");
        let failure = with_metadata("x", "1").unwrap_err();
        assert_eq!(failure.reason, "MetadataPatchError");
    }
}
