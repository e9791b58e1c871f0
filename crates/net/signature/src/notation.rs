//! Signatures of images by notation: envelopes in JOSE or COSE, judged by a trust policy.
//!
//! Source: Notary Project specifications 1.0 and 1.1; the words, and what the specifications leave open: notation-go v1.3.2
//! and notation-core-go v1.3.0 as source-controller v1.9.4 uses them.

mod chain;
mod cose;
mod envelope;
mod jose;
mod name;
mod policy;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde::Deserialize;

pub use self::chain::ChainError;
pub use self::envelope::EnvelopeError;
pub use self::policy::{Action, Level, PolicyError, Statement, TrustPolicy};

use self::envelope::{Envelope, Scheme};
use self::policy::{Check, VerifyTimestamp};
use crate::certificate::{Certificate, CertificateError};
use crate::encoding::pem_certificates;
use crate::timestamp::{self, TimestampError};

/// The kind of artifact that signatures are.
pub const ARTIFACT_TYPE: &str = "application/vnd.cncf.notary.signature";
/// How many signatures of an artifact are looked at.
pub const MAX_SIGNATURES: usize = 3;
const PAYLOAD_TYPE: &str = "application/vnd.cncf.notary.payload.v1+json";
const PLUGIN: &str = "io.cncf.notary.verificationPlugin";

/// Certificates that are trusted. They are in every store that a policy names.
#[derive(Clone, Debug, Default)]
pub struct TrustStore {
    certificates: Vec<Certificate>,
}

impl TrustStore {
    /// Adds the certificates of a file, in PEM or DER.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn add(&mut self, file: &[u8]) -> Result<(), CertificateError> {
        let text = std::str::from_utf8(file).ok();
        let found = text
            .and_then(pem_certificates)
            .filter(|found| !found.is_empty());
        for der in found.unwrap_or_else(|| vec![file.to_vec()]) {
            self.certificates.push(Certificate::from_der(&der)?);
        }
        Ok(())
    }

    /// Says whether there are none.
    pub fn is_empty(&self) -> bool {
        self.certificates.is_empty()
    }
}

/// What is signed: the manifest of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// Its media type.
    pub media_type: &'a str,
    /// Its digest. Shape: `sha256:<hex>`.
    pub digest: &'a str,
    /// Its size in bytes.
    pub size: u64,
}

/// What came of a signature that was not refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether who signed is trusted. Where it is not, the policy asks for that to be told only.
    pub is_authentic: bool,
    /// What did not hold, and is to be told only.
    pub told: Vec<String>,
}

/// Why a signature does not count.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// It is not whole.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// It says that a program must look at it.
    #[error("plugin unsupported due to nil verifier.pluginManager")]
    Plugin,
    /// It has a critical part that is not known.
    #[error("extended critical attribute {0:?} is not supported")]
    Critical(String),
    /// Nobody is trusted who could have signed it.
    #[error("no trusted certificates are found to verify authenticity")]
    NoStore,
    /// Who signed is not trusted.
    #[error("the signature's certificate chain does not contain any trusted certificate")]
    NotTrusted,
    /// Who signed is somebody else.
    #[error(
        "signing certificate from the digital signature does not match the X.509 trusted identities defined in the trust policy {0:?}"
    )]
    OtherIdentity(String),
    /// Who signed has no name that counts.
    #[error("error while parsing the certificate subject from the digital signature: {0}")]
    Name(String),
    /// It is over.
    #[error("digital signature has expired on \"{0}\"")]
    Expired(String),
    /// The certificates are not valid yet.
    #[error(
        "verification time is before certificate {subject:?} validity period, it will be valid from \"{from}\""
    )]
    Early {
        /// Whose certificate.
        subject: String,
        /// From when on.
        from: String,
    },
    /// The certificates are not valid any more.
    #[error(
        "verification time is after certificate {subject:?} validity period, it was expired at \"{until}\""
    )]
    Late {
        /// Whose certificate.
        subject: String,
        /// Until when.
        until: String,
    },
    /// The certificates were not valid when it was made.
    #[error("certificate {0:?} was not valid when the digital signature was produced")]
    NotThen(String),
    /// No clock says when it was made.
    #[error("no timestamp countersignature was found in the signature envelope")]
    NoTimestamp,
    /// The clock is not trusted.
    #[error("failed to verify the timestamp countersignature")]
    Timestamp(#[source] TimestampError),
    /// Whether a certificate was revoked is not known.
    #[error("signing certificate with subject {0:?} revocation status is unknown")]
    Revocation(String),
    /// What is signed cannot be read.
    #[error("malformed payload of the signature")]
    Payload(#[source] serde_json::Error),
    /// What is signed is another image.
    #[error("content descriptor mismatch")]
    OtherTarget,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    target_artifact: Descriptor,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
}

/// Says whether a signature counts for an image, now.
///
/// `media_type` is the envelope's: `application/jose+json` or `application/cose`. Whether certificates were revoked is not
/// asked: one that could have been counts as unknown, which the levels `strict` and a matching override refuse.
///
/// # Errors
/// [`VerifyError`].
pub fn verify(
    envelope: &[u8],
    media_type: &str,
    (statement, store): (&Statement, &TrustStore),
    target: Target<'_>,
    now: Timestamp,
) -> Result<Outcome, VerifyError> {
    let envelope = Envelope::read(envelope, media_type)?;
    let mut judge = Judge {
        statement,
        outcome: Outcome {
            is_authentic: true,
            told: Vec::new(),
        },
    };
    if envelope.critical.iter().any(|name| name == PLUGIN) {
        return Err(VerifyError::Plugin);
    }
    // Deviation: upstream leaves those to plugins, and passes over them where there is none.
    if let Some(name) = envelope.critical.first() {
        return Err(VerifyError::Critical(name.clone()));
    }
    let authentic = authenticity(&envelope, statement, store);
    judge.outcome.is_authentic = authentic.is_ok();
    judge.hear(Check::Authenticity, authentic)?;
    judge.hear(Check::Expiry, expiry(&envelope, now))?;
    let time = authentic_time(&envelope, statement, store, now);
    judge.hear(Check::AuthenticTimestamp, time)?;
    judge.hear(Check::Revocation, revocation(&envelope))?;
    let payload: Payload =
        serde_json::from_slice(&envelope.payload).map_err(VerifyError::Payload)?;
    let Descriptor {
        media_type,
        digest,
        size,
    } = &payload.target_artifact;
    if (media_type.as_str(), digest.as_str(), *size)
        != (target.media_type, target.digest, target.size)
    {
        return Err(VerifyError::OtherTarget);
    }
    Ok(judge.outcome)
}

/// Weighs what did not hold by what the policy makes of it.
struct Judge<'a> {
    statement: &'a Statement,
    outcome: Outcome,
}

impl Judge<'_> {
    fn hear(&mut self, check: Check, result: Result<(), VerifyError>) -> Result<(), VerifyError> {
        let action = self.statement.level.action(check);
        match (result, action) {
            (Ok(()), _) | (Err(_), Action::Skip) => Ok(()),
            (Err(error), Action::Enforce) => Err(error),
            (Err(error), Action::Log) => {
                let mut words = format!("{check} validation failed: {error}");
                let mut source = std::error::Error::source(&error);
                while let Some(cause) = source {
                    words = format!("{words}: {cause}");
                    source = cause.source();
                }
                self.outcome.told.push(words);
                Ok(())
            }
        }
    }
}

fn authenticity(
    envelope: &Envelope,
    statement: &Statement,
    store: &TrustStore,
) -> Result<(), VerifyError> {
    let kind = match envelope.scheme {
        Scheme::X509 => "ca",
        Scheme::SigningAuthority { .. } => "signingAuthority",
    };
    if !statement.has_store(kind) || store.is_empty() {
        return Err(VerifyError::NoStore);
    }
    let mut chain = envelope.certificates.iter();
    if !chain.any(|each| store.certificates.contains(each)) {
        return Err(VerifyError::NotTrusted);
    }
    if statement.trusts_anybody() {
        return Ok(());
    }
    let leaf = envelope.certificates.first().ok_or(VerifyError::NoStore)?;
    let name = name::of_certificate(leaf).map_err(VerifyError::Name)?;
    if statement.trusts(&name) {
        return Ok(());
    }
    Err(VerifyError::OtherIdentity(statement.name.clone()))
}

fn expiry(envelope: &Envelope, now: Timestamp) -> Result<(), VerifyError> {
    match envelope.expiry {
        Some(expiry) if expiry <= now.as_second() => Err(VerifyError::Expired(printed(expiry))),
        _ => Ok(()),
    }
}

/// Says whether the certificates were valid when it was signed, as far as that time can be trusted.
fn authentic_time(
    envelope: &Envelope,
    statement: &Statement,
    store: &TrustStore,
    now: Timestamp,
) -> Result<(), VerifyError> {
    let certificates = &envelope.certificates;
    let now = now.as_second();
    if let Scheme::SigningAuthority { at } = envelope.scheme {
        let mut bad = certificates.iter().filter(|each| !each.is_valid_at(at));
        return match bad.next() {
            Some(bad) => Err(VerifyError::NotThen(bad.subject())),
            None => Ok(()),
        };
    }
    let is_over = certificates.iter().any(|each| each.not_after() < now);
    let asks_clock = statement.has_store("tsa")
        && (is_over || statement.verify_timestamp == VerifyTimestamp::Always);
    if !asks_clock {
        return still_valid(certificates, now);
    }
    if envelope.timestamp.is_empty() {
        return Err(VerifyError::NoTimestamp);
    }
    let stamp = timestamp::verify_token(
        &envelope.timestamp,
        &envelope.signature,
        &store.certificates,
    )
    .map_err(VerifyError::Timestamp)?;
    let mut bad = certificates
        .iter()
        .filter(|each| !stamp.is_surely_within(each));
    match bad.next() {
        Some(bad) => Err(VerifyError::NotThen(bad.subject())),
        None => Ok(()),
    }
}

fn still_valid(certificates: &[Certificate], now: i64) -> Result<(), VerifyError> {
    for each in certificates {
        if now < each.not_before() {
            return Err(VerifyError::Early {
                subject: each.subject(),
                from: printed(each.not_before()),
            });
        }
        if now > each.not_after() {
            return Err(VerifyError::Late {
                subject: each.subject(),
                until: printed(each.not_after()),
            });
        }
    }
    Ok(())
}

/// Nobody is asked: a certificate that names where its revocation would be told may have been revoked.
fn revocation(envelope: &Envelope) -> Result<(), VerifyError> {
    // A root is nobody's to revoke.
    let (_, below) = match envelope.certificates.split_last() {
        Some((root, below)) if !below.is_empty() => (root, below),
        _ => return Ok(()),
    };
    match below.iter().find(|each| each.is_revocable()) {
        Some(each) => Err(VerifyError::Revocation(each.subject())),
        None => Ok(()),
    }
}

/// Prints a time as Go's RFC1123Z does.
fn printed(at: i64) -> String {
    let time = Timestamp::from_second(at).unwrap_or_default();
    rfc2822::to_string(&time.to_zoned(jiff::tz::TimeZone::UTC)).unwrap_or_default()
}
