//! Numbers as Go prints them.

/// Prints a float as Go's `strconv.FormatFloat(f, 'g', -1, 64)`, infinities and NaN as YAML spells them.
///
/// Shape: `1.5`, `1e+06`, `1e-07`, `.inf`, `-.inf`, `.nan`.
pub fn go_float(value: f64) -> String {
    if value.is_nan() {
        return ".nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    general(format!("{value:e}"), format!("{value}"))
}

/// Prints a float as Go's `strconv.FormatFloat(f, 'g', -1, 32)`, which is how sigs.k8s.io/yaml spells
/// a float that is a mapping key.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the loss is what is wanted"
)]
pub(crate) fn go_float_32(value: f64) -> String {
    let value = value as f32;
    if value.is_finite() {
        return general(format!("{value:e}"), format!("{value}"));
    }
    go_float(f64::from(value))
}

/// Chooses between the shortest forms with and without exponent.
fn general(scientific: String, plain: String) -> String {
    let Some((mantissa, exponent)) = exponent_of(&scientific) else {
        return scientific;
    };
    // Go decides as if the precision were six digits, however many the shortest form has.
    if (-4..6).contains(&exponent) {
        return plain;
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
}

/// Prints a finite float as Go's `encoding/json` does: `1`, `1e+21`, `1e-7`.
pub fn go_json_float(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        return format!("{value}");
    }
    let scientific = format!("{value:e}");
    match exponent_of(&scientific) {
        Some((mantissa, exponent)) if exponent >= 0 => format!("{mantissa}e+{exponent:02}"),
        _ => scientific,
    }
}

fn exponent_of(scientific: &str) -> Option<(&str, i32)> {
    let (mantissa, exponent) = scientific.split_once('e')?;
    Some((mantissa, exponent.parse().ok()?))
}

/// An integer literal's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Integer {
    Signed(i64),
    Unsigned(u64),
}

/// Reads an integer as Go's `strconv.ParseInt` and then `ParseUint` do with base 0: decimal, `0x`,
/// `0o`, `0b` and `0` for octal. Underscores must be gone already.
pub(crate) fn parse_integer(text: &str) -> Option<Integer> {
    let (negative, signed, digits) = match text.as_bytes().first()? {
        b'-' => (true, true, &text[1..]),
        b'+' => (false, true, &text[1..]),
        _ => (false, false, text),
    };
    let value = parse_magnitude(digits)?;
    if negative {
        return 0i64.checked_sub_unsigned(value).map(Integer::Signed);
    }
    match i64::try_from(value) {
        Ok(value) => Some(Integer::Signed(value)),
        // ParseUint takes no sign.
        Err(_) if signed => None,
        Err(_) => Some(Integer::Unsigned(value)),
    }
}

fn parse_magnitude(digits: &str) -> Option<u64> {
    let bytes = digits.as_bytes();
    let (radix, rest) = match bytes {
        [] => return None,
        [b'0'] => return Some(0),
        [b'0', b'x' | b'X', _, ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', _, ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', _, ..] => (2, &digits[2..]),
        [b'0', ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    // Rust would take a sign here, Go would not.
    if rest.starts_with(['+', '-']) {
        return None;
    }
    u64::from_str_radix(rest, radix).ok()
}

/// Reads a float of the shape YAML gives them; out of range is no float.
pub(crate) fn parse_float(text: &str) -> Option<f64> {
    if !is_float_shaped(text.as_bytes()) {
        return None;
    }
    text.parse::<f64>().ok().filter(|value| value.is_finite())
}

/// Reads what begins with a point as Go's `strconv.ParseFloat` does, which takes underscores between
/// digits.
pub(crate) fn parse_fraction(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    let between = |at: usize| {
        let digit = |at: Option<usize>| {
            at.and_then(|at| bytes.get(at))
                .is_some_and(u8::is_ascii_digit)
        };
        digit(at.checked_sub(1)) && digit(Some(at + 1))
    };
    let misplaced = |(at, byte): (usize, &u8)| *byte == b'_' && !between(at);
    if bytes.iter().enumerate().any(misplaced) {
        return None;
    }
    parse_float(&text.replace('_', ""))
}

/// Matches `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`.
fn is_float_shaped(text: &[u8]) -> bool {
    let digits = |from: usize| {
        text[from..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count()
    };
    let mut at = usize::from(matches!(text.first(), Some(b'-' | b'+')));
    let whole = digits(at);
    at += whole;
    if text.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        if whole == 0 && fraction == 0 {
            return false;
        }
        at += 1 + fraction;
    } else if whole == 0 {
        return false;
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        at += 1 + usize::from(matches!(text.get(at + 1), Some(b'-' | b'+')));
        let exponent = if at <= text.len() { digits(at) } else { 0 };
        if exponent == 0 {
            return false;
        }
        at += exponent;
    }
    at == text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_as_go_prints_them() {
        for (value, plain, json) in [
            (0.0, "0", "0"),
            (-0.0, "-0", "-0"),
            (1.0, "1", "1"),
            (1.5, "1.5", "1.5"),
            (100_000.0, "100000", "100000"),
            (1e6, "1e+06", "1000000"),
            (1_234_567.5, "1.2345675e+06", "1234567.5"),
            (1e-4, "0.0001", "0.0001"),
            (1e-5, "1e-05", "0.00001"),
            (1.5e-7, "1.5e-07", "1.5e-7"),
            (1e20, "1e+20", "100000000000000000000"),
            (1e21, "1e+21", "1e+21"),
            (
                1.797_693_134_862_315_7e308,
                "1.7976931348623157e+308",
                "1.7976931348623157e+308",
            ),
            (5e-324, "5e-324", "5e-324"),
        ] {
            assert_eq!(go_float(value), plain);
            assert_eq!(go_json_float(value), json);
        }
    }

    #[test]
    fn integers_read_as_go_reads_them() {
        for (text, value) in [
            ("0", Some(Integer::Signed(0))),
            ("-0", Some(Integer::Signed(0))),
            ("+5", Some(Integer::Signed(5))),
            ("0777", Some(Integer::Signed(511))),
            ("0o777", Some(Integer::Signed(511))),
            ("0x1F", Some(Integer::Signed(31))),
            ("-0b11", Some(Integer::Signed(-3))),
            ("9223372036854775808", Some(Integer::Unsigned(1 << 63))),
            ("-9223372036854775808", Some(Integer::Signed(i64::MIN))),
            ("+9223372036854775808", None),
            ("18446744073709551616", None),
            ("08", None),
            ("0x", None),
            ("0x-1", None),
            ("", None),
            ("-", None),
        ] {
            assert_eq!(parse_integer(text), value, "{text}");
        }
    }

    #[test]
    fn float_shapes_follow_yaml() {
        for text in ["1", "1.", ".5", "-.5", "+1e3", "1E-3", "08"] {
            assert!(parse_float(text).is_some(), "{text}");
        }
        for text in [
            "", ".", "-", "e3", "1e", "1e+", "1.2.3", "1e400", "0x1p3", "inf",
        ] {
            assert!(parse_float(text).is_none(), "{text}");
        }
    }
}
