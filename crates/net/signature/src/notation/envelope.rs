//! What envelopes of both kinds hold, once their signature holds.

use super::chain::{self, ChainError};
use super::{PAYLOAD_TYPE, cose, jose};
use crate::certificate::{Certificate, CertificateError};
use crate::key::{Form, Hash};

/// Why an envelope is not whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// It is of a kind that is not known.
    #[error(
        "unable to parse the digital signature, error : signature envelope format with media type {0:?} is not supported"
    )]
    MediaType(String),
    /// It is no JSON of this form.
    #[error("unable to parse the digital signature")]
    Json(#[source] serde_json::Error),
    /// It is no CBOR of this form.
    #[error("unable to parse the digital signature, error : {0}")]
    Cbor(String),
    /// It breaks a rule of the specification.
    #[error("signature is invalid: {0}")]
    Rule(String),
    /// A certificate cannot be read.
    #[error("malformed certificate in the signature")]
    Certificate(#[source] CertificateError),
    /// The certificates do not hold together.
    #[error("certificate-chain is invalid")]
    Chain(#[source] ChainError),
    /// The signature is not of what is signed.
    #[error("signature is invalid")]
    Signature,
}

/// Who answers for the time of signing, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// The signer.
    X509,
    /// An authority that signs for others.
    SigningAuthority { at: i64 },
}

/// What is signed, and what vouches for it.
#[derive(Clone, Debug)]
pub(super) struct Envelope {
    pub(super) payload: Vec<u8>,
    pub(super) scheme: Scheme,
    pub(super) expiry: Option<i64>,
    /// Names of critical parts beyond those of the specification.
    pub(super) critical: Vec<String>,
    pub(super) signature: Vec<u8>,
    /// The signer's first.
    pub(super) certificates: Vec<Certificate>,
    /// A clock's word on when the signature was there, empty where there is none.
    pub(super) timestamp: Vec<u8>,
}

/// What an envelope says, before anything was checked.
#[derive(Clone, Debug, Default)]
pub(super) struct Parts {
    pub(super) algorithm: String,
    pub(super) content_type: String,
    pub(super) scheme: String,
    pub(super) signing_time: Option<i64>,
    pub(super) authentic_signing_time: Option<i64>,
    pub(super) expiry: Option<i64>,
    pub(super) critical: Vec<String>,
    /// Names of the protected parts beyond those of the specification.
    pub(super) others: Vec<String>,
    pub(super) payload: Vec<u8>,
    /// The bytes that were signed.
    pub(super) signed: Vec<u8>,
    pub(super) signature: Vec<u8>,
    /// In DER, the signer's first.
    pub(super) certificates: Vec<Vec<u8>>,
    pub(super) timestamp: Vec<u8>,
}

pub(super) const SCHEME: &str = "io.cncf.notary.signingScheme";
pub(super) const SIGNING_TIME: &str = "io.cncf.notary.signingTime";
pub(super) const AUTHENTIC_SIGNING_TIME: &str = "io.cncf.notary.authenticSigningTime";
pub(super) const EXPIRY: &str = "io.cncf.notary.expiry";
pub(super) const TIMESTAMP: &str = "io.cncf.notary.timestampSignature";

impl Envelope {
    /// Reads an envelope whose signature holds.
    pub(super) fn read(bytes: &[u8], media_type: &str) -> Result<Self, EnvelopeError> {
        let parts = match media_type {
            jose::MEDIA_TYPE => jose::read(bytes)?,
            cose::MEDIA_TYPE => cose::read(bytes)?,
            other => return Err(EnvelopeError::MediaType(other.to_owned())),
        };
        parts.check()
    }
}

fn rule<T>(why: impl Into<String>) -> Result<T, EnvelopeError> {
    Err(EnvelopeError::Rule(why.into()))
}

impl Parts {
    fn check(self) -> Result<Envelope, EnvelopeError> {
        let certificates = self.certificates.iter();
        let certificates: Result<Vec<_>, _> =
            certificates.map(|der| Certificate::from_der(der)).collect();
        let certificates = certificates.map_err(EnvelopeError::Certificate)?;
        let Some(leaf) = certificates.first() else {
            return rule("certificate chain is not present");
        };
        let Some(hash) = chain::algorithm(leaf) else {
            return rule("signing certificate with a key of a kind or size that is not supported");
        };
        let key = leaf.key();
        let key = key.or_else(|error| rule(format!("malformed leaf certificate: {error}")))?;
        if self.algorithm != expected(&key, hash) {
            return rule(format!(
                "mismatch between signature algorithm derived from signing certificate and signing algorithm specified ({})",
                self.algorithm
            ));
        }
        if !key.verifies(hash, Form::Jose, &self.signed, &self.signature) {
            return Err(EnvelopeError::Signature);
        }
        let scheme = self.scheme()?;
        self.check_critical(scheme)?;
        if self.content_type != PAYLOAD_TYPE {
            return rule(format!(
                "payload content type {:?} not supported",
                self.content_type
            ));
        }
        chain::check(&certificates).map_err(EnvelopeError::Chain)?;
        let known = [SCHEME, SIGNING_TIME, AUTHENTIC_SIGNING_TIME, EXPIRY];
        let mut critical = self.critical;
        critical.retain(|name| !known.contains(&name.as_str()));
        Ok(Envelope {
            payload: self.payload,
            scheme,
            expiry: self.expiry,
            critical,
            signature: self.signature,
            certificates,
            timestamp: self.timestamp,
        })
    }

    fn scheme(&self) -> Result<Scheme, EnvelopeError> {
        let (scheme, at) = match (
            self.scheme.as_str(),
            self.signing_time,
            self.authentic_signing_time,
        ) {
            ("notary.x509", Some(at), None) => (Scheme::X509, at),
            ("notary.x509.signingAuthority", None, Some(at)) => {
                (Scheme::SigningAuthority { at }, at)
            }
            ("notary.x509" | "notary.x509.signingAuthority", _, _) => {
                return rule("signing-time not present, or of another signing scheme");
            }
            (other, _, _) => return rule(format!("unsupported SigningScheme: `{other}`")),
        };
        if self.expiry.is_some_and(|expiry| expiry <= at) {
            return rule("expiry cannot be equal or before the signing time");
        }
        Ok(scheme)
    }

    fn check_critical(&self, scheme: Scheme) -> Result<(), EnvelopeError> {
        let mut required = vec![SCHEME];
        if self.expiry.is_some() {
            required.push(EXPIRY);
        }
        if matches!(scheme, Scheme::SigningAuthority { .. }) {
            required.push(AUTHENTIC_SIGNING_TIME);
        }
        let is_critical = |name: &&str| self.critical.iter().any(|each| each == name);
        if let Some(missing) = required.iter().find(|name| !is_critical(name)) {
            return rule(format!(
                "these required headers are not marked as critical: [{missing}]"
            ));
        }
        let is_there =
            |name: &String| required.contains(&name.as_str()) || self.others.contains(name);
        if let Some(name) = self.critical.iter().find(|name| !is_there(name)) {
            return rule(format!(
                "{name:?} header is marked critical but not present"
            ));
        }
        Ok(())
    }
}

/// Returns the name of the one algorithm that a key signs by.
fn expected(key: &crate::PublicKey, hash: Hash) -> &'static str {
    let is_rsa = matches!(key.kind(), crate::key::Kind::Rsa(_));
    match (is_rsa, hash) {
        (true, Hash::Sha256) => "PS256",
        (true, Hash::Sha384) => "PS384",
        (true, Hash::Sha512) => "PS512",
        (false, Hash::Sha256) => "ES256",
        (false, Hash::Sha384) => "ES384",
        (false, Hash::Sha512) => "ES512",
    }
}
