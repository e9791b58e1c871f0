//! Lark: an interactive card.
//!
//! Source: notification-controller v1.9.3 `internal/notifier/lark.go`;
//! <https://open.larksuite.com/document/client-docs/bot-v3/add-custom-bot> for the answer's code.

use std::{fmt::Write, sync::Arc};

use serde::Deserialize;
use serde_json::json;

use super::{Answer, Boxed, BuildError, Notice, Outgoing, SendError, Settings, Webhook, outgoing};

#[derive(Debug)]
struct Lark {
    url: String,
}

pub(super) fn build(settings: &Arc<Settings>) -> Result<Boxed, BuildError> {
    outgoing::web_url("Lark hook URL", &settings.address)?;
    let url = settings.address.clone();
    Ok(super::posting(Lark { url }, settings))
}

#[derive(Debug, Deserialize)]
struct Verdict {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    msg: String,
}

impl Webhook for Lark {
    fn requests(&self, notice: &Notice) -> Result<Vec<Outgoing>, SendError> {
        let event = &notice.event;
        let (sign, template) = if event.is_error() {
            ("🚨", "red")
        } else {
            ("💫", "turquoise")
        };
        let mut text = format!("**{}**\n\n", event.message);
        for (key, value) in &event.metadata {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{key}: {value}");
        }
        let title = format!("{sign} {}", event.involved_object.title());
        let body = json!({ "msg_type": "interactive", "card": {
            "config": { "wide_screen_mode": true },
            "header": { "title": { "tag": "plain_text", "content": title }, "template": template },
            "elements": [{ "tag": "div", "text": { "tag": "lark_md", "content": text } }] } });
        Ok(vec![Outgoing::json(&self.url, &body)])
    }

    /// Lark answers 200 to what it refuses and says so in the body.
    fn judge(&self, answer: Answer) -> Result<(), SendError> {
        let answer = answer.expect_success("postMessage failed")?;
        let verdict: Option<Verdict> = serde_json::from_slice(&answer.body).ok();
        match verdict {
            Some(verdict) if verdict.code != 0 => Err(SendError::rejected(format!(
                "postMessage failed: Lark responded with error {}: {}",
                verdict.code, verdict.msg
            ))),
            _ => Ok(()),
        }
    }
}
