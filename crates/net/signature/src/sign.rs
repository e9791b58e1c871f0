//! Signatures of new commits.
//!
//! Source: which Secrets and in which words: fluxcd/image-automation-controller v1.2 `internal/source`.

use pgp::composed::{ArmorOptions, Deserializable, DetachedSignature, SignedSecretKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::types::Password;
use ssh_key::{HashAlg, LineEnding, PrivateKey};

const PGP_BLOCK: &str = "-----BEGIN PGP PRIVATE KEY BLOCK-----";
/// What SSH signatures of Git objects are for.
const NAMESPACE: &str = "git";

/// Why a key cannot sign.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SigningKeyError {
    /// The text holds no private key that can be read.
    #[error("{0}")]
    Unreadable(String),
    /// The text holds several keys.
    #[error("multiple entities read")]
    Several,
    /// The key is encrypted, and nothing to decrypt it with was given.
    #[error("the private key is encrypted and no passphrase was given")]
    NoPassphrase,
    /// The key cannot be decrypted.
    #[error("{0}")]
    Passphrase(String),
    /// No part of the key may sign.
    #[error("the key holds no part that may sign")]
    CannotSign,
    /// Signing failed.
    #[error("{0}")]
    Sign(String),
}

/// A private key that signs commits.
pub enum SigningKey {
    /// OpenPGP.
    Pgp(Box<PgpKey>),
    /// SSH.
    Ssh(Box<PrivateKey>),
}

/// An OpenPGP key and its passphrase.
pub struct PgpKey {
    key: SignedSecretKey,
    password: Password,
}

impl std::fmt::Debug for PgpKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PgpKey").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Pgp(_) => "Pgp(..)",
            Self::Ssh(_) => "Ssh(..)",
        })
    }
}

impl SigningKey {
    /// Reads an armoured OpenPGP private key.
    ///
    /// # Errors
    /// [`SigningKeyError`].
    pub fn pgp(armoured: &str, passphrase: Option<&str>) -> Result<Self, SigningKeyError> {
        if !armoured.contains(PGP_BLOCK) {
            return Err(SigningKeyError::Unreadable(
                "openpgp: invalid argument: no armored data found".into(),
            ));
        }
        let unreadable = |error: pgp::errors::Error| SigningKeyError::Unreadable(error.to_string());
        let (mut keys, _) =
            SignedSecretKey::from_armor_many(armoured.trim().as_bytes()).map_err(unreadable)?;
        let first = keys.next();
        let key = first.ok_or_else(|| SigningKeyError::Unreadable("no key found".into()))?;
        let key = key.map_err(unreadable)?;
        if keys.next().is_some() || armoured.matches(PGP_BLOCK).count() > 1 {
            return Err(SigningKeyError::Several);
        }
        let is_encrypted = key.primary_key.secret_params().is_encrypted();
        let password = match passphrase {
            Some(passphrase) => Password::from(passphrase),
            None if is_encrypted => return Err(SigningKeyError::NoPassphrase),
            None => Password::empty(),
        };
        let key = PgpKey { key, password };
        // A wrong passphrase is told now, not at the first commit.
        key.sign(b"").map_err(|error| match error {
            SigningKeyError::Sign(words) => SigningKeyError::Passphrase(words),
            other => other,
        })?;
        Ok(Self::Pgp(Box::new(key)))
    }

    /// Reads an SSH private key in OpenSSH's format.
    ///
    /// # Errors
    /// [`SigningKeyError`].
    pub fn ssh(text: &str, passphrase: Option<&str>) -> Result<Self, SigningKeyError> {
        let key = PrivateKey::from_openssh(text.trim())
            .map_err(|error| SigningKeyError::Unreadable(error.to_string()))?;
        if !key.is_encrypted() {
            return Ok(Self::Ssh(Box::new(key)));
        }
        let passphrase = passphrase.ok_or(SigningKeyError::NoPassphrase)?;
        let key = key
            .decrypt(passphrase)
            .map_err(|error| SigningKeyError::Passphrase(error.to_string()))?;
        Ok(Self::Ssh(Box::new(key)))
    }

    /// Signs the bytes of a commit. Returns an armoured signature.
    ///
    /// # Errors
    /// [`SigningKeyError::Sign`], [`SigningKeyError::CannotSign`].
    pub fn sign(&self, payload: &[u8]) -> Result<String, SigningKeyError> {
        match self {
            Self::Pgp(key) => key.sign(payload),
            Self::Ssh(key) => {
                let failed = |error: ssh_key::Error| SigningKeyError::Sign(error.to_string());
                let signature = key
                    .sign(NAMESPACE, HashAlg::Sha512, payload)
                    .map_err(failed)?;
                signature.to_pem(LineEnding::LF).map_err(failed)
            }
        }
    }
}

impl PgpKey {
    /// Signs with the newest subkey that may sign, or else with the primary key, as gpg does.
    fn sign(&self, payload: &[u8]) -> Result<String, SigningKeyError> {
        let failed = |error: pgp::errors::Error| SigningKeyError::Sign(error.to_string());
        let subkeys = self.key.secret_subkeys.iter().rev();
        let subkey = subkeys
            .filter(|subkey| subkey.signatures.iter().any(|s| s.key_flags().sign()))
            .map(|subkey| &subkey.key)
            .next();
        let hash = HashAlgorithm::Sha512;
        let rng = rand_core::OsRng;
        let password = &self.password;
        let signature = if let Some(subkey) = subkey {
            DetachedSignature::sign_binary_data(rng, subkey, password, hash, payload)
        } else {
            let key = &self.key.primary_key;
            DetachedSignature::sign_binary_data(rng, key, password, hash, payload)
        };
        signature
            .and_then(|signature| signature.to_armored_string(ArmorOptions::default()))
            .map_err(failed)
    }
}
