//! Dates and times as go-yaml reads them and Go's JSON prints them.

/// A point in time with the offset it was written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timestamp {
    year: u32,
    month: u32,
    day: u32,
    hour: u32,
    minute: u32,
    second: u32,
    nanosecond: u32,
    /// Offset from UTC in minutes.
    offset: i32,
}

impl Timestamp {
    /// Reads one of the four forms go-yaml knows: a date, or a date and time joined by `T`, `t` (with
    /// a zone) or a space (without).
    ///
    /// Source: go.yaml.in/yaml v3.0 and v2.4, `allowedTimestampFormats`; Go 1.26 `time.Parse`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = Cursor(text.as_bytes());
        let year = rest.digits(4, 4)?;
        rest.expect(b'-')?;
        let month = rest.digits(1, 2)?;
        rest.expect(b'-')?;
        let day = rest.digits(1, 2)?;
        if !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) {
            return None;
        }
        let date = Self {
            year,
            month,
            day,
            hour: 0,
            minute: 0,
            second: 0,
            nanosecond: 0,
            offset: 0,
        };
        let zoned = match rest.next() {
            None => return Some(date),
            Some(b'T' | b't') => true,
            Some(b' ') => false,
            Some(_) => return None,
        };
        let hour = rest.digits(1, 2)?;
        rest.expect(b':')?;
        let minute = rest.digits(1, 2)?;
        rest.expect(b':')?;
        let second = rest.digits(1, 2)?;
        let nanosecond = rest.fraction();
        let offset = if zoned { rest.zone()? } else { 0 };
        let fits = hour < 24 && minute < 60 && second < 60 && rest.0.is_empty();
        fits.then_some(Self {
            hour,
            minute,
            second,
            nanosecond,
            offset,
            ..date
        })
    }

    /// Prints RFC 3339 with as many fraction digits as needed, as Go's JSON does; `None` where Go's
    /// JSON refuses the zone.
    pub fn to_rfc3339(self) -> Option<String> {
        let Self {
            year,
            month,
            day,
            hour,
            minute,
            second,
            nanosecond,
            offset,
        } = self;
        let mut out = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
        if nanosecond > 0 {
            let digits = format!("{nanosecond:09}");
            out.push('.');
            out.push_str(digits.trim_end_matches('0'));
        }
        if offset == 0 {
            out.push('Z');
            return Some(out);
        }
        let (sign, size) = (if offset < 0 { '-' } else { '+' }, offset.unsigned_abs());
        if size / 60 > 23 {
            return None;
        }
        Some(format!("{out}{sign}{:02}:{:02}", size / 60, size % 60))
    }
}

fn days_in(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    fn digits(&mut self, least: usize, most: usize) -> Option<u32> {
        let count = self
            .0
            .iter()
            .take(most)
            .take_while(|b| b.is_ascii_digit())
            .count();
        if count < least {
            return None;
        }
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        Some(
            digits
                .iter()
                .fold(0, |value, digit| value * 10 + u32::from(digit - b'0')),
        )
    }

    /// Reads an optional fraction, which Go also takes after a comma; digits past nine are dropped.
    fn fraction(&mut self) -> u32 {
        let [b'.' | b',', rest @ ..] = self.0 else {
            return 0;
        };
        let count = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        if count == 0 {
            return 0;
        }
        let digit = |at: usize| {
            if at < count {
                u32::from(rest[at] - b'0')
            } else {
                0
            }
        };
        let value = (0..9).fold(0, |value, at| value * 10 + digit(at));
        self.0 = &rest[count..];
        value
    }

    fn zone(&mut self) -> Option<i32> {
        let sign = match self.next()? {
            b'Z' => return Some(0),
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let hours = self.digits(2, 2)?;
        self.expect(b':')?;
        let minutes = self.digits(2, 2)?;
        if hours > 24 || minutes > 60 {
            return None;
        }
        i32::try_from(hours * 60 + minutes)
            .ok()
            .map(|minutes| sign * minutes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_print_as_go_prints_them() {
        for (text, printed) in [
            ("2001-01-01", "2001-01-01T00:00:00Z"),
            ("2001-1-2", "2001-01-02T00:00:00Z"),
            (
                "2001-12-14t21:59:43.10-05:00",
                "2001-12-14T21:59:43.1-05:00",
            ),
            ("2001-12-15 2:59:43.10", "2001-12-15T02:59:43.1Z"),
            ("2001-12-15T02:59:43Z", "2001-12-15T02:59:43Z"),
        ] {
            assert_eq!(
                Timestamp::parse(text).unwrap().to_rfc3339().unwrap(),
                printed
            );
        }
    }

    #[test]
    fn what_is_no_date_stays_text() {
        for text in [
            "2020-13-45",
            "2021-02-29",
            "2001-01",
            "2001-01-01T",
            "2001-12-15 2:59:43Z",
            "1:30",
        ] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }
}
