//! One request for a token and its answer: bounded, and without what was sent in any error.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, header};
use jiff::{SignedDuration, Timestamp};
use net_http::{Client, Redactor, Request};
use serde::de::DeserializeOwned;

use crate::Error;

/// Tokens and descriptions of clusters are a few kilobytes.
const MAX_ANSWER: u64 = 1 << 20;
const MAX_MESSAGE: usize = 512;
const TIMEOUT: Duration = Duration::from_secs(30);

/// Something that counts until a time.
#[derive(Clone)]
pub struct Lasting<T> {
    /// The thing.
    pub value: T,
    /// When it ends.
    pub until: Timestamp,
}

impl<T> std::fmt::Debug for Lasting<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lasting(.., until {})", self.until)
    }
}

impl<T> Lasting<T> {
    /// Wraps a thing that counts for so many seconds from now.
    pub(crate) fn seconds(value: T, seconds: u64) -> Self {
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        let now = Timestamp::now();
        let until = now.checked_add(SignedDuration::from_secs(seconds));
        Self {
            value,
            until: until.unwrap_or(now),
        }
    }

    /// Changes the thing.
    pub fn map<U>(self, with: impl FnOnce(T) -> U) -> Lasting<U> {
        Lasting {
            value: with(self.value),
            until: self.until,
        }
    }
}

/// A request in the making.
pub(crate) struct Exchange<'a> {
    client: &'a Client,
    what: &'static str,
    redactor: Redactor,
    request: Request,
}

impl<'a> Exchange<'a> {
    pub(crate) fn new(
        client: &'a Client,
        what: &'static str,
        method: Method,
        url: impl Into<String>,
    ) -> Self {
        Self {
            client,
            what,
            redactor: Redactor::default(),
            request: Request::new(method, url).timeout(TIMEOUT),
        }
    }

    /// Names what must not be shown.
    pub(crate) fn hide(mut self, secret: &str) -> Self {
        self.redactor.add(secret);
        self
    }

    pub(crate) fn header(self, name: &'static str, value: &str) -> Result<Self, Error> {
        let what = self.what;
        let mut value = HeaderValue::from_str(value).map_err(|_| Error::Shape {
            what,
            why: "a value cannot stand in a header",
        })?;
        value.set_sensitive(true);
        let request = self.request.header(HeaderName::from_static(name), value);
        Ok(Self { request, ..self })
    }

    /// Sends a token with the request.
    pub(crate) fn bearer(self, token: &str) -> Result<Self, Error> {
        self.hide(token)
            .header("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn body(self, kind: &'static str, body: String) -> Self {
        let request = self
            .request
            .header(header::CONTENT_TYPE, HeaderValue::from_static(kind))
            .body(body);
        Self { request, ..self }
    }

    pub(crate) fn json(self, body: &serde_json::Value) -> Self {
        self.body("application/json", body.to_string())
    }

    pub(crate) fn form(self, fields: &[(&str, &str)]) -> Self {
        self.body("application/x-www-form-urlencoded", form(fields))
    }

    /// Sends it and reads the answer.
    pub(crate) async fn bytes(self) -> Result<Vec<u8>, Error> {
        let what = self.what;
        let response = self.client.send(self.request).await;
        let response = response.map_err(|source| Error::Request { what, source })?;
        let status = response.status();
        if !status.is_success() {
            let message = response.text_for_message(MAX_MESSAGE).await;
            let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
            return Err(Error::Refused {
                what,
                status: status.as_u16(),
                message: self.redactor.redact(&line),
            });
        }
        let body = response.bytes(MAX_ANSWER).await;
        let body = body.map_err(|source| Error::Request { what, source })?;
        Ok(body.to_vec())
    }

    /// Sends it and reads JSON.
    pub(crate) async fn answer<T: DeserializeOwned>(self) -> Result<T, Error> {
        let what = self.what;
        let body = self.bytes().await?;
        // The parser's words could show a value.
        serde_json::from_slice(&body).map_err(|_| Error::Shape {
            what,
            why: "the answer is not of the documented shape",
        })
    }

    /// Sends it and reads text.
    pub(crate) async fn text(self) -> Result<String, Error> {
        let what = self.what;
        let text = String::from_utf8(self.bytes().await?);
        text.map_err(|_| Error::Shape {
            what,
            why: "the answer is no text",
        })
    }
}

/// Writes fields as a form.
pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    let pairs = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// Escapes everything but unreserved characters.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push_str(&hex::encode_upper([byte]));
        }
    }
    out
}

/// Returns an address without the slash at its end, or what stands in for it.
pub(crate) fn base(replaced: Option<&str>, real: &str) -> String {
    replaced.unwrap_or(real).trim_end_matches('/').to_owned()
}
