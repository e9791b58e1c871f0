//! The message authentication code of a whole file.

use sha2::{Digest, Sha512};

use crate::{
    DataKey, Metadata,
    cipher::{self, Plain},
};

/// What the code of files that cover encrypted values only begins with, so that it differs.
///
/// Source: sops v3.13 `MACOnlyEncryptedInitialization`: the SHA-256 of `sops`.
const ONLY_ENCRYPTED: [u8; 32] = [
    0x8a, 0x3f, 0xd2, 0xad, 0x54, 0xce, 0x66, 0x52, 0x7b, 0x10, 0x34, 0xf3, 0xd1, 0x47, 0xbe, 0xb,
    0xb, 0x97, 0x5b, 0x3b, 0xf4, 0x4f, 0x72, 0xc6, 0xfd, 0xad, 0xec, 0x81, 0x76, 0xf2, 0x7d, 0x69,
];

/// Gathers the values of a file in their order.
pub(crate) struct Mac {
    hash: Sha512,
    only_encrypted: bool,
}

impl Mac {
    pub(crate) fn new(metadata: &Metadata) -> Self {
        let mut hash = Sha512::new();
        if metadata.mac_only_encrypted {
            hash.update(ONLY_ENCRYPTED);
        }
        Self {
            hash,
            only_encrypted: metadata.mac_only_encrypted,
        }
    }

    pub(crate) fn encrypted(&mut self, value: &Plain) {
        if !matches!(value, Plain::Comment(_)) {
            self.hash.update(value.to_mac_bytes());
        }
    }

    pub(crate) fn clear(&mut self, bytes: &[u8]) {
        if !self.only_encrypted {
            self.hash.update(bytes);
        }
    }

    /// Whether the values are those that the file was encrypted with.
    pub(crate) fn agrees(self, metadata: &Metadata, key: &DataKey) -> bool {
        let own = hex::encode_upper(self.hash.finalize());
        match cipher::decrypt(&metadata.mac, key, &metadata.last_modified) {
            Ok(Plain::Text(stored)) => stored == own,
            _ => false,
        }
    }
}
