//! Letting go of values: without recursion, however deep they nest, and of maps that hold themselves.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

use super::{List, Map, Value};
use crate::text::Str;

impl Drop for Map {
    fn drop(&mut self) {
        if let Some(entries) = Rc::get_mut(&mut self.entries) {
            let entries = std::mem::take(entries.get_mut());
            dismantle(entries.into_values());
        }
    }
}

impl Drop for List {
    fn drop(&mut self) {
        if let Some(items) = self.items.as_mut().and_then(Rc::get_mut) {
            dismantle(std::mem::take(items).into_iter());
        }
    }
}

/// Drops values level by level.
fn dismantle(values: impl Iterator<Item = Value>) {
    let mut rest: Vec<Value> = values.filter(is_nested).collect();
    while let Some(mut value) = rest.pop() {
        match &mut value {
            Value::Map(map) => {
                if let Some(entries) = Rc::get_mut(&mut map.entries) {
                    let entries = std::mem::take(entries.get_mut());
                    rest.extend(entries.into_values().filter(is_nested));
                }
            }
            Value::List(list) => {
                if let Some(items) = list.items.as_mut().and_then(Rc::get_mut) {
                    rest.extend(std::mem::take(items).into_iter().filter(is_nested));
                }
            }
            _ => {}
        }
    }
}

fn is_nested(value: &Value) -> bool {
    matches!(value, Value::Map(_) | Value::List(_))
}

/// A map that may be gone.
#[derive(Debug)]
pub(crate) struct WeakMap(Weak<RefCell<BTreeMap<Str, Value>>>);

impl WeakMap {
    pub(crate) fn of(map: &Map) -> Self {
        Self(Rc::downgrade(&map.entries))
    }

    /// Empties the map if someone still holds it, itself for example.
    pub(crate) fn clear(&self) {
        if let Some(entries) = self.0.upgrade() {
            let entries = std::mem::take(&mut *entries.borrow_mut());
            dismantle(entries.into_values());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_values_are_dropped_without_recursion() {
        let mut value = Value::Nil;
        for level in 0..1_000_000 {
            value = if level % 2 == 0 {
                Value::Map([("a", value)].into_iter().collect())
            } else {
                Value::list(vec![value])
            };
        }
        drop(value);
    }

    #[test]
    fn maps_that_hold_themselves_can_be_emptied() {
        let map = Map::new(BTreeMap::new());
        map.insert(Str::from("self"), Value::Map(map.clone()));
        let weak = WeakMap::of(&map);
        drop(map);
        assert!(weak.0.upgrade().is_some());
        weak.clear();
        assert!(weak.0.upgrade().is_none());
    }
}
