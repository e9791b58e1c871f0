//! Checksums with the name of their algorithm.

use std::{fmt, str::FromStr};

/// Names bytes by a checksum: `<algorithm>:<encoded>`, such as `sha256:9f86d0…`.
///
/// The algorithm is lower-case words joined by one of `+ . _ -`; the encoded part has letters, digits, `= _ -`. For
/// the algorithms that are known (`sha256`, `sha384`, `sha512`, `blake3`) it must be lower-case hex of the right length.
///
/// Source: OCI image-spec 1.1, `descriptor.md`, section "Digests".
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    text: String,
    colon: usize,
}

/// Says why a text is not a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DigestError {
    /// The text lacks `<algorithm>:<encoded>`, or has characters that neither part may have.
    Format(String),
    /// The encoded part is not lower-case hex of the algorithm's length.
    Encoded {
        /// The algorithm.
        algorithm: String,
        /// How many hex digits it needs.
        digits: usize,
    },
}

impl fmt::Display for DigestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format(text) => write!(f, "invalid digest {text:?}"),
            Self::Encoded { algorithm, digits } => {
                write!(
                    f,
                    "a {algorithm} digest needs {digits} lower-case hex digits"
                )
            }
        }
    }
}

impl std::error::Error for DigestError {}

impl Digest {
    /// Returns the name of the algorithm.
    #[must_use]
    pub fn algorithm(&self) -> &str {
        self.text.get(..self.colon).unwrap_or_default()
    }

    /// Returns the checksum itself, as text.
    #[must_use]
    pub fn encoded(&self) -> &str {
        self.text.get(self.colon + 1..).unwrap_or_default()
    }

    /// Returns the whole text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let format = || DigestError::Format(text.to_owned());
        let (algorithm, encoded) = text.split_once(':').ok_or_else(format)?;
        let words = algorithm.split(['+', '.', '_', '-']);
        let is_word = |word: &str| {
            !word.is_empty()
                && word
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        let is_encoded = |b: u8| b.is_ascii_alphanumeric() || b"=_-".contains(&b);
        if !words.clone().all(is_word) || encoded.is_empty() || !encoded.bytes().all(is_encoded) {
            return Err(format());
        }
        let digits = match algorithm {
            "sha256" | "blake3" => 64,
            "sha384" => 96,
            "sha512" => 128,
            _ => encoded.len(),
        };
        let known = matches!(algorithm, "sha256" | "sha384" | "sha512" | "blake3");
        let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if known && (encoded.len() != digits || !encoded.bytes().all(is_hex)) {
            return Err(DigestError::Encoded {
                algorithm: algorithm.to_owned(),
                digits,
            });
        }
        Ok(Self {
            text: text.to_owned(),
            colon: algorithm.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn splits_algorithm_and_checksum() {
        let text = format!("sha256:{}", "0f".repeat(32));
        let digest: Digest = text.parse().unwrap();
        assert_eq!(
            (digest.algorithm(), digest.encoded()),
            ("sha256", &*"0f".repeat(32))
        );
        assert_eq!(digest.to_string(), text);
        assert!(
            format!("sha512:{}", "a".repeat(128))
                .parse::<Digest>()
                .is_ok()
        );
        assert!(
            "multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8"
                .parse::<Digest>()
                .is_ok()
        );
        assert!(
            "sha256+b64u:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564"
                .parse::<Digest>()
                .is_ok()
        );
    }

    #[test]
    fn refuses_what_is_no_digest() {
        for text in [
            "",
            ":",
            "sha256",
            "sha256:",
            ":ab",
            "SHA256:ab",
            "sha--1:ab",
            "a:b c",
            "a:b:c",
            "sha256:zz",
        ] {
            assert!(text.parse::<Digest>().is_err(), "{text:?}");
        }
        let upper = format!("sha256:{}", "AB".repeat(32));
        assert_eq!(
            upper.parse::<Digest>().unwrap_err().to_string(),
            "a sha256 digest needs 64 lower-case hex digits"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*") {
            if let Ok(digest) = text.parse::<Digest>() {
                prop_assert_eq!(digest.as_str(), format!("{}:{}", digest.algorithm(), digest.encoded()));
            }
        }

        #[test]
        fn well_formed_text_reads_back(text in "md5[a-z0-9]{0,3}([+._-][a-z0-9]{1,4}){0,2}:[a-zA-Z0-9=_-]{1,40}") {
            prop_assert_eq!(text.parse::<Digest>().unwrap().to_string(), text);
        }
    }
}
