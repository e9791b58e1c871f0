//! What is known of kinds: which lists merge by key, and which kinds belong to no namespace.

mod builtin;
mod custom;
mod table;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::error::Error;
use custom::{Custom, Found};

/// The schema of one build: the built-in one until a kustomization brings its own.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    custom: OnceLock<Custom>,
    /// A built-in version was asked for by name: a schema that comes later is ignored.
    settled: AtomicBool,
    /// The built-in kinds were looked at before a custom schema came: they stay beside it.
    builtin_used: AtomicBool,
}

/// A place in a schema.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cursor<'s> {
    /// A built-in type.
    Type(u8),
    /// A built-in list that merges by keys; none of them for a list of plain values.
    List(&'static [&'static str], Option<u8>),
    /// Known, but leads to no list that merges.
    Opaque,
    /// A node of a schema that a kustomization brought.
    Custom(&'s Custom, &'s serde_json::Value),
}

impl Schema {
    /// Starts a build; `keeps_builtin`: a custom schema adds to the built-in one.
    pub(crate) fn new(keeps_builtin: bool) -> Self {
        Self {
            builtin_used: AtomicBool::new(keeps_builtin),
            ..Self::default()
        }
    }

    /// Reads a schema that a kustomization names; the first one stays.
    ///
    /// # Errors
    /// Where the document is no OpenAPI document.
    pub(crate) fn set_custom(&self, document: serde_json::Value) -> Result<(), Error> {
        if !self.settled.swap(true, Relaxed) {
            let custom = Custom::new(document, self.builtin_used.load(Relaxed))?;
            // A build has one schema at most: `settled` lets nobody come here twice.
            self.custom.get_or_init(|| custom);
        }
        Ok(())
    }

    /// Keeps the built-in schema even where a base brings its own.
    pub(crate) fn settle(&self) {
        self.settled.store(true, Relaxed);
    }

    /// Tells whether a kustomization has said which schema to use.
    pub(crate) fn is_settled(&self) -> bool {
        self.settled.load(Relaxed)
    }

    /// Finds the schema of a kind.
    pub(crate) fn of_kind(&self, api_version: &str, kind: &str) -> Option<Cursor<'_>> {
        match self.custom.get() {
            None => {
                self.builtin_used.store(true, Relaxed);
                builtin::root(api_version, kind)
            }
            Some(custom) => custom
                .of_kind(api_version, kind)
                .map(|schema| Cursor::Custom(custom, schema))
                .or_else(|| {
                    let builtin = custom.has_builtin || kind == "Kustomization";
                    builtin.then(|| builtin::root(api_version, kind)).flatten()
                }),
        }
    }

    /// Notes that an object of a kind came in: where nobody knows the kind, the built-in schema is
    /// read, and stays beside one that a base brings later.
    pub(crate) fn note_kind(&self, group: &str, version: &str, kind: &str) {
        if self.custom.get().is_none()
            && !self.builtin_used.load(Relaxed)
            && !builtin::is_known(group, version, kind)
        {
            self.builtin_used.store(true, Relaxed);
        }
    }

    /// Tells whether objects of a kind belong to no namespace, as far as is known: every kind
    /// nobody knows counts as namespaced.
    pub(crate) fn is_cluster_scoped(&self, group: &str, version: &str, kind: &str) -> bool {
        if builtin::is_cluster_scoped(group, version, kind) {
            return true;
        }
        match self.custom.get() {
            Some(custom) => custom.is_cluster_scoped(group, version, kind),
            None => false,
        }
    }
}

impl<'s> Cursor<'s> {
    fn found(custom: &'s Custom, found: Found<'s>) -> Option<Self> {
        match found {
            Found::Here(schema) => Some(Self::Custom(custom, schema)),
            Found::Elsewhere(name) if custom.has_builtin => builtin::named(name),
            Found::Elsewhere(_) => None,
        }
    }

    /// Descends to a field.
    pub(crate) fn field(self, name: &str) -> Option<Self> {
        match self {
            Self::Type(index) => Some(builtin::field(index, name)),
            Self::List(..) | Self::Opaque => None,
            Self::Custom(custom, schema) => custom
                .field(schema, name)
                .and_then(|found| Self::found(custom, found)),
        }
    }

    /// Descends to the elements of a list.
    pub(crate) fn elements(self) -> Option<Self> {
        match self {
            Self::List(_, element) => Some(element.map_or(Self::Opaque, Self::Type)),
            Self::Type(_) | Self::Opaque => None,
            Self::Custom(custom, schema) => custom
                .elements(schema)
                .and_then(|found| Self::found(custom, found)),
        }
    }

    /// Gives the keys a list merges by, empty for a list of plain values; `None` where it is
    /// replaced as a whole.
    pub(crate) fn merge_keys(self) -> Option<Vec<&'s str>> {
        match self {
            Self::List(keys, _) => Some(keys.to_vec()),
            Self::Type(_) | Self::Opaque => None,
            Self::Custom(_, schema) => Custom::merge_keys(schema),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_of_a_deployment_merge_by_name() {
        let schema = Schema::default();
        let mut cursor = schema.of_kind("apps/v1", "Deployment").unwrap();
        for field in ["spec", "template", "spec", "containers"] {
            cursor = cursor.field(field).unwrap();
        }
        assert_eq!(cursor.merge_keys(), Some(vec!["name"]));
        let ports = cursor.elements().unwrap().field("ports").unwrap();
        assert_eq!(ports.merge_keys(), Some(vec!["containerPort", "protocol"]));
        let args = cursor.elements().unwrap().field("args").unwrap();
        assert_eq!(args.merge_keys(), None);
    }

    #[test]
    fn finalizers_merge_as_a_set_and_unknown_kinds_have_no_schema() {
        let schema = Schema::default();
        let meta = schema
            .of_kind("v1", "ConfigMap")
            .unwrap()
            .field("metadata")
            .unwrap();
        assert_eq!(meta.field("finalizers").unwrap().merge_keys(), Some(vec![]));
        assert!(
            schema
                .of_kind("autoscaling/v2", "HorizontalPodAutoscaler")
                .is_none()
        );
    }

    #[test]
    fn scope_follows_the_table_and_unknown_kinds_are_namespaced() {
        let schema = Schema::default();
        assert!(schema.is_cluster_scoped("", "v1", "Namespace"));
        assert!(schema.is_cluster_scoped("storage.k8s.io", "v1", "StorageClass"));
        assert!(!schema.is_cluster_scoped("cert-manager.io", "v1", "ClusterIssuer"));
        assert!(!schema.is_cluster_scoped("x", "v1", "Namespace"));
    }
}
