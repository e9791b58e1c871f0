//! Digests of artifacts: `<algorithm>:<hex>`.

use std::fmt;
use std::str::FromStr;

use sha2::Digest as _;

/// An algorithm that artifacts can be hashed with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// SHA-1.
    Sha1,
    /// SHA-256.
    #[default]
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
    /// BLAKE3 with 256 bits.
    Blake3,
}

impl Algorithm {
    /// Returns the name used before the colon and in `--artifact-digest-algo`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
            Self::Blake3 => "blake3",
        }
    }

    fn hex_length(self) -> usize {
        match self {
            Self::Sha1 => 40,
            Self::Sha256 | Self::Blake3 => 64,
            Self::Sha384 => 96,
            Self::Sha512 => 128,
        }
    }
}

/// The name of an algorithm is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unsupported digest algorithm: {0}")]
pub struct UnknownAlgorithm(pub String);

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        [
            Self::Sha1,
            Self::Sha256,
            Self::Sha384,
            Self::Sha512,
            Self::Blake3,
        ]
        .into_iter()
        .find(|algorithm| algorithm.name() == name)
        .ok_or_else(|| UnknownAlgorithm(name.to_owned()))
    }
}

/// A digest. Shape: `sha256:9f86d0…`, lower-case hex.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(String);

/// Why a text is no digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// No text at all.
    #[error("empty digest")]
    Empty,
    /// The algorithm is not known.
    #[error(transparent)]
    Algorithm(#[from] UnknownAlgorithm),
    /// What follows the colon is not as long as the algorithm's digests, or no lower-case hex.
    #[error("invalid checksum digest format")]
    Format,
}

impl Digest {
    /// Returns the algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.0
            .split_once(':')
            .and_then(|(name, _)| name.parse().ok())
            .unwrap_or_default()
    }

    /// Returns the whole text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Digest {
    type Err = ParseError;

    /// Reads a digest; hex without an algorithm counts as SHA-256.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.is_empty() {
            return Err(ParseError::Empty);
        }
        let (name, hex) = text.split_once(':').unwrap_or(("sha256", text));
        let algorithm: Algorithm = name.parse()?;
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if hex.len() != algorithm.hex_length() || !hex.bytes().all(is_hex) {
            return Err(ParseError::Format);
        }
        Ok(Self(format!("{name}:{hex}")))
    }
}

/// Computes a digest over bytes as they come.
#[derive(Clone, Debug)]
pub struct Hasher(State);

#[derive(Clone, Debug)]
enum State {
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
    Sha384(sha2::Sha384),
    Sha512(sha2::Sha512),
    Blake3(Box<blake3::Hasher>),
}

impl Hasher {
    /// Returns a hasher that has seen nothing.
    pub fn new(algorithm: Algorithm) -> Self {
        Self(match algorithm {
            Algorithm::Sha1 => State::Sha1(sha1::Sha1::new()),
            Algorithm::Sha256 => State::Sha256(sha2::Sha256::new()),
            Algorithm::Sha384 => State::Sha384(sha2::Sha384::new()),
            Algorithm::Sha512 => State::Sha512(sha2::Sha512::new()),
            Algorithm::Blake3 => State::Blake3(Box::default()),
        })
    }

    /// Takes in more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha1(hasher) => hasher.update(bytes),
            State::Sha256(hasher) => hasher.update(bytes),
            State::Sha384(hasher) => hasher.update(bytes),
            State::Sha512(hasher) => hasher.update(bytes),
            State::Blake3(hasher) => {
                hasher.update(bytes);
            }
        }
    }

    /// Returns the digest of all bytes taken in.
    pub fn finish(self) -> Digest {
        let (algorithm, hex) = match self.0 {
            State::Sha1(hasher) => (Algorithm::Sha1, hex::encode(hasher.finalize())),
            State::Sha256(hasher) => (Algorithm::Sha256, hex::encode(hasher.finalize())),
            State::Sha384(hasher) => (Algorithm::Sha384, hex::encode(hasher.finalize())),
            State::Sha512(hasher) => (Algorithm::Sha512, hex::encode(hasher.finalize())),
            State::Blake3(hasher) => (Algorithm::Blake3, hex::encode(hasher.finalize().as_bytes())),
        };
        Digest(format!("{}:{hex}", algorithm.name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_digests_of_abc() {
        for (name, expected) in [
            ("sha1", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (
                "sha256",
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
            (
                "sha384",
                "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed\
                 8086072ba1e7cc2358baeca134c825a7",
            ),
            (
                "sha512",
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                 2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            ),
            (
                "blake3",
                "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85",
            ),
        ] {
            let mut hasher = Hasher::new(name.parse().unwrap());
            hasher.update(b"a");
            hasher.update(b"bc");
            let digest = hasher.finish();
            assert_eq!(digest.as_str(), format!("{name}:{expected}"));
            assert_eq!(digest.as_str().parse::<Digest>().unwrap(), digest);
            assert_eq!(digest.algorithm().name(), name);
        }
    }

    #[test]
    fn bare_hex_is_sha256() {
        let hex = "ab".repeat(32);
        assert_eq!(
            hex.parse::<Digest>().unwrap().as_str(),
            format!("sha256:{hex}")
        );
    }

    #[test]
    fn texts_that_are_no_digest_are_refused() {
        let long = "ab".repeat(32);
        assert_eq!("".parse::<Digest>(), Err(ParseError::Empty));
        for text in [
            "sha256:".to_owned(),
            "sha256:abc".to_owned(),
            format!("sha512:{long}"),
            format!("sha256:{}", long.to_uppercase()),
            "invalid".to_owned(),
        ] {
            assert_eq!(text.parse::<Digest>(), Err(ParseError::Format), "{text}");
        }
        let error = format!("md5:{long}").parse::<Digest>().unwrap_err();
        assert_eq!(error.to_string(), "unsupported digest algorithm: md5");
    }
}
