//! JSON as Go's `encoding/json` writes and reads it.

mod decode;
mod encode;

pub use decode::{Invalid, parse, parse_first};
pub use encode::{Style, encode};

use super::Function;
use super::args::Arguments;
use crate::error::Fault;
use crate::value::{Type, Value};

const ANY: Type = Type::Any;
const STR: Type = Type::String;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::fixed("fromJson", &[STR], |_, a| {
        Ok(parse(a.string(0).as_bytes()).unwrap_or_default())
    }),
    Function::fixed("mustFromJson", &[STR], |_, a| {
        parse(a.string(0).as_bytes()).map_err(Fault::new)
    }),
    Function::fixed("toJson", &[ANY], |_, a| {
        Ok(or_empty(&a.any(0), Style::Html))
    }),
    Function::fixed("mustToJson", &[ANY], |_, a| must(&a.any(0), Style::Html)),
    Function::fixed("toPrettyJson", &[ANY], |_, a| {
        Ok(or_empty(&a.any(0), Style::Pretty))
    }),
    Function::fixed("mustToPrettyJson", &[ANY], |_, a| {
        must(&a.any(0), Style::Pretty)
    }),
    Function::fixed("toRawJson", &[ANY], |_, a| must(&a.any(0), Style::Raw)),
    Function::fixed("mustToRawJson", &[ANY], |_, a| must(&a.any(0), Style::Raw)),
];

fn or_empty(value: &Value, style: Style) -> Value {
    encode(value, style).map_or_else(|_| Value::empty(), Value::str)
}

fn must(value: &Value, style: Style) -> Result<Value, Fault> {
    encode(value, style).map(Value::str).map_err(Fault::new)
}
