//! The source of a Kustomization, known only by the artifact in its status.

mod shelf;

pub(crate) use shelf::Shelf;

use api::{
    kustomize::{Kustomization, SourceKind},
    meta::Artifact,
};
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject},
    core::GroupVersionKind,
};

const GROUP: &str = "source.toolkit.fluxcd.io";
const VERSION: &str = "v1";
/// The metadata key under which an artifact names the revision it was made from elsewhere.
const ORIGIN_REVISION: &str = "org.opencontainers.image.revision";

/// Which source a Kustomization names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Reference {
    /// The kind.
    pub kind: SourceKind,
    /// The namespace; the Kustomization's own where it names none.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl Reference {
    /// Reads the reference of a Kustomization.
    #[must_use]
    pub(super) fn of(object: &Kustomization) -> Self {
        let source = &object.spec.source_ref;
        let own = || object.namespace().unwrap_or_default();
        Self {
            kind: source.kind,
            namespace: source
                .namespace
                .clone()
                .filter(|n| !n.is_empty())
                .unwrap_or_else(own),
            name: source.name.clone(),
        }
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.kind.as_str(), self.namespace, self.name)
    }
}

/// Returns how the API server names a kind of source.
#[must_use]
pub(super) fn resource(kind: SourceKind) -> ApiResource {
    let plural = match kind {
        SourceKind::OciRepository => "ocirepositories",
        SourceKind::GitRepository => "gitrepositories",
        SourceKind::Bucket => "buckets",
        SourceKind::ExternalArtifact => "externalartifacts",
    };
    let gvk = GroupVersionKind::gvk(GROUP, VERSION, kind.as_str());
    ApiResource::from_gvk_with_plural(&gvk, plural)
}

/// Reads a source; none where it does not exist.
///
/// # Errors
/// The API server's answer.
pub(super) async fn read(client: Client, reference: &Reference) -> kube::Result<DynamicObject> {
    let resource = resource(reference.kind);
    let api = Api::<DynamicObject>::namespaced_with(client, &reference.namespace, &resource);
    api.get(&reference.name).await
}

/// Returns the artifact in a source's status.
#[must_use]
pub(super) fn artifact(source: &DynamicObject) -> Option<Artifact> {
    let artifact = source.data.get("status")?.get("artifact")?;
    serde_json::from_value(artifact.clone()).ok()
}

/// Returns the revision that the artifact was made from elsewhere, where it names one.
#[must_use]
pub(super) fn origin_revision(artifact: &Artifact) -> Option<String> {
    artifact.metadata.get(ORIGIN_REVISION).cloned()
}

/// Tells whether two revisions are the same, in today's form (`main@sha1:abc`) or the old one
/// (`main/abc`).
#[must_use]
pub(super) fn same_revision(a: &str, b: &str) -> bool {
    fn parts(revision: &str) -> (&str, &str) {
        if let Some((name, sum)) = revision.rsplit_once('@') {
            return (name, sum.split_once(':').map_or(sum, |(_, hex)| hex));
        }
        if let Some((algorithm, hex)) = revision.split_once(':') {
            let _: &str = algorithm;
            return ("", hex);
        }
        revision.rsplit_once('/').unwrap_or(("", revision))
    }
    a == b || (!a.is_empty() && !b.is_empty() && parts(a) == parts(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_of_both_forms_are_compared() {
        assert!(same_revision("main@sha1:abc", "main@sha1:abc"));
        assert!(same_revision("main@sha1:abc", "main/abc"));
        assert!(same_revision("feature/x@sha1:abc", "feature/x/abc"));
        assert!(!same_revision("main@sha1:abc", "main@sha1:abd"));
        assert!(!same_revision("main@sha1:abc", ""));
    }
}
