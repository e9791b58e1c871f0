//! Envelopes as JSON with a signature (JWS).
//!
//! Source: RFC 7515, 7.2.2; Notary Project, signature-envelope-jws.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::envelope::{AUTHENTIC_SIGNING_TIME, EXPIRY, EnvelopeError, Parts, SCHEME, SIGNING_TIME};
use crate::encoding::{base64, base64_url, moment};

pub(super) const MEDIA_TYPE: &str = "application/jose+json";

#[derive(Deserialize)]
struct Jws {
    payload: String,
    protected: String,
    header: Header,
    signature: String,
}

#[derive(Deserialize)]
struct Header {
    #[serde(default)]
    x5c: Vec<String>,
    #[serde(default, rename = "io.cncf.notary.timestampSignature")]
    timestamp: String,
}

#[derive(Deserialize)]
struct Protected {
    alg: String,
    cty: String,
    #[serde(default)]
    crit: Vec<String>,
    #[serde(rename = "io.cncf.notary.signingScheme")]
    scheme: String,
    #[serde(default, rename = "io.cncf.notary.signingTime", with = "moment")]
    signing_time: Option<Timestamp>,
    #[serde(
        default,
        rename = "io.cncf.notary.authenticSigningTime",
        with = "moment"
    )]
    authentic_signing_time: Option<Timestamp>,
    #[serde(default, rename = "io.cncf.notary.expiry", with = "moment")]
    expiry: Option<Timestamp>,
}

pub(super) fn read(bytes: &[u8]) -> Result<Parts, EnvelopeError> {
    let envelope: Jws = serde_json::from_slice(bytes).map_err(EnvelopeError::Json)?;
    let malformed = |what: &str| EnvelopeError::Rule(format!("{what} error: illegal base64 data"));
    let header = base64_url(&envelope.protected).ok_or_else(|| malformed("protected header"))?;
    let protected: Protected = serde_json::from_slice(&header).map_err(EnvelopeError::Json)?;
    let all: serde_json::Map<String, Value> =
        serde_json::from_slice(&header).map_err(EnvelopeError::Json)?;
    let known = [
        "alg",
        "cty",
        "crit",
        SCHEME,
        SIGNING_TIME,
        AUTHENTIC_SIGNING_TIME,
        EXPIRY,
    ];
    let others = all.into_iter().map(|(name, _)| name);
    let certificates = envelope.header.x5c.iter();
    let certificates: Option<Vec<_>> = certificates.map(|each| base64(each)).collect();
    let seconds = |time: Option<Timestamp>| time.map(Timestamp::as_second);
    Ok(Parts {
        algorithm: protected.alg,
        content_type: protected.cty,
        scheme: protected.scheme,
        signing_time: seconds(protected.signing_time),
        authentic_signing_time: seconds(protected.authentic_signing_time),
        expiry: seconds(protected.expiry),
        critical: protected.crit,
        others: others
            .filter(|name| !known.contains(&name.as_str()))
            .collect(),
        payload: base64_url(&envelope.payload).ok_or_else(|| malformed("payload"))?,
        signed: format!("{}.{}", envelope.protected, envelope.payload).into_bytes(),
        signature: base64_url(&envelope.signature).ok_or_else(|| malformed("signature"))?,
        certificates: certificates.ok_or_else(|| malformed("certificate"))?,
        timestamp: base64(&envelope.header.timestamp).ok_or_else(|| malformed("timestamp"))?,
    })
}
