//! HelmRelease: a chart, installed and kept up to date.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{HelmReleaseStatus, Install, Rollback, Test, Uninstall, Upgrade};
use crate::{
    extension::{self, ExtensionError},
    kustomize::{
        CommonMetadata, DriftDetection, HealthCheckExpression, Image, JsonPatch, Patch,
        SubstituteKind, merge_patches,
    },
    meta::{DependencyReference, Duration, KubeConfigReference, LocalReference},
    source::{ChartSourceKind, ReconcileStrategy, VerificationProvider},
};

kind! {
    /// Installs a Helm chart, upgrades it, and keeps its objects as the chart has them.
    HelmRelease { group: "helm.toolkit.fluxcd.io", version: "v2", plural: "helmreleases" }
    HelmReleaseSpec, HelmReleaseStatus
}

reconciled!(HelmRelease, interval: |spec| Some(spec.interval));

/// Says which chart to release, with which values, and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(extend("x-kubernetes-validations" = crate::schema::rules(&[RULE]))))]
#[serde(rename_all = "camelCase")]
pub struct HelmReleaseSpec {
    /// Chart to make a HelmChart of. Exactly one of `chart` and `chartRef` is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chart: Option<ChartTemplate>,
    /// Source that already has the chart. Exactly one of `chart` and `chartRef` is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chart_ref: Option<ChartReference>,
    /// How often to compare the release with what it should be, such as `10m`.
    pub interval: Duration,
    /// The cluster to release to. Default: the one that the controller runs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kube_config: Option<KubeConfigReference>,
    /// Stops releasing while true; the release stays as it is, even when this object is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// Name of the release. Default: the name of this object, after `<targetNamespace>-` where that is set; shortened to 53
    /// characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 53)))]
    pub release_name: Option<String>,
    /// Namespace to release to. Default: that of this object.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 63)))]
    pub target_namespace: Option<String>,
    /// Namespace that keeps the records of the release. Default: that of this object.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 63)))]
    pub storage_namespace: Option<String>,
    /// Objects that have to be ready before this one is released; HelmReleases unless their kind is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<DependencyReference>,
    /// How long one Helm action, such as an upgrade with its hooks, may take. Default: `5m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// How many records of the release to keep; 0 keeps all. Default: 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::integer"))]
    pub max_history: Option<i64>,
    /// ServiceAccount in the same namespace that is impersonated when releasing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 253)))]
    pub service_account_name: Option<String>,
    /// Keeps one client for all actions of a run; false is for charts that install definitions which they then use. Default: true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persistent_client: Option<bool>,
    /// Whether changes made to the release's objects are looked for and undone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift_detection: Option<DriftDetection>,
    /// How the release is installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub install: Option<Install>,
    /// How the release is upgraded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<Upgrade>,
    /// Whether and how the release's tests are run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<Test>,
    /// How the release is rolled back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,
    /// How the release is uninstalled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uninstall: Option<Uninstall>,
    /// ConfigMaps and Secrets with values, merged in order; a later one goes before an earlier one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values_from: Vec<ValuesReference>,
    /// Values of the chart; go before those of `valuesFrom`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<Value>,
    /// Changes to the objects that the chart renders, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub post_renderers: Vec<PostRenderer>,
    /// Which objects the post-renderers see. Default: `combined`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_render_strategy: Option<PostRenderStrategy>,
    /// Labels and annotations for all objects of the release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub common_metadata: Option<CommonMetadata>,
    /// CEL expressions that say when objects of a kind are healthy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub health_check_exprs: Vec<HealthCheckExpression>,
    /// How to wait for objects to be healthy. Default: `poller`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_strategy: Option<WaitStrategy>,
}

impl HelmRelease {
    /// Returns what this object waits for: the entries of the field, then those of the annotation.
    ///
    /// # Errors
    /// [`ExtensionError`] where the annotation cannot be read.
    pub fn dependencies(&self) -> Result<Vec<DependencyReference>, ExtensionError> {
        extension::DEPENDS_ON.join(&self.spec.depends_on, &self.metadata)
    }
}

#[cfg(feature = "schema")]
const RULE: (&str, &str) = (
    "(has(self.chart) && !has(self.chartRef)) || (!has(self.chart) && has(self.chartRef))",
    "either chart or chartRef must be set",
);

/// Describes the HelmChart that is made for the release.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ChartTemplate {
    /// Labels and annotations of the HelmChart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<ChartTemplateMetadata>,
    /// Spec of the HelmChart.
    pub spec: ChartTemplateSpec,
}

/// Labels and annotations of a HelmChart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ChartTemplateMetadata {
    /// Annotations that the HelmChart gets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Labels that the HelmChart gets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// Says which chart to release.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ChartTemplateSpec {
    /// Name of the chart in a HelmRepository, or its directory or file in another source, such as `./charts/app`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 2048)))]
    pub chart: String,
    /// Version of the chart or a range of versions, such as `>=1.2.0 <2.0.0`. No effect with other sources than HelmRepository.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("default" = "*")))]
    pub version: Option<String>,
    /// Where the chart is.
    pub source_ref: ChartSourceReference,
    /// How often to look for a new version, such as `10m`. Default: the interval of the release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,
    /// What makes a new chart.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("default" = "ChartVersion")))]
    pub reconcile_strategy: Option<ReconcileStrategy>,
    /// Values files of the source that become the chart's values, merged in order; a later one goes before an earlier one.
    /// Default: the chart's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values_files: Vec<String>,
    /// Values file that goes before all of `valuesFiles`. Only for manifests of v2beta1 and v2beta2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values_file: Option<String>,
    /// Leaves out values files that do not exist, instead of failing. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_missing_values_files: Option<bool>,
    /// Checks the signature of the chart before it is released; only in registries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify: Option<ChartTemplateVerification>,
}

impl ChartTemplateSpec {
    /// Returns the values files to merge, in order, whichever field they stand in.
    pub fn all_values_files(&self) -> impl Iterator<Item = &str> {
        let first = self.values_file.as_deref().filter(|file| !file.is_empty());
        first
            .into_iter()
            .chain(self.values_files.iter().map(String::as_str))
    }
}

/// Names the source of a chart.
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
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 253)))]
    pub name: String,
    /// Namespace of the source. Default: that of this object.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 63)))]
    pub namespace: Option<String>,
}

/// Says what has to have signed a chart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ChartTemplateVerification {
    /// How charts are signed.
    #[cfg_attr(feature = "schema", schemars(extend("default" = "cosign")))]
    pub provider: VerificationProvider,
    /// Secret with public keys. Default for cosign: keyless.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalReference>,
}

/// Names a source that has a chart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ChartReference {
    /// API version of the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Kind of the source.
    pub kind: ChartReferenceKind,
    /// Name of the source.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 253)))]
    pub name: String,
    /// Namespace of the source. Default: that of this object.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 63)))]
    pub namespace: Option<String>,
}

/// A kind that has a chart as its artifact.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ChartReferenceKind {
    /// A chart in an OCI registry.
    #[default]
    #[serde(rename = "OCIRepository")]
    OciRepository,
    /// A chart that a HelmChart has packed.
    HelmChart,
    /// A chart that another controller publishes.
    ExternalArtifact,
}

/// Names an object whose data are values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ValuesReference {
    /// Kind of the object.
    pub kind: SubstituteKind,
    /// Name of the object, in the same namespace.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 253)))]
    pub name: String,
    /// Key of the object's data with the values. Default: `values.yaml`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(max = 253), extend("pattern" = r"^[\-._a-zA-Z0-9]+$")))]
    pub values_key: Option<String>,
    /// Path in the values, such as `image.tag` or `hosts[0].name`, that the data is the one value of. Default: the data is YAML
    /// and merged at the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(max = 250), extend("pattern" = r"^([a-zA-Z0-9_\-.\\\/]|\[[0-9]{1,5}\])+$")))]
    pub target_path: Option<String>,
    /// Goes on without the object where it or its key does not exist. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optional: Option<bool>,
    /// Takes the data at `targetPath` as text, without Helm's reading of commas, braces and numbers. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub literal: Option<bool>,
}

/// Changes the objects that a chart renders.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PostRenderer {
    /// Changes them as kustomize does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kustomize: Option<KustomizeRenderer>,
}

/// Changes objects as kustomize does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct KustomizeRenderer {
    /// Strategic merge or JSON patches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<Patch>,
    /// Container images to replace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Image>,
    /// Strategic merge patches, written as objects. Only for manifests of v2beta1 and v2beta2; `patches` takes their place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patches_strategic_merge: Vec<Value>,
    /// JSON patches. Only for manifests of v2beta1 and v2beta2; `patches` takes their place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patches_json6902: Vec<JsonPatch>,
}

impl KustomizeRenderer {
    /// Returns all patches in the form of today, in the order in which kustomize applies them.
    #[must_use]
    pub fn all_patches(&self) -> Vec<Patch> {
        merge_patches(
            &self.patches_strategic_merge,
            &self.patches,
            &self.patches_json6902,
        )
    }
}

/// Which objects post-renderers see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum PostRenderStrategy {
    /// All but hooks.
    #[default]
    NoHooks,
    /// Hooks and others, in one pass.
    Combined,
    /// Hooks and others, in a pass each.
    Separate,
}

/// Says how to wait for objects to be healthy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct WaitStrategy {
    /// Name of the strategy.
    pub name: WaitStrategyName,
}

/// A way to wait for objects to be healthy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum WaitStrategyName {
    /// As Kustomizations do, by the status of every kind.
    #[default]
    Poller,
    /// As Helm 3 did.
    Legacy,
}
