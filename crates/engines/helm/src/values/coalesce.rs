//! Joining a chart's default values under the user's, for the chart and its subcharts.
//!
//! Works on shared maps: upstream shares tables of globals between parent and subchart, and what
//! one merges into them the other sees.

use std::collections::BTreeMap;

use gotemplate::value::Value;
use gotemplate::{Map as Table, Str};
use serde_json::{Map, Value as Json};

use super::ValuesError;
use crate::chart::Chart;

/// What nulls do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nulls {
    /// A user's null deletes the default.
    Delete,
    /// Nulls are kept for a later step.
    Keep,
}

/// The values a chart is rendered with.
pub fn coalesce(chart: &Chart, values: &Map<String, Json>) -> Result<Table, ValuesError> {
    let table = to_table(values);
    join(chart, &table, Nulls::Delete)?;
    Ok(table)
}

/// The defaults of a chart with those of its subcharts, nulls kept.
pub(crate) fn merge_all(chart: &Chart) -> Result<Table, ValuesError> {
    let table = Table::new(BTreeMap::new());
    join(chart, &table, Nulls::Keep)?;
    Ok(table)
}

/// Fills a table with what it lacks from another, nulls kept.
pub(crate) fn merge_tables(target: &Table, source: &Table) {
    fill(target, source, Nulls::Keep);
}

pub(crate) fn to_table(values: &Map<String, Json>) -> Table {
    values
        .iter()
        .map(|(k, v)| (k.as_str(), Value::from_json_exact(v)))
        .collect()
}

/// A table as JSON; integers stay integers, floats floats.
pub(crate) fn to_json_map(table: &Table) -> Map<String, Json> {
    table.with(|entries| {
        let entries = entries.iter();
        entries
            .map(|(k, v)| (k.text().into_owned(), to_json(v)))
            .collect()
    })
}

fn to_json(value: &Value) -> Json {
    match value {
        Value::Bool(b) => Json::Bool(*b),
        Value::Int(n) | Value::Int64(n) => Json::Number((*n).into()),
        Value::Float(f) => serde_json::Number::from_f64(*f).map_or(Json::Null, Json::Number),
        Value::Str(text) => Json::String(text.text().into_owned()),
        Value::List(list) => Json::Array(list.items().iter().map(to_json).collect()),
        Value::Map(map) => Json::Object(to_json_map(map)),
        _ => Json::Null,
    }
}

fn deep_copy(value: &Value) -> Value {
    match value {
        Value::Map(map) => Value::Map(copy_table(map)),
        Value::List(list) => {
            Value::List(list.with_items(list.items().iter().map(deep_copy).collect()))
        }
        other => other.clone(),
    }
}

pub(crate) fn copy_table(table: &Table) -> Table {
    table
        .entries()
        .into_iter()
        .map(|(k, v)| (k, deep_copy(&v)))
        .collect()
}

fn join(chart: &Chart, target: &Table, nulls: Nulls) -> Result<(), ValuesError> {
    defaults(chart, target, nulls);
    for dependency in &chart.dependencies {
        let name = dependency.name();
        let inner = match target.get(name.as_bytes()) {
            None => {
                let empty = Table::new(BTreeMap::new());
                target.insert(Str::from(name), Value::Map(empty.clone()));
                empty
            }
            Some(Value::Map(inner)) => inner,
            Some(other) => {
                let shown = go::fmt::sprintf(b"%t", std::slice::from_ref(&other));
                let value = String::from_utf8_lossy(&shown).into_owned();
                return Err(ValuesError::Mismatch {
                    chart: name.to_owned(),
                    value,
                });
            }
        };
        globals(&inner, target);
        join(dependency, &inner, nulls)?;
    }
    Ok(())
}

/// Hands the parent's globals down; where both have a table the parent's entries win.
fn globals(inner: &Table, outer: &Table) {
    let table = |of: &Table| match of.get(b"global") {
        None => Some(Table::new(BTreeMap::new())),
        Some(Value::Map(map)) => Some(map),
        Some(_) => None,
    };
    let (Some(target), Some(source)) = (table(inner), table(outer)) else {
        return;
    };
    for (key, value) in source.entries() {
        match (value, target.get(key.as_bytes())) {
            (Value::Map(map), None) => target.insert(key, Value::Map(shallow(&map))),
            (Value::Map(map), Some(Value::Map(own))) => {
                let joined = shallow(&map);
                fill(&joined, &own, Nulls::Keep);
                target.insert(key, Value::Map(joined));
            }
            (Value::Map(_), Some(_)) | (_, Some(Value::Map(_))) => {}
            (value, _) => target.insert(key, value),
        }
    }
    inner.insert(Str::from("global"), Value::Map(target));
}

/// A new table that shares the tables inside.
fn shallow(table: &Table) -> Table {
    table.entries().into_iter().collect()
}

fn defaults(chart: &Chart, target: &Table, nulls: Nulls) {
    for (key, default) in to_table(&chart.values).entries() {
        match target.get(key.as_bytes()) {
            Some(Value::Nil) if nulls == Nulls::Delete => target.remove(key.as_bytes()),
            Some(Value::Map(own)) => {
                let Value::Map(source) = default else {
                    continue;
                };
                let subchart = chart
                    .dependencies
                    .iter()
                    .any(|d| d.name().as_bytes() == key.as_bytes());
                let nulls = if subchart { Nulls::Keep } else { nulls };
                if nulls == Nulls::Delete {
                    drop_nulls(&source);
                }
                fill(&own, &source, nulls);
            }
            Some(_) => {}
            None => {
                if nulls == Nulls::Delete {
                    match &default {
                        Value::Nil => continue,
                        Value::Map(map) => drop_nulls(map),
                        _ => {}
                    }
                }
                target.insert(key, default);
            }
        }
    }
}

fn drop_nulls(table: &Table) {
    for (key, value) in table.entries() {
        match value {
            Value::Nil => table.remove(key.as_bytes()),
            Value::Map(inner) => drop_nulls(&inner),
            _ => {}
        }
    }
}

/// Fills `target` with what it lacks from `source`.
fn fill(target: &Table, source: &Table, nulls: Nulls) {
    for (key, value) in source.entries() {
        let own = target.get(key.as_bytes());
        match (own, value) {
            (None, value) => target.insert(key, value),
            (Some(Value::Nil), value) => {
                if nulls == Nulls::Delete && !value.is_nil() {
                    target.remove(key.as_bytes());
                }
            }
            (Some(Value::Map(inner)), Value::Map(more)) => fill(&inner, &more, nulls),
            (Some(_), _) => {}
        }
    }
}
