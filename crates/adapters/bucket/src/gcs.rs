//! Google Cloud Storage, by its JSON API.
//!
//! Source: <https://cloud.google.com/storage/docs/json_api/v1>

use std::sync::Arc;

use cloud::form::escaped;
use cloud::service_account::ServiceAccount;
use jiff::Timestamp;
use net_http::{Auth, Client, Method, Request, Response};
use serde::Deserialize;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::error::MAX_OBJECTS;
use crate::token::token;
use crate::{Error, Found, Object};

const SERVICE: &str = "https://storage.googleapis.com";
const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_only";
const MAX_PAGE_BYTES: u64 = 16 << 20;

/// Who asks.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum GcsIdentity {
    /// Nobody that the store knows.
    Anonymous,
    /// A service account by its key.
    ServiceAccount(Arc<ServiceAccount>),
    /// Someone who has a token.
    Token(String),
}

/// One bucket of Google Cloud Storage.
#[derive(Clone, Debug)]
pub struct Gcs {
    client: Client,
    base: String,
    bucket: String,
    identity: GcsIdentity,
    token: Arc<OnceCell<Option<String>>>,
    deadline: Instant,
}

/// What the store says of an object.
#[derive(Deserialize)]
struct About {
    #[serde(default)]
    name: String,
    #[serde(default)]
    etag: String,
    #[serde(default)]
    generation: String,
    #[serde(default)]
    size: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default)]
    items: Vec<About>,
    next_page_token: Option<String>,
}

impl Gcs {
    /// Returns a bucket. `service` is another address than Google's, such as that of an emulator: `http://host:port`.
    pub fn new(
        client: Client,
        service: Option<&str>,
        bucket: &str,
        identity: GcsIdentity,
        deadline: Instant,
    ) -> Self {
        let service = service.unwrap_or(SERVICE).trim_end_matches('/');
        Self {
            client,
            base: format!("{service}/storage/v1/b/{}", escaped(bucket)),
            bucket: bucket.to_owned(),
            identity,
            token: Arc::default(),
            deadline,
        }
    }

    /// Returns the name of the bucket.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    pub(crate) async fn find(&self) -> Result<(), Error> {
        self.ask("", &[("fields", "name")]).await.map(drop)
    }

    pub(crate) async fn list(&self, prefix: &str) -> Result<Vec<Object>, Error> {
        let mut objects = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let mut query = vec![
                ("fields", "nextPageToken,items(name,etag,size)"),
                ("maxResults", "1000"),
            ];
            if !prefix.is_empty() {
                query.push(("prefix", prefix));
            }
            if let Some(token) = &next {
                query.push(("pageToken", token));
            }
            let page: Page = self.read("/o", &query).await?;
            objects.extend(page.items.into_iter().map(|about| Object {
                key: about.name,
                etag: about.etag,
                size: about.size.parse().unwrap_or_default(),
            }));
            if objects.len() > MAX_OBJECTS {
                return Err(Error::TooMany);
            }
            match page
                .next_page_token
                .filter(|token| Some(token) != next.as_ref())
            {
                Some(token) if !token.is_empty() => next = Some(token),
                _ => return Ok(objects),
            }
        }
    }

    /// Asks for the object's tag first, then for the content of that very generation: the answer with the content does
    /// not name the tag that a listing does.
    pub(crate) async fn get(&self, key: &str, max_bytes: u64) -> Result<Found, Error> {
        let path = format!("/o/{}", escaped(key));
        let about: About = self
            .read(&path, &[("fields", "etag,generation,size")])
            .await?;
        let mut query = vec![("alt", "media")];
        if !about.generation.is_empty() {
            query.push(("generation", &about.generation));
        }
        let response = self.ask(&path, &query).await?;
        Ok(Found {
            content: response.bytes(max_bytes).await?.to_vec(),
            etag: about.etag,
        })
    }

    async fn read<T: for<'de> Deserialize<'de>>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, Error> {
        let response = self.ask(path, query).await?;
        let body = response.bytes(MAX_PAGE_BYTES).await?;
        serde_json::from_slice(&body).map_err(|_| Error::Malformed)
    }

    async fn ask(&self, path: &str, query: &[(&str, &str)]) -> Result<Response, Error> {
        let pairs = query
            .iter()
            .map(|(name, value)| format!("{name}={}", escaped(value)));
        let query = pairs.collect::<Vec<_>>().join("&");
        let left = self.deadline.saturating_duration_since(Instant::now());
        let request = Request::new(Method::GET, format!("{}{path}?{query}", self.base))
            .auth(self.token().await?.map(Auth::Bearer))
            .timeout(left);
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
                GcsIdentity::Anonymous => Ok(None),
                GcsIdentity::Token(token) => Ok(Some(token.clone())),
                GcsIdentity::ServiceAccount(account) => {
                    let form = account.token_request(SCOPE, Timestamp::now())?;
                    token(&self.client, form, self.deadline).await.map(Some)
                }
            }
        });
        found.await.cloned()
    }
}

/// Finds the reason and the sentence of a refusal.
fn problem(body: &str) -> (String, String) {
    let read: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let error = &read["error"];
    (text(&error["errors"][0]["reason"]), text(&error["message"]))
}

#[cfg(test)]
mod tests;
