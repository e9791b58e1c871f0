//! Dictionaries.

use super::Function;
use super::args::{Arguments, string_of};
use crate::engine::Call;
use crate::error::Fault;
use crate::text::Str;
use crate::value::{List, Map, MapKind, Type, Value};

type Result = std::result::Result<Value, Fault>;

const ANY: Type = Type::Any;
const DICT: Type = Type::Dict;
const STR: Type = Type::String;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::variadic("dict", &[ANY], dict),
    Function::variadic("dig", &[ANY], dig),
    Function::fixed("get", &[DICT, STR], |_, a| {
        let found = a.dict(0).and_then(|d| d.get(a.string(1).as_bytes()));
        Ok(found.unwrap_or_else(Value::empty))
    }),
    Function::fixed("set", &[DICT, STR, ANY], set),
    Function::fixed("unset", &[DICT, STR], |_, a| {
        if let Some(dict) = a.dict(0) {
            dict.remove(a.string(1).as_bytes());
        }
        Ok(a.any(0))
    }),
    Function::fixed("hasKey", &[DICT, STR], |_, a| {
        Ok(Value::Bool(
            a.dict(0)
                .is_some_and(|d| d.contains(a.string(1).as_bytes())),
        ))
    }),
    Function::variadic("keys", &[DICT], keys),
    Function::fixed("values", &[DICT], values),
    Function::variadic("pluck", &[STR, DICT], pluck),
    Function::variadic("pick", &[DICT, STR], pick),
    Function::variadic("omit", &[DICT, STR], omit),
    Function::fixed("deepCopy", &[ANY], deep_copy),
    Function::fixed("mustDeepCopy", &[ANY], deep_copy),
];

fn dict(_: &Call<'_>, args: &[Value]) -> Result {
    let entries = args.chunks(2).map(|pair| {
        let value = pair.get(1).cloned().unwrap_or_else(Value::empty);
        (string_of(&pair[0]), value)
    });
    Ok(Value::Map(entries.collect()))
}

fn dig(_: &Call<'_>, args: &[Value]) -> Result {
    let [path @ .., default, root] = args else {
        return Err(Fault::new("dig needs at least three arguments"));
    };
    if path.is_empty() {
        return Err(Fault::new("dig needs at least three arguments"));
    }
    let mut current = root.clone();
    for (i, key) in path.iter().enumerate() {
        let map = as_plain_map(&current)?;
        let Value::Str(name) = key else {
            let got = shown_type(key);
            let text = format!("interface conversion: interface {{}} is {got}, not string");
            return Err(Fault::new(text));
        };
        match map.get(name.as_bytes()) {
            None => return Ok(default.clone()),
            Some(value) if i + 1 == path.len() => return Ok(value),
            Some(value) => current = value,
        }
    }
    Ok(current)
}

/// A Go type assertion to `map[string]interface {}`, which refuses named map types.
fn as_plain_map(value: &Value) -> std::result::Result<Map, Fault> {
    match value {
        Value::Map(map) if matches!(map.kind(), MapKind::Any) => Ok(map.clone()),
        other => {
            let got = shown_type(other);
            let text = format!(
                "interface conversion: interface {{}} is {got}, not map[string]interface {{}}"
            );
            Err(Fault::new(text))
        }
    }
}

fn shown_type(value: &Value) -> String {
    if value.is_nil() {
        "nil".to_owned()
    } else {
        value.type_name()
    }
}

fn set(call: &Call<'_>, args: &[Value]) -> Result {
    let dict = args
        .dict(0)
        .ok_or_else(|| Fault::new("assignment to entry in nil map"))?;
    call.shared.put(&dict, args.string(1), args.any(2));
    Ok(args.any(0))
}

fn keys(_: &Call<'_>, args: &[Value]) -> Result {
    let mut keys = Vec::new();
    for i in 0..args.len() {
        keys.extend(args.dict(i).map(|d| d.keys()).unwrap_or_default());
    }
    Ok(Value::List(List::strings(keys)))
}

fn values(_: &Call<'_>, args: &[Value]) -> Result {
    let entries = args.dict(0).map(|d| d.entries()).unwrap_or_default();
    Ok(Value::list(entries.into_iter().map(|(_, v)| v).collect()))
}

fn pluck(_: &Call<'_>, args: &[Value]) -> Result {
    let key = args.string(0);
    let found = (1..args.len()).filter_map(|i| args.dict(i)?.get(key.as_bytes()));
    Ok(Value::list(found.collect()))
}

fn selected(args: &[Value], keep: impl Fn(&Str) -> bool) -> Value {
    let entries = args.dict(0).map(|d| d.entries()).unwrap_or_default();
    Value::Map(entries.into_iter().filter(|(k, _)| keep(k)).collect())
}

fn names(args: &[Value]) -> Vec<Str> {
    (1..args.len()).map(|i| args.string(i)).collect()
}

fn pick(_: &Call<'_>, args: &[Value]) -> Result {
    let names = names(args);
    Ok(selected(args, |k| names.contains(k)))
}

fn omit(_: &Call<'_>, args: &[Value]) -> Result {
    let names = names(args);
    Ok(selected(args, |k| !names.contains(k)))
}

fn deep_copy(call: &Call<'_>, args: &[Value]) -> Result {
    let value = args.any(0);
    if value.is_nil() {
        return Err(Fault::new(
            "reflect: call of reflect.Value.Type on zero Value",
        ));
    }
    copied(call, &value, 0)
}

fn copied(call: &Call<'_>, value: &Value, depth: usize) -> Result {
    call.shared.spend_steps(1)?;
    if depth > 1000 {
        return Err(Fault::new("value nests too deep to be copied"));
    }
    Ok(match value {
        Value::Map(map) => {
            let mut entries = std::collections::BTreeMap::new();
            for (key, item) in map.entries() {
                entries.insert(key, copied(call, &item, depth + 1)?);
            }
            Value::Map(Map::of(map.kind(), entries))
        }
        Value::List(list) if !list.is_nil() => {
            let items: std::result::Result<Vec<_>, _> = list
                .items()
                .iter()
                .map(|i| copied(call, i, depth + 1))
                .collect();
            Value::List(list.with_items(items?))
        }
        other => other.clone(),
    })
}
