//! Random texts and numbers.

use base64::Engine as _;

use super::Function;
use super::args::Arguments;
use crate::engine::Call;
use crate::error::Fault;
use crate::value::{Type, Value};

type Result = std::result::Result<Value, Fault>;

const INT: Type = Type::Int;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::fixed("randAlpha", &[INT], |c, a| {
        picked(c, a, u8::is_ascii_alphabetic)
    }),
    Function::fixed("randAlphaNum", &[INT], |c, a| {
        picked(c, a, u8::is_ascii_alphanumeric)
    }),
    Function::fixed("randNumeric", &[INT], |c, a| {
        picked(c, a, u8::is_ascii_digit)
    }),
    Function::fixed("randAscii", &[INT], |c, a| {
        picked(c, a, |b| (32..127).contains(b))
    }),
    Function::fixed("randBytes", &[INT], rand_bytes),
    Function::fixed("randInt", &[INT, INT], rand_int),
    Function::fixed("shuffle", &[Type::String], shuffle),
    Function::fixed("uuidv4", &[], uuid),
];

fn picked(call: &Call<'_>, args: &[Value], fits: fn(&u8) -> bool) -> Result {
    let alphabet: Vec<u8> = (0..128).filter(fits).collect();
    let count = usize::try_from(args.int(0)).unwrap_or(0);
    call.shared.spend_bytes(count)?;
    call.shared.spend_steps(count as u64)?;
    let random = &call.shared.random;
    let text: Vec<u8> = (0..count)
        .map(|_| alphabet[usize::try_from(random.below(alphabet.len() as u64)).unwrap_or(0)])
        .collect();
    Ok(Value::str(text))
}

fn rand_bytes(call: &Call<'_>, args: &[Value]) -> Result {
    let count = usize::try_from(args.int(0))
        .map_err(|_| Fault::new("runtime error: makeslice: len out of range"))?;
    call.shared.spend_bytes(count.saturating_mul(2))?;
    let bytes = call.shared.random.bytes(count);
    Ok(Value::from(
        base64::engine::general_purpose::STANDARD.encode(bytes),
    ))
}

fn rand_int(call: &Call<'_>, args: &[Value]) -> Result {
    let (min, max) = (args.int(0), args.int(1));
    let span = max
        .checked_sub(min)
        .and_then(|s| u64::try_from(s).ok())
        .filter(|s| *s > 0);
    let span = span.ok_or_else(|| Fault::new("invalid argument to Intn"))?;
    let offset = i64::try_from(call.shared.random.below(span)).unwrap_or(0);
    Ok(Value::Int(min.saturating_add(offset)))
}

fn shuffle(call: &Call<'_>, args: &[Value]) -> Result {
    let mut runes: Vec<char> = args.text(0).chars().collect();
    for i in (1..runes.len()).rev() {
        let j = usize::try_from(call.shared.random.below(i as u64 + 1)).unwrap_or(0);
        runes.swap(i, j);
    }
    Ok(Value::from(runes.into_iter().collect::<String>()))
}

fn uuid(call: &Call<'_>, _: &[Value]) -> Result {
    let mut bytes = call.shared.random.bytes(16);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hex::encode(bytes);
    let parts = [
        &text[..8],
        &text[8..12],
        &text[12..16],
        &text[16..20],
        &text[20..],
    ];
    Ok(Value::from(parts.join("-")))
}
