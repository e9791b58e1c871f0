//! Fetches the layer and stores it as the new artifact.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek, Write};

use api::meta::Artifact;
use api::source::{LayerOperation, OCIRepository};
use artifact::ArtifactTree;
use artifact::fetch::Bounds;
use registry::{Blob, Descriptor, Image};
use runtime::{Failure, Progress};

use super::gather::{PULL_FAILED, Verified};
use super::plan::Plan;
use super::{LINK, OciRepositories};
use crate::failure::{chain, fetch, storage};
use crate::shelf::outdated;
use crate::tree::write_archive;
use crate::verify::MARK;

/// The layer could not be chosen or unpacked.
const LAYER_FAILED: &str = "OCIArtifactLayerOperationFailed";
/// The largest layer, in bytes.
const MAX_LAYER_BYTES: u64 = 2 << 30;

/// What came of a run.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// What is published is what is asked for.
    Unchanged {
        /// The artifact, with today's address.
        artifact: Artifact,
        /// What came of looking at its signatures.
        verified: Verified,
    },
    /// A new artifact is in the storage.
    Stored {
        /// The artifact.
        artifact: Artifact,
        /// The address of the link to it.
        url: String,
        /// What came of looking at its signatures.
        verified: Verified,
    },
}

impl OciRepositories {
    pub(super) async fn publish(
        &self,
        object: &OCIRepository,
        plan: Plan,
        progress: &Progress,
    ) -> Result<Outcome, Failure> {
        let revision = plan.revision.clone();
        let known = plan.published.as_ref();
        if known.is_none_or(|artifact| artifact.revision != revision) {
            let repository = plan.remote.repository();
            let meant = match revision.split_once('@') {
                Some((tag, _)) => format!("{repository}:{tag}"),
                None => format!("{repository}@{revision}"),
            };
            let words = format!("new revision '{revision}' for '{meant}'");
            let change = outdated(known.is_some(), "NewRevision", words.clone());
            progress
                .changed(format!("building artifact: {words}"), change)
                .await?;
        }
        let (annotations, mut layer) = self.layer(object, &plan).await?;
        let file = format!("{}.tar.gz", plan.digest);
        let stored = match plan.operation {
            LayerOperation::Copy => {
                let copy = move |out: &mut dyn Write| std::io::copy(&mut layer, out).map(drop);
                self.setup.shelf.put(object, &file, &revision, copy).await
            }
            LayerOperation::Extract => {
                let tree = self.unpacked(layer).await?;
                let ignore = plan.ignore.clone();
                let write = move |out: &mut dyn Write| write_archive(&tree, ignore.as_deref(), out);
                self.setup.shelf.put(object, &file, &revision, write).await
            }
        };
        let mut artifact = stored?;
        artifact.metadata = annotations;
        let before = plan.published.as_ref().and_then(|it| it.metadata.get(MARK));
        if let (Verified::Standing, Some(mark)) = (&plan.verified, before) {
            artifact.metadata.insert(MARK.to_owned(), mark.clone());
        }
        plan.verified.mark(&mut artifact);
        let url = self.setup.shelf.link(&artifact, LINK, progress).await;
        Ok(Outcome::Stored {
            artifact,
            url,
            verified: plan.verified,
        })
    }

    /// Downloads the layer that is meant. Returns also the annotations of its image.
    async fn layer(
        &self,
        object: &OCIRepository,
        plan: &Plan,
    ) -> Result<(BTreeMap<String, String>, File), Failure> {
        let failed = |error: &registry::Error| {
            let words = format!(
                "failed to pull artifact from '{}': {}",
                object.spec.url,
                chain(error)
            );
            fetch(PULL_FAILED, plan.redactor.redact(&words))
        };
        let manifest = plan.remote.image(&plan.digest).await;
        let manifest = manifest.map_err(|error| failed(&error))?;
        let image = manifest.image().map_err(|error| {
            let words = format!("failed to parse artifact manifest: {}", chain(&error));
            fetch(LAYER_FAILED, words)
        })?;
        let layer = choose(&image, plan.media_type.as_deref())?;
        let blob = plan.remote.blob(&layer.digest).await;
        let blob = blob.map_err(|error| failed(&error))?;
        let file = self.download(blob, &failed).await?;
        Ok((image.annotations.unwrap_or_default(), file))
    }

    async fn download(
        &self,
        mut blob: Blob,
        failed: &impl Fn(&registry::Error) -> Failure,
    ) -> Result<File, Failure> {
        let no_space = |error: std::io::Error| {
            let words = format!("failed to create temporary working directory: {error}");
            storage("DirectoryCreationFailed", words)
        };
        let mut file = tempfile::tempfile_in(&self.setup.scratch).map_err(no_space)?;
        let mut size = 0;
        while let Some(chunk) = blob.chunk().await.map_err(|error| failed(&error))? {
            size += chunk.len() as u64;
            if size > MAX_LAYER_BYTES {
                let words = format!("the layer is larger than {MAX_LAYER_BYTES} bytes");
                return Err(fetch(LAYER_FAILED, words));
            }
            file.write_all(&chunk).map_err(no_space)?;
        }
        file.rewind().map_err(no_space)?;
        Ok(file)
    }

    async fn unpacked(&self, layer: File) -> Result<ArtifactTree, Failure> {
        let scratch = self.setup.scratch.clone();
        let unpacking = tokio::task::spawn_blocking(move || {
            ArtifactTree::unpack(layer, &scratch, Bounds::default()).map_err(|error| chain(&error))
        });
        let tree = unpacking
            .await
            .unwrap_or_else(|error| Err(error.to_string()));
        tree.map_err(|why| {
            let words = format!("failed to extract layer contents from artifact: {why}");
            fetch(LAYER_FAILED, words)
        })
    }
}

/// Returns the first layer of a media type, or the first of all.
fn choose<'a>(image: &'a Image, media_type: Option<&str>) -> Result<&'a Descriptor, Failure> {
    if image.layers.is_empty() {
        return Err(fetch(LAYER_FAILED, "no layers found in artifact"));
    }
    let found = image
        .layers
        .iter()
        .find(|layer| media_type.is_none_or(|wanted| layer.media_type == wanted));
    found.ok_or_else(|| {
        let wanted = media_type.unwrap_or_default();
        let words = format!("failed to find layer with media type '{wanted}' in artifact");
        fetch(LAYER_FAILED, words)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: SC-119
    #[test]
    fn layer_is_the_first_of_its_type_or_of_all() {
        let image: Image = serde_json::from_value(serde_json::json!({
            "schemaVersion": 2,
            "config": {"mediaType": "c", "digest": "sha256:c", "size": 1},
            "layers": [
                {"mediaType": "a", "digest": "sha256:1", "size": 1},
                {"mediaType": "b", "digest": "sha256:2", "size": 1},
                {"mediaType": "b", "digest": "sha256:3", "size": 1},
            ],
        }))
        .unwrap();
        assert_eq!(choose(&image, None).unwrap().digest, "sha256:1");
        assert_eq!(choose(&image, Some("b")).unwrap().digest, "sha256:2");
        let failure = choose(&image, Some("x")).unwrap_err();
        assert_eq!(failure.reason, "OCIArtifactLayerOperationFailed");
        assert_eq!(
            failure.message,
            "failed to find layer with media type 'x' in artifact"
        );
        let none = Image {
            layers: Vec::new(),
            ..image
        };
        assert_eq!(
            choose(&none, None).unwrap_err().message,
            "no layers found in artifact"
        );
    }
}
