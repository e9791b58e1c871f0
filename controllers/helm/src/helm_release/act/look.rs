//! Looks at the release: what state it is in.

use api::helm::{DriftDetectionMode, HelmRelease, Snapshot};
use helm::release::Record;
use kube::{Api, ResourceExt};
use runtime::Note;

use super::{
    super::{decide::State, digest, history, journal::RELEASED, spec},
    Run,
};
use crate::{
    GROUP,
    release::{
        objects::{self, Target, Unserved},
        storage::PENDING,
    },
};

impl Run<'_> {
    /// Looks at the release.
    pub(super) async fn state(&mut self) -> Result<State, String> {
        let (last, _) = self
            .storage
            .last()
            .await
            .map_err(|error| error.to_string())?;
        let Some(last) = last else {
            return Ok(State::Absent);
        };
        if last.status.starts_with(PENDING) {
            self.locked = Some(last);
            return Ok(State::Locked);
        }
        if self.journal.status.history.is_empty() {
            if last.status == "uninstalled" {
                return Ok(State::Absent);
            }
            let words = "found existing release in storage";
            match self.foreign(&last, words).await? {
                State::Unmanaged(_) if self.is_wanted(&last) => self.adopt(&last).await,
                state => return Ok(state),
            }
        }
        let Some(latest) = self.journal.status.history.first() else {
            return Ok(State::Absent);
        };
        match standing(latest, &last)? {
            None => {}
            Some(State::Unmanaged(why)) => return self.foreign(&last, why).await,
            Some(state) => return Ok(state),
        }
        if let Some(why) = self.out_of_sync(&last) {
            return Ok(State::OutOfSync(why));
        }
        if spec::tests(self.object) {
            if !history::was_tested(latest) {
                return Ok(State::Untested);
            }
            let counts = self.remedy().is_some_and(|r| !r.ignore_tests);
            if history::failed_tests(latest) && counts {
                return Ok(State::Failed);
            }
        }
        if self.mode() != DriftDetectionMode::Disabled {
            let diff = self.detect_drift(&last).await?;
            let drifted = diff.has_changes();
            self.diff = Some(diff);
            if drifted {
                return Ok(State::Drifted);
            }
        }
        Ok(State::InSync)
    }

    /// Whether a release that others made is just what is wanted.
    fn is_wanted(&self, last: &Record) -> bool {
        let metadata = last.chart_metadata();
        let chart = &self.chart.metadata;
        let spec = &self.object.spec;
        last.status == "deployed"
            && metadata["name"] == chart.name
            && metadata["version"] == chart.version
            && last.namespace == spec::release_namespace(self.object)
            && digest::values_text(&last.config) == digest::values_text(&self.values)
            && spec.post_renderers.is_empty()
            && spec.common_metadata.is_none()
    }

    /// Remembers a release that others made as its own.
    async fn adopt(&mut self, last: &Record) {
        let snapshot = history::snapshot(last, None, self.controller.digests);
        let (full, chart) = (
            history::full_name(&snapshot),
            history::versioned_chart(&snapshot),
        );
        self.journal.status.history.insert(0, snapshot.clone());
        self.take_inventory(&last.manifest).await;
        let words = format!("Adopted Helm release {full} with chart {chart}: it is as wanted");
        self.journal
            .set(RELEASED, "True", "ReleaseAdopted", words.clone());
        self.journal.summarise(self.object);
        self.tell_of(&snapshot, Note::info("ReleaseAdopted", words));
    }

    /// The newest record is none that this object made.
    async fn foreign(&self, last: &Record, why: &'static str) -> Result<State, String> {
        let owner = self.other_owner(last).await?;
        Ok(owner.map_or(State::Unmanaged(why), State::Taken))
    }

    /// Finds another HelmRelease that made a record and still wants the same release.
    async fn other_owner(&self, last: &Record) -> Result<Option<String>, String> {
        let namespace = spec::release_namespace(self.object);
        let built = objects::build(&self.cluster, &last.manifest, &namespace, Unserved::Skip).await;
        // A manifest that cannot be read names nobody.
        let targets = built.unwrap_or_default();
        let label = |target: &Target, name: &str| {
            let key = format!("{GROUP}/{name}");
            manifest::object::label(&target.object, &key).map(str::to_owned)
        };
        let owner = targets
            .iter()
            .find_map(|t| Some((label(t, "namespace")?, label(t, "name")?)));
        let Some((namespace, name)) = owner else {
            return Ok(None);
        };
        let own = self.object.namespace().unwrap_or_default();
        if (&own, &self.object.name_any()) == (&namespace, &name) {
            return Ok(None);
        }
        let client = self.controller.client.clone();
        let found = Api::<HelmRelease>::namespaced(client, &namespace)
            .get_opt(&name)
            .await
            .map_err(|error| runtime::failure::chain(&error))?;
        let is_owner = found.is_some_and(|other| wants_the_same(&other, self.object));
        Ok(is_owner.then(|| format!("HelmRelease/{namespace}/{name}")))
    }

    /// Says what of a deployed release is not as wanted.
    fn out_of_sync(&self, last: &Record) -> Option<&'static str> {
        let metadata = last.chart_metadata();
        let chart = &self.chart.metadata;
        if metadata["name"] != chart.name || metadata["version"] != chart.version {
            return Some("release chart changed");
        }
        let latest = self.journal.status.history.first()?;
        let text = digest::values_text(&self.values);
        if !digest::fits(&latest.config_digest, &text) {
            return Some("release config values changed");
        }
        let status = &self.journal.status;
        if status.observed_generation == self.object.metadata.generation {
            return None;
        }
        if status.observed_post_renderers_digest != digest::post_renderers(self.object) {
            return Some("postrenderers digest has changed");
        }
        if status.observed_common_metadata_digest != digest::common_metadata(self.object) {
            return Some("common metadata digest has changed");
        }
        None
    }
}

/// Returns the state of a release that its newest record alone tells; none where it is deployed and the one that is
/// remembered.
fn standing(latest: &Snapshot, last: &Record) -> Result<Option<State>, String> {
    let is_same = latest.name == last.name && latest.version == last.version;
    if last.status == "uninstalling" && is_same {
        return Ok(Some(State::Leaving));
    }
    if let Err(why) = history::verifies(latest, last) {
        return Ok(Some(State::Unmanaged(why)));
    }
    match last.status.as_str() {
        "deployed" => Ok(None),
        "failed" => Ok(Some(State::Failed)),
        "uninstalled" => Ok(Some(State::Absent)),
        other => Err(format!(
            "unable to determine state for release with status '{other}'"
        )),
    }
}

/// Whether another HelmRelease has a release that this one names too.
fn wants_the_same(other: &HelmRelease, own: &HelmRelease) -> bool {
    let target = |o: &HelmRelease| {
        let remote = o.spec.kube_config.as_ref().map(|k| format!("{k:?}"));
        (
            spec::release_name(o),
            spec::storage_namespace(o),
            spec::release_namespace(o),
            remote,
        )
    };
    let history = other.status.as_ref().map(|s| s.history.len());
    target(other) == target(own) && history.is_some_and(|count| count > 0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::DigestAlgorithm;

    fn record(status: &str) -> Record {
        Record {
            name: "app".into(),
            namespace: "ns".into(),
            version: 3,
            status: status.into(),
            first_deployed: "2026-01-02T03:04:05Z".into(),
            last_deployed: "2026-01-02T03:04:05Z".into(),
            chart: json!({ "metadata": { "name": "c", "version": "1.0.0" } }),
            ..Record::default()
        }
    }

    fn remembered(record: &Record) -> Snapshot {
        history::snapshot(record, None, DigestAlgorithm::Sha256)
    }

    /// covers: HC-069, HC-075, HC-076, HC-084, HC-085
    #[test]
    fn newest_record_tells_the_state_by_its_status_and_digest() {
        for (status, state) in [
            ("deployed", None),
            ("failed", Some(State::Failed)),
            ("uninstalled", Some(State::Absent)),
            ("uninstalling", Some(State::Leaving)),
        ] {
            let record = record(status);
            assert_eq!(
                standing(&remembered(&record), &record),
                Ok(state),
                "{status}"
            );
        }
        for status in ["superseded", "unknown", "nonsense"] {
            let record = record(status);
            let words = format!("unable to determine state for release with status '{status}'");
            assert_eq!(standing(&remembered(&record), &record), Err(words));
        }
        let now = record("deployed");
        let mut other = remembered(&record("failed"));
        let unmanaged = Some(State::Unmanaged("release digest verification error"));
        assert_eq!(standing(&other, &now), Ok(unmanaged.clone()));
        other.digest = "not a digest".into();
        assert_eq!(standing(&other, &now), Ok(unmanaged));
        other.version = 2;
        let why = "release not observed to be made for object";
        assert_eq!(standing(&other, &now), Ok(Some(State::Unmanaged(why))));
    }

    /// A release is another object's only while that object wants it.
    #[test]
    fn other_object_owns_a_release_while_it_names_the_same() {
        let object = |spec: serde_json::Value, made: bool| -> HelmRelease {
            let history = if made {
                vec![remembered(&record("deployed"))]
            } else {
                Vec::new()
            };
            let mut full = json!({ "interval": "1m", "releaseName": "app" });
            full.as_object_mut()
                .unwrap()
                .extend(spec.as_object().unwrap().clone());
            serde_json::from_value(json!({ "metadata": { "name": "x", "namespace": "ns" },
                "spec": full, "status": { "history": history } }))
            .unwrap()
        };
        let own = object(json!({}), false);
        assert!(wants_the_same(&object(json!({}), true), &own));
        assert!(!wants_the_same(&object(json!({}), false), &own));
        for other in [
            json!({ "releaseName": "other" }),
            json!({ "storageNamespace": "other" }),
            json!({ "targetNamespace": "other" }),
            json!({ "kubeConfig": { "secretRef": { "name": "there" } } }),
        ] {
            assert!(
                !wants_the_same(&object(other.clone(), true), &own),
                "{other}"
            );
        }
    }
}
