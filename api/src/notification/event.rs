//! Events as controllers send them to each other, as JSON over HTTP.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ObjectReference;
use serde::{Deserialize, Serialize};

use crate::meta::Time;

/// Says what happened to an object.
///
/// Source: fluxcd/pkg `apis/event/v1beta1`, 0.27.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// The object.
    pub involved_object: ObjectReference,
    /// How bad it is.
    pub severity: EventSeverity,
    /// When it happened.
    pub timestamp: Time,
    /// What happened, for people.
    pub message: String,
    /// What happened, as one word for programs.
    pub reason: String,
    /// Facts about it, such as `revision`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Name of the controller that saw it.
    pub reporting_controller: String,
    /// Name of the controller's instance, usually of its host.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reporting_instance: String,
}

/// How bad an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventSeverity {
    /// A step on the way, for developers.
    Trace,
    /// Something happened.
    Info,
    /// Something went wrong.
    Error,
}

impl Event {
    /// Returns the revision that the event is about: its commit, else that of the source's origin, else the source's.
    #[must_use]
    pub fn revision(&self) -> Option<&str> {
        ["commit", "originRevision", "revision"]
            .into_iter()
            .find_map(|key| self.metadata.get(key))
            .map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_body_reads_back_equal() {
        let body = serde_json::json!({
            "involvedObject": {
                "kind": "GitRepository", "namespace": "flux-system", "name": "podinfo",
                "uid": "19f7ebba-da2c-4c0a-87df-08cd5adf9b14",
                "apiVersion": "source.toolkit.fluxcd.io/v1", "resourceVersion": "6494",
            },
            "severity": "info",
            "timestamp": "2026-11-21T00:03:54Z",
            "message": "stored artifact for commit 'Merge pull request #511 from stefanprodan/release-...'",
            "reason": "NewArtifact",
            "metadata": { "revision": "master@sha1:eec06d1ea459af4cb4e10e806f8be7c7bd58b361" },
            "reportingController": "source-controller",
            "reportingInstance": "vm",
        });
        let event: Event = serde_json::from_value(body.clone()).unwrap();
        assert_eq!(serde_json::to_value(&event).unwrap(), body);
        assert_eq!(event.revision(), body["metadata"]["revision"].as_str());
    }

    #[test]
    fn commit_goes_before_revision() {
        let facts = [("revision", "a"), ("originRevision", "b"), ("commit", "c")];
        let mut event: Event = serde_json::from_value(serde_json::json!({
            "involvedObject": {}, "severity": "trace", "timestamp": "2026-11-21T00:03:54Z",
            "message": "", "reason": "", "reportingController": "",
        }))
        .unwrap();
        assert_eq!(event.revision(), None);
        for (key, value) in facts {
            event.metadata.insert(key.into(), value.into());
            assert_eq!(event.revision(), Some(value));
        }
    }
}
