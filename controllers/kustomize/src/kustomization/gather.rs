//! Reads what a build needs: the source's artifact, dependencies, variables.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use api::{
    kustomize::{Kustomization, SourceKind},
    meta::Artifact,
};
use artifact::fetch::{ArtifactTree, FetchError};
use kube::{ResourceExt, api::DynamicObject};
use runtime::{Change, Failure, Progress, access};

use super::{
    Reconciler, decrypt, expressions, is_asked_for,
    report::{self, Revision},
    source::{self, Reference},
    timeout, unit,
    variables::{self, Substitution},
};
use crate::{
    features,
    remote::{Answers, Remotes},
};

/// What was read.
#[derive(Debug)]
pub struct Inputs {
    /// The revision of the source.
    pub revision: Revision,
    /// Its files.
    pub tree: Arc<ArtifactTree>,
    /// The directory to build, relative to the artifact's root.
    pub path: String,
    /// What to substitute.
    pub substitution: Result<Substitution, String>,
    /// How to build.
    pub build: BuildSettings,
    /// How to decrypt, where something is to be.
    pub decryption: Option<Decryption>,
    /// The Kustomization's own rules of health.
    pub rules: Arc<expression::health::Rules>,
    /// What other hosts gave; absent where they are not asked.
    pub remote: Option<Answers>,
    /// Whether this run has a revision, generation or request that no run has answered yet.
    pub is_new_revision: bool,
}

/// What decrypts a build.
#[derive(Debug)]
pub struct Decryption {
    /// The keys.
    pub keys: decrypt::Keys,
    /// Files that are decrypted already, by path.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// Settings of the controller that matter to a build.
#[derive(Clone, Copy, Debug)]
pub struct BuildSettings {
    /// Unset variables without a default are errors.
    pub strict_substitution: bool,
}

impl Reconciler {
    /// Reads everything that a build needs.
    pub(super) async fn read(
        &self,
        object: &Kustomization,
        progress: &Progress,
    ) -> Result<Inputs, Failure> {
        let rules = expressions::health_rules(object)?;
        decrypt::check(object, &self.features)?;
        let reference = Reference::of(object);
        let artifact = self.artifact(object, &reference).await?;
        progress.uses(&artifact);
        let revision = Revision {
            name: artifact.revision.clone(),
            origin: source::origin_revision(&artifact),
        };
        self.await_dependencies(object, &revision, progress).await?;
        let is_new_revision = self.is_new(object, &revision);
        let limit = api::meta::Duration::from(timeout(object));
        let note = format!(
            "Fetching manifests for revision {} with a timeout of {limit}",
            revision.name
        );
        if is_new_revision {
            progress.changed(note, Change::default()).await?;
        } else {
            progress.note(note).await?;
        }
        let tree = self.fetch(object, &artifact, &revision).await?;
        let path = resolve_path(object, tree.as_ref(), &revision)?;
        let note = format!(
            "Building manifests for revision {} with a timeout of {limit}",
            revision.name
        );
        let attempt = Change::default().set("lastAttemptedRevision", &revision.name);
        if is_new_revision {
            progress.changed(note, attempt).await?;
        } else {
            progress.note(note).await?;
        }
        let decryption = self.decryption(object, &tree, &path).await;
        let decryption =
            decryption.map_err(|cause| report::failed(&revision, "BuildFailed", cause))?;
        let remote = self.of_other_hosts(object, &revision).await;
        let substitution = variables::read(&self.client, object).await;
        let strict_substitution = self.features.enabled(features::STRICT_SUBSTITUTION);
        let build = BuildSettings {
            strict_substitution,
        };
        Ok(Inputs {
            revision,
            tree,
            path,
            substitution,
            build,
            decryption,
            rules,
            remote,
            is_new_revision,
        })
    }

    /// Whether no run before this one attempted the revision. A run that builds again because it
    /// lacked something of another host is still the same.
    fn is_new(&self, object: &Kustomization, revision: &Revision) -> bool {
        let status = object.status.as_ref();
        let attempted = status.and_then(|s| s.last_attempted_revision.as_deref());
        let resumes = |remotes: &Remotes| remotes.is_new(&unit(object), &revision.name);
        attempted != Some(&revision.name) || self.remotes.as_ref().is_some_and(resumes)
    }

    /// Brings what builds of this revision needed from other hosts so far.
    async fn of_other_hosts(&self, object: &Kustomization, revision: &Revision) -> Option<Answers> {
        let remotes = self.remotes.as_ref()?;
        let limit = timeout(object);
        Some(remotes.bring(&unit(object), &revision.name, limit).await)
    }

    /// Gathers keys and decrypts the files that the build reads.
    async fn decryption(
        &self,
        object: &Kustomization,
        tree: &ArtifactTree,
        path: &str,
    ) -> Result<Option<Decryption>, String> {
        let Some(keys) = self.keys(object).await? else {
            return Ok(None);
        };
        let files = self.decrypt_files(&keys, tree, path).await?;
        Ok(Some(Decryption { keys, files }))
    }

    /// Reads the artifact of the source.
    async fn artifact(
        &self,
        object: &Kustomization,
        reference: &Reference,
    ) -> Result<Artifact, Failure> {
        let namespace = object.namespace().unwrap_or_default();
        let kind = reference.kind.as_str();
        let allowed = self
            .access
            .check(&namespace, kind, &reference.namespace, &reference.name);
        let denied = |cause: String| Failure::stall("AccessDenied", cause).observed(false);
        allowed.map_err(|cause| denied(cause.to_string()))?;
        let gated = reference.kind == SourceKind::ExternalArtifact;
        if gated && !self.features.enabled(features::EXTERNAL_ARTIFACT) {
            let cause = "ExternalArtifact feature gate is disabled";
            return Err(denied(format!("can't access '{reference}', {cause}")));
        }
        // At rest a run needs no look at a source that is watched anyway; whoever asks for a run gets
        // the newest.
        let enforced = namespace != reference.namespace
            && self.features.enabled(features::ENFORCE_ACCESS_FROM);
        if !is_asked_for(object)
            && !enforced
            && let Some(artifact) = self.shelf.artifact(reference)
        {
            return Ok(artifact);
        }
        let source = match source::read(self.client.clone(), reference).await {
            Ok(source) => source,
            Err(kube::Error::Api(status)) if status.code == 404 => {
                tracing::info!("Source '{reference}' not found");
                return Err(Failure::retry("ArtifactFailed", status.message.clone()).quietly());
            }
            Err(error) => {
                let cause = runtime::failure::chain(&error);
                let id = format!("{}/{}", reference.namespace, reference.name);
                let message = format!("unable to get source '{id}': {cause}");
                return Err(Failure::retry("ArtifactFailed", message).quietly());
            }
        };
        if enforced {
            self.obey(&source, reference, &namespace).await?;
        }
        source::artifact(&source).ok_or_else(|| {
            let delay = self.requeue_dependency;
            let text = api::meta::Duration::from(delay);
            let message = format!("Source artifact not found, retrying in {text}");
            Failure::wait(delay, "ArtifactFailed", message)
        })
    }

    /// Refuses a source whose owner does not let the namespace use it. Tried again: labels may change.
    async fn obey(
        &self,
        source: &DynamicObject,
        reference: &Reference,
        own: &str,
    ) -> Result<(), Failure> {
        let rules = access::rules_of(source);
        let owner = (reference.namespace.as_str(), reference.name.as_str());
        let refusal = access::refusal(&self.client, rules.as_ref(), owner, own).await;
        match refusal {
            Ok(None) => Ok(()),
            Ok(Some(why)) => Err(Failure::retry("AccessDenied", why)),
            Err(error) => {
                let cause = runtime::failure::chain(&error);
                let words = format!("unable to get namespace '{own}': {cause}");
                Err(Failure::retry("ArtifactFailed", words).quietly())
            }
        }
    }

    /// Downloads the artifact, or takes it from the cache.
    async fn fetch(
        &self,
        object: &Kustomization,
        artifact: &Artifact,
        revision: &Revision,
    ) -> Result<Arc<ArtifactTree>, Failure> {
        let failed = |cause: String| report::failed(revision, "ArtifactFailed", cause);
        let digest = artifact.digest().map_err(|error| {
            failed(format!(
                "failed to verify archive: {}",
                runtime::failure::chain(&error)
            ))
        })?;
        let url = self.localhost.rewrite(&artifact.url);
        let fetching = self.artifacts.get(&url, digest.as_str());
        match tokio::time::timeout(timeout(object), fetching).await {
            Ok(Ok(tree)) => Ok(tree),
            Ok(Err(FetchError::NotFound)) => Err(self.gone(revision)),
            Ok(Err(error)) => Err(failed(runtime::failure::chain(&error))),
            Err(_) => Err(failed(format!(
                "failed to download archive from {url}: timed out"
            ))),
        }
    }

    /// The artifact was replaced since the source's status was read; the new one is on its way.
    fn gone(&self, _revision: &Revision) -> Failure {
        let delay = self.requeue_dependency;
        let text = api::meta::Duration::from(delay);
        let message = format!("Source is not ready, artifact not found, retrying in {text}");
        // The source's next status wakes this object; the short delay is for one that got lost.
        Failure::wait(
            delay.min(Duration::from_secs(30)),
            "ArtifactFailed",
            message,
        )
    }
}

/// Resolves `spec.path` within the artifact; `..` cannot leave it.
fn resolve_path(
    object: &Kustomization,
    tree: &dyn kustomize::FileTree,
    revision: &Revision,
) -> Result<String, Failure> {
    let given = object.spec.path.as_deref().unwrap_or_default();
    let path = clamp(given);
    if path.is_empty() || tree.stat(&path).is_some() {
        return Ok(path);
    }
    let cause = format!("kustomization path not found: stat {path}: no such file or directory");
    Err(report::failed(revision, "ArtifactFailed", cause))
}

/// Normalises a path; `..` at the root stays at the root.
fn clamp(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_cannot_leave_the_artifact() {
        for (given, clamped) in [
            ("", ""),
            ("./", ""),
            ("./deploy/", "deploy"),
            ("../../etc", "etc"),
            ("/a//b/../c", "a/c"),
        ] {
            assert_eq!(clamp(given), clamped, "{given}");
        }
    }
}
