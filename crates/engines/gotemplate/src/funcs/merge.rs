//! Merging dictionaries into the first, as mergo does for sprig.

use super::Function;
use super::args::Arguments;
use crate::engine::Call;
use crate::error::Fault;
use crate::value::{Map, Type, Value, truth};

const DICT: Type = Type::Dict;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::variadic("merge", &[DICT, DICT], |c, a| merged(c, a, Rule::Fill)),
    Function::variadic("mustMerge", &[DICT, DICT], |c, a| merged(c, a, Rule::Fill)),
    Function::variadic("mergeOverwrite", &[DICT, DICT], |c, a| {
        merged(c, a, Rule::Overwrite)
    }),
    Function::variadic("mustMergeOverwrite", &[DICT, DICT], |c, a| {
        merged(c, a, Rule::Overwrite)
    }),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Only what is empty in the destination is taken.
    Fill,
    /// Everything is taken.
    Overwrite,
}

fn merged(call: &Call<'_>, args: &[Value], rule: Rule) -> Result<Value, Fault> {
    let target = args
        .dict(0)
        .unwrap_or_else(|| Map::new(std::collections::BTreeMap::new()));
    for i in 1..args.len() {
        if let Some(source) = args.dict(i) {
            merge_into(call, &target, &source, rule, 0)?;
        }
    }
    Ok(Value::Map(target))
}

fn merge_into(
    call: &Call<'_>,
    target: &Map,
    source: &Map,
    rule: Rule,
    depth: usize,
) -> Result<(), Fault> {
    if target.same(source) {
        return Ok(());
    }
    if depth > 1000 {
        return Err(Fault::new("dictionaries nest too deep to be merged"));
    }
    for (key, value) in source.entries() {
        call.shared.spend_steps(1)?;
        let present = target.get(key.as_bytes());
        if value.is_nil() {
            if rule == Rule::Overwrite {
                call.shared.put(target, key, value);
            }
            continue;
        }
        if let (Value::Map(inner), Some(Value::Map(kept))) = (&value, &present) {
            merge_into(call, kept, inner, rule, depth + 1)?;
            if !kept.is_empty() {
                continue;
            }
        }
        if rule == Rule::Overwrite || !present.as_ref().is_some_and(truth) {
            call.shared.put(target, key, value);
        }
    }
    Ok(())
}
