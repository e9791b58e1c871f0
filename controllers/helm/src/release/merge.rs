//! Patches that a client computes, for releases that Helm 3 made: what the chart dropped goes,
//! what it has is set, and what others added stays. Pure.

use manifest::{normalize, object};
use serde_json::{Map, Value, json};

/// A patch and how it is sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Computed {
    /// The object is as it should be.
    Nothing,
    /// A strategic merge patch, for built-in kinds.
    Strategic(Value),
    /// A JSON merge patch, for all others.
    Merge(Value),
}

/// Computes the patch from what the release had (`old`) to what it has now (`new`), for the object
/// as it lives.
///
/// Source: Kubernetes `strategicpatch` three-way merge, `jsonpatch` merge patch of Helm.
pub(crate) fn patch(old: &Value, new: &Value, live: &Value) -> Computed {
    if is_strategic(new) {
        let patch = strategic(old, new, live);
        return match patch {
            Value::Object(map) if map.is_empty() => Computed::Nothing,
            patch => Computed::Strategic(patch),
        };
    }
    match merge(old, new) {
        Value::Object(map) if map.is_empty() => Computed::Nothing,
        patch => Computed::Merge(patch),
    }
}

fn is_strategic(value: &Value) -> bool {
    normalize::is_built_in(object::group(value))
        && object::kind(value) != "CustomResourceDefinition"
}

/// The merge patch between two states.
fn merge(old: &Value, new: &Value) -> Value {
    let (Value::Object(old), Value::Object(new)) = (old, new) else {
        return new.clone();
    };
    let mut patch = Map::new();
    for (key, value) in new {
        match old.get(key) {
            Some(before) if before == value => {}
            Some(before @ Value::Object(_)) if value.is_object() => {
                patch.insert(key.clone(), merge(before, value));
            }
            _ => {
                patch.insert(key.clone(), value.clone());
            }
        }
    }
    for key in old.keys().filter(|k| !new.contains_key(*k)) {
        patch.insert(key.clone(), Value::Null);
    }
    Value::Object(patch)
}

/// What is set: everything of `new` that lives otherwise; what is removed: everything of `old` that
/// `new` does not have.
fn strategic(old: &Value, new: &Value, live: &Value) -> Value {
    let mut patch = Map::new();
    let empty = Map::new();
    let (old, live) = (
        old.as_object().unwrap_or(&empty),
        live.as_object().unwrap_or(&empty),
    );
    let Value::Object(new) = new else {
        return new.clone();
    };
    for (key, value) in new {
        let (before, now) = (old.get(key).unwrap_or(&Value::Null), live.get(key));
        if now == Some(value) {
            continue;
        }
        let inner = match value {
            Value::Object(_) if now.is_some_and(Value::is_object) => {
                strategic(before, value, now.unwrap_or(&Value::Null))
            }
            Value::Array(items) => match merge_key(key, items) {
                Some(name) => list(before, items, now.unwrap_or(&Value::Null), name),
                None => value.clone(),
            },
            other => other.clone(),
        };
        let is_nothing = inner.as_object().is_some_and(Map::is_empty)
            || (value.is_array()
                && inner.as_array().is_some_and(Vec::is_empty)
                && now.is_some()
                && !is_empty(value));
        if !is_nothing {
            patch.insert(key.clone(), inner);
        }
    }
    for key in old
        .keys()
        .filter(|k| !new.contains_key(*k) && live.contains_key(*k))
    {
        patch.insert(key.clone(), Value::Null);
    }
    Value::Object(patch)
}

fn is_empty(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty)
}

/// The item of a list with this key.
fn of<'a>(list: &'a [Value], name: &str, id: &Value) -> Option<&'a Value> {
    list.iter().find(|item| item.get(name) == Some(id))
}

/// The items that are new or changed, and deletions of those that went.
fn list(old: &Value, new: &[Value], live: &Value, name: &str) -> Value {
    let empty = Vec::new();
    let (old, live) = (
        old.as_array().unwrap_or(&empty),
        live.as_array().unwrap_or(&empty),
    );
    let mut patch = Vec::new();
    for item in new {
        let Some(id) = item.get(name) else {
            patch.push(item.clone());
            continue;
        };
        let before = of(old, name, id).unwrap_or(&Value::Null);
        match of(live, name, id) {
            None => patch.push(item.clone()),
            Some(now) => {
                let mut inner = strategic(before, item, now);
                if let Some(map) = inner.as_object_mut()
                    && !map.is_empty()
                {
                    map.insert(name.to_owned(), id.clone());
                    patch.push(inner);
                }
            }
        }
    }
    for item in old {
        if let Some(id) = item.get(name)
            && of(new, name, id).is_none()
            && of(live, name, id).is_some()
        {
            patch.push(json!({ "$patch": "delete", name: id }));
        }
    }
    Value::Array(patch)
}

/// The key by which the API server joins the items of a list; none for lists that are one value.
///
/// Source: Kubernetes API types v1.36, `patchMergeKey` tags.
fn merge_key(field: &str, items: &[Value]) -> Option<&'static str> {
    let name = match field {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "volumes"
        | "env"
        | "imagePullSecrets"
        | "resourceClaims"
        | "schedulingGates"
        | "secrets"
        | "webhooks"
        | "matchConditions"
        | "variables" => "name",
        "volumeMounts" => "mountPath",
        "volumeDevices" => "devicePath",
        "hostAliases" => "ip",
        "topologySpreadConstraints" => "topologyKey",
        "ports" if items.iter().any(|i| i.get("containerPort").is_some()) => "containerPort",
        "ports" => "port",
        "ownerReferences" => "uid",
        _ => return None,
    };
    let all = items.iter().all(|item| item.get(name).is_some());
    all.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(containers: &Value) -> Value {
        json!({ "apiVersion": "apps/v1", "kind": "Deployment", "spec": {
            "template": { "spec": { "containers": containers } } } })
    }

    #[test]
    fn what_the_chart_dropped_goes_and_what_others_added_stays() {
        let old = deployment(
            &json!([{ "name": "a", "image": "a:1", "env": [{ "name": "X", "value": "1" }] }, { "name": "b", "image": "b:1" }]),
        );
        let new = deployment(&json!([{ "name": "a", "image": "a:2" }]));
        let live = deployment(
            &json!([{ "name": "a", "image": "a:1", "env": [{ "name": "X", "value": "1" }] },
            { "name": "b", "image": "b:1" }, { "name": "mesh", "image": "m:1" }]),
        );
        let Computed::Strategic(patch) = patch(&old, &new, &live) else {
            panic!("strategic")
        };
        assert_eq!(
            patch["spec"]["template"]["spec"]["containers"],
            json!([{ "name": "a", "image": "a:2", "env": null }, { "$patch": "delete", "name": "b" }])
        );
    }

    /// covers: HE-108
    #[test]
    fn items_of_lists_are_joined_by_the_keys_of_their_types() {
        for (field, key) in [
            ("containers", "name"),
            ("initContainers", "name"),
            ("ephemeralContainers", "name"),
            ("volumes", "name"),
            ("env", "name"),
            ("imagePullSecrets", "name"),
            ("resourceClaims", "name"),
            ("schedulingGates", "name"),
            ("secrets", "name"),
            ("webhooks", "name"),
            ("matchConditions", "name"),
            ("variables", "name"),
            ("volumeMounts", "mountPath"),
            ("volumeDevices", "devicePath"),
            ("hostAliases", "ip"),
            ("topologySpreadConstraints", "topologyKey"),
            ("ports", "containerPort"),
            ("ports", "port"),
        ] {
            let item = |id: &str, more: u8| json!({ key: id, "more": more });
            let of = |items: &[Value]| json!({ "apiVersion": "v1", "kind": "Pod", "spec": { field: items } });
            let old = of(&[item("a", 1), item("b", 1)]);
            let live = of(&[item("a", 1), item("b", 1), item("theirs", 1)]);
            let Computed::Strategic(patch) = patch(&old, &of(&[item("a", 2)]), &live) else {
                panic!("{field} is joined")
            };
            let expected = json!([{ key: "a", "more": 2 }, { "$patch": "delete", key: "b" }]);
            assert_eq!(patch["spec"][field], expected, "{field}");
        }
        // Any other list is one value.
        let of = |items: Value| json!({ "apiVersion": "v1", "kind": "Pod", "spec": { "tolerations": items } });
        let (old, new) = (of(json!([{ "key": "a" }])), of(json!([{ "key": "b" }])));
        let Computed::Strategic(patch) = patch(&old, &new, &old) else {
            panic!("tolerations are set")
        };
        assert_eq!(patch["spec"], new["spec"]);
    }

    #[test]
    fn equal_states_need_no_patch() {
        let state = deployment(&json!([{ "name": "a", "image": "a:1" }]));
        let live = deployment(&json!([{ "name": "a", "image": "a:1", "pullPolicy": "Always" }]));
        assert_eq!(patch(&state, &state, &live), Computed::Nothing);
    }

    #[test]
    fn other_kinds_get_the_difference_between_two_states() {
        let object =
            |spec: Value| json!({ "apiVersion": "example.org/v1", "kind": "Thing", "spec": spec });
        let (old, new) = (object(json!({ "a": 1, "b": 2 })), object(json!({ "a": 3 })));
        let live = object(json!({ "a": 1, "b": 2, "c": 9 }));
        assert_eq!(
            patch(&old, &new, &live),
            Computed::Merge(json!({ "spec": { "a": 3, "b": null } }))
        );
    }
}
