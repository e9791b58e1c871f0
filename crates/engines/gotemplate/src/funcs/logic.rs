//! Defaults, choices and conversions to text.

use super::Function;
use super::args::{Arguments, string_of, strings_of};
use crate::error::Fault;
use crate::value::{List, Type, Value, truth};

const ANY: Type = Type::Any;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::variadic("all", &[ANY], |_, a| Ok(Value::Bool(a.iter().all(truth)))),
    Function::variadic("any", &[ANY], |_, a| Ok(Value::Bool(a.iter().any(truth)))),
    Function::variadic("coalesce", &[ANY], |_, a| {
        Ok(a.iter().find(|v| truth(v)).cloned().unwrap_or_default())
    }),
    Function::variadic("default", &[ANY, ANY], |_, a| {
        Ok(a.get(1)
            .filter(|v| truth(v))
            .cloned()
            .unwrap_or_else(|| a.any(0)))
    }),
    Function::fixed("empty", &[ANY], |_, a| Ok(Value::Bool(!truth(&a.any(0))))),
    Function::fixed("ternary", &[ANY, ANY, Type::Bool], |_, a| {
        Ok(a.any(usize::from(!a.bool(2))))
    }),
    Function::fixed("fail", &[Type::String], |_, a| Err(Fault::new(a.text(0)))),
    Function::fixed("hello", &[], |_, _| Ok(Value::from("Hello!"))),
    Function::fixed("toString", &[ANY], |_, a| {
        Ok(Value::Str(string_of(&a.any(0))))
    }),
    Function::fixed("toStrings", &[ANY], |_, a| {
        Ok(Value::List(List::strings(strings_of(&a.any(0)))))
    }),
];
