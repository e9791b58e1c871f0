//! What a run of an ImageUpdateAutomation says of itself. Pure.

use api::{Reconciled as _, image::ImageUpdateAutomation, meta::Time};
use jiff::Timestamp;
use runtime::{Change, Note, Report, conditions};

use crate::setters::Chosen;

/// Ready's message after every good run.
const READY: &str = "repository up-to-date";
/// How many markers an event names.
const NAMED: usize = 5;

/// What came of a run.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// When the run began.
    pub(super) now: Timestamp,
    /// What the policies chose.
    pub(super) chosen: Chosen,
    /// The revision that was looked at or made; none where the files were not looked at.
    pub(super) revision: Option<String>,
    /// What was pushed.
    pub(super) pushed: Option<Pushed>,
    /// Markers that nothing could be done about.
    pub(super) unresolved: Vec<String>,
}

/// A pushed commit.
#[derive(Clone, Debug)]
pub(super) struct Pushed {
    pub(super) commit: String,
    pub(super) branch: String,
    pub(super) refspec: Option<String>,
    pub(super) message: String,
}

impl Pushed {
    fn text(&self) -> String {
        let short = self.commit.get(..7).unwrap_or(&self.commit);
        let mut text = format!("pushed commit '{short}' to branch '{}'", self.branch);
        if let Some(refspec) = &self.refspec {
            text.push_str(" and refspecs '");
            text.push_str(refspec);
            text.push('\'');
        }
        if !self.message.is_empty() {
            text.push('\n');
            text.push_str(&self.message);
        }
        text
    }
}

pub(super) fn succeeded(object: &ImageUpdateAutomation, outcome: &Outcome) -> Report {
    let mut change = Change::default()
        .set("lastAutomationRunTime", Time(outcome.now))
        .condition("Ready", "True", "Succeeded", READY);
    if let Some(revision) = &outcome.revision {
        change = change
            .set("observedSourceRevision", revision)
            .set("observedPolicies", &outcome.chosen);
    }
    if let Some(pushed) = &outcome.pushed {
        change = change
            .set("lastPushCommit", &pushed.commit)
            .set("lastPushTime", Time(outcome.now));
    }
    let was_ready = conditions::is_true(object.conditions(), conditions::READY);
    let mut notes = vec![match (&outcome.pushed, was_ready) {
        (Some(pushed), _) => Note::info("Succeeded", pushed.text()),
        (None, false) => Note::info("Succeeded", READY),
        (None, true) if outcome.revision.is_some() => Note::trace("Succeeded", READY),
        (None, true) => Note::trace("Succeeded", "no change since last reconciliation"),
    }];
    notes.extend(unresolved(&outcome.unresolved));
    Report {
        change,
        notes,
        requeue: None,
    }
}

/// Names markers that nothing could be done about: a typing error in one is hard to find otherwise.
fn unresolved(markers: &[String]) -> Option<Note> {
    if markers.is_empty() {
        return None;
    }
    let named = markers
        .iter()
        .take(NAMED)
        .cloned()
        .collect::<Vec<_>>()
        .join("\n");
    let more = markers.len().saturating_sub(NAMED);
    let more = if more > 0 {
        format!("\n… and {more} more")
    } else {
        String::new()
    };
    let words = format!("markers left alone:\n{named}{more}");
    Some(Note::trace("MarkersLeftAlone", words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::image::ImageUpdateAutomationSpec;
    use runtime::Severity;

    fn object(ready: Option<&str>) -> ImageUpdateAutomation {
        let mut object = ImageUpdateAutomation::new("app", ImageUpdateAutomationSpec::default());
        if let Some(status) = ready {
            let ready = serde_json::json!({ "conditions": [{ "type": "Ready", "status": status,
                "reason": "x", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z" }] });
            object.status = Some(serde_json::from_value(ready).unwrap());
        }
        object
    }

    fn outcome(revision: Option<&str>, pushed: bool) -> Outcome {
        Outcome {
            now: Timestamp::UNIX_EPOCH,
            chosen: Chosen::new(),
            revision: revision.map(str::to_owned),
            pushed: pushed.then(|| Pushed {
                commit: "0123abcdef".into(),
                branch: "main".into(),
                refspec: Some("a:b".into()),
                message: "text".into(),
            }),
            unresolved: Vec::new(),
        }
    }

    /// covers: IA-128, IA-137
    #[test]
    fn news_is_told_and_silence_is_traced() {
        let push = "pushed commit '0123abc' to branch 'main' and refspecs 'a:b'\ntext";
        for (ready, outcome, severity, words) in [
            (None, outcome(Some("r"), false), Severity::Info, READY),
            (
                Some("True"),
                outcome(None, false),
                Severity::Trace,
                "no change since last reconciliation",
            ),
            (
                Some("True"),
                outcome(Some("r"), false),
                Severity::Trace,
                READY,
            ),
            (Some("True"), outcome(Some("r"), true), Severity::Info, push),
            (
                Some("False"),
                outcome(Some("r"), false),
                Severity::Info,
                READY,
            ),
            (
                Some("False"),
                outcome(Some("r"), true),
                Severity::Info,
                push,
            ),
        ] {
            let notes = succeeded(&object(ready), &outcome).notes;
            assert_eq!(
                (notes[0].severity, &*notes[0].message),
                (severity, words),
                "{ready:?}"
            );
            assert_eq!(notes.len(), 1);
        }
    }
}
