//! Telegram: a message of a bot, in MarkdownV2.
//!
//! Source: <https://core.telegram.org/bots/api#sendmessage>; notification-controller v1.9.3
//! `internal/notifier/telegram.go`.

use std::{fmt::Write, sync::Arc};

use serde_json::json;

use super::{Boxed, BuildError, Notice, Outgoing, SendError, Settings, Webhook};
use crate::event::Event;

const API: &str = "https://api.telegram.org";
const SPECIAL: &str = "\\.-_[]()~>`#+=|{}!*";

#[derive(Debug)]
struct Telegram {
    url: String,
    chat: String,
    thread: Option<String>,
}

pub(super) fn build(settings: &Arc<Settings>) -> Result<Boxed, BuildError> {
    let hook = Telegram::new(API, &settings.channel, &settings.token)?;
    Ok(super::posting(hook, settings))
}

impl Telegram {
    /// The address of a Provider is not looked at: there is one Telegram.
    fn new(api: &str, channel: &str, token: &str) -> Result<Self, BuildError> {
        let token = token.trim();
        if channel.is_empty() {
            return Err(BuildError::new("empty Telegram channel"));
        }
        if token.is_empty() {
            return Err(BuildError::new("empty Telegram token"));
        }
        if !token
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b":-_".contains(&b))
        {
            return Err(BuildError::new("invalid Telegram token"));
        }
        let (chat, thread) = match channel.split_once(':') {
            Some((chat, thread)) => (chat, Some(thread.to_owned())),
            None => (channel, None),
        };
        Ok(Self {
            url: format!("{api}/bot{token}/sendMessage"),
            chat: chat.to_owned(),
            thread,
        })
    }
}

impl Webhook for Telegram {
    fn requests(&self, notice: &Notice) -> Result<Vec<Outgoing>, SendError> {
        let mut body = json!({ "chat_id": self.chat, "text": text(&notice.event),
            "parse_mode": "MarkdownV2" });
        if let Some(thread) = &self.thread {
            body["message_thread_id"] = thread.as_str().into();
        }
        Ok(vec![Outgoing::json(&self.url, &body)])
    }
}

fn text(event: &Event) -> String {
    let object = &event.involved_object;
    let sign = if event.is_error() { "🚨" } else { "💫" };
    let kind = object.kind.to_lowercase();
    let title = format!("{sign} {kind}/{}/{}", object.name, object.namespace);
    let mut text = format!("*{}*\n{}\n", escape(&title), escape(&event.message));
    for (key, value) in &event.metadata {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\\- *{}*: {}", escape(key), escape(value));
    }
    text
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if SPECIAL.contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: NC-063, NC-090
    #[test]
    fn message_goes_to_the_bots_path_with_chat_and_thread() {
        let hook = Telegram::new("https://t", "-100:7", "1:AA").unwrap();
        let notice = crate::provider::tests::notice("info");
        let request = hook.requests(&notice).unwrap().remove(0);
        assert_eq!(request.url, "https://t/bot1:AA/sendMessage");
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        let text = "*💫 gitrepository/webapp/gitops\\-system*\nmessage\n\\- *test*: metadata\n";
        let expect = json!({ "chat_id": "-100", "message_thread_id": "7",
            "parse_mode": "MarkdownV2", "text": text });
        assert_eq!(body, expect);
    }

    #[test]
    fn channel_and_token_have_to_be_there() {
        let error = |channel, token| Telegram::new("x", channel, token).unwrap_err().to_string();
        assert_eq!(error("", "t"), "empty Telegram channel");
        assert_eq!(error("c", ""), "empty Telegram token");
        assert_eq!(error("c", "a/../b"), "invalid Telegram token");
    }
}
