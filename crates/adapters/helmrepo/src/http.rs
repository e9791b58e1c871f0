//! Indexes and charts over HTTP.

use std::fs::File;
use std::io::Write;

use net_http::{Auth, Client, HeaderName, HeaderValue, Request, Response, StatusCode};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::address::{self, AddressError};

/// What a server says of an index so that it can be asked whether it is still the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validators {
    /// `ETag`.
    pub etag: Option<String>,
    /// `Last-Modified`.
    pub last_modified: Option<String>,
}

impl Validators {
    fn of(response: &Response) -> Self {
        let header = |name: &str| {
            let value = response.headers().get(name)?.to_str();
            value.ok().map(str::to_owned)
        };
        Self {
            etag: header("etag"),
            last_modified: header("last-modified"),
        }
    }

    fn condition(&self, mut request: Request) -> Request {
        let all = [
            ("if-none-match", &self.etag),
            ("if-modified-since", &self.last_modified),
        ];
        for (name, value) in all {
            let value = value.as_deref().map(HeaderValue::try_from);
            if let Some(Ok(value)) = value {
                request = request.header(HeaderName::from_static(name), value);
            }
        }
        request
    }
}

/// What came of asking for an index.
#[derive(Debug)]
pub enum Download {
    /// It is what it was.
    NotModified,
    /// It was written to the file.
    Written(Validators),
}

/// Why something was not downloaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be used.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The server answered, and not with what was asked for.
    #[error("failed to fetch {url} : {status}")]
    Status {
        /// The address.
        url: String,
        /// The status.
        status: StatusCode,
    },
    /// There was no answer, or its end did not come.
    #[error(transparent)]
    Exchange(net_http::Error),
    /// The index is too large.
    #[error("index exceeds the maximum index file size of {0} bytes")]
    IndexSize(u64),
    /// The chart is too large.
    #[error("chart exceeds the maximum chart size of {0} bytes")]
    ChartSize(u64),
    /// The index cannot be written down.
    #[error("cannot write the index to a temporary file")]
    Write(#[source] std::io::Error),
    /// The index names no address for the chart.
    #[error("chart '{0}' has no downloadable URLs")]
    NoUrls(String),
}

impl Error {
    /// Returns whether the server wants other credentials, or its certificate was refused.
    pub fn is_authentication(&self) -> bool {
        match self {
            Self::Status { status, .. } => *status == StatusCode::UNAUTHORIZED,
            Self::Exchange(error) => crate::refuses_certificate(error),
            _ => false,
        }
    }
}

/// One Helm repository over HTTP, as one object may see it.
#[derive(Clone, Debug)]
pub struct HttpRepository {
    client: Client,
    url: String,
    auth: Option<Auth>,
    everywhere: bool,
}

impl HttpRepository {
    /// Returns the repository at `url`. The credentials go to its own server only, unless `everywhere`.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn new(
        client: Client,
        url: &str,
        auth: Option<Auth>,
        everywhere: Everywhere,
    ) -> Result<Self, AddressError> {
        let url = address::normalize(url)?;
        let scheme = url.split("://").next().unwrap_or_default();
        if !matches!(scheme, "http" | "https") {
            return Err(AddressError::Scheme(scheme.to_owned()));
        }
        Ok(Self {
            client,
            url,
            auth,
            everywhere: everywhere.0,
        })
    }

    /// Returns the address, normalized.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Downloads the index into a file, unless it is what `known` describes.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn index(
        &self,
        known: &Validators,
        file: &mut File,
        max_bytes: u64,
        deadline: Instant,
    ) -> Result<Download, Error> {
        let url = address::index(&self.url)?;
        let request = known.condition(self.request(&url, deadline));
        let mut response = self.client.send(request).await.map_err(Error::Exchange)?;
        let conditional = *known != Validators::default();
        if conditional && response.status() == StatusCode::NOT_MODIFIED {
            return Ok(Download::NotModified);
        }
        accepted(&url, &response)?;
        let validators = Validators::of(&response);
        if response
            .content_length()
            .is_some_and(|length| length > max_bytes)
        {
            return Err(Error::IndexSize(max_bytes));
        }
        let mut size = 0;
        while let Some(chunk) = response.chunk().await.map_err(Error::Exchange)? {
            size += chunk.len() as u64;
            if size > max_bytes {
                return Err(Error::IndexSize(max_bytes));
            }
            file.write_all(&chunk).map_err(Error::Write)?;
        }
        Ok(Download::Written(validators))
    }

    /// Downloads a chart from the first of the addresses that the index names.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn chart(
        &self,
        name: &str,
        urls: &[String],
        max_bytes: u64,
        deadline: Instant,
    ) -> Result<Vec<u8>, Error> {
        let reference = urls.first().filter(|url| !url.is_empty());
        let reference = reference.ok_or_else(|| Error::NoUrls(name.to_owned()))?;
        let url = address::chart(&self.url, reference)?;
        let request = self.request(&url, deadline);
        let response = self.client.send(request).await.map_err(Error::Exchange)?;
        accepted(&url, &response)?;
        match response.bytes(max_bytes).await {
            Ok(bytes) => Ok(bytes.to_vec()),
            Err(net_http::Error::TooLarge { .. }) => Err(Error::ChartSize(max_bytes)),
            Err(error) => Err(Error::Exchange(error)),
        }
    }

    fn request(&self, url: &str, deadline: Instant) -> Request {
        let own = self.everywhere || address::same_server(&self.url, url);
        let auth = self.auth.clone().filter(|_| own);
        let left = deadline.saturating_duration_since(Instant::now());
        Request::get(url).auth(auth).timeout(left)
    }
}

/// Whether credentials go to every server that an index names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Everywhere(pub bool);

fn accepted(url: &str, response: &Response) -> Result<(), Error> {
    if response.status() == StatusCode::OK {
        return Ok(());
    }
    let url = net_http::without_credentials(url);
    Err(Error::Status {
        url: url.split('?').next().unwrap_or_default().to_owned(),
        status: response.status(),
    })
}
