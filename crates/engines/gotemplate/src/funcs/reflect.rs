//! Kinds, types and equality.

use super::Function;
use super::args::Arguments;
use crate::value::{Type, Value, deep_equal};

const ANY: Type = Type::Any;
const STR: Type = Type::String;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::fixed("deepEqual", &[ANY, ANY], |_, a| {
        Ok(Value::Bool(deep_equal(&a.any(0), &a.any(1))))
    }),
    Function::fixed("kindOf", &[ANY], |_, a| {
        Ok(Value::from(a.any(0).kind().name()))
    }),
    Function::fixed("kindIs", &[STR, ANY], |_, a| {
        Ok(Value::Bool(a.text(0) == a.any(1).kind().name()))
    }),
    Function::fixed("typeOf", &[ANY], |_, a| {
        Ok(Value::from(a.any(0).type_name()))
    }),
    Function::fixed("typeIs", &[STR, ANY], |_, a| {
        Ok(Value::Bool(a.text(0) == a.any(1).type_name()))
    }),
    Function::fixed("typeIsLike", &[STR, ANY], |_, a| {
        let (wanted, found) = (a.text(0), a.any(1).type_name());
        Ok(Value::Bool(
            wanted == found || format!("*{wanted}") == found,
        ))
    }),
];
