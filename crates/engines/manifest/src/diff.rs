//! Compares a live object with what a dry run says it would become.

use serde_json::{Map, Value};

use crate::{
    ignore::{self, IgnoreRule},
    object,
};

const MASK: &str = "***";
const MASK_BEFORE: &str = "*** (before)";
const MASK_AFTER: &str = "*** (after)";

/// One field that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    /// Where, as a JSON pointer, for example `/spec/replicas`.
    pub path: String,
    /// The live value, `None` where the field is missing.
    pub old: Option<Value>,
    /// The desired value, `None` where the field goes away.
    pub new: Option<Value>,
}

/// Tells whether applying would change the object.
///
/// `dry_run` is the object as the API server would store it; without a resource version it would
/// be created. Labels, annotations and everything outside `metadata` and `status` count, except
/// the paths that the rules ignore.
pub fn has_drifted(live: &Value, dry_run: &Value, rules: &[IgnoreRule]) -> bool {
    if object::resource_version(dry_run).is_none() {
        return true;
    }
    let paths = ignore::paths_for(rules, dry_run);
    comparable(live, &paths) != comparable(dry_run, &paths)
}

/// Lists the fields that applying would change, in the order of their paths.
///
/// Values of Secrets are masked: `***`, and where both sides differ `*** (before)`, `*** (after)`.
pub fn changed_fields(live: &Value, dry_run: &Value, rules: &[IgnoreRule]) -> Vec<FieldChange> {
    let paths = ignore::paths_for(rules, dry_run);
    let (old, new) = (comparable(live, &paths), comparable(dry_run, &paths));
    let mut changes = Vec::new();
    compare("", Some(&old), Some(&new), &mut changes);
    if object::kind(dry_run) == "Secret" && object::group(dry_run).is_empty() {
        for change in &mut changes {
            mask(change);
        }
    }
    changes
}

/// Keeps what counts as desired state: no status, and of the metadata only labels and annotations.
fn comparable(value: &Value, ignored: &[&[String]]) -> Value {
    let mut value = value.clone();
    if let Some(map) = value.as_object_mut() {
        map.remove("status");
        let metadata = map.remove("metadata").unwrap_or_default();
        let mut kept = Map::new();
        for field in ["labels", "annotations"] {
            // An empty map and a missing one are the same.
            if let Some(entries) = metadata.get(field).and_then(Value::as_object)
                && !entries.is_empty()
            {
                kept.insert(field.into(), Value::Object(entries.clone()));
            }
        }
        map.insert("metadata".into(), Value::Object(kept));
    }
    drop_doubled_metrics(&mut value);
    ignore::remove_paths(&mut value, ignored);
    value
}

/// Drops doubled entries of an autoscaler's metrics: the API server returns them after a merge of
/// the v1 and v2 forms, and they mean nothing.
fn drop_doubled_metrics(value: &mut Value) {
    if object::api_version(value) != "autoscaling/v2"
        || object::kind(value) != "HorizontalPodAutoscaler"
    {
        return;
    }
    if let Some(metrics) = value
        .pointer_mut("/spec/metrics")
        .and_then(Value::as_array_mut)
    {
        let mut seen: Vec<Value> = Vec::new();
        metrics.retain(|metric| {
            let is_new = !seen.contains(metric);
            if is_new {
                seen.push(metric.clone());
            }
            is_new
        });
    }
}

fn compare(path: &str, old: Option<&Value>, new: Option<&Value>, changes: &mut Vec<FieldChange>) {
    if old == new {
        return;
    }
    match (old, new) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let escaped = key.replace('~', "~0").replace('/', "~1");
                compare(
                    &format!("{path}/{escaped}"),
                    old.get(key),
                    new.get(key),
                    changes,
                );
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                compare(&format!("{path}/{index}"), Some(old), Some(new), changes);
            }
        }
        _ => changes.push(FieldChange {
            path: path.into(),
            old: old.cloned(),
            new: new.cloned(),
        }),
    }
}

/// Hides the values of one change of a Secret, except in what cannot hold any.
fn mask(change: &mut FieldChange) {
    if !["/data", "/stringData"]
        .iter()
        .any(|field| change.path.starts_with(field))
    {
        return;
    }
    let text = |text: &str| Some(Value::String(text.into()));
    (change.old, change.new) = match (&change.old, &change.new) {
        (Some(_), Some(_)) => (text(MASK_BEFORE), text(MASK_AFTER)),
        (old, new) => (
            old.as_ref().and_then(|_| text(MASK)),
            new.as_ref().and_then(|_| text(MASK)),
        ),
    };
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::selector::SelectorSpec;

    fn object(kind: &str, extra: &Value) -> Value {
        let mut value = json!({
            "apiVersion": "v1", "kind": kind,
            "metadata": {"name": "a", "resourceVersion": "1", "generation": 1, "labels": {"l": "1"}},
            "status": {"phase": "x"},
        });
        for (key, entry) in extra.as_object().unwrap() {
            value[key] = entry.clone();
        }
        value
    }

    /// covers: KC-111
    #[test]
    fn only_desired_state_counts() {
        let live = object("ConfigMap", &json!({"data": {"a": "1"}}));
        let mut same = live.clone();
        same["status"] = json!({"phase": "y"});
        same["metadata"]["generation"] = json!(2);
        same["metadata"]["finalizers"] = json!(["x"]);
        same["metadata"]["annotations"] = json!({});
        assert!(!has_drifted(&live, &same, &[]));
        for (pointer, value) in [
            ("/data/a", json!("2")),
            ("/metadata/labels/l", json!("2")),
            ("/metadata/annotations", json!({"x": "y"})),
        ] {
            let mut changed = live.clone();
            changed["metadata"]["annotations"] = json!({});
            *changed.pointer_mut(pointer).unwrap() = value;
            assert!(has_drifted(&live, &changed, &[]), "{pointer}");
        }
    }

    #[test]
    fn a_dry_run_without_resource_version_creates() {
        let mut dry_run = object("ConfigMap", &json!({}));
        dry_run["metadata"]
            .as_object_mut()
            .unwrap()
            .remove("resourceVersion");
        assert!(has_drifted(&dry_run.clone(), &dry_run, &[]));
    }

    /// covers: KC-025
    #[test]
    fn ignored_paths_are_no_drift() {
        let live = object("ConfigMap", &json!({"data": {"a": "1", "b": "1"}}));
        let dry_run = object("ConfigMap", &json!({"data": {"a": "2", "b": "1"}}));
        let rules = [IgnoreRule::new(&["/data/a".into()], &SelectorSpec::default()).unwrap()];
        assert!(!has_drifted(&live, &dry_run, &rules));
        assert_eq!(changed_fields(&live, &dry_run, &rules), []);
        let both = object("ConfigMap", &json!({"data": {"a": "2", "b": "2"}}));
        assert!(has_drifted(&live, &both, &rules));
    }

    /// covers: KC-111
    #[test]
    fn changed_fields_name_path_old_and_new() {
        let live = object(
            "ConfigMap",
            &json!({"data": {"a/b": "1", "gone": "x"}, "list": [1, 2]}),
        );
        let dry_run = object(
            "ConfigMap",
            &json!({"data": {"a/b": "2", "new": "y"}, "list": [1, 3]}),
        );
        let lines: Vec<String> = changed_fields(&live, &dry_run, &[])
            .iter()
            .map(|it| format!("{} {:?} {:?}", it.path, it.old, it.new))
            .collect();
        assert_eq!(
            lines,
            [
                "/data/a~1b Some(String(\"1\")) Some(String(\"2\"))",
                "/data/gone Some(String(\"x\")) None",
                "/data/new None Some(String(\"y\"))",
                "/list/1 Some(Number(2)) Some(Number(3))",
            ]
        );
    }

    /// covers: KC-113
    #[test]
    fn secrets_never_show() {
        let live = object(
            "Secret",
            &json!({"data": {"a": "c2VjcmV0", "gone": "c2VjcmV0"}, "type": "x"}),
        );
        let dry_run = object(
            "Secret",
            &json!({"data": {"a": "b3RoZXI=", "new": "c2VjcmV0"}, "type": "y"}),
        );
        let text = format!("{:?}", changed_fields(&live, &dry_run, &[]));
        assert!(
            !text.contains("c2VjcmV0") && !text.contains("b3RoZXI="),
            "{text}"
        );
        assert!(
            text.contains("*** (before)") && text.contains("*** (after)"),
            "{text}"
        );
        let whole = object("Secret", &json!({"type": "x"}));
        let text = format!("{:?}", changed_fields(&live, &whole, &[]));
        assert!(!text.contains("c2VjcmV0"), "{text}");
    }

    /// covers: KC-111
    #[test]
    fn doubled_autoscaler_metrics_are_no_drift() {
        let hpa = |metrics: &Value| {
            json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
                   "metadata": {"resourceVersion": "1"}, "spec": {"metrics": metrics}})
        };
        let (cpu, memory) = (
            json!({"resource": {"name": "cpu"}}),
            json!({"resource": {"name": "memory"}}),
        );
        assert!(!has_drifted(
            &hpa(&json!([cpu, memory])),
            &hpa(&json!([cpu, memory, cpu])),
            &[]
        ));
        assert!(has_drifted(
            &hpa(&json!([cpu])),
            &hpa(&json!([cpu, memory])),
            &[]
        ));
    }
}
