//! Arithmetic.

use super::Function;
use super::args::Arguments;
use super::cast::{float64, int64};
use super::decimal::Decimal;
use crate::engine::Call;
use crate::error::Fault;
use crate::value::{List, Type, Value};

type Result = std::result::Result<Value, Fault>;

const ANY: Type = Type::Any;
const INT: Type = Type::Int;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::variadic("add", &[ANY], |_, a| {
        Ok(Value::Int64(
            a.iter().fold(0, |sum, v| int64(v).wrapping_add(sum)),
        ))
    }),
    Function::fixed("add1", &[ANY], |_, a| {
        Ok(Value::Int64(int64(&a.any(0)).wrapping_add(1)))
    }),
    Function::fixed("sub", &[ANY, ANY], |_, a| {
        Ok(Value::Int64(
            int64(&a.any(0)).wrapping_sub(int64(&a.any(1))),
        ))
    }),
    Function::fixed("div", &[ANY, ANY], |_, a| divided(a, i64::wrapping_div)),
    Function::fixed("mod", &[ANY, ANY], |_, a| divided(a, i64::wrapping_rem)),
    Function::variadic("mul", &[ANY, ANY], |_, a| {
        Ok(Value::Int64(
            a.iter()
                .fold(1, |product: i64, v| product.wrapping_mul(int64(v))),
        ))
    }),
    Function::variadic("addf", &[ANY], |_, a| {
        decimals(&zero_first(a), Decimal::add)
    }),
    Function::fixed("add1f", &[ANY], |_, a| {
        decimals(&[a.any(0), Value::Int(1)], Decimal::add)
    }),
    Function::variadic("subf", &[ANY, ANY], |_, a| decimals(a, Decimal::sub)),
    Function::variadic("mulf", &[ANY, ANY], |_, a| decimals(a, Decimal::mul)),
    Function::variadic("divf", &[ANY, ANY], |_, a| {
        if a[1..].iter().any(|v| float64(v) == 0.0) {
            return Err(Fault::new("decimal division by 0"));
        }
        decimals(a, Decimal::div)
    }),
    Function::fixed("atoi", &[Type::String], |_, a| {
        let text = a.text(0);
        let digits = text.strip_prefix('+').unwrap_or(&text);
        let signed = digits.len() < text.len() && digits.starts_with('-');
        Ok(Value::Int(if signed {
            0
        } else {
            digits.parse().unwrap_or(0)
        }))
    }),
    Function::fixed("ceil", &[ANY], |_, a| {
        Ok(Value::Float(float64(&a.any(0)).ceil()))
    }),
    Function::fixed("floor", &[ANY], |_, a| {
        Ok(Value::Float(float64(&a.any(0)).floor()))
    }),
    Function::variadic("round", &[ANY, INT, Type::Float], round),
    Function::fixed("float64", &[ANY], |_, a| {
        Ok(Value::Float(float64(&a.any(0))))
    }),
    Function::fixed("int", &[ANY], |_, a| Ok(Value::Int(int64(&a.any(0))))),
    Function::fixed("int64", &[ANY], |_, a| Ok(Value::Int64(int64(&a.any(0))))),
    Function::fixed("toDecimal", &[ANY], to_decimal),
    Function::variadic("max", &[ANY, ANY], |_, a| Ok(extreme(a, i64::max))),
    Function::variadic("biggest", &[ANY, ANY], |_, a| Ok(extreme(a, i64::max))),
    Function::variadic("min", &[ANY, ANY], |_, a| Ok(extreme(a, i64::min))),
    Function::variadic("maxf", &[ANY, ANY], |_, a| Ok(extreme_float(a, f64::max))),
    Function::variadic("minf", &[ANY, ANY], |_, a| Ok(extreme_float(a, f64::min))),
    Function::variadic("seq", &[INT], seq),
    Function::fixed("until", &[INT], |c, a| {
        let end = a.int(0);
        ints(c, 0, end, if end < 0 { -1 } else { 1 })
    }),
    Function::fixed("untilStep", &[INT, INT, INT], |c, a| {
        ints(c, a.int(0), a.int(1), a.int(2))
    }),
];

fn divided(args: &[Value], op: fn(i64, i64) -> i64) -> Result {
    let (a, b) = (int64(&args.any(0)), int64(&args.any(1)));
    if b == 0 {
        return Err(Fault::new("runtime error: integer divide by zero"));
    }
    Ok(Value::Int64(op(a, b)))
}

fn zero_first(args: &[Value]) -> Vec<Value> {
    let mut all = vec![Value::Int(0)];
    all.extend_from_slice(args);
    all
}

fn decimals(args: &[Value], op: fn(Decimal, Decimal) -> Decimal) -> Result {
    let mut numbers = args.iter().map(|v| Decimal::from_float(float64(v)));
    let first = numbers.next().unwrap_or_else(|| Decimal::from_float(0.0));
    Ok(Value::Float(numbers.fold(first, op).to_float()))
}

fn extreme(args: &[Value], pick: fn(i64, i64) -> i64) -> Value {
    Value::Int64(args.iter().map(int64).reduce(pick).unwrap_or(0))
}

fn extreme_float(args: &[Value], pick: fn(f64, f64) -> f64) -> Value {
    Value::Float(args.iter().map(float64).reduce(pick).unwrap_or(0.0))
}

fn round(_: &Call<'_>, args: &[Value]) -> Result {
    let threshold = match args.get(2) {
        Some(Value::Float(f)) => *f,
        _ => 0.5,
    };
    let power = 10_f64.powi(i32::try_from(args.int(1)).unwrap_or(0));
    let scaled = power * float64(&args.any(0));
    let rounded = if scaled.fract() >= threshold {
        scaled.ceil()
    } else {
        scaled.floor()
    };
    Ok(Value::Float(rounded / power))
}

fn to_decimal(_: &Call<'_>, args: &[Value]) -> Result {
    let printed = args.any(0).printed();
    let text = String::from_utf8_lossy(&printed);
    let digits = text.strip_prefix('+').unwrap_or(&text);
    Ok(Value::Int64(i64::from_str_radix(digits, 8).unwrap_or(0)))
}

/// The numbers from `start` to before `stop`.
fn steps(
    call: &Call<'_>,
    start: i64,
    stop: i64,
    step: i64,
) -> std::result::Result<Vec<i64>, Fault> {
    let mut out = Vec::new();
    let mut at = start;
    let falling = stop < start;
    if step == 0 || falling == (step > 0) {
        return Ok(out);
    }
    while if falling { at > stop } else { at < stop } {
        call.shared.spend_items(1)?;
        out.push(at);
        match at.checked_add(step) {
            Some(next) => at = next,
            None => break,
        }
    }
    Ok(out)
}

fn ints(call: &Call<'_>, start: i64, stop: i64, step: i64) -> Result {
    let numbers = steps(call, start, stop, step)?;
    Ok(Value::List(List::typed(
        "int",
        numbers.into_iter().map(Value::Int).collect(),
    )))
}

fn seq(call: &Call<'_>, args: &[Value]) -> Result {
    let toward = |start: i64, end: i64| if end < start { -1 } else { 1 };
    let (start, end, step, past) = match args.len() {
        1 => (
            1,
            args.int(0),
            toward(1, args.int(0)),
            toward(1, args.int(0)),
        ),
        2 => {
            let step = toward(args.int(0), args.int(1));
            (args.int(0), args.int(1), step, step)
        }
        3 => {
            let (start, step, end) = (args.int(0), args.int(1), args.int(2));
            if end < start && step > 0 {
                return Ok(Value::empty());
            }
            (start, end, step, toward(start, end))
        }
        _ => return Ok(Value::empty()),
    };
    let numbers = steps(call, start, end.saturating_add(past), step)?;
    let texts: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    Ok(Value::from(texts.join(" ")))
}
