//! Discord: its endpoint for Slack's messages.
//!
//! Source: <https://discord.com/developers/docs/resources/webhook#execute-slackcompatible-webhook>;
//! notification-controller v1.9.3 `internal/notifier/discord.go`.

use std::sync::Arc;

use super::slack::{Message, sender};
use super::{Boxed, BuildError, Notice, Outgoing, SendError, Settings, Webhook, fit, outgoing};

const MAX_USERNAME: usize = 80;
const MAX_AUTHOR: usize = 256;

#[derive(Debug)]
struct Discord {
    url: String,
    username: String,
}

pub(super) fn build(settings: &Arc<Settings>) -> Result<Boxed, BuildError> {
    let mut url = outgoing::web_url("Discord hook URL", &settings.address)?;
    let path = url.path().trim_end_matches('/').to_owned();
    if !path.ends_with("/slack") {
        url.set_path(&format!("{path}/slack"));
    }
    let hook = Discord {
        url: url.to_string(),
        username: settings.username.clone(),
    };
    Ok(super::posting(hook, settings))
}

impl Webhook for Discord {
    fn requests(&self, notice: &Notice) -> Result<Vec<Outgoing>, SendError> {
        let name = sender(&self.username, &notice.event);
        let name = fit::characters(&name, MAX_USERNAME);
        let mut message = Message::new(&notice.event, "", &name, ("good", "danger"));
        let [attachment] = &mut message.attachments;
        let author = fit::characters(&attachment.author_name, MAX_AUTHOR).into_owned();
        attachment.author_name = author;
        Ok(vec![Outgoing::json(&self.url, &message)])
    }
}
