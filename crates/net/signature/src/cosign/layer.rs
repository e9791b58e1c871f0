//! Signatures as cosign 1 and 2 left them: layers of the image that the tag `sha256-<hex>.sig` names.

use std::collections::BTreeMap;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::identity::Signer;
use super::log::{self, Claim, Content, Entry, LogError, LogId, Promise};
use super::{Identity, SignerError, Subject, Trust, TrustedRoot, check_signer};
use crate::certificate::{Certificate, CertificateError};
use crate::encoding::{base64, bytes, number, pem_certificates};

const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
const BUNDLE: &str = "dev.sigstore.cosign/bundle";

/// Why a signature does not count.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayerError {
    /// The layer brings no signature.
    #[error("signature layer {SIGNATURE:?} is missing")]
    NoSignature,
    /// The signature is not the key's.
    #[error("invalid signature when validating ASN.1 encoded signature")]
    Signature,
    /// What is signed cannot be read.
    #[error("invalid signature payload")]
    Payload(#[source] serde_json::Error),
    /// What is signed is another image.
    #[error("invalid or missing digest in claim: {0}")]
    OtherDigest(String),
    /// The layer brings no certificate.
    #[error("no certificate found on signature")]
    NoCertificate,
    /// The certificate cannot be read.
    #[error("malformed certificate on signature")]
    Certificate(#[source] CertificateError),
    /// The certificate does not count.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// The certificate is somebody else's.
    #[error(
        "none of the expected identities matched what was in the certificate, got subjects [{subjects}] with issuer {issuer}"
    )]
    OtherIdentity {
        /// Whose it is.
        subjects: String,
        /// Who says so.
        issuer: String,
    },
    /// The layer brings no word of a log.
    #[error(
        "error verifying bundle: the signature brings no signed entry timestamp of a transparency log"
    )]
    NotLogged,
    /// The word of the log cannot be read.
    #[error("error verifying bundle")]
    Bundle(#[source] serde_json::Error),
    /// The log does not know of it.
    #[error("error verifying bundle")]
    Log(#[source] LogError),
}

/// A layer of the image that holds signatures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Layer {
    /// What is signed: JSON that names an image.
    pub payload: String,
    /// The signature, and what vouches for it.
    pub annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Payload {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: Image,
}

#[derive(Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Bundle {
    #[serde(with = "bytes")]
    signed_entry_timestamp: Vec<u8>,
    payload: BundlePayload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BundlePayload {
    #[serde(with = "bytes")]
    body: Vec<u8>,
    #[serde(with = "number")]
    integrated_time: i64,
    #[serde(with = "number")]
    log_index: i64,
    #[serde(rename = "logID")]
    log_id: String,
}

/// Says whether a layer's signature counts for an image. With a key, no log is asked for, as upstream has it.
///
/// # Errors
/// [`LayerError`].
pub fn verify_layer(
    layer: &Layer,
    trust: Trust<'_>,
    subject: Subject<'_>,
) -> Result<(), LayerError> {
    let signature = layer.annotations.get(SIGNATURE);
    let signature = signature.and_then(|text| base64(text));
    let signature = signature.ok_or(LayerError::NoSignature)?;
    let message = layer.payload.as_bytes();
    let holds = match trust {
        Trust::Key(key) => key.verifies_any(message, &signature),
        Trust::Keyless { root, identities } => {
            let key = signer(layer, &signature, root, identities)?;
            key.verifies_any(message, &signature)
        }
    };
    if !holds {
        return Err(LayerError::Signature);
    }
    // Deviation: upstream does not compare the two, so that a signature of one image would do for another.
    let payload: Payload = serde_json::from_str(&layer.payload).map_err(LayerError::Payload)?;
    let claimed = payload.critical.image.digest;
    if claimed != subject.digest {
        return Err(LayerError::OtherDigest(claimed));
    }
    Ok(())
}

fn signer(
    layer: &Layer,
    signature: &[u8],
    root: &TrustedRoot,
    identities: &[Identity],
) -> Result<crate::PublicKey, LayerError> {
    let bundle = layer.annotations.get(BUNDLE).ok_or(LayerError::NotLogged)?;
    let bundle: Bundle = serde_json::from_str(bundle).map_err(LayerError::Bundle)?;
    let certificate = layer.annotations.get(CERTIFICATE);
    let certificate = certificate.and_then(|pem| pem_certificates(pem)?.into_iter().next());
    let certificate = certificate.ok_or(LayerError::NoCertificate)?;
    let certificate = Certificate::from_der(&certificate).map_err(LayerError::Certificate)?;
    let entry = Entry {
        log_index: bundle.payload.log_index,
        log_id: LogId {
            key_id: hex::decode(&bundle.payload.log_id).unwrap_or_default(),
        },
        integrated_time: bundle.payload.integrated_time,
        inclusion_promise: Some(Promise {
            signed_entry_timestamp: bundle.signed_entry_timestamp,
        }),
        inclusion_proof: None,
        canonicalized_body: bundle.payload.body,
    };
    let claim = Claim {
        signature,
        certificate: &certificate.der,
        content: Content::Message(&Sha256::digest(&layer.payload)),
        message: None,
    };
    let at = log::verify_promise(&entry, &claim, root).map_err(LayerError::Log)?;
    let key = check_signer(&certificate, at, root)?;
    let signer = Signer::of(&certificate);
    if !identities.is_empty() && !identities.iter().any(|each| each.matches(&signer)) {
        return Err(LayerError::OtherIdentity {
            subjects: signer.subjects.join(", "),
            issuer: signer.issuer,
        });
    }
    Ok(key)
}
