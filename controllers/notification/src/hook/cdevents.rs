//! CDEvents: the path is the only proof; the body has to be an event of the specification.
//!
//! Source: <https://github.com/cdevents/spec/tree/v0.4.1> `schemas`: the context, the subject and
//! the names of events; what a subject's content holds is not looked at.

use serde_json::Value;

use crate::server::Received;

/// Subjects and their predicates.
const EVENTS: &[(&str, &[&str])] = &[
    (
        "artifact",
        &["deleted", "downloaded", "packaged", "published", "signed"],
    ),
    ("branch", &["created", "deleted"]),
    ("build", &["finished", "queued", "started"]),
    (
        "change",
        &["abandoned", "created", "merged", "reviewed", "updated"],
    ),
    ("environment", &["created", "deleted", "modified"]),
    ("incident", &["detected", "reported", "resolved"]),
    ("pipelinerun", &["finished", "queued", "started"]),
    ("repository", &["created", "deleted", "modified"]),
    (
        "service",
        &["deployed", "published", "removed", "rolledback", "upgraded"],
    ),
    ("taskrun", &["finished", "started"]),
    ("testcaserun", &["finished", "queued", "skipped", "started"]),
    ("testoutput", &["published"]),
    ("testsuiterun", &["finished", "queued", "started"]),
    ("ticket", &["closed", "created", "updated"]),
];
/// Prefix of the names of custom events: `dev.cdeventsx.<tool>-<subject>.<predicate>.<version>`.
const CUSTOM: &str = "dev.cdeventsx.";

pub(super) fn verify(events: &[String], request: &Received) -> Result<(), String> {
    let event = request.header("ce-type").unwrap_or_default();
    if !super::is_listed(event, events) {
        return Err(format!("the CDEvent {event:?} is not authorised"));
    }
    validate(&request.body).map_err(|cause| format!("unable to validate the CDEvent: {cause}"))
}

fn validate(body: &[u8]) -> Result<(), String> {
    let value: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    for key in ["version", "id", "source", "type", "timestamp"] {
        text(&value, "context", key)?;
    }
    let stamp = text(&value, "context", "timestamp")?;
    if stamp.parse::<jiff::Timestamp>().is_err() {
        return Err("context.timestamp is no time".into());
    }
    text(&value, "subject", "id")?;
    if !value["subject"]["content"].is_object() {
        return Err("subject.content is missing".into());
    }
    name(text(&value, "context", "type")?)
}

fn text<'a>(value: &'a Value, part: &str, key: &str) -> Result<&'a str, String> {
    let text = value[part][key].as_str().filter(|text| !text.is_empty());
    text.ok_or_else(|| format!("{part}.{key} is missing"))
}

fn name(name: &str) -> Result<(), String> {
    if name.starts_with(CUSTOM) {
        return Ok(());
    }
    let mut parts = name
        .strip_prefix("dev.cdevents.")
        .unwrap_or_default()
        .splitn(3, '.');
    let (subject, predicate) = (parts.next().unwrap_or_default(), parts.next());
    let version = parts
        .next()
        .is_some_and(|v| v.starts_with(|c: char| c.is_ascii_digit()));
    let known = EVENTS
        .iter()
        .find(|(known, _)| *known == subject)
        .is_some_and(|(_, predicates)| predicate.is_some_and(|p| predicates.contains(&p)));
    if known && version {
        Ok(())
    } else {
        Err("context.type is not known".into())
    }
}
