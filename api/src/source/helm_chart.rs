//! HelmChart: one chart as an artifact.

use serde::{Deserialize, Serialize};

use super::{OIDCIdentity, VerificationProvider};
use crate::meta::{AccessFrom, Artifact, Condition, Duration, LocalReference};

kind! {
    /// Publishes a chart of a Helm repository, a Git repository or a bucket as an artifact.
    HelmChart { group: "source.toolkit.fluxcd.io", version: "v1", plural: "helmcharts" }
    HelmChartSpec, HelmChartStatus
}

reconciled!(HelmChart, interval: |spec| Some(spec.interval));

/// Says which chart to publish and how often to look for a new one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(extend("x-kubernetes-validations" = crate::schema::rules(&[RULE]))))]
#[serde(rename_all = "camelCase")]
pub struct HelmChartSpec {
    /// Name of the chart in a HelmRepository, or its directory or file in another source.
    pub chart: String,
    /// Version of the chart or a range of versions, such as `>=1.2.0 <2.0.0`. No effect with other sources than HelmRepository.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("default" = "*")))]
    pub version: Option<String>,
    /// Where the chart is.
    pub source_ref: ChartSourceReference,
    /// How often to look for a new version, such as `10m`.
    pub interval: Duration,
    /// What makes a new chart.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("default" = "ChartVersion")))]
    pub reconcile_strategy: Option<ReconcileStrategy>,
    /// Values files of the source that become the chart's values, merged in order; a later one goes before an earlier one.
    /// Default: the chart's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values_files: Vec<String>,
    /// Values file that goes before all of `valuesFiles`. Only for manifests of v1beta1 and v1beta2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values_file: Option<String>,
    /// Leaves out values files that do not exist, instead of failing. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_missing_values_files: Option<bool>,
    /// Stops looking while true; the last chart stays available.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// Checks the signature of the chart before anything is published; only in registries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify: Option<ChartVerification>,
    /// Namespaces from which the artifact may be referred to. Only for manifests of v1beta1 and v1beta2; not enforced by
    /// default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_from: Option<AccessFrom>,
}

#[cfg(feature = "schema")]
const RULE: (&str, &str) = (
    "!has(self.verify) || self.sourceRef.kind == 'HelmRepository'",
    "spec.verify is only supported when spec.sourceRef.kind is 'HelmRepository'",
);

impl HelmChartSpec {
    /// Returns the values files to merge, in order, whichever field they stand in.
    pub fn all_values_files(&self) -> impl Iterator<Item = &str> {
        let first = self.values_file.as_deref().filter(|file| !file.is_empty());
        first
            .into_iter()
            .chain(self.values_files.iter().map(String::as_str))
    }
}

/// Names the source of a chart, in the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ChartSourceReference {
    /// API version of the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Kind of the source.
    pub kind: ChartSourceKind,
    /// Name of the source.
    pub name: String,
}

/// A kind that charts come from.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ChartSourceKind {
    /// A Helm repository or registry.
    #[default]
    HelmRepository,
    /// Files of a Git commit.
    GitRepository,
    /// Files of an object store.
    Bucket,
}

/// What makes a new chart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ReconcileStrategy {
    /// A new version of the chart.
    #[default]
    ChartVersion,
    /// Any new revision of the source; it becomes part of the version.
    Revision,
}

/// Says what has to have signed a chart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ChartVerification {
    /// How charts are signed.
    #[cfg_attr(feature = "schema", schemars(extend("default" = "cosign")))]
    pub provider: VerificationProvider,
    /// Secret with public keys: for cosign every key that ends in `.pub`; for notation certificates that end in `.crt` or `.pem`
    /// and the policy `trustpolicy.json`. Default for cosign: keyless, by identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalReference>,
    /// Identities one of which has to have signed keylessly. Default: any.
    #[serde(
        rename = "matchOIDCIdentity",
        default,
        skip_serializing_if = "Vec::is_empty"
    )]
    pub match_oidc_identity: Vec<OIDCIdentity>,
}

/// Says what was packed and published last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HelmChartStatus {
    /// Generation of the object that the last finished run acted on; -1 before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// State of the object, one entry a type: `Ready`, `Reconciling`, `Stalled`, `FetchFailed`, `BuildFailed` and more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "crate::schema::conditions")
    )]
    pub conditions: Vec<Condition>,
    /// Value of the last request annotation that was acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// Revision of the source's artifact that the chart came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_source_artifact_revision: Option<String>,
    /// Name in the chart's own metadata.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_chart_name: Option<String>,
    /// Values files that were merged into the chart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observed_values_files: Vec<String>,
    /// The chart that was published last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
    /// Address of the newest chart under a fixed name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_values_file_comes_first() {
        let spec = HelmChartSpec {
            values_file: Some("old.yaml".into()),
            values_files: vec!["a.yaml".into(), "b.yaml".into()],
            ..HelmChartSpec::default()
        };
        assert_eq!(
            spec.all_values_files().collect::<Vec<_>>(),
            ["old.yaml", "a.yaml", "b.yaml"]
        );
        let none = HelmChartSpec {
            values_file: Some(String::new()),
            ..HelmChartSpec::default()
        };
        assert_eq!(none.all_values_files().count(), 0);
    }
}
