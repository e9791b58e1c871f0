//! Opsgenie: an alert.
//!
//! Source: <https://docs.opsgenie.com/docs/alert-api#create-alert>; notification-controller v1.9.3
//! `internal/notifier/opsgenie.go`; the alias as its main branch has it since.

use std::sync::Arc;

use net_http::HeaderValue;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{Boxed, BuildError, Notice, Outgoing, SendError, Settings, Webhook, outgoing};
use crate::event::Event;

#[derive(Debug)]
struct Opsgenie {
    url: String,
    authorization: HeaderValue,
    /// The Provider's.
    uid: String,
}

pub(super) fn build(settings: &Arc<Settings>) -> Result<Boxed, BuildError> {
    outgoing::web_url("Opsgenie URL", &settings.address)?;
    let authorization = outgoing::prefixed("GenieKey ", &settings.token)?
        .ok_or_else(|| BuildError::new("empty Opsgenie apikey/token"))?;
    let hook = Opsgenie {
        url: settings.address.clone(),
        authorization,
        uid: settings.uid.clone(),
    };
    Ok(super::posting(hook, settings))
}

/// Names an alert: Opsgenie counts what comes again under the same name, instead of opening another alert.
fn alias(provider: &str, event: &Event) -> String {
    let id = event.involved_object.id();
    hex::encode(Sha256::digest(format!("{provider}/{id}/{}", event.reason)))
}

impl Webhook for Opsgenie {
    fn requests(&self, notice: &Notice) -> Result<Vec<Outgoing>, SendError> {
        let event = &notice.event;
        let mut details = event.metadata.clone();
        details.insert("severity".into(), event.severity.clone());
        let object = &event.involved_object;
        let body = json!({ "message": format!("{}/{}", object.kind, object.name),
            "alias": alias(&self.uid, event), "description": event.message, "details": details });
        let request = Outgoing::json(&self.url, &body);
        Ok(vec![request.header(
            http::header::AUTHORIZATION,
            self.authorization.clone(),
        )])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: NC-086
    #[test]
    fn alias_is_that_of_provider_object_and_reason() {
        let event = crate::event::tests::sample("error");
        let first = alias("uid", &event);
        let text = "uid/GitRepository/gitops-system/webapp/ReconciliationFailed";
        assert_eq!(first, hex::encode(Sha256::digest(text)));
        let mut same = event.clone();
        same.message = "said in other words".into();
        same.metadata.clear();
        assert_eq!(alias("uid", &same), first);
        assert_ne!(alias("other", &event), first);
        for change in [
            |e: &mut Event| e.reason = "HealthCheckFailed".into(),
            |e: &mut Event| e.involved_object.namespace = "apps".into(),
            |e: &mut Event| e.involved_object.name = "db".into(),
        ] {
            let mut other = event.clone();
            change(&mut other);
            assert_ne!(alias("uid", &other), first);
        }
    }
}
