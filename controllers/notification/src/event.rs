//! An event as it comes over the wire and goes on to services.
//!
//! Read as leniently as Go reads it (absent and null fields are empty), printed as Go prints it: in
//! this order of fields, with `<`, `>` and `&` escaped.
//!
//! Source: fluxcd/pkg `apis/event/v1beta1` 0.27, Go 1.26 `encoding/json`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Prefix of metadata that comes from an object's annotations, and of the keys that controllers
/// share.
pub const SHARED_PREFIX: &str = "event.toolkit.fluxcd.io/";
/// Key, without prefix, that marks an event that only updates a commit status.
pub const COMMIT_STATUS: &str = "commit_status";
/// Key, without prefix, of the commit that an event is about.
pub const COMMIT: &str = "commit";
/// Key, without prefix, of the pull request that an event is about.
pub const CHANGE_REQUEST: &str = "change_request";

/// Says what happened to an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Event {
    /// The object.
    #[serde(deserialize_with = "lenient")]
    pub involved_object: Involved,
    /// `trace`, `info`, `error`; anything is let through.
    #[serde(deserialize_with = "lenient")]
    pub severity: String,
    /// When it happened.
    #[serde(serialize_with = "go_time", deserialize_with = "lenient")]
    pub timestamp: Option<Timestamp>,
    /// What happened, for people.
    #[serde(deserialize_with = "lenient")]
    pub message: String,
    /// What happened, as one word.
    #[serde(deserialize_with = "lenient")]
    pub reason: String,
    /// Facts about it.
    #[serde(
        deserialize_with = "lenient",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub metadata: BTreeMap<String, String>,
    /// The controller that saw it.
    #[serde(deserialize_with = "lenient")]
    pub reporting_controller: String,
    /// Its instance.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "String::is_empty")]
    pub reporting_instance: String,
}

/// The object that an event is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Involved {
    /// Its kind.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Its namespace.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Its name.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its uid.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// Its group and version.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// Its version when the event was made.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "String::is_empty")]
    pub resource_version: String,
    /// The part of it that is meant.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "String::is_empty")]
    pub field_path: String,
}

impl Involved {
    /// Returns the group of its kind; empty for the core group.
    #[must_use]
    pub fn group(&self) -> &str {
        self.api_version
            .split_once('/')
            .map_or("", |(group, _)| group)
    }

    /// Returns `Kind/namespace/name`.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}/{}/{}", self.kind, self.namespace, self.name)
    }

    /// Returns `kind/name.namespace`, the kind in lower case: how chats name an object.
    #[must_use]
    pub fn title(&self) -> String {
        let kind = self.kind.to_lowercase();
        format!("{kind}/{}.{}", self.name, self.namespace)
    }
}

impl Event {
    /// Reads an event.
    ///
    /// # Errors
    /// Text that is no JSON object of this shape.
    pub fn decode(body: &[u8]) -> serde_json::Result<Self> {
        use serde::de::Error;
        // A sequence would be read as the fields in their order.
        if body.trim_ascii_start().first() != Some(&b'{') {
            return Err(serde_json::Error::custom("not a JSON object"));
        }
        serde_json::from_slice(body)
    }

    /// Returns true for bad news.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == "error"
    }

    /// Returns the metadata with the involved object's group before the key, as it came.
    #[must_use]
    pub fn of_group(&self, key: &str) -> Option<&str> {
        let key = format!("{}/{key}", self.involved_object.group());
        self.metadata.get(&key).map(String::as_str)
    }

    /// Returns true where the event only updates a commit status; before the metadata are merged.
    #[must_use]
    pub fn is_commit_status_update(&self) -> bool {
        self.of_group(COMMIT_STATUS) == Some("update")
    }

    /// Returns the revision that merged metadata name: the commit, else that of the source's
    /// origin, else the source's.
    #[must_use]
    pub fn revision(&self) -> Option<&str> {
        [COMMIT, "originRevision", "revision"]
            .into_iter()
            .find_map(|key| self.metadata.get(key).filter(|v| !v.is_empty()))
            .map(String::as_str)
    }

    /// Prints the event as it is sent on.
    #[must_use]
    pub fn to_json(&self) -> String {
        go_json(self)
    }

    /// Returns seconds since 1970, 0 where there is no time.
    #[must_use]
    pub fn unix_seconds(&self) -> i64 {
        self.timestamp.map_or(0, Timestamp::as_second)
    }

    /// Returns the time as Go prints it, with whole seconds.
    #[must_use]
    pub fn rfc3339(&self) -> String {
        let time = self.timestamp.unwrap_or_default();
        Timestamp::from_second(time.as_second())
            .unwrap_or_default()
            .to_string()
    }
}

/// Prints JSON as Go does: what HTML would read as markup is escaped.
pub fn go_json<T: Serialize + ?Sized>(value: &T) -> String {
    // Nothing that is printed here has a map key that is no string, the one thing that can fail.
    let text = serde_json::to_string(value).unwrap_or_default();
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            c => out.push(c),
        }
    }
    out
}

fn lenient<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

#[expect(clippy::ref_option, reason = "the shape that serde calls")]
fn go_time<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => {
            let whole = Timestamp::from_second(time.as_second()).unwrap_or_default();
            serializer.serialize_str(&whole.to_string())
        }
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// The event that payload tests send: of a GitRepository, with a revision.
    pub(crate) fn sample(severity: &str) -> Event {
        Event::decode(
            json!({
                "involvedObject": { "kind": "GitRepository", "namespace": "gitops-system",
                    "name": "webapp", "uid": "1234-uid", "apiVersion": "source.toolkit.fluxcd.io/v1" },
                "severity": severity, "timestamp": "2026-01-01T00:00:00Z", "message": "message",
                "reason": "ReconciliationFailed", "metadata": { "test": "metadata" },
                "reportingController": "source-controller", "reportingInstance": "pod-1" })
            .to_string()
            .as_bytes(),
        )
        .unwrap()
    }

    #[test]
    fn recorded_event_is_sent_on_as_it_came() {
        let text = r#"{"involvedObject":{"kind":"GitRepository","namespace":"flux-system","name":"podinfo","uid":"19f7ebba","apiVersion":"source.toolkit.fluxcd.io/v1","resourceVersion":"6494"},"severity":"info","timestamp":"2026-11-21T00:03:54Z","message":"a \u003cb\u003e \u0026 c","reason":"NewArtifact","metadata":{"revision":"master@sha1:eec0"},"reportingController":"source-controller","reportingInstance":"vm"}"#;
        let event = Event::decode(text.as_bytes()).unwrap();
        assert_eq!(event.message, "a <b> & c");
        assert_eq!(event.to_json(), text);
    }

    #[test]
    fn absent_and_null_fields_are_empty_and_other_shapes_are_refused() {
        let event = Event::decode(br#"{"metadata":null,"involvedObject":null,"extra":1}"#).unwrap();
        assert_eq!(event, Event::default());
        assert!(event.to_json().contains(r#""timestamp":null"#));
        for bad in [
            "",
            "[]",
            "\"x\"",
            r#"{"message":1}"#,
            r#"{"metadata":{"a":1}}"#,
            r#"{"timestamp":"yesterday"}"#,
            "{",
        ] {
            assert!(Event::decode(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn commit_goes_before_origin_and_that_before_revision() {
        let mut event = Event::default();
        for (key, value) in [("revision", "a"), ("originRevision", "b"), ("commit", "c")] {
            event.metadata.insert(key.into(), value.into());
            assert_eq!(event.revision(), Some(value));
        }
    }
}
