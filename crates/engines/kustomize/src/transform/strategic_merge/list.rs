//! Lists whose elements merge by key.
//!
//! Elements of the patch come first, in its order, whether they are new or were there; the others
//! follow. What happens to elements without a key, or with several keys of which some are missing,
//! is as odd upstream as it is here.

use std::collections::{HashMap, HashSet};

use yaml::{Node, Style, Value};

use super::{DIRECTIVE, Directive, Merger, map_directive};
use crate::field_spec::Misfit;
use crate::schema::Cursor;
use crate::tree;

/// Reads what a list of a patch asks for, and gives the list without the element that asks.
pub(super) fn directive(patch: &Node) -> Result<(Node, Directive), Misfit> {
    let items = patch
        .as_sequence()
        .map_or(&[][..], |items| items.as_slice());
    let Some(at) = items.iter().position(|item| item.get(DIRECTIVE).is_some()) else {
        return Ok((patch.clone(), Directive::Merge));
    };
    if items[at]
        .as_mapping()
        .is_some_and(|mapping| mapping.len() > 1)
    {
        return Ok((patch.clone(), Directive::Merge));
    }
    let asked = map_directive(&items[at])?;
    let text = items[at].get(DIRECTIVE).map_or("", Node::text).to_owned();
    let mut rest = patch.clone();
    if let Some(items) = rest.as_sequence_mut() {
        set_element(items, None, &[DIRECTIVE], &[text]);
    }
    Ok((rest, asked))
}

/// What a list is merged with.
#[derive(Debug, Clone, Copy)]
pub(super) enum Other<'p> {
    /// Nothing: its elements are looked through all the same.
    Nothing,
    /// The list of a patch.
    Patch(&'p Node),
    /// Itself: a list that a patch brings where none was.
    Itself,
}

/// Merges a list with another, in place.
pub(super) fn merge<'s>(
    merger: Merger<'s>,
    dest: &mut Node,
    other: Other<'_>,
    elements: Option<Cursor<'s>>,
    keys: &[&str],
) -> Result<(), Misfit> {
    let Value::Sequence(items) = &mut dest.value else {
        return Ok(());
    };
    if matches!(other, Other::Nothing) && !keys.is_empty() && all_distinct(items, keys) {
        items
            .iter_mut()
            .try_for_each(|item| merger.look_through(item, elements))?;
        items.retain(|item| !tree::is_empty(item));
        return Ok(());
    }
    let old = std::mem::take(&mut **items);
    let new = match other {
        Other::Patch(patch) => Some(
            patch
                .as_sequence()
                .map_or(&[][..], |items| items.as_slice()),
        ),
        Other::Nothing => Some(&[][..]),
        Other::Itself => None,
    };
    **items = match (keys, new) {
        ([], _) => merge_values(old, new.unwrap_or_default()),
        ([key], Some(new)) if distinct(&old, key) && distinct(new, key) => {
            merge_distinct(merger, old, new, elements, key)?
        }
        _ => merge_any(merger, old, new, elements, keys)?,
    };
    Ok(())
}

/// Joins two lists of plain values as sets.
fn merge_values(old: Vec<Node>, new: &[Node]) -> Vec<Node> {
    let mut seen = HashSet::new();
    let all = new.iter().cloned().chain(old);
    all.filter(|item| !item.is_null() && seen.insert(item.text().to_owned()))
        .collect()
}

/// Tells whether every element is a mapping with a key of its own.
fn distinct(items: &[Node], key: &str) -> bool {
    /// Up to so many are compared with each other, which is faster than a set.
    const FEW: usize = 8;
    if items.len() <= FEW {
        return (0..items.len()).all(|at| {
            let own = name_of(&items[at], key);
            let mut before = items[..at].iter();
            own.is_some() && before.all(|other| name_of(other, key) != own)
        });
    }
    let mut seen = HashSet::with_capacity(items.len());
    let mut names = items.iter().map(|item| name_of(item, key));
    names.all(|name| name.is_some_and(|name| seen.insert(name)))
}

/// Tells whether every element is a mapping with keys of its own, none of them missing.
fn all_distinct(items: &[Node], keys: &[&str]) -> bool {
    if let [key] = keys {
        return distinct(items, key);
    }
    let names = |item| keys.iter().map(|key| name_of(item, key)).collect();
    let names: Option<Vec<Vec<&str>>> = items.iter().map(names).collect();
    names.is_some_and(|names| {
        let mut seen = HashSet::with_capacity(names.len());
        names.into_iter().all(|name| seen.insert(name))
    })
}

/// Gives what an element is known by, if it has that.
fn name_of<'n>(item: &'n Node, key: &str) -> Option<&'n str> {
    let value = item.get(key).filter(|value| !value.is_null())?;
    Some(value.text()).filter(|text| !text.is_empty())
}

/// Merges lists in which each element has one key of its own: all that is usual.
fn merge_distinct<'s>(
    merger: Merger<'s>,
    old: Vec<Node>,
    new: &[Node],
    elements: Option<Cursor<'s>>,
    key: &str,
) -> Result<Vec<Node>, Misfit> {
    let name = |item: &Node| item.get(key).map_or("", Node::text).to_owned();
    let positions: HashMap<String, usize> = old
        .iter()
        .enumerate()
        .map(|(at, item)| (name(item), at))
        .collect();
    let mut old: Vec<Option<Node>> = old.into_iter().map(Some).collect();
    let mut merged = Vec::with_capacity(old.len() + new.len());
    for patch in new {
        let dest = positions.get(&name(patch)).and_then(|at| old[*at].take());
        merged.extend(element(merger, dest, patch, elements)?);
    }
    for dest in old.into_iter().flatten() {
        merged.extend(
            merger
                .walk(Some(dest), None, elements)?
                .filter(|n| !tree::is_empty(n)),
        );
    }
    Ok(merged)
}

/// Merges one element of the patch into the one of the same key.
fn element<'s>(
    merger: Merger<'s>,
    dest: Option<Node>,
    patch: &Node,
    elements: Option<Cursor<'s>>,
) -> Result<Option<Node>, Misfit> {
    // An element that replaces another loses to it: the old one is put back behind it.
    if dest.is_some() && map_directive(patch)? == Directive::Replace {
        return Ok(dest);
    }
    Ok(merger
        .walk(dest, Some(patch), elements)?
        .filter(|node| !tree::is_empty(node)))
}

/// Merges lists of elements that may lack keys or share them.
fn merge_any<'s>(
    merger: Merger<'s>,
    mut old: Vec<Node>,
    new: Option<&[Node]>,
    elements: Option<Cursor<'s>>,
    keys: &[&str],
) -> Result<Vec<Node>, Misfit> {
    let mut wanted = key_values(new.unwrap_or_default(), &old, keys);
    if keys.len() > 1 {
        unite(&mut wanted);
    }
    let mut merged: Vec<Node> = Vec::new();
    let mut used_keys = Vec::new();
    for values in wanted.clone() {
        let used_values;
        (used_keys, used_values) = usable(&wanted, &values, keys);
        let (find_keys, find_values) =
            usable(std::slice::from_ref(&used_values), &used_values, &used_keys);
        let at = find(&old, &find_keys, &find_values);
        let dest = at.map(|at| old[at].clone());
        let (mut value, replaced) = match new {
            // The element is its own patch: what it says of itself is done, and then gone.
            None => (merger.walk(None, dest.as_ref(), elements)?, false),
            Some(new) => {
                let patch = find(new, &find_keys, &find_values).map(|at| &new[at]);
                let replaced = patch.is_some_and(|p| map_directive(p) == Ok(Directive::Replace));
                (merger.walk(dest, patch, elements)?, replaced)
            }
        };
        match value.as_mut().filter(|node| !tree::is_empty(node)) {
            None => set_element(&mut old, None, &used_keys, &used_values),
            Some(node) => {
                for (key, value) in used_keys.iter().zip(&used_values) {
                    if node.get(key).is_none() && !value.is_empty() {
                        node.insert(*key, tree::untagged(value, Style::Plain));
                    }
                }
                // What was merged is the old element itself, unless it was replaced.
                if let Some(at) = at.filter(|_| !replaced) {
                    old[at] = node.clone();
                }
                set_element(&mut merged, Some(node.clone()), &used_keys, &used_values);
            }
        }
    }
    if wanted.is_empty() {
        Ok(old)
    } else {
        append_rest(merged, old, &used_keys)
    }
}

/// Gives the key values of the patch's elements, then of the others, each once.
fn key_values(new: &[Node], old: &[Node], keys: &[&str]) -> Vec<Vec<String>> {
    let mut seen = HashSet::new();
    let values = new.iter().chain(old).map(|item| {
        let value = |key: &&str| match item.get(key) {
            Some(value) if !tree::is_empty(value) => value.text().to_owned(),
            _ => String::new(),
        };
        keys.iter().map(value).collect::<Vec<_>>()
    });
    values
        .filter(|values| seen.insert(values.clone()))
        .collect()
}

/// Makes one of key values that agree where both have something, and agree somewhere.
fn unite(wanted: &mut [Vec<String>]) {
    for i in 0..wanted.len() {
        for j in 0..wanted.len() {
            if let Some(united) = united(&wanted[i], &wanted[j]) {
                wanted[i].clone_from(&united);
                wanted[j] = united;
            }
        }
    }
}

fn united(one: &[String], other: &[String]) -> Option<Vec<String>> {
    let mut agrees = false;
    let mut values = Vec::with_capacity(one.len());
    for (a, b) in one.iter().zip(other) {
        if a == b {
            agrees = true;
        } else if !a.is_empty() && !b.is_empty() {
            return None;
        }
        values.push(if a.is_empty() { b.clone() } else { a.clone() });
    }
    agrees.then_some(values)
}

/// Leaves out keys that no element has.
fn usable<'k>(
    wanted: &[Vec<String>],
    values: &[String],
    keys: &[&'k str],
) -> (Vec<&'k str>, Vec<String>) {
    let is_used = |at: usize| {
        wanted
            .iter()
            .any(|v| v.get(at).is_some_and(|v| !v.is_empty()))
    };
    let used: Vec<bool> = (0..keys.len()).map(is_used).collect();
    if !used.contains(&true) {
        return (keys.to_vec(), values.to_vec());
    }
    let kept_keys = keys
        .iter()
        .zip(&used)
        .filter(|(_, used)| **used)
        .map(|(key, _)| *key);
    let kept_values = values
        .iter()
        .zip(&used)
        .filter(|(value, used)| **used || !value.is_empty())
        .map(|(value, _)| value.clone());
    (kept_keys.collect(), kept_values.collect())
}

/// Finds the first element with the values of all keys.
fn find(items: &[Node], keys: &[&str], values: &[String]) -> Option<usize> {
    items.iter().position(|item| {
        item.as_mapping().is_some()
            && keys.iter().zip(values).all(|(key, value)| {
                item.get(key)
                    .is_some_and(|found| found.text() == value.as_str())
            })
    })
}

/// Puts an element in the place of those that match, or at the end; without an element, removes
/// those that match. Nulls and empty mappings go in any case.
fn set_element(items: &mut Vec<Node>, element: Option<Node>, keys: &[&str], values: &[String]) {
    let mut found = false;
    let mut kept = Vec::with_capacity(items.len() + 1);
    for item in items.drain(..) {
        let is_empty_map = item.as_mapping().is_some_and(yaml::Mapping::is_empty);
        if item.is_null() || is_empty_map {
            continue;
        }
        let by_fields = values.first().is_some_and(|value| !value.is_empty());
        if item.as_mapping().is_none() && by_fields {
            kept.push(item);
            continue;
        }
        if !is_match(&item, keys, values) {
            if !values.is_empty() {
                kept.push(item);
            }
            continue;
        }
        found = true;
        kept.extend(element.clone());
    }
    *items = kept;
    if let Some(element) = element.filter(|element| !element.is_null())
        && !found
    {
        items.push(element);
    }
}

/// Tells whether an element has the values of the keys; an empty value matches any.
fn is_match(item: &Node, keys: &[&str], values: &[String]) -> bool {
    !values.is_empty()
        && keys
            .iter()
            .zip(values)
            .all(|(key, value)| match item.get(key) {
                Some(found) => value.is_empty() || found.text() == value.as_str(),
                None => false,
            })
}

/// Puts the old elements behind the merged ones, each over the one of its key.
fn append_rest(mut merged: Vec<Node>, old: Vec<Node>, keys: &[&str]) -> Result<Vec<Node>, Misfit> {
    for item in old {
        let mut values = Vec::with_capacity(keys.len());
        for key in keys {
            if item.as_mapping().is_none() {
                let found = tree::shape(&item);
                let problem = format!("wrong node kind: expected MappingNode but got {found}");
                return Err(Misfit::new(&item, problem));
            }
            match item.get(key) {
                Some(value) => values.push(value.text().to_owned()),
                None => merged.push(item.clone()),
            }
        }
        if keys.len() > 1 {
            set_element(&mut merged, None, keys, &values);
        }
        set_element(&mut merged, Some(item), keys, &values);
    }
    Ok(merged)
}
