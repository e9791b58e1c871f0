//! Google Chat: a card with a header, the message and the facts.
//!
//! Source: notification-controller v1.9.3 `internal/notifier/google_chat.go`.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Boxed, BuildError, Notice, Outgoing, SendError, Settings, Webhook, outgoing};

#[derive(Debug)]
struct GoogleChat {
    url: String,
}

pub(super) fn build(settings: &Arc<Settings>) -> Result<Boxed, BuildError> {
    outgoing::web_url("Google Chat hook URL", &settings.address)?;
    let url = settings.address.clone();
    Ok(super::posting(GoogleChat { url }, settings))
}

impl Webhook for GoogleChat {
    fn requests(&self, notice: &Notice) -> Result<Vec<Outgoing>, SendError> {
        let event = &notice.event;
        let text = if event.is_error() {
            format!("<font color=\"#ff0000\">{}</font>", event.message)
        } else {
            event.message.clone()
        };
        let fact = |(key, value): (&String, &String)| {
            json!({ "textParagraph": null, "keyValue": {
                "topLabel": key, "content": value, "contentMultiline": false,
                "bottomLabel": null, "icon": null } })
        };
        let facts: Vec<Value> = event.metadata.iter().map(fact).collect();
        let paragraph = json!({ "textParagraph": { "text": text }, "keyValue": null });
        let mut sections = vec![json!({ "header": "", "widgets": [paragraph] })];
        if !facts.is_empty() {
            sections.push(json!({ "header": "", "widgets": facts }));
        }
        let card = json!({
            "header": { "title": event.involved_object.title(),
                "subtitle": event.reporting_controller, "imageUrl": null, "imageStyle": null },
            "sections": sections });
        Ok(vec![Outgoing::json(&self.url, &json!({ "cards": [card] }))])
    }
}
