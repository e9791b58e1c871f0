//! Labels and annotations that steer an apply, and those it sets.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::object;

/// What an object's `…/ssa` label or annotation asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Take over what listed managers own; the default.
    Override,
    /// Apply, but take over nothing.
    Merge,
    /// Create it, then never touch it.
    IfNotPresent,
    /// Never touch it.
    Ignore,
}

/// The owner of applied objects: two labels under the controller's group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Group that prefixes the labels and selectors, for example `kustomize.toolkit.fluxcd.io`.
    pub group: String,
    /// Name of the owning unit.
    pub name: String,
    /// Namespace of the owning unit.
    pub namespace: String,
}

impl Owner {
    /// Returns the two labels that say which unit applied an object.
    pub fn labels(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            (format!("{}/name", self.group), self.name.clone()),
            (format!("{}/namespace", self.group), self.namespace.clone()),
        ])
    }

    /// Tells whether an object carries this owner's labels.
    pub fn owns(&self, value: &Value) -> bool {
        self.labels()
            .iter()
            .all(|(key, owner)| object::label(value, key) == Some(owner))
    }

    /// Writes the owner labels on an object.
    pub fn mark(&self, value: &mut Value) {
        set_labels(value, &self.labels());
    }

    /// Tells whether an object opts out of being applied and pruned (`…/reconcile: disabled`).
    pub fn is_disabled(&self, value: &Value) -> bool {
        selects(value, &format!("{}/reconcile", self.group), "disabled")
    }

    /// Tells whether an object opts out of being deleted (`…/prune: disabled`).
    pub fn is_kept(&self, value: &Value) -> bool {
        selects(value, &format!("{}/prune", self.group), "disabled")
    }

    /// Tells whether an object may be deleted and made again (`…/force: enabled`).
    pub fn is_forced(&self, value: &Value) -> bool {
        selects(value, &format!("{}/force", self.group), "enabled")
    }

    /// Reads how an object wants to be applied (`…/ssa`); an unknown word is the default.
    ///
    /// Where label and annotation, or desired and live object, say different things, the caller
    /// asks each with [`Self::has_strategy`].
    pub fn strategy(&self, value: &Value) -> Strategy {
        [Strategy::Ignore, Strategy::IfNotPresent, Strategy::Merge]
            .into_iter()
            .find(|strategy| self.has_strategy(value, *strategy))
            .unwrap_or(Strategy::Override)
    }

    /// Tells whether an object's label or annotation names this strategy.
    pub fn has_strategy(&self, value: &Value, strategy: Strategy) -> bool {
        let word = match strategy {
            Strategy::Override => "Override",
            Strategy::Merge => "Merge",
            Strategy::IfNotPresent => "IfNotPresent",
            Strategy::Ignore => "Ignore",
        };
        selects(value, &format!("{}/ssa", self.group), word)
    }

    /// Tells whether variables are not to be replaced in an object (`…/substitute: disabled`).
    ///
    /// Unlike the others this value is compared with its case.
    pub fn skips_substitution(&self, value: &Value) -> bool {
        let key = format!("{}/substitute", self.group);
        [object::label(value, &key), object::annotation(value, &key)].contains(&Some("disabled"))
    }
}

/// Tells whether a label or an annotation has this value, whatever its case.
fn selects(value: &Value, key: &str, wanted: &str) -> bool {
    [object::label(value, key), object::annotation(value, key)]
        .into_iter()
        .flatten()
        .any(|found| found.eq_ignore_ascii_case(wanted))
}

/// Sets labels, over any that are there.
pub fn set_labels(value: &mut Value, labels: &BTreeMap<String, String>) {
    set(value, "labels", labels);
}

/// Sets annotations, over any that are there.
pub fn set_annotations(value: &mut Value, annotations: &BTreeMap<String, String>) {
    set(value, "annotations", annotations);
}

/// Writes into `metadata.<field>`; malformed metadata is left for the API server to refuse.
fn set(value: &mut Value, field: &str, entries: &BTreeMap<String, String>) {
    if entries.is_empty() {
        return;
    }
    let Some(map) =
        object::metadata_mut(value).and_then(|metadata| object::map_entry(metadata, field))
    else {
        return;
    };
    for (key, text) in entries {
        map.insert(key.clone(), Value::String(text.clone()));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn owner() -> Owner {
        Owner {
            group: "kustomize.toolkit.fluxcd.io".into(),
            name: "apps".into(),
            namespace: "flux-system".into(),
        }
    }

    /// covers: KC-044
    #[test]
    fn ownership_needs_both_labels() {
        let mut value = json!({"metadata": {"name": "a"}});
        assert!(!owner().owns(&value));
        owner().mark(&mut value);
        assert_eq!(
            value["metadata"]["labels"],
            json!({
                "kustomize.toolkit.fluxcd.io/name": "apps",
                "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
            })
        );
        assert!(owner().owns(&value));
        let other = Owner {
            name: "infra".into(),
            ..owner()
        };
        assert!(!other.owns(&value));
    }

    /// covers: KC-102
    #[test]
    fn selectors_are_read_from_labels_and_annotations_in_any_case() {
        for field in ["labels", "annotations"] {
            let with = |key: &str, text: &str| json!({"metadata": {field: {format!("kustomize.toolkit.fluxcd.io/{key}"): text}}});
            assert!(owner().is_disabled(&with("reconcile", "Disabled")));
            assert!(!owner().is_disabled(&with("reconcile", "enabled")));
            assert!(!owner().is_disabled(&with("Reconcile", "disabled")));
            assert!(owner().is_kept(&with("prune", "DISABLED")));
            assert!(owner().is_forced(&with("force", "enabled")));
            assert_eq!(owner().strategy(&with("ssa", "merge")), Strategy::Merge);
            assert_eq!(
                owner().strategy(&with("ssa", "ifnotpresent")),
                Strategy::IfNotPresent
            );
            assert_eq!(owner().strategy(&with("ssa", "Ignore")), Strategy::Ignore);
            assert_eq!(
                owner().strategy(&with("ssa", "nonsense")),
                Strategy::Override
            );
            assert!(owner().skips_substitution(&with("substitute", "disabled")));
            assert!(!owner().skips_substitution(&with("substitute", "Disabled")));
        }
    }

    /// covers: KC-048
    #[test]
    fn common_metadata_overrides_and_null_maps_are_made() {
        let mut value =
            json!({"metadata": {"labels": null, "annotations": {"a": "old", "b": "b"}}});
        set_labels(&mut value, &BTreeMap::from([("l".into(), "1".into())]));
        set_annotations(&mut value, &BTreeMap::from([("a".into(), "new".into())]));
        assert_eq!(
            value,
            json!({"metadata": {"labels": {"l": "1"}, "annotations": {"a": "new", "b": "b"}}})
        );
    }

    #[test]
    fn malformed_metadata_is_left_alone() {
        for value in [
            json!(3),
            json!({"metadata": []}),
            json!({"metadata": {"labels": "x"}}),
        ] {
            let mut changed = value.clone();
            owner().mark(&mut changed);
            assert_eq!(changed, value);
        }
    }
}
