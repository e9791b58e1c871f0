//! Which values of a file are encrypted.

use regex::Regex;

/// The suffix of keys whose values stay in the clear where a file has no rule of its own.
const DEFAULT_SUFFIX: &str = "_unencrypted";

/// The rule of a file.
#[derive(Clone, Debug)]
pub(crate) enum Rule {
    UnencryptedSuffix(String),
    EncryptedSuffix(String),
    UnencryptedRegex(Regex),
    EncryptedRegex(Regex),
    /// Comments decide, which formats without comments cannot follow: a value is encrypted where
    /// it looks so.
    ByComment,
}

impl Default for Rule {
    fn default() -> Self {
        Self::UnencryptedSuffix(DEFAULT_SUFFIX.into())
    }
}

impl Rule {
    /// Whether the value under these keys is encrypted.
    pub(crate) fn encrypts(&self, path: &[String], value: &str) -> bool {
        let any = |test: &dyn Fn(&String) -> bool| path.iter().any(test);
        match self {
            Self::UnencryptedSuffix(suffix) => !any(&|key| key.ends_with(suffix)),
            Self::EncryptedSuffix(suffix) => any(&|key| key.ends_with(suffix)),
            Self::UnencryptedRegex(regex) => !any(&|key| regex.is_match(key)),
            Self::EncryptedRegex(regex) => any(&|key| regex.is_match(key)),
            Self::ByComment => crate::cipher::is_value(value),
        }
    }
}
