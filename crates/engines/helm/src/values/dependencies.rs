//! Which subcharts are rendered, under which names, and what of their values the parent takes.

use gotemplate::Map as Table;
use gotemplate::value::Value;
use serde_json::{Map, Value as Json};

use super::ValuesError;
use super::coalesce::{coalesce, copy_table, merge_all, merge_tables, to_json_map, to_table};
use crate::chart::{Chart, Dependency};

/// Enables, renames and removes subcharts by tags and conditions, then imports their values.
/// Doing it twice changes nothing more.
pub fn process_dependencies(
    chart: &mut Chart,
    values: &Map<String, Json>,
) -> Result<(), ValuesError> {
    enable(chart, values, "")?;
    import(chart)
}

/// Whether a chart's version is in a range; an unreadable range or version is not.
pub(crate) fn is_compatible(range: &str, version: &str) -> bool {
    match (
        semver::Constraint::parse(range),
        semver::Version::parse(version),
    ) {
        (Ok(range), Ok(version)) => range.check(&version),
        _ => false,
    }
}

fn matches(chart: &Chart, wanted: &Dependency) -> bool {
    chart.name() == wanted.name && is_compatible(&wanted.version, &chart.metadata.version)
}

fn enable(chart: &mut Chart, values: &Map<String, Json>, path: &str) -> Result<(), ValuesError> {
    let Some(mut wanted) = chart.metadata.dependencies.clone() else {
        return Ok(());
    };
    // Subcharts that nobody asked for stay as they are.
    let mut kept: Vec<Chart> = chart
        .dependencies
        .iter()
        .filter(|c| !wanted.iter().any(|w| matches(c, w)))
        .cloned()
        .collect();
    for dependency in &mut wanted {
        let found = chart
            .dependencies
            .iter()
            .find(|c| matches(c, dependency))
            .cloned();
        if let Some(mut found) = found {
            if !dependency.alias.is_empty() {
                found.metadata.name.clone_from(&dependency.alias);
            }
            kept.push(found);
        }
        if !dependency.alias.is_empty() {
            dependency.name.clone_from(&dependency.alias);
        }
        dependency.enabled = true;
    }
    chart.dependencies = kept;
    if is_settled(chart, &wanted, values) {
        chart.metadata.dependencies = Some(wanted).filter(|all| !all.is_empty());
        return Ok(());
    }
    let joined = coalesce(chart, values)?;
    apply_tags(&mut wanted, &joined);
    apply_conditions(&mut wanted, &joined, path);
    let removed: Vec<String> = wanted
        .iter()
        .filter(|w| !w.enabled)
        .map(|w| w.name.clone())
        .collect();
    chart
        .dependencies
        .retain(|c| !removed.iter().any(|r| r == c.name()));
    wanted.retain(|w| !removed.contains(&w.name));
    chart.metadata.dependencies = Some(wanted).filter(|all| !all.is_empty());
    let mut inner = chart.dependencies.iter();
    if inner.all(|c| c.metadata.dependencies.is_none()) {
        return Ok(());
    }
    let joined = to_json_map(&joined);
    for dependency in &mut chart.dependencies {
        let inner = format!("{path}{}.", dependency.name());
        enable(dependency, &joined, &inner)?;
    }
    Ok(())
}

/// Whether no value can disable a subchart, and none is wrong: then nothing needs to be joined.
fn is_settled(chart: &Chart, wanted: &[Dependency], values: &Map<String, Json>) -> bool {
    let mut wanted = wanted.iter();
    let is_leaf = |inner: &Chart| {
        let is_table = |value: Option<&Json>| value.is_none_or(Json::is_object);
        inner.dependencies.is_empty()
            && inner.metadata.dependencies.is_none()
            && is_table(values.get(inner.name()))
            && is_table(chart.values.get(inner.name()))
    };
    wanted.all(|w| w.condition.is_empty() && w.tags.is_empty())
        && chart.dependencies.iter().all(is_leaf)
}

fn apply_tags(wanted: &mut [Dependency], values: &Table) {
    let Some(Value::Map(tags)) = values.get(b"tags") else {
        return;
    };
    for dependency in wanted {
        let mut found = dependency
            .tags
            .iter()
            .filter_map(|tag| match tags.get(tag.as_bytes()) {
                Some(Value::Bool(b)) => Some(b),
                _ => None,
            });
        if let Some(first) = found.next() {
            dependency.enabled = first || found.any(|b| b);
        }
    }
}

/// The first path that leads to a boolean decides.
fn apply_conditions(wanted: &mut [Dependency], values: &Table, prefix: &str) {
    for dependency in wanted {
        let paths = dependency
            .condition
            .trim()
            .split(',')
            .filter(|p| !p.is_empty());
        for path in paths {
            if let Some(Value::Bool(b)) = lookup(values, &format!("{prefix}{path}")) {
                dependency.enabled = b;
                break;
            }
        }
    }
}

fn lookup(values: &Table, path: &str) -> Option<Value> {
    let mut current = Value::Map(values.clone());
    for name in path.split('.') {
        let Value::Map(map) = current else {
            return None;
        };
        current = map.get(name.as_bytes())?;
    }
    Some(current)
}

/// Imports bottom-up, so that a chart can hand on what it imported.
fn import(chart: &mut Chart) -> Result<(), ValuesError> {
    for dependency in &mut chart.dependencies {
        import(dependency)?;
    }
    let Some(wanted) = &chart.metadata.dependencies else {
        return Ok(());
    };
    if wanted.iter().all(|w| w.import_values.is_empty())
        && let Some(merged) = merged(chart)
    {
        chart.values = merged;
        return Ok(());
    }
    let defaults = merge_all(chart)?;
    let imported = to_table(&Map::new());
    for dependency in wanted {
        for import in &dependency.import_values {
            let path = format!("{}.{}", dependency.name, import.child);
            let Some(Value::Map(found)) = lookup(&defaults, &path) else {
                continue;
            };
            // Later imports show in a table that was imported, but not in an empty one.
            let found = if found.is_empty() {
                to_table(&Map::new())
            } else {
                found
            };
            merge_tables(&imported, &placed(&import.parent, found));
        }
    }
    let own = copy_table(&defaults);
    merge_tables(&own, &imported);
    chart.values = to_json_map(&own);
    Ok(())
}

/// What [`merge_all`] gives, where no globals are shared and nothing is wrong.
fn merged(chart: &Chart) -> Option<Map<String, Json>> {
    let mut merged = chart.values.clone();
    merge_into(&mut merged, chart)?;
    Some(merged)
}

fn merge_into(target: &mut Map<String, Json>, chart: &Chart) -> Option<()> {
    if target.contains_key(GLOBAL) && !chart.dependencies.is_empty() {
        return None;
    }
    for dependency in &chart.dependencies {
        let inner = target.entry(dependency.name()).or_insert_with(empty);
        let inner = inner.as_object_mut()?;
        if inner.contains_key(GLOBAL) || dependency.values.contains_key(GLOBAL) {
            return None;
        }
        fill(inner, &dependency.values);
        merge_into(inner, dependency)?;
        inner.insert(GLOBAL.to_owned(), empty());
    }
    Some(())
}

const GLOBAL: &str = "global";

fn empty() -> Json {
    Json::Object(Map::new())
}

/// Fills `target` with what it lacks from `source`.
fn fill(target: &mut Map<String, Json>, source: &Map<String, Json>) {
    for (key, value) in source {
        match (target.get_mut(key), value) {
            (Some(Json::Object(inner)), Json::Object(more)) => fill(inner, more),
            (Some(_), _) => {}
            (None, value) => {
                target.insert(key.clone(), value.clone());
            }
        }
    }
}

/// A table below a path.
fn placed(path: &str, table: Table) -> Table {
    if path == "." {
        return table;
    }
    path.split('.').rev().fold(table, |inner, name| {
        std::iter::once((name, Value::Map(inner))).collect()
    })
}
