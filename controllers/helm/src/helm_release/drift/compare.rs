//! Compares one object of a release with the cluster.

use api::helm::HelmRelease;
use cluster::{Drift, RequestError};
use kube::api::{Patch, PatchParams};
use manifest::{
    diff,
    ignore::{self, IgnoreRule},
    managed_fields, object,
    selector::SelectorSpec,
};
use serde_json::{Map, Value, json};

use super::Difference;
use crate::{
    FIELD_MANAGER, GROUP,
    release::{Session, objects::Target},
};

pub(super) fn ignore_rules(object: &HelmRelease) -> Result<Vec<(IgnoreRule, bool)>, String> {
    let given = object.spec.drift_detection.as_ref();
    let rules = given.map(|d| d.ignore.as_slice()).unwrap_or_default();
    let read = |rule: &api::kustomize::IgnoreRule| {
        let target = rule.target.clone().unwrap_or_default();
        let selector = SelectorSpec {
            group: target.group,
            version: target.version,
            kind: target.kind,
            name: target.name,
            namespace: target.namespace,
            label_selector: target.label_selector,
            annotation_selector: target.annotation_selector,
        };
        let whole = rule.paths.iter().any(String::is_empty);
        let read = IgnoreRule::new(&rule.paths, &selector);
        let read = read.map_err(|error| runtime::failure::chain(&error))?;
        Ok((read, whole))
    };
    rules.iter().map(read).collect()
}

fn opts_out(value: &Value) -> bool {
    let key = format!("{GROUP}/driftDetection");
    [object::label(value, &key), object::annotation(value, &key)]
        .into_iter()
        .flatten()
        .any(|text| text.eq_ignore_ascii_case("disabled"))
}

/// Asks the API server what applying an object would change.
pub(super) async fn compare(
    session: &Session<'_>,
    target: &Target,
    rules: &[(IgnoreRule, bool)],
    taken: &[managed_fields::TakenManager],
    takes: bool,
) -> Result<Option<Difference>, RequestError> {
    if opts_out(&target.object) {
        return Ok(Some(Difference::Excluded));
    }
    let rules_of: Vec<_> = rules.iter().map(|(rule, _)| rule.clone()).collect();
    let is_whole = rules.iter().any(|(rule, whole)| {
        *whole && !ignore::paths_for(std::slice::from_ref(rule), &target.object).is_empty()
    });
    if is_whole {
        return Ok(Some(Difference::Excluded));
    }
    let mut live = session.cluster.get(&target.location()).await?;
    if live.as_ref().is_some_and(opts_out) {
        return Ok(Some(Difference::Excluded));
    }
    if let Some(now) = live.as_ref().filter(|_| takes) {
        let patch = managed_fields::cleanup_patch(now, FIELD_MANAGER, taken);
        if !patch.is_empty() {
            session.json_patch(target, Value::Array(patch)).await?;
            live = session.cluster.get(&target.location()).await?;
        }
    }
    let mut params = PatchParams::apply(FIELD_MANAGER).force();
    params.dry_run = true;
    let patch = Patch::Apply(&target.object);
    let desired = session
        .cluster
        .patch(&target.location(), &params, &patch)
        .await?;
    let Some(live) = live.filter(|_| object::resource_version(&desired).is_some()) else {
        return Ok(Some(Difference::Removed));
    };
    let fields = diff::changed_fields(&live, &desired, &rules_of);
    let pointers: Vec<_> = fields
        .iter()
        .filter_map(|field| ignore::parse_pointer(&field.path))
        .collect();
    let drift = Drift {
        id: target.id.clone(),
        fields,
        editors: managed_fields::editors(&live, FIELD_MANAGER, &pointers),
    };
    let paths = ignore::paths_for(&rules_of, &target.object);
    let patch = difference(live, desired, &paths);
    Ok((!patch.is_empty()).then_some(Difference::Changed { patch, drift }))
}

/// Returns the JSON patch from the live to the desired object: labels and annotations that are added
/// or changed, and everything else outside metadata and status.
fn difference(mut live: Value, mut desired: Value, ignored: &[&[String]]) -> Vec<Value> {
    ignore::remove_paths(&mut live, ignored);
    ignore::remove_paths(&mut desired, ignored);
    let metadata = |value: &Value| {
        let mut kept = Map::new();
        for field in ["labels", "annotations"] {
            if let Some(map) = object::at(value, &["metadata", field]) {
                kept.insert(field.to_owned(), map.clone());
            }
        }
        json!({ "metadata": kept })
    };
    let mut patch = operations(&metadata(&live), &metadata(&desired));
    patch.retain(|op| op["op"] == "add" || op["op"] == "replace");
    let rest = |mut value: Value| {
        if let Some(map) = value.as_object_mut() {
            map.remove("metadata");
            map.remove("status");
        }
        value
    };
    patch.extend(operations(&rest(live), &rest(desired)));
    patch
}

fn operations(from: &Value, to: &Value) -> Vec<Value> {
    let patch = json_patch::diff(from, to);
    match serde_json::to_value(patch) {
        Ok(Value::Array(operations)) => operations,
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(list: &[&str]) -> Vec<Vec<String>> {
        list.iter()
            .filter_map(|p| ignore::parse_pointer(p))
            .collect()
    }

    #[test]
    fn metadata_of_others_and_status_are_no_drift() {
        let live = json!({ "metadata": { "labels": { "a": "1", "hand": "made" }, "uid": "u" }, "data": { "x": "2" }, "status": 1 });
        let desired =
            json!({ "metadata": { "labels": { "a": "1" } }, "data": { "x": "1" }, "status": 2 });
        let patch = difference(live.clone(), desired.clone(), &[]);
        assert_eq!(
            patch,
            [json!({ "op": "replace", "path": "/data/x", "value": "1" })]
        );
        let ignored = paths(&["/data/x"]);
        let ignored: Vec<&[String]> = ignored.iter().map(Vec::as_slice).collect();
        assert!(difference(live, desired, &ignored).is_empty());
    }
}
