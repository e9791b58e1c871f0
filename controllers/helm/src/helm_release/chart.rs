//! Charts as artifacts: downloaded, loaded, named by their versions.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use artifact::fetch::{ArtifactCache, FetchConfig, FetchError};
use helm::chart::Chart;
use net_http::Client;
use semver::Version;

/// The largest chart that is downloaded.
const MAX_ARCHIVE: u64 = 100 << 20;
/// How many bytes of loaded charts are kept for the next run.
const KEPT: usize = 24 << 20;
/// How many hex digits of a digest go into a version.
const SHORT_DIGEST: usize = 12;

/// Loads charts, and keeps the last ones by their digests.
#[derive(Debug)]
pub(crate) struct ChartCache {
    artifacts: ArtifactCache,
    config: FetchConfig,
    timeout: Duration,
    kept: Mutex<Vec<(String, usize, Arc<Chart>)>>,
}

/// Why a chart could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChartError {
    /// It is not there any more.
    #[error("artifact not found")]
    NotFound,
    /// It cannot be downloaded, or is not the one that was named.
    #[error("{0}")]
    Fetch(String),
    /// It is no chart.
    #[error("failed to load chart: {0}")]
    Load(String),
}

impl ChartCache {
    /// Makes an empty cache. `timeout` is for one try.
    pub(crate) fn new(client: Client, config: FetchConfig, timeout: Duration) -> Self {
        let config = FetchConfig {
            max_archive_bytes: MAX_ARCHIVE,
            ..config
        };
        Self {
            artifacts: ArtifactCache::new(client, config.clone()),
            config,
            timeout,
            kept: Mutex::default(),
        }
    }

    /// Returns the chart of a digest, downloaded unless it is already there.
    pub(crate) async fn get(&self, url: &str, digest: &str) -> Result<Arc<Chart>, ChartError> {
        if let Some(chart) = self.known(digest) {
            return Ok(chart);
        }
        let bytes = self.download(url, digest).await?;
        let size = bytes.len();
        let name = url.rsplit('/').next().unwrap_or(url).to_owned();
        let loaded =
            tokio::task::spawn_blocking(move || helm::chart::read_archive(&name, &bytes)).await;
        let chart = match loaded {
            Ok(Ok(chart)) => Arc::new(chart),
            Ok(Err(error)) => return Err(ChartError::Load(error.to_string())),
            Err(error) => return Err(ChartError::Load(error.to_string())),
        };
        self.keep(digest, size, &chart);
        Ok(chart)
    }

    async fn download(&self, url: &str, digest: &str) -> Result<Vec<u8>, ChartError> {
        let mut wait = self.config.wait_min;
        for attempt in 0..=self.config.retries {
            let archive = self.artifacts.archive(url, digest);
            let error = match tokio::time::timeout(self.timeout, archive).await {
                Ok(Ok(bytes)) => return Ok(bytes),
                Ok(Err(FetchError::NotFound)) => return Err(ChartError::NotFound),
                Ok(Err(error)) if !error.is_transient() => {
                    return Err(ChartError::Fetch(runtime::failure::chain(&error)));
                }
                Ok(Err(error)) => runtime::failure::chain(&error),
                Err(_) => format!("failed to download chart from {url}: timed out"),
            };
            if attempt == self.config.retries {
                return Err(ChartError::Fetch(error));
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(self.config.wait_max);
        }
        Err(ChartError::NotFound)
    }

    fn known(&self, digest: &str) -> Option<Arc<Chart>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(own, _, _)| own == digest)?;
        let entry = kept.remove(at);
        let chart = Arc::clone(&entry.2);
        kept.push(entry);
        Some(chart)
    }

    fn keep(&self, digest: &str, size: usize, chart: &Arc<Chart>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push((digest.to_owned(), size, Arc::clone(chart)));
        while kept.len() > 1 && kept.iter().map(|(_, size, _)| size).sum::<usize>() > KEPT {
            kept.remove(0);
        }
    }
}

/// A revision as an artifact has it, and what it says of the chart's version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mutation {
    /// The chart's new version; none where it stays.
    pub version: Option<String>,
    /// What is remembered as the revision's digest.
    pub digest: String,
}

/// Finds what the revision of an artifact makes of a chart's version: `1.2.3@sha256:abc…` makes it
/// `1.2.3+abc…`, so that a tag that moves is a new version.
///
/// # Errors
/// A sentence for Ready.
pub(super) fn mutate(version: &str, revision: &str, track: bool) -> Result<Mutation, String> {
    let (tag, digest) = match revision.split_once('@') {
        Some((tag, digest)) => (Some(tag), digest),
        None => (None, revision),
    };
    let invalid = || format!("invalid artifact revision {revision}");
    let (_, hex) = digest.split_once(':').ok_or_else(invalid)?;
    if hex.contains(':') || hex.len() < SHORT_DIGEST || !hex.is_ascii() {
        return Err(invalid());
    }
    let chart = Version::parse(version).map_err(|_| format!("invalid chart version {version}"))?;
    let bare = |v: &Version| {
        v.to_string()
            .split('+')
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    let mut remembered = digest.to_owned();
    if let Some(tag) = tag {
        let spelled = tag.replace('_', "+");
        match Version::parse(spelled.strip_prefix('v').unwrap_or(&spelled)) {
            Ok(tagged) if bare(&tagged) == bare(&chart) => {}
            Ok(_) => {
                return Err(format!(
                    "artifact revision {tag} does not match chart version {version}"
                ));
            }
            // A tag like `latest`: whatever it names is taken, by its digest.
            Err(_) => revision.clone_into(&mut remembered),
        }
    }
    let short = &hex[..SHORT_DIGEST];
    Ok(Mutation {
        version: track.then(|| format!("{}+{short}", bare(&chart))),
        digest: remembered,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:abcdef1234567890";

    fn version(chart: &str, tag: &str) -> Result<String, String> {
        mutate(chart, &format!("{tag}@{DIGEST}"), true).map(|m| m.version.unwrap_or_default())
    }

    /// covers: HC-157, HC-158
    #[test]
    fn digest_becomes_build_metadata() {
        assert_eq!(version("1.2.3", "1.2.3").unwrap(), "1.2.3+abcdef123456");
        assert_eq!(
            version("v1.2.3+build", "v1.2.3_other").unwrap(),
            "1.2.3+abcdef123456"
        );
        let error = version("1.2.3", "1.2.4").unwrap_err();
        assert_eq!(
            error,
            "artifact revision 1.2.4 does not match chart version 1.2.3"
        );
        assert!(mutate("1.2.3", "1.2.3@sha256:abc", true).is_err());
    }

    #[test]
    fn tag_that_is_no_version_is_remembered_whole() {
        let mutation = mutate("1.2.3", &format!("latest@{DIGEST}"), true).unwrap();
        assert_eq!(mutation.digest, format!("latest@{DIGEST}"));
        let mutation = mutate("1.2.3", &format!("1.2.3@{DIGEST}"), false).unwrap();
        assert_eq!((mutation.version, mutation.digest.as_str()), (None, DIGEST));
    }
}
