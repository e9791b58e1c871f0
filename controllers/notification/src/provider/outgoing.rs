//! One request to a service and what its answer means.

use std::time::Duration;

use bytes::Bytes;
use net_http::{Client, HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use serde::{Serialize, de::DeserializeOwned};

use super::{BuildError, SendError};
use crate::event::go_json;

/// How much of an answer is read.
const MAX_ANSWER_BYTES: u64 = 4 << 20;
/// How much of an answer is told.
const MAX_TOLD_BYTES: usize = 1024;

/// A request as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outgoing {
    pub method: Method,
    pub url: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Outgoing {
    /// Returns a request without body.
    pub(crate) fn new(method: Method, url: impl Into<String>) -> Self {
        Self {
            method,
            url: url.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    /// Returns a POST of JSON.
    pub(crate) fn json<T: Serialize + ?Sized>(url: impl Into<String>, body: &T) -> Self {
        Self::new(Method::POST, url).with_json(body)
    }

    /// Sets a JSON body.
    #[must_use]
    pub(crate) fn with_json<T: Serialize + ?Sized>(self, body: &T) -> Self {
        let body = go_json(body);
        let kind = HeaderValue::from_static("application/json");
        self.header(http::header::CONTENT_TYPE, kind).body(body)
    }

    /// Sets the body.
    #[must_use]
    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets a header.
    #[must_use]
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sets a header where there is a value.
    #[must_use]
    pub(crate) fn header_if(self, name: HeaderName, value: Option<&HeaderValue>) -> Self {
        match value {
            Some(value) => self.header(name, value.clone()),
            None => self,
        }
    }

    /// Sends it and waits for the whole answer.
    ///
    /// # Errors
    /// There is no answer; `what` is said before the cause.
    pub(crate) async fn send(self, client: &Client, what: &str) -> Result<Answer, SendError> {
        let mut request = Request::new(self.method, self.url).body(self.body);
        for (name, value) in &self.headers {
            request = request.header(name.clone(), value.clone());
        }
        let trouble = |error: net_http::Error| {
            let cause = format!("request failed: {}", net_http::chain(&error));
            let error = if error.is_transient() {
                SendError::failed(cause)
            } else {
                SendError::rejected(cause)
            };
            error.within(what)
        };
        let response = client.send(request).await.map_err(trouble)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes(MAX_ANSWER_BYTES).await.map_err(trouble)?;
        Ok(Answer {
            status,
            headers,
            body,
        })
    }
}

/// A service's answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// Returns the answer where its status says success.
    ///
    /// # Errors
    /// Any other status; `what` is said before it.
    pub(crate) fn expect_success(self, what: &str) -> Result<Self, SendError> {
        if self.status.is_success() {
            return Ok(self);
        }
        let text = String::from_utf8_lossy(&self.body);
        let end = text.floor_char_boundary(MAX_TOLD_BYTES);
        let cause = format!(
            "{what}: request failed: request failed with status code {}: {}",
            self.status.as_u16(),
            text[..end].trim_end()
        );
        let code = self.status.as_u16();
        let again = matches!(code, 408 | 425 | 429) || (code >= 500 && code != 501);
        if again {
            let after = self.retry_after();
            return Err(SendError::Failed {
                message: cause,
                after,
            });
        }
        Err(SendError::Rejected(cause))
    }

    /// Reads the body.
    ///
    /// # Errors
    /// It is not JSON of this shape.
    pub(crate) fn read<T: DeserializeOwned>(&self, what: &str) -> Result<T, SendError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| SendError::failed(format!("{what}: cannot read the answer: {error}")))
    }

    /// How long the service asks to be left alone, in seconds.
    fn retry_after(&self) -> Option<Duration> {
        let value = self.headers.get(http::header::RETRY_AFTER)?;
        let seconds = value.to_str().ok()?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds).min(Duration::from_mins(10)))
    }
}

/// Makes a header's value of a secret text, without blanks at its end.
///
/// # Errors
/// It holds what no header may hold; the text is not told.
pub(crate) fn header_value(name: &str, text: &str) -> Result<HeaderValue, BuildError> {
    let mut value = HeaderValue::try_from(text.trim_end())
        .map_err(|_| BuildError::new(format!("invalid header field value for \"{name}\"")))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Returns `Bearer <token>`; none where the token is empty.
///
/// # Errors
/// As [`header_value`].
pub(crate) fn bearer(token: &str) -> Result<Option<HeaderValue>, BuildError> {
    prefixed("Bearer ", token)
}

/// Returns a prefix and a token; none where the token is empty.
///
/// # Errors
/// As [`header_value`].
pub(crate) fn prefixed(prefix: &str, token: &str) -> Result<Option<HeaderValue>, BuildError> {
    if token.trim_end().is_empty() {
        return Ok(None);
    }
    header_value("Authorization", &format!("{prefix}{token}")).map(Some)
}

/// Returns `Basic …`.
pub(crate) fn basic(username: &str, password: &str) -> HeaderValue {
    use base64::Engine;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
    // Base64 has no character that a header may not have.
    let mut value = HeaderValue::try_from(format!("Basic {pair}"))
        .unwrap_or_else(|_| HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

/// Checks that an address is an http or https URL, as every webhook needs one.
///
/// # Errors
/// It is not; `what` names the kind of URL.
pub(crate) fn web_url(what: &str, address: &str) -> Result<url::Url, BuildError> {
    let shown = net_http::without_credentials(address);
    match url::Url::parse(address) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        Ok(_) => Err(BuildError::new(format!(
            "invalid {what} {shown}: not an http or https URL"
        ))),
        Err(_) => Err(BuildError::new(format!(
            "invalid {what} {shown}: parse \"{shown}\": invalid URI for request"
        ))),
    }
}

/// Returns a URL's scheme, host and port with another path.
pub(crate) fn on_host(url: &url::Url, path: &str) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|p| format!(":{p}")).unwrap_or_default();
    format!("{}://{host}{port}{path}", url.scheme())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: u16) -> Answer {
        Answer {
            status: StatusCode::from_u16(code).unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::from_static(b"why\n"),
        }
    }

    /// covers: NC-071
    #[test]
    fn any_2xx_is_success_and_400_is_told_with_its_body() {
        for code in [200, 201, 202, 204] {
            assert!(answer(code).expect_success("x").is_ok(), "{code}");
        }
        let error = answer(400)
            .expect_success("postMessage failed")
            .unwrap_err();
        let expect = "postMessage failed: request failed: request failed with status code 400: why";
        assert_eq!(error, SendError::rejected(expect));
    }

    #[test]
    fn what_may_pass_is_tried_again_as_late_as_asked() {
        for (code, again) in [
            (301, false),
            (401, false),
            (404, false),
            (408, true),
            (429, true),
            (500, true),
            (501, false),
            (503, true),
        ] {
            let error = answer(code).expect_success("x").unwrap_err();
            assert_eq!(matches!(error, SendError::Failed { .. }), again, "{code}");
        }
        let mut busy = answer(429);
        busy.headers
            .insert("retry-after", HeaderValue::from_static("7"));
        let error = busy.expect_success("x").unwrap_err();
        let SendError::Failed { after, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(after, Some(Duration::from_secs(7)));
    }

    #[test]
    fn header_cannot_be_injected_and_a_refused_one_is_not_told() {
        let error = bearer("abc\r\nX-Evil: 1").unwrap_err().to_string();
        assert!(!error.contains("abc"), "{error}");
        assert_eq!(bearer("abc\n").unwrap().unwrap(), "Bearer abc");
        assert!(bearer("").unwrap().is_none());
    }
}
