//! Picks objects by patterns on their identity and by label selectors.

mod labels;

use regex::Regex;
use serde_json::Value;

pub use labels::{LabelSelector, ParseLabelSelectorError};

use crate::object::{self, GroupVersionKind};

/// The fields of a selector as a user writes them; an absent or empty one matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SelectorSpec {
    /// Pattern of the API group.
    pub group: Option<String>,
    /// Pattern of the API version.
    pub version: Option<String>,
    /// Pattern of the kind.
    pub kind: Option<String>,
    /// Pattern of the name.
    pub name: Option<String>,
    /// Pattern of the namespace.
    pub namespace: Option<String>,
    /// Label selector in the form of `kubectl -l`.
    pub label_selector: Option<String>,
    /// The same, on annotations.
    pub annotation_selector: Option<String>,
}

/// A selector whose patterns are compiled; each pattern matches the whole field.
#[derive(Clone, Debug, Default)]
pub struct Selector {
    group: Option<Regex>,
    version: Option<Regex>,
    kind: Option<Regex>,
    name: Option<Regex>,
    namespace: Option<Regex>,
    labels: Option<LabelSelector>,
    annotations: Option<LabelSelector>,
}

/// A selector that cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub enum SelectorError {
    /// A field is no regular expression.
    #[error("invalid pattern {pattern:?} in selector field {field}")]
    Pattern {
        /// The field's name.
        field: &'static str,
        /// The pattern as written.
        pattern: String,
        /// Why.
        #[source]
        source: Box<regex::Error>,
    },
    /// A label or annotation selector does not parse.
    #[error("invalid selector field {field}")]
    Labels {
        /// The field's name.
        field: &'static str,
        /// Why.
        #[source]
        source: ParseLabelSelectorError,
    },
}

impl Selector {
    /// Compiles a selector.
    ///
    /// # Errors
    /// [`SelectorError`] naming the first field that does not compile.
    pub fn new(spec: &SelectorSpec) -> Result<Self, SelectorError> {
        Ok(Self {
            group: pattern("group", spec.group.as_deref())?,
            version: pattern("version", spec.version.as_deref())?,
            kind: pattern("kind", spec.kind.as_deref())?,
            name: pattern("name", spec.name.as_deref())?,
            namespace: pattern("namespace", spec.namespace.as_deref())?,
            labels: labels_of("labelSelector", spec.label_selector.as_deref())?,
            annotations: labels_of("annotationSelector", spec.annotation_selector.as_deref())?,
        })
    }

    /// Tells whether every field matches the object.
    pub fn matches(&self, value: &Value) -> bool {
        let gvk = GroupVersionKind::of(value);
        let fits = |pattern: &Option<Regex>, text: &str| {
            pattern
                .as_ref()
                .is_none_or(|pattern| pattern.is_match(text))
        };
        let fits_labels = |selector: &Option<LabelSelector>, field: &str| {
            let of = |key: &str| object::str_at(value, &["metadata", field, key]);
            selector
                .as_ref()
                .is_none_or(|selector| selector.matches(of))
        };
        fits(&self.group, &gvk.group)
            && fits(&self.version, &gvk.version)
            && fits(&self.kind, &gvk.kind)
            && fits(&self.name, object::name(value))
            && fits(&self.namespace, object::namespace(value))
            && fits_labels(&self.labels, "labels")
            && fits_labels(&self.annotations, "annotations")
    }
}

fn pattern(field: &'static str, text: Option<&str>) -> Result<Option<Regex>, SelectorError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let regex = Regex::new(&format!("^(?:{text})$")).map_err(|source| SelectorError::Pattern {
        field,
        pattern: text.into(),
        source: Box::new(source),
    })?;
    Ok(Some(regex))
}

fn labels_of(
    field: &'static str,
    text: Option<&str>,
) -> Result<Option<LabelSelector>, SelectorError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let selector = text
        .parse()
        .map_err(|source| SelectorError::Labels { field, source })?;
    Ok(Some(selector))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(field: &str, text: &str) -> SelectorSpec {
        let mut spec = SelectorSpec::default();
        let slot = match field {
            "group" => &mut spec.group,
            "version" => &mut spec.version,
            "kind" => &mut spec.kind,
            "name" => &mut spec.name,
            "namespace" => &mut spec.namespace,
            "labels" => &mut spec.label_selector,
            _ => &mut spec.annotation_selector,
        };
        *slot = Some(text.into());
        spec
    }

    /// covers: KC-114
    #[test]
    fn patterns_match_whole_fields() {
        let object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web-1", "namespace": "prod", "labels": {"tier": "front"}, "annotations": {"a": "1"}},
        });
        assert!(
            Selector::new(&SelectorSpec::default())
                .unwrap()
                .matches(&object)
        );
        for (field, text, expected) in [
            ("group", "apps", true),
            ("group", "app", false),
            ("version", "v1|v2", true),
            ("kind", "Deploy.*", true),
            ("kind", "Deploy", false),
            ("name", "web|api", false),
            ("name", "web-\\d+", true),
            ("namespace", "", true),
            ("labels", "tier in (front,back)", true),
            ("labels", "tier=back", false),
            ("annotations", "a=1", true),
            ("annotations", "tier", false),
        ] {
            let selector = Selector::new(&spec(field, text)).unwrap();
            assert_eq!(selector.matches(&object), expected, "{field} {text}");
        }
    }

    /// covers: KC-114
    #[test]
    fn what_does_not_compile_names_its_field() {
        let spec = SelectorSpec {
            name: Some("(".into()),
            ..Default::default()
        };
        let error = Selector::new(&spec).unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid pattern \"(\" in selector field name"
        );
        let spec = SelectorSpec {
            label_selector: Some("a in".into()),
            ..Default::default()
        };
        let error = Selector::new(&spec).unwrap_err();
        assert_eq!(error.to_string(), "invalid selector field labelSelector");
    }
}
