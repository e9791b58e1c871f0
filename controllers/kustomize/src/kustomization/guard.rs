//! Guards against mass deletion. Pure.

use api::kustomize::Kustomization;
use manifest::Inventory;

use super::report::Revision;

/// Says whether what a run would delete is more than `pruneGuard` lets it.
///
/// # Errors
/// The sentence that Ready shows; nothing may be written then.
pub(super) fn check(
    object: &Kustomization,
    old: &Inventory,
    stale: &Inventory,
    revision: &Revision,
) -> Result<(), String> {
    if !object.spec.prune || stale.is_empty() {
        return Ok(());
    }
    let guard = object.prune_guard();
    let Some(guard) = guard.map_err(|error| runtime::failure::chain(&error))? else {
        return Ok(());
    };
    let is_confirmed = object.confirmed_prune() == Some(revision.name.as_str());
    if is_confirmed || !guard.forbids(stale.len(), old.len()) {
        return Ok(());
    }
    let name = &revision.name;
    Err(format!(
        "pruneGuard: {} of {} objects would be deleted; to agree, set annotation {}: {name}",
        stale.len(),
        old.len(),
        api::extension::CONFIRM_PRUNE,
    ))
}

/// What to tell of a build without objects that empties a live inventory.
#[must_use]
pub(super) fn emptied(object: &Kustomization, old: &Inventory, new: usize) -> Option<String> {
    let count = old.len();
    (object.spec.prune && new == 0 && count > 0)
        .then(|| format!("The build is empty: all {count} objects of the inventory are deleted"))
}

#[cfg(test)]
mod tests {
    use manifest::{ObjectId, inventory::Entry};
    use serde_json::json;

    use super::*;

    fn inventory(names: std::ops::Range<usize>) -> Inventory {
        Inventory::new(names.map(|n| Entry {
            id: ObjectId {
                namespace: "ns".into(),
                name: n.to_string(),
                group: String::new(),
                kind: "ConfigMap".into(),
            },
            version: "v1".into(),
        }))
    }

    #[test]
    fn more_than_the_guard_allows_needs_the_revision_as_agreement() {
        let mut object = Kustomization::default();
        object.spec.prune = true;
        let revision = Revision {
            name: "main@sha1:1".into(),
            origin: None,
        };
        let (old, stale) = (inventory(0..10), inventory(0..3));
        assert_eq!(check(&object, &old, &stale, &revision), Ok(()));
        object.spec.prune_guard = serde_json::from_value(json!({ "maxPercent": 20 })).unwrap();
        assert_eq!(check(&object, &old, &inventory(0..2), &revision), Ok(()));
        let error = check(&object, &old, &stale, &revision).unwrap_err();
        assert!(
            error.starts_with("pruneGuard: 3 of 10 objects would be deleted"),
            "{error}"
        );
        let agree = |name: &str| Some([(api::extension::CONFIRM_PRUNE.into(), name.into())].into());
        object.metadata.annotations = agree("main@sha1:0");
        assert!(check(&object, &old, &stale, &revision).is_err());
        object.metadata.annotations = agree("main@sha1:1");
        assert_eq!(check(&object, &old, &stale, &revision), Ok(()));
    }

    #[test]
    fn empty_build_is_told_where_it_deletes() {
        let mut object = Kustomization::default();
        assert_eq!(emptied(&object, &inventory(0..2), 0), None);
        object.spec.prune = true;
        assert!(emptied(&object, &inventory(0..2), 0).is_some());
        assert_eq!(emptied(&object, &inventory(0..2), 1), None);
        assert_eq!(emptied(&object, &inventory(0..0), 0), None);
    }
}
