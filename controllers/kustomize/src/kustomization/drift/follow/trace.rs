//! What is kept of an object in a watch: sums, made while it is read.

use std::{
    borrow::Cow,
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, api::ApiResource, api::DynamicObject};
use serde::{Deserialize, Deserializer};

use crate::FIELD_MANAGER;

/// The metadata of an object, with sums in the place of its managed fields.
#[derive(Clone, Debug)]
pub(super) struct Trace {
    pub(super) metadata: ObjectMeta,
    pub(super) sums: Sums,
}

/// Sums of what counts as desired state, and of who wrote it. The status does not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    /// Generation, labels and annotations.
    state: u64,
    /// What this controller applied.
    own: u64,
    /// What everybody else wrote.
    others: u64,
}

impl Sums {
    /// Whether of all writers only this controller has written since.
    pub(super) fn is_own_write(self, now: Self) -> bool {
        self.own != now.own && self.others == now.others
    }

    fn of(metadata: &ObjectMeta) -> Self {
        let mut sums = Self {
            state: sum(&(metadata.generation, &metadata.labels, &metadata.annotations)),
            ..Self::default()
        };
        for entry in metadata.managed_fields.iter().flatten() {
            if entry.subresource.as_deref() == Some("status") {
                continue;
            }
            let manager = entry.manager.as_deref().unwrap_or_default();
            let operation = entry.operation.as_deref().unwrap_or_default();
            let fields = entry.fields_v1.as_ref().map(|fields| fields.0.to_string());
            let time = entry.time.as_ref().map(|time| time.0);
            let one = sum(&(manager, operation, fields, time));
            let own = manager == FIELD_MANAGER && operation == "Apply";
            // Added up, so that their order does not matter.
            let into = if own { &mut sums.own } else { &mut sums.others };
            *into = into.wrapping_add(one);
        }
        sums
    }
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

    fn sums(generation: i64, managers: &[(&str, &str, &str)]) -> Sums {
        let entry = |(manager, field, subresource): &(&str, &str, &str)| {
            let operation = if *manager == FIELD_MANAGER {
                "Apply"
            } else {
                "Update"
            };
            json!({ "manager": manager, "operation": operation, "subresource": subresource,
                "fieldsV1": { "f:spec": { *field: {} } } })
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
        let first = sums(1, &[(FIELD_MANAGER, "f:a", "")]);
        let status = sums(
            1,
            &[(FIELD_MANAGER, "f:a", ""), ("kubelet", "f:s", "status")],
        );
        assert_eq!(first, status);
        let own = sums(2, &[(FIELD_MANAGER, "f:b", "")]);
        assert!(first.is_own_write(own));
        let other = sums(2, &[("kubectl-edit", "f:a", "")]);
        assert!(!first.is_own_write(other));
        let again = sums(3, &[("kubectl-edit", "f:b", "")]);
        assert!(!other.is_own_write(again));
    }
}
