//! Kustomization: manifests of a source, built and applied.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{DriftDetection, DriftStatus, FailedObject, IgnoreRule, PruneGuard};
use crate::{
    extension::{self, ExtensionError},
    meta::{
        Condition, DependencyReference, Duration, Inventory, KubeConfigReference, LocalReference,
        Selector, Time,
    },
};

kind! {
    /// Builds the manifests of a source with kustomize and keeps a cluster equal to them.
    Kustomization { group: "kustomize.toolkit.fluxcd.io", version: "v1", plural: "kustomizations" }
    KustomizationSpec, KustomizationStatus
}

reconciled!(Kustomization, interval: |spec| Some(spec.interval));

/// Says what to build, how to change it on the way, and how to apply it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct KustomizationSpec {
    /// How often to build and apply again, which also undoes changes made to the cluster, such as `10m`.
    pub interval: Duration,
    /// How soon to try again after a failure, such as `1m`. Default: `interval`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_interval: Option<Duration>,
    /// How long a run may take, health checks included, such as `5m`; less than 30 seconds counts as 30 seconds. Default:
    /// `interval` less 30 seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Where the manifests come from.
    pub source_ref: SourceReference,
    /// Directory of the source to build, such as `./deploy/production`. Without a `kustomization.yaml` all manifests below
    /// it are taken. Default: the root of the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Deletes objects that were applied before and are no longer in the source.
    pub prune: bool,
    /// What happens to the applied objects when this object is deleted. Default: `MirrorPrune`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// Waits until every applied object is healthy; `healthChecks` is not looked at then. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<bool>,
    /// Objects that have to be healthy for this one to be ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub health_checks: Vec<HealthCheck>,
    /// CEL expressions that say when objects of a kind are healthy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub health_check_exprs: Vec<HealthCheckExpression>,
    /// Objects that have to be ready before this one is applied; Kustomizations unless their kind is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<DependencyReference>,
    /// Recreates objects whose change an immutable field forbids.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("default" = false)))]
    pub force: Option<bool>,
    /// Stops building and applying while true; nothing is pruned, not even on deletion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// Namespace that all namespaced objects are put into.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 63)))]
    pub target_namespace: Option<String>,
    /// Text put before the names of all objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 200)))]
    pub name_prefix: Option<String>,
    /// Text put after the names of all objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 200)))]
    pub name_suffix: Option<String>,
    /// Labels and annotations for all objects; selectors and templates are left alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub common_metadata: Option<CommonMetadata>,
    /// Changes to built objects: strategic merge or JSON patches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<Patch>,
    /// Container images to replace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Image>,
    /// Directories of kustomize components to add, relative to `path`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<String>,
    /// Leaves out components whose directory does not exist, instead of failing. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_missing_components: Option<bool>,
    /// Annotations about their origin that built objects get.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub build_metadata: Vec<BuildMetadata>,
    /// Changes after the build: variables to fill in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_build: Option<PostBuild>,
    /// How encrypted files of the source are decrypted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decryption: Option<Decryption>,
    /// Fields that are neither compared nor set again when something else changed them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<IgnoreRule>,
    /// Whether changes made to applied objects are looked for as they happen. Default: they are undone at the interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift_detection: Option<DriftDetection>,
    /// How much one run may delete before somebody agrees, by the annotation `lockgate.dev/confirmPrune` with the revision of
    /// the source as its value. Default: as much as there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prune_guard: Option<PruneGuard>,
    /// Applies the other objects where some fail, and tries the failed ones again alone. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continue_on_error: Option<bool>,
    /// ServiceAccount in the same namespace that is impersonated when applying.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// The cluster to apply to. Default: the one that the controller runs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kube_config: Option<KubeConfigReference>,
    /// Strategic merge patches, written as objects. Only for manifests of v1beta1 and v1beta2; `patches` takes their place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patches_strategic_merge: Vec<Value>,
    /// JSON patches. Only for manifests of v1beta1 and v1beta2; `patches` takes their place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patches_json6902: Vec<JsonPatch>,
    /// Who validates objects before they are applied; has no effect. Only for manifests of v1beta1 and v1beta2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<Validation>,
}

impl KustomizationSpec {
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

impl Kustomization {
    /// Returns how changes made to applied objects are treated, by field or annotation; `None` for as upstream.
    ///
    /// # Errors
    /// [`ExtensionError`] where the annotation cannot be read.
    pub fn drift_detection(&self) -> Result<Option<DriftDetection>, ExtensionError> {
        extension::DRIFT_DETECTION.read(self.spec.drift_detection.as_ref(), &self.metadata)
    }

    /// Returns how much one run may delete, by field or annotation; `None` for no limit.
    ///
    /// # Errors
    /// [`ExtensionError`] where the annotation cannot be read.
    pub fn prune_guard(&self) -> Result<Option<PruneGuard>, ExtensionError> {
        extension::PRUNE_GUARD.read(self.spec.prune_guard.as_ref(), &self.metadata)
    }

    /// Returns the source revision whose deletions somebody has agreed to, although the guard forbids them.
    #[must_use]
    pub fn confirmed_prune(&self) -> Option<&str> {
        let annotations = self.metadata.annotations.as_ref()?;
        annotations
            .get(extension::CONFIRM_PRUNE)
            .map(String::as_str)
    }

    /// Says whether the other objects are applied where some fail, by field or annotation.
    ///
    /// # Errors
    /// [`ExtensionError`] where the annotation cannot be read.
    pub fn continue_on_error(&self) -> Result<bool, ExtensionError> {
        let field = self.spec.continue_on_error.as_ref();
        let value = extension::CONTINUE_ON_ERROR.read(field, &self.metadata)?;
        Ok(value.unwrap_or_default())
    }

    /// Returns what this object waits for: the entries of the field, then those of the annotation.
    ///
    /// # Errors
    /// [`ExtensionError`] where the annotation cannot be read.
    pub fn dependencies(&self) -> Result<Vec<DependencyReference>, ExtensionError> {
        extension::DEPENDS_ON.join(&self.spec.depends_on, &self.metadata)
    }
}

/// Writes the patches of older fields as those of today; JSON text is YAML too.
pub(crate) fn merge_patches(
    strategic: &[Value],
    patches: &[Patch],
    json: &[JsonPatch],
) -> Vec<Patch> {
    let strategic = strategic.iter().map(|patch| Patch {
        patch: patch.to_string(),
        target: None,
    });
    let json = json.iter().map(|patch| Patch {
        patch: serde_json::json!(patch.patch).to_string(),
        target: Some(patch.target.clone()),
    });
    strategic
        .chain(patches.iter().cloned())
        .chain(json)
        .collect()
}

/// Names the source of the manifests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SourceReference {
    /// API version of the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Kind of the source.
    pub kind: SourceKind,
    /// Name of the source.
    pub name: String,
    /// Namespace of the source. Default: that of this object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// A kind that publishes artifacts of manifests.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum SourceKind {
    /// An artifact from an OCI registry.
    #[serde(rename = "OCIRepository")]
    OciRepository,
    /// An artifact from a Git commit.
    #[default]
    GitRepository,
    /// An artifact from an object store.
    Bucket,
    /// An artifact that another controller publishes.
    ExternalArtifact,
}

impl SourceKind {
    /// Returns the kind's name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OciRepository => "OCIRepository",
            Self::GitRepository => "GitRepository",
            Self::Bucket => "Bucket",
            Self::ExternalArtifact => "ExternalArtifact",
        }
    }
}

/// What happens to applied objects when their Kustomization is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum DeletionPolicy {
    /// Deleted if `prune` is true, else kept.
    #[default]
    MirrorPrune,
    /// Deleted.
    Delete,
    /// Deleted, and the deletion waited for.
    WaitForTermination,
    /// Kept.
    Orphan,
}

/// Names an object that has to be healthy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HealthCheck {
    /// API version of the object. Default: `apps/v1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Kind of the object.
    pub kind: String,
    /// Name of the object.
    pub name: String,
    /// Namespace of the object. Default: that of this object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// Says in CEL when objects of a kind are healthy. Each expression sees the fields of the object as variables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HealthCheckExpression {
    /// API version of the objects.
    pub api_version: String,
    /// Kind of the objects. Default: every kind of the group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// True while the object is still on its way. Looked at first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_progress: Option<String>,
    /// True when the object has failed. Looked at second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// True when the object is healthy. Looked at last.
    pub current: String,
}

/// Labels and annotations for all objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CommonMetadata {
    /// Annotations that every object gets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Labels that every object gets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// Changes built objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Patch {
    /// A strategic merge patch (part of an object) or a JSON patch (a list of operations), as YAML text.
    pub patch: String,
    /// Objects to change. Default: the one that a strategic merge patch names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Selector>,
}

/// Replaces a container image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// Name of the image as the manifests have it, without tag.
    pub name: String,
    /// Name to use instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_name: Option<String>,
    /// Tag to use instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_tag: Option<String>,
    /// Digest to use instead of a tag, such as `sha256:…`; goes before `newTag`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// An annotation about its origin that a built object gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum BuildMetadata {
    /// Which file it came from.
    OriginAnnotations,
    /// Which transformers changed it.
    TransformerAnnotations,
}

/// Says how variables such as `${region:=eu}` in built manifests are filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PostBuild {
    /// Variables and their values; go before those of `substituteFrom`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub substitute: BTreeMap<String, String>,
    /// ConfigMaps and Secrets with more variables; a later one goes before an earlier one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub substitute_from: Vec<SubstituteReference>,
    /// When to fill in. Default: `WithVariables`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub substitute_strategy: Option<SubstituteStrategy>,
}

/// Names an object whose data are variables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SubstituteReference {
    /// Kind of the object.
    pub kind: SubstituteKind,
    /// Name of the object, in the same namespace.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 253)))]
    pub name: String,
    /// Goes on without the object where it does not exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("default" = false)))]
    pub optional: Option<bool>,
}

/// A kind whose data can be variables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum SubstituteKind {
    /// A Secret.
    Secret,
    /// A ConfigMap.
    #[default]
    ConfigMap,
}

/// When variables are filled in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum SubstituteStrategy {
    /// Only if there is at least one variable.
    #[default]
    WithVariables,
    /// Even if there is none: defaults are filled in and the rest becomes empty.
    Always,
}

/// Says how encrypted files are decrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Decryption {
    /// How the files are encrypted.
    pub provider: DecryptionProvider,
    /// Secret with private keys: `*.agekey`, `*.asc`, `sops.vault-token`, `sops.aws-kms`, `sops.azure-kv`, `sops.gcp-kms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalReference>,
    /// ServiceAccount in the same namespace whose cloud identity may use the keys of a key management service. Default:
    /// that of the controller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
}

/// How files are encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum DecryptionProvider {
    /// With SOPS.
    #[default]
    Sops,
}

/// Changes objects by JSON operations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct JsonPatch {
    /// The operations, in order.
    pub patch: Vec<JsonOperation>,
    /// Objects to change.
    pub target: Selector,
}

/// One operation of a JSON patch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct JsonOperation {
    /// What to do.
    pub op: JsonOperationKind,
    /// JSON pointer to what is changed.
    pub path: String,
    /// JSON pointer to what is moved or copied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Value to add, to put in place or to test for.
    #[serde(
        default,
        deserialize_with = "crate::kind::present",
        skip_serializing_if = "Option::is_none"
    )]
    pub value: Option<Value>,
}

/// What an operation of a JSON patch does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum JsonOperationKind {
    /// Goes on only if the value is there.
    Test,
    /// Takes out.
    Remove,
    /// Puts in.
    #[default]
    Add,
    /// Puts in the place of what is there.
    Replace,
    /// Takes out and puts in elsewhere.
    Move,
    /// Puts in elsewhere too.
    Copy,
}

/// Who validated objects, in older versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Validation {
    /// Nobody.
    None,
    /// The client.
    Client,
    /// The API server.
    Server,
}

/// Says what was built and applied last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct KustomizationStatus {
    /// Generation of the object that the last successful run acted on; -1 before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// State of the object, one entry a type: `Ready`, `Reconciling`, `Stalled`, `Healthy`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "crate::schema::conditions")
    )]
    pub conditions: Vec<Condition>,
    /// Revision of the source that was applied last with success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_applied_revision: Option<String>,
    /// Revision of what that source was made from, where its artifact says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_applied_origin_revision: Option<String>,
    /// Revision of the source that was tried last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_attempted_revision: Option<String>,
    /// Value of the last request annotation that was acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// Objects that were applied and are pruned when they leave the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inventory: Option<Inventory>,
    /// What the last runs applied, newest first; at most 5.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<HistoryEntry>,
    /// Changes that others made to applied objects, while `driftDetection` looks for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<DriftStatus>,
    /// Objects that the last run could not apply, while `continueOnError` is true; at most 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<FailedObject>,
    /// Objects that were applied, as v1beta1 recorded them; `inventory` takes its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Snapshot>,
}

/// Sums up the runs that applied the same manifests with the same result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// Checksum of the built manifests: `sha256:<hex>`.
    pub digest: String,
    /// When these manifests were applied first.
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::time"))]
    pub first_reconciled: Time,
    /// When these manifests were applied last.
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::time"))]
    pub last_reconciled: Time,
    /// How long the last of these runs took, such as `5.7s`.
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::string"))]
    pub last_reconciled_duration: Duration,
    /// Reason of the Ready condition after the last of these runs.
    pub last_reconciled_status: String,
    /// How many runs there were.
    pub total_reconciliations: i64,
    /// Facts about the last of these runs: `revision`, `originRevision`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// Records applied objects by namespace and kind, as v1beta1 did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Snapshot {
    /// Checksum of the applied manifests.
    pub checksum: String,
    /// What was applied, one entry a namespace.
    pub entries: Vec<SnapshotEntry>,
}

/// Lists the kinds that were applied to one namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SnapshotEntry {
    /// The namespace; empty for objects without one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// API version, kind and group of what was applied, as text by text.
    pub kinds: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn older_patches_come_out_as_todays() {
        let spec: KustomizationSpec = serde_json::from_value(json!({
            "interval": "1m", "prune": true, "sourceRef": { "kind": "GitRepository", "name": "a" },
            "patches": [{ "patch": "p" }],
            "patchesStrategicMerge": [{ "kind": "Service", "spec": null }],
            "patchesJson6902": [{
                "target": { "kind": "Deployment" },
                "patch": [{ "op": "add", "path": "/a", "value": null }, { "op": "remove", "path": "/b" }],
            }],
        }))
        .unwrap();
        let patches = spec.all_patches();
        let texts = patches
            .iter()
            .map(|patch| patch.patch.as_str())
            .collect::<Vec<_>>();
        let operations = r#"[{"op":"add","path":"/a","value":null},{"op":"remove","path":"/b"}]"#;
        assert_eq!(
            texts,
            [r#"{"kind":"Service","spec":null}"#, "p", operations]
        );
        assert_eq!(
            patches[2].target.as_ref().unwrap().kind.as_deref(),
            Some("Deployment")
        );
    }
}
