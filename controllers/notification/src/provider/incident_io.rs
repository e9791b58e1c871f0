//! incident.io: an alert event, resolved by good news.
//!
//! Source: <https://api-docs.incident.io/tag/Alert-Events-V2>; notification-controller v1.9.3
//! `internal/notifier/incidentio.go`.

use std::sync::Arc;

use net_http::HeaderValue;
use serde_json::json;

use super::{Boxed, BuildError, Notice, Outgoing, SendError, Settings, Webhook, outgoing};

#[derive(Debug)]
struct IncidentIo {
    url: String,
    authorization: HeaderValue,
}

pub(super) fn build(settings: &Arc<Settings>) -> Result<Boxed, BuildError> {
    outgoing::web_url("incident.io URL", &settings.address)?;
    let authorization = outgoing::bearer(&settings.token)?
        .ok_or_else(|| BuildError::new("empty incident.io API token"))?;
    let url = settings.address.clone();
    Ok(super::posting(IncidentIo { url, authorization }, settings))
}

impl Webhook for IncidentIo {
    fn requests(&self, notice: &Notice) -> Result<Vec<Outgoing>, SendError> {
        let event = &notice.event;
        if event.reason == "Progressing" {
            return Ok(Vec::new());
        }
        let mut metadata = event.metadata.clone();
        for (key, value) in [
            ("severity", &event.severity),
            ("reason", &event.reason),
            ("reportingController", &event.reporting_controller),
        ] {
            metadata.insert(key.to_owned(), value.clone());
        }
        let body = json!({
            "title": format!("{}: {}", event.involved_object.title(), event.reason),
            "status": if event.is_error() { "firing" } else { "resolved" },
            "deduplication_key": event.involved_object.uid,
            "description": event.message,
            "metadata": metadata });
        let request = Outgoing::json(&self.url, &body);
        Ok(vec![request.header(
            http::header::AUTHORIZATION,
            self.authorization.clone(),
        )])
    }
}
