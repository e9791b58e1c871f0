//! Alert: which events go to which provider.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ObjectReference;
use crate::{
    extension::{self, ExtensionError},
    meta::{Condition, LocalReference},
};

kind! {
    /// Sends events of some objects to a provider.
    Alert { group: "notification.toolkit.fluxcd.io", version: "v1beta3", plural: "alerts" }
    AlertSpec, AlertStatus
}

reconciled!(Alert, interval: |_spec| None);

/// Says which events are sent, and where to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AlertSpec {
    /// Provider in the same namespace that gets the events.
    pub provider_ref: LocalReference,
    /// Least severity of the events that are sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("default" = "info")))]
    pub event_severity: Option<Severity>,
    /// Objects whose events are sent.
    pub event_sources: Vec<ObjectReference>,
    /// Regular expressions (Go syntax) one of which the event's message has to match. Default: any message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inclusion_list: Vec<String>,
    /// Regular expressions (Go syntax) none of which the event's message may match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclusion_list: Vec<String>,
    /// Facts that are added to every event, such as the name of the cluster.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub event_metadata: BTreeMap<String, String>,
    /// One sentence that is added to every event, before `eventMetadata.summary`; deprecated, use that one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(max = 255)))]
    pub summary: Option<String>,
    /// Sends one event more when an object whose error was sent is ready again, whatever `eventSeverity` says. Default:
    /// false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovered: Option<bool>,
    /// Sends nothing while true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
}

impl Alert {
    /// Says whether it is told that an object is ready again, by field or annotation.
    ///
    /// # Errors
    /// [`ExtensionError`] where the annotation cannot be read.
    pub fn recovered(&self) -> Result<bool, ExtensionError> {
        let value = extension::RECOVERED.read(self.spec.recovered.as_ref(), &self.metadata)?;
        Ok(value.unwrap_or_default())
    }
}

/// How bad an event is.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something happened; as the least severity, every event.
    #[default]
    Info,
    /// Something went wrong.
    Error,
}

impl Severity {
    /// Returns the severity's name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Error => "error",
        }
    }
}

/// Nothing that is written today; only kept so that statuses of v1beta1 and v1beta2 are not lost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AlertStatus {
    /// Generation of the object that the last finished run acted on; -1 before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// State of the object, one entry a type: `Ready`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "crate::schema::conditions")
    )]
    pub conditions: Vec<Condition>,
    /// Value of the last request annotation that was acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
}
