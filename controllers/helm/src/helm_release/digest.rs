//! Digests by which changes are told. Pure.

use api::helm::HelmRelease;
use helm::release::{Record, digest};
use serde_json::{Map, Value};
use sha2::Digest as _;

use crate::DigestAlgorithm;

impl DigestAlgorithm {
    fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
            Self::Blake3 => "blake3",
        }
    }
}

/// Hashes a text: `<algorithm>:<hex>`.
pub(super) fn of(algorithm: DigestAlgorithm, text: &str) -> String {
    let name = algorithm.name();
    format!("{name}:{}", sum(name, text).unwrap_or_default())
}

fn sum(algorithm: &str, text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    Some(match algorithm {
        "sha1" => hex::encode(sha1::Sha1::digest(bytes)),
        "sha256" => hex::encode(sha2::Sha256::digest(bytes)),
        "sha384" => hex::encode(sha2::Sha384::digest(bytes)),
        "sha512" => hex::encode(sha2::Sha512::digest(bytes)),
        "blake3" => blake3::hash(bytes).to_hex().to_string(),
        _ => return None,
    })
}

/// Whether a text has this digest, in whatever algorithm it is.
pub(super) fn fits(stored: &str, text: &str) -> bool {
    let parts = stored.split_once(':');
    parts.is_some_and(|(algorithm, hex)| sum(algorithm, text).is_some_and(|sum| sum == hex))
}

/// Returns what of values is hashed.
pub(super) fn values_text(values: &Map<String, Value>) -> String {
    digest::values_text(values).unwrap_or_else(|error| {
        tracing::warn!(%error, "values have no YAML text");
        Value::Object(values.clone()).to_string()
    })
}

/// Returns what of a record is hashed.
pub(super) fn record_text(record: &Record, oci_digest: Option<&str>) -> String {
    digest::observation(record, oci_digest.unwrap_or_default())
}

/// Hashes the post-renderers of a release; none where it has none.
pub(super) fn post_renderers(object: &HelmRelease) -> Option<String> {
    let list = &object.spec.post_renderers;
    let text = serde_json::to_string(list).unwrap_or_default();
    (!list.is_empty()).then(|| of(DigestAlgorithm::Sha256, &digest::encoded(&text)))
}

/// Hashes the common metadata of a release; none where it has none.
pub(super) fn common_metadata(object: &HelmRelease) -> Option<String> {
    let metadata = object.spec.common_metadata.as_ref()?;
    let text = serde_json::to_string(metadata).unwrap_or_default();
    Some(of(DigestAlgorithm::Sha256, &digest::encoded(&text)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The digests that upstream gave to the same spec.
    #[test]
    fn digests_of_the_spec_are_upstreams() {
        let object: HelmRelease = serde_json::from_value(json!({ "spec": { "interval": "10m",
            "commonMetadata": { "labels": { "team": "a" }, "annotations": { "owner": "b" } },
            "postRenderers": [{ "kustomize": {
                "images": [{ "name": "example.org/web", "newName": "example.org/other", "newTag": "2.0" }],
                "patches": [
                    { "patch": "- {op: add, path: /data/patched, value: \"yes\"}", "target": { "kind": "ConfigMap", "name": "web" } },
                    { "patch": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {template: {spec: {containers: [{name: web, env: [{name: A, value: b}]}]}}}" }] } }] } }))
        .unwrap();
        assert_eq!(
            common_metadata(&object).unwrap(),
            "sha256:3d5e27c81b785fbb75b574f1aeb4b82738f6c09587cf2220f485299a1641d66f"
        );
        assert_eq!(
            post_renderers(&object).unwrap(),
            "sha256:2f5440ae035b45d62cc0ec67c32563f8650b8c0e24abfa8153c450d5695c9943"
        );
    }

    /// covers: HC-171
    #[test]
    fn digest_is_checked_in_its_own_algorithm() {
        for algorithm in [
            DigestAlgorithm::Sha256,
            DigestAlgorithm::Sha384,
            DigestAlgorithm::Sha512,
            DigestAlgorithm::Blake3,
        ] {
            let digest = of(algorithm, "x");
            assert!(fits(&digest, "x") && !fits(&digest, "y"), "{digest}");
        }
        assert!(fits("sha1:11f6ad8ec52a2984abaafd7c3b516503785c2072", "x"));
        assert!(!fits("md5:0", "x") && !fits("nonsense", "x"));
        assert_eq!(
            of(DigestAlgorithm::Sha256, ""),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
