//! The record of what was applied.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Records the objects that the last runs applied and that are pruned when they leave the source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Inventory {
    /// The objects, in the order in which they were applied.
    pub entries: Vec<InventoryEntry>,
}

/// Names one applied object.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InventoryEntry {
    /// Which object: `<namespace>_<name>_<group>_<kind>`, the namespace empty for one without.
    pub id: String,
    /// API version of the group that the object was applied with, such as `v1`.
    pub v: String,
}

impl InventoryEntry {
    /// Reads the object id.
    ///
    /// # Errors
    /// [`ObjectIdError`] where `id` has not the form of one.
    pub fn object_id(&self) -> Result<ObjectId, ObjectIdError> {
        self.id.parse()
    }
}

/// Names an object of a cluster, whatever its API version: `<namespace>_<name>_<group>_<kind>`.
///
/// Colons in names, which RBAC objects have, are written as `__`.
///
/// Source: fluxcd/cli-utils `pkg/object/objmetadata.go`, 0.37.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    /// Namespace; empty for an object without one.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// API group; empty for the core group.
    pub group: String,
    /// Kind.
    pub kind: String,
}

/// Says that a text is not an object id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectIdError(String);

impl fmt::Display for ObjectIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unable to parse stored object metadata: {}", self.0)
    }
}

impl std::error::Error for ObjectIdError {}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            namespace,
            name,
            group,
            kind,
        } = self;
        write!(f, "{namespace}_{}_{group}_{kind}", name.replace(':', "__"))
    }
}

impl FromStr for ObjectId {
    type Err = ObjectIdError;

    /// Cuts the namespace off the front and kind and group off the end; what is left is the name.
    fn from_str(text: &str) -> Result<Self, ObjectIdError> {
        let error = || ObjectIdError(text.to_owned());
        let (namespace, rest) = text.split_once('_').ok_or_else(error)?;
        let (rest, kind) = rest.rsplit_once('_').ok_or_else(error)?;
        let (name, group) = rest.rsplit_once('_').ok_or_else(error)?;
        let name = name.replace("__", ":");
        // Neither a name nor a namespace can have an underscore, so one that is left over is a mistake.
        if name.contains('_') || name.is_empty() || kind.is_empty() {
            return Err(error());
        }
        Ok(Self {
            namespace: namespace.into(),
            name,
            group: group.into(),
            kind: kind.into(),
        })
    }
}

impl From<&ObjectId> for String {
    fn from(id: &ObjectId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, namespace: &str, name: &str, group: &str, kind: &str) {
        let id: ObjectId = text.parse().unwrap();
        let [namespace, name, group, kind] = [namespace, name, group, kind].map(str::to_owned);
        assert_eq!(
            id,
            ObjectId {
                namespace,
                name,
                group,
                kind
            }
        );
        assert_eq!(id.to_string(), text);
    }

    #[test]
    fn names_an_object() {
        check(
            "podinfo-k_podinfo__Service",
            "podinfo-k",
            "podinfo",
            "",
            "Service",
        );
        check(
            "podinfo-k_podinfo_apps_Deployment",
            "podinfo-k",
            "podinfo",
            "apps",
            "Deployment",
        );
        check("_podinfo__Namespace", "", "podinfo", "", "Namespace");
        check(
            "_system__controller_rbac.authorization.k8s.io_ClusterRole",
            "",
            "system:controller",
            "rbac.authorization.k8s.io",
            "ClusterRole",
        );
        check("_a____b__Kind", "", "a::b", "", "Kind");
    }

    #[test]
    fn refuses_what_names_none() {
        for text in [
            "",
            "a",
            "a_b",
            "a_b_c",
            "ns_a_b_g_Kind",
            "____",
            "ns___Kind",
            "ns_name_g_",
        ] {
            assert!(text.parse::<ObjectId>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn text_reads_back(
            namespace in "[a-z0-9-]{0,8}", name in "[a-z0-9]([a-z0-9.:-]{0,10}[a-z0-9])?",
            group in "([a-z]{1,6}(\\.[a-z]{1,4}){0,2})?", kind in "[A-Z][A-Za-z]{0,10}",
        ) {
            let id = ObjectId { namespace, name, group, kind };
            prop_assert_eq!(id.to_string().parse::<ObjectId>().unwrap(), id);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[a-zA-Z_:./-]*") {
            if let Ok(id) = text.parse::<ObjectId>() {
                prop_assert_eq!(id.to_string().parse::<ObjectId>().unwrap(), id);
            }
        }
    }
}
