//! In which order objects are applied, and pruned in reverse.

use std::cmp::Ordering;

use serde_json::Value;

use crate::{object, object_id::ObjectId};

/// A group and kind without a version, for example `rbac.authorization.k8s.io/Role`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKind {
    /// API group, empty for the core group.
    pub group: String,
    /// Kind.
    pub kind: String,
}

/// Text that is neither `Kind` nor `group/Kind`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid group/kind format: {0}")]
pub struct ParseGroupKindError(pub String);

impl std::str::FromStr for GroupKind {
    type Err = ParseGroupKindError;

    /// Reads `group/Kind`, or a bare `Kind` of the core group.
    fn from_str(text: &str) -> Result<Self, ParseGroupKindError> {
        let (group, kind) = match text.split('/').collect::<Vec<_>>()[..] {
            [kind] => ("", kind),
            [group, kind] if !group.is_empty() => (group, kind),
            _ => return Err(ParseGroupKindError(text.into())),
        };
        if kind.is_empty() {
            return Err(ParseGroupKindError(text.into()));
        }
        Ok(Self {
            group: group.into(),
            kind: kind.into(),
        })
    }
}

/// Which pass of an apply an object belongs to; a pass starts when the one before it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// What other objects need to be accepted: CRDs, namespaces, cluster roles. Waited for.
    Definitions,
    /// Kinds that name a class of other objects, for example `StorageClass`. Waited for.
    Classes,
    /// Kinds that the operator listed with `--custom-apply-stage-kinds`.
    Custom,
    /// All else.
    Rest,
}

impl Stage {
    /// All stages in order.
    pub const ALL: [Self; 4] = [Self::Definitions, Self::Classes, Self::Custom, Self::Rest];

    /// Picks the stage of a group and kind.
    ///
    /// Source: fluxcd/pkg/ssa v0.77 `manager_apply.go`, `utils/is.go`.
    pub fn of(group: &str, kind: &str, custom: &[GroupKind]) -> Self {
        match (group, kind) {
            ("apiextensions.k8s.io", "CustomResourceDefinition")
            | ("", "Namespace")
            | ("rbac.authorization.k8s.io", "ClusterRole") => Self::Definitions,
            _ if kind.ends_with("Class") => Self::Classes,
            _ if custom.iter().any(|it| it.group == group && it.kind == kind) => Self::Custom,
            _ => Self::Rest,
        }
    }

    /// Tells whether the objects of this stage must be ready before the next stage starts.
    pub fn is_waited_for(self) -> bool {
        matches!(self, Self::Definitions | Self::Classes)
    }
}

/// Kinds that come first, in this order. Source: fluxcd/pkg/ssa v0.77 `sort.go`.
const FIRST: [&str; 23] = [
    "CustomResourceDefinition",
    "Namespace",
    "ClusterRole",
    "ClusterClass",
    "RuntimeClass",
    "PriorityClass",
    "StorageClass",
    "VolumeSnapshotClass",
    "IngressClass",
    "GatewayClass",
    "ClusterRoleBinding",
    "ResourceQuota",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "ConfigMap",
    "Secret",
    "Service",
    "LimitRange",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
];

/// Kinds that come last: a webhook must not refuse what its own backend needs.
const LAST: [&str; 2] = [
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];

/// Ranks a kind: listed kinds first, unlisted ones after them, webhook configurations last.
pub fn rank(kind: &str) -> usize {
    let position = |kinds: &[&str]| kinds.iter().position(|it| *it == kind);
    match (position(&FIRST), position(&LAST)) {
        (Some(first), _) => first,
        (None, Some(last)) => FIRST.len() + 1 + last,
        (None, None) => FIRST.len(),
    }
}

/// Compares by rank, then group, kind, namespace and name.
pub fn compare(a: &ObjectId, b: &ObjectId) -> Ordering {
    let key = |id: &ObjectId| rank(&id.kind);
    key(a).cmp(&key(b)).then_with(|| {
        (&a.group, &a.kind, &a.namespace, &a.name).cmp(&(&b.group, &b.kind, &b.namespace, &b.name))
    })
}

/// Sorts objects into apply order.
pub fn sort(objects: &mut [Value]) {
    objects.sort_by_cached_key(|value| SortKey(ObjectId::of(value)));
}

/// Sorts ids into the order in which they are deleted: apply order backwards.
pub fn sort_for_prune(ids: &mut [ObjectId]) {
    ids.sort_by(|a, b| compare(b, a));
}

/// Returns the stage of an object.
pub fn stage_of(value: &Value, custom: &[GroupKind]) -> Stage {
    Stage::of(object::group(value), object::kind(value), custom)
}

/// Orders ids by [`compare`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortKey(pub ObjectId);

impl PartialOrd for SortKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SortKey {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(&self.0, &other.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// covers: KC-098
    #[test]
    fn kinds_are_sorted_by_rank_then_by_identity() {
        let make = |api: &str, kind: &str, ns: &str, name: &str| json!({"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": ns}});
        let mut objects = vec![
            make(
                "admissionregistration.k8s.io/v1",
                "ValidatingWebhookConfiguration",
                "",
                "a",
            ),
            make(
                "admissionregistration.k8s.io/v1",
                "MutatingWebhookConfiguration",
                "",
                "z",
            ),
            make("x.io/v1", "Thing", "b", "a"),
            make("batch/v1", "Job", "b", "a"),
            make("apps/v1", "Deployment", "a", "a"),
            make("v1", "ConfigMap", "b", "a"),
            make("v1", "ConfigMap", "a", "b"),
            make("v1", "ConfigMap", "a", "a"),
            make("v1", "Namespace", "", "a"),
            make(
                "apiextensions.k8s.io/v1",
                "CustomResourceDefinition",
                "",
                "z",
            ),
        ];
        sort(&mut objects);
        let order: Vec<String> = objects
            .iter()
            .map(|o| ObjectId::of(o).to_string())
            .collect();
        assert_eq!(
            order,
            [
                "CustomResourceDefinition/z",
                "Namespace/a",
                "ConfigMap/a/a",
                "ConfigMap/a/b",
                "ConfigMap/b/a",
                "Deployment/a/a",
                "Job/b/a",
                "Thing/b/a",
                "MutatingWebhookConfiguration/z",
                "ValidatingWebhookConfiguration/a",
            ]
        );
        let mut ids: Vec<ObjectId> = objects.iter().map(ObjectId::of).collect();
        let mut reversed = ids.clone();
        sort_for_prune(&mut ids);
        reversed.reverse();
        assert_eq!(ids, reversed);
    }

    #[test]
    fn stages_follow_kinds() {
        let custom = ["rbac.authorization.k8s.io/Role".parse().unwrap()];
        for (group, kind, stage) in [
            (
                "apiextensions.k8s.io",
                "CustomResourceDefinition",
                Stage::Definitions,
            ),
            ("", "Namespace", Stage::Definitions),
            (
                "rbac.authorization.k8s.io",
                "ClusterRole",
                Stage::Definitions,
            ),
            ("other.io", "ClusterRole", Stage::Rest),
            ("storage.k8s.io", "StorageClass", Stage::Classes),
            ("x.io", "MyClass", Stage::Classes),
            ("rbac.authorization.k8s.io", "Role", Stage::Custom),
            ("rbac.authorization.k8s.io", "RoleBinding", Stage::Rest),
            ("", "ConfigMap", Stage::Rest),
        ] {
            assert_eq!(Stage::of(group, kind, &custom), stage, "{group}/{kind}");
        }
    }

    #[test]
    fn group_kinds_parse_or_say_why_not() {
        assert_eq!(
            "Role".parse(),
            Ok(GroupKind {
                group: String::new(),
                kind: "Role".into()
            })
        );
        for text in ["", "a/", "/Role", "a/b/c"] {
            assert_eq!(
                text.parse::<GroupKind>().unwrap_err().to_string(),
                format!("invalid group/kind format: {text}")
            );
        }
    }
}
