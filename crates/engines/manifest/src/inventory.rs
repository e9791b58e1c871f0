//! The list of objects that one owner has applied.

use std::collections::BTreeSet;

use crate::object_id::{ObjectId, ParseIdError};

/// One applied object and the API version it was applied with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The object.
    pub id: ObjectId,
    /// API version without the group, for example `v1`.
    pub version: String,
}

/// Objects in the order in which they were applied, each once.
///
/// Two entries are the same object when their encoded ids are equal, whatever their versions: the
/// encoding is what was stored, and it does not tell `a:b` from `a__b`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    entries: Vec<Entry>,
}

impl Inventory {
    /// Collects entries; a later entry for an object already present is dropped.
    pub fn new(entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut seen = BTreeSet::new();
        let entries = entries
            .into_iter()
            .filter(|entry| seen.insert(entry.id.to_inventory()))
            .collect();
        Self { entries }
    }

    /// Decodes stored `(id, v)` pairs.
    ///
    /// # Errors
    /// [`ParseIdError`] for the first id that is none: dropping it would forget an object.
    pub fn from_stored<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, ParseIdError> {
        let entries = pairs
            .into_iter()
            .map(|(id, version)| {
                Ok(Entry {
                    id: ObjectId::from_inventory(id)?,
                    version: version.into(),
                })
            })
            .collect::<Result<Vec<_>, ParseIdError>>()?;
        Ok(Self::new(entries))
    }

    /// Encodes as the `(id, v)` pairs that a status stores.
    pub fn to_stored(&self) -> impl Iterator<Item = (String, String)> + '_ {
        self.entries
            .iter()
            .map(|entry| (entry.id.to_inventory(), entry.version.clone()))
    }

    /// Returns the entries in apply order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Tells whether nothing is owned.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Counts the objects.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether ids as they are stored name an object. None of them is read: of 5,000 objects each may be asked for.
    #[must_use]
    pub fn names<'a>(stored: impl IntoIterator<Item = &'a str>, id: &ObjectId) -> bool {
        let id = id.to_inventory();
        stored.into_iter().any(|stored| stored == id)
    }

    /// Lists what stands here and not in `desired`: the objects to prune, with the versions stored
    /// here.
    #[must_use]
    pub fn stale(&self, desired: &Self) -> Self {
        let desired = desired.ids();
        let entries = self
            .entries
            .iter()
            .filter(|entry| !desired.contains(&entry.id.to_inventory()));
        Self {
            entries: entries.cloned().collect(),
        }
    }

    /// Joins: the entries of `self`, then those of `other` that are not among them.
    ///
    /// An apply stores `desired.union(&previous)` before its first write, so that no object can be
    /// applied without being owned, and none that was owned can be forgotten.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self::new(self.entries.iter().chain(&other.entries).cloned())
    }

    fn ids(&self) -> BTreeSet<String> {
        self.entries
            .iter()
            .map(|entry| entry.id.to_inventory())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn inventory(ids: &[(&str, &str)]) -> Inventory {
        Inventory::from_stored(ids.iter().copied()).unwrap()
    }

    /// covers: KC-068
    #[test]
    fn stale_compares_ids_without_versions_and_keeps_the_old_version() {
        let old = inventory(&[("a_x_apps_Deployment", "v1beta1"), ("a_y__ConfigMap", "v1")]);
        let new = inventory(&[("a_x_apps_Deployment", "v1")]);
        assert_eq!(old.stale(&new), inventory(&[("a_y__ConfigMap", "v1")]));
        assert_eq!(new.stale(&old), Inventory::default());
        assert_eq!(
            inventory(&[("a_x_apps_Deployment", "v1beta1")])
                .stale(&Inventory::default())
                .entries()[0]
                .version,
            "v1beta1"
        );
    }

    /// covers: KC-068
    #[test]
    fn names_finds_an_object_in_stored_ids_also_one_with_a_colon() {
        let stored = [
            "_system__view_rbac.authorization.k8s.io_ClusterRole",
            "a_b__ConfigMap",
        ];
        let id = |id| ObjectId::from_inventory(id).unwrap();
        assert!(Inventory::names(stored, &id(stored[0])));
        assert!(Inventory::names(stored, &id(stored[1])));
        assert!(!Inventory::names(stored, &id("a_b__Secret")));
    }

    #[test]
    fn union_does_not_double() {
        let desired = inventory(&[("a_x__ConfigMap", "v1"), ("a_z__ConfigMap", "v1")]);
        let previous = inventory(&[("a_y__ConfigMap", "v1"), ("a_x__ConfigMap", "v1")]);
        assert_eq!(
            desired.union(&previous),
            inventory(&[
                ("a_x__ConfigMap", "v1"),
                ("a_z__ConfigMap", "v1"),
                ("a_y__ConfigMap", "v1")
            ])
        );
        assert_eq!(desired.union(&Inventory::default()), desired);
        assert_eq!(Inventory::default().union(&desired), desired);
    }

    #[test]
    fn a_malformed_id_is_not_dropped_silently() {
        assert!(Inventory::from_stored([("nonsense", "v1")]).is_err());
    }

    #[test]
    fn a_name_with_two_underscores_is_not_stale_against_itself() {
        let desired = Inventory::new([Entry {
            id: ObjectId {
                namespace: String::new(),
                name: "team__admin".into(),
                group: "rbac.authorization.k8s.io".into(),
                kind: "ClusterRole".into(),
            },
            version: "v1".into(),
        }]);
        let stored: Vec<_> = desired.to_stored().collect();
        let decoded =
            Inventory::from_stored(stored.iter().map(|(id, v)| (id.as_str(), v.as_str()))).unwrap();
        assert!(decoded.stale(&desired).is_empty());
        assert!(desired.stale(&decoded).is_empty());
    }

    fn any_inventory() -> impl Strategy<Value = Inventory> {
        proptest::collection::vec(0_u8..20, 0..12).prop_map(|names| {
            Inventory::new(names.into_iter().map(|n| Entry {
                id: ObjectId {
                    namespace: "ns".into(),
                    name: format!("n{n}"),
                    group: String::new(),
                    kind: "ConfigMap".into(),
                },
                version: "v1".into(),
            }))
        })
    }

    proptest! {
        /// covers: KC-068
        #[test]
        fn nothing_is_forgotten(old in any_inventory(), new in any_inventory()) {
            let union = new.union(&old);
            prop_assert!(old.stale(&union).is_empty());
            prop_assert!(new.stale(&union).is_empty());
            prop_assert_eq!(union.len(), new.len() + old.stale(&new).len());
            prop_assert!(old.stale(&old).is_empty());
        }
    }
}
