//! What is read from a repository.

use std::collections::HashSet;

use net_http::{HeaderName, Method, Response};
use oci_distribution::manifest::{ImageIndexEntry, OciDescriptor, OciImageIndex};
use serde::Deserialize;
use sha2::{Digest as _, Sha256, Sha512};

use crate::client::{Ask, Remote, exchange_error, without_query};
use crate::error::Error;
use crate::manifest::{Manifest, media_type};

const MAX_MANIFEST_BYTES: u64 = 8 << 20;
const MAX_PAGE_BYTES: u64 = 16 << 20;
/// How many tags of a repository are read. Quay's largest public repositories have some ten thousand.
const MAX_TAGS: usize = 500_000;
const MAX_PAGES: usize = 10_000;
/// How many manifests that refer to one are looked at.
const MAX_REFERRERS: usize = 1_000;
const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
                         application/vnd.docker.distribution.manifest.v2+json, \
                         application/vnd.docker.distribution.manifest.list.v2+json, */*";
const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// Where a reference leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Digest of the manifest, of the index where there is one.
    pub digest: String,
    /// Its media type.
    pub media_type: String,
}

#[derive(Deserialize)]
struct Page {
    // Some registries say null where there is none.
    tags: Option<Vec<String>>,
}

impl Remote {
    /// Lists all tags, page by page, in the registry's order.
    ///
    /// # Errors
    /// [`Error`]; also where there are more than half a million.
    pub async fn tags(&self) -> Result<Vec<String>, Error> {
        let mut path = format!("/v2/{}/tags/list?n=1000", self.repository.name());
        let mut tags: Vec<String> = Vec::new();
        let mut seen = HashSet::new();
        for _ in 0..MAX_PAGES {
            if !seen.insert(path.clone()) {
                return Err(Error::Circle {
                    url: without_query(&format!("{}{path}", self.repository.registry())),
                });
            }
            let response = self.send(Ask::get(path.clone())).await?;
            let next = next_page(&response, &path);
            let page: Page = self.json(response, &path, "list of tags").await?;
            tags.extend(page.tags.unwrap_or_default());
            if tags.len() > MAX_TAGS {
                break;
            }
            match next {
                Some(next) => path = next,
                None => return Ok(tags),
            }
        }
        Err(Error::TooMuch {
            what: "tags",
            url: self.repository.to_string(),
            max: MAX_TAGS as u64,
        })
    }

    /// Returns the digest that a tag or digest leads to, without its content where the registry can say it.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn resolve(&self, reference: &str) -> Result<Resolved, Error> {
        let mut ask = self.manifest_ask(reference);
        ask.method = Method::HEAD;
        if let Ok(response) = self.send(ask).await {
            let header = |name: HeaderName| {
                let value = response.headers().get(name)?.to_str().ok()?;
                Some(value.to_owned())
            };
            let digest = header(DIGEST).filter(|digest| is_digest(digest));
            let media_type = header(HeaderName::from_static("content-type"));
            if let (Some(digest), Some(media_type)) = (digest, media_type) {
                return Ok(Resolved { digest, media_type });
            }
        }
        // A HEAD says too little of what is wrong, and some registries do not know it.
        let manifest = self.manifest(reference).await?;
        Ok(Resolved {
            digest: manifest.digest,
            media_type: manifest.media_type,
        })
    }

    /// Reads the manifest that a tag or digest leads to. One that is asked for by digest is checked against it.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn manifest(&self, reference: &str) -> Result<Manifest, Error> {
        let ask = self.manifest_ask(reference);
        let path = ask.path.clone();
        let response = self.send(ask).await?;
        let named = response.headers().get("content-type");
        let named = named
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let named = named
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned();
        let url = response.url();
        let bytes = response.bytes(MAX_MANIFEST_BYTES).await;
        let bytes = bytes.map_err(|source| exchange_error(&Method::GET, &path, source))?;
        let mut hasher = Hasher::for_digest(reference);
        hasher.update(&bytes);
        let digest = hasher.finish();
        if is_digest(reference) && digest != reference {
            return Err(Error::Digest {
                url: without_query(&url),
                expected: reference.to_owned(),
                actual: digest,
            });
        }
        let media_type = match named.as_str() {
            "" | "application/json" | "text/plain" | "application/octet-stream" => {
                inner_type(&bytes)
            }
            _ => named,
        };
        Ok(Manifest {
            digest,
            media_type,
            bytes: bytes.to_vec(),
        })
    }

    /// Reads the manifest of an image; of an index, that of its image for Linux on amd64.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn image(&self, reference: &str) -> Result<Manifest, Error> {
        let manifest = self.manifest(reference).await?;
        if !manifest.is_index() {
            return Ok(manifest);
        }
        let index = manifest.index().map_err(|error| Error::Malformed {
            what: "index",
            url: self.repository.to_string(),
            why: net_http::chain(&error),
        })?;
        let child = amd64(&index).ok_or_else(|| Error::NoPlatform(manifest.digest.clone()))?;
        self.manifest(&child.digest).await
    }

    /// Begins to read a blob.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn blob(&self, digest: &str) -> Result<Blob, Error> {
        let path = format!("/v2/{}/blobs/{}", self.repository.name(), encoded(digest));
        if !is_digest(digest) {
            return Err(Error::Malformed {
                what: "digest",
                url: self.repository.to_string(),
                why: format!("'{digest}' is none"),
            });
        }
        let response = self.send(Ask::get(path)).await?;
        Ok(Blob {
            url: without_query(&response.url()),
            response,
            hasher: Some(Hasher::for_digest(digest)),
            expected: digest.to_owned(),
        })
    }

    /// Lists what refers to a manifest: signatures, attestations; the first thousand. Asks the registry, else the tag that
    /// stands in for that.
    ///
    /// # Errors
    /// [`Error`]; that there are none is no error.
    pub async fn referrers(&self, digest: &str) -> Result<Vec<OciDescriptor>, Error> {
        let name = self.repository.name();
        let mut path = format!("/v2/{name}/referrers/{}", encoded(digest));
        let mut found = Vec::new();
        for _ in 0..MAX_PAGES {
            let response = match self.send(Ask::get(path.clone())).await {
                Ok(response) => response,
                Err(error) if is_unknown_endpoint(&error) && found.is_empty() => {
                    return self.referrers_by_tag(digest).await;
                }
                Err(error) => return Err(error),
            };
            let next = next_page(&response, &path);
            let index: OciImageIndex = self.json(response, &path, "list of referrers").await?;
            found.extend(index.manifests.into_iter().map(descriptor));
            if found.len() >= MAX_REFERRERS {
                found.truncate(MAX_REFERRERS);
                break;
            }
            match next {
                Some(next) if next != path => path = next,
                _ => break,
            }
        }
        Ok(found)
    }

    async fn referrers_by_tag(&self, digest: &str) -> Result<Vec<OciDescriptor>, Error> {
        match self.manifest(&digest.replacen(':', "-", 1)).await {
            Ok(manifest) if manifest.is_index() => {
                let index = manifest.index().map_err(|error| Error::Malformed {
                    what: "list of referrers",
                    url: self.repository.to_string(),
                    why: net_http::chain(&error),
                })?;
                let all = index.manifests.into_iter().map(descriptor);
                Ok(all.take(MAX_REFERRERS).collect())
            }
            Ok(_) => Ok(Vec::new()),
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    fn manifest_ask(&self, reference: &str) -> Ask {
        let name = self.repository.name();
        Ask {
            method: Method::GET,
            path: format!("/v2/{name}/manifests/{}", encoded(reference)),
            accept: Some(MANIFESTS),
        }
    }

    async fn json<T: serde::de::DeserializeOwned>(
        &self,
        response: Response,
        path: &str,
        what: &'static str,
    ) -> Result<T, Error> {
        let url = without_query(&response.url());
        let body = response.bytes(MAX_PAGE_BYTES).await;
        let body = body.map_err(|source| exchange_error(&Method::GET, path, source))?;
        serde_json::from_slice(&body).map_err(|error| Error::Malformed {
            what,
            url,
            why: error.to_string(),
        })
    }
}

/// The bytes of a blob while they arrive.
#[derive(Debug)]
pub struct Blob {
    response: Response,
    url: String,
    hasher: Option<Hasher>,
    expected: String,
}

impl Blob {
    /// Returns its size in bytes, where the registry says it.
    pub fn size(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// Waits for the next piece; `None` at the end, once the whole has been checked against its digest.
    ///
    /// # Errors
    /// [`Error::Digest`], [`Error::Exchange`].
    pub async fn chunk(&mut self) -> Result<Option<bytes::Bytes>, Error> {
        let chunk = self.response.chunk().await;
        let chunk = chunk.map_err(|source| exchange_error(&Method::GET, &self.url, source))?;
        if let Some(chunk) = chunk {
            if let Some(hasher) = &mut self.hasher {
                hasher.update(&chunk);
            }
            return Ok(Some(chunk));
        }
        let Some(hasher) = self.hasher.take() else {
            return Ok(None);
        };
        let actual = hasher.finish();
        if actual == self.expected {
            return Ok(None);
        }
        Err(Error::Digest {
            url: self.url.clone(),
            expected: self.expected.clone(),
            actual,
        })
    }

    /// Reads the whole.
    ///
    /// # Errors
    /// [`Error::TooMuch`] beyond `max_bytes`, else as [`Blob::chunk`].
    pub async fn bytes(mut self, max_bytes: u64) -> Result<Vec<u8>, Error> {
        let mut all = Vec::new();
        let too_much = |url: &str| Error::TooMuch {
            what: "bytes",
            url: url.to_owned(),
            max: max_bytes,
        };
        if self.size().is_some_and(|size| size > max_bytes) {
            return Err(too_much(&self.url));
        }
        while let Some(chunk) = self.chunk().await? {
            if (all.len() + chunk.len()) as u64 > max_bytes {
                return Err(too_much(&self.url));
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all)
    }
}

#[derive(Debug)]
enum Hasher {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    /// The algorithm of a digest; SHA-256 for anything else, such as a tag.
    fn for_digest(text: &str) -> Self {
        if text.starts_with("sha512:") {
            Self::Sha512(Sha512::new())
        } else {
            Self::Sha256(Sha256::new())
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(bytes),
            Self::Sha512(hash) => hash.update(bytes),
        }
    }

    fn finish(self) -> String {
        match self {
            Self::Sha256(hash) => format!("sha256:{}", hex::encode(hash.finalize())),
            Self::Sha512(hash) => format!("sha512:{}", hex::encode(hash.finalize())),
        }
    }
}

fn is_digest(text: &str) -> bool {
    let hex = |hex: &str, length| hex.len() == length && hex.bytes().all(|b| b.is_ascii_hexdigit());
    match text.split_once(':') {
        Some(("sha256", rest)) => hex(rest, 64),
        Some(("sha512", rest)) => hex(rest, 128),
        _ => false,
    }
}

/// Only what may stand in a path: nothing in a reference leads elsewhere.
fn encoded(reference: &str) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    for byte in reference.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn amd64(index: &OciImageIndex) -> Option<&ImageIndexEntry> {
    index.manifests.iter().find(|entry| {
        entry.platform.as_ref().is_none_or(|platform| {
            platform.os.to_string() == "linux" && platform.architecture.to_string() == "amd64"
        })
    })
}

fn inner_type(bytes: &[u8]) -> String {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Typed {
        media_type: Option<String>,
        manifests: Option<serde::de::IgnoredAny>,
    }
    let typed: Option<Typed> = serde_json::from_slice(bytes).ok();
    match typed {
        Some(Typed {
            media_type: Some(named),
            ..
        }) => named,
        Some(Typed {
            manifests: Some(_), ..
        }) => media_type::INDEX.to_owned(),
        _ => media_type::IMAGE.to_owned(),
    }
}

fn descriptor(entry: ImageIndexEntry) -> OciDescriptor {
    OciDescriptor {
        media_type: entry.media_type,
        digest: entry.digest,
        size: entry.size,
        urls: None,
        annotations: entry.annotations,
        artifact_type: entry.artifact_type,
    }
}

fn is_unknown_endpoint(error: &Error) -> bool {
    let status = error.status().map(|status| status.as_u16());
    matches!(status, Some(400 | 404 | 405 | 501))
}

/// Reads `Link: <…>; rel="next"`. Only a path of the same registry is followed: credentials go nowhere else.
fn next_page(response: &Response, current: &str) -> Option<String> {
    let link = response.headers().get("link")?.to_str().ok()?;
    let next = link
        .split(',')
        .find(|each| each.contains("rel=\"next\"") || each.contains("rel=next"));
    let target = next?.split_once('<')?.1.split_once('>')?.0;
    resolve_link(target, current)
}

fn resolve_link(target: &str, current: &str) -> Option<String> {
    let path = match target.split_once("://") {
        Some((_, rest)) => &rest[rest.find('/')?..],
        None => target,
    };
    if path.starts_with("/v2/") {
        return Some(path.to_owned());
    }
    if path.starts_with('/') {
        return None;
    }
    let folder = &current[..=current.split('?').next()?.rfind('/')?];
    match path.strip_prefix('?') {
        Some(query) => Some(format!("{}?{query}", current.split('?').next()?)),
        None if path.contains("..") => None,
        None => Some(format!("{folder}{path}")),
    }
}

#[cfg(test)]
mod tests;
