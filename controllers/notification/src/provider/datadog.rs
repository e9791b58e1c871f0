//! Datadog: an event.
//!
//! Source: <https://docs.datadoghq.com/api/v1/events/>; notification-controller v1.9.3
//! `internal/notifier/datadog.go`.

use std::sync::Arc;

use net_http::{HeaderName, HeaderValue};
use serde_json::json;

use super::{Boxed, BuildError, Notice, Outgoing, SendError, Settings, Webhook, outgoing};

const API_KEY: HeaderName = HeaderName::from_static("dd-api-key");

#[derive(Debug)]
struct Datadog {
    url: String,
    key: HeaderValue,
}

pub(super) fn build(settings: &Arc<Settings>) -> Result<Boxed, BuildError> {
    if settings.token.trim_end().is_empty() {
        return Err(BuildError::new("token cannot be empty"));
    }
    let url = outgoing::web_url("Datadog URL", &settings.address)?;
    let hook = Datadog {
        url: outgoing::on_host(&url, "/api/v1/events"),
        key: outgoing::header_value("DD-API-KEY", &settings.token)?,
    };
    Ok(super::posting(hook, settings))
}

impl Webhook for Datadog {
    fn requests(&self, notice: &Notice) -> Result<Vec<Outgoing>, SendError> {
        let event = &notice.event;
        let object = &event.involved_object;
        let own = [
            ("flux_reporting_controller", &event.reporting_controller),
            ("flux_reason", &event.reason),
            ("kube_kind", &object.kind),
            ("kube_name", &object.name),
            ("kube_namespace", &object.namespace),
        ];
        let own = own.into_iter().map(|(key, value)| format!("{key}:{value}"));
        let metadata = event.metadata.iter().map(|(k, v)| format!("{k}:{v}"));
        let tags: Vec<_> = own.chain(metadata).map(|tag| tag.to_lowercase()).collect();
        let title = format!(
            "Events from the {} {}/{}",
            object.kind, object.name, object.namespace
        );
        let body = json!({ "title": title, "text": event.message, "tags": tags,
            "source_type_name": "fluxcd", "date_happened": event.unix_seconds(),
            "alert_type": if event.is_error() { "error" } else { "info" } });
        let request = Outgoing::json(&self.url, &body);
        Ok(vec![request.header(API_KEY, self.key.clone())])
    }
}
