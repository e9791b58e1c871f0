//! Artifacts, fetched from outside of the cluster.

use std::fmt;

use anyhow::{Context as _, Result, ensure};
use api::meta::Artifact;
use artifact::fetch::{ArtifactCache, ArtifactTree, Bounds, FetchConfig};
use futures::AsyncReadExt as _;
use helm::chart::Chart;
use net_http::{ClientConfig, Clients, Environment};
use sha2::{Digest as _, Sha256};

use crate::cluster::Cluster;
use crate::cluster::name::ObjectName;

/// The largest artifact that is fetched, in bytes.
const MAX_BYTES: u64 = 100 << 20;

/// A source, known by the artifact in its status.
#[derive(Debug)]
pub(super) struct Source<'a> {
    pub(super) kind: &'a str,
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
}

impl fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.kind, self.namespace, self.name)
    }
}

/// A fetched artifact.
#[derive(Debug)]
pub(super) struct Fetched {
    bytes: Vec<u8>,
    name: String,
}

impl Fetched {
    /// Reads it as files.
    pub(super) fn tree(&self) -> Result<ArtifactTree> {
        let folder = std::env::temp_dir();
        ArtifactTree::unpack(self.bytes.as_slice(), &folder, Bounds::default())
            .context("reading the artifact")
    }

    /// Reads it as a chart.
    pub(super) fn chart(&self) -> Result<Chart> {
        helm::chart::read_archive(&self.name, &self.bytes).context("reading the chart")
    }
}

impl Source<'_> {
    /// Returns what the source's status says of its artifact.
    ///
    /// # Errors
    /// Where the source is not there or has none.
    pub(super) async fn found(&self, cluster: &Cluster) -> Result<Artifact> {
        let kind =
            crate::cluster::kind(self.kind).with_context(|| format!("no kind {}", self.kind))?;
        let object = cluster
            .get(&ObjectName::new(kind, self.namespace, self.name))
            .await?;
        let artifact = object.data.pointer("/status/artifact").cloned();
        let artifact = artifact.with_context(|| format!("{self} has no artifact yet"))?;
        serde_json::from_value(artifact).with_context(|| format!("reading the status of {self}"))
    }

    /// Fetches the artifact: where its server is one of the cluster's own, through the API server.
    ///
    /// # Errors
    /// Where it cannot be had, or is not what its digest says.
    pub(super) async fn artifact(&self, cluster: &Cluster) -> Result<Fetched> {
        let artifact = self.found(cluster).await?;
        let url = artifact.url.as_str();
        let digest = artifact.digest().context("reading the artifact's digest")?;
        let bytes = match proxied(url) {
            Some(path) => through(cluster, &path, digest.as_str()).await,
            None => direct(url, digest.as_str()).await,
        };
        Ok(Fetched {
            bytes: bytes.with_context(|| format!("fetching the artifact of {self}"))?,
            name: url.rsplit('/').next().unwrap_or(url).to_owned(),
        })
    }
}

/// Returns where the API server passes requests for a Service on: `http://<service>.<namespace>.svc…/<path>`.
fn proxied(url: &str) -> Option<String> {
    let rest = url.strip_prefix("http://")?;
    let (host, path) = rest.split_once('/')?;
    let (host, port) = host.split_once(':').unwrap_or((host, "80"));
    let mut labels = host.split('.');
    let (service, namespace, svc) = (labels.next()?, labels.next()?, labels.next()?);
    (svc == "svc").then(|| {
        format!("/api/v1/namespaces/{namespace}/services/http:{service}:{port}/proxy/{path}")
    })
}

async fn through(cluster: &Cluster, path: &str, digest: &str) -> Result<Vec<u8>> {
    let request = http::Request::get(path).body(Vec::new())?;
    let answer = cluster.client.request_stream(request).await?;
    let mut bytes = Vec::new();
    let read = answer.take(MAX_BYTES + 1).read_to_end(&mut bytes).await?;
    ensure!(
        read as u64 <= MAX_BYTES,
        "it is larger than {MAX_BYTES} bytes"
    );
    let sum = format!("sha256:{}", hex::encode(Sha256::digest(&bytes)));
    ensure!(sum == digest, "it is {sum}, not {digest}");
    Ok(bytes)
}

async fn direct(url: &str, digest: &str) -> Result<Vec<u8>> {
    let environment = Environment::from_variables(|name| std::env::var(name).ok());
    let clients = Clients::new("lockgate", environment);
    let client = clients.get(&ClientConfig::default())?;
    let config = FetchConfig {
        retries: 0,
        max_archive_bytes: MAX_BYTES,
        ..FetchConfig::default()
    };
    Ok(ArtifactCache::new(client, config)
        .archive(url, digest)
        .await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_of_the_cluster_are_reached_through_the_api_server() {
        let path = "gitrepository/flux-system/app/1.tar.gz";
        let url = format!("http://source-controller.flux-system.svc.cluster.local./{path}");
        let wanted = "/api/v1/namespaces/flux-system/services/http:source-controller:80/proxy/";
        assert_eq!(proxied(&url), Some(format!("{wanted}{path}")));
        assert_eq!(proxied("http://127.0.0.1:9090/a/b"), None);
        assert_eq!(proxied("https://artifacts.example/a"), None);
    }
}
