//! Picks objects by regular expressions over their identities and by label selectors.

mod labels;

use regex::Regex;

pub(crate) use labels::LabelSelector;

use crate::error::{Error, Gathered, Place};
use crate::id::IdRef;
use crate::kustomization::Selector;
use crate::res_map::ResMap;
use crate::resource::Resource;
use crate::schema::Schema;
use crate::tree;

/// A pattern for one part of an identity.
#[derive(Debug)]
enum Pattern {
    Any,
    Exactly(String),
    Matching(Regex),
}

/// A selector, ready to use.
#[derive(Debug)]
pub(crate) struct Matcher {
    group: Pattern,
    version: Pattern,
    kind: Pattern,
    name: Pattern,
    namespace: Pattern,
    labels: LabelSelector,
    annotations: LabelSelector,
    names_nothing: bool,
    has_labels: bool,
}

impl Pattern {
    fn new(text: &str) -> Result<Self, String> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_/:".contains(c);
        if text.is_empty() {
            Ok(Self::Any)
        } else if text.chars().all(is_plain) {
            Ok(Self::Exactly(text.to_owned()))
        } else {
            Regex::new(&format!("^(?:{text})$"))
                .map(Self::Matching)
                .map_err(|_| format!("'{text}' is no regular expression"))
        }
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(wanted) => wanted == text,
            Self::Matching(regex) => regex.is_match(text),
        }
    }
}

impl Matcher {
    /// Compiles a selector.
    ///
    /// # Errors
    /// Every regular expression and label selector that cannot be read.
    pub(crate) fn new(selector: &Selector, place: &Place) -> Result<Self, Error> {
        let failed = |problem: String| Error::at(place.clone(), problem);
        let mut faults = Gathered::default();
        let mut pattern = |text: &str| {
            let made = faults.note(Pattern::new(text).map_err(failed));
            made.unwrap_or(Pattern::Any)
        };
        let id = &selector.id;
        let (group, version) = (pattern(&id.gvk.group), pattern(&id.gvk.version));
        let (kind, name) = (pattern(&id.gvk.kind), pattern(&id.name));
        let namespace = pattern(&id.namespace);
        let mut labels = |text: &str| {
            let read = faults.note(LabelSelector::parse(text).map_err(failed));
            read.unwrap_or_default()
        };
        let (on_labels, on_annotations) = (labels(&selector.labels), labels(&selector.annotations));
        faults.end()?;
        Ok(Self {
            group,
            version,
            kind,
            name,
            namespace,
            labels: on_labels,
            annotations: on_annotations,
            names_nothing: selector.names_nothing(),
            has_labels: !selector.labels.is_empty() || !selector.annotations.is_empty(),
        })
    }

    fn matches_gvk(&self, id: &IdRef<'_>) -> bool {
        self.group.matches(id.group)
            && self.version.matches(id.version)
            && self.kind.matches(id.kind)
    }

    /// Tells whether an identity is one of those selected.
    pub(crate) fn matches_id(&self, id: &IdRef<'_>) -> bool {
        self.matches_gvk(id) && self.name.matches(id.name) && self.namespace.matches(id.namespace)
    }

    /// Tells whether the selector asks for no identity.
    pub(crate) fn names_nothing(&self) -> bool {
        self.names_nothing
    }

    /// Tells whether the selector asks for labels or annotations.
    pub(crate) fn has_labels(&self) -> bool {
        self.has_labels
    }

    pub(crate) fn matches_labels(&self, resource: &Resource) -> bool {
        self.labels
            .matches(|key| tree::meta_entry(&resource.node, "labels", key))
            && self
                .annotations
                .matches(|key| tree::meta_entry(&resource.node, "annotations", key))
    }

    /// Tells whether an object is selected: by its kind of now, its name and namespace of now or
    /// of the beginning, its labels and its annotations.
    fn selects(&self, resource: &Resource, schema: &Schema) -> bool {
        let (now, original) = (resource.id(), resource.original_id());
        let either = |pattern: &Pattern, a: &str, b: &str| pattern.matches(a) || pattern.matches(b);
        self.matches_gvk(&now)
            && either(&self.name, original.name, now.name)
            && (matches!(self.namespace, Pattern::Any)
                || either(
                    &self.namespace,
                    original.effective_namespace(schema),
                    now.effective_namespace(schema),
                ))
            && self.matches_labels(resource)
    }

    /// Gives the positions of the selected objects, in order.
    pub(crate) fn select(&self, resources: &ResMap) -> Vec<usize> {
        let schema = resources.schema();
        let all = resources.iter().enumerate();
        all.filter(|(_, resource)| self.selects(resource, schema))
            .map(|(at, _)| at)
            .collect()
    }
}
