//! Private keys: making, reading, printing, signing.

use ed25519_dalek::Signer as _;
use ed25519_dalek::pkcs8::EncodePrivateKey as _;
use rsa::pkcs1::{DecodeRsaPrivateKey as _, EncodeRsaPrivateKey as _, LineEnding};
use rsa::pkcs8::{DecodePrivateKey as _, EncodePublicKey as _};
use rsa::rand_core::{CryptoRng, Error, RngCore};
use rsa::signature::SignatureEncoding as _;

use crate::random::Random;

/// Which key is made.
#[derive(Debug, Clone, Copy)]
pub(super) enum KeyKind {
    /// RSA of so many bits.
    Rsa(usize),
    /// ECDSA on P-256.
    Ecdsa,
    /// Ed25519.
    Ed25519,
}

/// A private key.
pub(super) enum Key {
    Rsa(Box<rsa::RsaPrivateKey>),
    Ecdsa(p256::SecretKey),
    Ed25519(Box<ed25519_dalek::SigningKey>),
}

/// The rendering's randomness, as the key makers take it.
struct Seeded<'a>(&'a Random);

impl RngCore for Seeded<'_> {
    fn next_u32(&mut self) -> u32 {
        let mut word = [0; 4];
        self.fill_bytes(&mut word);
        u32::from_be_bytes(word)
    }

    fn next_u64(&mut self) -> u64 {
        let mut word = [0; 8];
        self.fill_bytes(&mut word);
        u64::from_be_bytes(word)
    }

    fn fill_bytes(&mut self, out: &mut [u8]) {
        out.copy_from_slice(&self.0.bytes(out.len()));
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(out);
        Ok(())
    }
}

impl CryptoRng for Seeded<'_> {}

impl Key {
    pub(super) fn generate(kind: KeyKind, random: &Random) -> Result<Self, String> {
        let mut rng = Seeded(random);
        Ok(match kind {
            KeyKind::Rsa(bits) => {
                let key = rsa::RsaPrivateKey::new(&mut rng, bits).map_err(|e| e.to_string())?;
                Self::Rsa(Box::new(key))
            }
            KeyKind::Ecdsa => Self::Ecdsa(p256::SecretKey::random(&mut rng)),
            KeyKind::Ed25519 => {
                let mut seed = [0; 32];
                rng.fill_bytes(&mut seed);
                Self::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(&seed)))
            }
        })
    }

    /// Reads a key from PEM by what its label says.
    pub(super) fn parse(pem: &str) -> Result<Self, String> {
        let rsa = |key| Self::Rsa(Box::new(key));
        let label = pem
            .split("-----BEGIN ")
            .nth(1)
            .and_then(|r| r.split("-----").next());
        match label {
            None => Err("no PEM data in input".to_owned()),
            Some("RSA PRIVATE KEY") => rsa::RsaPrivateKey::from_pkcs1_pem(pem)
                .map(rsa)
                .map_err(|e| format!("parsing RSA private key from PEM: {e}")),
            Some("EC PRIVATE KEY") => p256::SecretKey::from_sec1_pem(pem)
                .map(Self::Ecdsa)
                .map_err(|e| format!("parsing EC private key from PEM: {e}")),
            Some("PRIVATE KEY") => rsa::RsaPrivateKey::from_pkcs8_pem(pem)
                .map(rsa)
                .or_else(|_| p256::SecretKey::from_pkcs8_pem(pem).map(Self::Ecdsa))
                .or_else(|_| {
                    ed25519_dalek::SigningKey::from_pkcs8_pem(pem)
                        .map(|key| Self::Ed25519(Box::new(key)))
                })
                .map_err(|e| format!("decoding PEM as PKCS#8: {e}")),
            Some(other) => Err(format!("no private key data in PEM block of type {other}")),
        }
    }

    /// The key in the form Go prints it: PKCS#1, SEC 1 or PKCS#8.
    pub(super) fn pem(&self) -> Result<String, String> {
        match self {
            Self::Rsa(key) => key
                .to_pkcs1_pem(LineEnding::LF)
                .map(|p| p.to_string())
                .map_err(|e| e.to_string()),
            Self::Ecdsa(key) => key
                .to_sec1_pem(p256::pkcs8::LineEnding::LF)
                .map(|p| p.to_string())
                .map_err(|e| e.to_string()),
            Self::Ed25519(key) => key
                .to_pkcs8_pem(ed25519_dalek::pkcs8::spki::der::pem::LineEnding::LF)
                .map(|p| p.to_string())
                .map_err(|e| e.to_string()),
        }
    }

    /// The public key as a SubjectPublicKeyInfo.
    pub(super) fn public_info(&self) -> Result<Vec<u8>, String> {
        let document = match self {
            Self::Rsa(key) => key
                .to_public_key()
                .to_public_key_der()
                .map_err(|e| e.to_string()),
            Self::Ecdsa(key) => key
                .public_key()
                .to_public_key_der()
                .map_err(|e| e.to_string()),
            Self::Ed25519(key) => key
                .verifying_key()
                .to_public_key_der()
                .map_err(|e| e.to_string()),
        }?;
        Ok(document.into_vec())
    }

    /// The identifier of the signature algorithm, and whether a NULL parameter follows it.
    pub(super) fn algorithm(&self) -> (&'static [u8], bool) {
        match self {
            // sha256WithRSAEncryption, ecdsa-with-SHA256, Ed25519
            Self::Rsa(_) => (
                &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b],
                true,
            ),
            Self::Ecdsa(_) => (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02], false),
            Self::Ed25519(_) => (&[0x2b, 0x65, 0x70], false),
        }
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Rsa(key) => {
                let signer = rsa::pkcs1v15::SigningKey::<rsa::sha2::Sha256>::new((**key).clone());
                rsa::signature::Signer::sign(&signer, message).to_vec()
            }
            Self::Ecdsa(key) => {
                let signer = p256::ecdsa::SigningKey::from(key);
                let signature: p256::ecdsa::DerSignature = signer.sign(message);
                signature.as_bytes().to_vec()
            }
            Self::Ed25519(key) => key.sign(message).to_bytes().to_vec(),
        }
    }
}
