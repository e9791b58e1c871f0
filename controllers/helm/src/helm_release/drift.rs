//! Finds objects of a release that were changed, and puts them right.

use api::helm::HelmRelease;
use cluster::{RequestError, chain_text};
use helm::release::Record;
use kube::api::{Patch, PatchParams};
use manifest::{
    ignore::{self, IgnoreRule},
    managed_fields, object, order,
    selector::SelectorSpec,
};
use runtime::Note;
use serde_json::{Map, Value, json};

use super::{
    act::{Run, Stop},
    chart_object, history,
    journal::DRIFTED,
    spec,
};
use crate::{
    FIELD_MANAGER, GROUP,
    release::{
        Session,
        objects::{self, Target, Unserved},
    },
};

/// What differs on one object.
#[derive(Clone, Debug)]
pub(super) enum Difference {
    /// It is gone.
    Removed,
    /// This JSON patch would put it right.
    Changed(Vec<Value>),
    /// It is left alone on purpose.
    Excluded,
}

/// The objects that differ, in the order of the manifest.
#[derive(Clone, Debug, Default)]
pub(super) struct Diff(Vec<(Target, Difference)>);

impl Diff {
    /// Whether anything but exclusions is in it.
    pub(super) fn has_changes(&self) -> bool {
        self.0
            .iter()
            .any(|(_, d)| !matches!(d, Difference::Excluded))
    }

    fn summary(&self) -> String {
        let line = |(target, difference): &(Target, Difference)| {
            let id = &target.id;
            match difference {
                Difference::Removed => format!("{id} removed"),
                Difference::Excluded => format!("{id} excluded"),
                Difference::Changed(patch) => {
                    let count = |op: &str| patch.iter().filter(|p| p["op"] == op).count();
                    let (added, changed, removed) =
                        (count("add"), count("replace"), count("remove"));
                    format!(
                        "{id} changed ({added} additions, {changed} changes, {removed} removals)"
                    )
                }
            }
        };
        self.0.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

impl Run<'_> {
    /// Compares the objects of a release with the cluster.
    ///
    /// # Errors
    /// Why that could not be done for any object, where nothing else was found.
    pub(super) async fn detect_drift(&self, last: &Record) -> Result<Diff, String> {
        let failed = |cause: String| format!("unable to determine cluster state: {cause}");
        let namespace = spec::release_namespace(self.object);
        let built = objects::build(&self.cluster, &last.manifest, &namespace, Unserved::Skip).await;
        let mut targets = built.map_err(failed)?;
        let rules = ignore_rules(self.object).map_err(failed)?;
        let session = self.session(self.limit("correct cluster drift"));
        let taken =
            managed_fields::taken_managers(FIELD_MANAGER, &self.controller.override_managers);
        let mut diff = Diff::default();
        let mut errors = Vec::new();
        for target in &mut targets {
            let origin = chart_object::origin(self.object);
            manifest::metadata::set_labels(&mut target.object, &origin);
            objects::mark(&mut target.object, &last.name, &namespace);
            match compare(
                &session,
                target,
                &rules,
                &taken,
                !self.controller.override_managers.is_empty(),
            )
            .await
            {
                Ok(None) => {}
                Ok(Some(difference)) => diff.0.push((target.clone(), difference)),
                Err(error) => errors.push(format!("{}: {}", target.id, chain_text(&error))),
            }
        }
        if !errors.is_empty() {
            let all = errors.join(", ");
            if !diff.has_changes() {
                return Err(failed(all));
            }
            tracing::error!(error = all, "error diffing release against cluster state");
        }
        Ok(diff)
    }

    /// Says that objects were changed.
    pub(super) fn tell_drift(&mut self) {
        let (Some(diff), Some(latest)) = (&self.diff, self.journal.status.history.first()) else {
            return;
        };
        let full = history::full_name(latest);
        let words = format!(
            "Cluster state of release {full} has drifted from the desired state:\n{}",
            diff.summary()
        );
        self.journal
            .set(DRIFTED, "True", "DriftDetected", words.clone());
        self.progress.emit(Note::error("DriftDetected", words));
    }

    /// Puts changed objects right: creates what is gone, patches what differs.
    pub(super) async fn correct(&mut self) -> Result<(), Stop> {
        let (Some(diff), Some(latest)) = (
            self.diff.take(),
            self.journal.status.history.first().cloned(),
        ) else {
            return Ok(());
        };
        let session = self.session(self.limit("correct cluster drift"));
        let mut work = diff.0;
        work.sort_by(|(a, _), (b, _)| order::compare(&a.id, &b.id));
        let (mut done, mut errors) = (Vec::new(), Vec::new());
        for (target, difference) in work {
            let id = target.id.clone();
            match difference {
                Difference::Excluded => {}
                Difference::Removed => {
                    let created = session
                        .cluster
                        .create(&target.location(), &target.object, FIELD_MANAGER)
                        .await;
                    match created {
                        Ok(_) => done.push(format!("{id} created")),
                        Err(error) => errors.push(format!(
                            "{id} creation failure: {}",
                            masked(&target, &error)
                        )),
                    }
                }
                Difference::Changed(patch) => {
                    match session.json_patch(&target, Value::Array(patch)).await {
                        Ok(()) => done.push(format!("{id} configured")),
                        Err(error) => {
                            errors.push(format!("{id} patch failure: {}", masked(&target, &error)));
                        }
                    }
                }
            }
        }
        let full = history::full_name(&latest);
        let note = corrections(&full, &done, &errors);
        if let Some(note) = note {
            self.tell_of(
                &api::helm::Snapshot {
                    app_version: None,
                    oci_digest: None,
                    ..latest
                },
                note,
            );
        }
        Ok(())
    }
}

/// Says what was put right; nothing where nothing was tried.
fn corrections(full: &str, done: &[String], errors: &[String]) -> Option<Note> {
    if errors.is_empty() {
        let words = format!(
            "Cluster state of release {full} has been corrected:\n{}",
            done.join("\n")
        );
        return (!done.is_empty()).then(|| Note::info("DriftCorrected", words));
    }
    let partially = if done.is_empty() { "" } else { "partially " };
    let mut words = format!(
        "Failed to {partially}correct cluster state of release {full}:\n{}",
        errors.join("\n")
    );
    if !done.is_empty() {
        words.push_str("\n\nSuccessful corrections:\n");
        words.push_str(&done.join("\n"));
    }
    Some(Note::error("DriftCorrectionFailed", words))
}

/// What the API server says of a Secret may quote it: only the end of that is told.
fn masked(target: &Target, error: &RequestError) -> String {
    let text = chain_text(error);
    if target.id.kind == "Secret" && error.code() == 422 {
        return text.rsplit(": ").next().unwrap_or_default().to_owned();
    }
    text
}

fn ignore_rules(object: &HelmRelease) -> Result<Vec<(IgnoreRule, bool)>, String> {
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
async fn compare(
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
    let paths = ignore::paths_for(&rules_of, &target.object);
    let patch = difference(live, desired, &paths);
    Ok((!patch.is_empty()).then_some(Difference::Changed(patch)))
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

    /// covers: HC-130
    #[test]
    fn corrections_are_told_by_how_far_they_went() {
        let (done, errors) = (
            ["A configured".to_owned()],
            ["B patch failure: no".to_owned()],
        );
        assert_eq!(corrections("ns/a.v1", &[], &[]), None);
        let note = corrections("ns/a.v1", &done, &[]).unwrap();
        assert_eq!(
            note.message,
            "Cluster state of release ns/a.v1 has been corrected:\nA configured"
        );
        let note = corrections("ns/a.v1", &done, &errors).unwrap();
        assert_eq!(
            note.message,
            "Failed to partially correct cluster state of release ns/a.v1:\nB patch failure: no\n\nSuccessful corrections:\nA configured"
        );
        let note = corrections("ns/a.v1", &[], &errors).unwrap();
        assert_eq!(
            note.message,
            "Failed to correct cluster state of release ns/a.v1:\nB patch failure: no"
        );
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
