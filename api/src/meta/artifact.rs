//! What a source publishes for others to fetch.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Digest, DigestError, Time};

/// Describes the output of a source: a file behind a URL, its revision and its checksum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    // Required of what is written, not of what is read: v1beta1 stored artifacts without digest or revision.
    schemars(extend("required" = ["digest", "lastUpdateTime", "path", "revision", "url"]))
)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// Path of the file relative to the storage root: `<kind>/<namespace>/<name>/<file>`.
    pub path: String,
    /// HTTP address from which the file can be fetched inside the cluster.
    pub url: String,
    /// What the file was made from: `<name>@<algorithm>:<checksum>`, such as `main@sha1:5394cb7f…`.
    #[serde(default)]
    pub revision: String,
    /// Checksum of the file: `<algorithm>:<hex>`, such as `sha256:9f86d0…`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = crate::schema::DIGEST)))]
    pub digest: String,
    /// Checksum of the file as plain hex SHA-256, as v1beta1 wrote it; `digest` takes its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
    /// When the file last changed.
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::time"))]
    pub last_update_time: Time,
    /// Size of the file in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
    /// Facts about what the file was made from, such as OCI annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

impl Artifact {
    /// Reads the checksum, from `digest` or, as v1beta1 wrote it, from `checksum`.
    ///
    /// # Errors
    /// [`DigestError`] where neither has the form of one.
    pub fn digest(&self) -> Result<Digest, DigestError> {
        match (&*self.digest, &self.checksum) {
            ("", Some(checksum)) => format!("sha256:{checksum}").parse(),
            (digest, _) => digest.parse(),
        }
    }

    /// Says whether both are the same content: equal revision text and equal digest text.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.revision == other.revision && self.digest == other.digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_is_read_from_either_field() {
        let hex = "ab".repeat(32);
        let old = serde_json::json!({
            "path": "p", "url": "u", "checksum": hex, "lastUpdateTime": "2026-11-21T00:03:54Z",
        });
        let artifact: Artifact = serde_json::from_value(old).unwrap();
        assert_eq!(artifact.digest().unwrap().as_str(), format!("sha256:{hex}"));
        let newer = Artifact {
            digest: format!("sha512:{}", hex.repeat(2)),
            ..artifact
        };
        assert_eq!(newer.digest().unwrap().algorithm(), "sha512");
    }
}
