//! The source of a chart.

use api::meta::Artifact;
use api::source::{
    Bucket, ChartSourceKind, GitRepository, HelmChart, HelmRepository, HelmRepositoryKind,
};
use kube::{Api, ResourceExt};
use runtime::Failure;

use super::HelmCharts;
use crate::failure::{chain, fetch};

/// The source of a chart.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Helm(Box<HelmRepository>),
    Git(Box<GitRepository>),
    Bucket(Box<Bucket>),
}

impl Source {
    pub(super) fn artifact(&self) -> Option<&Artifact> {
        match self {
            Self::Helm(source) => source.status.as_ref()?.artifact.as_ref(),
            Self::Git(source) => source.status.as_ref()?.artifact.as_ref(),
            Self::Bucket(source) => source.status.as_ref()?.artifact.as_ref(),
        }
    }

    /// Returns whether charts are asked for at a registry.
    pub(super) fn is_registry(&self) -> bool {
        match self {
            Self::Helm(source) => source.spec.kind == Some(HelmRepositoryKind::Oci),
            Self::Git(_) | Self::Bucket(_) => false,
        }
    }
}

/// Returns the name of a kind.
pub(super) fn kind(kind: ChartSourceKind) -> &'static str {
    match kind {
        ChartSourceKind::HelmRepository => "HelmRepository",
        ChartSourceKind::GitRepository => "GitRepository",
        ChartSourceKind::Bucket => "Bucket",
    }
}

impl HelmCharts {
    /// Reads the source that the object names, in its own namespace.
    pub(super) async fn source(&self, object: &HelmChart) -> Result<Source, Failure> {
        let namespace = object.namespace().unwrap_or_default();
        let client = || self.setup.client.clone();
        let reference = &object.spec.source_ref;
        let name = reference.name.as_str();
        let read = match reference.kind {
            ChartSourceKind::HelmRepository => {
                let api: Api<HelmRepository> = Api::namespaced(client(), &namespace);
                api.get(name).await.map(|each| Source::Helm(Box::new(each)))
            }
            ChartSourceKind::GitRepository => {
                let api: Api<GitRepository> = Api::namespaced(client(), &namespace);
                api.get(name).await.map(|each| Source::Git(Box::new(each)))
            }
            ChartSourceKind::Bucket => {
                let api: Api<Bucket> = Api::namespaced(client(), &namespace);
                api.get(name)
                    .await
                    .map(|each| Source::Bucket(Box::new(each)))
            }
        };
        read.map_err(|error| {
            let cause = match &error {
                kube::Error::Api(status) if status.code == 404 => format!(
                    "{}.source.toolkit.fluxcd.io \"{name}\" not found",
                    kind(reference.kind)
                ),
                error => chain(error),
            };
            fetch(
                "SourceUnavailable",
                format!("failed to get source: {cause}"),
            )
        })
    }
}
