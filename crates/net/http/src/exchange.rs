//! One request and its answer.

use std::time::Duration;

use base64::Engine;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use crate::Error;

/// Credentials of one request.
#[derive(Clone, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Basic`.
    Basic {
        /// The user's name.
        username: String,
        /// The password, or a token in its place.
        password: String,
    },
    /// `Authorization: Bearer`.
    Bearer(String),
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Basic { .. } => "Basic(..)",
            Self::Bearer(_) => "Bearer(..)",
        })
    }
}

impl Auth {
    fn header(&self) -> Option<HeaderValue> {
        let text = match self {
            Self::Basic { username, password } => {
                let pair = format!("{username}:{password}");
                format!(
                    "Basic {}",
                    base64::engine::general_purpose::STANDARD.encode(pair)
                )
            }
            Self::Bearer(token) => format!("Bearer {token}"),
        };
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// One request, to be sent by a [`Client`](crate::Client).
#[derive(Debug)]
pub struct Request {
    method: Method,
    url: String,
    headers: HeaderMap,
    auth: Option<Auth>,
    body: Bytes,
    timeout: Option<Duration>,
}

impl Request {
    /// Returns a request without body. A user and password in the URL are sent as basic authentication.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self {
            method,
            url: url.into(),
            headers: HeaderMap::new(),
            auth: None,
            body: Bytes::new(),
            timeout: None,
        }
    }

    /// Returns a GET request.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new(Method::GET, url)
    }

    /// Sets a header, replacing an earlier value.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sets the credentials. They replace those of the URL.
    #[must_use]
    pub fn auth(mut self, auth: Option<Auth>) -> Self {
        self.auth = auth;
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Limits the time of the whole exchange, its body included.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn into_parts(
        self,
        client: &reqwest::Client,
    ) -> Result<(String, reqwest::RequestBuilder), Error> {
        let bad_url = || Error::Url(crate::without_credentials(&self.url));
        let url = reqwest::Url::parse(&self.url).map_err(|_| bad_url())?;
        let host = url
            .host_str()
            .filter(|_| matches!(url.scheme(), "http" | "https"));
        let host = host.ok_or_else(bad_url)?;
        let host = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let mut builder = client
            .request(self.method, url)
            .headers(self.headers)
            .body(self.body);
        if let Some(value) = self.auth.as_ref().and_then(Auth::header) {
            builder = builder.header(header::AUTHORIZATION, value);
        }
        if let Some(timeout) = self.timeout {
            builder = builder.timeout(timeout);
        }
        Ok((host, builder))
    }
}

/// The head of an answer, and its body while it arrives.
#[derive(Debug)]
pub struct Response {
    host: String,
    inner: reqwest::Response,
}

impl Response {
    pub(crate) fn new(host: String, inner: reqwest::Response) -> Self {
        Self { host, inner }
    }

    /// Returns the status.
    pub fn status(&self) -> StatusCode {
        self.inner.status()
    }

    /// Returns the headers.
    pub fn headers(&self) -> &HeaderMap {
        self.inner.headers()
    }

    /// Returns the URL that answered, behind all redirects, without credentials.
    pub fn url(&self) -> String {
        crate::without_credentials(self.inner.url().as_str())
    }

    /// Returns the length of the body in bytes, where the peer announced it.
    pub fn content_length(&self) -> Option<u64> {
        self.inner.content_length()
    }

    /// Waits for the next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// [`Error::Timeout`], [`Error::Exchange`].
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        self.inner
            .chunk()
            .await
            .map_err(|error| Error::from_reqwest(&self.host, error))
    }

    /// Reads the whole body.
    ///
    /// # Errors
    /// [`Error::TooLarge`] as soon as more than `max_bytes` are announced or received, else as [`Response::chunk`].
    pub async fn bytes(mut self, max_bytes: u64) -> Result<Bytes, Error> {
        let too_large = |host: &str| {
            Err(Error::TooLarge {
                host: host.to_owned(),
                max_bytes,
            })
        };
        if self
            .content_length()
            .is_some_and(|length| length > max_bytes)
        {
            return too_large(&self.host);
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            if (body.len() + chunk.len()) as u64 > max_bytes {
                return too_large(&self.host);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    /// Reads the beginning of the body as text, for an error message: at most `max_bytes`, trimmed; a body that
    /// cannot be read counts as empty.
    pub async fn text_for_message(mut self, max_bytes: usize) -> String {
        let mut body = BytesMut::new();
        while body.len() < max_bytes {
            match self.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) | Err(_) => break,
            }
        }
        body.truncate(max_bytes);
        String::from_utf8_lossy(&body).trim().to_owned()
    }
}
