//! Prometheus Alertmanager: one alert.
//!
//! Source: <https://prometheus.io/docs/alerting/latest/alerts_api/>; notification-controller v1.9.3
//! `internal/notifier/alertmanager.go`.

use std::{collections::BTreeMap, sync::Arc};

use net_http::HeaderValue;
use serde_json::json;

use super::{Boxed, BuildError, Notice, Outgoing, SendError, Settings, Webhook, outgoing};
use crate::event::Event;

#[derive(Debug)]
struct Alertmanager {
    url: String,
    authorization: Option<HeaderValue>,
}

pub(super) fn build(settings: &Arc<Settings>) -> Result<Boxed, BuildError> {
    outgoing::web_url("Alertmanager URL", &settings.address)?;
    let authorization = if settings.username.is_empty() || settings.password.is_empty() {
        outgoing::bearer(&settings.token)?
    } else {
        Some(outgoing::basic(&settings.username, &settings.password))
    };
    let url = settings.address.clone();
    Ok(super::posting(
        Alertmanager { url, authorization },
        settings,
    ))
}

impl Webhook for Alertmanager {
    fn requests(&self, notice: &Notice) -> Result<Vec<Outgoing>, SendError> {
        let event = &notice.event;
        let mut annotations = BTreeMap::from([("message", event.message.as_str())]);
        if let Some(summary) = event.metadata.get("summary") {
            annotations.insert("summary", summary);
        }
        let alert = json!({ "status": "firing", "labels": labels(event),
            "annotations": annotations, "startsAt": event.rfc3339(),
            "endsAt": "0001-01-01T00:00:00Z" });
        let request = Outgoing::json(&self.url, &json!([alert]));
        let authorization = self.authorization.as_ref();
        Ok(vec![
            request.header_if(http::header::AUTHORIZATION, authorization),
        ])
    }
}

/// The metadata, then what the event says of itself.
fn labels(event: &Event) -> BTreeMap<String, String> {
    let object = &event.involved_object;
    let metadata = event.metadata.iter().filter(|(key, _)| *key != "summary");
    let mut labels: BTreeMap<_, _> = metadata.map(|(k, v)| (label_name(k), v.clone())).collect();
    let name = format!("Flux{}{}", object.kind, titled(&event.reason));
    for (key, value) in [
        ("alertname", name.as_str()),
        ("severity", &event.severity),
        ("reason", &event.reason),
        ("kind", &object.kind),
        ("name", &object.name),
        ("namespace", &object.namespace),
        ("reportingcontroller", &event.reporting_controller),
    ] {
        labels.insert(key.to_owned(), value.to_owned());
    }
    labels
}

/// First letter large, the others small.
fn titled(word: &str) -> String {
    let mut chars = word.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string());
    first.unwrap_or_default() + &chars.as_str().to_lowercase()
}

/// Makes a key a legal label name: Alertmanager refuses the whole alert otherwise.
fn label_name(key: &str) -> String {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut name: String = key
        .chars()
        .map(|c| if legal(c) { c } else { '_' })
        .collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) || name.is_empty() {
        name.insert(0, '_');
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_legal() {
        assert_eq!(titled("ReconciliationFailed"), "Reconciliationfailed");
        assert_eq!(titled("Progressing"), "Progressing");
        assert_eq!(
            label_name("app.kubernetes.io/name"),
            "app_kubernetes_io_name"
        );
        assert_eq!(label_name("1st"), "_1st");
        assert_eq!(label_name("ü"), "_");
    }
}
