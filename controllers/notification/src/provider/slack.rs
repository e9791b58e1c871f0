//! Slack: incoming webhooks and the `chat.postMessage` method.
//!
//! Source: <https://docs.slack.dev/reference/methods/chat.postMessage>; the attachment's shape is
//! that of notification-controller v1.9.3 `internal/notifier/slack.go`.

use std::sync::Arc;

use net_http::HeaderValue;
use serde::{Deserialize, Serialize};

use super::{
    Answer, Boxed, BuildError, Notice, Outgoing, SendError, Settings, Webhook, fit, outgoing,
};
use crate::event::Event;

const POST_MESSAGE: &str = "https://slack.com/api/chat.postMessage";
const MAX_USERNAME: usize = 80;
const MAX_FALLBACK: usize = 1000;

/// A message with one attachment, as Slack and those compatible with it take it.
#[derive(Debug, Serialize)]
pub(super) struct Message {
    pub channel: String,
    pub username: String,
    pub icon_url: &'static str,
    pub icon_emoji: &'static str,
    pub attachments: [Attachment; 1],
}

/// The attachment.
#[derive(Debug, Serialize)]
pub(super) struct Attachment {
    pub fallback: String,
    pub color: &'static str,
    pub author_name: String,
    pub text: String,
    pub mrkdwn_in: [&'static str; 1],
    pub fields: Vec<Field>,
}

/// One fact.
#[derive(Debug, Serialize)]
pub(super) struct Field {
    title: String,
    value: String,
    short: bool,
}

impl Message {
    /// Tells of an event; `colors` are those of good and bad news.
    pub(super) fn new(
        event: &Event,
        channel: &str,
        username: &str,
        colors: (&'static str, &'static str),
    ) -> Self {
        let field = |(title, value): (&String, &String)| Field {
            title: title.clone(),
            value: value.clone(),
            short: false,
        };
        Self {
            channel: channel.to_owned(),
            username: username.to_owned(),
            icon_url: "",
            icon_emoji: "",
            attachments: [Attachment {
                fallback: String::new(),
                color: if event.is_error() { colors.1 } else { colors.0 },
                author_name: event.involved_object.title(),
                text: event.message.clone(),
                mrkdwn_in: ["text"],
                fields: event.metadata.iter().map(field).collect(),
            }],
        }
    }
}

/// The name to send under: as set, else that of the controller that saw the event.
pub(super) fn sender(username: &str, event: &Event) -> String {
    if username.is_empty() {
        event.reporting_controller.clone()
    } else {
        username.to_owned()
    }
}

#[derive(Debug)]
struct Slack {
    url: String,
    channel: String,
    username: String,
    authorization: Option<HeaderValue>,
}

pub(super) fn build(settings: &Arc<Settings>) -> Result<Boxed, BuildError> {
    outgoing::web_url("Slack hook URL", &settings.address)?;
    let hook = Slack {
        url: settings.address.clone(),
        channel: settings.channel.clone(),
        username: settings.username.clone(),
        authorization: outgoing::bearer(&settings.token)?,
    };
    Ok(super::posting(hook, settings))
}

impl Webhook for Slack {
    fn requests(&self, notice: &Notice) -> Result<Vec<Outgoing>, SendError> {
        let event = &notice.event;
        let name = sender(&self.username, event);
        let name = fit::characters(&name, MAX_USERNAME);
        let mut message = Message::new(event, &self.channel, &name, ("good", "danger"));
        let [attachment] = &mut message.attachments;
        attachment.text = without_mentions(&attachment.text);
        let first_line = attachment.text.lines().next().unwrap_or_default();
        let first_line = fit::characters(first_line, MAX_FALLBACK);
        attachment.fallback = format!("{}: {first_line}", event.involved_object.title());
        let authorization = self.authorization.as_ref();
        let request = Outgoing::json(&self.url, &message);
        Ok(vec![
            request.header_if(http::header::AUTHORIZATION, authorization),
        ])
    }

    fn judge(&self, answer: Answer) -> Result<(), SendError> {
        if self.url == POST_MESSAGE {
            return judge_method(&answer);
        }
        answer.expect_success("postMessage failed").map(drop)
    }
}

/// Leaves people in peace whom a message seems to call: `<!channel>`, `<@U123>`. Links stay.
fn without_mentions(text: &str) -> String {
    text.replace("<!", "&lt;!").replace("<@", "&lt;@")
}

#[derive(Debug, Deserialize)]
struct Verdict {
    ok: bool,
    #[serde(default)]
    error: String,
}

/// The method answers 200 whatever happens and says in the body what did; but for being too busy.
fn judge_method(answer: &Answer) -> Result<(), SendError> {
    if answer.status.as_u16() == 429 || answer.status.is_server_error() {
        return answer
            .clone()
            .expect_success("postMessage failed")
            .map(drop);
    }
    let verdict: Verdict = answer.read("postMessage failed")?;
    if verdict.ok {
        return Ok(());
    }
    let message = format!(
        "postMessage failed: Slack responded with error: {}",
        verdict.error
    );
    match verdict.error.as_str() {
        "ratelimited" | "internal_error" | "fatal_error" | "service_unavailable" => {
            Err(SendError::failed(message))
        }
        _ => Err(SendError::rejected(message)),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use net_http::{HeaderMap, StatusCode};

    use super::*;

    /// covers: NC-076
    #[test]
    fn method_answers_are_read_from_the_body() {
        let answer = |body: &'static str| Answer {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: Bytes::from_static(body.as_bytes()),
        };
        assert_eq!(judge_method(&answer(r#"{"ok":true}"#)), Ok(()));
        let error = judge_method(&answer(r#"{"ok":false,"error":"too_many_attachments"}"#));
        let text = error.unwrap_err().to_string();
        assert_eq!(
            text,
            "postMessage failed: Slack responded with error: too_many_attachments"
        );
        assert!(judge_method(&answer("<html>")).is_err());
        let busy = judge_method(&answer(r#"{"ok":false,"error":"ratelimited"}"#));
        assert!(matches!(busy, Err(SendError::Failed { .. })));
    }
}
