//! Azure Blob Storage.
//!
//! Source: <https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api>

use std::collections::BTreeMap;
use std::sync::Arc;

use cloud::form::{Form, escaped};
use cloud::shared_key::{AccountKey, NotBase64};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use net_http::{Auth, Client, HeaderName, HeaderValue, Method, Request, Response};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::error::MAX_OBJECTS;
use crate::store::unquoted;
use crate::token::token;
use crate::xml::leaves;
use crate::{Error, Found, Object};

const VERSION: &str = "2021-12-02";
const SCOPE: &str = "https://storage.azure.com/.default";
const AUTHORITY: &str = "https://login.microsoftonline.com";
const MAX_PAGE_BYTES: u64 = 32 << 20;

/// Who asks.
#[derive(Clone)]
#[non_exhaustive]
pub enum AzureIdentity {
    /// Nobody that the store knows.
    Anonymous,
    /// The account, by its key in Base64.
    AccountKey(String),
    /// Whoever has a signature: a query, with or without its question mark.
    SharedAccessSignature(String),
    /// An application that has a secret.
    ClientSecret {
        /// The tenant.
        tenant: String,
        /// The application.
        client: String,
        /// Its secret.
        secret: String,
        /// Where tokens are given out; absent: the public cloud.
        authority: Option<String>,
    },
    /// Someone who has a token.
    Token(String),
}

impl std::fmt::Debug for AzureIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::AccountKey(_) => "AccountKey(..)",
            Self::SharedAccessSignature(_) => "SharedAccessSignature(..)",
            Self::ClientSecret { .. } => "ClientSecret(..)",
            Self::Token(_) => "Token(..)",
        })
    }
}

/// Why a container cannot be asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AzureError {
    /// The endpoint is no URL of an account.
    #[error("invalid endpoint '{0}': it must be an http or https URL")]
    Endpoint(String),
    /// The first label of the endpoint's host is no account.
    #[error("the endpoint '{0}' names no account")]
    Account(String),
    /// The key is none.
    #[error(transparent)]
    Key(#[from] NotBase64),
}

/// One container of Azure Blob Storage.
#[derive(Clone, Debug)]
pub struct Azure {
    client: Client,
    /// Scheme, host and port.
    base: String,
    /// The container's path: `/<container>`, behind the path of the endpoint.
    path: String,
    /// What is part of every query: that of the endpoint, and the signature.
    query: Vec<(String, String)>,
    key: Option<AccountKey>,
    identity: AzureIdentity,
    token: Arc<OnceCell<Option<String>>>,
    deadline: Instant,
}

impl Azure {
    /// Returns a container of the account that `endpoint` names: `https://<account>.blob.core.windows.net`.
    ///
    /// # Errors
    /// [`AzureError`].
    pub fn new(
        client: Client,
        endpoint: &str,
        container: &str,
        identity: AzureIdentity,
        deadline: Instant,
    ) -> Result<Self, AzureError> {
        let shown =
            || net_http::without_credentials(endpoint.split('?').next().unwrap_or_default());
        let url = url::Url::parse(endpoint).map_err(|_| AzureError::Endpoint(shown()))?;
        let (scheme, host) = (url.scheme(), url.host_str().unwrap_or_default());
        if !matches!(scheme, "http" | "https") || host.is_empty() {
            return Err(AzureError::Endpoint(shown()));
        }
        let port = url
            .port()
            .map(|port| format!(":{port}"))
            .unwrap_or_default();
        let mut query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let key = match &identity {
            AzureIdentity::AccountKey(key) => {
                let account = account(&url).ok_or_else(|| AzureError::Account(shown()))?;
                Some(AccountKey::new(account, key)?)
            }
            AzureIdentity::SharedAccessSignature(signature) => {
                merge(&mut query, signature);
                None
            }
            _ => None,
        };
        Ok(Self {
            client,
            base: format!("{scheme}://{host}{port}"),
            path: format!(
                "{}/{}",
                url.path().trim_end_matches('/'),
                escaped(container)
            ),
            query,
            key,
            identity,
            token: Arc::default(),
            deadline,
        })
    }

    pub(crate) async fn find(&self) -> Result<(), Error> {
        let query = [("restype", "container")];
        self.ask("", &query).await.map(drop)
    }

    pub(crate) async fn list(&self, prefix: &str) -> Result<Vec<Object>, Error> {
        let mut objects = Vec::new();
        let mut marker = String::new();
        loop {
            let mut query = vec![
                ("restype", "container"),
                ("comp", "list"),
                ("maxresults", "5000"),
            ];
            if !prefix.is_empty() {
                query.push(("prefix", prefix));
            }
            if !marker.is_empty() {
                query.push(("marker", &marker));
            }
            let response = self.ask("", &query).await?;
            let body = response.bytes(MAX_PAGE_BYTES).await?;
            let page = std::str::from_utf8(&body).ok().and_then(page);
            let (found, next) = page.ok_or(Error::Malformed)?;
            objects.extend(found);
            if objects.len() > MAX_OBJECTS {
                return Err(Error::TooMany);
            }
            if next.is_empty() || next == marker {
                return Ok(objects);
            }
            marker = next;
        }
    }

    pub(crate) async fn get(&self, key: &str, max_bytes: u64) -> Result<Found, Error> {
        let parts = key.split('/').map(escaped).collect::<Vec<_>>();
        let response = self.ask(&format!("/{}", parts.join("/")), &[]).await?;
        let etag = response.headers().get("etag");
        let etag = etag.and_then(|value| value.to_str().ok()).map(unquoted);
        Ok(Found {
            content: response.bytes(max_bytes).await?.to_vec(),
            etag: etag.unwrap_or_default(),
        })
    }

    async fn ask(&self, path: &str, query: &[(&str, &str)]) -> Result<Response, Error> {
        let path = format!("{}{path}", self.path);
        let own = query
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let query: Vec<(String, String)> = own.chain(self.query.iter().cloned()).collect();
        let pairs = query
            .iter()
            .map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
        let mut url = format!("{}{path}", self.base);
        if !query.is_empty() {
            url = format!("{url}?{}", pairs.collect::<Vec<_>>().join("&"));
        }
        let mut headers = BTreeMap::from([("x-ms-version", VERSION.to_owned())]);
        let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&Timestamp::now());
        headers.extend(date.map(|date| ("x-ms-date", date)));
        let left = self.deadline.saturating_duration_since(Instant::now());
        let mut request = Request::new(Method::GET, url)
            .auth(self.token().await?.map(Auth::Bearer))
            .timeout(left);
        if let Some(key) = &self.key {
            let signed = key.authorization("GET", &path, &query, &headers);
            if let Ok(mut value) = HeaderValue::try_from(signed) {
                value.set_sensitive(true);
                request = request.header(HeaderName::from_static("authorization"), value);
            }
        }
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::try_from(value) {
                request = request.header(HeaderName::from_static(name), value);
            }
        }
        let response = self.client.send(request).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(Error::of(response, problem).await)
    }

    /// Returns the token of the one who asks; it is asked for once.
    async fn token(&self) -> Result<Option<String>, Error> {
        let found = self.token.get_or_try_init(|| async {
            match &self.identity {
                AzureIdentity::Token(token) => Ok(Some(token.clone())),
                AzureIdentity::ClientSecret {
                    tenant,
                    client,
                    secret,
                    authority,
                } => {
                    let authority = authority.as_deref().unwrap_or(AUTHORITY);
                    let url = format!(
                        "{}/{}/oauth2/v2.0/token",
                        authority.trim_end_matches('/'),
                        escaped(tenant)
                    );
                    let fields = [
                        ("grant_type", "client_credentials"),
                        ("client_id", client),
                        ("client_secret", secret),
                        ("scope", SCOPE),
                    ];
                    let form = Form::new(url, &fields);
                    token(&self.client, form, self.deadline).await.map(Some)
                }
                _ => Ok(None),
            }
        });
        found.await.cloned()
    }
}

/// Returns the account that an endpoint names: the first label of its host, or the first part of the path where the
/// host is an address.
fn account(url: &url::Url) -> Option<String> {
    if let url::Host::Domain(host) = url.host()? {
        let (account, rest) = host.split_once('.')?;
        (!account.is_empty() && !rest.is_empty()).then(|| account.to_owned())
    } else {
        let first = url.path_segments()?.next()?;
        (!first.is_empty()).then(|| first.to_owned())
    }
}

/// Adds a signature to a query. Where both name the same, the signature counts.
fn merge(query: &mut Vec<(String, String)>, signature: &str) {
    let signature = signature.trim().trim_start_matches('?');
    let added: Vec<(String, String)> = url::form_urlencoded::parse(signature.as_bytes())
        .into_owned()
        .collect();
    query.retain(|(name, _)| added.iter().all(|(other, _)| other != name));
    query.extend(added);
}

/// Reads one page of a listing, and the mark of the next.
fn page(text: &str) -> Option<(Vec<Object>, String)> {
    let (mut objects, mut next) = (Vec::new(), String::new());
    let mut current = Object {
        key: String::new(),
        etag: String::new(),
        size: 0,
    };
    let read = leaves(text, |path, text| match path {
        [_, "Blobs", "Blob", "Name"] => text.clone_into(&mut current.key),
        [_, "Blobs", "Blob", "Properties", "Etag"] => current.etag = unquoted(text),
        [_, "Blobs", "Blob", "Properties", "Content-Length"] => {
            current.size = text.parse().unwrap_or_default();
        }
        [_, "Blobs", "Blob"] => {
            let empty = Object {
                key: String::new(),
                etag: String::new(),
                size: 0,
            };
            objects.push(std::mem::replace(&mut current, empty));
        }
        [_, "NextMarker"] => text.clone_into(&mut next),
        _ => {}
    });
    read.then_some((objects, next))
}

/// Finds the code and the first line of the sentence of a refusal.
fn problem(body: &str) -> (String, String) {
    let (mut code, mut message) = (String::new(), String::new());
    leaves(body, |path, text| match path {
        ["Error", "Code"] => text.clone_into(&mut code),
        // The lines below say which request it was and when.
        ["Error", "Message"] => {
            text.lines()
                .next()
                .unwrap_or_default()
                .clone_into(&mut message);
        }
        _ => {}
    });
    (code, message)
}

#[cfg(test)]
mod tests;
