//! OpenPGP messages, as far as SOPS uses them: a data key to a key without passphrase.

use ::pgp::{
    composed::{Deserializable, Message, SignedSecretKey},
    types::Password,
};
use zeroize::Zeroizing;

/// The largest message that is read, decrypted.
const MAX_MESSAGE: usize = 1 << 16;

/// Private keys.
#[derive(Clone, Default)]
pub struct SecretKeys(Vec<SignedSecretKey>);

impl std::fmt::Debug for SecretKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SecretKeys").field(&self.0.len()).finish()
    }
}

/// Keys or messages that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PgpError {
    /// It is no armored private key.
    #[error("cannot read the armored private key: {0}")]
    Key(String),
    /// It is no armored message.
    #[error("cannot read the armored message: {0}")]
    Message(String),
    /// None of the keys opens the message.
    #[error("could not decrypt data key with PGP key: no private key fits")]
    NoMatch,
}

impl SecretKeys {
    /// Adds the keys of an armored text.
    ///
    /// # Errors
    /// [`PgpError::Key`].
    pub fn add(&mut self, armored: &[u8]) -> Result<(), PgpError> {
        let failed = |error: ::pgp::errors::Error| PgpError::Key(error.to_string());
        let (keys, _) = SignedSecretKey::from_armor_many(armored).map_err(failed)?;
        let before = self.0.len();
        for key in keys {
            self.0.push(key.map_err(failed)?);
        }
        if self.0.len() == before {
            return Err(PgpError::Key("it holds none".into()));
        }
        Ok(())
    }

    /// Returns true where there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Decrypts an armored message with whichever key fits.
    ///
    /// # Errors
    /// [`PgpError`].
    pub fn decrypt(&self, armored: &str) -> Result<Zeroizing<Vec<u8>>, PgpError> {
        for key in &self.0 {
            let failed = |error: ::pgp::errors::Error| PgpError::Message(error.to_string());
            let (message, _) = Message::from_armor(armored.as_bytes()).map_err(failed)?;
            let Ok(opened) = message.decrypt(&Password::empty(), key) else {
                continue;
            };
            let mut opened = if opened.is_compressed() {
                opened.decompress().map_err(failed)?
            } else {
                opened
            };
            let bytes = opened.as_data_vec();
            let bytes = bytes.map_err(|error| PgpError::Message(error.to_string()))?;
            if bytes.len() <= MAX_MESSAGE {
                return Ok(Zeroizing::new(bytes));
            }
        }
        Err(PgpError::NoMatch)
    }
}
