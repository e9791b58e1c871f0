//! OpenTelemetry: a span per event, over OTLP/HTTP.
//!
//! Source: <https://opentelemetry.io/docs/specs/otlp/#otlphttp>, `opentelemetry/proto/trace/v1`
//! 1.7; notification-controller v1.9.3 `internal/notifier/otel.go`.

use std::sync::Arc;

use net_http::{HeaderMap, HeaderName, HeaderValue, Method};
use sha2::{Digest, Sha256};

use super::{Boxed, BuildError, Notice, Outgoing, SendError, Settings, Webhook, outgoing};
use crate::event::Event;

const TRACER: &str = "flux:notification-controller";

#[derive(Debug)]
struct Otel {
    url: String,
    headers: HeaderMap,
}

pub(super) fn build(settings: &Arc<Settings>) -> Result<Boxed, BuildError> {
    let mut url = outgoing::web_url("OTLP endpoint", &settings.address)?;
    if url.path() == "/" {
        url.set_path("/v1/traces");
    }
    let mut headers = HeaderMap::new();
    let token = settings.token_or_password();
    if !settings.username.is_empty() {
        let own = outgoing::basic(&settings.username, &settings.password);
        headers.insert(http::header::AUTHORIZATION, own);
    } else if let Some(bearer) = outgoing::bearer(token)? {
        headers.insert(http::header::AUTHORIZATION, bearer);
    }
    for (name, value) in &settings.headers {
        let key = HeaderName::try_from(name.as_str())
            .map_err(|_| BuildError::new("a key of 'headers' is no header name"))?;
        headers.insert(key, outgoing::header_value(name, value)?);
    }
    let url = url.to_string();
    Ok(super::posting(Otel { url, headers }, settings))
}

impl Webhook for Otel {
    fn requests(&self, notice: &Notice) -> Result<Vec<Outgoing>, SendError> {
        // A chart repository has no revision to trace.
        if notice.event.involved_object.kind == "HelmRepository" {
            return Ok(Vec::new());
        }
        let kind = HeaderValue::from_static("application/x-protobuf");
        let mut request = Outgoing::new(Method::POST, &self.url);
        request.headers.extend(self.headers.clone());
        let request = request
            .header(http::header::CONTENT_TYPE, kind)
            .body(traces(notice, rand::random()));
        Ok(vec![request])
    }
}

/// The trace: one per alert and revision, so that what several objects do of it is seen together.
fn trace_id(notice: &Notice) -> [u8; 16] {
    let metadata = &notice.event.metadata;
    let get = |key: &str| metadata.get(key).filter(|v| !v.is_empty());
    let revision = match (get("app-version"), get("oci-digest"), get("revision")) {
        (Some(version), Some(digest), _) => format!("{version}@{digest}"),
        (_, _, Some(revision)) => revision.clone(),
        _ => "unknown".to_owned(),
    };
    let digest = Sha256::digest(format!("{}:{revision}", notice.alert.uid));
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    id
}

/// A `TracesData` message with one span.
fn traces(notice: &Notice, span_id: [u8; 8]) -> Vec<u8> {
    let alert = &notice.alert;
    let name = format!("{}/{}", alert.namespace, alert.name);
    let mut resource = Message::default();
    for (key, value) in [
        ("service.name", name.as_str()),
        ("service.namespace", &alert.namespace),
        ("service.instance.id", &alert.uid),
    ] {
        resource.message(1, &attribute(key, value));
    }
    let mut tracer = Message::default();
    tracer.text(1, TRACER);
    let mut scope = Message::default();
    scope.message(1, &tracer);
    scope.message(2, &span(&notice.event, trace_id(notice), span_id));
    let mut spans = Message::default();
    spans.message(1, &resource);
    spans.message(2, &scope);
    let mut data = Message::default();
    data.message(1, &spans);
    data.0
}

fn span(event: &Event, trace: [u8; 16], id: [u8; 8]) -> Message {
    let object = &event.involved_object;
    let start = event.timestamp.unwrap_or_default().as_nanosecond();
    let start = u64::try_from(start).unwrap_or_default();
    let mut span = Message::default();
    span.bytes(1, &trace);
    span.bytes(2, &id);
    span.text(
        5,
        &format!("{}: {}/{}", object.kind, object.namespace, object.name),
    );
    // Internal.
    span.number(6, 1);
    span.fixed(7, start);
    span.fixed(8, start);
    let own = [
        ("object.uid", object.uid.as_str()),
        ("object.kind", &object.kind),
        ("object.name", &object.name),
        ("object.namespace", &object.namespace),
    ];
    for (key, value) in own {
        span.message(9, &attribute(key, value));
    }
    for (key, value) in &event.metadata {
        span.message(9, &attribute(key, value));
    }
    let mut status = Message::default();
    if event.is_error() {
        status.text(2, &event.message);
        status.number(3, 2);
    } else {
        // Only errors have a message there.
        status.number(3, 1);
    }
    span.message(15, &status);
    span
}

fn attribute(key: &str, value: &str) -> Message {
    let mut any = Message::default();
    any.text(1, value);
    let mut pair = Message::default();
    pair.text(1, key);
    pair.message(2, &any);
    pair
}

/// A protobuf message as it is written.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            #[expect(clippy::cast_possible_truncation, reason = "seven bits")]
            self.0.push((value as u8 & 0x7f) | 0x80);
            value >>= 7;
        }
        #[expect(clippy::cast_possible_truncation, reason = "seven bits")]
        self.0.push(value as u8);
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
    }

    fn text(&mut self, field: u64, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    fn message(&mut self, field: u64, message: &Self) {
        self.bytes(field, &message.0);
    }

    fn number(&mut self, field: u64, value: u64) {
        self.varint(field << 3);
        self.varint(value);
    }

    fn fixed(&mut self, field: u64, value: u64) {
        self.varint(field << 3 | 1);
        self.0.extend(value.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: NC-087
    #[test]
    fn span_names_the_object_and_carries_its_metadata() {
        let notice = crate::provider::tests::notice("error");
        let bytes = traces(&notice, [7; 8]);
        let has = |text: &str| bytes.windows(text.len()).any(|w| w == text.as_bytes());
        for text in [
            "GitRepository: gitops-system/webapp",
            "object.kind",
            "gitops-system/alert",
            "test",
            "metadata",
            TRACER,
            "message",
        ] {
            assert!(has(text), "{text}");
        }
        let expect = Sha256::digest("alert-uid:unknown");
        assert_eq!(trace_id(&notice), expect[..16]);
        assert!(bytes.windows(16).any(|w| w == &expect[..16]));
    }

    #[test]
    fn numbers_are_written_as_protobuf_has_them() {
        let mut message = Message::default();
        message.number(1, 150);
        message.text(2, "testing");
        let expect = [
            0x08, 0x96, 0x01, 0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67,
        ];
        assert_eq!(message.0, expect);
    }

    #[test]
    fn chart_repositories_are_left_out() {
        let mut notice = crate::provider::tests::notice("info");
        notice.event.involved_object.kind = "HelmRepository".into();
        let otel = Otel {
            url: "http://x/v1/traces".into(),
            headers: HeaderMap::new(),
        };
        assert!(otel.requests(&notice).unwrap().is_empty());
    }
}
