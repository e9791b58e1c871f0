//! Object identity: what inventories store and messages print.

use std::fmt;

use serde_json::Value;

use crate::object;

const RBAC_GROUP: &str = "rbac.authorization.k8s.io";

/// Identifies an object across API versions: namespace, name, group and kind.
///
/// Prints as `Kind/namespace/name`, or `Kind/name` without a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    /// Namespace, empty for cluster-scoped objects.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// API group, empty for the core group.
    pub group: String,
    /// Kind.
    pub kind: String,
}

/// An inventory id that is not `<namespace>_<name>_<group>_<kind>`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unable to parse stored object metadata: {id}")]
pub struct ParseIdError {
    /// The text as stored.
    pub id: String,
}

impl ObjectId {
    /// Reads the identity of an object as its manifest states it.
    pub fn of(object: &Value) -> Self {
        Self {
            namespace: object::namespace(object).into(),
            name: object::name(object).into(),
            group: object::group(object).into(),
            kind: object::kind(object).into(),
        }
    }

    /// Encodes as an inventory id, for example `default_podinfo_apps_Deployment`.
    ///
    /// Colons, which only RBAC names may hold, are written as `__` there.
    ///
    /// Source: fluxcd/cli-utils v0.37 `pkg/object` ObjMetadata.
    pub fn to_inventory(&self) -> String {
        let name = if self.group == RBAC_GROUP {
            self.name.replace(':', "__")
        } else {
            self.name.clone()
        };
        format!("{}_{name}_{}_{}", self.namespace, self.group, self.kind)
    }

    /// Decodes an inventory id: the namespace ends at the first underscore, kind and group start at
    /// the last two, and every `__` of the name between them stands for a colon.
    ///
    /// # Errors
    /// [`ParseIdError`] when there are fewer than three underscores.
    pub fn from_inventory(id: &str) -> Result<Self, ParseIdError> {
        let parse = || {
            let (namespace, rest) = id.split_once('_')?;
            let (rest, kind) = rest.rsplit_once('_')?;
            let (name, group) = rest.rsplit_once('_')?;
            Some(Self {
                namespace: namespace.into(),
                name: name.replace("__", ":"),
                group: group.into(),
                kind: kind.into(),
            })
        };
        parse().ok_or_else(|| ParseIdError { id: id.into() })
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{}/{}", self.kind, self.name)
        } else {
            write!(f, "{}/{}/{}", self.kind, self.namespace, self.name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(namespace: &str, name: &str, group: &str, kind: &str) -> ObjectId {
        ObjectId {
            namespace: namespace.into(),
            name: name.into(),
            group: group.into(),
            kind: kind.into(),
        }
    }

    /// covers: KC-033
    #[test]
    fn inventory_ids_round_trip() {
        for (object, text, display) in [
            (
                id("default", "podinfo", "", "Service"),
                "default_podinfo__Service",
                "Service/default/podinfo",
            ),
            (
                id("default", "podinfo", "apps", "Deployment"),
                "default_podinfo_apps_Deployment",
                "Deployment/default/podinfo",
            ),
            (
                id("", "apps", "", "Namespace"),
                "_apps__Namespace",
                "Namespace/apps",
            ),
            (
                id("", "system:controller:x", RBAC_GROUP, "ClusterRole"),
                "_system__controller__x_rbac.authorization.k8s.io_ClusterRole",
                "ClusterRole/system:controller:x",
            ),
        ] {
            assert_eq!(object.to_inventory(), text);
            assert_eq!(ObjectId::from_inventory(text).unwrap(), object);
            assert_eq!(object.to_string(), display);
        }
    }

    #[test]
    fn too_few_parts_are_an_error() {
        for text in ["", "a", "a_b", "a_b_c"] {
            let error = ObjectId::from_inventory(text).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("unable to parse stored object metadata: {text}")
            );
        }
    }

    #[test]
    fn colons_outside_rbac_stay() {
        assert_eq!(
            id("a", "b:c", "x.io", "Thing").to_inventory(),
            "a_b:c_x.io_Thing"
        );
    }
}
