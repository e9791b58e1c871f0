//! What is done about changes that others make to applied objects, and how much may be deleted at once.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::meta::{Selector, Time};

/// Says whether changes made to applied objects are looked for, and which of them are left alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct DriftDetection {
    /// What is done about changes. Default: `disabled`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<DriftDetectionMode>,
    /// Fields that are left to others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<IgnoreRule>,
}

/// What is done about changes made to applied objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum DriftDetectionMode {
    /// They are reported and undone.
    Enabled,
    /// They are reported.
    Warn,
    /// They are not looked for.
    #[default]
    Disabled,
}

/// Leaves fields of some objects to others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct IgnoreRule {
    /// The fields, as JSON pointers such as `/spec/replicas`.
    pub paths: Vec<String>,
    /// The objects. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Selector>,
}

/// Limits how many of the applied objects one run may delete. With both limits, neither may be passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PruneGuard {
    /// How many objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::count"))]
    pub max_count: Option<u32>,
    /// Which share of the inventory, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::percent"))]
    pub max_percent: Option<u32>,
}

impl PruneGuard {
    /// Says whether deleting so many of an inventory of `total` objects needs somebody's agreement.
    #[must_use]
    pub fn forbids(&self, deleted: usize, total: usize) -> bool {
        let (deleted, total) = (deleted as u64, total as u64);
        let count = self.max_count.is_some_and(|most| deleted > most.into());
        let share = |most: u32| deleted * 100 > total * u64::from(most);
        count || self.max_percent.is_some_and(share)
    }
}

impl FromStr for PruneGuard {
    type Err = std::num::ParseIntError;

    /// Reads `10`, a number of objects, or `20%`, a share of them.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.strip_suffix('%') {
            Some(share) => Self {
                max_count: None,
                max_percent: Some(share.parse()?),
            },
            None => Self {
                max_count: Some(text.parse()?),
                max_percent: None,
            },
        })
    }
}

/// Says what others have changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct DriftStatus {
    /// Objects that are not as they were applied, the longest changed first; at most 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<DriftedObject>,
    /// Kinds whose changes are only seen at the interval, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unwatched: Vec<UnwatchedKind>,
}

/// Says what others have changed of one object. Values are not shown: they may be secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DriftedObject {
    /// Which object: `<namespace>_<name>_<group>_<kind>`, as in the inventory.
    pub id: String,
    /// The changed fields, as JSON pointers; empty where the object was deleted. At most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// Field manager that made the last of the changes, where the object says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager: Option<String>,
    /// When the change was first seen.
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::time"))]
    pub since: Time,
}

/// Names a kind whose changes are only seen at the interval.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UnwatchedKind {
    /// API group of the kind; empty for the core group.
    pub group: String,
    /// The kind.
    pub kind: String,
    /// Why it is not watched.
    pub reason: String,
}

/// Names an object that could not be applied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FailedObject {
    /// Which object: `<namespace>_<name>_<group>_<kind>`, as in the inventory.
    pub id: String,
    /// Why.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(guard: &str, deleted: usize, total: usize, forbidden: bool) {
        let guard: PruneGuard = guard.parse().unwrap();
        assert_eq!(guard.forbids(deleted, total), forbidden, "{guard:?}");
    }

    #[test]
    fn a_guard_forbids_what_passes_its_limit() {
        check("10", 10, 1000, false);
        check("10", 11, 1000, true);
        check("0", 1, 1000, true);
        check("20%", 2, 10, false);
        check("20%", 3, 10, true);
        check("100%", 10, 10, false);
        check("0%", 0, 0, false);
        assert!(!PruneGuard::default().forbids(10, 10));
        for text in ["", "%", "-1", "ten", "1.5%"] {
            assert!(text.parse::<PruneGuard>().is_err(), "{text:?}");
        }
    }
}
