//! Lists.

use super::Function;
use super::args::{Arguments, as_slice, string_of, strings_of};
use super::cast;
use crate::engine::Call;
use crate::error::Fault;
use crate::value::{List, Type, Value, deep_equal, truth};

type Result = std::result::Result<Value, Fault>;

const ANY: Type = Type::Any;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::variadic("list", &[ANY], |_, a| Ok(Value::list(a.to_vec()))),
    Function::variadic("tuple", &[ANY], |_, a| Ok(Value::list(a.to_vec()))),
    Function::fixed("append", &[ANY, ANY], push),
    Function::fixed("push", &[ANY, ANY], push),
    Function::fixed("mustAppend", &[ANY, ANY], push),
    Function::fixed("mustPush", &[ANY, ANY], push),
    Function::fixed("prepend", &[ANY, ANY], prepend),
    Function::fixed("mustPrepend", &[ANY, ANY], prepend),
    Function::fixed("chunk", &[Type::Int, ANY], chunk),
    Function::fixed("mustChunk", &[Type::Int, ANY], chunk),
    Function::fixed("compact", &[ANY], compact),
    Function::fixed("mustCompact", &[ANY], compact),
    Function::variadic("concat", &[ANY], concat),
    Function::fixed("first", &[ANY], |_, a| {
        end(a, "Cannot find first on type", <[Value]>::first)
    }),
    Function::fixed("mustFirst", &[ANY], |_, a| {
        end(a, "Cannot find first on type", <[Value]>::first)
    }),
    Function::fixed("last", &[ANY], |_, a| {
        end(a, "Cannot find last on type", <[Value]>::last)
    }),
    Function::fixed("mustLast", &[ANY], |_, a| {
        end(a, "Cannot find last on type", <[Value]>::last)
    }),
    Function::fixed("rest", &[ANY], rest),
    Function::fixed("mustRest", &[ANY], rest),
    Function::fixed("initial", &[ANY], initial),
    Function::fixed("mustInitial", &[ANY], initial),
    Function::fixed("has", &[ANY, ANY], has),
    Function::fixed("mustHas", &[ANY, ANY], has),
    Function::fixed("reverse", &[ANY], reverse),
    Function::fixed("mustReverse", &[ANY], reverse),
    Function::fixed("sortAlpha", &[ANY], sort_alpha),
    Function::variadic("slice", &[ANY, ANY], slice),
    Function::variadic("mustSlice", &[ANY, ANY], slice),
    Function::fixed("uniq", &[ANY], uniq),
    Function::fixed("mustUniq", &[ANY], uniq),
    Function::variadic("without", &[ANY, ANY], without),
    Function::variadic("mustWithout", &[ANY, ANY], without),
];

fn push(call: &Call<'_>, args: &[Value]) -> Result {
    let mut items = args.slice(0, "Cannot push on type")?.items().to_vec();
    call.shared.spend_items(items.len())?;
    items.push(args.any(1));
    Ok(Value::list(items))
}

fn prepend(call: &Call<'_>, args: &[Value]) -> Result {
    let mut items = vec![args.any(1)];
    items.extend_from_slice(args.slice(0, "Cannot prepend on type")?.items());
    call.shared.spend_items(items.len())?;
    Ok(Value::list(items))
}

/// Upstream counts the chunks in floats, which decides what odd sizes give.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the lengths are small, and upstream computes in floats"
)]
fn chunk(_: &Call<'_>, args: &[Value]) -> Result {
    let list = args.slice(1, "Cannot chunk type")?;
    let (size, length) = (args.int(0), list.items().len());
    let count = ((length as f64 - 1.0) / size as f64).floor() + 1.0;
    let negative_chunk = size < 0 && count >= 1.0;
    if size == 0 || count < 0.0 || negative_chunk {
        return Err(Fault::new("runtime error: makeslice: len out of range"));
    }
    if count < 1.0 {
        return Ok(Value::List(List::typed("[]interface {}", Vec::new())));
    }
    let size = usize::try_from(size).unwrap_or(1).max(1);
    let chunks = list.items().chunks(size).take(count as usize);
    let chunks = chunks.map(|c| Value::list(c.to_vec())).collect();
    Ok(Value::List(List::typed("[]interface {}", chunks)))
}

fn compact(_: &Call<'_>, args: &[Value]) -> Result {
    let list = args.slice(0, "Cannot compact on type")?;
    Ok(Value::list(
        list.items().iter().filter(|v| truth(v)).cloned().collect(),
    ))
}

fn concat(call: &Call<'_>, args: &[Value]) -> Result {
    let mut items = Vec::new();
    for i in 0..args.len() {
        match as_slice(&args.any(i)) {
            Some(list) => items.extend_from_slice(list.items()),
            None if args.any(i).is_nil() => return Err(Fault::new(super::args::NIL_POINTER)),
            None => {
                let kind = args.any(i).kind().name();
                return Err(Fault::new(format!("Cannot concat type {kind} as list")));
            }
        }
    }
    call.shared.spend_items(items.len())?;
    if items.is_empty() {
        return Ok(Value::List(List::nil()));
    }
    Ok(Value::list(items))
}

fn end(args: &[Value], what: &str, pick: fn(&[Value]) -> Option<&Value>) -> Result {
    Ok(pick(args.slice(0, what)?.items())
        .cloned()
        .unwrap_or_default())
}

/// A slice of `interface {}`, nil where there was nothing to leave out.
fn part(list: &List, range: std::ops::Range<usize>) -> Value {
    match list.items().get(range) {
        Some(items) if !list.items().is_empty() => Value::list(items.to_vec()),
        _ => Value::List(List::nil()),
    }
}

fn rest(_: &Call<'_>, args: &[Value]) -> Result {
    let list = args.slice(0, "Cannot find rest on type")?;
    Ok(part(&list, 1..list.items().len().max(1)))
}

fn initial(_: &Call<'_>, args: &[Value]) -> Result {
    let list = args.slice(0, "Cannot find initial on type")?;
    Ok(part(&list, 0..list.items().len().saturating_sub(1)))
}

fn has(_: &Call<'_>, args: &[Value]) -> Result {
    if args.any(1).is_nil() {
        return Ok(Value::Bool(false));
    }
    let list = args.slice(1, "Cannot find has on type")?;
    let needle = args.any(0);
    Ok(Value::Bool(
        list.items().iter().any(|v| deep_equal(&needle, v)),
    ))
}

fn reverse(_: &Call<'_>, args: &[Value]) -> Result {
    let list = args.slice(0, "Cannot find reverse on type")?;
    Ok(Value::list(list.items().iter().rev().cloned().collect()))
}

fn sort_alpha(_: &Call<'_>, args: &[Value]) -> Result {
    let value = args.any(0);
    let mut strings = match as_slice(&value) {
        Some(_) => strings_of(&value),
        None => vec![string_of(&value)],
    };
    strings.sort();
    Ok(Value::List(List::strings(strings)))
}

fn slice(_: &Call<'_>, args: &[Value]) -> Result {
    let list = args.slice(0, "list should be type of slice or array but")?;
    let length = list.items().len();
    if length == 0 {
        return Ok(Value::Nil);
    }
    let bound = |i: usize, default: usize| {
        args.get(i)
            .map_or(i64::try_from(default).unwrap_or(i64::MAX), cast::int64)
    };
    let (start, end) = (bound(1, 0), bound(2, length));
    let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    range
        .and_then(|(start, end)| list.items().get(start..end))
        .map(|items| Value::List(list.with_items(items.to_vec())))
        .ok_or_else(|| Fault::new("reflect.Value.Slice: slice index out of bounds"))
}

fn uniq(call: &Call<'_>, args: &[Value]) -> Result {
    let list = args.slice(0, "Cannot find uniq on type")?;
    let mut kept: Vec<Value> = Vec::new();
    for item in list.items() {
        call.shared.spend_steps(kept.len() as u64 / 64 + 1)?;
        if !kept.iter().any(|k| deep_equal(k, item)) {
            kept.push(item.clone());
        }
    }
    Ok(Value::list(kept))
}

fn without(_: &Call<'_>, args: &[Value]) -> Result {
    let list = args.slice(0, "Cannot find without on type")?;
    let omit = &args[1..];
    let kept = list
        .items()
        .iter()
        .filter(|v| !omit.iter().any(|o| deep_equal(o, v)));
    Ok(Value::list(kept.cloned().collect()))
}
