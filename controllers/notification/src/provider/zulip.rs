//! Zulip: a message to a topic of a channel.
//!
//! Source: <https://zulip.com/api/send-message>; notification-controller v1.9.3
//! `internal/notifier/zulip.go`.

use std::sync::Arc;

use net_http::{HeaderValue, Method};

use super::{Boxed, BuildError, Notice, Outgoing, SendError, Settings, Webhook, outgoing};

#[derive(Debug)]
struct Zulip {
    url: String,
    channel: String,
    topic: String,
    authorization: HeaderValue,
}

pub(super) fn build(settings: &Arc<Settings>) -> Result<Boxed, BuildError> {
    let url = outgoing::web_url("Zulip URL", &settings.address)?;
    let (channel, topic) = settings.channel.split_once('/').ok_or_else(|| {
        BuildError::new(format!(
            "invalid Zulip channel format, expected <channel>/<topic>, got '{}'",
            settings.channel
        ))
    })?;
    let hook = Zulip {
        url: outgoing::on_host(&url, "/api/v1/messages"),
        channel: channel.to_owned(),
        topic: topic.to_owned(),
        authorization: outgoing::basic(&settings.username, &settings.password),
    };
    Ok(super::posting(hook, settings))
}

impl Webhook for Zulip {
    fn requests(&self, notice: &Notice) -> Result<Vec<Outgoing>, SendError> {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("content", &super::markdown(&notice.event))
            .append_pair("to", &self.channel)
            .append_pair("topic", &self.topic)
            .append_pair("type", "stream")
            .finish()
            // As Go writes it.
            .replace('*', "%2A")
            .replace("%7E", "~");
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        let request = Outgoing::new(Method::POST, &self.url)
            .header(http::header::CONTENT_TYPE, kind)
            .header(http::header::AUTHORIZATION, self.authorization.clone())
            .body(body);
        Ok(vec![request])
    }
}
