//! What a run of an ImageRepository says of itself. Pure.

use std::time::Duration;

use api::{
    Reconciled as _,
    image::{ImageRepository, ScanResult},
};
use runtime::{Change, Note, Report, conditions};

use super::exclusions;

/// What came of a run.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// No scan was due.
    NotDue {
        /// The image's whole name.
        canonical: String,
        /// After how long the next scan is.
        next: Duration,
    },
    /// The tags were read.
    Scanned {
        /// The image's whole name.
        canonical: String,
        /// The patterns of tags that were left out.
        excluded: Vec<String>,
        /// What was found.
        result: ScanResult,
    },
}

pub(super) fn succeeded(object: &ImageRepository, outcome: &Outcome) -> Report {
    let status = object.status.clone().unwrap_or_default();
    let last = status.last_scan_result.unwrap_or_default();
    let (change, result, words, requeue) = match outcome {
        Outcome::NotDue { canonical, next } => {
            let change = Change::default()
                .set("canonicalImageName", canonical)
                .set("observedExclusionList", exclusions(object));
            let words = format!(
                "no change in repository configuration since last scan, next scan in {}",
                api::meta::Duration::from(*next)
            );
            (change, last, words, Some(*next))
        }
        Outcome::Scanned {
            canonical,
            excluded,
            result,
        } => {
            let change = Change::default()
                .set("canonicalImageName", canonical)
                .set("observedExclusionList", excluded)
                .set("lastScanResult", result);
            let next = object.spec.interval;
            let words = if last.revision == result.revision {
                format!("tags did not change, next scan in {next}")
            } else {
                format!("successful scan, next scan in {next}")
            };
            (change, result.clone(), words, None)
        }
    };
    let message = format!(
        "successful scan: found {} tags with checksum {}",
        result.tag_count,
        result.revision.unwrap_or_default()
    );
    Report {
        change: change.condition("Ready", "True", "Succeeded", message.clone()),
        notes: vec![note(object.conditions(), message, words)],
        requeue,
    }
}

/// The event of a run that succeeded: told where Ready is new or says something new.
pub(crate) fn note(before: &[api::meta::Condition], message: String, words: String) -> Note {
    let ready = conditions::find(before, conditions::READY);
    match ready {
        Some(ready) if ready.status == "True" && ready.message == message => {
            Note::trace("Succeeded", words)
        }
        _ => Note::info("Succeeded", message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::Severity;

    /// covers: IA-026, IA-027, IA-028
    #[test]
    fn only_news_is_told() {
        let ready = |status: &str, message: &str| {
            let ready = serde_json::json!({ "type": "Ready", "status": status, "reason": "Succeeded",
                "message": message, "lastTransitionTime": "2026-01-01T00:00:00Z" });
            vec![serde_json::from_value(ready).unwrap()]
        };
        let told =
            |before: &[api::meta::Condition]| note(before, "new".into(), "next in 1m".into());
        assert_eq!(told(&[]).severity, Severity::Info);
        assert_eq!(told(&ready("False", "bad")).message, "new");
        assert_eq!(told(&ready("True", "old")).severity, Severity::Info);
        let same = told(&ready("True", "new"));
        assert_eq!(
            (same.severity, &*same.message),
            (Severity::Trace, "next in 1m")
        );
    }
}
