//! Sentry: errors as events, the rest as transactions.
//!
//! Source: <https://develop.sentry.dev/sdk/data-model/envelopes/>; notification-controller v1.9.3
//! `internal/notifier/sentry.go`.

use std::{collections::BTreeMap, sync::Arc};

use net_http::{HeaderName, HeaderValue, Method};
use serde_json::{Value, json};

use super::{Boxed, BuildError, Notice, Outgoing, SendError, Settings, Webhook, outgoing};
use crate::event::{Event, go_json};

const AUTH: HeaderName = HeaderName::from_static("x-sentry-auth");
const CLIENT: &str = concat!("lockgate/", env!("CARGO_PKG_VERSION"));

#[derive(Debug)]
struct Sentry {
    url: String,
    key: String,
    environment: String,
}

pub(super) fn build(settings: &Arc<Settings>) -> Result<Boxed, BuildError> {
    let hook = Sentry::new(&settings.address, &settings.channel)?;
    Ok(super::posting(hook, settings))
}

impl Sentry {
    /// Reads a DSN: `https://<key>@<host>/<path>/<project>`.
    fn new(dsn: &str, environment: &str) -> Result<Self, BuildError> {
        if dsn.is_empty() {
            return Err(BuildError::new("DSN cannot be empty"));
        }
        // What it is stays untold: its user is a key.
        let wrong = || BuildError::new("failed to parse the DSN");
        let url = url::Url::parse(dsn).map_err(|_| wrong())?;
        let (path, project) = url.path().rsplit_once('/').ok_or_else(wrong)?;
        let web = matches!(url.scheme(), "http" | "https");
        if !web || url.username().is_empty() || project.is_empty() {
            return Err(wrong());
        }
        Ok(Self {
            url: outgoing::on_host(&url, &format!("{path}/api/{project}/envelope/")),
            key: url.username().to_owned(),
            environment: environment.to_owned(),
        })
    }
}

impl Webhook for Sentry {
    fn requests(&self, notice: &Notice) -> Result<Vec<Outgoing>, SendError> {
        let event = &notice.event;
        let id = format!("{:032x}", rand::random::<u128>());
        let (kind, item) = if event.is_error() {
            ("event", error(event, &id, &self.environment))
        } else {
            ("transaction", transaction(event, &id, &self.environment))
        };
        let item = go_json(&item);
        let head = json!({ "event_id": id });
        let item_head = json!({ "type": kind, "length": item.len() });
        let body = format!("{head}\n{item_head}\n{item}\n");
        let auth = format!(
            "Sentry sentry_version=7, sentry_client={CLIENT}, sentry_key={}",
            self.key
        );
        let mut auth = HeaderValue::try_from(auth)
            .map_err(|_| SendError::rejected("the DSN's key is no header"))?;
        auth.set_sensitive(true);
        let content = HeaderValue::from_static("application/x-sentry-envelope");
        let request = Outgoing::new(Method::POST, &self.url)
            .header(http::header::CONTENT_TYPE, content)
            .header(AUTH, auth)
            .body(body);
        Ok(vec![request])
    }
}

fn name(event: &Event) -> String {
    let object = &event.involved_object;
    format!("{}: {}/{}", object.kind, object.namespace, object.name)
}

fn error(event: &Event, id: &str, environment: &str) -> Value {
    json!({ "event_id": id, "timestamp": event.rfc3339(), "platform": "other",
        "level": event.severity, "server_name": event.reporting_controller,
        "environment": environment, "transaction": name(event), "message": event.message,
        "contexts": { "metadata": event.metadata } })
}

fn transaction(event: &Event, id: &str, environment: &str) -> Value {
    let object = &event.involved_object;
    let mut tags: BTreeMap<&str, &str> = BTreeMap::from([
        ("flux_involved_object_kind", object.kind.as_str()),
        ("flux_involved_object_name", &object.name),
        ("flux_involved_object_namespace", &object.namespace),
        ("flux_reason", &event.reason),
        ("flux_reporting_controller", &event.reporting_controller),
        ("flux_reporting_instance", &event.reporting_instance),
    ]);
    tags.extend(event.metadata.iter().map(|(k, v)| (k.as_str(), v.as_str())));
    let time = event.rfc3339();
    let trace = format!("{:032x}", rand::random::<u128>());
    let (root, span) = (hex(rand::random()), hex(rand::random()));
    json!({ "event_id": id, "type": "transaction", "platform": "other",
        "transaction": name(event), "message": event.message, "environment": environment,
        "server_name": event.reporting_controller, "level": "info",
        "start_timestamp": time, "timestamp": time, "tags": tags,
        "contexts": { "trace": { "trace_id": trace, "span_id": root, "op": event.reason,
            "status": "ok" } },
        "spans": [{ "trace_id": trace, "span_id": span, "parent_span_id": root,
            "op": event.reason, "description": event.message, "start_timestamp": time,
            "timestamp": time }] })
}

fn hex(number: u64) -> String {
    format!("{number:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(severity: &str) -> (Outgoing, Value, Value) {
        let sentry = Sentry::new("https://key@o1.sentry.example/sub/7", "prod").unwrap();
        let notice = crate::provider::tests::notice(severity);
        let request = sentry.requests(&notice).unwrap().remove(0);
        let text = String::from_utf8(request.body.to_vec()).unwrap();
        let mut lines = text
            .lines()
            .skip(1)
            .map(|l| serde_json::from_str(l).unwrap());
        let head: Value = lines.next().unwrap();
        let item: Value = lines.next().unwrap();
        (request, head, item)
    }

    /// covers: NC-089
    #[test]
    fn errors_are_events_and_the_rest_transactions() {
        let (request, head, item) = items("error");
        assert_eq!(request.url, "https://o1.sentry.example/sub/api/7/envelope/");
        assert!(
            request.headers[AUTH]
                .to_str()
                .unwrap()
                .contains("sentry_key=key")
        );
        assert_eq!(head["type"], "event");
        assert_eq!(item["transaction"], "GitRepository: gitops-system/webapp");
        assert_eq!(item["environment"], "prod");
        assert_eq!(item["contexts"]["metadata"]["test"], "metadata");
        let (_, head, item) = items("info");
        assert_eq!(head["type"], "transaction");
        assert_eq!(item["tags"]["flux_involved_object_kind"], "GitRepository");
        assert_eq!(item["tags"]["test"], "metadata");
        assert_eq!(item["spans"].as_array().unwrap().len(), 1);
        assert_eq!(
            Sentry::new("", "").unwrap_err().to_string(),
            "DSN cannot be empty"
        );
        let error = Sentry::new("https://secretkey@/", "")
            .unwrap_err()
            .to_string();
        assert!(!error.contains("secretkey"), "{error}");
    }
}
