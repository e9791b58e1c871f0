//! PagerDuty: events v2, and change events for good news.
//!
//! Source: <https://developer.pagerduty.com/docs/send-alert-event>; notification-controller v1.9.3
//! `internal/notifier/pagerduty.go`.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Boxed, BuildError, Notice, Outgoing, SendError, Settings, Webhook, outgoing};
use crate::event::Event;

#[derive(Debug)]
struct PagerDuty {
    events: String,
    changes: String,
    key: String,
}

pub(super) fn build(settings: &Arc<Settings>) -> Result<Boxed, BuildError> {
    let url = outgoing::web_url("PagerDuty URL", &settings.address)?;
    let hook = PagerDuty {
        events: outgoing::on_host(&url, "/v2/enqueue"),
        changes: outgoing::on_host(&url, "/v2/change/enqueue"),
        key: settings.channel.clone(),
    };
    Ok(super::posting(hook, settings))
}

impl Webhook for PagerDuty {
    fn requests(&self, notice: &Notice) -> Result<Vec<Outgoing>, SendError> {
        let event = &notice.event;
        if event.reason == "Progressing" {
            return Ok(Vec::new());
        }
        let mut requests = vec![Outgoing::json(&self.events, &self.alert(event))];
        if event.severity == "info" {
            requests.push(Outgoing::json(&self.changes, &self.change(event)));
        }
        Ok(requests)
    }
}

impl PagerDuty {
    fn alert(&self, event: &Event) -> Value {
        let object = &event.involved_object;
        let resolves = matches!(event.severity.as_str(), "info" | "trace");
        let mut body = json!({ "routing_key": self.key, "dedup_key": object.uid,
            "event_action": if resolves { "resolve" } else { "trigger" } });
        if !resolves {
            body["payload"] = json!({ "summary": summary(event), "source": source(event),
                "severity": "error", "timestamp": event.rfc3339(), "component": object.name,
                "group": object.kind, "custom_details": details(event) });
        }
        body
    }

    fn change(&self, event: &Event) -> Value {
        json!({ "routing_key": self.key, "payload": { "summary": summary(event),
            "source": source(event), "timestamp": event.rfc3339(),
            "custom_details": details(event) } })
    }
}

fn summary(event: &Event) -> String {
    let object = &event.involved_object;
    let name = format!("{}/{}", object.kind, object.name).to_lowercase();
    format!("{}: {name}", super::words(&event.reason))
}

fn source(event: &Event) -> String {
    format!("Flux {}", event.reporting_controller)
}

fn details(event: &Event) -> Value {
    json!({ "message": event.message, "metadata": event.metadata })
}
