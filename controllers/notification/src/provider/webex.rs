//! Webex: a message in Markdown to a room.
//!
//! Source: <https://developer.webex.com/docs/api/v1/messages/create-a-message>;
//! notification-controller v1.9.3 `internal/notifier/webex.go`.

use std::{fmt::Write, sync::Arc};

use net_http::HeaderValue;
use serde_json::json;

use super::{Boxed, BuildError, Notice, Outgoing, SendError, Settings, Webhook, outgoing};

#[derive(Debug)]
struct Webex {
    url: String,
    room: String,
    authorization: Option<HeaderValue>,
}

pub(super) fn build(settings: &Arc<Settings>) -> Result<Boxed, BuildError> {
    outgoing::web_url("Webex hook URL", &settings.address)?;
    let hook = Webex {
        url: settings.address.clone(),
        room: settings.channel.clone(),
        authorization: outgoing::bearer(&settings.token)?,
    };
    Ok(super::posting(hook, settings))
}

impl Webhook for Webex {
    fn requests(&self, notice: &Notice) -> Result<Vec<Outgoing>, SendError> {
        let event = &notice.event;
        let sign = if event.is_error() { "💣" } else { "✅" };
        let title = event.involved_object.title();
        let mut text = format!("{sign} **{title}**\n{}\n", event.message);
        for (key, value) in &event.metadata {
            // Writing to a String cannot fail.
            let _ = writeln!(text, ">**{key}**: {value}");
        }
        let body = json!({ "roomId": self.room, "markdown": text });
        let authorization = self.authorization.as_ref();
        let request = Outgoing::json(&self.url, &body);
        Ok(vec![
            request.header_if(http::header::AUTHORIZATION, authorization),
        ])
    }
}
