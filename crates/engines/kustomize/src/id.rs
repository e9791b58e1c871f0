//! What names an object: group, version, kind, name and namespace.

use std::fmt;

use crate::schema::Schema;

/// The namespace that stands for "belongs to none".
const NOT_NAMESPACED: &str = "_non_namespaceable_";
/// The namespace an object without one is taken to be in.
const DEFAULT_NAMESPACE: &str = "default";

/// A group, version and kind. As a selector an empty field matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Gvk {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
}

/// An identity, borrowed from the object or from its history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IdRef<'a> {
    pub(crate) group: &'a str,
    pub(crate) version: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) name: &'a str,
    pub(crate) namespace: &'a str,
}

/// An identity of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id {
    pub(crate) gvk: Gvk,
    pub(crate) name: String,
    pub(crate) namespace: String,
}

/// Splits an apiVersion at its first slash into group and version.
pub(crate) fn split_api_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

impl Gvk {
    pub(crate) fn new(group: &str, version: &str, kind: &str) -> Self {
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
        }
    }

    /// Tells whether an identity is of this group, version and kind, empty fields matching all.
    pub(crate) fn selects(&self, id: &IdRef<'_>) -> bool {
        self.selects_kind(id.group, id.version, id.kind)
    }

    /// Tells whether this selects a group, version and kind.
    pub(crate) fn selects_kind(&self, group: &str, version: &str, kind: &str) -> bool {
        (self.kind.is_empty() || self.kind == kind)
            && (self.group.is_empty() || self.group == group)
            && (self.version.is_empty() || self.version == version)
    }

    /// Tells whether another selector asks for no less than this one.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        (self.group.is_empty() || self.group == other.group)
            && (self.version.is_empty() || self.version == other.version)
            && (self.kind.is_empty() || self.kind == other.kind)
    }
}

/// Gives a text, or another one where it is empty.
pub(crate) fn or<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    if text.is_empty() { otherwise } else { text }
}

impl fmt::Display for Gvk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, version) = (or(&self.kind, "[noKind]"), or(&self.version, "[noVer]"));
        write!(f, "{kind}.{version}.{}", or(&self.group, "[noGrp]"))
    }
}

impl<'a> IdRef<'a> {
    /// Gives the namespace the object counts as being in.
    pub(crate) fn effective_namespace(&self, schema: &Schema) -> &'a str {
        if self.is_cluster_scoped(schema) {
            NOT_NAMESPACED
        } else {
            or(self.namespace, DEFAULT_NAMESPACE)
        }
    }

    pub(crate) fn is_cluster_scoped(&self, schema: &Schema) -> bool {
        schema.is_cluster_scoped(self.group, self.version, self.kind)
    }

    /// Tells whether two identities clash: all equal, with the effective namespace.
    pub(crate) fn same(&self, other: &IdRef<'_>, schema: &Schema) -> bool {
        self.same_but_namespace(other)
            && self.effective_namespace(schema) == other.effective_namespace(schema)
    }

    pub(crate) fn same_but_namespace(&self, other: &IdRef<'_>) -> bool {
        self.name == other.name
            && self.kind == other.kind
            && self.group == other.group
            && self.version == other.version
    }

    pub(crate) fn to_id(self) -> Id {
        Id {
            gvk: Gvk::new(self.group, self.version, self.kind),
            name: self.name.to_owned(),
            namespace: self.namespace.to_owned(),
        }
    }
}

impl Id {
    pub(crate) fn as_ref(&self) -> IdRef<'_> {
        IdRef {
            group: &self.gvk.group,
            version: &self.gvk.version,
            kind: &self.gvk.kind,
            name: &self.name,
            namespace: &self.namespace,
        }
    }
}

/// Prints `Kind.version.group/name.namespace`, missing parts as `[noGrp]` and the like.
impl fmt::Display for IdRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, version) = (or(self.kind, "[noKind]"), or(self.version, "[noVer]"));
        let (group, name) = (or(self.group, "[noGrp]"), or(self.name, "[noName]"));
        write!(
            f,
            "{kind}.{version}.{group}/{name}.{}",
            or(self.namespace, "[noNs]")
        )
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(api_version: &str, kind: &str, name: &str, namespace: &str) -> Id {
        let (group, version) = split_api_version(api_version);
        Id {
            gvk: Gvk::new(group, version, kind),
            name: name.to_owned(),
            namespace: namespace.to_owned(),
        }
    }

    /// covers: KE-019, KE-020, KE-021, KE-022
    #[test]
    fn ids_clash_by_effective_namespace_and_version() {
        let schema = Schema::default();
        let cases = [
            (
                id("v1", "Service", "a", ""),
                id("v1", "Service", "a", "default"),
                true,
            ),
            (
                id("v1", "Service", "a", ""),
                id("v1", "Service", "a", "x"),
                false,
            ),
            (
                id("apps/v1", "Deployment", "a", ""),
                id("apps/v1beta1", "Deployment", "a", ""),
                false,
            ),
            (
                id("v1", "Namespace", "a", "x"),
                id("v1", "Namespace", "a", "y"),
                true,
            ),
            (
                id("c/v1", "ClusterIssuer", "a", "x"),
                id("c/v1", "ClusterIssuer", "a", "y"),
                false,
            ),
        ];
        for (left, right, expected) in cases {
            assert_eq!(
                left.as_ref().same(&right.as_ref(), &schema),
                expected,
                "{left} {right}"
            );
        }
    }

    /// covers: KE-023
    #[test]
    fn ids_print_kind_version_group_name_and_namespace() {
        assert_eq!(
            id("apps/v1", "Deployment", "web", "").to_string(),
            "Deployment.v1.apps/web.[noNs]"
        );
        assert_eq!(
            id("v1", "Service", "web", "x").to_string(),
            "Service.v1.[noGrp]/web.x"
        );
    }
}
