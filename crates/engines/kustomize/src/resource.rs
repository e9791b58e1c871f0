//! One object on its way through a build, with the history of its names.

use std::sync::Arc;

use yaml::{Node, Text};

use crate::error::Place;
use crate::id::{Gvk, Id, IdRef, split_api_version};
use crate::origin::Origin;
use crate::schema::Schema;
use crate::tree;

/// The annotations upstream keeps its books in; they never reach the output, a user's own included.
pub(crate) const BUILD_ANNOTATIONS: &[&str] = &[
    "internal.config.kubernetes.io/previousKinds",
    "internal.config.kubernetes.io/previousNames",
    "internal.config.kubernetes.io/prefixes",
    "internal.config.kubernetes.io/suffixes",
    "internal.config.kubernetes.io/previousNamespaces",
    "internal.config.kubernetes.io/allowNameChange",
    "internal.config.kubernetes.io/allowKindChange",
    "internal.config.kubernetes.io/refBy",
    "internal.config.kubernetes.io/generatorBehavior",
    "internal.config.kubernetes.io/needsHashSuffix",
    "internal.config.kubernetes.io/path",
    "internal.config.kubernetes.io/index",
    "internal.config.kubernetes.io/seqindent",
    "internal.config.kubernetes.io/id",
    "internal.config.kubernetes.io/annotations-migration-resource-id",
    "config.kubernetes.io/path",
    "config.kubernetes.io/index",
    "config.k8s.io/id",
    HELM_GENERATED,
];
/// Marks what a chart made: the namespace transformer leaves it alone.
pub(crate) const HELM_GENERATED: &str = "internal.config.kubernetes.io/helm-generated";
/// Keeps an object out of the output.
pub(crate) const LOCAL_CONFIG: &str = "config.kubernetes.io/local-config";
/// Says where an object came from.
pub(crate) const ORIGIN: &str = "config.kubernetes.io/origin";
/// Says what changed an object.
pub(crate) const TRANSFORMATIONS: &str = "alpha.config.kubernetes.io/transformations";

/// What a generated object does where one of its name exists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Behavior {
    /// Nothing was said; works like create.
    #[default]
    Unspecified,
    /// None may exist.
    Create,
    /// Its data replaces the other's.
    Replace,
    /// Its data goes over the other's.
    Merge,
}

impl Behavior {
    pub(crate) fn parse(text: &str) -> Self {
        match text {
            "replace" => Self::Replace,
            "merge" => Self::Merge,
            "create" => Self::Create,
            _ => Self::Unspecified,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Create => "create",
            Self::Replace => "replace",
            Self::Merge => "merge",
        }
    }
}

/// A name an object had before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Previous {
    pub(crate) kind: Text,
    pub(crate) name: Text,
    pub(crate) namespace: Text,
}

/// One object.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub(crate) node: Node,
    pub(crate) file: Arc<str>,
    pub(crate) line: u32,
    pub(crate) history: Vec<Previous>,
    pub(crate) prefixes: Vec<String>,
    pub(crate) suffixes: Vec<String>,
    pub(crate) behavior: Behavior,
    pub(crate) needs_hash: bool,
    pub(crate) vars: Vec<String>,
    pub(crate) origin: Option<Origin>,
    pub(crate) transformations: Vec<Origin>,
    /// Whether its content is lost to a patch that failed: what else goes wrong with it says nothing.
    pub(crate) is_broken: bool,
}

impl Resource {
    /// Takes an object as it was read.
    pub(crate) fn new(node: Node, file: &Arc<str>) -> Self {
        let line = u32::try_from(node.span.line()).unwrap_or(u32::MAX);
        Self {
            node,
            file: Arc::clone(file),
            line,
            history: Vec::new(),
            prefixes: Vec::new(),
            suffixes: Vec::new(),
            behavior: Behavior::Unspecified,
            needs_hash: false,
            vars: Vec::new(),
            origin: None,
            transformations: Vec::new(),
            is_broken: false,
        }
    }

    /// Leaves nothing of the object but its identity, so that others may still name it.
    pub(crate) fn lose_content(&mut self, id: &Id) {
        let Gvk {
            group,
            version,
            kind,
        } = &id.gvk;
        let api_version = match group.as_str() {
            "" => version.clone(),
            group => format!("{group}/{version}"),
        };
        let mut node = tree::strings([("apiVersion", api_version.as_str()), ("kind", kind)]);
        let mut meta = tree::strings([("name", id.name.as_str())]);
        if !id.namespace.is_empty() {
            meta.insert("namespace", Node::string(&id.namespace));
        }
        node.insert("metadata", meta);
        self.node = node;
        self.is_broken = true;
    }

    /// Tells whether nothing is left of the object.
    pub(crate) fn is_empty(&self) -> bool {
        tree::is_empty(&self.node)
    }

    pub(crate) fn kind(&self) -> &str {
        tree::text(&self.node, "kind")
    }

    pub(crate) fn api_version(&self) -> &str {
        tree::text(&self.node, "apiVersion")
    }

    pub(crate) fn name(&self) -> &str {
        tree::meta_text(&self.node, "name")
    }

    pub(crate) fn namespace(&self) -> &str {
        tree::meta_text(&self.node, "namespace")
    }

    /// Gives the identity the object has now.
    pub(crate) fn id(&self) -> IdRef<'_> {
        let (group, version) = split_api_version(self.api_version());
        let (kind, name, namespace) = (self.kind(), self.name(), self.namespace());
        IdRef {
            group,
            version,
            kind,
            name,
            namespace,
        }
    }

    /// Gives the identities it had before, oldest first.
    pub(crate) fn previous_ids(&self) -> impl Iterator<Item = IdRef<'_>> {
        let (group, version) = split_api_version(self.api_version());
        self.history.iter().map(move |previous| IdRef {
            group,
            version,
            kind: &previous.kind,
            name: &previous.name,
            namespace: &previous.namespace,
        })
    }

    /// Gives the identity it came with.
    pub(crate) fn original_id(&self) -> IdRef<'_> {
        self.previous_ids().next().unwrap_or_else(|| self.id())
    }

    /// Gives every identity it has or had.
    pub(crate) fn any_ids(&self) -> impl Iterator<Item = IdRef<'_>> {
        self.previous_ids().chain(std::iter::once(self.id()))
    }

    /// Writes the identity of now into the history.
    pub(crate) fn remember_id(&mut self, schema: &Schema) {
        let id = self.id();
        let previous = Previous {
            kind: id.kind.into(),
            name: id.name.into(),
            namespace: id.effective_namespace(schema).into(),
        };
        self.history.push(previous);
    }

    /// Gives the place to name in errors.
    pub(crate) fn place(&self) -> Place {
        Place {
            file: self.file.to_string(),
            line: self.line,
            column: 0,
            object: self.id().to_string(),
        }
    }

    pub(crate) fn set_name(&mut self, name: &str) {
        if let Some(meta) = tree::mapping_at(&mut self.node, "metadata") {
            tree::set_field_text(meta, "name", name);
        }
    }

    pub(crate) fn set_namespace(&mut self, namespace: &str) {
        if namespace.is_empty() {
            if let Some(meta) = self.node.get_mut("metadata") {
                meta.remove("namespace");
            }
        } else if let Some(meta) = tree::mapping_at(&mut self.node, "metadata") {
            tree::set_field_text(meta, "namespace", namespace);
        }
    }

    pub(crate) fn set_kind(&mut self, kind: &str) {
        if let Some(object) = self.node.as_mapping_mut() {
            tree::set_field_text(object, "kind", kind);
        }
    }

    pub(crate) fn annotation(&self, key: &str) -> Option<&str> {
        tree::meta_entry(&self.node, "annotations", key)
    }

    /// Keeps the name, the history and the rest of the books of another object, and takes its
    /// labels and annotations beneath the own ones: how a generated object takes the place of one
    /// that exists.
    pub(crate) fn inherit(&mut self, other: &Self) {
        for field in ["labels", "annotations"] {
            let own: Vec<_> = owned(&self.node, field);
            let mut merged = owned(&other.node, field);
            merged.retain(|(key, _)| !own.iter().any(|(k, _)| k == key));
            merged.extend(own);
            merged.sort();
            tree::set_meta_map(&mut self.node, field, &merged);
        }
        self.set_name(other.name());
        self.set_namespace(other.namespace());
        self.needs_hash = self.needs_hash && other.needs_hash;
        self.behavior = other.behavior;
        self.history.clone_from(&other.history);
        self.prefixes.clone_from(&other.prefixes);
        self.suffixes.clone_from(&other.suffixes);
        self.vars.clone_from(&other.vars);
        self.transformations.clone_from(&other.transformations);
    }

    /// Puts the data of another object beneath the own.
    pub(crate) fn merge_data(&mut self, other: &Self) {
        for field in ["data", "binaryData"] {
            let mut merged: Vec<(String, String)> = data(&other.node, field);
            let own = data(&self.node, field);
            merged.retain(|(key, _)| !own.iter().any(|(k, _)| k == key));
            merged.extend(own);
            merged.sort();
            self.node.remove(field);
            if !merged.is_empty() {
                let entries = merged.iter().map(|(k, v)| (k.as_str(), v.as_str()));
                self.node.insert(field, tree::strings(entries));
            }
        }
    }
}

fn owned(node: &Node, field: &str) -> Vec<(String, String)> {
    tree::meta_map(node, field)
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect()
}

fn data(node: &Node, field: &str) -> Vec<(String, String)> {
    let mapping = node.get(field).and_then(Node::as_mapping);
    let entries = mapping.into_iter().flatten();
    entries
        .map(|e| {
            let text = if e.value.is_null() {
                ""
            } else {
                e.value.text()
            };
            (e.name().to_owned(), text.to_owned())
        })
        .collect()
}

/// Names objects for an error text, one after the other.
pub(crate) fn list_ids<'a>(resources: impl IntoIterator<Item = &'a Resource>) -> String {
    let ids: Vec<String> = resources.into_iter().map(|r| r.id().to_string()).collect();
    ids.join(", ")
}
