//! Which alerts an event reaches.
//!
//! Source: notification-controller v1.9.3 `internal/server/event_handlers.go`.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use api::notification::{Alert, ObjectReference, Severity};
use go::regexp::Regexp;
use kube::ResourceExt;

use crate::event::Event;

/// How many alerts' expressions are kept compiled.
const KEPT: usize = 4096;

/// What an alert's sources say of an event.
#[derive(Debug, PartialEq)]
pub enum Sources<'a> {
    /// None is meant.
    No,
    /// One is meant.
    Yes,
    /// It depends on the object's labels: one of these sources has to fit.
    ByLabels(Vec<&'a ObjectReference>),
}

/// Compares an event with the sources and the severity of an alert.
#[must_use]
pub fn sources<'a>(alert: &'a Alert, event: &Event) -> Sources<'a> {
    let severity = alert.spec.event_severity.unwrap_or_default();
    if severity != Severity::Info && severity.as_str() != event.severity {
        return Sources::No;
    }
    let object = &event.involved_object;
    let own = alert.metadata.namespace.as_deref().unwrap_or_default();
    let mut by_labels = Vec::new();
    for source in &alert.spec.event_sources {
        let namespace = source.namespace.as_deref().filter(|n| !n.is_empty());
        let fits = namespace.unwrap_or(own) == object.namespace
            && source.kind.as_str() == object.kind
            && (source.name == "*" || source.name == object.name);
        if fits && source.match_labels.is_empty() {
            return Sources::Yes;
        }
        if fits {
            by_labels.push(source);
        }
    }
    if by_labels.is_empty() {
        Sources::No
    } else {
        Sources::ByLabels(by_labels)
    }
}

/// Whether labels are such that the API server would take them as a selector.
#[must_use]
pub fn is_selector(labels: &BTreeMap<String, String>) -> bool {
    let edge = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    let part = |text: &str, longest: usize| {
        let inner = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        text.len() <= longest
            && text.chars().all(inner)
            && edge(text.chars().next())
            && edge(text.chars().last())
    };
    labels.iter().all(|(key, value)| {
        let (prefix, name) = key.split_once('/').unwrap_or(("x", key));
        !name.is_empty() && part(name, 63) && part(prefix, 253) && part(value, 63)
    })
}

/// Whether an object's labels hold all of these.
#[must_use]
pub fn has_labels(wanted: &BTreeMap<String, String>, labels: &BTreeMap<String, String>) -> bool {
    wanted
        .iter()
        .all(|(key, value)| labels.get(key) == Some(value))
}

/// An alert's expressions, compiled.
#[derive(Debug)]
struct Lists {
    generation: Option<i64>,
    inclusion: Vec<Option<Regexp>>,
    exclusion: Vec<Option<Regexp>>,
    faults: Vec<String>,
}

/// What an alert's lists say of a message.
#[derive(Debug, PartialEq, Eq)]
pub struct Filtered {
    /// Whether the message passes.
    pub passes: bool,
    /// What is wrong with the lists.
    pub faults: Vec<String>,
}

/// Keeps alerts' expressions compiled.
#[derive(Debug, Default)]
pub struct Filters(Mutex<HashMap<String, Arc<Lists>>>);

impl Filters {
    /// Compares a message with an alert's inclusion and exclusion lists. Expressions that cannot
    /// be read neither include nor exclude anything.
    pub fn check(&self, alert: &Alert, message: &str) -> Filtered {
        let lists = self.lists(alert);
        let hit = |list: &[Option<Regexp>]| {
            list.iter()
                .flatten()
                .any(|expression| expression.is_match(message.as_bytes()))
        };
        let included = lists.inclusion.is_empty() || hit(&lists.inclusion);
        Filtered {
            passes: included && !hit(&lists.exclusion),
            faults: lists.faults.clone(),
        }
    }

    fn lists(&self, alert: &Alert) -> Arc<Lists> {
        let (key, generation) = (alert.uid().unwrap_or_default(), alert.metadata.generation);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lists) = kept.get(&key)
            && lists.generation == generation
            && !key.is_empty()
        {
            return Arc::clone(lists);
        }
        let mut faults = Vec::new();
        let mut compile = |what: &str, list: &[String]| -> Vec<Option<Regexp>> {
            list.iter()
                .map(|text| {
                    let compiled = Regexp::new(text);
                    if compiled.is_err() {
                        faults.push(format!("failed to compile {what} regex: {text}"));
                    }
                    compiled.ok()
                })
                .collect()
        };
        let inclusion = compile("inclusion", &alert.spec.inclusion_list);
        let exclusion = compile("exclusion", &alert.spec.exclusion_list);
        let lists = Arc::new(Lists {
            generation,
            inclusion,
            exclusion,
            faults,
        });
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(key, Arc::clone(&lists));
        lists
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "values are written in place")]
    fn alert(spec: Value) -> Alert {
        let mut full = json!({ "providerRef": { "name": "p" },
            "eventSources": [{ "kind": "GitRepository", "name": "webapp" }] });
        full.as_object_mut()
            .unwrap()
            .extend(spec.as_object().unwrap().clone());
        serde_json::from_value(json!({
            "metadata": { "name": "a", "namespace": "gitops-system" }, "spec": full }))
        .unwrap()
    }

    fn event(severity: &str) -> Event {
        crate::event::tests::sample(severity)
    }

    #[expect(clippy::needless_pass_by_value, reason = "values are written in place")]
    fn matches(sources: Value) -> bool {
        let alert = alert(json!({ "eventSources": [sources] }));
        super::sources(&alert, &event("info")) == Sources::Yes
    }

    /// covers: NC-009, NC-025, NC-029, NC-032
    #[test]
    fn kind_name_and_namespace_have_to_be_those_of_the_event() {
        assert!(matches(
            json!({ "kind": "GitRepository", "name": "webapp" })
        ));
        assert!(matches(json!({ "kind": "GitRepository", "name": "*" })));
        let ns = "gitops-system";
        assert!(matches(
            json!({ "kind": "GitRepository", "name": "*", "namespace": ns })
        ));
        assert!(!matches(
            json!({ "kind": "GitRepository", "name": "*", "namespace": "x" })
        ));
        assert!(!matches(json!({ "kind": "Bucket", "name": "webapp" })));
        assert!(!matches(
            json!({ "kind": "GitRepository", "name": "other" })
        ));
    }

    /// covers: NC-026
    #[test]
    fn severity_error_takes_errors_only_and_info_takes_all() {
        let of = |alert_severity: Value, severity| {
            let spec = json!({ "eventSeverity": alert_severity });
            sources(&alert(spec), &event(severity)) == Sources::Yes
        };
        assert!(!of(json!("error"), "info"));
        assert!(of(json!("error"), "error"));
        assert!(of(json!("info"), "error"));
        assert!(of(Value::Null, "info"), "absent is info");
    }

    fn passes(spec: Value, message: &str) -> bool {
        Filters::default().check(&alert(spec), message).passes
    }

    /// covers: NC-003, NC-005, NC-030
    #[test]
    fn one_expression_of_the_inclusion_list_has_to_match() {
        assert!(passes(
            json!({ "inclusionList": ["^included"] }),
            "included"
        ));
        assert!(!passes(
            json!({ "inclusionList": ["^included"] }),
            "not included"
        ));
        assert!(passes(json!({ "inclusionList": ["x", "b"] }), "abc"));
        assert!(!passes(json!({ "inclusionList": ["["] }), "abc"));
    }

    /// covers: NC-006, NC-007, NC-008, NC-031
    #[test]
    fn exclusion_beats_inclusion_and_a_broken_one_excludes_nothing() {
        assert!(!passes(
            json!({ "exclusionList": ["x", "bad.*"] }),
            "a bad day"
        ));
        assert!(passes(json!({ "exclusionList": ["["] }), "a bad day"));
        let both = json!({ "inclusionList": ["good"], "exclusionList": ["bad"] });
        assert!(!passes(both, "good and bad"));
    }

    #[test]
    fn broken_expressions_are_told_and_a_new_generation_is_compiled_anew() {
        let filters = Filters::default();
        let mut alert = alert(json!({ "inclusionList": ["["], "exclusionList": ["("] }));
        alert.metadata.uid = Some("u".into());
        alert.metadata.generation = Some(1);
        let faults = filters.check(&alert, "x").faults;
        let expect = [
            "failed to compile inclusion regex: [",
            "failed to compile exclusion regex: (",
        ];
        assert_eq!(faults, expect);
        alert.spec.inclusion_list = vec!["x".into()];
        assert_eq!(
            filters.check(&alert, "x").faults.len(),
            2,
            "the same generation"
        );
        alert.metadata.generation = Some(2);
        assert!(filters.check(&alert, "x").passes);
    }

    #[test]
    fn labels_are_compared_and_checked() {
        let map = |k: &str, v: &str| BTreeMap::from([(k.to_owned(), v.to_owned())]);
        assert!(has_labels(&map("a", "1"), &map("a", "1")));
        assert!(!has_labels(&map("a", "1"), &map("a", "2")));
        assert!(is_selector(&map("app.kubernetes.io/name", "x")));
        assert!(is_selector(&map("a", "")));
        assert!(!is_selector(&map("a", "no blanks")));
        assert!(!is_selector(&map("a b", "x")));
    }
}
