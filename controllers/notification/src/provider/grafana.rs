//! Grafana: an annotation.
//!
//! Source: <https://grafana.com/docs/grafana/latest/developers/http_api/annotations/>;
//! notification-controller v1.9.3 `internal/notifier/grafana.go`.

use std::sync::Arc;

use net_http::HeaderValue;
use serde_json::json;

use super::{Boxed, BuildError, Notice, Outgoing, SendError, Settings, Webhook, outgoing};

#[derive(Debug)]
struct Grafana {
    url: String,
    authorization: Option<HeaderValue>,
}

pub(super) fn build(settings: &Arc<Settings>) -> Result<Boxed, BuildError> {
    outgoing::web_url("Grafana URL", &settings.address)?;
    let token = outgoing::bearer(&settings.token)?;
    let has_user = !settings.username.is_empty() && !settings.password.is_empty();
    let basic = has_user.then(|| outgoing::basic(&settings.username, &settings.password));
    let hook = Grafana {
        url: settings.address.clone(),
        authorization: token.or(basic),
    };
    Ok(super::posting(hook, settings))
}

impl Webhook for Grafana {
    fn requests(&self, notice: &Notice) -> Result<Vec<Outgoing>, SendError> {
        let event = &notice.event;
        let object = &event.involved_object;
        let mut tags = vec!["flux".to_owned(), event.reporting_controller.clone()];
        // A colon divides key and value of a tag.
        let plain = |text: &str| text.replace(':', "|");
        let metadata = event.metadata.iter();
        tags.extend(metadata.map(|(key, value)| format!("{}: {}", plain(key), plain(value))));
        tags.push(format!("kind: {}", object.kind));
        tags.push(format!("name: {}", object.name));
        tags.push(format!("namespace: {}", object.namespace));
        let body = json!({ "when": event.unix_seconds(), "text": object.title(), "tags": tags });
        let authorization = self.authorization.as_ref();
        let request = Outgoing::json(&self.url, &body);
        Ok(vec![
            request.header_if(http::header::AUTHORIZATION, authorization),
        ])
    }
}
