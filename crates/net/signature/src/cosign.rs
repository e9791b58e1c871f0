//! Signatures of images by cosign, with keys or without.
//!
//! A signature comes in one of two forms: a [`Layer`] of the image that the tag `sha256-<hex>.sig` names, or a bundle that
//! refers to the image ([`verify_bundle`]). Without keys, a certificate that an authority gave out for some minutes names
//! who signed; a log vouches for when that was, and another log for the certificate.
//!
//! Source: sigstore's client specification, bundle 0.1 to 0.3, Rekor 1 and 2; which signatures count, and the words: cosign
//! v3.0.6 and sigstore-go v1.2.0 as source-controller v1.9.4 uses them.

mod bundle;
mod identity;
mod layer;
mod log;
mod sct;
mod trusted_root;

pub use self::bundle::{BundleError, is_bundle, verify_bundle};
pub use self::identity::{Identity, IdentityError};
pub use self::layer::{Layer, LayerError, verify_layer};
pub use self::log::LogError;
pub use self::sct::SctError;
pub use self::trusted_root::{TrustedRoot, TrustedRootError};

use crate::certificate::{Certificate, CertificateError, verify_path};
use crate::key::PublicKey;

/// What a certificate is for that signs images, as paths are asked for it.
const CODE_SIGNING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 3];

/// Whose signatures count.
#[derive(Clone, Copy, Debug)]
pub enum Trust<'a> {
    /// Those that this key made.
    Key(&'a PublicKey),
    /// Those of one of these identities, or of any where there is none, as authorities and logs know it.
    Keyless {
        /// The authorities and logs.
        root: &'a TrustedRoot,
        /// The identities.
        identities: &'a [Identity],
    },
}

/// What is signed.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Digest of the manifest. Shape: `sha256:<hex>`.
    pub digest: &'a str,
    /// The manifest's bytes, for the signatures that are over them; `None` and those do not count.
    pub manifest: Option<&'a [u8]>,
}

/// Why a certificate without a key of ours does not count.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignerError {
    /// No authority knows it.
    #[error("leaf certificate verification failed")]
    Authority(#[source] Option<CertificateError>),
    /// No log knows it.
    #[error(transparent)]
    Sct(#[from] SctError),
    /// Its key is of no use.
    #[error("invalid certificate found on signature")]
    Key(#[source] crate::KeyError),
}

/// Checks that an authority gave out a certificate, that it was valid at a moment and that a log knows it.
fn check_signer(leaf: &Certificate, at: i64, root: &TrustedRoot) -> Result<PublicKey, SignerError> {
    let mut last = None;
    for authority in &root.authorities {
        if !authority.is_valid_at(at) {
            continue;
        }
        match verify_path(leaf, &authority.certificates, CODE_SIGNING, at) {
            Ok(()) => {
                sct::verify(leaf, &authority.certificates, &root.certificate_logs)?;
                return leaf.key().map_err(SignerError::Key);
            }
            Err(error) => last = Some(error),
        }
    }
    Err(SignerError::Authority(last))
}
