//! The kinds that owners apply.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use kube::ResourceExt;
use manifest::Inventory;

use super::{Kind, Name};

/// Kinds, with a version of each.
pub type Kinds = BTreeMap<Kind, String>;

/// Returns the kinds that an inventory names.
#[must_use]
pub fn kinds_of(inventory: &Inventory) -> Kinds {
    let mut kinds = Kinds::new();
    for entry in inventory.entries() {
        let kind = (entry.id.group.clone(), entry.id.kind.clone());
        kinds.entry(kind).or_insert_with(|| entry.version.clone());
    }
    kinds
}

/// The kinds of each owner as of a version of it, so that an inventory is read once though it is asked for all the time.
#[derive(Debug, Default)]
pub struct OwnedKinds(Mutex<HashMap<Name, (Option<String>, Kinds)>>);

impl OwnedKinds {
    /// Returns the kinds of these owners together, and forgets all others. `inventory` reads what an owner applied.
    pub fn together<O: ResourceExt>(
        &self,
        owners: Vec<Arc<O>>,
        inventory: impl Fn(&O) -> Inventory,
    ) -> Kinds {
        let mut owned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kinds = Kinds::new();
        let mut names = HashSet::with_capacity(owners.len());
        for owner in owners {
            let name = (owner.namespace().unwrap_or_default(), owner.name_any());
            let version = owner.resource_version();
            let entry = owned.entry(name.clone()).or_default();
            if entry.0 != version || version.is_none() {
                *entry = (version, kinds_of(&inventory(&owner)));
            }
            for (kind, version) in &entry.1 {
                if !kinds.contains_key(kind) {
                    kinds.insert(kind.clone(), version.clone());
                }
            }
            names.insert(name);
        }
        owned.retain(|name, _| names.contains(name));
        kinds
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use k8s_openapi::api::core::v1::ConfigMap;

    use super::*;

    fn owner(name: &str, version: &str) -> Arc<ConfigMap> {
        let mut owner = ConfigMap::default();
        owner.metadata.name = Some(name.to_owned());
        owner.metadata.resource_version = Some(version.to_owned());
        Arc::new(owner)
    }

    fn inventory(id: &str) -> Inventory {
        Inventory::from_stored([(id, "v1")]).unwrap()
    }

    #[test]
    fn inventories_are_read_once_a_version() {
        let reads = Cell::new(0);
        let read = |owner: &ConfigMap| {
            reads.set(reads.get() + 1);
            match owner.resource_version().as_deref() {
                Some("1") => inventory("apps_web_apps_Deployment"),
                _ => inventory("apps_web__Service"),
            }
        };
        let kinds = OwnedKinds::default();
        let deployment = ("apps".to_owned(), "Deployment".to_owned());
        for _ in 0..2 {
            let found = kinds.together(vec![owner("a", "1"), owner("b", "1")], read);
            assert_eq!(
                found.into_keys().collect::<Vec<_>>(),
                std::slice::from_ref(&deployment)
            );
        }
        assert_eq!(reads.get(), 2);
        let found = kinds.together(vec![owner("a", "2")], read);
        let service = (String::new(), "Service".to_owned());
        assert_eq!(found.into_keys().collect::<Vec<_>>(), [service]);
        assert_eq!(reads.get(), 3);
        kinds.together(vec![owner("b", "1")], read);
        assert_eq!(reads.get(), 4, "who was away is read again");
    }
}
