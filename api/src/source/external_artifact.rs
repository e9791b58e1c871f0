//! ExternalArtifact: an artifact that another controller makes.

use serde::{Deserialize, Serialize};

use crate::meta::{Artifact, Condition, CrossNamespaceReference, Duration};

kind! {
    /// Holds an artifact that a controller outside of the toolkit makes and serves.
    ExternalArtifact {
        group: "source.toolkit.fluxcd.io", version: "v1", plural: "externalartifacts"
    }
    ExternalArtifactSpec, ExternalArtifactStatus
}

impl crate::Reconciled for ExternalArtifact {
    fn status_value(&self) -> serde_json::Result<serde_json::Value> {
        serde_json::to_value(&self.status)
    }

    fn conditions(&self) -> &[Condition] {
        self.status
            .as_ref()
            .map_or(&[], |status| &status.conditions)
    }

    fn observed_generation(&self) -> Option<i64> {
        None
    }

    fn last_handled_reconcile_at(&self) -> Option<&str> {
        None
    }

    fn suspended(&self) -> bool {
        false
    }

    fn interval(&self) -> Option<Duration> {
        None
    }
}

/// Says what the artifact is made from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ExternalArtifactSpec {
    /// The object whose controller makes the artifact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_ref: Option<CrossNamespaceReference>,
}

/// Says what was published last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ExternalArtifactStatus {
    /// What was published last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
    /// State of the object, one entry a type: `Ready`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "crate::schema::conditions")
    )]
    pub conditions: Vec<Condition>,
}
