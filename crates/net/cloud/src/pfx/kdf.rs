//! Keys out of passwords.

use std::num::NonZeroU32;

use der::asn1::ObjectIdentifier;
use ring::{digest, hmac, pbkdf2};

use super::PfxError;

/// How often a hash is computed for all keys of a file at most: some seconds. Programs of today ask for a few thousand, the
/// careful for some hundred thousand.
pub(super) const MAX_ROUNDS: u64 = 3_000_000;

/// A hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    /// Returns the function with this name, or that of its keyed form.
    pub(super) fn of(name: ObjectIdentifier) -> Result<Self, PfxError> {
        match name.to_string().as_str() {
            "1.3.14.3.2.26" | "1.2.840.113549.2.7" => Ok(Self::Sha1),
            "2.16.840.1.101.3.4.2.1" | "1.2.840.113549.2.9" => Ok(Self::Sha256),
            "2.16.840.1.101.3.4.2.2" | "1.2.840.113549.2.10" => Ok(Self::Sha384),
            "2.16.840.1.101.3.4.2.3" | "1.2.840.113549.2.11" => Ok(Self::Sha512),
            _ => Err(PfxError::Algorithm(name)),
        }
    }

    fn digest(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }

    pub(super) fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha384 => hmac::HMAC_SHA384,
            Self::Sha512 => hmac::HMAC_SHA512,
        }
    }

    fn pbkdf2(self) -> pbkdf2::Algorithm {
        match self {
            Self::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Self::Sha384 => pbkdf2::PBKDF2_HMAC_SHA384,
            Self::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        }
    }

    /// Returns the length of a hash in bytes.
    pub(super) fn size(self) -> usize {
        self.digest().output_len()
    }
}

/// What a key is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    Cipher = 1,
    Start = 2,
    Mac = 3,
}

/// Returns a password in the ways that PKCS #12 takes it: in UTF-16 with a zero at its end; an empty one also as nothing.
pub(super) fn spellings(password: &str) -> Vec<Vec<u8>> {
    let units = password.encode_utf16().chain([0]);
    let mut all = vec![units.flat_map(u16::to_be_bytes).collect()];
    if password.is_empty() {
        all.push(Vec::new());
    }
    all
}

/// Counts how often hashes are computed.
#[derive(Debug, Default)]
pub(super) struct Rounds(u64);

impl Rounds {
    fn take(&mut self, rounds: u64, size: usize, hash: Hash) -> Result<(), PfxError> {
        let blocks = size.div_ceil(hash.size()) as u64;
        self.0 = self.0.saturating_add(rounds.saturating_mul(blocks));
        if self.0 > MAX_ROUNDS {
            return Err(PfxError::Rounds);
        }
        Ok(())
    }

    /// Makes a key as PKCS #12 does.
    ///
    /// Source: RFC 7292, appendix B.2.
    pub(super) fn key(
        &mut self,
        hash: Hash,
        purpose: Purpose,
        password: &[u8],
        (salt, rounds): (&[u8], u64),
        size: usize,
    ) -> Result<Vec<u8>, PfxError> {
        self.take(rounds, size, hash)?;
        let block = hash.digest().block_len();
        let mut input = stretched(salt, block);
        input.extend(stretched(password, block));
        let mut key = Vec::new();
        loop {
            let mut context = digest::Context::new(hash.digest());
            context.update(&vec![purpose as u8; block]);
            context.update(&input);
            let mut sum = context.finish();
            for _ in 1..rounds {
                sum = digest::digest(hash.digest(), sum.as_ref());
            }
            key.extend_from_slice(sum.as_ref());
            if key.len() >= size {
                key.truncate(size);
                return Ok(key);
            }
            let summand = stretched_to(sum.as_ref(), block);
            for chunk in input.chunks_exact_mut(block) {
                add_and_one(chunk, &summand);
            }
        }
    }

    /// Makes a key as PKCS #5 does.
    ///
    /// Source: RFC 8018, 5.2.
    pub(super) fn pbkdf2(
        &mut self,
        hash: Hash,
        password: &str,
        (salt, rounds): (&[u8], u32),
        size: usize,
    ) -> Result<Vec<u8>, PfxError> {
        self.take(u64::from(rounds), size, hash)?;
        let rounds = NonZeroU32::new(rounds).ok_or(PfxError::Password)?;
        let mut key = vec![0; size];
        pbkdf2::derive(hash.pbkdf2(), rounds, salt, password.as_bytes(), &mut key);
        Ok(key)
    }
}

/// Repeats bytes up to the next multiple of a block; nothing stays nothing.
fn stretched(bytes: &[u8], block: usize) -> Vec<u8> {
    stretched_to(bytes, bytes.len().next_multiple_of(block))
}

fn stretched_to(bytes: &[u8], size: usize) -> Vec<u8> {
    bytes.iter().copied().cycle().take(size).collect()
}

/// Adds a number and one to another of the same size, both with the highest byte first. What overflows is lost.
fn add_and_one(number: &mut [u8], summand: &[u8]) {
    let mut carry = 1_u16;
    for (byte, other) in number.iter_mut().zip(summand).rev() {
        let sum = u16::from(*byte) + u16::from(*other) + carry;
        let [high, low] = sum.to_be_bytes();
        (carry, *byte) = (u16::from(high), low);
    }
}
