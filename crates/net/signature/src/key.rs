//! Public keys and what they signed.

use der::Decode;
use der::asn1::ObjectIdentifier;
use p521::ecdsa::signature::hazmat::PrehashVerifier;
use ring::signature as rs;
use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_cert::spki::{SubjectPublicKeyInfoOwned, SubjectPublicKeyInfoRef};

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const PEM_BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const PEM_END: &str = "-----END PUBLIC KEY-----";

/// Why a public key is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text holds no public key.
    #[error("PEM decoding failed")]
    Pem,
    /// The bytes are no public key.
    #[error("unable to parse public key")]
    Der(#[source] der::Error),
    /// Keys of this kind are not supported.
    #[error("unsupported public key algorithm {0}")]
    Kind(String),
}

/// A public key that can check signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    kind: Kind,
    /// The key itself: a point, an RSA key in PKCS#1, 32 bytes.
    bits: Vec<u8>,
    /// The whole, with its algorithm.
    der: Vec<u8>,
}

/// The kind of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    P256,
    P384,
    P521,
    /// With the size of its modulus in bits.
    Rsa(usize),
    Ed25519,
}

/// The digest that is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// How a signature is written down and padded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// ECDSA in DER, RSA as PKCS#1 v1.5: certificates, cosign.
    Classic,
    /// ECDSA as two numbers, RSA as PSS: JOSE and COSE.
    Jose,
}

impl Hash {
    pub(crate) fn of(self, data: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(data).to_vec(),
            Self::Sha384 => Sha384::digest(data).to_vec(),
            Self::Sha512 => Sha512::digest(data).to_vec(),
        }
    }
}

impl PublicKey {
    /// Reads the first public key of a text.
    ///
    /// Shape: `-----BEGIN PUBLIC KEY-----`, as `cosign generate-key-pair` writes it.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn from_pem(text: &[u8]) -> Result<Self, KeyError> {
        let text = std::str::from_utf8(text).map_err(|_| KeyError::Pem)?;
        let (_, rest) = text.split_once(PEM_BEGIN).ok_or(KeyError::Pem)?;
        let (inner, _) = rest.split_once(PEM_END).ok_or(KeyError::Pem)?;
        let der = crate::encoding::base64(inner).ok_or(KeyError::Pem)?;
        Self::from_der(&der)
    }

    /// Reads a public key with its algorithm (SubjectPublicKeyInfo).
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        let info = SubjectPublicKeyInfoRef::from_der(der).map_err(KeyError::Der)?;
        let bits = info.subject_public_key.raw_bytes();
        let curve = info.algorithm.parameters_oid().ok();
        Self::of(info.algorithm.oid, curve, bits, der.to_vec())
    }

    /// Reads the key of a certificate.
    pub(crate) fn of_info(info: &SubjectPublicKeyInfoOwned) -> Result<Self, KeyError> {
        let der = der::Encode::to_der(info).map_err(KeyError::Der)?;
        Self::from_der(&der)
    }

    fn of(
        algorithm: ObjectIdentifier,
        curve: Option<ObjectIdentifier>,
        bits: &[u8],
        der: Vec<u8>,
    ) -> Result<Self, KeyError> {
        let kind = match (algorithm, curve) {
            (RSA, _) => Kind::Rsa(modulus_bits(bits).map_err(KeyError::Der)?),
            (ED25519, _) => Kind::Ed25519,
            (EC, Some(P256)) => Kind::P256,
            (EC, Some(P384)) => Kind::P384,
            (EC, Some(P521)) => Kind::P521,
            (other, _) => return Err(KeyError::Kind(other.to_string())),
        };
        Ok(Self {
            kind,
            bits: bits.to_vec(),
            der,
        })
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the key with its algorithm, in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Says whether this key made a signature over a digest of `message`.
    pub(crate) fn verifies(
        &self,
        hash: Hash,
        form: Form,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        use Form::{Classic, Jose};
        use Hash::{Sha256, Sha384, Sha512};
        let algorithm: &dyn rs::VerificationAlgorithm = match (self.kind, hash, form) {
            (Kind::P256, Sha256, Classic) => &rs::ECDSA_P256_SHA256_ASN1,
            (Kind::P256, Sha384, Classic) => &rs::ECDSA_P256_SHA384_ASN1,
            (Kind::P384, Sha256, Classic) => &rs::ECDSA_P384_SHA256_ASN1,
            (Kind::P384, Sha384, Classic) => &rs::ECDSA_P384_SHA384_ASN1,
            (Kind::P256, Sha256, Jose) => &rs::ECDSA_P256_SHA256_FIXED,
            (Kind::P384, Sha384, Jose) => &rs::ECDSA_P384_SHA384_FIXED,
            (Kind::Rsa(_), Sha256, Classic) => &rs::RSA_PKCS1_2048_8192_SHA256,
            (Kind::Rsa(_), Sha384, Classic) => &rs::RSA_PKCS1_2048_8192_SHA384,
            (Kind::Rsa(_), Sha512, Classic) => &rs::RSA_PKCS1_2048_8192_SHA512,
            (Kind::Rsa(_), Sha256, Jose) => &rs::RSA_PSS_2048_8192_SHA256,
            (Kind::Rsa(_), Sha384, Jose) => &rs::RSA_PSS_2048_8192_SHA384,
            (Kind::Rsa(_), Sha512, Jose) => &rs::RSA_PSS_2048_8192_SHA512,
            (Kind::Ed25519, _, Classic) => &rs::ED25519,
            (Kind::P521, _, _) => return self.verifies_p521(hash, form, message, signature),
            (Kind::P256 | Kind::P384, _, _) | (Kind::Ed25519, _, Jose) => return false,
        };
        rs::UnparsedPublicKey::new(algorithm, &self.bits)
            .verify(message, signature)
            .is_ok()
    }

    fn verifies_p521(&self, hash: Hash, form: Form, message: &[u8], signature: &[u8]) -> bool {
        let Ok(key) = p521::ecdsa::VerifyingKey::from_sec1_bytes(&self.bits) else {
            return false;
        };
        let signature = match form {
            Form::Classic => p521::ecdsa::Signature::from_der(signature),
            Form::Jose => p521::ecdsa::Signature::from_slice(signature),
        };
        // The curve's order is longer than any digest here: as a number, the digest is what it is.
        let digest = hash.of(message);
        let mut padded = [0; 66];
        padded[66 - digest.len()..].copy_from_slice(&digest);
        signature.is_ok_and(|signature| key.verify_prehash(&padded, &signature).is_ok())
    }

    /// Says whether this key made a signature, over whichever digest its kind goes with.
    ///
    /// Signers of the past took SHA-256 with every curve.
    pub(crate) fn verifies_any(&self, message: &[u8], signature: &[u8]) -> bool {
        let hashes: &[Hash] = match self.kind {
            Kind::P256 | Kind::Ed25519 | Kind::Rsa(_) => &[Hash::Sha256],
            Kind::P384 => &[Hash::Sha384, Hash::Sha256],
            Kind::P521 => &[Hash::Sha512, Hash::Sha256],
        };
        let plain = hashes
            .iter()
            .any(|hash| self.verifies(*hash, Form::Classic, message, signature));
        plain || self.verifies_ed25519_digest(message, signature)
    }

    /// Ed25519ph, by which cosign signs since its version 3.
    fn verifies_ed25519_digest(&self, message: &[u8], signature: &[u8]) -> bool {
        use ed25519_dalek::Digest as _;
        if self.kind != Kind::Ed25519 {
            return false;
        }
        let key = <[u8; 32]>::try_from(self.bits.as_slice()).ok();
        let key = key.and_then(|key| ed25519_dalek::VerifyingKey::from_bytes(&key).ok());
        let signature = ed25519_dalek::Signature::from_slice(signature).ok();
        let (Some(key), Some(signature)) = (key, signature) else {
            return false;
        };
        let digest = ed25519_dalek::Sha512::new().chain_update(message);
        key.verify_prehashed_strict(digest, None, &signature)
            .is_ok()
    }
}

fn modulus_bits(pkcs1: &[u8]) -> Result<usize, der::Error> {
    #[derive(der::Sequence)]
    struct RsaPublicKey<'a> {
        modulus: der::asn1::UintRef<'a>,
        exponent: der::asn1::UintRef<'a>,
    }
    let key = RsaPublicKey::from_der(pkcs1)?;
    if key.exponent.as_bytes().len() > 8 {
        return Err(der::ErrorKind::Overflow.into());
    }
    let bytes = key.modulus.as_bytes();
    let leading = bytes.first().map_or(0, |first| first.leading_zeros());
    Ok(bytes.len() * 8 - leading as usize)
}
