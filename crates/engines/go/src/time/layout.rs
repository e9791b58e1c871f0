//! Layouts written as the reference time `Mon Jan 2 15:04:05 MST 2006`.

use std::fmt::Write as _;

use super::{Civil, Time, Zone, days_from_civil};

/// The layout of RFC 3339 without fractions.
pub const RFC3339: &str = "2006-01-02T15:04:05Z07:00";

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

/// A text that does not follow its layout. The message is Go's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// The text differs from the layout at `rest`.
    #[error("parsing time {text} as {layout}: cannot parse {rest} as {element}")]
    Mismatch {
        /// The text, quoted.
        text: String,
        /// The layout, quoted.
        layout: String,
        /// What of the text was left, quoted.
        rest: String,
        /// The layout's element, quoted.
        element: String,
    },
    /// A value is outside its range, or text is left over.
    #[error("parsing time {text}: {what}")]
    Range {
        /// The text, quoted.
        text: String,
        /// What is wrong, such as `month out of range`.
        what: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    LongMonth,
    Month,
    NumMonth,
    ZeroMonth,
    LongWeekday,
    Weekday,
    Day,
    UnderDay,
    ZeroDay,
    UnderYearDay,
    ZeroYearDay,
    Hour,
    Hour12,
    ZeroHour12,
    Minute,
    ZeroMinute,
    Second,
    ZeroSecond,
    LongYear,
    Year,
    UpperPm,
    LowerPm,
    ZoneName,
    /// A numeric offset.
    Offset(Offset),
    /// A fraction of so many digits; trailing zeros kept or dropped.
    Fraction {
        digits: usize,
        fixed: bool,
        comma: bool,
    },
}

/// Fixed tokens, longer before shorter where one begins another.
const TOKENS: [(&str, Token); 33] = [
    ("January", Token::LongMonth),
    ("Jan", Token::Month),
    ("Monday", Token::LongWeekday),
    ("Mon", Token::Weekday),
    ("MST", Token::ZoneName),
    ("002", Token::ZeroYearDay),
    ("01", Token::ZeroMonth),
    ("02", Token::ZeroDay),
    ("03", Token::ZeroHour12),
    ("04", Token::ZeroMinute),
    ("05", Token::ZeroSecond),
    ("06", Token::Year),
    ("15", Token::Hour),
    ("1", Token::NumMonth),
    ("2006", Token::LongYear),
    ("2", Token::Day),
    ("__2", Token::UnderYearDay),
    ("_2", Token::UnderDay),
    ("3", Token::Hour12),
    ("4", Token::Minute),
    ("5", Token::Second),
    ("PM", Token::UpperPm),
    ("pm", Token::LowerPm),
    ("-070000", offset(false, "", 3)),
    ("-07:00:00", offset(false, ":", 3)),
    ("-0700", offset(false, "", 2)),
    ("-07:00", offset(false, ":", 2)),
    ("-07", offset(false, "", 1)),
    ("Z070000", offset(true, "", 3)),
    ("Z07:00:00", offset(true, ":", 3)),
    ("Z0700", offset(true, "", 2)),
    ("Z07:00", offset(true, ":", 2)),
    ("Z07", offset(true, "", 1)),
];

/// A numeric offset: hours, then minutes and seconds by the number of parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Offset {
    /// Zero shows as `Z`.
    zulu: bool,
    gap: &'static str,
    parts: u8,
}

const fn offset(zulu: bool, gap: &'static str, parts: u8) -> Token {
    Token::Offset(Offset { zulu, gap, parts })
}

/// The first token of a layout: the literal text before it, its own text, and the rest.
fn next_token(layout: &str) -> Option<(&str, &str, Token, &str)> {
    for (at, _) in layout.char_indices() {
        let rest = &layout[at..];
        if let Some((length, token)) = token_at(rest) {
            return Some((&layout[..at], &rest[..length], token, &rest[length..]));
        }
    }
    None
}

fn token_at(text: &str) -> Option<(usize, Token)> {
    if let Some(fraction) = fraction_at(text) {
        return Some(fraction);
    }
    let (name, token) = TOKENS.iter().find(|(name, _)| text.starts_with(name))?;
    // "_2006" is a literal underscore before a year; "Janet" is no month.
    if *name == "_2" && text.starts_with("_2006") {
        return None;
    }
    let lower_follows = text[name.len()..].starts_with(|c: char| c.is_ascii_lowercase());
    if matches!(*name, "Jan" | "Mon") && lower_follows {
        return None;
    }
    Some((name.len(), *token))
}

/// `.000`, `,999`: a fraction, unless more digits follow.
fn fraction_at(text: &str) -> Option<(usize, Token)> {
    let bytes = text.as_bytes();
    let comma = match bytes.first()? {
        b'.' => false,
        b',' => true,
        _ => return None,
    };
    let digit = *bytes.get(1).filter(|b| matches!(b, b'0' | b'9'))?;
    let digits = bytes[1..].iter().take_while(|b| **b == digit).count();
    if bytes.get(1 + digits).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    Some((
        1 + digits,
        Token::Fraction {
            digits,
            fixed: digit == b'0',
            comma,
        },
    ))
}

pub(super) fn format(time: &Time, layout: &str) -> String {
    let civil = time.civil();
    let mut out = String::with_capacity(layout.len() + 8);
    let mut rest = layout;
    while let Some((literal, _, token, tail)) = next_token(rest) {
        out.push_str(literal);
        out.push_str(&show(time, &civil, token));
        rest = tail;
    }
    out.push_str(rest);
    out
}

fn show(time: &Time, civil: &Civil, token: Token) -> String {
    let hour12 = if civil.hour.is_multiple_of(12) {
        12
    } else {
        civil.hour % 12
    };
    let month = MONTHS
        .get(civil.month as usize - 1)
        .copied()
        .unwrap_or_default();
    let day = DAYS
        .get(civil.weekday as usize)
        .copied()
        .unwrap_or_default();
    match token {
        Token::LongMonth => month.to_owned(),
        Token::Month => month[..3].to_owned(),
        Token::NumMonth => civil.month.to_string(),
        Token::ZeroMonth => format!("{:02}", civil.month),
        Token::LongWeekday => day.to_owned(),
        Token::Weekday => day[..3].to_owned(),
        Token::Day => civil.day.to_string(),
        Token::UnderDay => format!("{:2}", civil.day),
        Token::ZeroDay => format!("{:02}", civil.day),
        Token::UnderYearDay => format!("{:3}", civil.year_day),
        Token::ZeroYearDay => format!("{:03}", civil.year_day),
        Token::Hour => format!("{:02}", civil.hour),
        Token::Hour12 => hour12.to_string(),
        Token::ZeroHour12 => format!("{hour12:02}"),
        Token::Minute => civil.minute.to_string(),
        Token::ZeroMinute => format!("{:02}", civil.minute),
        Token::Second => civil.second.to_string(),
        Token::ZeroSecond => format!("{:02}", civil.second),
        Token::LongYear if civil.year < 0 => format!("-{:04}", -civil.year),
        Token::LongYear => format!("{:04}", civil.year),
        Token::Year => format!("{:02}", civil.year.rem_euclid(100)),
        Token::UpperPm => half(civil).to_uppercase(),
        Token::LowerPm => half(civil).to_owned(),
        Token::ZoneName => {
            let (name, offset) = time.zone();
            if name.is_empty() {
                show_offset(offset, "", 1 + u8::from(offset % 3600 != 0))
            } else {
                name
            }
        }
        Token::Offset(shape) => match time.zone().1 {
            0 if shape.zulu => "Z".to_owned(),
            offset => show_offset(offset, shape.gap, shape.parts),
        },
        Token::Fraction {
            digits,
            fixed,
            comma,
        } => show_fraction(time.nanos(), digits, fixed, comma),
    }
}

fn half(civil: &Civil) -> &'static str {
    if civil.hour >= 12 { "pm" } else { "am" }
}

fn show_offset(offset: i32, gap: &str, parts: u8) -> String {
    let sign = if offset < 0 { '-' } else { '+' };
    let total = offset.unsigned_abs();
    let mut out = format!("{sign}{:02}", total / 3600);
    if parts > 1 {
        let _ = write!(out, "{gap}{:02}", total / 60 % 60);
    }
    if parts > 2 {
        let _ = write!(out, "{gap}{:02}", total % 60);
    }
    out
}

fn show_fraction(nanos: u32, digits: usize, fixed: bool, comma: bool) -> String {
    let all = format!("{nanos:09}");
    let cut = &all[..digits.min(9)];
    let shown = if fixed {
        cut
    } else {
        cut.trim_end_matches('0')
    };
    if shown.is_empty() {
        return String::new();
    }
    format!("{}{shown}", if comma { ',' } else { '.' })
}

/// What has been read so far.
#[derive(Debug, Default)]
struct Parsed {
    year: Option<i64>,
    month: Option<u32>,
    day: Option<u32>,
    year_day: Option<u32>,
    hour: u32,
    minute: u32,
    second: u32,
    nanos: u32,
    pm: Option<bool>,
    offset: Option<i32>,
    zulu: bool,
    zone_name: Option<String>,
}

/// Quotes as Go's time package does on its own: everything but printable ASCII as bytes.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(byte)]),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
    }
    out.push('"');
    out
}

pub(super) fn parse(layout: &str, text: &str, zone: &Zone) -> Result<Time, LayoutError> {
    let mismatch = |rest: &str, element: &str| LayoutError::Mismatch {
        text: quoted(text),
        layout: quoted(layout),
        rest: quoted(rest),
        element: quoted(element),
    };
    let range = |what: &str| LayoutError::Range {
        text: quoted(text),
        what: format!("{what} out of range"),
    };
    let mut parsed = Parsed::default();
    let mut rest = text;
    let mut pattern = layout;
    loop {
        let next = next_token(pattern);
        let literal = next.map_or(pattern, |(literal, ..)| literal);
        rest = skip_literal(rest, literal).map_err(|left| mismatch(left, literal))?;
        let Some((_, element, token, tail)) = next else {
            break;
        };
        let before = rest;
        rest = match parsed.read(token, rest, tail) {
            Ok(after) => after,
            Err(Bad::Shape) => return Err(mismatch(before, element)),
            Err(Bad::Range(what)) => return Err(range(what)),
        };
        pattern = tail;
    }
    if !rest.is_empty() {
        let what = format!("extra text: {}", quoted(rest));
        return Err(LayoutError::Range {
            text: quoted(text),
            what,
        });
    }
    parsed.finish(zone).map_err(range)
}

/// Skips a literal; runs of spaces in it match any number of spaces. The error is what was left.
fn skip_literal<'a>(text: &'a str, literal: &str) -> Result<&'a str, &'a str> {
    let mut rest = text;
    for c in literal.chars() {
        if c == ' ' {
            if !rest.is_empty() && !rest.starts_with(' ') {
                return Err(rest);
            }
            rest = rest.trim_start_matches(' ');
        } else {
            rest = rest.strip_prefix(c).ok_or(rest)?;
        }
    }
    Ok(rest)
}

enum Bad {
    Shape,
    Range(&'static str),
}

impl Parsed {
    fn read<'a>(&mut self, token: Token, text: &'a str, tail: &str) -> Result<&'a str, Bad> {
        let number = |min: usize, max: usize| digits(text, min, max).ok_or(Bad::Shape);
        let padded = text.trim_start_matches(' ');
        match token {
            Token::LongMonth => self.name(text, &MONTHS, false),
            Token::Month => self.name(text, &MONTHS, true),
            Token::LongWeekday => skip_name(text, &DAYS, false).map(|(_, rest)| rest),
            Token::Weekday => skip_name(text, &DAYS, true).map(|(_, rest)| rest),
            Token::NumMonth => number(1, 2).and_then(|r| self.month(r)),
            Token::ZeroMonth => number(2, 2).and_then(|r| self.month(r)),
            Token::Day => number(1, 2).map(|r| self.day(r)),
            Token::UnderDay => digits(padded, 1, 2).ok_or(Bad::Shape).map(|r| self.day(r)),
            Token::ZeroDay => number(2, 2).map(|r| self.day(r)),
            Token::UnderYearDay => digits(padded, 1, 3)
                .ok_or(Bad::Shape)
                .map(|r| self.year_day(r)),
            Token::ZeroYearDay => number(3, 3).map(|r| self.year_day(r)),
            Token::Hour => number(2, 2).and_then(|r| self.hour(r, 23)),
            Token::Hour12 => number(1, 2).and_then(|r| self.hour(r, 12)),
            Token::ZeroHour12 => number(2, 2).and_then(|r| self.hour(r, 12)),
            Token::Minute => number(1, 2).and_then(|r| self.minute(r)),
            Token::ZeroMinute => number(2, 2).and_then(|r| self.minute(r)),
            Token::Second => number(1, 2).and_then(|r| self.second(r, tail)),
            Token::ZeroSecond => number(2, 2).and_then(|r| self.second(r, tail)),
            Token::LongYear => {
                let (year, rest) = number(4, 4)?;
                self.year = Some(i64::from(year));
                Ok(rest)
            }
            Token::Year => {
                let (year, rest) = number(2, 2)?;
                self.year = Some(i64::from(if year >= 69 {
                    year + 1900
                } else {
                    year + 2000
                }));
                Ok(rest)
            }
            Token::UpperPm => self.half(text, "AM", "PM"),
            Token::LowerPm => self.half(text, "am", "pm"),
            Token::ZoneName => self.zone(text),
            Token::Offset(shape) => self.offset(text, shape),
            Token::Fraction { digits, fixed, .. } => self.fraction(text, digits, fixed),
        }
    }

    fn name<'a>(&mut self, text: &'a str, names: &[&str], short: bool) -> Result<&'a str, Bad> {
        let (index, rest) = skip_name(text, names, short)?;
        self.month = Some(index + 1);
        Ok(rest)
    }

    fn month<'a>(&mut self, (month, rest): (u32, &'a str)) -> Result<&'a str, Bad> {
        self.month = Some(month);
        if (1..=12).contains(&month) {
            Ok(rest)
        } else {
            Err(Bad::Range("month"))
        }
    }

    fn day<'a>(&mut self, (day, rest): (u32, &'a str)) -> &'a str {
        self.day = Some(day);
        rest
    }

    fn year_day<'a>(&mut self, (day, rest): (u32, &'a str)) -> &'a str {
        self.year_day = Some(day);
        rest
    }

    fn hour<'a>(&mut self, (hour, rest): (u32, &'a str), max: u32) -> Result<&'a str, Bad> {
        self.hour = hour;
        if hour <= max {
            Ok(rest)
        } else {
            Err(Bad::Range("hour"))
        }
    }

    fn minute<'a>(&mut self, (minute, rest): (u32, &'a str)) -> Result<&'a str, Bad> {
        self.minute = minute;
        if minute < 60 {
            Ok(rest)
        } else {
            Err(Bad::Range("minute"))
        }
    }

    /// A fraction may follow the seconds even where the layout has none.
    fn second<'a>(&mut self, (second, rest): (u32, &'a str), tail: &str) -> Result<&'a str, Bad> {
        self.second = second;
        if second >= 60 {
            return Err(Bad::Range("second"));
        }
        let expected = matches!(fraction_at(tail), Some((_, Token::Fraction { .. })));
        if expected || !rest.starts_with(['.', ',']) {
            return Ok(rest);
        }
        let count = rest[1..].bytes().take_while(u8::is_ascii_digit).count();
        if count == 0 {
            Ok(rest)
        } else {
            self.fraction(rest, count, true)
        }
    }

    fn half<'a>(&mut self, text: &'a str, am: &str, pm: &str) -> Result<&'a str, Bad> {
        let (half, rest) = text
            .strip_prefix(am)
            .map(|rest| (false, rest))
            .or_else(|| text.strip_prefix(pm).map(|rest| (true, rest)))
            .ok_or(Bad::Shape)?;
        self.pm = Some(half);
        Ok(rest)
    }

    fn zone<'a>(&mut self, text: &'a str) -> Result<&'a str, Bad> {
        if let Some(rest) = text.strip_prefix("UTC") {
            self.zulu = true;
            return Ok(rest);
        }
        let mut length = text.bytes().take_while(u8::is_ascii_uppercase).count();
        if let Some(tail) = text.strip_prefix("GMT") {
            let hours = tail.strip_prefix(['+', '-']);
            length = 3 + hours.map_or(0, |h| 1 + h.bytes().take_while(u8::is_ascii_digit).count());
        }
        if !(3..=6).contains(&length) {
            return Err(Bad::Shape);
        }
        self.zone_name = Some(text[..length].to_owned());
        Ok(&text[length..])
    }

    fn offset<'a>(&mut self, text: &'a str, shape: Offset) -> Result<&'a str, Bad> {
        if shape.zulu
            && let Some(rest) = text.strip_prefix('Z')
        {
            self.zulu = true;
            return Ok(rest);
        }
        let negative = match text.as_bytes().first() {
            Some(b'+') => false,
            Some(b'-') => true,
            _ => return Err(Bad::Shape),
        };
        let mut rest = &text[1..];
        let mut total = 0_u32;
        for (scale, part) in [(3600, 1), (60, 2), (1, 3)] {
            if part > shape.parts {
                break;
            }
            if part > 1 {
                rest = rest.strip_prefix(shape.gap).ok_or(Bad::Shape)?;
            }
            let (value, after) = digits(rest, 2, 2).ok_or(Bad::Shape)?;
            total += value * scale;
            rest = after;
        }
        let total = i32::try_from(total).map_err(|_| Bad::Shape)?;
        self.offset = Some(if negative { -total } else { total });
        Ok(rest)
    }

    fn fraction<'a>(&mut self, text: &'a str, count: usize, fixed: bool) -> Result<&'a str, Bad> {
        if !text.starts_with(['.', ',']) {
            return if fixed { Err(Bad::Shape) } else { Ok(text) };
        }
        let shown = text[1..].bytes().take_while(u8::is_ascii_digit).count();
        let take = if fixed { count } else { shown };
        if take == 0 || shown < take {
            return if fixed { Err(Bad::Shape) } else { Ok(text) };
        }
        let kept = &text[1..=take.min(9)];
        self.nanos = format!("{kept:0<9}").parse().map_err(|_| Bad::Shape)?;
        Ok(&text[1 + take..])
    }

    fn finish(mut self, zone: &Zone) -> Result<Time, &'static str> {
        match self.pm {
            Some(true) if self.hour < 12 => self.hour += 12,
            Some(false) if self.hour == 12 => self.hour = 0,
            _ => {}
        }
        let year = self.year.unwrap_or(0);
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let (month, day) = match self.year_day {
            Some(n) if n < 1 || n > 365 + u32::from(leap) => return Err("day-of-year"),
            Some(n) => {
                let (_, month, day) =
                    super::civil_from_days(days_from_civil(year, 1, 1) + i64::from(n) - 1);
                (month, day)
            }
            None => (self.month.unwrap_or(1), self.day.unwrap_or(1)),
        };
        let length = match month {
            2 => 28 + u32::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        if !(1..=length).contains(&day) {
            return Err("day");
        }
        let (hour, minute, second) = (self.hour, self.minute, self.second);
        let civil = Civil {
            year,
            month,
            day,
            hour,
            minute,
            second,
            weekday: 0,
            year_day: 0,
        };
        let place = if self.zulu {
            Zone::utc()
        } else if let Some(offset) = self.offset {
            let name = self.zone_name.as_deref().unwrap_or_default();
            if offset == 0 && name.is_empty() {
                Zone::utc()
            } else {
                Zone::fixed(name, offset)
            }
        } else if let Some(name) = &self.zone_name {
            // A foreign abbreviation has no known offset, except GMT with hours.
            let hours = name
                .strip_prefix("GMT")
                .and_then(|h| h.parse::<i32>().ok())
                .unwrap_or(0);
            Zone::fixed(name, hours * 3600)
        } else {
            zone.clone()
        };
        Ok(Time::from_civil(&civil, self.nanos, place))
    }
}

fn digits(text: &str, min: usize, max: usize) -> Option<(u32, &str)> {
    let count = text
        .bytes()
        .take(max)
        .take_while(u8::is_ascii_digit)
        .count();
    if count < min {
        return None;
    }
    Some((text[..count].parse().ok()?, &text[count..]))
}

fn skip_name<'a>(text: &'a str, names: &[&str], short: bool) -> Result<(u32, &'a str), Bad> {
    for (index, name) in (0_u32..).zip(names) {
        let wanted = if short { &name[..3] } else { name };
        let head = text.get(..wanted.len()).unwrap_or_default();
        if head.eq_ignore_ascii_case(wanted) {
            return Ok((index, &text[wanted.len()..]));
        }
    }
    Err(Bad::Shape)
}
