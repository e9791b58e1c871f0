//! Spans on their way to a collector.

use std::time::Duration;

use net_http::{
    Client, ClientConfig, Clients, Environment, HeaderName, HeaderValue, Method, Request,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::Span;

/// The address of the traces; what follows is put onto the other one.
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const PATH: &str = "/v1/traces";
/// More headers: `name=value,name=value`.
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
/// More facts about this process: `name=value,name=value`.
const RESOURCE: &str = "OTEL_RESOURCE_ATTRIBUTES";

/// How many spans go at once, and how long the first of them waits for more.
const BATCH: usize = 256;
const GATHER: Duration = Duration::from_millis(500);
const TIMEOUT: Duration = Duration::from_secs(5);
/// How often a batch is sent, and the pause between.
const TRIES: usize = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// Sends spans one batch after the other.
#[derive(Debug)]
pub(super) struct Exporter {
    client: Client,
    url: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    resource: Value,
}

impl Exporter {
    /// Reads the environment; none where it names no collector.
    pub(super) fn read(
        service: &'static str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Option<Self> {
        let base = || {
            Some(format!(
                "{}{PATH}",
                variable(ENDPOINT)?.trim_end_matches('/')
            ))
        };
        let url = variable(TRACES_ENDPOINT).or_else(base)?;
        let clients = Clients::new(service, Environment::from_variables(&variable));
        let client = match clients.get(&ClientConfig::default()) {
            Ok(client) => client,
            Err(error) => {
                let cause = crate::failure::chain(&error);
                tracing::error!(error = cause, "traces are not sent");
                return None;
            }
        };
        let headers = variable(HEADERS).unwrap_or_default();
        let headers = pairs(&headers).filter_map(|(name, value)| {
            let mut value = HeaderValue::from_str(value).ok()?;
            value.set_sensitive(true);
            Some((name.parse().ok()?, value))
        });
        let more = variable(RESOURCE).unwrap_or_default();
        let mut facts = vec![
            pair("service.name", service),
            pair("service.version", env!("CARGO_PKG_VERSION")),
        ];
        facts.extend(pairs(&more).map(|(name, value)| pair(name, value)));
        Some(Self {
            client,
            url,
            headers: headers.collect(),
            resource: json!({ "attributes": facts }),
        })
    }

    pub(super) async fn run(self, mut spans: mpsc::Receiver<Span>) {
        let mut batch = Vec::new();
        while spans.recv_many(&mut batch, BATCH).await > 0 {
            let more = async {
                while batch.len() < BATCH && spans.recv_many(&mut batch, BATCH).await > 0 {}
            };
            drop(tokio::time::timeout(GATHER, more).await);
            self.send(&batch).await;
            batch.clear();
        }
    }

    async fn send(&self, batch: &[Span]) {
        let body = self.body(batch).to_string();
        for left in (0..TRIES).rev() {
            match self.post(&body).await {
                Ok(()) => return,
                Err(cause) if left == 0 => {
                    tracing::info!(lost = batch.len(), error = cause, "traces are lost");
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    fn body(&self, batch: &[Span]) -> Value {
        let spans: Vec<_> = batch.iter().map(Span::to_json).collect();
        json!({ "resourceSpans": [{ "resource": self.resource,
            "scopeSpans": [{ "scope": { "name": "lockgate" }, "spans": spans }] }] })
    }

    async fn post(&self, body: &str) -> Result<(), String> {
        let json = HeaderValue::from_static("application/json");
        let mut request = Request::new(Method::POST, &self.url).timeout(TIMEOUT);
        request = request.header(http::header::CONTENT_TYPE, json);
        for (name, value) in &self.headers {
            request = request.header(name.clone(), value.clone());
        }
        let answer = self.client.send(request.body(body.to_owned())).await;
        let answer = answer.map_err(|error| crate::failure::chain(&error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        Err(format!("the collector answers {status}"))
    }
}

/// Reads `name=value,name=value`.
fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.trim(), value.trim()))
}

/// Returns an attribute as the JSON encoding has it.
pub(super) fn pair(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collector_is_read_from_the_environment_and_none_is_the_rule() {
        let with = |set: &'static [(&'static str, &'static str)]| {
            let read = move |name: &str| {
                let found = set.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            Exporter::read("source-controller", read)
        };
        assert!(with(&[]).is_none());
        let one = with(&[(ENDPOINT, "http://otel:4318/"), (HEADERS, "a=1, b=2")]).unwrap();
        assert_eq!(one.url, "http://otel:4318/v1/traces");
        assert_eq!(one.headers.len(), 2);
        let two = with(&[
            (ENDPOINT, "http://otel:4318"),
            (TRACES_ENDPOINT, "http://t/x"),
        ])
        .unwrap();
        assert_eq!(two.url, "http://t/x");
        let named = two.body(&[])["resourceSpans"][0]["resource"]["attributes"][0].clone();
        assert_eq!(named, pair("service.name", "source-controller"));
    }
}
