//! What became of a HelmRelease.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::meta::{Condition, Duration, Inventory, Time};

/// Says what was released last, and how it went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HelmReleaseStatus {
    /// Generation of the object that the last finished run acted on; -1 before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// State of the object, one entry a type: `Ready`, `Reconciling`, `Stalled`, `Released`, `TestSuccess`, `Remediated`, `Drifted`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "crate::schema::conditions")
    )]
    pub conditions: Vec<Condition>,
    /// Value of the last request annotation that was acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// Value of the last force annotation that was acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_force_at: Option<String>,
    /// Value of the last reset annotation that was acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_reset_at: Option<String>,
    /// Generation of the object that the last try acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_attempted_generation: Option<i64>,
    /// The HelmChart that was made for the release: `<namespace>/<name>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub helm_chart: Option<String>,
    /// Namespace that keeps the records of the release.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 63)))]
    pub storage_namespace: Option<String>,
    /// Releases that are remembered, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Snapshot>,
    /// Objects of the newest release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inventory: Option<Inventory>,
    /// What the last try did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_attempted_release_action: Option<ReleaseAction>,
    /// How long the last try took, such as `5.7s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::string"))]
    pub last_attempted_release_action_duration: Option<Duration>,
    /// How many tries failed since the chart, its values or this object last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failures: Option<i64>,
    /// How many installations failed since then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub install_failures: Option<i64>,
    /// How many upgrades failed since then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upgrade_failures: Option<i64>,
    /// Version of the chart that was tried last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_attempted_revision: Option<String>,
    /// Digest of the chart that was tried last, where it came from an OCI registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_attempted_revision_digest: Option<String>,
    /// Checksum of the values that were tried last: `<algorithm>:<hex>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_attempted_config_digest: Option<String>,
    /// SHA-1 of the values that were tried last, as v2beta1 wrote it; `lastAttemptedConfigDigest` takes its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_attempted_values_checksum: Option<String>,
    /// Revision of the last release, as v2beta1 wrote it; `history` takes its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::integer"))]
    pub last_release_revision: Option<i64>,
    /// Version of the chart that was released last with success; written by v2beta1 and v2beta2 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_applied_revision: Option<String>,
    /// Checksum of the post-renderers of the last release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_post_renderers_digest: Option<String>,
    /// Checksum of the common metadata of the last release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_common_metadata_digest: Option<String>,
}

impl HelmReleaseStatus {
    /// Returns the version of the chart that was released last, from the history or, as older versions wrote it, alone.
    #[must_use]
    pub fn released_version(&self) -> Option<&str> {
        let newest = self
            .history
            .first()
            .map(|snapshot| snapshot.chart_version.as_str());
        newest
            .or(self.last_applied_revision.as_deref())
            .filter(|version| !version.is_empty())
    }

    /// Returns the checksum of the values that were tried last; v2beta1's comes out as `sha1:<hex>`.
    #[must_use]
    pub fn attempted_config_digest(&self) -> Option<String> {
        let older = || {
            self.last_attempted_values_checksum
                .as_ref()
                .map(|sum| format!("sha1:{sum}"))
        };
        self.last_attempted_config_digest.clone().or_else(older)
    }
}

/// What was done with a release.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ReleaseAction {
    /// It was installed.
    #[default]
    Install,
    /// It was upgraded.
    Upgrade,
}

/// Remembers one release.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Version of this record's form: `v2`, `v1` or nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Checksum of the release as Helm recorded it: `<algorithm>:<hex>`.
    pub digest: String,
    /// Name of the release.
    pub name: String,
    /// Namespace of the release.
    pub namespace: String,
    /// Revision of the release; counts from 1.
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::integer"))]
    pub version: i64,
    /// State of the release as Helm names it, such as `deployed`.
    pub status: String,
    /// What made the release: `install`, `upgrade`, `rollback`, `uninstall` or `uninstall-remediation`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Name of the chart.
    pub chart_name: String,
    /// Version of the chart.
    pub chart_version: String,
    /// Version of what the chart installs, as the chart names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_version: Option<String>,
    /// Checksum of the values: `<algorithm>:<hex>`.
    pub config_digest: String,
    /// When the release was installed.
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::time"))]
    pub first_deployed: Time,
    /// When the release was last changed.
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::time"))]
    pub last_deployed: Time,
    /// When the release was uninstalled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::time"))]
    pub deleted: Option<Time>,
    /// What became of the release's tests, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_hooks: Option<BTreeMap<String, TestHook>>,
    /// Digest of the chart, where it came from an OCI registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oci_digest: Option<String>,
}

/// Says what became of a test.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TestHook {
    /// When the test began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::time"))]
    pub last_started: Option<Time>,
    /// When the test ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::time"))]
    pub last_completed: Option<Time>,
    /// How the test ended, as Helm names it: `Succeeded`, `Failed` and the like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_fields_are_read_where_newer_are_missing() {
        let status = HelmReleaseStatus {
            last_applied_revision: Some("1.2.3".into()),
            last_attempted_values_checksum: Some("ab".into()),
            ..HelmReleaseStatus::default()
        };
        assert_eq!(status.released_version(), Some("1.2.3"));
        assert_eq!(status.attempted_config_digest().as_deref(), Some("sha1:ab"));
        let newer = HelmReleaseStatus {
            last_attempted_config_digest: Some("sha256:cd".into()),
            ..status
        };
        assert_eq!(
            newer.attempted_config_digest().as_deref(),
            Some("sha256:cd")
        );
    }
}
