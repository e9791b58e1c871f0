//! Go's own functions: comparison, indexing, length, printing, escaping.

use std::cmp::Ordering;

use super::args::Arguments;
use super::escape;
use super::{Body, Function};
use crate::engine::Call;
use crate::error::Fault;
use crate::text::Str;
use crate::value::{Kind, MapKind, Type, Value, truth};

type Result = std::result::Result<Value, Fault>;

const R: Type = Type::Reflect;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "and",
        params: &[R, R],
        variadic: true,
        body: Body::And,
    },
    Function {
        name: "or",
        params: &[R, R],
        variadic: true,
        body: Body::Or,
    },
    Function::variadic("call", &[R, R], call),
    Function::variadic("eq", &[R, R], eq),
    Function::fixed("ne", &[R, R], ne),
    Function::fixed("lt", &[R, R], |_, a| order(a, &[Ordering::Less])),
    Function::fixed("le", &[R, R], |_, a| {
        order(a, &[Ordering::Less, Ordering::Equal])
    }),
    Function::fixed("gt", &[R, R], |_, a| order(a, &[Ordering::Greater])),
    Function::fixed("ge", &[R, R], |_, a| {
        order(a, &[Ordering::Greater, Ordering::Equal])
    }),
    Function::variadic("html", &[Type::Any], |_, a| Ok(escaped(a, escape::html))),
    Function::variadic("index", &[R, R], index),
    Function::variadic("js", &[Type::Any], |_, a| Ok(escaped(a, escape::js))),
    Function::fixed("len", &[Type::Length], len),
    Function::fixed("not", &[R], |_, a| Ok(Value::Bool(!truth(&a.any(0))))),
    Function::variadic("print", &[Type::Any], |_, a| {
        Ok(Value::str(go::fmt::sprint(a)))
    }),
    Function::variadic("printf", &[Type::String, Type::Any], printf),
    Function::variadic("println", &[Type::Any], |_, a| {
        Ok(Value::str(go::fmt::sprintln(a)))
    }),
    Function::variadic("urlquery", &[Type::Any], |_, a| {
        Ok(escaped(a, escape::url_query))
    }),
];

fn printf(call: &Call<'_>, args: &[Value]) -> Result {
    let out = go::fmt::sprintf(args.string(0).as_bytes(), &args[1..]);
    call.shared.spend_bytes(out.len())?;
    Ok(Value::str(out))
}

fn escaped(args: &[Value], escape: fn(&[u8]) -> Vec<u8>) -> Value {
    let text = match args {
        [Value::Str(text)] => text.as_bytes().to_vec(),
        many => {
            let printable = |v: &Value| {
                if v.is_nil() {
                    Value::from("<no value>")
                } else {
                    v.clone()
                }
            };
            go::fmt::sprint(&many.iter().map(printable).collect::<Vec<_>>())
        }
    };
    Value::str(escape(&text))
}

/// No value here is a function, so a call can only fail.
fn call(_: &Call<'_>, args: &[Value]) -> Result {
    let callee = args.any(0);
    if callee.is_nil() {
        return Err(Fault::new("call of nil"));
    }
    Err(Fault::new(format!(
        "non-function value of type {}",
        callee.type_name()
    )))
}

/// Kinds that compare with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Basic {
    Bool,
    Int,
    Uint,
    Float,
    String,
}

fn basic(value: &Value) -> Option<Basic> {
    Some(match value.kind() {
        Kind::Bool => Basic::Bool,
        Kind::Int | Kind::Int64 => Basic::Int,
        Kind::Uint8 | Kind::Uint64 => Basic::Uint,
        Kind::Float64 => Basic::Float,
        Kind::String => Basic::String,
        _ => return None,
    })
}

fn signed(value: &Value) -> i64 {
    super::cast::int64(value)
}

fn unsigned(value: &Value) -> u64 {
    match value {
        Value::Byte(n) => u64::from(*n),
        Value::Uint64(n) => *n,
        _ => 0,
    }
}

fn eq(_: &Call<'_>, args: &[Value]) -> Result {
    let (first, rest) = args.split_first().ok_or_else(missing)?;
    if rest.is_empty() {
        return Err(missing());
    }
    for other in rest {
        let equal = match (basic(first), basic(other)) {
            (Some(Basic::Int), Some(Basic::Uint)) => {
                i128::from(signed(first)) == i128::from(unsigned(other))
            }
            (Some(Basic::Uint), Some(Basic::Int)) => {
                i128::from(unsigned(first)) == i128::from(signed(other))
            }
            (Some(x), Some(y)) if x == y => same(x, first, other),
            (None, None) => same_other(first, other)?,
            _ if first.is_nil() || other.is_nil() => false,
            _ => return Err(incompatible(first, other)),
        };
        if equal {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

#[expect(clippy::float_cmp, reason = "Go compares floats exactly")]
fn same(kind: Basic, a: &Value, b: &Value) -> bool {
    match (kind, a, b) {
        (Basic::Bool, Value::Bool(x), Value::Bool(y)) => x == y,
        (Basic::Float, Value::Float(x), Value::Float(y)) => x == y,
        (Basic::String, Value::Str(x), Value::Str(y)) => x == y,
        (Basic::Uint, _, _) => unsigned(a) == unsigned(b),
        _ => signed(a) == signed(b),
    }
}

fn missing() -> Fault {
    Fault::new("missing argument for comparison")
}

fn incompatible(a: &Value, b: &Value) -> Fault {
    let (a, b) = (a.type_name(), b.type_name());
    Fault::new(format!("incompatible types for comparison: {a} and {b}"))
}

/// Compares what is no basic kind: nil, slices, maps, structs.
fn same_other(a: &Value, b: &Value) -> std::result::Result<bool, Fault> {
    let shown = |v: &Value| {
        let text = go::fmt::sprintf(b"%s", std::slice::from_ref(v));
        String::from_utf8_lossy(&text).into_owned()
    };
    let (of_a, of_b) = (a.type_name(), b.type_name());
    if a.kind() != b.kind() && !a.is_nil() && !b.is_nil() {
        let (first, second) = (shown(a), String::from_utf8_lossy(&b.printed()).into_owned());
        let text = format!("non-comparable types {first}: {of_a}, {of_b}: {second}");
        return Err(Fault::new(text));
    }
    let nil = |v: &Value| v.is_nil() || matches!(v, Value::List(list) if list.is_nil());
    if nil(a) || nil(b) {
        return Ok(nil(a) == nil(b));
    }
    if matches!(b.kind(), Kind::Slice | Kind::Map) {
        return Err(Fault::new(format!(
            "non-comparable type {}: {of_b}",
            shown(b)
        )));
    }
    Ok(crate::value::deep_equal(a, b))
}

fn ne(call: &Call<'_>, args: &[Value]) -> Result {
    eq(call, args).map(|equal| Value::Bool(!truth(&equal)))
}

fn order(args: &[Value], accept: &[Ordering]) -> Result {
    let (a, b) = (args.any(0), args.any(1));
    let invalid = || Fault::new("invalid type for comparison");
    let (x, y) = (
        basic(&a).ok_or_else(invalid)?,
        basic(&b).ok_or_else(invalid)?,
    );
    let found = match (x, y) {
        (Basic::Int, Basic::Uint) => i128::from(signed(&a)).cmp(&i128::from(unsigned(&b))),
        (Basic::Uint, Basic::Int) => i128::from(unsigned(&a)).cmp(&i128::from(signed(&b))),
        _ if x != y => return Err(incompatible(&a, &b)),
        (Basic::Bool, _) => return Err(invalid()),
        (Basic::Int, _) => signed(&a).cmp(&signed(&b)),
        (Basic::Uint, _) => unsigned(&a).cmp(&unsigned(&b)),
        (Basic::Float, _) => {
            let (x, y) = (super::cast::float64(&a), super::cast::float64(&b));
            match x.partial_cmp(&y) {
                Some(found) => found,
                None => return Ok(Value::Bool(false)),
            }
        }
        (Basic::String, _) => args.string(0).cmp(&args.string(1)),
    };
    Ok(Value::Bool(accept.contains(&found)))
}

fn len(_: &Call<'_>, args: &[Value]) -> Result {
    let count = match args.any(0) {
        Value::Nil => return Err(Fault::new("len of nil pointer")),
        value if crate::value::is_no_value(&value) => {
            return Err(Fault::new(
                "reflect: call of reflect.Value.Type on zero Value",
            ));
        }
        Value::Str(s) | Value::Bytes(s) => s.len(),
        Value::List(list) => list.items().len(),
        Value::Map(map) => map.len(),
        other => return Err(Fault::new(format!("len of type {}", other.type_name()))),
    };
    Ok(Value::Int(i64::try_from(count).unwrap_or(i64::MAX)))
}

fn index(_: &Call<'_>, args: &[Value]) -> Result {
    let mut item = args.any(0);
    if item.is_nil() {
        return Err(Fault::new("index of untyped nil"));
    }
    for key in &args[1..] {
        item = match &item {
            Value::Nil => return Err(Fault::new("index of nil pointer")),
            Value::Map(map) => {
                let Value::Str(name) = key else {
                    return Err(bad_key(key));
                };
                match (map.get(name.as_bytes()), map.kind()) {
                    (Some(value), _) => value,
                    (None, MapKind::Strings) => Value::empty(),
                    (None, MapKind::Named(named)) if named.element == "[]uint8" => {
                        Value::Bytes(Str::from(""))
                    }
                    (None, _) => Value::Nil,
                }
            }
            Value::List(list) => list.items()[position(key, list.items().len())?].clone(),
            Value::Bytes(bytes) => Value::Byte(bytes.as_bytes()[position(key, bytes.len())?]),
            Value::Str(text) => match position(key, text.len()) {
                Ok(at) => Value::Byte(text.as_bytes()[at]),
                Err(e) => {
                    return Err(Fault::new(
                        e.text().replace("reflect: slice", "reflect: string"),
                    ));
                }
            },
            other => {
                return Err(Fault::new(format!(
                    "can't index item of type {}",
                    other.type_name()
                )));
            }
        };
    }
    Ok(item)
}

fn bad_key(key: &Value) -> Fault {
    if key.is_nil() {
        return Fault::new("value is nil; should be of type string");
    }
    Fault::new(format!(
        "value has type {}; should be string",
        key.type_name()
    ))
}

fn position(key: &Value, length: usize) -> std::result::Result<usize, Fault> {
    let at = match key {
        Value::Nil => return Err(Fault::new("cannot index slice/array with nil")),
        Value::Uint64(n) => i64::try_from(*n).unwrap_or(i64::MAX),
        _ if matches!(basic(key), Some(Basic::Int | Basic::Uint)) => signed(key),
        other => {
            let text = format!("cannot index slice/array with type {}", other.type_name());
            return Err(Fault::new(text));
        }
    };
    match usize::try_from(at) {
        Ok(i) if i < length => Ok(i),
        // Upstream's own check lets the length pass; reflection then refuses.
        Ok(i) if i == length => Err(Fault::new("reflect: slice index out of range")),
        _ => Err(Fault::new(format!("index out of range: {at}"))),
    }
}
