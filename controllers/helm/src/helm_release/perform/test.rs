//! Runs a release's tests.

use api::helm::ReleaseAction;
use runtime::Note;

use super::{
    super::{
        act::{Run, Stop},
        history,
        journal::TESTED,
    },
    latest, mismatch,
};
use crate::release::{ActionError, Log, storage::Written};

impl Run<'_> {
    pub(super) async fn test(&mut self) -> Result<(), Stop> {
        let latest = latest(&self.journal.status.history, "for test")?;
        let filters = self.object.spec.test.clone().unwrap_or_default().filters;
        let (except, only): (Vec<_>, Vec<_>) = filters
            .into_iter()
            .partition(|f| f.exclude.unwrap_or(false));
        let names =
            |list: Vec<api::helm::TestFilter>| list.into_iter().map(|f| f.name).collect::<Vec<_>>();
        let (except, only) = (names(except), names(only));
        let session = self.session(self.limit("test"));
        let result = session.test(&only, &except).await;
        let log = session.log;
        let written = self.storage.take_written();
        let is_chosen = |name: &str| {
            (only.is_empty() || only.iter().any(|o| o == name)) && !except.iter().any(|e| e == name)
        };
        history::refresh_latest(
            &mut self.journal.status.history,
            &written,
            self.controller.digests,
        );
        for Written { record, .. } in &written {
            if let Some(known) = self.journal.status.history.first_mut()
                && history::targets(known, record)
            {
                known.test_hooks = Some(history::test_hooks(record, is_chosen));
            }
        }
        let result = match result {
            Ok(version) if version != latest.version => Err(mismatch("tested", &latest, version)),
            Ok(_) => Ok(()),
            Err((_, ActionError::Superseded(by))) => return Err(Stop::Superseded(by)),
            Err((Some(version), _)) if version != latest.version => {
                Err(mismatch("tested", &latest, version))
            }
            Err((_, ActionError::Failed(cause))) => Err(cause),
        };
        match result {
            Ok(()) => self.tests_succeeded(),
            Err(cause) => return self.tests_failed(&cause, &log),
        }
        Ok(())
    }

    fn tests_succeeded(&mut self) {
        let Some(latest) = self.journal.status.history.first().cloned() else {
            return;
        };
        let (full, chart) = (
            history::full_name(&latest),
            history::versioned_chart(&latest),
        );
        let hooks = match latest
            .test_hooks
            .as_ref()
            .map_or(0, std::collections::BTreeMap::len)
        {
            0 => "no test hooks".to_owned(),
            1 => "1 test hook completed successfully".to_owned(),
            n => format!("{n} test hooks completed successfully"),
        };
        let words = format!("Helm test succeeded for release {full} with chart {chart}: {hooks}");
        self.journal
            .set(TESTED, "True", "TestSucceeded", words.clone());
        self.journal.summarise(self.object);
        self.tell_of(&latest, Note::info("TestSucceeded", words));
    }

    fn tests_failed(&mut self, cause: &str, log: &Log) -> Result<(), Stop> {
        let Some(latest) = self.journal.status.history.first().cloned() else {
            return Err(Stop::Retry(cause.to_owned()));
        };
        let (full, chart) = (
            history::full_name(&latest),
            history::versioned_chart(&latest),
        );
        let cause = cause.trim();
        let words = format!("Helm test failed for release {full} with chart {chart}: {cause}");
        self.journal.status.failures = Some(self.journal.status.failures.unwrap_or(0) + 1);
        self.journal
            .set(TESTED, "False", "TestFailed", words.clone());
        let tested = history::was_tested(&latest);
        if tested && self.remedy().is_some_and(|r| !r.ignore_tests) {
            let status = &mut self.journal.status;
            let count = match status.last_attempted_release_action {
                Some(ReleaseAction::Upgrade) => &mut status.upgrade_failures,
                _ => &mut status.install_failures,
            };
            *count = Some(count.unwrap_or(0) + 1);
        }
        self.journal.summarise(self.object);
        self.tell_of(&latest, Note::error("TestFailed", log.under(&words)));
        if tested {
            Ok(())
        } else {
            Err(Stop::Retry(words))
        }
    }
}
