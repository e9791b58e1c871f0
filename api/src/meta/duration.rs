//! Durations in Go's text form.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const NANOSECOND: i64 = 1;
const MICROSECOND: i64 = 1_000;
const MILLISECOND: i64 = 1_000_000;
const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// Keeps a length of time as Go does: whole nanoseconds in 64 bits, text such as `1m0s` or `1h30m`.
///
/// `Display` prints Go's canonical form (`90s` becomes `1m30s`). Serialization gives back what was read, as long as
/// that was at most 15 bytes, so that an object read and written keeps its author's spelling. Equality, order and
/// hash look at the length only.
///
/// Source: Go 1.26 `time.ParseDuration` and `time.Duration.String`.
#[derive(Clone, Copy, Default)]
pub struct Duration {
    nanoseconds: i64,
    spelling: Spelling,
}

/// What was read, where it fits; empty means canonical.
#[derive(Clone, Copy, Default)]
struct Spelling {
    bytes: [u8; 15],
    length: u8,
}

/// Says why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DurationError {
    /// No number where one was due.
    Invalid(String),
    /// A number without a unit.
    MissingUnit(String),
    /// A unit that is none of `ns us µs μs ms s m h`.
    UnknownUnit {
        /// The unit.
        unit: String,
        /// The whole text.
        text: String,
    },
    /// More than 2⁶³ − 1 nanoseconds, about 292 years.
    OutOfRange(String),
}

impl fmt::Display for DurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(text) => write!(f, "invalid duration {text:?}"),
            Self::MissingUnit(text) => write!(f, "missing unit in duration {text:?}"),
            Self::UnknownUnit { unit, text } => {
                write!(f, "unknown unit {unit:?} in duration {text:?}")
            }
            Self::OutOfRange(text) => write!(f, "duration {text:?} is out of range"),
        }
    }
}

impl std::error::Error for DurationError {}

impl Duration {
    /// No time at all; prints as `0s`.
    pub const ZERO: Self = Self::from_nanoseconds(0);

    /// Makes a duration of whole seconds, capped at the 292 years that fit.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self::from_nanoseconds(seconds.saturating_mul(SECOND))
    }

    /// Makes a duration of nanoseconds.
    #[must_use]
    pub const fn from_nanoseconds(nanoseconds: i64) -> Self {
        Self {
            nanoseconds,
            spelling: Spelling {
                bytes: [0; 15],
                length: 0,
            },
        }
    }

    /// Returns the length in nanoseconds.
    #[must_use]
    pub const fn nanoseconds(self) -> i64 {
        self.nanoseconds
    }

    /// Returns the length as a standard duration; a negative one counts as zero.
    #[must_use]
    pub const fn to_std(self) -> std::time::Duration {
        let nanoseconds = if self.nanoseconds < 0 {
            0
        } else {
            self.nanoseconds.unsigned_abs()
        };
        std::time::Duration::from_nanos(nanoseconds)
    }

    /// Returns whether the length is zero.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.nanoseconds == 0
    }
}

impl From<std::time::Duration> for Duration {
    fn from(duration: std::time::Duration) -> Self {
        Self::from_nanoseconds(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
    }
}

impl From<Duration> for std::time::Duration {
    fn from(duration: Duration) -> Self {
        duration.to_std()
    }
}

impl PartialEq for Duration {
    fn eq(&self, other: &Self) -> bool {
        self.nanoseconds == other.nanoseconds
    }
}

impl Eq for Duration {}

impl PartialOrd for Duration {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Duration {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanoseconds.cmp(&other.nanoseconds)
    }
}

impl Hash for Duration {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.nanoseconds.hash(state);
    }
}

impl FromStr for Duration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let nanoseconds = parse(text)?;
        Ok(Self {
            nanoseconds,
            spelling: Spelling::of(text),
        })
    }
}

impl Spelling {
    fn of(text: &str) -> Self {
        let mut bytes = [0; 15];
        let Some(room) = bytes.get_mut(..text.len()) else {
            return Self::default();
        };
        room.copy_from_slice(text.as_bytes());
        Self {
            bytes,
            length: u8::try_from(text.len()).unwrap_or_default(),
        }
    }

    fn text(&self) -> Option<&str> {
        let bytes = self.bytes.get(..usize::from(self.length))?;
        std::str::from_utf8(bytes)
            .ok()
            .filter(|text| !text.is_empty())
    }
}

/// Reads what Go's `time.ParseDuration` reads.
fn parse(text: &str) -> Result<i64, DurationError> {
    let invalid = || DurationError::Invalid(text.to_owned());
    let out_of_range = || DurationError::OutOfRange(text.to_owned());
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (whole, after) = split_digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => split_digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let end = after
            .find(|c: char| c == '.' || c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        if unit.is_empty() {
            return Err(DurationError::MissingUnit(text.to_owned()));
        }
        let scale = unit_nanoseconds(unit).ok_or_else(|| DurationError::UnknownUnit {
            unit: unit.to_owned(),
            text: text.to_owned(),
        })?;
        let part = segment(whole, fraction, scale).ok_or_else(out_of_range)?;
        total = total
            .checked_add(part)
            .filter(|t| *t <= 1 << 63)
            .ok_or_else(out_of_range)?;
        rest = after;
    }
    if negative {
        return Ok(0_i64.wrapping_sub_unsigned(total));
    }
    i64::try_from(total).map_err(|_| out_of_range())
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len()),
    )
}

fn unit_nanoseconds(unit: &str) -> Option<i64> {
    Some(match unit {
        "ns" => NANOSECOND,
        "us" | "µs" | "μs" => MICROSECOND,
        "ms" => MILLISECOND,
        "s" => SECOND,
        "m" => MINUTE,
        "h" => HOUR,
        _ => return None,
    })
}

/// Multiplies `whole.fraction` with a unit; digits of the fraction beyond 63 bits are dropped, as Go does.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "Go computes the fraction in float64; the same arithmetic gives the same nanosecond"
)]
fn segment(whole: &str, fraction: &str, scale: i64) -> Option<u64> {
    let scale = scale.unsigned_abs();
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    if whole > 1 << 63 {
        return None;
    }
    let mut part = whole.checked_mul(scale).filter(|p| *p <= 1 << 63)?;
    let (mut value, mut divisor) = (0_u64, 1_f64);
    for digit in fraction.bytes() {
        if value > (1 << 63) / 10 {
            break;
        }
        let next = value * 10 + u64::from(digit - b'0');
        if next > 1 << 63 {
            break;
        }
        value = next;
        divisor *= 10.0;
    }
    if value > 0 {
        part += (value as f64 * (scale as f64 / divisor)) as u64;
    }
    (part <= 1 << 63).then_some(part)
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.nanoseconds.unsigned_abs();
        if self.nanoseconds < 0 {
            f.write_str("-")?;
        }
        let (second, minute, hour) = (
            SECOND.unsigned_abs(),
            MINUTE.unsigned_abs(),
            HOUR.unsigned_abs(),
        );
        if total == 0 {
            return f.write_str("0s");
        }
        if total < second {
            let (unit, name, digits) = match total {
                0..1_000 => return write!(f, "{total}ns"),
                1_000..1_000_000 => (MICROSECOND.unsigned_abs(), "µs", 3),
                _ => (MILLISECOND.unsigned_abs(), "ms", 6),
            };
            return write!(
                f,
                "{}{}{name}",
                total / unit,
                fraction(total % unit, digits)
            );
        }
        if total >= hour {
            write!(f, "{}h", total / hour)?;
        }
        if total >= minute {
            write!(f, "{}m", total / minute % 60)?;
        }
        write!(f, "{}{}s", total / second % 60, fraction(total % second, 9))
    }
}

/// Writes `rest` as the digits after a point, without trailing zeros.
fn fraction(rest: u64, digits: usize) -> String {
    if rest == 0 {
        return String::new();
    }
    let text = format!(".{rest:0digits$}");
    text.trim_end_matches('0').to_owned()
}

impl fmt::Debug for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.spelling.text() {
            Some(text) => serializer.serialize_str(text),
            None => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, nanoseconds: i64, canonical: &str) {
        let duration: Duration = text.parse().unwrap();
        assert_eq!(duration.nanoseconds(), nanoseconds, "{text}");
        assert_eq!(duration.to_string(), canonical, "{text}");
    }

    #[test]
    fn reads_and_prints_as_go_does() {
        check("0", 0, "0s");
        check("+0", 0, "0s");
        check("5s", 5 * SECOND, "5s");
        check("60s", MINUTE, "1m0s");
        check("1m", MINUTE, "1m0s");
        check("1h", HOUR, "1h0m0s");
        check("90m", 90 * MINUTE, "1h30m0s");
        check("1478s", 1478 * SECOND, "24m38s");
        check("1.5h", 90 * MINUTE, "1h30m0s");
        check(".5s", 500 * MILLISECOND, "500ms");
        check("5.s", 5 * SECOND, "5s");
        check("1.0050s", 1005 * MILLISECOND, "1.005s");
        check("-1m30s", -90 * SECOND, "-1m30s");
        check("1.1us", 1100, "1.1µs");
        check("1.1µs", 1100, "1.1µs");
        check("1.1μs", 1100, "1.1µs");
        check("12ns", 12, "12ns");
        check("52763797000ns", 52_763_797_000, "52.763797s");
        check("0.3333333333333333333h", 20 * MINUTE, "20m0s");
        check(
            "9223372036854775807ns",
            i64::MAX,
            "2562047h47m16.854775807s",
        );
        check(
            "-9223372036854775808ns",
            i64::MIN,
            "-2562047h47m16.854775808s",
        );
        check("5.718779999s", 5_718_779_999, "5.718779999s");
        check("0.100000000000000000000h", 6 * MINUTE, "6m0s");
    }

    #[test]
    fn refuses_what_go_refuses() {
        for text in [
            "", "3", "-", "s", ".", "-.", ".s", "+.s", "1d", " 1s", "1s ", "1 s", "0x1s", "1e3s",
            "１s",
        ] {
            assert!(text.parse::<Duration>().is_err(), "{text:?}");
        }
        for text in [
            "9223372036854775808ns",
            "2562048h",
            "3000000h",
            "99999999999999999999s",
        ] {
            assert_eq!(
                text.parse::<Duration>(),
                Err(DurationError::OutOfRange(text.into()))
            );
        }
        assert_eq!(
            "3".parse::<Duration>(),
            Err(DurationError::MissingUnit("3".into()))
        );
        assert_eq!(
            "1d".parse::<Duration>().unwrap_err().to_string(),
            "unknown unit \"d\" in duration \"1d\""
        );
    }

    #[test]
    fn json_keeps_the_spelling() {
        for text in ["1m", "60s", "1h0m0s", "0"] {
            let json = serde_json::Value::from(text);
            let duration: Duration = serde_json::from_value(json.clone()).unwrap();
            assert_eq!(serde_json::to_value(duration).unwrap(), json);
        }
        let long: Duration = serde_json::from_str("\"0000000000000060s\"").unwrap();
        assert_eq!(serde_json::to_value(long).unwrap(), "1m0s");
        assert_eq!(
            serde_json::to_value(Duration::from_seconds(90)).unwrap(),
            "1m30s"
        );
        assert!(serde_json::from_str::<Duration>("60").is_err());
    }

    proptest! {
        #[test]
        fn canonical_text_reads_back(nanoseconds: i64) {
            let duration = Duration::from_nanoseconds(nanoseconds);
            let text = duration.to_string();
            let back: Duration = text.parse().unwrap();
            // Go's float arithmetic for fractions is exact below 2^53 nanoseconds of fraction, which 9 digits are.
            prop_assert_eq!(back.nanoseconds(), nanoseconds);
            prop_assert_eq!(back.to_string(), text);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*") {
            if let Ok(duration) = text.parse::<Duration>() {
                prop_assert_eq!(duration.to_string().parse::<Duration>().unwrap(), duration);
            }
        }

        #[test]
        fn what_the_schema_accepts_is_read(text in "([0-9]{1,4}(\\.[0-9]{1,3})?(ms|s|m|h)){1,4}") {
            prop_assert!(text.parse::<Duration>().unwrap().nanoseconds() >= 0);
        }
    }
}
