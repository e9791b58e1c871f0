//! Decides what is done, and says what the state alone lets say.

use api::helm::DriftDetectionMode;
use runtime::Failure;

use super::{
    super::{
        decide::{self, Facts, Next, State},
        digest, history,
        journal::{DRIFTED, RELEASED, REMEDIATED},
        spec,
    },
    Run,
};

impl Run<'_> {
    /// Decides what is done about a state, and says what the state alone lets say.
    pub(super) async fn prepare(&mut self, state: &State) -> Result<Next, Failure> {
        let facts = Facts {
            remedy: self.remedy(),
            install: spec::install_remedy(self.object, &self.journal.status),
            upgrade: spec::upgrade_remedy(self.object, &self.journal.status),
            retries: self.retry().is_some(),
            forced: self.forced,
            corrects: self.mode() == DriftDetectionMode::Enabled,
        };
        let next = decide::decide(state, facts);
        match (state, next) {
            (State::InSync, _) => self.in_sync(),
            (State::Untested, _) => self.released_again(),
            (State::Drifted, _) => self.tell_drift(),
            (State::Taken(owner), _) => return Err(self.taken(owner)),
            (State::Unmanaged(why), _) => {
                tracing::info!("release is not managed by this object: {why}");
                self.journal.status.history.clear();
            }
            (State::OutOfSync(why), Next::Upgrade) => {
                tracing::info!("release out-of-sync with desired state: {why}");
            }
            (State::Failed, Next::RollBack | Next::Uninstall) => {
                return self.choose_undo(next).await;
            }
            _ => {}
        }
        if next == Next::Exhausted {
            return Err(self.exhausted());
        }
        Ok(next)
    }

    fn in_sync(&mut self) {
        let ignore = self.remedy().is_some_and(|r| r.ignore_tests);
        let keeps = self.retry().is_some();
        let history = &mut self.journal.status.history;
        if keeps {
            history::keep_newest(history);
        } else {
            history::truncate(history, ignore);
        }
        self.released_again();
        let stale = self
            .journal
            .find(RELEASED)
            .map(|c| (c.status.clone(), c.reason.clone()));
        if let (Some((status, reason)), Some(latest)) = (stale, self.journal.status.history.first())
            && status == "False"
        {
            let (full, chart) = (history::full_name(latest), history::versioned_chart(latest));
            let done = match reason.as_str() {
                "InstallFailed" => Some(("InstallSucceeded", "install")),
                "UpgradeFailed" => Some(("UpgradeSucceeded", "upgrade")),
                _ => None,
            };
            if let Some((reason, action)) = done {
                let words =
                    format!("Helm {action} succeeded for release {full} with chart {chart}");
                self.journal.set(RELEASED, "True", reason, words);
            }
        }
        self.journal.summarise(self.object);
        if self.mode() == DriftDetectionMode::Disabled {
            self.journal.remove(DRIFTED);
        } else {
            let words = "No drift detected against the cluster state";
            self.journal.set(DRIFTED, "False", "NoDriftDetected", words);
        }
    }

    /// A release that was remedied is in place again: it counts as released.
    fn released_again(&mut self) {
        if let Some(latest) = self.journal.status.history.first() {
            let (full, chart) = (history::full_name(latest), history::versioned_chart(latest));
            let words = format!("Helm upgrade succeeded for release {full} with chart {chart}");
            self.journal
                .replace(REMEDIATED, RELEASED, "UpgradeSucceeded", words);
        }
    }

    /// Remembers the post-renderers and common metadata of the release in place.
    pub(in crate::helm_release) fn observe_digests(&mut self) {
        let status = &mut self.journal.status;
        status.observed_post_renderers_digest = digest::post_renderers(self.object);
        status.observed_common_metadata_digest = digest::common_metadata(self.object);
    }
}
