//! What a run says of itself: changes to conditions and status, events, the next run.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::Note;

/// Changes to fields of `.status`, as a JSON merge patch: null removes.
#[derive(Clone, Debug, Default, PartialEq, Hash)]
pub struct StatusPatch(Map<String, Value>);

impl StatusPatch {
    /// Sets a field. A value that does not serialise is left out.
    #[must_use]
    pub fn set(mut self, field: &str, value: impl Serialize) -> Self {
        self.put(field, value);
        self
    }

    /// Removes a field.
    #[must_use]
    pub fn unset(mut self, field: &str) -> Self {
        self.0.insert(field.to_owned(), Value::Null);
        self
    }

    /// Sets a field where `value` is some, else removes it.
    #[must_use]
    pub fn set_or_unset(self, field: &str, value: Option<impl Serialize>) -> Self {
        match value {
            Some(value) => self.set(field, value),
            None => self.unset(field),
        }
    }

    /// Sets a field in place.
    pub fn put(&mut self, field: &str, value: impl Serialize) {
        if let Ok(value) = serde_json::to_value(value) {
            self.0.insert(field.to_owned(), value);
        }
    }

    /// Returns what a field is set to, if it is.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.0.get(field)
    }

    /// Writes the fields into a status object.
    pub fn apply(&self, status: &mut Map<String, Value>) {
        for (field, value) in &self.0 {
            if value.is_null() {
                status.remove(field);
            } else {
                status.insert(field.clone(), value.clone());
            }
        }
    }

    fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}

/// A change to one condition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ConditionChange {
    /// The condition gets this status (`True`, `False`, `Unknown`), reason and message.
    Set {
        /// The condition's type.
        type_: String,
        /// `True`, `False` or `Unknown`.
        status: &'static str,
        /// A CamelCase word.
        reason: String,
        /// Free text; cut at 32 KiB.
        message: String,
    },
    /// The condition goes away.
    Remove(String),
}

/// Changes to conditions and status fields.
#[derive(Clone, Debug, Default, PartialEq, Hash)]
pub struct Change {
    /// Changes to conditions, applied in order.
    pub conditions: Vec<ConditionChange>,
    /// Changes to the other fields.
    pub status: StatusPatch,
}

impl Change {
    /// Sets a condition.
    #[must_use]
    pub fn condition(
        mut self,
        type_: &str,
        status: &'static str,
        reason: &str,
        message: impl Into<String>,
    ) -> Self {
        self.conditions.push(ConditionChange::Set {
            type_: type_.to_owned(),
            status,
            reason: reason.to_owned(),
            message: message.into(),
        });
        self
    }

    /// Removes a condition.
    #[must_use]
    pub fn remove(mut self, type_: &str) -> Self {
        self.conditions
            .push(ConditionChange::Remove(type_.to_owned()));
        self
    }

    /// Sets a status field.
    #[must_use]
    pub fn set(mut self, field: &str, value: impl Serialize) -> Self {
        self.status.put(field, value);
        self
    }

    /// Removes a status field.
    #[must_use]
    pub fn unset(mut self, field: &str) -> Self {
        self.status = self.status.unset(field);
        self
    }

    /// Appends another change; where both touch the same field, the later one wins.
    #[must_use]
    pub fn and(mut self, later: Self) -> Self {
        self.conditions.extend(later.conditions);
        self.status.extend(later.status);
        self
    }

    /// Returns true where nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.conditions.is_empty() && self.status.0.is_empty()
    }
}

/// What a successful run says.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Changes to conditions and status.
    pub change: Change,
    /// Events to emit once the status is written.
    pub notes: Vec<Note>,
    /// When to run again; absent: the object's interval with jitter.
    pub requeue: Option<Duration>,
}
