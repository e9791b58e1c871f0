//! Zoom: a message of the incoming-webhook chatbot.
//!
//! Source: <https://developers.zoom.us/docs/team-chat/webhooks/>; notification-controller v1.9.3
//! `internal/notifier/zoom.go`.

use std::sync::Arc;

use net_http::HeaderValue;
use serde_json::{Value, json};

use super::{Boxed, BuildError, Notice, Outgoing, SendError, Settings, Webhook, outgoing};

#[derive(Debug)]
struct Zoom {
    url: String,
    authorization: HeaderValue,
}

pub(super) fn build(settings: &Arc<Settings>) -> Result<Boxed, BuildError> {
    let mut url = outgoing::web_url("Zoom hook URL", &settings.address)?;
    let authorization = outgoing::prefixed("", &settings.token)?
        .ok_or_else(|| BuildError::new("empty Zoom verification token"))?;
    if !url.query_pairs().any(|(key, _)| key == "format") {
        url.query_pairs_mut().append_pair("format", "full");
    }
    let url = url.to_string();
    Ok(super::posting(Zoom { url, authorization }, settings))
}

impl Webhook for Zoom {
    fn requests(&self, notice: &Notice) -> Result<Vec<Outgoing>, SendError> {
        let event = &notice.event;
        let item = |(key, value): (&String, &String)| json!({ "key": key, "value": value });
        let items: Vec<Value> = event.metadata.iter().map(item).collect();
        let mut body = vec![json!({ "type": "message", "text": event.message })];
        if !items.is_empty() {
            body.push(json!({ "type": "fields", "items": items }));
        }
        let head = json!({ "text": event.involved_object.title(),
            "sub_head": { "text": event.severity } });
        let message = json!({ "content": { "head": head, "body": body } });
        let request = Outgoing::json(&self.url, &message);
        Ok(vec![request.header(
            http::header::AUTHORIZATION,
            self.authorization.clone(),
        )])
    }
}
