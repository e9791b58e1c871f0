//! Opsgenie: an alert.
//!
//! Source: <https://docs.opsgenie.com/docs/alert-api#create-alert>; notification-controller v1.9.3
//! `internal/notifier/opsgenie.go`.

use std::sync::Arc;

use net_http::HeaderValue;
use serde_json::json;

use super::{Boxed, BuildError, Notice, Outgoing, SendError, Settings, Webhook, outgoing};

#[derive(Debug)]
struct Opsgenie {
    url: String,
    authorization: HeaderValue,
}

pub(super) fn build(settings: &Arc<Settings>) -> Result<Boxed, BuildError> {
    outgoing::web_url("Opsgenie URL", &settings.address)?;
    let authorization = outgoing::prefixed("GenieKey ", &settings.token)?
        .ok_or_else(|| BuildError::new("empty Opsgenie apikey/token"))?;
    let url = settings.address.clone();
    Ok(super::posting(Opsgenie { url, authorization }, settings))
}

impl Webhook for Opsgenie {
    fn requests(&self, notice: &Notice) -> Result<Vec<Outgoing>, SendError> {
        let event = &notice.event;
        let mut details = event.metadata.clone();
        details.insert("severity".into(), event.severity.clone());
        let object = &event.involved_object;
        let body = json!({ "message": format!("{}/{}", object.kind, object.name),
            "description": event.message, "details": details });
        let request = Outgoing::json(&self.url, &body);
        Ok(vec![request.header(
            http::header::AUTHORIZATION,
            self.authorization.clone(),
        )])
    }
}
