//! Signatures. Verification is pure: what it needs comes as text and bytes, the time with it.
//!
//! Of Git commits and tags: OpenPGP and SSH. Of images: [`cosign`] and [`notation`].

mod certificate;
pub mod cosign;
mod encoding;
mod key;
pub mod notation;
mod pgp;
mod sign;
mod ssh;
mod timestamp;

pub use self::certificate::CertificateError;
pub use self::key::{KeyError, PublicKey};
pub use self::pgp::{PgpError, verify_pgp};
pub use self::sign::{PgpKey, SigningKey, SigningKeyError};
pub use self::ssh::{SshError, verify_ssh};
pub use self::timestamp::TimestampError;

/// The kind of an armoured signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// OpenPGP.
    Pgp,
    /// SSH, as `ssh-keygen -Y sign` makes it.
    Ssh,
    /// X.509 in CMS, which is not supported.
    X509,
    /// None of these.
    Unknown,
    /// No signature at all.
    Empty,
}

impl Kind {
    /// Tells the kind from the armour's first line.
    pub fn of(signature: &[u8]) -> Self {
        let text = signature.trim_ascii_start();
        let starts = |with: &str| text.starts_with(with.as_bytes());
        if text.is_empty() {
            Self::Empty
        } else if starts("-----BEGIN PGP SIGNATURE-----") || starts("-----BEGIN PGP MESSAGE-----") {
            Self::Pgp
        } else if starts("-----BEGIN SSH SIGNATURE-----") {
            Self::Ssh
        } else if starts("-----BEGIN SIGNED MESSAGE-----") {
            Self::X509
        } else {
            Self::Unknown
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Pgp => "openpgp",
            Self::Ssh => "ssh",
            Self::X509 => "x509",
            Self::Unknown => "unknown",
            Self::Empty => "empty",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: SC-089
    #[test]
    fn kind_is_told_from_the_armour() {
        for (text, kind) in [
            ("", Kind::Empty),
            ("\n", Kind::Empty),
            ("-----BEGIN PGP SIGNATURE-----\n", Kind::Pgp),
            ("-----BEGIN SSH SIGNATURE-----\n", Kind::Ssh),
            ("-----BEGIN SIGNED MESSAGE-----\n", Kind::X509),
            ("signed, me", Kind::Unknown),
        ] {
            assert_eq!(Kind::of(text.as_bytes()), kind, "{text}");
        }
    }
}
