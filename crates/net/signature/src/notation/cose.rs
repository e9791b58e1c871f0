//! Envelopes as CBOR with a signature (COSE_Sign1).
//!
//! Source: RFC 9052, 4.2; RFC 9360; Notary Project, signature-envelope-cose.

use coset::cbor::Value;
use coset::iana::Algorithm;
use coset::{
    ContentType, CoseSign1, Header, Label, RegisteredLabelWithPrivate, TaggedCborSerializable,
};

use super::envelope::{
    AUTHENTIC_SIGNING_TIME, EXPIRY, EnvelopeError, Parts, SCHEME, SIGNING_TIME, TIMESTAMP,
};

pub(super) const MEDIA_TYPE: &str = "application/cose";
/// The label of the certificates.
const X5CHAIN: i64 = 33;
/// The tag of seconds since 1970.
const EPOCH: u64 = 1;

pub(super) fn read(bytes: &[u8]) -> Result<Parts, EnvelopeError> {
    let message = CoseSign1::from_tagged_slice(bytes);
    let message = message.map_err(|error| EnvelopeError::Cbor(error.to_string()))?;
    let signed = message.tbs_data(&[]);
    let header = &message.protected.header;
    let content_type = match &header.content_type {
        Some(ContentType::Text(text)) => text.clone(),
        _ => return rule("content type should be of 'tstr' type"),
    };
    let critical = header.crit.iter().map(|label| match label {
        RegisteredLabelWithPrivate::Text(text) => text.clone(),
        other => format!("{other:?}"),
    });
    let critical: Vec<String> = critical.collect();
    let mut others = Vec::new();
    for (label, _) in &header.rest {
        match label {
            Label::Text(text)
                if [SCHEME, SIGNING_TIME, AUTHENTIC_SIGNING_TIME, EXPIRY]
                    .contains(&text.as_str()) => {}
            Label::Text(text) => others.push(text.clone()),
            Label::Int(number) => others.push(number.to_string()),
        }
    }
    let Some(Value::Text(scheme)) = value(header, SCHEME) else {
        return rule("invalid signingScheme");
    };
    let timestamp = match value(&message.unprotected, TIMESTAMP) {
        Some(Value::Bytes(bytes)) => bytes.clone(),
        Some(_) => return rule("timestamp countersignature should be of 'bstr' type"),
        None => Vec::new(),
    };
    Ok(Parts {
        algorithm: algorithm(header)?.to_owned(),
        content_type,
        scheme: scheme.clone(),
        signing_time: time(header, SIGNING_TIME)?,
        authentic_signing_time: time(header, AUTHENTIC_SIGNING_TIME)?,
        expiry: time(header, EXPIRY)?,
        critical,
        others,
        certificates: certificates(&message.unprotected)?,
        payload: message.payload.unwrap_or_default(),
        signed,
        signature: message.signature,
        timestamp,
    })
}

fn rule<T>(why: &str) -> Result<T, EnvelopeError> {
    Err(EnvelopeError::Rule(why.to_owned()))
}

fn value<'a>(header: &'a Header, name: &str) -> Option<&'a Value> {
    let wanted = Label::Text(name.to_owned());
    let mut all = header.rest.iter();
    all.find_map(|(label, value)| (*label == wanted).then_some(value))
}

fn algorithm(header: &Header) -> Result<&'static str, EnvelopeError> {
    let Some(RegisteredLabelWithPrivate::Assigned(algorithm)) = &header.alg else {
        return rule("signature algorithm not supported");
    };
    Ok(match algorithm {
        Algorithm::PS256 => "PS256",
        Algorithm::PS384 => "PS384",
        Algorithm::PS512 => "PS512",
        Algorithm::ES256 => "ES256",
        Algorithm::ES384 => "ES384",
        Algorithm::ES512 => "ES512",
        _ => return rule("signature algorithm not supported"),
    })
}

fn time(header: &Header, name: &str) -> Result<Option<i64>, EnvelopeError> {
    match value(header, name) {
        None => Ok(None),
        Some(Value::Tag(EPOCH, inner)) => match inner.as_ref() {
            Value::Integer(seconds) => i64::try_from(*seconds)
                .map(Some)
                .or_else(|_| rule("time out of range")),
            _ => rule("invalid timeValue type"),
        },
        Some(_) => rule("only Tag `1` Datetime CBOR object is supported"),
    }
}

fn certificates(header: &Header) -> Result<Vec<Vec<u8>>, EnvelopeError> {
    let found = header
        .rest
        .iter()
        .find(|(label, _)| *label == Label::Int(X5CHAIN));
    let Some((_, Value::Array(all))) = found else {
        return rule("certificate chain is not present");
    };
    all.iter()
        .map(|each| match each {
            Value::Bytes(der) => Ok(der.clone()),
            _ => rule("certificate chain is not present"),
        })
        .collect()
}
