//! The authorities and logs that are trusted.

use jiff::Timestamp;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::certificate::Certificate;
use crate::encoding::{bytes, moment};
use crate::key::PublicKey;

/// Sigstore's public instance, as its TUF repository had it on 14 April 2023 and after.
///
/// Source: target `trusted_root.json` of <https://tuf-repo-cdn.sigstore.dev>, as sigstore v1.10.8 carries it; SHA-256
/// checked by a test.
const PUBLIC_GOOD: &str = include_str!("public_good.json");
const MAX_BYTES: usize = 1 << 20;

/// Why a trusted root is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustedRootError {
    /// It is larger than one MiB.
    #[error("unable to parse trusted root: it is larger than 1 MiB")]
    Size,
    /// It is not of the form.
    #[error("unable to parse trusted root")]
    Json(#[source] serde_json::Error),
    /// A certificate cannot be read.
    #[error("unable to parse trusted root")]
    Certificate(#[source] crate::CertificateError),
    /// A key cannot be read.
    #[error("unable to parse trusted root")]
    Key(#[source] crate::KeyError),
    /// It is of another form.
    #[error("unable to parse trusted root: unsupported TrustedRoot media type: {0}")]
    MediaType(String),
    /// It names no log, without which no signature counts.
    #[error(
        "unable to extract Rekor URL from trusted root: no transparency log entries found in trusted root"
    )]
    NoLogs,
}

/// The authorities and logs that are trusted.
#[derive(Clone, Debug)]
pub struct TrustedRoot {
    pub(super) logs: Vec<Log>,
    pub(super) authorities: Vec<Authority>,
    pub(super) certificate_logs: Vec<Log>,
    pub(super) clocks: Vec<Authority>,
}

/// A log and its key.
#[derive(Clone, Debug)]
pub(super) struct Log {
    pub(super) url: String,
    pub(super) id: Vec<u8>,
    pub(super) key: PublicKey,
    period: Period,
}

/// An authority: its certificates, the one nearest to what it signs first.
#[derive(Clone, Debug)]
pub(super) struct Authority {
    pub(super) certificates: Vec<Certificate>,
    period: Period,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct Period {
    #[serde(default, with = "moment")]
    start: Option<Timestamp>,
    #[serde(default, with = "moment")]
    end: Option<Timestamp>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Document {
    media_type: String,
    tlogs: Vec<LogDocument>,
    ctlogs: Vec<LogDocument>,
    certificate_authorities: Vec<AuthorityDocument>,
    timestamp_authorities: Vec<AuthorityDocument>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogDocument {
    #[serde(default)]
    base_url: String,
    public_key: KeyDocument,
    log_id: Option<IdDocument>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyDocument {
    #[serde(with = "bytes")]
    raw_bytes: Vec<u8>,
    #[serde(default)]
    valid_for: Period,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IdDocument {
    #[serde(with = "bytes")]
    key_id: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthorityDocument {
    cert_chain: ChainDocument,
    #[serde(default)]
    valid_for: Period,
}

#[derive(Deserialize)]
struct ChainDocument {
    certificates: Vec<CertificateDocument>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CertificateDocument {
    #[serde(with = "bytes")]
    raw_bytes: Vec<u8>,
}

impl TrustedRoot {
    /// Returns Sigstore's public instance.
    ///
    /// # Errors
    /// None that a release has: the text is part of it.
    pub fn public_good() -> Result<Self, TrustedRootError> {
        Self::from_json(PUBLIC_GOOD.as_bytes())
    }

    /// Reads a `trusted_root.json`.
    ///
    /// # Errors
    /// [`TrustedRootError`].
    pub fn from_json(json: &[u8]) -> Result<Self, TrustedRootError> {
        if json.len() > MAX_BYTES {
            return Err(TrustedRootError::Size);
        }
        let document: Document = serde_json::from_slice(json).map_err(TrustedRootError::Json)?;
        if !document
            .media_type
            .starts_with("application/vnd.dev.sigstore.trustedroot")
        {
            return Err(TrustedRootError::MediaType(document.media_type));
        }
        let logs: Vec<Log> = collect(document.tlogs, log)?;
        if logs.is_empty() {
            return Err(TrustedRootError::NoLogs);
        }
        Ok(Self {
            logs,
            authorities: collect(document.certificate_authorities, authority)?,
            certificate_logs: collect(document.ctlogs, log)?,
            clocks: collect(document.timestamp_authorities, authority)?,
        })
    }
}

impl Log {
    pub(super) fn is_valid_at(&self, at: i64) -> bool {
        self.period.holds(at)
    }
}

impl Authority {
    pub(super) fn is_valid_at(&self, at: i64) -> bool {
        self.period.holds(at)
    }
}

impl Period {
    /// A period without a start is none.
    fn holds(self, at: i64) -> bool {
        let started = self.start.is_some_and(|start| start.as_second() <= at);
        started && self.end.is_none_or(|end| at <= end.as_second())
    }
}

fn collect<T, U>(
    all: Vec<T>,
    each: impl Fn(T) -> Result<U, TrustedRootError>,
) -> Result<Vec<U>, TrustedRootError> {
    all.into_iter().map(each).collect()
}

fn log(document: LogDocument) -> Result<Log, TrustedRootError> {
    let raw = &document.public_key.raw_bytes;
    let key = PublicKey::from_der(raw).map_err(TrustedRootError::Key)?;
    let id = match document.log_id {
        Some(id) => id.key_id,
        None => Sha256::digest(raw).to_vec(),
    };
    Ok(Log {
        url: document.base_url,
        id,
        key,
        period: document.public_key.valid_for,
    })
}

fn authority(document: AuthorityDocument) -> Result<Authority, TrustedRootError> {
    let read = |each: CertificateDocument| Certificate::from_der(&each.raw_bytes);
    let certificates = document.cert_chain.certificates.into_iter().map(read);
    let certificates: Result<Vec<_>, _> = certificates.collect();
    Ok(Authority {
        certificates: certificates.map_err(TrustedRootError::Certificate)?,
        period: document.valid_for,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embedded_root_is_the_published_one() {
        let digest = hex::encode(Sha256::digest(PUBLIC_GOOD));
        assert_eq!(
            digest,
            "4364d7724c04cc912ce2a6c45ed2610e8d8d1c4dc857fb500292738d4d9c8d2c"
        );
        let root = TrustedRoot::public_good().unwrap();
        assert_eq!(
            (
                root.logs.len(),
                root.authorities.len(),
                root.certificate_logs.len(),
                root.clocks.len()
            ),
            (1, 2, 2, 1)
        );
        assert!(root.logs[0].is_valid_at(1_700_000_000));
        assert!(!root.logs[0].is_valid_at(1_600_000_000));
        assert!(!root.authorities[0].is_valid_at(1_700_000_000));
    }

    /// covers: SC-138
    #[test]
    fn what_is_no_trusted_root_is_told() {
        let error = |text: &str| TrustedRoot::from_json(text.as_bytes()).unwrap_err();
        let words = |text: &str| error(text).to_string();
        assert_eq!(words("{"), "unable to parse trusted root");
        assert!(words("{}").contains("unsupported TrustedRoot media type"));
        let named = r#"{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}"#;
        assert!(words(named).contains("no transparency log entries found in trusted root"));
    }
}
