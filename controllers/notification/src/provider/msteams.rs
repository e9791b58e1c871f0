//! Microsoft Teams: adaptive cards for workflows, message cards for the old connectors.
//!
//! Source: <https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using>;
//! notification-controller v1.9.3 `internal/notifier/teams.go`.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Boxed, BuildError, Notice, Outgoing, SendError, Settings, Webhook, outgoing};
use crate::event::Event;

const CONNECTORS: &str = ".webhook.office.com";

#[derive(Debug)]
struct Teams {
    url: String,
    connector: bool,
}

pub(super) fn build(settings: &Arc<Settings>) -> Result<Boxed, BuildError> {
    outgoing::web_url("MS Teams webhook URL", &settings.address)?;
    let hook = Teams {
        url: settings.address.clone(),
        connector: is_connector(&settings.address),
    };
    Ok(super::posting(hook, settings))
}

/// Whether an address is that of an old connector, which takes message cards.
pub(super) fn is_connector(address: &str) -> bool {
    let url = url::Url::parse(address).ok();
    url.is_some_and(|url| {
        url.host_str()
            .is_some_and(|host| host.ends_with(CONNECTORS))
    })
}

impl Webhook for Teams {
    fn requests(&self, notice: &Notice) -> Result<Vec<Outgoing>, SendError> {
        let card = if self.connector {
            message_card(&notice.event)
        } else {
            adaptive_card(&notice.event)
        };
        Ok(vec![Outgoing::json(&self.url, &card)])
    }
}

/// The facts: the summary first, the others by their keys.
fn facts(event: &Event, key: &str) -> Vec<Value> {
    let fact = |(name, value): (&String, &String)| json!({ key: name, "value": value });
    let summary = event.metadata.get_key_value("summary");
    let others = event.metadata.iter().filter(|(name, _)| *name != "summary");
    summary.into_iter().chain(others).map(fact).collect()
}

fn message_card(event: &Event) -> Value {
    let title = event.involved_object.title();
    json!({
        "@type": "MessageCard",
        "@context": "http://schema.org/extensions",
        "themeColor": if event.is_error() { "FF0000" } else { "0076D7" },
        "summary": title,
        "sections": [{
            "activityTitle": event.message,
            "activitySubtitle": title,
            "facts": facts(event, "name"),
        }],
    })
}

fn adaptive_card(event: &Event) -> Value {
    let title = event.involved_object.title();
    let mut message = json!({ "type": "TextBlock", "text": event.message, "wrap": true });
    if event.is_error() {
        message["color"] = "attention".into();
    }
    let facts = facts(event, "title");
    let mut set = json!({ "type": "FactSet" });
    if !facts.is_empty() {
        set["facts"] = facts.into();
    }
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": [{ "type": "Container", "items": [
                    { "type": "TextBlock", "text": title, "size": "large", "weight": "bolder", "wrap": true },
                    message,
                    set,
                ] }],
                "msteams": { "width": "Full" },
            },
        }],
    })
}
