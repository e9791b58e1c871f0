//! Constraints: groups of comparisons joined by comma or space, groups joined by `||`.

use std::cmp::Ordering;
use std::fmt;

use crate::version::{Version, compare_prerelease};

const MAX_CONSTRAINT_BYTES: usize = 512;
const MAX_GROUPS: usize = 32;

/// Why a text is not a constraint. The texts are upstream's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConstraintError {
    /// The text has not the shape of a constraint.
    #[error("improper constraint: {0:?}")]
    Improper(String),
    /// The text has more than 32 groups.
    #[error("too many constraint groups (max {MAX_GROUPS})")]
    TooManyGroups,
    /// The text is longer than 512 bytes.
    #[error("version constraint string is too long (max {MAX_CONSTRAINT_BYTES} bytes)")]
    TooLong,
    /// A version inside the constraint cannot be read, for example one with a huge number.
    #[error("constraint parser error")]
    Version,
}

/// A version constraint such as `>=1.20-0 <2 || ^3`.
#[derive(Debug, Clone)]
pub struct Constraint {
    groups: Vec<Group>,
    original: String,
}

#[derive(Debug, Clone)]
struct Group {
    comparisons: Vec<Comparison>,
    /// A prerelease satisfies the group only if one of its comparisons names a prerelease.
    prereleases: bool,
}

#[derive(Debug, Clone)]
struct Comparison {
    operator: Operator,
    version: Version,
    /// How many leading numbers the text gave; the rest are wildcards.
    given: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterEqual,
    LessEqual,
    Tilde,
    Caret,
}

/// Operators by their text, longest first so that the first prefix that fits is the right one.
const OPERATORS: [(&str, Operator); 11] = [
    ("!=", Operator::NotEqual),
    (">=", Operator::GreaterEqual),
    ("=>", Operator::GreaterEqual),
    ("<=", Operator::LessEqual),
    ("=<", Operator::LessEqual),
    ("~>", Operator::Tilde),
    ("=", Operator::Equal),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("~", Operator::Tilde),
    ("^", Operator::Caret),
];

impl Constraint {
    /// Reads a constraint.
    pub fn parse(text: &str) -> Result<Self, ConstraintError> {
        if text.len() > MAX_CONSTRAINT_BYTES {
            return Err(ConstraintError::TooLong);
        }
        let rewritten = rewrite_hyphens(text);
        let parts: Vec<&str> = rewritten.split("||").collect();
        if parts.len() > MAX_GROUPS {
            return Err(ConstraintError::TooManyGroups);
        }
        let groups = parts
            .into_iter()
            .map(parse_group)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            groups,
            original: text.to_owned(),
        })
    }

    /// Whether the version satisfies at least one group.
    pub fn check(&self, version: &Version) -> bool {
        self.groups.iter().any(|group| {
            (version.prerelease().is_empty() || group.prereleases)
                && group.comparisons.iter().all(|c| c.holds(version))
        })
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.original)
    }
}

impl std::str::FromStr for Constraint {
    type Err = ConstraintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl Comparison {
    /// `>1` or `=1.x`: the second number was left open.
    fn minor_open(&self) -> bool {
        self.given == 1
    }

    fn patch_open(&self) -> bool {
        self.given == 2
    }

    fn partial(&self) -> bool {
        self.given < 3
    }

    fn holds(&self, version: &Version) -> bool {
        match self.operator {
            Operator::Equal if self.partial() => self.tilde(version),
            Operator::Equal => *version == self.version,
            Operator::NotEqual => self.differs(version),
            Operator::Greater => self.greater(version),
            Operator::Less => *version < self.version,
            Operator::GreaterEqual => *version >= self.version,
            Operator::LessEqual => self.less_equal(version),
            Operator::Tilde => self.tilde(version),
            Operator::Caret => self.caret(version),
        }
    }

    fn differs(&self, version: &Version) -> bool {
        let wanted = &self.version;
        if !self.partial() {
            return version != wanted;
        }
        if version.major != wanted.major {
            return true;
        }
        if self.minor_open() {
            return false;
        }
        if version.minor != wanted.minor {
            return true;
        }
        if self.patch_open() {
            return compare_prerelease(version.prerelease(), wanted.prerelease())
                != Ordering::Equal;
        }
        version != wanted
    }

    fn greater(&self, version: &Version) -> bool {
        let wanted = &self.version;
        if !self.partial() || version.major == wanted.major && self.given == 0 {
            return version > wanted;
        }
        match version.major.cmp(&wanted.major) {
            Ordering::Greater => true,
            Ordering::Less => false,
            Ordering::Equal => self.patch_open() && version.minor > wanted.minor,
        }
    }

    fn less_equal(&self, version: &Version) -> bool {
        let wanted = &self.version;
        if !self.partial() {
            return version <= wanted;
        }
        version.major < wanted.major
            || version.major == wanted.major && (self.minor_open() || version.minor <= wanted.minor)
    }

    fn tilde(&self, version: &Version) -> bool {
        let wanted = &self.version;
        if version < wanted {
            return false;
        }
        let all_zero = (wanted.major, wanted.minor, wanted.patch) == (0, 0, 0);
        if all_zero && !self.minor_open() && !self.patch_open() {
            return true;
        }
        version.major == wanted.major && (self.minor_open() || version.minor == wanted.minor)
    }

    fn caret(&self, version: &Version) -> bool {
        let wanted = &self.version;
        if version < wanted || version.major != wanted.major {
            return false;
        }
        if wanted.major > 0 || self.minor_open() {
            return true;
        }
        if wanted.minor > 0 || self.patch_open() {
            return version.minor == wanted.minor;
        }
        version.minor == 0 && version.patch == wanted.patch
    }
}

fn parse_group(text: &str) -> Result<Group, ConstraintError> {
    let improper = || ConstraintError::Improper(text.to_owned());
    let mut rest = text.trim_start_matches(is_space);
    let mut patterns = Vec::new();
    loop {
        let (operator, pattern, tail) = cut_comparison(rest).ok_or_else(improper)?;
        patterns.push((operator, pattern));
        let trimmed = tail.trim_start_matches(is_space);
        if trimmed.is_empty() {
            break;
        }
        rest = match trimmed.strip_prefix(',') {
            Some(after) => after.trim_start_matches(is_space),
            None if trimmed.len() < tail.len() => trimmed,
            None => return Err(improper()),
        };
    }
    // Only when the whole group has its shape do versions count.
    let comparisons: Vec<Comparison> = patterns
        .into_iter()
        .map(|(operator, pattern)| {
            parse_pattern(pattern).map(|(version, given)| Comparison {
                operator,
                version,
                given,
            })
        })
        .collect::<Result<_, _>>()?;
    let prereleases = comparisons
        .iter()
        .any(|c| !c.version.prerelease().is_empty());
    Ok(Group {
        comparisons,
        prereleases,
    })
}

/// Cuts the first comparison off: its operator, its version pattern, and the rest.
fn cut_comparison(text: &str) -> Option<(Operator, &str, &str)> {
    let (operator, after) = OPERATORS
        .iter()
        .find_map(|(mark, op)| text.strip_prefix(mark).map(|rest| (*op, rest)))
        .unwrap_or((Operator::Equal, text));
    let after = after.trim_start_matches(is_space);
    let (pattern, tail) = after.split_at(version_length(after)?);
    Some((operator, pattern, tail))
}

/// Reads `1.2.x-rc` into a version with zeros for what is open, and the count of given numbers.
fn parse_pattern(pattern: &str) -> Result<(Version, u8), ConstraintError> {
    let body = pattern.strip_prefix('v').unwrap_or(pattern);
    let end = body.find(['-', '+']).unwrap_or(body.len());
    let (numbers, suffix) = body.split_at(end);
    let prerelease = suffix.split('+').next().unwrap_or_default();
    let mut given = 0_u8;
    let mut kept = [String::from("0"), String::from("0"), String::from("0")];
    for (slot, part) in kept.iter_mut().zip(numbers.split('.')) {
        if matches!(part, "x" | "X" | "*") {
            break;
        }
        part.clone_into(slot);
        given += 1;
    }
    let text = if given == 3 {
        body.to_owned()
    } else {
        format!("{}{prerelease}", kept.join("."))
    };
    let version = Version::parse(&text).map_err(|_| ConstraintError::Version)?;
    Ok((version, given))
}

/// The byte length of the version pattern at the start of `text`.
fn version_length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = usize::from(bytes.first() == Some(&b'v'));
    for part in 0..3 {
        let start = if part == 0 { at } else { at + 1 };
        if part > 0 && bytes.get(at) != Some(&b'.') {
            break;
        }
        let length = run(bytes, start, |b| {
            b.is_ascii_digit() || matches!(b, b'x' | b'X' | b'*' | b'|')
        });
        if length == 0 {
            if part == 0 {
                return None;
            }
            break;
        }
        at = start + length;
    }
    for mark in [b'-', b'+'] {
        if bytes.get(at) == Some(&mark) {
            let length = identifiers(bytes, at + 1);
            if length > 0 {
                at += 1 + length;
            }
        }
    }
    Some(at)
}

fn identifiers(bytes: &[u8], start: usize) -> usize {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    let mut end = start + run(bytes, start, word);
    while end > start && bytes.get(end) == Some(&b'.') {
        let next = run(bytes, end + 1, word);
        if next == 0 {
            break;
        }
        end += 1 + next;
    }
    end - start
}

fn run(bytes: &[u8], start: usize, fits: impl Fn(u8) -> bool) -> usize {
    bytes
        .get(start..)
        .map_or(0, |rest| rest.iter().take_while(|b| fits(**b)).count())
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0c')
}

/// Turns each `1.2 - 1.4` into `>= 1.2, <= 1.4`.
fn rewrite_hyphens(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, from, to, after)) = next_hyphen_range(rest) {
        let kept = before.trim_end_matches(is_space);
        out.push_str(kept);
        if !kept.is_empty() && kept.len() < before.len() {
            out.push(' ');
        }
        out.push_str(">=");
        out.push_str(from);
        out.push_str(", <=");
        out.push_str(to);
        // Always: what follows at once (`1 - 2||3.0.1`) does not belong to the version any more.
        out.push(' ');
        rest = after.trim_start_matches(is_space);
    }
    out.push_str(rest);
    out
}

fn next_hyphen_range(text: &str) -> Option<(&str, &str, &str, &str)> {
    let mut from = 0;
    while let Some(offset) = text.get(from..)?.find(" - ") {
        let at = from + offset;
        let left = text[..at].trim_end_matches(is_space);
        let right = text[at + 3..].trim_start_matches(is_space);
        let word = left
            .rfind(|c: char| is_space(c) || c == ',')
            .map_or(0, |i| i + 1);
        // As long as it can be: upstream takes `3||1.2` for a version here.
        let starts = left[word..].char_indices().map(|(i, _)| word + i);
        let is_version = |start: &usize| {
            let candidate = &left[*start..];
            version_length(candidate) == Some(candidate.len())
        };
        let found = starts.into_iter().find(is_version);
        if let Some(start) = found
            && let Some(length) = version_length(right)
        {
            let candidate = &left[start..];
            return Some((
                &text[..start],
                candidate,
                &right[..length],
                &right[length..],
            ));
        }
        from = at + 3;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(constraint: &str, version: &str, expect: bool) {
        let parsed = Constraint::parse(constraint).unwrap();
        let version = Version::parse(version).unwrap();
        assert_eq!(parsed.check(&version), expect, "{constraint} on {version}");
    }

    /// What stands before `||` without a blank belongs to the range's first version.
    ///
    /// Source: Masterminds/semver v3.5.0, observed.
    #[test]
    fn hyphen_range_right_after_an_alternative_is_not_read() {
        for text in [
            "<2||3 - 4",
            ">=v0.0.3||1.2.3 - 3.2",
            "~>v3.X.0||2 - v3-0",
            "1.3.1 - 2.3.0||2.0.2",
        ] {
            assert!(Constraint::parse(text).is_err(), "{text}");
        }
        check("<2 || 3 - 4", "3.5.0", true);
        check("1.0 - 2.0, 1.5", "1.5.3", true);
    }

    /// covers: HE-032
    #[test]
    fn partial_versions_widen_or_narrow() {
        for (constraint, version, expect) in [
            ("=1.2", "1.2.9", true),
            ("1.2", "1.3.0", false),
            (">1", "1.5.0", false),
            (">1", "2.0.0", true),
            (">1.2", "1.2.5", false),
            (">1.2", "1.3.0", true),
            ("<=1.2", "1.2.9", true),
            ("<=1.2", "1.3.0", false),
            ("<=1", "1.9.9", true),
            ("!=1", "1.7.0", false),
            ("!=1", "2.0.0", true),
            ("!=1.2", "1.2.7", false),
            (">=1.2", "1.2.0", true),
            ("<1.2", "1.1.9", true),
            ("1.x", "1.9.0", true),
            ("*", "3.4.5", true),
        ] {
            check(constraint, version, expect);
        }
    }

    #[test]
    fn tilde_and_caret_bound_ranges() {
        for (constraint, version, expect) in [
            ("~1.2.3", "1.2.9", true),
            ("~1.2.3", "1.3.0", false),
            ("~1", "1.9.0", true),
            ("~0", "5.0.0", false),
            ("~0", "0.9.0", true),
            ("~0.0.0", "7.0.0", true),
            ("~*", "3.0.0", true),
            (">*", "3.0.0", true),
            ("^1.2.3", "1.9.0", true),
            ("^1.2.3", "2.0.0", false),
            ("^0.2.3", "0.2.9", true),
            ("^0.2.3", "0.3.0", false),
            ("^0.0.3", "0.0.4", false),
            ("^0.0", "0.0.9", true),
            ("^0.0", "0.1.0", false),
            ("^0", "0.9.0", true),
            ("^0", "1.0.0", false),
            ("^*", "0.5.0", false),
            ("^*", "1.0.0", false),
        ] {
            check(constraint, version, expect);
        }
    }

    /// covers: HE-030, HE-031
    #[test]
    fn prereleases_match_by_group() {
        for (constraint, version, expect) in [
            (">=1.20", "1.30.1-gke.100", false),
            (">=1.20-0", "v1.30.1-gke.100", true),
            (">=1.20", "v1.33.4+k3s1", true),
            ("*", "1.0.0-a", false),
            (">0.0.0-0", "0.0.1-a", true),
            ("<2", "1.5.0-b", false),
            ("<2-0", "1.5.0-b", true),
            (">=1.2.3-a <2", "1.5.0-b", true),
            (">=1.2.3-a || <2", "1.0.0-b", false),
        ] {
            check(constraint, version, expect);
        }
    }

    #[test]
    fn groups_and_ranges_combine() {
        for (constraint, version, expect) in [
            (">=1 <2 || ^3", "3.5.0", true),
            (">=1, <2", "1.5.0", true),
            (">=1,<2", "2.5.0", false),
            ("1.2 - 1.4", "1.4.5", true),
            ("1.2 - 1.4.5", "1.4.6", false),
            ("1.2 - 1.4 || 2", "2.1.0", true),
            (" >= 1.2 ", "1.2.0", true),
            ("=> 1.2", "1.2.0", true),
        ] {
            check(constraint, version, expect);
        }
    }

    #[test]
    fn what_is_no_constraint_is_refused() {
        for text in ["", "==1", "latest", "1.2.3.4", ">1<2 x", "1 ||"] {
            assert!(Constraint::parse(text).is_err(), "{text:?}");
        }
        assert_eq!(
            Constraint::parse("latest").unwrap_err().to_string(),
            "improper constraint: \"latest\""
        );
        assert_eq!(
            Constraint::parse(&vec!["1"; 40].join("||")).unwrap_err(),
            ConstraintError::TooManyGroups
        );
        assert_eq!(
            Constraint::parse(&"1 ".repeat(300)).unwrap_err(),
            ConstraintError::TooLong
        );
    }
}
