//! What an apply or a prune did to each object.

use std::fmt;

use crate::{
    inventory::{Entry, Inventory},
    object_id::ObjectId,
};

/// What happened to one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// It did not exist, or was deleted and made again.
    Created,
    /// It differed and was changed.
    Configured,
    /// It was as desired; nothing was written.
    Unchanged,
    /// It is gone.
    Deleted,
    /// It was left alone on purpose.
    Skipped,
    /// The request failed, so its state is not known.
    Unknown,
}

impl Action {
    /// Returns the word that change lists print.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
            Self::Deleted => "deleted",
            Self::Skipped => "skipped",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One object and what happened to it; prints as `Kind/namespace/name action`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The object, as the API server scopes it.
    pub id: ObjectId,
    /// API version without the group.
    pub version: String,
    /// What happened.
    pub action: Action,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.id, self.action)
    }
}

/// All changes of one run, in the order in which they were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeSet {
    entries: Vec<Change>,
}

impl ChangeSet {
    /// Adds a change at the end.
    pub fn push(&mut self, change: Change) {
        self.entries.push(change);
    }

    /// Adds all changes of another run at the end.
    pub fn append(&mut self, other: Self) {
        self.entries.extend(other.entries);
    }

    /// Returns the changes in order.
    pub fn entries(&self) -> &[Change] {
        &self.entries
    }

    /// Returns the changes whose action passes.
    #[must_use]
    pub fn filter(&self, keep: impl Fn(Action) -> bool) -> Self {
        let entries = self.entries.iter().filter(|entry| keep(entry.action));
        Self {
            entries: entries.cloned().collect(),
        }
    }

    /// Returns what was created or configured: what an apply event lists.
    #[must_use]
    pub fn modified(&self) -> Self {
        self.filter(|action| matches!(action, Action::Created | Action::Configured))
    }

    /// Tells whether there is no change at all.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Lists every object, unchanged and skipped ones too, in order.
    pub fn inventory(&self) -> Inventory {
        Inventory::new(self.entries.iter().map(|entry| Entry {
            id: entry.id.clone(),
            version: entry.version.clone(),
        }))
    }

    /// Lists the objects of `pruned` that this prune did not settle (neither deleted nor skipped):
    /// they stay in the stored inventory, so that the next run tries again.
    ///
    /// Objects that this prune never reached survive too.
    pub fn survivors(&self, pruned: &Inventory) -> Inventory {
        let settled = self
            .filter(|action| matches!(action, Action::Deleted | Action::Skipped))
            .inventory();
        pruned.stale(&settled)
    }
}

/// Prints one change a line.
impl fmt::Display for ChangeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, entry) in self.entries.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{entry}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(namespace: &str, name: &str, action: Action) -> Change {
        Change {
            id: ObjectId {
                namespace: namespace.into(),
                name: name.into(),
                group: String::new(),
                kind: "ConfigMap".into(),
            },
            version: "v1".into(),
            action,
        }
    }

    #[test]
    fn lines_name_the_object_and_the_action() {
        let mut set = ChangeSet::default();
        set.push(change("a", "x", Action::Created));
        set.push(change("", "y", Action::Unchanged));
        set.push(change("a", "z", Action::Configured));
        assert_eq!(
            set.to_string(),
            "ConfigMap/a/x created\nConfigMap/y unchanged\nConfigMap/a/z configured"
        );
        assert_eq!(
            set.modified().to_string(),
            "ConfigMap/a/x created\nConfigMap/a/z configured"
        );
        assert_eq!(set.inventory().len(), 3);
    }

    /// covers: KC-039
    #[test]
    fn only_deleted_and_skipped_objects_are_settled() {
        let mut set = ChangeSet::default();
        for (name, action) in [
            ("a", Action::Deleted),
            ("b", Action::Skipped),
            ("c", Action::Unknown),
        ] {
            set.push(change("n", name, action));
        }
        let mut pruned = set.clone();
        pruned.push(change("n", "never-reached", Action::Unknown));
        let pruned = pruned.inventory();
        let names: Vec<_> = set
            .survivors(&pruned)
            .entries()
            .iter()
            .map(|entry| entry.id.name.clone())
            .collect();
        assert_eq!(names, ["c", "never-reached"]);
        assert_eq!(ChangeSet::default().survivors(&pruned), pruned);
        assert!(set.survivors(&Inventory::default()).is_empty());
    }
}
