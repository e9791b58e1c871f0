//! Look-ups in the compiled-in tables.

use super::Cursor;
use super::table::{NAMES, ROOTS, TYPES};

/// What a field of a built-in type is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Field {
    /// An object of another type.
    Object(u8),
    /// A list that merges by these keys (none: a list of plain values), and its elements' type.
    List(&'static [&'static str], Option<u8>),
}

/// Kinds that belong to no namespace: apiVersion, kind; sorted.
///
/// **Source:** kyaml v0.21.1, the table kept for Kubernetes 1.21.2.
const CLUSTER_SCOPED: &[(&str, &str)] = &[
    (
        "admissionregistration.k8s.io/v1",
        "MutatingWebhookConfiguration",
    ),
    (
        "admissionregistration.k8s.io/v1",
        "ValidatingWebhookConfiguration",
    ),
    (
        "admissionregistration.k8s.io/v1beta1",
        "MutatingWebhookConfiguration",
    ),
    (
        "admissionregistration.k8s.io/v1beta1",
        "ValidatingWebhookConfiguration",
    ),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    ("apiextensions.k8s.io/v1beta1", "CustomResourceDefinition"),
    ("apiregistration.k8s.io/v1", "APIService"),
    ("apiregistration.k8s.io/v1beta1", "APIService"),
    ("certificates.k8s.io/v1", "CertificateSigningRequest"),
    ("certificates.k8s.io/v1beta1", "CertificateSigningRequest"),
    ("flowcontrol.apiserver.k8s.io/v1beta1", "FlowSchema"),
    (
        "flowcontrol.apiserver.k8s.io/v1beta1",
        "PriorityLevelConfiguration",
    ),
    ("networking.k8s.io/v1", "IngressClass"),
    ("networking.k8s.io/v1beta1", "IngressClass"),
    ("node.k8s.io/v1", "RuntimeClass"),
    ("node.k8s.io/v1beta1", "RuntimeClass"),
    ("policy/v1beta1", "PodSecurityPolicy"),
    ("rbac.authorization.k8s.io/v1", "ClusterRole"),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
    ("rbac.authorization.k8s.io/v1beta1", "ClusterRole"),
    ("rbac.authorization.k8s.io/v1beta1", "ClusterRoleBinding"),
    ("scheduling.k8s.io/v1", "PriorityClass"),
    ("scheduling.k8s.io/v1beta1", "PriorityClass"),
    ("storage.k8s.io/v1", "CSIDriver"),
    ("storage.k8s.io/v1", "CSINode"),
    ("storage.k8s.io/v1", "StorageClass"),
    ("storage.k8s.io/v1", "VolumeAttachment"),
    ("storage.k8s.io/v1beta1", "CSIDriver"),
    ("storage.k8s.io/v1beta1", "CSINode"),
    ("storage.k8s.io/v1beta1", "StorageClass"),
    ("storage.k8s.io/v1beta1", "VolumeAttachment"),
    ("v1", "ComponentStatus"),
    ("v1", "Namespace"),
    ("v1", "Node"),
    ("v1", "NodeProxyOptions"),
    ("v1", "PersistentVolume"),
];

/// Finds the type of a kind.
pub(super) fn root(api_version: &str, kind: &str) -> Option<Cursor<'static>> {
    ROOTS
        .binary_search_by(|(v, k, _)| (*v, *k).cmp(&(api_version, kind)))
        .ok()
        .map(|at| Cursor::Type(ROOTS[at].2))
}

/// Finds a type by the name it has in Kubernetes' document.
pub(super) fn named(name: &str) -> Option<Cursor<'static>> {
    let found = NAMES.binary_search_by(|(known, _)| (*known).cmp(name));
    found.ok().map(|at| Cursor::Type(NAMES[at].1))
}

/// Descends to a field of a type. A field the table lacks leads to no list that merges.
pub(super) fn field(index: u8, name: &str) -> Cursor<'static> {
    let fields = TYPES.get(usize::from(index)).copied().unwrap_or_default();
    match fields.binary_search_by(|(field, _)| (*field).cmp(name)) {
        Ok(at) => match fields[at].1 {
            Field::Object(index) => Cursor::Type(index),
            Field::List(keys, element) => Cursor::List(keys, element),
        },
        Err(_) => Cursor::Opaque,
    }
}

/// Compares an apiVersion with a group and version that stand apart.
fn compare(api_version: &str, group: &str, version: &str) -> std::cmp::Ordering {
    let joined = group
        .bytes()
        .chain((!group.is_empty()).then_some(b'/'))
        .chain(version.bytes());
    api_version.bytes().cmp(joined)
}

pub(super) fn is_cluster_scoped(group: &str, version: &str, kind: &str) -> bool {
    // The kind alone rules nearly every row out.
    let mut rows = CLUSTER_SCOPED.iter().filter(|(_, k)| *k == kind);
    rows.any(|(v, _)| compare(v, group, version).is_eq())
}

pub(super) fn is_known(group: &str, version: &str, kind: &str) -> bool {
    ROOTS
        .binary_search_by(|(v, k, _)| compare(v, group, version).then_with(|| (*k).cmp(kind)))
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_and_point_at_types_that_exist() {
        assert!(CLUSTER_SCOPED.is_sorted());
        assert!(ROOTS.is_sorted());
        assert!(NAMES.is_sorted());
        assert!(ROOTS.iter().all(|root| usize::from(root.2) < TYPES.len()));
        for fields in TYPES {
            assert!(fields.is_sorted_by_key(|(name, _)| *name));
            for (_, field) in *fields {
                let (Field::Object(index) | Field::List(_, Some(index))) = field else {
                    continue;
                };
                assert!(usize::from(*index) < TYPES.len());
            }
        }
    }
}
