//! Looks at the release: what state it is in.

use api::helm::DriftDetectionMode;
use helm::release::Record;

use super::{
    super::{decide::State, digest, history, spec},
    Run,
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
        if last.status.starts_with("pending-") {
            self.locked = Some(last);
            return Ok(State::Locked);
        }
        let Some(latest) = self.journal.status.history.first() else {
            return Ok(match last.status.as_str() {
                "uninstalled" => State::Absent,
                _ => State::Unmanaged("found existing release in storage"),
            });
        };
        let is_same = latest.name == last.name && latest.version == last.version;
        if last.status == "uninstalling" && is_same {
            return Ok(State::Leaving);
        }
        if let Err(why) = history::verifies(latest, &last) {
            return Ok(State::Unmanaged(why));
        }
        match last.status.as_str() {
            "failed" => return Ok(State::Failed),
            "uninstalled" => return Ok(State::Absent),
            "deployed" => {}
            other => {
                return Err(format!(
                    "unable to determine state for release with status '{other}'"
                ));
            }
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
