//! Unlocks a release that an ended process left half-done.

use runtime::{Note, Severity};

use super::super::{
    act::{Facet, Run, Stop},
    history,
    journal::RELEASED,
};

impl Run<'_> {
    pub(super) async fn unlock(&mut self) -> Result<(), Stop> {
        let Some(record) = self.locked.take() else {
            return Ok(());
        };
        let (namespace, name, version) = (
            record.namespace.clone(),
            record.name.clone(),
            record.version,
        );
        let status = record.status.clone();
        let metadata = record.chart_metadata();
        let text = |key: &str| metadata[key].as_str().unwrap_or_default().to_owned();
        let chart = format!("{}@{}", text("name"), text("version"));
        let full = format!("{namespace}/{name}.v{version}");
        let unlocked = self.storage.unlock(version).await;
        let written = self.storage.take_written();
        let algorithm = self.controller.digests;
        history::refresh_latest(&mut self.journal.status.history, &written, algorithm);
        let (severity, words) = match &unlocked {
            // Whoever it was has finished it, or deleted it: the next look says what is to be done.
            Ok(false) => return Ok(()),
            Ok(true) => (
                Severity::Info,
                format!("Unlocked Helm release {full} with chart {chart} in {status} state"),
            ),
            Err(error) => (
                Severity::Error,
                format!(
                    "Unlock of Helm release {full} with chart {chart} in {status} state failed: {error}"
                ),
            ),
        };
        self.journal
            .set(RELEASED, "False", "PendingRelease", words.clone());
        self.journal.summarise(self.object);
        let facet = Facet {
            revision: &self.chart.metadata.version,
            token: &self.config_digest,
            app_version: None,
            oci_digest: None,
        };
        let note = Note::new(severity, "PendingRelease", words);
        self.progress.emit(facet.annotate(note));
        unlocked
            .map(|_| ())
            .map_err(|error| Stop::Retry(error.to_string()))
    }
}
