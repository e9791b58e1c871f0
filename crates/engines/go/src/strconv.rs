//! Numbers and quoted texts, after Go's `strconv`.

use std::fmt::Write as _;

/// How a float is laid out: Go's verbs `e`, `f` and `g`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FloatStyle {
    /// `-d.dddde±dd`
    Exponent,
    /// `-ddd.dddd`
    Fixed,
    /// Whichever is shorter by Go's rule.
    General,
}

/// Formats a float as `strconv.FormatFloat(value, style, precision, 64)`; no precision means the
/// shortest digits that read back to the same value.
pub fn format_float(value: f64, style: FloatStyle, precision: Option<usize>) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 {
            "+Inf".to_owned()
        } else {
            "-Inf".to_owned()
        };
    }
    match style {
        FloatStyle::Fixed => fixed(value, precision),
        FloatStyle::Exponent => exponent(value, precision),
        FloatStyle::General => general(value, precision),
    }
}

/// Formats a float as `%v` does: the shortest digits, an exponent from 1e6 and below 1e-4.
pub fn format_general(value: f64) -> String {
    format_float(value, FloatStyle::General, None)
}

/// Formats a float as `encoding/json` does: an exponent only from 1e21 and below 1e-6.
pub fn format_json(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        let text = exponent(value, None);
        // e-09 becomes e-9.
        if let Some((head, tail)) = text.split_once("e-0") {
            return format!("{head}e-{tail}");
        }
        return text;
    }
    fixed(value, None)
}

fn fixed(value: f64, precision: Option<usize>) -> String {
    precision.map_or_else(|| format!("{value}"), |p| format!("{value:.p$}"))
}

fn exponent(value: f64, precision: Option<usize>) -> String {
    let (mantissa, exp) = split_exponent(value, precision);
    let sign = if exp < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exp.unsigned_abs())
}

fn split_exponent(value: f64, precision: Option<usize>) -> (String, i32) {
    let text = precision.map_or_else(|| format!("{value:e}"), |p| format!("{value:.p$e}"));
    let (mantissa, exp) = text.split_once('e').unwrap_or((&text, "0"));
    (mantissa.to_owned(), exp.parse().unwrap_or(0))
}

fn general(value: f64, precision: Option<usize>) -> String {
    let significant = precision.map(|p| p.max(1));
    let (mantissa, exp) = split_exponent(value, significant.map(|p| p - 1));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let trimmed = digits.trim_end_matches('0');
    let count = i32::try_from(trimmed.len().max(1)).unwrap_or(i32::MAX);
    let limit = significant.map_or(6, |p| {
        let p = i32::try_from(p).unwrap_or(i32::MAX);
        if p > count && count > exp { count } else { p }
    });
    // Upstream decides on the number of digits it kept, before trailing zeros go.
    if exp < -4 || exp >= limit {
        return exponent(value, Some(usize::try_from(count - 1).unwrap_or(0)));
    }
    fixed(
        value,
        Some(usize::try_from((count - exp - 1).max(0)).unwrap_or(0)),
    )
}

/// Why a number was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// The text is no number.
    #[error("invalid syntax")]
    Syntax,
    /// The number does not fit.
    #[error("value out of range")]
    Range,
}

/// Reads an integer whose base its prefix tells (`0x`, `0b`, `0o`, `0`), underscores allowed:
/// `strconv.ParseInt(text, 0, 64)`.
pub fn parse_int(text: &str) -> Result<i64, NumberError> {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let value = parse_uint(digits)?;
    if negative {
        0_i64.checked_sub_unsigned(value).ok_or(NumberError::Range)
    } else {
        i64::try_from(value).map_err(|_| NumberError::Range)
    }
}

/// Reads an unsigned integer whose base its prefix tells: `strconv.ParseUint(text, 0, 64)`.
pub fn parse_uint(text: &str) -> Result<u64, NumberError> {
    let lower = text.to_ascii_lowercase();
    let (base, digits) = match lower.as_bytes() {
        [b'0', b'x', _, ..] => (16, &lower[2..]),
        [b'0', b'b', _, ..] => (2, &lower[2..]),
        [b'0', b'o', _, ..] => (8, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if digits.is_empty() || !underscores_separate_digits(&lower) {
        return Err(NumberError::Syntax);
    }
    let mut value: u64 = 0;
    let mut overflow = false;
    for byte in digits.bytes().filter(|b| *b != b'_') {
        let digit = char::from(byte).to_digit(base).ok_or(NumberError::Syntax)?;
        match value
            .checked_mul(u64::from(base))
            .and_then(|v| v.checked_add(u64::from(digit)))
        {
            Some(next) => value = next,
            None => overflow = true,
        }
    }
    if overflow {
        Err(NumberError::Range)
    } else {
        Ok(value)
    }
}

/// Reads a float as `strconv.ParseFloat(text, 64)`; a number too large is an error.
pub fn parse_float(text: &str) -> Result<f64, NumberError> {
    let body = text.strip_prefix(['+', '-']).unwrap_or(text);
    let lower = body.to_ascii_lowercase();
    let negative = text.starts_with('-');
    let signed = |v: f64| if negative { -v } else { v };
    match lower.as_str() {
        "inf" | "infinity" => return Ok(signed(f64::INFINITY)),
        "nan" if body.len() == text.len() => return Ok(f64::NAN),
        _ => {}
    }
    if lower.contains('_') && !underscores_separate_digits(&lower) {
        return Err(NumberError::Syntax);
    }
    let clean: String = lower.chars().filter(|c| *c != '_').collect();
    if let Some(hex) = clean.strip_prefix("0x") {
        return parse_hex_float(hex).map(signed);
    }
    let plain = !clean.is_empty()
        && clean
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'+' | b'-'))
        && clean.bytes().any(|b| b.is_ascii_digit());
    if !plain {
        return Err(NumberError::Syntax);
    }
    let value: f64 = clean.parse().map_err(|_| NumberError::Syntax)?;
    if value.is_infinite() {
        Err(NumberError::Range)
    } else {
        Ok(signed(value))
    }
}

fn parse_hex_float(hex: &str) -> Result<f64, NumberError> {
    let (mantissa, exp) = hex.split_once('p').ok_or(NumberError::Syntax)?;
    let exp: i32 = exp.parse().map_err(|_| NumberError::Syntax)?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return Err(NumberError::Syntax);
    }
    let mut value = 0.0_f64;
    for c in whole.chars() {
        value = value * 16.0 + f64::from(c.to_digit(16).ok_or(NumberError::Syntax)?);
    }
    let mut scale = 1.0 / 16.0;
    for c in fraction.chars() {
        value += f64::from(c.to_digit(16).ok_or(NumberError::Syntax)?) * scale;
        scale /= 16.0;
    }
    Ok(value * 2.0_f64.powi(exp))
}

/// Underscores stand between digits only, or directly after a base prefix.
fn underscores_separate_digits(text: &str) -> bool {
    if !text.contains('_') {
        return true;
    }
    let bytes = text.as_bytes();
    let hex = bytes.starts_with(b"0x");
    let prefixed = hex || bytes.starts_with(b"0b") || bytes.starts_with(b"0o");
    let mut previous = if prefixed { b'0' } else { b'^' };
    let rest = if prefixed { &bytes[2..] } else { bytes };
    for byte in rest {
        let digit = byte.is_ascii_digit() || hex && byte.is_ascii_hexdigit();
        let kind = if digit {
            b'0'
        } else if *byte == b'_' {
            if previous != b'0' {
                return false;
            }
            b'_'
        } else {
            if previous == b'_' {
                return false;
            }
            b'!'
        };
        previous = kind;
    }
    previous != b'_'
}

/// What stands at the start of a text: a character, or a byte that is no UTF-8.
pub fn decode_rune(bytes: &[u8]) -> Option<(Result<char, u8>, usize)> {
    let first = *bytes.first()?;
    if first < 0x80 {
        return Some((Ok(char::from(first)), 1));
    }
    let window = &bytes[..bytes.len().min(4)];
    let valid = match std::str::from_utf8(window) {
        Ok(text) => text,
        Err(e) => std::str::from_utf8(&window[..e.valid_up_to()]).unwrap_or_default(),
    };
    Some(
        valid
            .chars()
            .next()
            .map_or((Err(first), 1), |c| (Ok(c), c.len_utf8())),
    )
}

/// The characters of a text; bytes that are no UTF-8 come as U+FFFD.
pub fn runes(bytes: &[u8]) -> impl Iterator<Item = char> + '_ {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (rune, width) = decode_rune(rest)?;
        rest = &rest[width..];
        Some(rune.unwrap_or(char::REPLACEMENT_CHARACTER))
    })
}

/// Whether Go prints the character as itself: letters, marks, numbers, punctuation, symbols and
/// the space.
pub fn is_print(c: char) -> bool {
    if c.is_ascii() {
        return (' '..='~').contains(&c);
    }
    // A letter before it keeps combining marks from being escaped.
    let probe: String = ['a', c].iter().collect();
    probe.escape_debug().count() == 2
}

/// Which characters a quoted text may show unescaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// All printable characters.
    Unicode,
    /// Printable ASCII.
    Ascii,
}

/// Quotes a text as `strconv.Quote` (or `QuoteToASCII`) does.
pub fn quote(bytes: &[u8], charset: Charset) -> String {
    quote_with(bytes, '"', charset)
}

/// Quotes a character as `strconv.QuoteRune` does.
pub fn quote_rune(c: char, charset: Charset) -> String {
    let mut buffer = [0; 4];
    quote_with(c.encode_utf8(&mut buffer).as_bytes(), '\'', charset)
}

fn quote_with(bytes: &[u8], mark: char, charset: Charset) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push(mark);
    let mut rest = bytes;
    while let Some((rune, width)) = decode_rune(rest) {
        rest = &rest[width..];
        match rune {
            Ok(c) => push_escaped(&mut out, c, mark, charset),
            Err(byte) => {
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
    }
    out.push(mark);
    out
}

fn push_escaped(out: &mut String, c: char, mark: char, charset: Charset) {
    if c == mark || c == '\\' {
        out.push('\\');
        out.push(c);
        return;
    }
    if is_print(c) && (charset == Charset::Unicode || c.is_ascii()) {
        out.push(c);
        return;
    }
    let short = match c {
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\u{c}' => 'f',
        '\n' => 'n',
        '\r' => 'r',
        '\t' => 't',
        '\u{b}' => 'v',
        _ => {
            let code = u32::from(c);
            let _ = if code < 0x20 || code == 0x7f {
                write!(out, "\\x{code:02x}")
            } else if code < 0x1_0000 {
                write!(out, "\\u{code:04x}")
            } else {
                write!(out, "\\U{code:08x}")
            };
            return;
        }
    };
    out.push('\\');
    out.push(short);
}

/// Reads a Go string or character literal with its quotes; `None` where it is malformed.
pub fn unquote(literal: &str) -> Option<Vec<u8>> {
    let mark = literal.chars().next()?;
    if literal.len() < 2 || !literal.ends_with(mark) {
        return None;
    }
    let body = &literal[1..literal.len() - 1];
    match mark {
        '`' => (!body.contains('`')).then(|| body.bytes().filter(|b| *b != b'\r').collect()),
        '"' | '\'' => {
            let mut out = Vec::with_capacity(body.len());
            let mut rest = body;
            let mut count = 0;
            while !rest.is_empty() {
                rest = unquote_one(rest, mark, &mut out)?;
                count += 1;
            }
            (mark == '"' || count == 1).then_some(out)
        }
        _ => None,
    }
}

fn unquote_one<'a>(text: &'a str, mark: char, out: &mut Vec<u8>) -> Option<&'a str> {
    let mut chars = text.chars();
    let first = chars.next()?;
    let mut buffer = [0; 4];
    if first == mark || first == '\n' {
        return None;
    }
    if first != '\\' {
        out.extend_from_slice(first.encode_utf8(&mut buffer).as_bytes());
        return Some(chars.as_str());
    }
    let simple = match chars.next()? {
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 11,
        '\\' => b'\\',
        c @ ('\'' | '"') if c == mark => c as u8,
        'x' => return unquote_hex(chars.as_str(), 2, false, out),
        'u' => return unquote_hex(chars.as_str(), 4, true, out),
        'U' => return unquote_hex(chars.as_str(), 8, true, out),
        '0'..='7' => {
            let digits = text.get(1..4)?;
            out.push(u8::from_str_radix(digits, 8).ok()?);
            return text.get(4..);
        }
        _ => return None,
    };
    out.push(simple);
    Some(chars.as_str())
}

fn unquote_hex<'a>(text: &'a str, width: usize, rune: bool, out: &mut Vec<u8>) -> Option<&'a str> {
    let digits = text.get(..width)?;
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let code = u32::from_str_radix(digits, 16).ok()?;
    if rune {
        let mut buffer = [0; 4];
        out.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut buffer).as_bytes());
    } else {
        out.push(u8::try_from(code).ok()?);
    }
    text.get(width..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_as_percent_v() {
        for (value, text) in [
            (5.0, "5"),
            (1.5, "1.5"),
            (100_000.0, "100000"),
            (999_999.0, "999999"),
            (1e6, "1e+06"),
            (1_234_567.0, "1.234567e+06"),
            (12_345_678_901_234_567.0, "1.2345678901234568e+16"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1e15, "1e+15"),
            (1e21, "1e+21"),
            (-0.0, "-0"),
            (0.1, "0.1"),
            (0.0, "0"),
        ] {
            assert_eq!(format_general(value), text);
        }
    }

    #[test]
    fn floats_print_as_json() {
        for (value, text) in [
            (1e6, "1000000"),
            (1e21, "1e+21"),
            (1e-7, "1e-7"),
            (0.000_001, "0.000001"),
            (1.5, "1.5"),
        ] {
            assert_eq!(format_json(value), text);
        }
    }

    #[test]
    fn general_style_honours_precision() {
        for (value, precision, text) in [
            (1234.5678, 6, "1234.57"),
            (100_000.0, 3, "1e+05"),
            (1.234e-5, 2, "1.2e-05"),
            (100.0, 3, "100"),
            (3.0, 10, "3"),
        ] {
            assert_eq!(
                format_float(value, FloatStyle::General, Some(precision)),
                text
            );
        }
    }

    #[test]
    fn integers_know_their_base() {
        for (text, value) in [
            ("0x10", Ok(16)),
            ("010", Ok(8)),
            ("0b11", Ok(3)),
            ("1_0", Ok(10)),
            ("0_7", Ok(7)),
            ("08", Err(NumberError::Syntax)),
            ("1e3", Err(NumberError::Syntax)),
            ("", Err(NumberError::Syntax)),
            ("1__0", Err(NumberError::Syntax)),
            ("-9223372036854775808", Ok(i64::MIN)),
            ("9223372036854775808", Err(NumberError::Range)),
            ("0", Ok(0)),
        ] {
            assert_eq!(parse_int(text), value, "{text}");
        }
    }

    #[test]
    fn floats_read_go_syntax() {
        for (text, value) in [("1e3", 1000.0), (".5", 0.5), ("0x1p4", 16.0), ("-1.", -1.0)] {
            assert_eq!(parse_float(text), Ok(value), "{text}");
        }
        for text in ["", "abc", "1e", "e1", "1_", "0x1"] {
            assert!(parse_float(text).is_err(), "{text}");
        }
        assert_eq!(parse_float("1e400"), Err(NumberError::Range));
    }

    #[test]
    fn quoting_round_trips() {
        assert_eq!(
            quote(b"a\"\\\n\x01\xff\xe2\x98\x83", Charset::Unicode),
            r#""a\"\\\n\x01\xff☃""#
        );
        assert_eq!(
            quote("☃😀".as_bytes(), Charset::Ascii),
            r#""\u2603\U0001f600""#
        );
        assert_eq!(
            unquote(r#""a\"\\\n\x01\xff\u2603\101""#).unwrap(),
            b"a\"\\\n\x01\xff\xe2\x98\x83A"
        );
        assert_eq!(unquote("`a\\n`").unwrap(), b"a\\n");
        for bad in [
            r#""\'""#,
            r#""\q""#,
            "\"",
            r"'ab'",
            r#""\u12""#,
            r#""\ud800""#,
        ] {
            assert_eq!(unquote(bad), None, "{bad}");
        }
    }
}
