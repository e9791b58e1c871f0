//! What is kept of an object in a watch: sums, made while it is read.

use std::{
    borrow::Cow,
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
    sync::Arc,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, api::ApiResource, api::DynamicObject};
use serde::{Deserialize, Deserializer};

use super::Followed;

/// The metadata of an object, with sums in the place of its managed fields.
#[derive(Clone, Debug)]
pub(super) struct Trace {
    pub(super) metadata: ObjectMeta,
    pub(super) sums: Sums,
}

/// Sums of what counts as desired state, and of who wrote it. The status does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sums {
    /// Generation, labels and annotations.
    state: u64,
    /// What each writer owns, sorted.
    writers: Arc<[Write]>,
}

/// What one writer owns, and when it last wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Write {
    /// The sum of manager and operation.
    writer: u64,
    fields: u64,
    time: u64,
}

impl Sums {
    /// Whether of all writers only the owner has written since.
    ///
    /// Who writes gets the time of it. Who loses fields to another keeps the time of what is left, or is gone: so a field
    /// that the owner took back is no change by the other.
    pub(super) fn is_own_write(&self, now: &Self, what: &Followed) -> bool {
        let has_written = |write: &&Write| {
            let mut before = self.writers.iter();
            let old = before.find(|old| old.writer == write.writer);
            old.is_none_or(|old| old.time != write.time)
        };
        let is_own = |write: &Write| {
            let mut operations = what.operations.iter();
            operations.any(|operation| write.writer == writer(what.manager, operation))
        };
        let mut written = now.writers.iter().filter(has_written);
        written.next().is_some_and(is_own) && written.all(is_own)
    }

    fn of(metadata: &ObjectMeta) -> Self {
        let entries = metadata.managed_fields.iter().flatten();
        let counted = entries.filter(|entry| entry.subresource.as_deref() != Some("status"));
        let mut writers: Vec<_> = counted
            .map(|entry| Write {
                writer: writer(
                    entry.manager.as_deref().unwrap_or_default(),
                    entry.operation.as_deref().unwrap_or_default(),
                ),
                fields: sum(&entry.fields_v1.as_ref().map(|fields| fields.0.to_string())),
                time: sum(&entry.time.as_ref().map(|time| time.0)),
            })
            .collect();
        writers.sort_unstable();
        Self {
            state: sum(&(metadata.generation, &metadata.labels, &metadata.annotations)),
            writers: writers.into(),
        }
    }
}

fn writer(manager: &str, operation: &str) -> u64 {
    sum(&(manager, operation))
}

fn sum(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl<'de> Deserialize<'de> for Trace {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Whole {
            metadata: ObjectMeta,
        }
        let Whole { mut metadata } = Whole::deserialize(deserializer)?;
        let sums = Sums::of(&metadata);
        metadata.managed_fields = None;
        metadata.annotations = None;
        Ok(Self { metadata, sums })
    }
}

impl Resource for Trace {
    type DynamicType = ApiResource;
    type Scope = <DynamicObject as Resource>::Scope;

    fn kind(dynamic: &ApiResource) -> Cow<'_, str> {
        DynamicObject::kind(dynamic)
    }

    fn group(dynamic: &ApiResource) -> Cow<'_, str> {
        DynamicObject::group(dynamic)
    }

    fn version(dynamic: &ApiResource) -> Cow<'_, str> {
        DynamicObject::version(dynamic)
    }

    fn plural(dynamic: &ApiResource) -> Cow<'_, str> {
        DynamicObject::plural(dynamic)
    }

    fn metadata_api() -> bool {
        true
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OWN: &str = "helm-controller";
    const WHAT: Followed = Followed {
        manager: OWN,
        operations: &["Apply"],
        name_label: "name",
        namespace_label: "namespace",
        namespace: None,
    };

    /// The sums of an object with writers: the manager, its field, the subresource, and the second of the write.
    fn sums(generation: i64, managers: &[(&str, &str, &str, u8)]) -> Sums {
        let entry = |(manager, field, subresource, second): &(&str, &str, &str, u8)| {
            let operation = if *manager == OWN { "Apply" } else { "Update" };
            json!({ "manager": manager, "operation": operation, "subresource": subresource,
                "time": format!("2026-01-01T00:00:0{second}Z"), "fieldsV1": { "f:spec": { *field: {} } } })
        };
        let managers: Vec<_> = managers.iter().map(entry).collect();
        let trace: Trace = serde_json::from_value(json!({ "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": "a", "namespace": "ns", "generation": generation,
                "managedFields": managers } }))
        .unwrap();
        assert!(trace.metadata.managed_fields.is_none());
        trace.sums
    }

    #[test]
    fn status_and_own_writes_are_no_changes() {
        let first = sums(1, &[(OWN, "f:a", "", 1)]);
        let status = sums(1, &[(OWN, "f:a", "", 1), ("kubelet", "f:s", "status", 2)]);
        assert_eq!(first, status);
        let own = sums(2, &[(OWN, "f:b", "", 2)]);
        assert!(first.is_own_write(&own, &WHAT));
        let by_another_operation = Followed {
            operations: &["Update"],
            ..WHAT
        };
        assert!(!first.is_own_write(&own, &by_another_operation));
        let other = sums(2, &[("kubectl-edit", "f:a", "", 2)]);
        assert!(!first.is_own_write(&other, &WHAT));
        let again = sums(3, &[("kubectl-edit", "f:b", "", 3)]);
        assert!(!other.is_own_write(&again, &WHAT));
        let both = sums(2, &[(OWN, "f:b", "", 2), ("kubectl-edit", "f:a", "", 2)]);
        assert!(!first.is_own_write(&both, &WHAT));
    }

    #[test]
    fn field_that_was_taken_back_is_no_change_by_who_lost_it() {
        let edited = sums(2, &[(OWN, "f:b", "", 1), ("kubectl-edit", "f:a", "", 2)]);
        let taken = sums(3, &[(OWN, "f:a", "", 3)]);
        assert!(edited.is_own_write(&taken, &WHAT));
    }
}
