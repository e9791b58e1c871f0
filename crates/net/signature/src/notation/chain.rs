//! The certificates of an envelope: each one signed by the next, the last one by itself.
//!
//! Source: Notary Project, signature-specification, certificate requirements.

use der::asn1::ObjectIdentifier;

use crate::certificate::Certificate;
use crate::key::{Hash, Kind};

/// Purposes that a certificate for signing must not have.
const OTHER_PURPOSES: [(&str, &str); 5] = [
    ("1.3.6.1.5.5.7.3.1", "ServerAuth"),
    ("1.3.6.1.5.5.7.3.2", "ClientAuth"),
    ("1.3.6.1.5.5.7.3.4", "EmailProtection"),
    ("1.3.6.1.5.5.7.3.8", "Timestamping"),
    ("1.3.6.1.5.5.7.3.9", "OCSPSigning"),
];
const MAX_CERTIFICATES: usize = 16;

/// Why the certificates of an envelope are of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// There are none, or too many.
    #[error(
        "certificate chain must contain at least one certificate, and {MAX_CERTIFICATES} at most"
    )]
    Number,
    /// One of them did not sign the one before it.
    #[error("certificate with subject {0:?} is not issued by {1:?}")]
    NotIssued(String, String),
    /// The last one did not sign itself.
    #[error(
        "root certificate with subject {0:?} is not self-signed. Certificate chain must end with a valid self-signed root certificate"
    )]
    Root(String),
    /// One before the last signed itself.
    #[error("certificate with subject {0:?} is self-signed")]
    SelfSigned(String),
    /// It is not allowed to sign what it signed.
    #[error("certificate with subject {subject:?}: {why}")]
    Rule {
        /// Whose certificate.
        subject: String,
        /// The rule that it breaks.
        why: String,
    },
}

/// How a leaf's key signs: by its kind and size alone.
pub(super) fn algorithm(leaf: &Certificate) -> Option<Hash> {
    match leaf.key().ok()?.kind() {
        Kind::P256 | Kind::Rsa(2048) => Some(Hash::Sha256),
        Kind::P384 | Kind::Rsa(3072) => Some(Hash::Sha384),
        Kind::P521 | Kind::Rsa(4096) => Some(Hash::Sha512),
        Kind::Rsa(_) | Kind::Ed25519 => None,
    }
}

/// Checks the certificates, the signer's first.
pub(super) fn check(chain: &[Certificate]) -> Result<(), ChainError> {
    let (Some(leaf), Some(root)) = (chain.first(), chain.last()) else {
        return Err(ChainError::Number);
    };
    if chain.len() > MAX_CERTIFICATES {
        return Err(ChainError::Number);
    }
    if !root.is_issued_by(root) {
        return Err(ChainError::Root(root.subject()));
    }
    for pair in chain.windows(2) {
        let [one, next] = pair else { continue };
        if one.is_issued_by(one) {
            return Err(ChainError::SelfSigned(one.subject()));
        }
        if !one.is_issued_by(next) {
            return Err(ChainError::NotIssued(one.subject(), next.subject()));
        }
    }
    check_leaf(leaf)?;
    for (below, authority) in chain.iter().skip(1).enumerate() {
        check_authority(authority, below)?;
    }
    Ok(())
}

fn rule(certificate: &Certificate, why: impl Into<String>) -> ChainError {
    ChainError::Rule {
        subject: certificate.subject(),
        why: why.into(),
    }
}

fn check_leaf(leaf: &Certificate) -> Result<(), ChainError> {
    if leaf.authority().is_some() {
        return Err(rule(
            leaf,
            "if the basic constraints extension is present, the ca field must be set to false",
        ));
    }
    let usage = leaf.usage();
    let usage = usage.ok_or_else(|| rule(leaf, "key usage extension must be present"))?;
    if !usage.critical {
        return Err(rule(leaf, "key usage extension must be marked critical"));
    }
    if !usage.signs_only {
        return Err(rule(
            leaf,
            "the key usage must be \"Digital Signature\" only",
        ));
    }
    let (_, purposes) = leaf.purposes().unwrap_or_default();
    for (id, name) in OTHER_PURPOSES {
        if purposes.contains(&ObjectIdentifier::new_unwrap(id)) {
            return Err(rule(
                leaf,
                format!("extended key usage must not contain {name} eku"),
            ));
        }
    }
    if algorithm(leaf).is_none() {
        return Err(rule(leaf, "key of this kind or size is not supported"));
    }
    Ok(())
}

/// `below` is how many authorities lie between this one and the signer.
fn check_authority(authority: &Certificate, below: usize) -> Result<(), ChainError> {
    let Some(role) = authority.authority() else {
        return Err(rule(
            authority,
            "ca field in basic constraints must be present, critical, and set to true",
        ));
    };
    if role.below.is_some_and(|most| usize::from(most) < below) {
        return Err(rule(authority, "too many certificates below it"));
    }
    match authority.usage() {
        Some(usage) if usage.critical && usage.certificates => Ok(()),
        Some(usage) if usage.critical => Err(rule(
            authority,
            "key usage must have the bit positions for key cert sign set",
        )),
        _ => Err(rule(
            authority,
            "key usage extension must be present and critical",
        )),
    }
}
