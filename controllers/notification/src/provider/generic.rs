//! Generic webhooks: the event as it is, signed or not.
//!
//! Source: notification-controller v1.9.3 `internal/notifier/forwarder.go`.

use std::sync::Arc;

use net_http::{HeaderMap, HeaderName, HeaderValue, Method};
use ring::hmac;

use super::{Boxed, BuildError, Notice, Outgoing, SendError, Settings, Webhook, outgoing};

const COMPONENT: HeaderName = HeaderName::from_static("gotk-component");
const SIGNATURE: HeaderName = HeaderName::from_static("x-signature");

#[derive(Debug)]
struct Forwarder {
    url: String,
    headers: HeaderMap,
    key: Option<hmac::Key>,
}

pub(super) fn build(settings: &Arc<Settings>) -> Result<Boxed, BuildError> {
    let hook = Forwarder::new(settings, None)?;
    Ok(super::posting(hook, settings))
}

pub(super) fn build_signed(settings: &Arc<Settings>) -> Result<Boxed, BuildError> {
    if settings.token.is_empty() {
        return Err(BuildError::new("HMAC key is empty"));
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, settings.token.as_bytes());
    let hook = Forwarder::new(settings, Some(key))?;
    Ok(super::posting(hook, settings))
}

impl Forwarder {
    fn new(settings: &Settings, key: Option<hmac::Key>) -> Result<Self, BuildError> {
        outgoing::web_url("hook URL", &settings.address)?;
        let mut headers = HeaderMap::new();
        for (name, value) in &settings.headers {
            let key = HeaderName::try_from(name.as_str())
                .map_err(|_| BuildError::new("a key of 'headers' is no header name"))?;
            headers.insert(key, outgoing::header_value(name, value)?);
        }
        Ok(Self {
            url: settings.address.clone(),
            headers,
            key,
        })
    }
}

impl Webhook for Forwarder {
    fn requests(&self, notice: &Notice) -> Result<Vec<Outgoing>, SendError> {
        let body = notice.event.to_json();
        let mut request = Outgoing::new(Method::POST, &self.url);
        let kind = HeaderValue::from_static("application/json");
        request = request.header(http::header::CONTENT_TYPE, kind);
        let component = HeaderValue::try_from(notice.event.reporting_controller.as_str());
        request = request.header_if(COMPONENT, component.as_ref().ok());
        request.headers.extend(self.headers.clone());
        if let Some(key) = &self.key {
            let tag = hmac::sign(key, body.as_bytes());
            let value = format!("sha256={}", hex::encode(tag));
            let value = HeaderValue::try_from(value)
                .map_err(|_| SendError::rejected("the signature is no header"))?;
            request = request.header(SIGNATURE, value);
        }
        Ok(vec![request.body(body)])
    }
}
