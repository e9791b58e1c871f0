//! What an entry is about.

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{Claim, Content, LogError};
use crate::encoding::{base64, bytes, pem_certificates};

/// An entry's content, of either version of the log.
#[derive(Debug)]
pub(super) struct Body {
    signature: Vec<u8>,
    /// The certificate of who signed, in DER.
    certificate: Vec<u8>,
    digest: Vec<u8>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Of the first version: a message.
    Message,
    /// Of the first version: an envelope.
    Envelope,
    /// Of the second version, which knows of messages only.
    Second,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    api_version: String,
    kind: String,
    spec: serde_json::Value,
}

#[derive(Deserialize)]
struct HashedRekord {
    data: Data,
    signature: ContentAndKey,
}

#[derive(Deserialize)]
struct Data {
    hash: HashValue,
}

#[derive(Deserialize)]
struct HashValue {
    algorithm: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContentAndKey {
    #[serde(with = "bytes")]
    content: Vec<u8>,
    public_key: Text,
}

#[derive(Deserialize)]
struct Text {
    #[serde(with = "bytes")]
    content: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Dsse {
    payload_hash: HashValue,
    signatures: Vec<DsseSignature>,
}

#[derive(Deserialize)]
struct DsseSignature {
    #[serde(with = "bytes")]
    signature: Vec<u8>,
    #[serde(with = "bytes")]
    verifier: Vec<u8>,
}

#[derive(Deserialize)]
struct Intoto {
    content: IntotoContent,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IntotoContent {
    payload_hash: HashValue,
    envelope: IntotoEnvelope,
}

#[derive(Deserialize)]
struct IntotoEnvelope {
    signatures: Vec<IntotoSignature>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IntotoSignature {
    /// Base64 of Base64.
    #[serde(with = "bytes")]
    sig: Vec<u8>,
    #[serde(with = "bytes")]
    public_key: Vec<u8>,
}

#[derive(Deserialize)]
struct Second {
    #[serde(rename = "hashedRekordV002")]
    record: SecondRecord,
}

#[derive(Deserialize)]
struct SecondRecord {
    data: SecondData,
    signature: SecondSignature,
}

#[derive(Deserialize)]
struct SecondData {
    algorithm: String,
    #[serde(with = "bytes")]
    digest: Vec<u8>,
}

#[derive(Deserialize)]
struct SecondSignature {
    #[serde(with = "bytes")]
    content: Vec<u8>,
    verifier: SecondVerifier,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SecondVerifier {
    x509_certificate: RawBytes,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawBytes {
    #[serde(with = "bytes")]
    raw_bytes: Vec<u8>,
}

impl Body {
    /// Reads an entry that a certificate signed. Others do not count here.
    pub(super) fn read(json: &[u8]) -> Option<Self> {
        let document: Document = serde_json::from_slice(json).ok()?;
        let spec = document.spec;
        match (document.kind.as_str(), document.api_version.as_str()) {
            ("hashedrekord", "0.0.1") => {
                let spec: HashedRekord = serde_json::from_value(spec).ok()?;
                Some(Self {
                    certificate: certificate(&spec.signature.public_key.content)?,
                    signature: spec.signature.content,
                    digest: sha256(&spec.data.hash)?,
                    kind: Kind::Message,
                })
            }
            ("dsse", "0.0.1") => {
                let spec: Dsse = serde_json::from_value(spec).ok()?;
                let [signature] = <[_; 1]>::try_from(spec.signatures).ok()?;
                Some(Self {
                    certificate: certificate(&signature.verifier)?,
                    signature: signature.signature,
                    digest: sha256(&spec.payload_hash)?,
                    kind: Kind::Envelope,
                })
            }
            ("intoto", "0.0.2") => {
                let spec: Intoto = serde_json::from_value(spec).ok()?;
                let signatures = spec.content.envelope.signatures;
                let [signature] = <[_; 1]>::try_from(signatures).ok()?;
                Some(Self {
                    certificate: certificate(&signature.public_key)?,
                    signature: base64(std::str::from_utf8(&signature.sig).ok()?)?,
                    digest: sha256(&spec.content.payload_hash)?,
                    kind: Kind::Envelope,
                })
            }
            ("hashedrekord", "0.0.2") => {
                let spec: Second = serde_json::from_value(spec).ok()?;
                let SecondRecord { data, signature } = spec.record;
                (data.algorithm == "SHA2_256").then_some(Self {
                    certificate: signature.verifier.x509_certificate.raw_bytes,
                    signature: signature.content,
                    digest: data.digest,
                    kind: Kind::Second,
                })
            }
            _ => None,
        }
    }

    pub(super) fn is_second(&self) -> bool {
        self.kind == Kind::Second
    }

    /// Says whether it is about a signature.
    pub(super) fn check(&self, claim: &Claim<'_>) -> Result<(), LogError> {
        if self.signature != claim.signature {
            return Err(LogError::OtherSignature);
        }
        if self.certificate != claim.certificate {
            return Err(LogError::OtherSigner);
        }
        let same = match (self.kind, claim.content) {
            (Kind::Message, Content::Message(digest))
            | (Kind::Envelope, Content::Payload(digest)) => self.digest == digest,
            (Kind::Second, _) => claim
                .message
                .is_some_and(|message| self.digest == Sha256::digest(message).as_slice()),
            _ => false,
        };
        same.then_some(()).ok_or(LogError::OtherContent)
    }
}

fn certificate(pem: &[u8]) -> Option<Vec<u8>> {
    let found = pem_certificates(std::str::from_utf8(pem).ok()?)?;
    found.into_iter().next()
}

fn sha256(hash: &HashValue) -> Option<Vec<u8>> {
    let value = (hash.algorithm == "sha256").then_some(&hash.value)?;
    hex::decode(value).ok()
}
