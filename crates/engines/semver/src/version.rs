//! Versions: reading, printing, ordering and stepping.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// The longest version text that is read, in bytes.
const MAX_VERSION_BYTES: usize = 256;

/// Why a text is not a version. The texts are upstream's, since charts' users search for them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// The text has not the shape of a version.
    #[error("invalid semantic version")]
    Invalid,
    /// A strict version has an empty text.
    #[error("version string empty")]
    Empty,
    /// A numeric identifier starts with a zero.
    #[error("version segment starts with 0")]
    LeadingZero,
    /// A strict version holds other characters than allowed.
    #[error("invalid characters in version")]
    Characters,
    /// The prerelease holds other characters than allowed or an empty identifier.
    #[error("invalid prerelease string")]
    Prerelease,
    /// The metadata holds other characters than allowed or an empty identifier.
    #[error("invalid metadata string")]
    Metadata,
    /// A number does not fit 64 bits.
    #[error(
        "error parsing version segment: strconv.ParseUint: parsing \"{0}\": value out of range"
    )]
    Range(String),
    /// The text is longer than 256 bytes.
    #[error("version string is too long (max {MAX_VERSION_BYTES} bytes)")]
    TooLong,
}

/// A semantic version, with the text it was read from.
///
/// Equality and order follow precedence: build metadata does not count.
#[derive(Debug, Clone)]
pub struct Version {
    /// First number.
    pub major: u64,
    /// Second number, 0 where the text has none.
    pub minor: u64,
    /// Third number, 0 where the text has none.
    pub patch: u64,
    prerelease: String,
    metadata: String,
    original: String,
}

impl Version {
    /// Makes a release version from its three numbers.
    pub fn new(major: u64, minor: u64, patch: u64) -> Self {
        let original = format!("{major}.{minor}.{patch}");
        Self {
            major,
            minor,
            patch,
            prerelease: String::new(),
            metadata: String::new(),
            original,
        }
    }

    /// Reads a version leniently: an optional `v`, one to three numbers (`v1.2` is 1.2.0),
    /// leading zeros in numbers, optional prerelease and metadata.
    pub fn parse(text: &str) -> Result<Self, VersionError> {
        if text.len() > MAX_VERSION_BYTES {
            return Err(VersionError::TooLong);
        }
        let body = text.strip_prefix('v').unwrap_or(text);
        let (rest, metadata) = split_suffix(body, '+');
        let (numbers, prerelease) = split_suffix(rest, '-');
        let parts: Vec<&str> = numbers.split('.').collect();
        let shaped = parts.len() <= 3
            && parts
                .iter()
                .all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()))
            && prerelease.is_none_or(well_formed)
            && metadata.is_none_or(well_formed);
        if !shaped {
            return Err(VersionError::Invalid);
        }
        let number = |i: usize| parts.get(i).map_or(Ok(0), |p| parse_number(p));
        let version = Self {
            major: number(0)?,
            minor: number(1)?,
            patch: number(2)?,
            prerelease: prerelease.unwrap_or_default().to_owned(),
            metadata: metadata.unwrap_or_default().to_owned(),
            original: text.to_owned(),
        };
        check_prerelease(&version.prerelease)?;
        Ok(version)
    }

    /// Reads a version that follows SemVer 2.0.0 to the letter: no `v`, three numbers, no leading
    /// zeros.
    pub fn parse_strict(text: &str) -> Result<Self, VersionError> {
        if text.is_empty() {
            return Err(VersionError::Empty);
        }
        if text.len() > MAX_VERSION_BYTES {
            return Err(VersionError::TooLong);
        }
        let (rest, metadata) = split_suffix(text, '+');
        let (numbers, prerelease) = split_suffix(rest, '-');
        let parts: Vec<&str> = numbers.split('.').collect();
        if parts.len() != 3 {
            return Err(VersionError::Invalid);
        }
        for part in &parts {
            if part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit()) {
                return Err(VersionError::Characters);
            }
            if part.len() > 1 && part.starts_with('0') {
                return Err(VersionError::LeadingZero);
            }
        }
        if prerelease.is_some_and(|p| !well_formed(p)) {
            return Err(VersionError::Prerelease);
        }
        if metadata.is_some_and(|m| !well_formed(m)) {
            return Err(VersionError::Metadata);
        }
        Self::parse(text)
    }

    /// The prerelease identifiers without the dash; empty for a release.
    pub fn prerelease(&self) -> &str {
        &self.prerelease
    }

    /// The build metadata without the plus; empty where there is none.
    pub fn metadata(&self) -> &str {
        &self.metadata
    }

    /// The text the version was read from.
    pub fn original(&self) -> &str {
        &self.original
    }

    /// Compares by precedence, metadata aside.
    pub fn precedence(&self, other: &Self) -> Ordering {
        (self.major, self.minor, self.patch)
            .cmp(&(other.major, other.minor, other.patch))
            .then_with(|| compare_prerelease(&self.prerelease, &other.prerelease))
    }

    /// The next patch release; of a prerelease, its release.
    #[must_use]
    pub fn inc_patch(&self) -> Self {
        let patch = if self.prerelease.is_empty() {
            self.patch.saturating_add(1)
        } else {
            self.patch
        };
        self.stepped(self.major, self.minor, patch)
    }

    /// The next minor release.
    #[must_use]
    pub fn inc_minor(&self) -> Self {
        self.stepped(self.major, self.minor.saturating_add(1), 0)
    }

    /// The next major release.
    #[must_use]
    pub fn inc_major(&self) -> Self {
        self.stepped(self.major.saturating_add(1), 0, 0)
    }

    /// The same version with another prerelease; empty removes it.
    pub fn with_prerelease(&self, prerelease: &str) -> Result<Self, VersionError> {
        if !prerelease.is_empty() && !well_formed(prerelease) {
            return Err(VersionError::Prerelease);
        }
        check_prerelease(prerelease)?;
        let mut next = self.clone();
        prerelease.clone_into(&mut next.prerelease);
        next.original = next.prefixed();
        Ok(next)
    }

    /// The same version with other metadata; empty removes it.
    pub fn with_metadata(&self, metadata: &str) -> Result<Self, VersionError> {
        if !metadata.is_empty() && !well_formed(metadata) {
            return Err(VersionError::Metadata);
        }
        let mut next = self.clone();
        metadata.clone_into(&mut next.metadata);
        next.original = next.prefixed();
        Ok(next)
    }

    fn stepped(&self, major: u64, minor: u64, patch: u64) -> Self {
        let mut next = Self::new(major, minor, patch);
        if self.original.starts_with('v') {
            next.original.insert(0, 'v');
        }
        next
    }

    fn prefixed(&self) -> String {
        let prefix = if self.original.starts_with('v') {
            "v"
        } else {
            ""
        };
        format!("{prefix}{self}")
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if !self.prerelease.is_empty() {
            write!(f, "-{}", self.prerelease)?;
        }
        if !self.metadata.is_empty() {
            write!(f, "+{}", self.metadata)?;
        }
        Ok(())
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.precedence(other) == Ordering::Equal
    }
}

impl Eq for Version {}

impl Hash for Version {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.major, self.minor, self.patch, &self.prerelease).hash(state);
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.precedence(other)
    }
}

impl std::str::FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

fn split_suffix(text: &str, mark: char) -> (&str, Option<&str>) {
    text.split_once(mark)
        .map_or((text, None), |(head, tail)| (head, Some(tail)))
}

fn well_formed(suffix: &str) -> bool {
    suffix
        .split('.')
        .all(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
}

fn check_prerelease(prerelease: &str) -> Result<(), VersionError> {
    let zero_led =
        |id: &str| id.len() > 1 && id.starts_with('0') && id.bytes().all(|b| b.is_ascii_digit());
    if prerelease.split('.').any(zero_led) {
        Err(VersionError::LeadingZero)
    } else {
        Ok(())
    }
}

fn parse_number(digits: &str) -> Result<u64, VersionError> {
    digits
        .parse()
        .map_err(|_| VersionError::Range(digits.to_owned()))
}

/// Compares prereleases: none is newest, numbers before words, fewer identifiers before more.
pub(crate) fn compare_prerelease(a: &str, b: &str) -> Ordering {
    match (a.is_empty(), b.is_empty()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    let mut left = a.split('.');
    let mut right = b.split('.');
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) => compare_identifier(x, y),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn compare_identifier(a: &str, b: &str) -> Ordering {
    match (a.parse::<u64>(), b.parse::<u64>()) {
        (Ok(x), Ok(y)) => x.cmp(&y),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => a.cmp(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lenient_versions_are_filled_up() {
        for (text, printed) in [
            ("1", "1.0.0"),
            ("v1.2", "1.2.0"),
            ("01.2.3", "1.2.3"),
            ("1.2.3-rc.1+b5", "1.2.3-rc.1+b5"),
            ("1.2.3+01", "1.2.3+01"),
            ("1-a-b", "1.0.0-a-b"),
        ] {
            let version = Version::parse(text).unwrap();
            assert_eq!(
                (version.to_string().as_str(), version.original()),
                (printed, text)
            );
        }
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for (text, error) in [
            ("", VersionError::Invalid),
            ("V1", VersionError::Invalid),
            (" 1", VersionError::Invalid),
            ("1.2.3.4", VersionError::Invalid),
            ("1.2.3-", VersionError::Invalid),
            ("1_0", VersionError::Invalid),
            ("1.2.3-01", VersionError::LeadingZero),
            ("1.2.3-a.00", VersionError::LeadingZero),
        ] {
            assert_eq!(Version::parse(text).unwrap_err(), error, "{text}");
        }
        assert_eq!(
            Version::parse(&"1".repeat(300)).unwrap_err(),
            VersionError::TooLong
        );
    }

    #[test]
    fn strict_versions_need_three_plain_numbers() {
        assert!(Version::parse_strict("1.2.3-rc.1").is_ok());
        for text in ["v1.2.3", "1.2", "01.2.3", "", "1.2.x"] {
            assert!(Version::parse_strict(text).is_err(), "{text}");
        }
    }

    #[test]
    fn order_follows_precedence() {
        let sorted = [
            "1.0.0-1",
            "1.0.0-2.a",
            "1.0.0-10",
            "1.0.0-a",
            "1.0.0-a.1",
            "1.0.0",
            "1.0.1",
        ];
        for pair in sorted.windows(2) {
            let (a, b) = (
                Version::parse(pair[0]).unwrap(),
                Version::parse(pair[1]).unwrap(),
            );
            assert!(a < b, "{a} < {b}");
        }
        assert_eq!(
            Version::parse("1.0+a").unwrap(),
            Version::parse("v1+b").unwrap()
        );
    }

    #[test]
    fn steps_keep_the_prefix() {
        let version = Version::parse("v1.2.3-rc1").unwrap();
        assert_eq!(version.inc_patch().original(), "v1.2.3");
        assert_eq!(version.inc_minor().to_string(), "1.3.0");
        assert_eq!(version.inc_major().to_string(), "2.0.0");
        assert_eq!(version.with_prerelease("b").unwrap().original(), "v1.2.3-b");
        assert_eq!(
            version.with_metadata("a_b").unwrap_err(),
            VersionError::Metadata
        );
    }
}
