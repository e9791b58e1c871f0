//! Number constants: one literal may serve as integer, unsigned and float.

use go::strconv;

use crate::ast::Number;
use crate::lex::quote;

/// Reads a number or character literal.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    reason = "a constant serves as another kind only where the conversion is exact"
)]
pub(super) fn read(literal: &str) -> Result<Number, String> {
    let mut number = Number {
        literal: literal.to_owned(),
        int: None,
        uint: None,
        float: None,
    };
    if literal.starts_with('\'') {
        let rune = strconv::unquote(literal)
            .and_then(|bytes| strconv::runes(&bytes).next())
            .ok_or_else(|| format!("malformed character constant: {literal}"))?;
        let code = u32::from(rune);
        number.int = Some(i64::from(code));
        number.uint = Some(u64::from(code));
        number.float = Some(f64::from(code));
        return Ok(number);
    }
    number.uint = strconv::parse_uint(literal).ok();
    number.int = strconv::parse_int(literal).ok();
    if number.int == Some(0) {
        number.uint = Some(0);
    }
    if let Some(int) = number.int {
        number.float = Some(int as f64);
    } else if let Some(uint) = number.uint {
        number.float = Some(uint as f64);
    } else if let Ok(float) = strconv::parse_float(literal) {
        if !literal.contains(['.', 'e', 'E', 'p', 'P']) {
            return Err(format!("integer overflow: {}", quote(literal)));
        }
        number.float = Some(float);
        number.int = Some(float as i64).filter(|n| *n as f64 == float);
        number.uint = Some(float as u64).filter(|n| *n as f64 == float);
    }
    if number.float.is_none() {
        return Err(format!("illegal number syntax: {}", quote(literal)));
    }
    Ok(number)
}
