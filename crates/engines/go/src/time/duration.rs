//! Durations and their text, such as `1h30m0s`.

use std::fmt;

/// A span of time in nanoseconds, as Go's `time.Duration`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Duration(i64);

/// A text that is no duration. The message is Go's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// The text has not the shape of a duration.
    #[error("time: invalid duration {0}")]
    Invalid(String),
    /// A number stands without a unit.
    #[error("time: missing unit in duration {0}")]
    MissingUnit(String),
    /// The unit is none of ns, us, ms, s, m, h.
    #[error("time: unknown unit {unit} in duration {text}")]
    UnknownUnit {
        /// The unit, quoted.
        unit: String,
        /// The whole text, quoted.
        text: String,
    },
}

const SECOND: i64 = 1_000_000_000;

impl Duration {
    /// A span of nanoseconds.
    pub fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// A span of seconds, saturating.
    pub fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(SECOND))
    }

    /// The span in nanoseconds.
    pub fn nanos(self) -> i64 {
        self.0
    }

    /// Reads a text such as `1h30m`, `-1.5s`, `0`.
    ///
    /// Source: Go `time.ParseDuration`.
    pub fn parse(text: &str) -> Result<Self, DurationError> {
        let quoted = || crate::strconv::quote(text.as_bytes(), crate::strconv::Charset::Unicode);
        let invalid = || DurationError::Invalid(quoted());
        let (negative, mut rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        if rest == "0" {
            return Ok(Self(0));
        }
        if rest.is_empty() {
            return Err(invalid());
        }
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let number = rest
                .bytes()
                .take_while(|b| b.is_ascii_digit() || *b == b'.')
                .count();
            let (digits, after) = rest.split_at(number);
            let unit = after
                .find(|c: char| c.is_ascii_digit() || c == '.')
                .unwrap_or(after.len());
            let (name, tail) = after.split_at(unit);
            if !digits.bytes().any(|b| b.is_ascii_digit()) || digits.matches('.').count() > 1 {
                return Err(invalid());
            }
            if name.is_empty() {
                return Err(DurationError::MissingUnit(quoted()));
            }
            let scale = unit_nanos(name).ok_or_else(|| DurationError::UnknownUnit {
                unit: format!("{name:?}"),
                text: quoted(),
            })?;
            let part = scaled(digits, scale).ok_or_else(invalid)?;
            total = total
                .checked_add(part)
                .filter(|t| *t <= 1 << 63)
                .ok_or_else(invalid)?;
            rest = tail;
        }
        if negative {
            0_i64
                .checked_sub_unsigned(total)
                .map(Self)
                .ok_or_else(invalid)
        } else {
            i64::try_from(total).map(Self).map_err(|_| invalid())
        }
    }

    /// The nearest multiple of `unit`, halves away from zero.
    #[must_use]
    pub fn round(self, unit: Self) -> Self {
        if unit.0 <= 0 {
            return self;
        }
        let rest = self.0 % unit.0;
        let truncated = self.0 - rest;
        if rest.unsigned_abs() * 2 < unit.0.unsigned_abs() {
            return Self(truncated);
        }
        let step = if self.0 < 0 { -unit.0 } else { unit.0 };
        Self(
            truncated
                .checked_add(step)
                .unwrap_or(if step < 0 { i64::MIN } else { i64::MAX }),
        )
    }

    /// The multiple of `unit` nearest to zero.
    #[must_use]
    pub fn truncate(self, unit: Self) -> Self {
        if unit.0 <= 0 {
            self
        } else {
            Self(self.0 - self.0 % unit.0)
        }
    }

    /// The span in units of `nanos`, as a float.
    pub fn in_units(self, nanos: i64) -> f64 {
        let whole = self.0 / nanos;
        let rest = self.0 % nanos;
        as_float(whole) + as_float(rest) / as_float(nanos)
    }
}

#[expect(clippy::cast_precision_loss, reason = "Go converts the same way")]
fn as_float(n: i64) -> f64 {
    n as f64
}

fn unit_nanos(name: &str) -> Option<u64> {
    Some(match name {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

fn scaled(digits: &str, scale: u64) -> Option<u64> {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let mut part: u64 = 0;
    let mut unit = scale;
    for digit in fraction.bytes().take(18) {
        // Each digit counts a tenth of the one before; below a nanosecond nothing is left.
        let exact = u128::from(unit) * u128::from(digit - b'0') / 10;
        part += u64::try_from(exact).ok()?;
        unit /= 10;
    }
    whole.checked_mul(scale)?.checked_add(part)
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        if nanos == 0 {
            return f.write_str("0s");
        }
        if nanos < SECOND.unsigned_abs() {
            let (unit, name) = match nanos {
                0..1_000 => (1, "ns"),
                1_000..1_000_000 => (1_000, "µs"),
                _ => (1_000_000, "ms"),
            };
            return write!(f, "{sign}{}{name}", decimal(nanos, unit));
        }
        let seconds = nanos / 1_000_000_000;
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        f.write_str(sign)?;
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if seconds >= 60 {
            write!(f, "{minutes}m")?;
        }
        write!(f, "{}s", decimal(nanos % 60_000_000_000, 1_000_000_000))
    }
}

/// `value / unit` without trailing zeros.
fn decimal(value: u64, unit: u64) -> String {
    let whole = value / unit;
    let rest = value % unit;
    if rest == 0 {
        return whole.to_string();
    }
    let width = unit.ilog10() as usize;
    let fraction = format!("{rest:0width$}");
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}
