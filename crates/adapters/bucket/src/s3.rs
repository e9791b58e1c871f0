//! Stores that speak S3.

use cloud::aws::{Keys, Unsigned, encoded_path, encoded_query, sign};
use jiff::Timestamp;
use net_http::{Client, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use tokio::time::Instant;

use crate::xml::leaves;

const MAX_PAGE_BYTES: u64 = 16 << 20;
/// How many objects of a bucket are looked at.
const MAX_OBJECTS: usize = 500_000;
const MAX_PROBLEM_BYTES: usize = 16 << 10;
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

/// One object of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its name.
    pub key: String,
    /// What changes with its content, without quotes.
    pub etag: String,
    /// Its size in bytes.
    pub size: u64,
}

/// An object's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The content.
    pub content: Vec<u8>,
    /// What changes with it, without quotes.
    pub etag: String,
}

/// Why a bucket was of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store answered, and not with what was asked for.
    #[error("{}", refused(code, message, *status))]
    Refused {
        /// The status.
        status: StatusCode,
        /// The store's word for it, such as `NoSuchKey`; may be empty.
        code: String,
        /// The store's sentence; may be empty.
        message: String,
    },
    /// There was no answer, or its end did not come.
    #[error(transparent)]
    Exchange(#[from] net_http::Error),
    /// The answer is not what the protocol says.
    #[error("the listing of the bucket cannot be read")]
    Malformed,
    /// There are more objects than are looked at.
    #[error("the bucket has more than {MAX_OBJECTS} objects")]
    TooMany,
    /// The object is larger than allowed.
    #[error("object '{key}' is larger than {max_bytes} bytes")]
    TooLarge {
        /// The object.
        key: String,
        /// The limit.
        max_bytes: u64,
    },
}

fn refused(code: &str, message: &str, status: StatusCode) -> String {
    match (message, code) {
        ("", "") => format!("unexpected status code {status}"),
        ("", code) => code.to_owned(),
        (message, _) => message.to_owned(),
    }
}

impl Error {
    /// Returns whether the store has no such object or bucket.
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::Refused { status, code, .. } => {
                *status == StatusCode::NOT_FOUND
                    || matches!(code.as_str(), "NoSuchKey" | "NoSuchBucket")
            }
            _ => false,
        }
    }
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

    /// Says whether the bucket is there.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn exists(&self) -> Result<bool, Error> {
        match self.ask(Method::HEAD, "/", &[]).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Lists the objects whose names begin with `prefix`, in the store's order.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn list(&self, prefix: &str) -> Result<Vec<Object>, Error> {
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

    /// Reads an object.
    ///
    /// # Errors
    /// [`Error`]; one that is not there answers [`Error::is_not_found`].
    pub async fn get(&self, key: &str, max_bytes: u64) -> Result<Found, Error> {
        let response = self.ask(Method::GET, &format!("/{key}"), &[]).await?;
        let etag = response.headers().get("etag");
        let etag = etag
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let etag = unquoted(etag);
        match response.bytes(max_bytes).await {
            Ok(content) => Ok(Found {
                content: content.to_vec(),
                etag,
            }),
            Err(net_http::Error::TooLarge { .. }) => Err(Error::TooLarge {
                key: key.to_owned(),
                max_bytes,
            }),
            Err(error) => Err(error.into()),
        }
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
        Err(problem(response).await)
    }
}

async fn problem(response: Response) -> Error {
    let status = response.status();
    let body = response.text_for_message(MAX_PROBLEM_BYTES).await;
    let (mut code, mut message) = (String::new(), String::new());
    leaves(&body, |path, text| match path {
        ["Error", "Code"] => text.clone_into(&mut code),
        ["Error", "Message"] => text.clone_into(&mut message),
        _ => {}
    });
    Error::Refused {
        status,
        code,
        message,
    }
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

fn unquoted(etag: &str) -> String {
    etag.trim_start_matches("W/").trim_matches('"').to_owned()
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
