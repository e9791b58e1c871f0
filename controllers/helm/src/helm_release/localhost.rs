//! Artifact addresses for a controller that runs outside the cluster.

use api::helm::ChartReferenceKind;

/// Replaces the host of artifact URLs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Localhost {
    sources: Option<String>,
    others: Option<String>,
}

impl Localhost {
    /// Takes the `host:port` to use for sources and for what other controllers publish, if any.
    pub(crate) fn new(sources: Option<String>, others: Option<String>) -> Self {
        Self { sources, others }
    }

    /// Returns the URL to download from.
    pub(super) fn rewrite(&self, kind: ChartReferenceKind, url: &str) -> String {
        let host = match kind {
            ChartReferenceKind::ExternalArtifact => self.others.as_ref(),
            ChartReferenceKind::OciRepository | ChartReferenceKind::HelmChart => {
                self.sources.as_ref()
            }
        };
        match (host, url.split_once("://")) {
            (Some(host), Some((scheme, rest))) => {
                let path = rest.split_once('/').map_or("", |(_, path)| path);
                format!("{scheme}://{host}/{path}")
            }
            _ => url.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_host_is_replaced_by_kind() {
        let localhost = Localhost::new(Some("127.0.0.1:9".into()), None);
        let url = "http://source-controller/helmchart/a/b.tgz";
        let chart = localhost.rewrite(ChartReferenceKind::HelmChart, url);
        assert_eq!(chart, "http://127.0.0.1:9/helmchart/a/b.tgz");
        let other = localhost.rewrite(ChartReferenceKind::ExternalArtifact, url);
        assert_eq!(other, url);
    }
}
