//! Stores that speak S3.

use cloud::aws::{Keys, Unsigned, encoded_path, encoded_query, sign};
use jiff::Timestamp;
use net_http::{Client, HeaderName, HeaderValue, Method, Request, Response};
use tokio::time::Instant;

use crate::error::MAX_OBJECTS;
use crate::store::unquoted;
use crate::xml::leaves;
use crate::{Error, Found, Object};

const MAX_PAGE_BYTES: u64 = 16 << 20;
/// The region of a request where none is known.
const DEFAULT_REGION: &str = "us-east-1";

/// How a bucket is reached.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Host, and port where it is not the scheme's own.
    pub endpoint: String,
    /// Whether TLS is left out.
    pub insecure: bool,
    /// The name of the bucket.
    pub bucket: String,
    /// The region; the store's own where none is known.
    pub region: Option<String>,
    /// The keys; without them requests are not signed.
    pub keys: Option<Keys>,
}

/// One bucket, as one object may see it.
#[derive(Clone, Debug)]
pub struct S3 {
    client: Client,
    base: String,
    host: String,
    /// What stands before each key: empty, or the bucket's name.
    prefix: String,
    region: String,
    keys: Option<Keys>,
    deadline: Instant,
}

impl S3 {
    /// Returns a bucket. Its name is part of the host at Amazon, and of the path everywhere else.
    pub fn new(client: Client, settings: Settings, deadline: Instant) -> Self {
        let Settings {
            endpoint,
            insecure,
            bucket,
            region,
            keys,
        } = settings;
        let scheme = if insecure { "http" } else { "https" };
        let by_host = is_amazon(&endpoint) && (insecure || !bucket.contains('.'));
        let (host, prefix) = if by_host {
            (format!("{bucket}.{endpoint}"), String::new())
        } else {
            (endpoint.clone(), format!("/{bucket}"))
        };
        let region = region.filter(|region| !region.is_empty());
        let region = region.or_else(|| region_of(&endpoint));
        Self {
            client,
            base: format!("{scheme}://{host}"),
            host,
            prefix,
            region: region.unwrap_or_else(|| DEFAULT_REGION.to_owned()),
            keys,
            deadline,
        }
    }

    pub(crate) async fn find(&self) -> Result<(), Error> {
        self.ask(Method::HEAD, "/", &[]).await.map(drop)
    }

    pub(crate) async fn list(&self, prefix: &str) -> Result<Vec<Object>, Error> {
        let mut objects = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let mut query = vec![
                ("list-type", "2"),
                ("max-keys", "1000"),
                ("encoding-type", "url"),
            ];
            if !prefix.is_empty() {
                query.push(("prefix", prefix));
            }
            if let Some(token) = &token {
                query.push(("continuation-token", token));
            }
            let response = self.ask(Method::GET, "/", &query).await?;
            let body = response.bytes(MAX_PAGE_BYTES).await?;
            let page = std::str::from_utf8(&body).ok().and_then(Page::read);
            let page = page.ok_or(Error::Malformed)?;
            objects.extend(page.objects);
            if objects.len() > MAX_OBJECTS {
                return Err(Error::TooMany);
            }
            match page
                .next
                .filter(|next| page.truncated && token.as_ref() != Some(next))
            {
                Some(next) => token = Some(next),
                None => return Ok(objects),
            }
        }
    }

    pub(crate) async fn get(&self, key: &str, max_bytes: u64) -> Result<Found, Error> {
        let response = self.ask(Method::GET, &format!("/{key}"), &[]).await?;
        let etag = response.headers().get("etag");
        let etag = etag.and_then(|value| value.to_str().ok()).map(unquoted);
        Ok(Found {
            content: response.bytes(max_bytes).await?.to_vec(),
            etag: etag.unwrap_or_default(),
        })
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Response, Error> {
        let path = format!("{}{path}", self.prefix);
        let mut url = format!("{}{}", self.base, encoded_path(&path));
        if !query.is_empty() {
            url.push('?');
            url.push_str(&encoded_query(query));
        }
        let left = self.deadline.saturating_duration_since(Instant::now());
        let mut request = Request::new(method.clone(), url).timeout(left);
        if let Some(keys) = &self.keys {
            let unsigned = Unsigned {
                method: method.as_str(),
                host: &self.host,
                path: &path,
                query,
                region: &self.region,
                service: "s3",
            };
            for (name, value) in sign(&unsigned, keys, Timestamp::now()) {
                let header = (HeaderName::try_from(name), HeaderValue::try_from(value));
                if let (Ok(name), Ok(mut value)) = header {
                    value.set_sensitive(true);
                    request = request.header(name, value);
                }
            }
        }
        let response = self.client.send(request).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(Error::of(response, problem).await)
    }
}

/// Finds the code and the sentence of a refusal.
fn problem(body: &str) -> (String, String) {
    let (mut code, mut message) = (String::new(), String::new());
    leaves(body, |path, text| match path {
        ["Error", "Code"] => text.clone_into(&mut code),
        ["Error", "Message"] => text.clone_into(&mut message),
        _ => {}
    });
    (code, message)
}

/// One page of a listing.
#[derive(Debug, Default)]
struct Page {
    objects: Vec<Object>,
    truncated: bool,
    next: Option<String>,
}

impl Page {
    fn read(text: &str) -> Option<Self> {
        let mut page = Self::default();
        let mut current: Option<Object> = None;
        let mut encoded = false;
        let read = leaves(text, |path, text| match path {
            [_, "Contents", field] => {
                let object = current.get_or_insert_with(|| Object {
                    key: String::new(),
                    etag: String::new(),
                    size: 0,
                });
                match *field {
                    "Key" => text.clone_into(&mut object.key),
                    "ETag" => object.etag = unquoted(text),
                    "Size" => object.size = text.parse().unwrap_or_default(),
                    _ => {}
                }
            }
            [_, "Contents"] => page.objects.extend(current.take()),
            [_, "IsTruncated"] => page.truncated = text == "true",
            [_, "NextContinuationToken"] => page.next = Some(text.to_owned()),
            [_, "EncodingType"] => encoded = text == "url",
            _ => {}
        });
        if encoded {
            for object in &mut page.objects {
                object.key = decoded(&object.key)?;
            }
        }
        read.then_some(page)
    }
}

/// Undoes the encoding of names in a listing, where a plus sign is a space.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let code = after
                    .get(..2)
                    .and_then(|hex| std::str::from_utf8(hex).ok())?;
                bytes.push(u8::from_str_radix(code, 16).ok()?);
                rest = &after[2..];
            }
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).ok()
}

fn is_amazon(endpoint: &str) -> bool {
    let host = endpoint.split(':').next().unwrap_or_default();
    host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn")
}

/// Returns the region that an endpoint of Amazon names: `s3.eu-west-1.amazonaws.com`.
fn region_of(endpoint: &str) -> Option<String> {
    if !is_amazon(endpoint) {
        return None;
    }
    let before = endpoint.split(".amazonaws.com").next()?;
    let region = before.rsplit('.').next()?.trim_start_matches("s3-");
    (region != "s3" && region.contains('-')).then(|| region.to_owned())
}

#[cfg(test)]
mod tests;
