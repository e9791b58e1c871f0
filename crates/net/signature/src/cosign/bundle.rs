//! Signatures as cosign 3 leaves them: bundles that refer to an image.
//!
//! Source: sigstore's protobuf-specs 0.5, `bundle.proto`; in-toto Statement 1; DSSE 1.

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::identity::Signer;
use super::log::{self, Claim, Content, Entry, LogError, Logged};
use super::{Identity, SignerError, Subject, Trust, TrustedRoot, check_signer};
use crate::certificate::{Certificate, CertificateError};
use crate::encoding::bytes;
use crate::key::PublicKey;
use crate::timestamp::{self, TimestampError};

const PREFIX: &str = "application/vnd.dev.sigstore.bundle";
const MAX_SUBJECTS: usize = 1024;
const MAX_TIMESTAMPS: usize = 32;

/// Why a bundle does not count.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// It cannot be read.
    #[error("invalid bundle")]
    Json(#[source] serde_json::Error),
    /// It is of a version that is not known.
    #[error("unsupported media type: {0}")]
    MediaType(String),
    /// It lacks what it is about, or has it twice.
    #[error("invalid bundle: bundle content must be either a message signature or dsse envelope")]
    Content,
    /// It says nothing of who signed.
    #[error("invalid bundle: missing verification material")]
    NoMaterial,
    /// It is signed with a certificate, where a key is asked for.
    #[error("expected key signature, not certificate")]
    Certified,
    /// It is signed with a key, where an identity is asked for.
    #[error("can't verify certificate identities: entity was not signed with a certificate")]
    Keyed,
    /// Anybody's signature would do.
    #[error(
        "failed to build policy: can't verify identities without providing at least one identity"
    )]
    NoIdentity,
    /// The certificate cannot be read.
    #[error("failed to fetch verification content")]
    Certificate(#[source] CertificateError),
    /// No log knows of it.
    #[error("failed to verify log inclusion")]
    Log(#[source] LogError),
    /// Nobody says when it was made.
    #[error("failed to verify timestamps: threshold not met for verified {0}: 0 < 1")]
    NoTime(&'static str),
    /// The time that it was made at cannot be trusted.
    #[error("failed to verify timestamps")]
    Timestamp(#[source] TimestampError),
    /// The certificate does not count.
    #[error("failed to verify leaf certificate")]
    Signer(#[source] SignerError),
    /// The signature is not the signer's.
    #[error("failed to verify signature: could not verify {0}")]
    Signature(&'static str),
    /// It is of another image.
    #[error(
        "failed to verify signature: provided artifact digest does not match any digest in statement"
    )]
    OtherDigest,
    /// What is signed is no statement about an image.
    #[error(
        "failed to verify signature: could not verify artifact: unable to extract statement from envelope"
    )]
    Statement(#[source] Option<serde_json::Error>),
    /// The certificate is somebody else's.
    #[error(
        "failed to verify certificate identity: no matching CertificateIdentity found, got subjects [{subjects}] with issuer {issuer}"
    )]
    OtherIdentity {
        /// Whose it is.
        subjects: String,
        /// Who says so.
        issuer: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    media_type: String,
    verification_material: Option<Material>,
    dsse_envelope: Option<Envelope>,
    message_signature: Option<MessageSignature>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    certificate: Option<RawBytes>,
    x509_certificate_chain: Option<Chain>,
    public_key: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    tlog_entries: Vec<Entry>,
    timestamp_verification_data: Option<Timestamps>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawBytes {
    #[serde(with = "bytes")]
    raw_bytes: Vec<u8>,
}

#[derive(Deserialize)]
struct Chain {
    certificates: Vec<RawBytes>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Timestamps {
    #[serde(default)]
    rfc3161_timestamps: Vec<SignedTimestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignedTimestamp {
    #[serde(with = "bytes")]
    signed_timestamp: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    #[serde(with = "bytes")]
    payload: Vec<u8>,
    payload_type: String,
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Deserialize)]
struct EnvelopeSignature {
    #[serde(with = "bytes")]
    sig: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageSignature {
    message_digest: Option<MessageDigest>,
    #[serde(with = "bytes")]
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct MessageDigest {
    algorithm: String,
    #[serde(with = "bytes")]
    digest: Vec<u8>,
}

#[derive(Deserialize)]
struct Statement {
    #[serde(default)]
    subject: Vec<StatementSubject>,
}

#[derive(Deserialize)]
struct StatementSubject {
    #[serde(default)]
    digest: std::collections::BTreeMap<String, String>,
}

/// Says whether a media type is a bundle's.
pub fn is_bundle(media_type: &str) -> bool {
    media_type.starts_with(PREFIX)
}

/// What is signed, and by what.
struct Signed {
    signature: Vec<u8>,
    message: Vec<u8>,
    content_digest: Vec<u8>,
    is_envelope: bool,
}

/// Says whether a bundle counts for an image. With a key, neither log nor clock is asked for, as upstream has it.
///
/// # Errors
/// [`BundleError`].
pub fn verify_bundle(
    json: &[u8],
    trust: Trust<'_>,
    subject: Subject<'_>,
) -> Result<(), BundleError> {
    let bundle: Bundle = serde_json::from_slice(json).map_err(BundleError::Json)?;
    let version = version(&bundle.media_type)
        .ok_or_else(|| BundleError::MediaType(bundle.media_type.clone()))?;
    let material = bundle
        .verification_material
        .ok_or(BundleError::NoMaterial)?;
    check_entries(version, &material.tlog_entries).map_err(BundleError::Log)?;
    let certificate = certificate(version, &material)?;
    let signed = match (bundle.dsse_envelope, bundle.message_signature) {
        (Some(envelope), None) => of_envelope(envelope, subject)?,
        (None, Some(message)) => of_message(message, subject)?,
        _ => return Err(BundleError::Content),
    };
    let key = match (trust, certificate) {
        (Trust::Key(_), Some(_)) => return Err(BundleError::Certified),
        (Trust::Keyless { .. }, None) => return Err(BundleError::Keyed),
        (Trust::Key(key), None) => key.clone(),
        (Trust::Keyless { root, identities }, Some(certificate)) => {
            signer(&certificate, &material, &signed, root, identities)?
        }
    };
    if key.verifies_any(&signed.message, &signed.signature) {
        return Ok(());
    }
    Err(BundleError::Signature(if signed.is_envelope {
        "envelope"
    } else {
        "message"
    }))
}

/// Returns the minor version of a media type.
fn version(media_type: &str) -> Option<u8> {
    let rest = media_type.strip_prefix(PREFIX)?;
    let minor = rest
        .strip_prefix("+json;version=0.")
        .or_else(|| rest.strip_prefix(".v0.")?.strip_suffix("+json"))?;
    // Later ones are not known yet, also where they are a patch: `0.3.1`.
    minor.parse().ok().filter(|minor| (1..=3).contains(minor))
}

fn check_entries(version: u8, entries: &[Entry]) -> Result<(), LogError> {
    if entries.is_empty() {
        return Ok(());
    }
    let mut entries = entries.iter();
    let (has, error) = if version == 1 {
        let has = entries.any(|entry| entry.inclusion_promise.is_some());
        (has, LogError::NoPromise)
    } else {
        let has = entries.any(|entry| entry.inclusion_proof.is_some());
        (has, LogError::NoProof)
    };
    has.then_some(()).ok_or(error)
}

fn certificate(version: u8, material: &Material) -> Result<Option<Certificate>, BundleError> {
    let Material {
        certificate,
        x509_certificate_chain: chain,
        public_key,
        ..
    } = material;
    let der = match (certificate, chain, public_key) {
        (Some(certificate), None, None) => &certificate.raw_bytes,
        (None, Some(chain), None) if version < 3 => {
            let first = chain.certificates.first();
            &first.ok_or(BundleError::NoMaterial)?.raw_bytes
        }
        (None, None, Some(_)) => return Ok(None),
        _ => return Err(BundleError::NoMaterial),
    };
    let certificate = Certificate::from_der(der).map_err(BundleError::Certificate)?;
    Ok(Some(certificate))
}

fn of_envelope(envelope: Envelope, subject: Subject<'_>) -> Result<Signed, BundleError> {
    let Ok([signature]) = <[EnvelopeSignature; 1]>::try_from(envelope.signatures) else {
        return Err(BundleError::Signature(
            "envelope: exactly one signature is required",
        ));
    };
    let (payload, kind) = (envelope.payload, envelope.payload_type);
    if kind != "application/vnd.in-toto+json" {
        return Err(BundleError::Statement(None));
    }
    let statement: Statement =
        serde_json::from_slice(&payload).map_err(|error| BundleError::Statement(Some(error)))?;
    let wanted = subject.digest.split_once(':');
    let (algorithm, wanted) = wanted.ok_or(BundleError::OtherDigest)?;
    let of_image = |each: &StatementSubject| {
        let digest = each.digest.get(algorithm);
        digest.is_some_and(|digest| digest.eq_ignore_ascii_case(wanted))
    };
    if statement.subject.len() > MAX_SUBJECTS || !statement.subject.iter().any(of_image) {
        return Err(BundleError::OtherDigest);
    }
    let mut message = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
    message.extend(&payload);
    Ok(Signed {
        signature: signature.sig,
        message,
        content_digest: Sha256::digest(&payload).to_vec(),
        is_envelope: true,
    })
}

fn of_message(message: MessageSignature, subject: Subject<'_>) -> Result<Signed, BundleError> {
    let manifest = subject.manifest.ok_or(BundleError::OtherDigest)?;
    let digest = Sha256::digest(manifest).to_vec();
    let same = |said: MessageDigest| said.algorithm == "SHA2_256" && said.digest == digest;
    let is_image = subject.digest == format!("sha256:{}", hex::encode(&digest));
    if !is_image || !message.message_digest.is_some_and(same) {
        return Err(BundleError::OtherDigest);
    }
    Ok(Signed {
        signature: message.signature,
        message: manifest.to_vec(),
        content_digest: digest,
        is_envelope: false,
    })
}

/// Returns the key of a signer that logs, a clock and an authority vouch for.
fn signer(
    certificate: &Certificate,
    material: &Material,
    signed: &Signed,
    root: &TrustedRoot,
    identities: &[Identity],
) -> Result<PublicKey, BundleError> {
    if identities.is_empty() {
        return Err(BundleError::NoIdentity);
    }
    let claim = Claim {
        signature: &signed.signature,
        certificate: &certificate.der,
        content: if signed.is_envelope {
            Content::Payload(&signed.content_digest)
        } else {
            Content::Message(&signed.content_digest)
        },
        message: Some(&signed.message),
    };
    let entries = &material.tlog_entries;
    let logged = log::verify(entries, &claim, root).map_err(BundleError::Log)?;
    let mut key = None;
    for at in times(&logged, material, &signed.signature, root)? {
        key = Some(check_signer(certificate, at, root).map_err(BundleError::Signer)?);
    }
    let key = key.ok_or(BundleError::NoTime("log entry integrated timestamps"))?;
    let signer = Signer::of(certificate);
    if !identities.iter().any(|each| each.matches(&signer)) {
        return Err(BundleError::OtherIdentity {
            subjects: signer.subjects.join(", "),
            issuer: signer.issuer,
        });
    }
    Ok(key)
}

/// Returns when the signature was made: as the log says, or, where it does not, a clock.
fn times(
    logged: &Logged,
    material: &Material,
    signature: &[u8],
    root: &TrustedRoot,
) -> Result<Vec<i64>, BundleError> {
    if logged.told_time {
        return Ok(logged.times.clone());
    }
    let stamps = material.timestamp_verification_data.as_ref();
    let stamps = stamps.map_or(&[][..], |data| &data.rfc3161_timestamps);
    let mut last = BundleError::NoTime("signed timestamps");
    for stamp in stamps.iter().take(MAX_TIMESTAMPS) {
        for clock in &root.clocks {
            let response = &stamp.signed_timestamp;
            match timestamp::verify_response(response, signature, &clock.certificates) {
                Ok(stamp) if clock.is_valid_at(stamp.at) => return Ok(vec![stamp.at]),
                Ok(_) => {}
                Err(error) => last = BundleError::Timestamp(error),
            }
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_from_media_types() {
        for (text, expected) in [
            ("application/vnd.dev.sigstore.bundle.v0.3+json", Some(3)),
            (
                "application/vnd.dev.sigstore.bundle+json;version=0.1",
                Some(1),
            ),
            (
                "application/vnd.dev.sigstore.bundle+json;version=0.3",
                Some(3),
            ),
            ("application/vnd.dev.sigstore.bundle.v0.4+json", None),
            ("application/vnd.dev.sigstore.bundle.v0.3.1+json", None),
            ("application/vnd.dev.sigstore.bundle", None),
            ("application/json", None),
        ] {
            assert_eq!(version(text), expected, "{text}");
        }
    }
}
