//! Turning anything into a number, as spf13/cast does for sprig.

use go::strconv;

use crate::value::Value;

/// Any value as `int64`; what is no number is 0.
#[expect(
    clippy::cast_possible_truncation,
    reason = "Go truncates floats toward zero"
)]
pub(crate) fn int64(value: &Value) -> i64 {
    match value {
        Value::Int(n) | Value::Int64(n) => *n,
        Value::Uint64(n) => n.cast_signed(),
        Value::Byte(n) => i64::from(*n),
        // Out of range, amd64 gives the least integer.
        Value::Float(f) if f.is_nan() || *f >= 9.223_372_036_854_776e18 => i64::MIN,
        Value::Float(f) => *f as i64,
        Value::Bool(b) => i64::from(*b),
        Value::Duration(d) => d.nanos(),
        Value::Str(text) => strconv::parse_int(trim_zero_decimal(&text.text())).unwrap_or(0),
        _ => 0,
    }
}

/// Any value as `float64`; what is no number is 0.
#[expect(clippy::cast_precision_loss, reason = "Go rounds the same way")]
pub(crate) fn float64(value: &Value) -> f64 {
    match value {
        Value::Int(n) | Value::Int64(n) => *n as f64,
        Value::Uint64(n) => *n as f64,
        Value::Byte(n) => f64::from(*n),
        Value::Float(f) => *f,
        Value::Bool(b) => f64::from(u8::from(*b)),
        Value::Duration(d) => d.nanos() as f64,
        Value::Str(text) => strconv::parse_float(&text.text()).unwrap_or(0.0),
        _ => 0.0,
    }
}

/// Cuts a fraction that is nothing but zeros: `1.00` becomes `1`.
fn trim_zero_decimal(text: &str) -> &str {
    match text.rfind('.') {
        Some(at) if !text[at + 1..].is_empty() && text[at + 1..].bytes().all(|b| b == b'0') => {
            &text[..at]
        }
        _ => text,
    }
}
