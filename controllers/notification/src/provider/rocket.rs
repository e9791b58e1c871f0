//! Rocket.Chat: Slack's messages with other colours.
//!
//! Source: notification-controller v1.9.3 `internal/notifier/rocket.go`.

use std::sync::Arc;

use super::slack::{Message, sender};
use super::{Boxed, BuildError, Notice, Outgoing, SendError, Settings, Webhook, outgoing};

#[derive(Debug)]
struct Rocket {
    url: String,
    channel: String,
    username: String,
}

pub(super) fn build(settings: &Arc<Settings>) -> Result<Boxed, BuildError> {
    outgoing::web_url("Rocket hook URL", &settings.address)?;
    let hook = Rocket {
        url: settings.address.clone(),
        channel: settings.channel.clone(),
        username: settings.username.clone(),
    };
    Ok(super::posting(hook, settings))
}

impl Webhook for Rocket {
    fn requests(&self, notice: &Notice) -> Result<Vec<Outgoing>, SendError> {
        let name = sender(&self.username, &notice.event);
        let colors = ("#0076D7", "#FF0000");
        let message = Message::new(&notice.event, &self.channel, &name, colors);
        Ok(vec![Outgoing::json(&self.url, &message)])
    }
}
