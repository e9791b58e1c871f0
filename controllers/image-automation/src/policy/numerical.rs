//! The greatest or smallest number.

use std::cmp::Ordering;

use api::image::Order;

use super::{PolicyError, filter::Candidate};

/// A number as precise as it is written.
#[derive(Clone, Debug)]
struct Number<'v> {
    rough: f64,
    text: &'v str,
}

/// Returns the candidate with the greatest number, or the smallest in descending order; of equals the first.
///
/// # Errors
/// [`PolicyError::NotANumber`]: one tag that is no number makes the order meaningless.
pub(super) fn latest<'t>(
    candidates: &[Candidate<'t>],
    order: Order,
) -> Result<Option<&'t str>, PolicyError> {
    let mut latest: Option<(Number<'_>, &'t str)> = None;
    for candidate in candidates {
        let number = Number::parse(&candidate.value)?;
        let is_newer = latest.as_ref().is_none_or(|(found, _)| {
            let order_of = number.compare(found);
            match order {
                Order::Asc => order_of == Ordering::Greater,
                Order::Desc => order_of == Ordering::Less,
            }
        });
        if is_newer {
            latest = Some((number, candidate.tag));
        }
    }
    Ok(latest.map(|(_, tag)| tag))
}

impl<'v> Number<'v> {
    fn parse(text: &'v str) -> Result<Self, PolicyError> {
        let rough =
            go::strconv::parse_float(text).map_err(|_| PolicyError::NotANumber(text.to_owned()))?;
        Ok(Self { rough, text })
    }

    /// Compares as floats of 64 bits do, and what is equal to them digit by digit: build numbers made of a time have
    /// more digits than such a float.
    fn compare(&self, other: &Self) -> Ordering {
        let rough = self.rough.partial_cmp(&other.rough);
        match rough {
            Some(Ordering::Equal) => match (Decimal::of(self.text), Decimal::of(other.text)) {
                (Some(a), Some(b)) => a.compare(&b),
                _ => Ordering::Equal,
            },
            Some(order) => order,
            // Not a number is less than every number.
            None => other.rough.is_nan().cmp(&self.rough.is_nan()),
        }
    }
}

/// A number written in plain decimal digits.
#[derive(Debug)]
struct Decimal<'v> {
    is_negative: bool,
    whole: &'v str,
    fraction: &'v str,
}

impl<'v> Decimal<'v> {
    fn of(text: &'v str) -> Option<Self> {
        let (is_negative, digits) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let plain = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        (plain(whole) && plain(fraction)).then(|| Self {
            is_negative,
            whole: whole.trim_start_matches('0'),
            fraction: fraction.trim_end_matches('0'),
        })
    }

    fn compare(&self, other: &Self) -> Ordering {
        let size = |a: &Self, b: &Self| {
            let whole = a.whole.len().cmp(&b.whole.len()).then(a.whole.cmp(b.whole));
            whole.then_with(|| a.fraction.cmp(b.fraction))
        };
        match (self.is_negative, other.is_negative) {
            (false, false) => size(self, other),
            (true, true) => size(other, self),
            // Both are equal as floats: they are zeros.
            (true, false) | (false, true) => Ordering::Equal,
        }
    }
}
