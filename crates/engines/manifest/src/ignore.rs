//! Fields that a user wants left alone on the cluster (`spec.ignore`).

use serde_json::Value;

use crate::{
    managed_fields,
    selector::{Selector, SelectorError, SelectorSpec},
};

/// Paths that are ignored on the objects a selector picks.
#[derive(Clone, Debug)]
pub struct IgnoreRule {
    selector: Selector,
    paths: Vec<Vec<String>>,
}

impl IgnoreRule {
    /// Compiles a rule. A path that is no JSON pointer is dropped: it matches nothing.
    ///
    /// # Errors
    /// [`SelectorError`] when the target does not compile.
    pub fn new(paths: &[String], target: &SelectorSpec) -> Result<Self, SelectorError> {
        Ok(Self {
            selector: Selector::new(target)?,
            paths: paths
                .iter()
                .filter_map(|path| parse_pointer(path))
                .collect(),
        })
    }
}

/// Splits a JSON pointer (RFC 6901) into unescaped segments; `None` when it is malformed or names
/// the whole object.
pub fn parse_pointer(pointer: &str) -> Option<Vec<String>> {
    let rest = pointer.strip_prefix('/')?;
    Some(
        rest.split('/')
            .map(|part| part.replace("~1", "/").replace("~0", "~"))
            .collect(),
    )
}

/// Returns the paths that the rules ignore on an object, in the order of the rules.
pub fn paths_for<'a>(rules: &'a [IgnoreRule], value: &Value) -> Vec<&'a [String]> {
    rules
        .iter()
        .filter(|rule| rule.selector.matches(value))
        .flat_map(|rule| rule.paths.iter().map(Vec::as_slice))
        .collect()
}

/// Removes paths from an object; what is not there is passed over.
pub fn remove_paths(value: &mut Value, paths: &[&[String]]) {
    for path in paths {
        remove(value, path);
    }
}

/// Changes what is applied over an existing object, so that ignored fields stay as they are.
///
/// A field that another Apply manager owns is left out; any other takes the live value, which keeps
/// it in our field set without changing it. A field that is not on the live object is left out.
pub fn leave_alone(payload: &mut Value, live: &Value, field_manager: &str, paths: &[&[String]]) {
    for path in paths {
        let desired = get(payload, path);
        if desired.is_none() || desired == get(live, path) {
            continue;
        }
        let other_owner = managed_fields::owned_by_other(live, field_manager, path) == Some(true);
        match get(live, path).filter(|_| !other_owner).cloned() {
            Some(current) => set(payload, path, current),
            None => remove(payload, path),
        }
    }
}

fn get<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, segment| match value {
        Value::Object(map) => map.get(segment),
        Value::Array(items) => items.get(segment.parse::<usize>().ok()?),
        _ => None,
    })
}

fn get_mut<'a>(value: &'a mut Value, path: &[String]) -> Option<&'a mut Value> {
    path.iter().try_fold(value, |value, segment| match value {
        Value::Object(map) => map.get_mut(segment),
        Value::Array(items) => items.get_mut(segment.parse::<usize>().ok()?),
        _ => None,
    })
}

fn set(value: &mut Value, path: &[String], new: Value) {
    if let Some(found) = get_mut(value, path) {
        *found = new;
    }
}

fn remove(value: &mut Value, path: &[String]) {
    let Some((last, parents)) = path.split_last() else {
        return;
    };
    match get_mut(value, parents) {
        Some(Value::Object(map)) => {
            map.remove(last);
        }
        Some(Value::Array(items)) => {
            if let Ok(index) = last.parse::<usize>()
                && index < items.len()
            {
                items.remove(index);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OURS: &str = "kustomize-controller";

    fn rule(paths: &[&str], target: &SelectorSpec) -> IgnoreRule {
        let paths: Vec<String> = paths.iter().map(ToString::to_string).collect();
        IgnoreRule::new(&paths, target).unwrap()
    }

    fn named(name: &str) -> SelectorSpec {
        SelectorSpec {
            name: Some(name.into()),
            ..Default::default()
        }
    }

    /// covers: KC-110
    #[test]
    fn every_matching_rule_counts() {
        let object = json!({"metadata": {"name": "a"}, "data": {"x": "1", "y/z": "2", "k": "3"}});
        let rules = [
            rule(
                &["/data/x", "no pointer", "/data/missing/deep"],
                &SelectorSpec::default(),
            ),
            rule(&["/data/y~1z"], &SelectorSpec::default()),
            rule(&["/data/k"], &named("b")),
        ];
        let mut stripped = object.clone();
        remove_paths(&mut stripped, &paths_for(&rules, &object));
        assert_eq!(
            stripped,
            json!({"metadata": {"name": "a"}, "data": {"k": "3"}})
        );
    }

    fn live(owner: &str, operation: &str) -> Value {
        json!({
            "metadata": {"name": "a", "managedFields": [{
                "manager": owner, "operation": operation,
                "fieldsV1": {"f:spec": {"f:replicas": {}, "f:containers": {"k:{\"name\":\"b\"}": {"f:cpu": {}}}}},
            }]},
            "spec": {"replicas": 7, "containers": [{"name": "b", "cpu": "9"}]},
        })
    }

    fn applied(live: &Value, desired: &Value, paths: &[&str]) -> Value {
        let rules = [rule(paths, &SelectorSpec::default())];
        let mut payload = desired.clone();
        leave_alone(&mut payload, live, OURS, &paths_for(&rules, desired));
        payload
    }

    /// covers: KC-110
    #[test]
    fn a_field_of_another_applier_is_left_out() {
        let desired = json!({"spec": {"replicas": 1, "containers": [{"name": "b", "cpu": "1"}]}});
        assert_eq!(
            applied(
                &live("hpa", "Apply"),
                &desired,
                &["/spec/replicas", "/spec/containers/0/cpu"]
            ),
            json!({"spec": {"containers": [{"name": "b"}]}})
        );
    }

    /// covers: KC-110
    #[test]
    fn a_field_without_another_applier_takes_the_live_value() {
        let desired = json!({"spec": {"replicas": 1, "containers": [{"name": "b", "cpu": "1"}]}});
        for (owner, operation) in [("hpa", "Update"), (OURS, "Apply")] {
            assert_eq!(
                applied(
                    &live(owner, operation),
                    &desired,
                    &["/spec/replicas", "/spec/containers/0/cpu"]
                ),
                json!({"spec": {"replicas": 7, "containers": [{"name": "b", "cpu": "9"}]}})
            );
        }
    }

    /// covers: KC-110
    #[test]
    fn equal_missing_and_undesired_fields_are_passed_over() {
        let live = live("hpa", "Apply");
        let same = json!({"spec": {"replicas": 7}});
        assert_eq!(applied(&live, &same, &["/spec/replicas"]), same);
        let undesired = json!({"spec": {}});
        assert_eq!(applied(&live, &undesired, &["/spec/replicas"]), undesired);
        let missing_live = json!({"spec": {"paused": true}});
        assert_eq!(
            applied(&live, &missing_live, &["/spec/paused"]),
            json!({"spec": {}})
        );
    }
}
