//! Objects chosen by their labels.

use std::{collections::BTreeMap, fmt};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::{AccessFrom, NamespaceSelector};

/// Says that a selector cannot be read, in the API server's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SelectorError {
    /// An operator that is none.
    Operator(String),
    /// `In` or `NotIn` without values.
    NoValues,
    /// `Exists` or `DoesNotExist` with values.
    Values,
}

impl fmt::Display for SelectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator(operator) => {
                write!(f, "{operator:?} is not a valid label selector operator")
            }
            Self::NoValues => {
                let rule = "for 'in', 'notin' operators, values set can't be empty";
                write!(f, "values: Invalid value: []: {rule}")
            }
            Self::Values => f.write_str("values set must be empty for exists and does not exist"),
        }
    }
}

impl std::error::Error for SelectorError {}

/// One condition on a label.
#[derive(Clone, Copy, Debug)]
enum Condition<'a> {
    In(&'a str, &'a [String]),
    NotIn(&'a str, &'a [String]),
    Exists(&'a str),
    DoesNotExist(&'a str),
}

impl Condition<'_> {
    fn holds(self, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Self::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Self::NotIn(key, values) => labels.get(key).is_none_or(|value| !values.contains(value)),
            Self::Exists(key) => labels.contains_key(key),
            Self::DoesNotExist(key) => !labels.contains_key(key),
        }
    }
}

impl fmt::Display for Condition<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::In(key, values) => write!(f, "{key} in ({})", values.join(",")),
            Self::NotIn(key, values) => write!(f, "{key} notin ({})", values.join(",")),
            Self::Exists(key) => f.write_str(key),
            Self::DoesNotExist(key) => write!(f, "!{key}"),
        }
    }
}

/// Reads the conditions of a selector besides those of `matchLabels`.
fn conditions(selector: &LabelSelector) -> Result<Vec<Condition<'_>>, SelectorError> {
    let rules = selector.match_expressions.iter().flatten();
    let condition = rules.map(|rule| {
        let (key, values) = (&*rule.key, rule.values.as_deref().unwrap_or_default());
        match (&*rule.operator, values.is_empty()) {
            ("In", false) => Ok(Condition::In(key, values)),
            ("NotIn", false) => Ok(Condition::NotIn(key, values)),
            ("Exists", true) => Ok(Condition::Exists(key)),
            ("DoesNotExist", true) => Ok(Condition::DoesNotExist(key)),
            ("In" | "NotIn", true) => Err(SelectorError::NoValues),
            ("Exists" | "DoesNotExist", false) => Err(SelectorError::Values),
            (other, _) => Err(SelectorError::Operator(other.to_owned())),
        }
    });
    condition.collect()
}

/// Says whether labels are those that a selector asks for. An empty selector asks for none.
///
/// # Errors
/// [`SelectorError`] where the selector cannot be read.
pub fn is_selected(
    selector: &LabelSelector,
    labels: &BTreeMap<String, String>,
) -> Result<bool, SelectorError> {
    let mut exact = selector.match_labels.iter().flatten();
    let holds = conditions(selector)?
        .into_iter()
        .all(|condition| condition.holds(labels));
    Ok(holds && exact.all(|(key, value)| labels.get(key) == Some(value)))
}

/// Writes a selector as text, as lists and watches of the API server take it: `app=web,tier notin (cache,db),!old`.
///
/// # Errors
/// [`SelectorError`] where the selector cannot be read.
pub fn selector_text(selector: &LabelSelector) -> Result<String, SelectorError> {
    let exact = selector.match_labels.iter().flatten();
    let mut parts = exact
        .map(|(key, value)| format!("{key}={value}"))
        .collect::<Vec<_>>();
    parts.extend(conditions(selector)?.iter().map(ToString::to_string));
    Ok(parts.join(","))
}

impl NamespaceSelector {
    /// Says whether a namespace has all labels that are asked for.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let mut asked = self.match_labels.iter();
        asked.all(|(key, value)| labels.get(key) == Some(value))
    }
}

impl AccessFrom {
    /// Says whether objects of a namespace with these labels may refer to the object.
    #[must_use]
    pub fn grants(&self, labels: &BTreeMap<String, String>) -> bool {
        let mut selectors = self.namespace_selectors.iter();
        selectors.any(|selector| selector.matches(labels))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn selector(value: Value) -> LabelSelector {
        serde_json::from_value(value).unwrap()
    }

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let pairs = pairs.iter();
        pairs.map(|(k, v)| ((*k).into(), (*v).into())).collect()
    }

    fn check(value: Value, text: &str, selected: &[(&str, &str)], left: &[(&str, &str)]) {
        let selector = selector(value);
        assert_eq!(selector_text(&selector).unwrap(), text);
        assert!(is_selected(&selector, &labels(selected)).unwrap(), "{text}");
        assert!(!is_selected(&selector, &labels(left)).unwrap(), "{text}");
    }

    #[test]
    fn conditions_all_have_to_hold() {
        let rule = |operator: &str, values: &[&str]| json!({ "matchExpressions": [{ "key": "a", "operator": operator, "values": values }] });
        check(rule("In", &["x", "y"]), "a in (x,y)", &[("a", "y")], &[]);
        check(rule("NotIn", &["x"]), "a notin (x)", &[], &[("a", "x")]);
        check(rule("Exists", &[]), "a", &[("a", "")], &[("b", "")]);
        check(rule("DoesNotExist", &[]), "!a", &[], &[("a", "x")]);
        let both = json!({
            "matchLabels": { "b": "z" },
            "matchExpressions": [{ "key": "a", "operator": "Exists" }],
        });
        check(both, "b=z,a", &[("a", "x"), ("b", "z")], &[("a", "x")]);
        assert!(is_selected(&LabelSelector::default(), &labels(&[])).unwrap());
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for (operator, values, error) in [
            ("in", json!(["x"]), SelectorError::Operator("in".into())),
            ("In", json!([]), SelectorError::NoValues),
            ("NotIn", Value::Null, SelectorError::NoValues),
            ("Exists", json!(["x"]), SelectorError::Values),
        ] {
            let selector = selector(json!({
                "matchExpressions": [{ "key": "a", "operator": operator, "values": values }],
            }));
            assert_eq!(is_selected(&selector, &labels(&[])), Err(error.clone()));
            assert_eq!(selector_text(&selector), Err(error));
        }
    }

    #[test]
    fn access_is_granted_by_one_selector_that_matches_whole() {
        let granted = |selectors: Value| {
            let access: AccessFrom =
                serde_json::from_value(json!({ "namespaceSelectors": selectors })).unwrap();
            access.grants(&labels(&[("tenant", "b"), ("env", "dev")]))
        };
        assert!(granted(json!([{ "matchLabels": { "tenant": "a" } }, {}])));
        assert!(granted(json!([{ "matchLabels": { "tenant": "b" } }])));
        assert!(!granted(
            json!([{ "matchLabels": { "tenant": "b", "env": "prod" } }])
        ));
        assert!(!granted(json!([])));
    }

    proptest! {
        #[test]
        fn an_operator_and_its_opposite_never_agree(
            has in prop::collection::btree_map("[ab]", "[xyz]", 0..3),
            values in prop::collection::vec("[xyz]", 1..3),
        ) {
            let is = |operator: &str, values: &[String]| {
                let rule = json!({ "key": "a", "operator": operator, "values": values });
                is_selected(&selector(json!({ "matchExpressions": [rule] })), &has).unwrap()
            };
            prop_assert_ne!(is("In", &values), is("NotIn", &values));
            prop_assert_ne!(is("Exists", &[]), is("DoesNotExist", &[]));
            prop_assert!(!is("In", &values) || is("Exists", &[]));
        }

        #[test]
        fn an_object_has_the_labels_that_it_is_chosen_by(
            has in prop::collection::btree_map("[a-c]", "[xyz]", 0..4),
            asked in prop::collection::btree_map("[a-c]", "[xyz]", 0..4),
        ) {
            let selector = LabelSelector { match_labels: Some(asked.clone()), match_expressions: None };
            let all = asked.iter().all(|(key, value)| has.get(key) == Some(value));
            prop_assert_eq!(is_selected(&selector, &has).unwrap(), all);
        }
    }
}
