//! Finds objects of a release that were changed, and puts them right.

mod compare;
mod watch;

use cluster::{
    Drift, RequestError, chain_text,
    drift::{MAX_FIELDS, field_words},
};
use helm::release::Record;
use manifest::{managed_fields, order};
use runtime::Note;
use serde_json::Value;

use self::compare::{compare, ignore_rules};
use super::{
    act::{Run, Stop},
    chart_object, history,
    journal::DRIFTED,
    spec,
};
use crate::{
    FIELD_MANAGER,
    release::{
        Session,
        objects::{self, Target, Unserved},
    },
};

pub(super) use watch::{key, key_of, watch};

/// The most objects whose fields an event tells.
const MAX_TOLD: usize = 20;

/// What differs on one object.
#[derive(Clone, Debug)]
pub(super) enum Difference {
    /// It is gone.
    Removed,
    /// It was changed.
    Changed {
        /// What would put it right: a JSON patch.
        patch: Vec<Value>,
        /// Which fields, and by whom.
        drift: Drift,
    },
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

    /// One line for each object.
    fn summary(&self) -> String {
        let lines: Vec<_> = self.0.iter().map(line).collect();
        lines.join("\n")
    }

    /// One line for each object, and one for each field of the first that were changed.
    fn details(&self) -> String {
        let mut lines = Vec::new();
        for (place, entry) in self.0.iter().enumerate() {
            lines.push(line(entry));
            if let Difference::Changed { drift, .. } = &entry.1
                && place < MAX_TOLD
            {
                let by = drift.manager().map(|m| format!(" (by {m})"));
                let by = by.unwrap_or_default();
                let fields = drift.fields.iter().take(MAX_FIELDS);
                lines.extend(fields.map(|field| format!("  {}{by}", field_words(field))));
            }
        }
        lines.join("\n")
    }
}

fn line((target, difference): &(Target, Difference)) -> String {
    let id = &target.id;
    match difference {
        Difference::Removed => format!("{id} removed"),
        Difference::Excluded => format!("{id} excluded"),
        Difference::Changed { patch, .. } => {
            let count = |op: &str| patch.iter().filter(|p| p["op"] == op).count();
            let (added, changed, removed) = (count("add"), count("replace"), count("remove"));
            format!("{id} changed ({added} additions, {changed} changes, {removed} removals)")
        }
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
        let words = format!("Cluster state of release {full} has drifted from the desired state:");
        let told = format!("{words}\n{}", diff.details());
        let words = format!("{words}\n{}", diff.summary());
        self.journal.set(DRIFTED, "True", "DriftDetected", words);
        self.progress.emit(Note::error("DriftDetected", told));
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
        // Noted before it is done: who is left alone is not to be looked at because of this very write.
        let drift_of = |(_, difference): &(Target, Difference)| match difference {
            Difference::Changed { drift, .. } => Some(drift.clone()),
            Difference::Removed | Difference::Excluded => None,
        };
        let taken_back: Vec<_> = work.iter().filter_map(drift_of).collect();
        let interval = self.object.spec.interval.into();
        let fight = (self.controller.drift).taken_back(&key(self.object), interval, &taken_back);
        let (mut done, mut errors) = (Vec::new(), Vec::new());
        for (target, difference) in work {
            match put_right(&session, &target, &difference).await {
                Ok(None) => {}
                Ok(Some(words)) => done.push(words),
                Err(words) => errors.push(words),
            }
        }
        let full = history::full_name(&latest);
        if let Some(note) = corrections(&full, &done, &errors) {
            let plain = api::helm::Snapshot {
                app_version: None,
                oci_digest: None,
                ..latest
            };
            self.tell_of(&plain, note);
        }
        if let Some(words) = fight {
            self.progress.emit(Note::error("DriftDetected", words));
        }
        Ok(())
    }
}

/// Puts one object right. Returns what was done, if anything.
///
/// # Errors
/// What failed.
async fn put_right(
    session: &Session<'_>,
    target: &Target,
    difference: &Difference,
) -> Result<Option<String>, String> {
    let id = &target.id;
    match difference {
        Difference::Excluded => Ok(None),
        Difference::Removed => {
            let created = session
                .cluster
                .create(&target.location(), &target.object, FIELD_MANAGER)
                .await;
            created
                .map(|_| Some(format!("{id} created")))
                .map_err(|error| {
                    let cause = masked(target, &error);
                    format!("{id} creation failure: {cause}")
                })
        }
        Difference::Changed { patch, .. } => {
            let patched = session
                .json_patch(target, Value::Array(patch.clone()))
                .await;
            patched
                .map(|()| Some(format!("{id} configured")))
                .map_err(|error| {
                    let cause = masked(target, &error);
                    format!("{id} patch failure: {cause}")
                })
        }
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
