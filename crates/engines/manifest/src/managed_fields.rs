//! Takes over the fields that kubectl and other listed managers own.
//!
//! Server-side apply removes a field only when its last owner drops it. Someone who edits with
//! kubectl becomes a second owner, so their edits would survive; moving their field sets into ours
//! makes the next apply remove what the desired state does not have.

use serde_json::{Map, Value, json};

use crate::object;

/// One field manager whose fields are taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenManager {
    /// The start of the manager's name: `kubectl` also covers `kubectl-edit`.
    pub prefix: String,
    /// `Apply` or `Update`.
    pub operation: &'static str,
}

/// Lists the managers that an apply as `field_manager` replaces, and those the operator added.
///
/// Source: fluxcd/pkg/ssa v0.77 `manager.go`, kustomize-controller v1.9.4 `--override-manager`.
pub fn taken_managers(field_manager: &str, overrides: &[String]) -> Vec<TakenManager> {
    let taken = |prefix: &str, operation| TakenManager {
        prefix: prefix.into(),
        operation,
    };
    let mut managers = vec![
        taken("kubectl", "Apply"),
        taken("kubectl", "Update"),
        taken("before-first-apply", "Update"),
        taken(field_manager, "Update"),
    ];
    for name in overrides {
        managers.push(taken(name, "Apply"));
        managers.push(taken(name, "Update"));
    }
    managers
}

/// Annotations that other tools leave on objects and that apply removes.
const STALE_ANNOTATIONS: [&str; 3] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    "kustomize.toolkit.fluxcd.io/checksum",
    "fluxcd.io/sync-checksum",
];

/// Labels that other tools leave on objects and that apply removes.
const STALE_LABELS: [&str; 1] = ["fluxcd.io/sync-gc-mark"];

/// Makes the JSON patch that cleans a live object before it is applied, empty when it is clean.
///
/// Removes left-over annotations and labels, and moves the field sets of `taken` managers into
/// `field_manager`'s own Apply entry. A patch that touches managed fields states the resource
/// version it was made from, so that a racing write makes it fail instead of losing an owner.
pub fn cleanup_patch(live: &Value, field_manager: &str, taken: &[TakenManager]) -> Vec<Value> {
    let mut patch = Vec::new();
    for (field, keys) in [
        ("annotations", &STALE_ANNOTATIONS[..]),
        ("labels", &STALE_LABELS[..]),
    ] {
        for key in keys {
            if object::at(live, &["metadata", field, key]).is_some() {
                let escaped = key.replace('~', "~0").replace('/', "~1");
                patch.push(json!({"op": "remove", "path": format!("/metadata/{field}/{escaped}")}));
            }
        }
    }
    if let Some(entries) = take_over(live, field_manager, taken) {
        patch.extend(replace_entries(live, &entries));
    }
    patch
}

/// Makes the JSON patch that moves every managed-fields entry to another API version, empty when
/// they are there already.
pub fn migrate_patch(live: &Value, api_version: &str) -> Vec<Value> {
    let entries = entries(live);
    if entries
        .iter()
        .all(|entry| entry["apiVersion"] == api_version)
    {
        return Vec::new();
    }
    let mut entries = entries.to_vec();
    for entry in entries.iter_mut().filter_map(Value::as_object_mut) {
        entry.insert("apiVersion".into(), Value::String(api_version.into()));
    }
    replace_entries(live, &entries)
}

fn replace_entries(live: &Value, entries: &[Value]) -> Vec<Value> {
    let version = object::resource_version(live).unwrap_or_default();
    vec![
        json!({"op": "replace", "path": "/metadata/managedFields", "value": entries}),
        json!({"op": "replace", "path": "/metadata/resourceVersion", "value": version}),
    ]
}

/// Returns the managed-fields entries of an object.
pub fn entries(live: &Value) -> &[Value] {
    object::at(live, &["metadata", "managedFields"])
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// Returns the new entries when a taken manager owns something, else `None`.
fn take_over(live: &Value, field_manager: &str, taken: &[TakenManager]) -> Option<Vec<Value>> {
    let is_own = |entry: &Value| is_entry_of(entry, field_manager, "Apply");
    let is_taken = |entry: &Value| {
        !is_own(entry)
            && is_main_resource(entry)
            && taken.iter().any(|manager| {
                entry["operation"] == manager.operation
                    && entry["manager"]
                        .as_str()
                        .is_some_and(|it| it.starts_with(&manager.prefix))
            })
    };
    let (gone, mut kept): (Vec<&Value>, Vec<&Value>) =
        entries(live).iter().partition(|entry| is_taken(entry));
    if gone.is_empty() {
        return None;
    }
    let own = kept
        .iter()
        .position(|entry| is_own(entry))
        .map(|index| kept.remove(index));
    let mut merged = own.or_else(|| gone.first().copied())?.clone();
    let mut fields = Value::Object(Map::new());
    for entry in own.into_iter().chain(gone) {
        union_into(&mut fields, &entry["fieldsV1"]);
    }
    merged["manager"] = json!(field_manager);
    merged["operation"] = json!("Apply");
    merged["fieldsV1"] = fields;
    let mut result = vec![merged];
    result.extend(kept.into_iter().cloned());
    Some(result)
}

fn is_main_resource(entry: &Value) -> bool {
    entry["subresource"].as_str().unwrap_or_default().is_empty()
}

fn is_entry_of(entry: &Value, manager: &str, operation: &str) -> bool {
    entry["manager"] == manager && entry["operation"] == operation && is_main_resource(entry)
}

/// Adds the field set `from` to `into`, both in the `FieldsV1` form: maps of `f:`, `k:` and `v:`
/// keys, where `{}` is a field itself and `.` beside other keys says that the parent is owned too.
fn union_into(into: &mut Value, from: &Value) {
    let (Some(target), Some(source)) = (into.as_object_mut(), from.as_object()) else {
        return;
    };
    for (key, child) in source {
        let Some(existing) = target.get_mut(key) else {
            target.insert(key.clone(), child.clone());
            continue;
        };
        if is_leaf(existing) != is_leaf(child)
            && let Some(map) = existing.as_object_mut()
        {
            map.insert(".".into(), json!({}));
        }
        union_into(existing, child);
    }
}

fn is_leaf(set: &Value) -> bool {
    set.as_object().is_some_and(Map::is_empty)
}

/// Tells whether an Apply manager other than `field_manager` owns the field at a path of the live
/// object. Path segments are map keys, or list indices into the live object.
///
/// Returns `None` when an index cannot be found in a manager's keys.
pub fn owned_by_other(live: &Value, field_manager: &str, path: &[String]) -> Option<bool> {
    let mut owned = false;
    for entry in entries(live) {
        let is_other = entry["operation"] == "Apply"
            && entry["manager"] != field_manager
            && is_main_resource(entry);
        if is_other && owns(live, &entry["fieldsV1"], path)? {
            owned = true;
        }
    }
    Some(owned)
}

/// Who last wrote a field, other than its applier.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Editor {
    /// The field manager, for example `kubectl-edit`.
    pub manager: String,
    /// When, as the API server wrote it (RFC 3339); empty where it did not.
    pub time: String,
}

/// Finds who wrote the fields at some paths of the live object, other than `field_manager`'s own
/// applies. Lists each manager once, with its latest write, the latest first. Writers through the
/// `scale` subresource count, as autoscalers and `kubectl scale`.
///
/// A field that was removed has no owner, so nobody is found for it.
pub fn editors(live: &Value, field_manager: &str, paths: &[Vec<String>]) -> Vec<Editor> {
    let mut found: Vec<Editor> = Vec::new();
    for entry in entries(live) {
        let is_own = entry["manager"] == field_manager && entry["operation"] == "Apply";
        let wrote = |path: &Vec<String>| owns(live, &entry["fieldsV1"], path) == Some(true);
        // Writers of `scale` write fields of the object itself; those of `status` are no editors.
        if is_own || entry["subresource"] == "status" || !paths.iter().any(wrote) {
            continue;
        }
        let text = |key: &str| entry[key].as_str().unwrap_or_default().to_string();
        found.push(Editor {
            manager: text("manager"),
            time: text("time"),
        });
    }
    found.sort_by(|a, b| b.time.cmp(&a.time).then_with(|| a.manager.cmp(&b.manager)));
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|editor| seen.insert(editor.manager.clone()));
    found
}

fn owns(live: &Value, fields: &Value, path: &[String]) -> Option<bool> {
    let Some((segment, rest)) = path.split_first() else {
        return Some(is_leaf(fields) || fields.get(".").is_some());
    };
    let (key, child) = match live {
        Value::Array(items) => {
            let item = items.get(segment.parse::<usize>().ok()?)?;
            match list_key(fields, item) {
                Some(key) => (key, item),
                None if is_leaf(fields) => return Some(true),
                None => return Some(false),
            }
        }
        _ => (
            format!("f:{segment}"),
            live.get(segment).unwrap_or(&Value::Null),
        ),
    };
    match fields.get(&key) {
        // An atomic list or map is one leaf: whoever owns it owns all below it.
        Some(set) if is_leaf(set) => Some(true),
        Some(set) => owns(child, set, rest),
        None => Some(false),
    }
}

/// Finds the `k:{…}` or `v:…` key that stands for a list item.
fn list_key(fields: &Value, item: &Value) -> Option<String> {
    let is_item = |key: &&String| {
        if let Some(text) = key.strip_prefix("k:") {
            serde_json::from_str::<Map<String, Value>>(text).is_ok_and(|keys| {
                keys.iter()
                    .all(|(name, wanted)| item.get(name) == Some(wanted))
            })
        } else if let Some(text) = key.strip_prefix("v:") {
            serde_json::from_str::<Value>(text).is_ok_and(|wanted| wanted == *item)
        } else {
            false
        }
    };
    fields.as_object()?.keys().find(is_item).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "kustomize-controller";

    fn live(entries: &Value) -> Value {
        json!({"metadata": {"name": "a", "resourceVersion": "7", "managedFields": entries}})
    }

    fn entry(manager: &str, operation: &str, fields: &Value) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields})
    }

    fn patch(live: &Value) -> Vec<Value> {
        cleanup_patch(live, OURS, &taken_managers(OURS, &["legacy".into()]))
    }

    /// covers: KC-105
    #[test]
    fn kubectl_fields_move_into_our_entry() {
        let object = live(&json!([
            entry("kubectl-edit", "Update", &json!({"f:data": {"f:b": {}}})),
            entry("hpa", "Update", &json!({"f:spec": {"f:replicas": {}}})),
            entry(OURS, "Apply", &json!({"f:data": {"f:a": {}}})),
            entry("legacy-tool", "Apply", &json!({"f:data": {}})),
        ]));
        assert_eq!(
            patch(&object),
            [
                json!({"op": "replace", "path": "/metadata/managedFields", "value": [
                    entry(OURS, "Apply", &json!({"f:data": {".": {}, "f:a": {}, "f:b": {}}})),
                    entry("hpa", "Update", &json!({"f:spec": {"f:replicas": {}}})),
                ]}),
                json!({"op": "replace", "path": "/metadata/resourceVersion", "value": "7"}),
            ]
        );
    }

    /// covers: KC-105
    #[test]
    fn without_our_entry_the_first_taken_one_becomes_it() {
        let object = live(&json!([
            entry(
                "before-first-apply",
                "Update",
                &json!({"f:data": {"f:a": {}}})
            ),
            entry("kubectl", "Apply", &json!({"f:data": {"f:b": {}}})),
        ]));
        assert_eq!(
            patch(&object)[0]["value"],
            json!([entry(
                OURS,
                "Apply",
                &json!({"f:data": {"f:a": {}, "f:b": {}}})
            )])
        );
    }

    /// covers: KC-105
    #[test]
    fn other_managers_and_subresources_are_left_alone() {
        let mut status = entry("kubectl", "Update", &json!({"f:status": {}}));
        status["subresource"] = json!("status");
        let object = live(&json!([
            status,
            entry("hpa", "Update", &json!({})),
            entry("my-kubectl", "Update", &json!({})),
            entry("before-first-apply", "Apply", &json!({})),
            entry(OURS, "Apply", &json!({"f:data": {}})),
        ]));
        assert_eq!(patch(&object), Vec::<Value>::new());
    }

    /// covers: KC-105
    #[test]
    fn left_over_metadata_is_removed() {
        let object = json!({"metadata": {
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "keep": "1"},
            "labels": {"fluxcd.io/sync-gc-mark": "x"},
        }});
        assert_eq!(
            patch(&object),
            [
                json!({"op": "remove", "path": "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration"}),
                json!({"op": "remove", "path": "/metadata/labels/fluxcd.io~1sync-gc-mark"}),
            ]
        );
    }

    /// covers: KC-108
    #[test]
    fn entries_move_to_another_api_version_once() {
        let object = live(&json!([entry(OURS, "Apply", &json!({"f:spec": {}}))]));
        assert_eq!(migrate_patch(&object, "v1"), Vec::<Value>::new());
        let patch = migrate_patch(&object, "x.io/v1");
        assert_eq!(patch[0]["value"][0]["apiVersion"], "x.io/v1");
        assert_eq!(patch[1]["value"], "7");
    }

    #[test]
    fn editors_of_changed_fields_are_found_latest_first() {
        let timed = |manager: &str, operation: &str, time: &str, fields: &Value| {
            let mut entry = entry(manager, operation, fields);
            entry["time"] = json!(time);
            entry
        };
        let through = |subresource: &str, mut entry: Value| {
            entry["subresource"] = json!(subresource);
            entry
        };
        let replicas = json!({"f:spec": {"f:replicas": {}}});
        let object = json!({"spec": {"replicas": 3}, "metadata": {"managedFields": [
            timed("hpa", "Update", "2026-01-01T00:00:00Z", &replicas),
            timed("kubectl-edit", "Update", "2026-01-02T00:00:00Z", &replicas),
            timed("other", "Update", "2026-01-03T00:00:00Z", &json!({"f:spec": {"f:paused": {}}})),
            timed(OURS, "Apply", "2026-01-04T00:00:00Z", &replicas),
            through("status", timed("kubelet", "Update", "2026-01-06T00:00:00Z", &replicas)),
            through("scale", timed("autoscaler", "Update", "2026-01-05T00:00:00Z", &replicas)),
        ]}});
        let path = vec!["spec".to_string(), "replicas".to_string()];
        let names: Vec<_> = editors(&object, OURS, &[path])
            .into_iter()
            .map(|editor| editor.manager)
            .collect();
        assert_eq!(names, ["autoscaler", "kubectl-edit", "hpa"]);
        assert_eq!(
            editors(&object, OURS, &[vec!["spec".into(), "gone".into()]]),
            []
        );
    }

    #[test]
    fn ownership_is_found_through_list_keys() {
        let object = json!({
            "spec": {"containers": [{"name": "a"}, {"name": "b", "image": "x"}], "args": ["1"], "replicas": 3},
            "metadata": {"managedFields": [
                entry("other", "Apply", &json!({"f:spec": {
                    "f:containers": {"k:{\"name\":\"b\"}": {".": {}, "f:image": {}}},
                    "f:args": {},
                }})),
                entry("hpa", "Update", &json!({"f:spec": {"f:replicas": {}}})),
            ]},
        });
        let owned = |path: &str| {
            let path: Vec<String> = path.split('/').map(String::from).collect();
            owned_by_other(&object, OURS, &path)
        };
        assert_eq!(owned("spec/containers/1/image"), Some(true));
        assert_eq!(owned("spec/containers/1"), Some(true));
        assert_eq!(owned("spec/containers/0/image"), Some(false));
        assert_eq!(owned("spec/containers/9/image"), None);
        assert_eq!(owned("spec/args/0"), Some(true));
        assert_eq!(owned("spec/replicas"), Some(false));
    }
}
