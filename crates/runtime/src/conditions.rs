//! Conditions as Flux users know them: set, removed, ordered, summarised. Pure.
//!
//! Source: <https://github.com/fluxcd/pkg> `runtime/conditions` and `runtime/patch`, v1.9 line.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::{Polarity, report::ConditionChange};

/// The type of the summary condition.
pub const READY: &str = "Ready";
/// The type of the condition that says a run goes on or will be tried again.
pub const RECONCILING: &str = "Reconciling";
/// The type of the condition that says only a change of the object can help.
pub const STALLED: &str = "Stalled";
/// The reason of a run that goes on.
pub const PROGRESSING: &str = "Progressing";
/// The reason of a run that failed and will be tried again.
pub const PROGRESSING_WITH_RETRY: &str = "ProgressingWithRetry";

const MAX_MESSAGE: usize = 32 * 1024;

/// Returns the condition of a type.
#[must_use]
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|c| c.type_ == type_)
}

/// Returns true where the condition exists and is True.
#[must_use]
pub fn is_true(conditions: &[Condition], type_: &str) -> bool {
    find(conditions, type_).is_some_and(|c| c.status == "True")
}

/// Returns true where the condition exists and is False.
#[must_use]
pub fn is_false(conditions: &[Condition], type_: &str) -> bool {
    find(conditions, type_).is_some_and(|c| c.status == "False")
}

/// Sets a condition. Its transition time moves when status, reason or message change.
pub fn set(
    conditions: &mut Vec<Condition>,
    (type_, status, reason, message): (&str, &str, &str, &str),
    generation: i64,
    now: Timestamp,
) {
    let message = trim(&crate::redact::redact(message));
    let fresh = Condition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message,
        observed_generation: Some(generation),
        last_transition_time: Time(whole_seconds(now)),
    };
    match conditions.iter_mut().find(|c| c.type_ == type_) {
        Some(old) => {
            let same = old.status == fresh.status
                && old.reason == fresh.reason
                && old.message == fresh.message;
            let since = old.last_transition_time.clone();
            *old = fresh;
            if same {
                old.last_transition_time = since;
            }
        }
        None => conditions.push(fresh),
    }
}

/// Removes a condition.
pub fn remove(conditions: &mut Vec<Condition>, type_: &str) {
    conditions.retain(|c| c.type_ != type_);
}

/// Carries out one change.
pub fn apply(
    conditions: &mut Vec<Condition>,
    change: &ConditionChange,
    generation: i64,
    now: Timestamp,
) {
    match change {
        ConditionChange::Set {
            type_,
            status,
            reason,
            message,
        } => {
            set(
                conditions,
                (type_, status, reason, message),
                generation,
                now,
            );
            // Stalled and Reconciling exclude each other.
            if type_ == STALLED {
                remove(conditions, RECONCILING);
            } else if type_ == RECONCILING {
                remove(conditions, STALLED);
            }
        }
        ConditionChange::Remove(type_) => remove(conditions, type_),
    }
}

/// Orders conditions as users see them: Stalled, Reconciling, Ready, then by observed generation
/// (newest first), then by type.
pub fn sort(conditions: &mut [Condition]) {
    let rank = |c: &Condition| match c.type_.as_str() {
        STALLED => 0,
        RECONCILING => 1,
        READY => 2,
        _ => 3,
    };
    conditions.sort_by(|a, b| {
        rank(a).cmp(&rank(b)).then_with(|| match rank(a) {
            3 => b
                .observed_generation
                .cmp(&a.observed_generation)
                .then_with(|| a.type_.cmp(&b.type_)),
            _ => std::cmp::Ordering::Equal,
        })
    });
}

/// Computes Ready from ranked conditions: status, reason and message, or nothing where none of
/// them is present.
///
/// Conditions are grouped by what they say; bad news wins over good news, certain over unknown.
/// Within a group the first in rank speaks. A bipolar condition that is False beats everything.
#[must_use]
pub fn summarise(
    conditions: &[Condition],
    ranked: &[(&'static str, Polarity)],
) -> Option<(&'static str, String, String)> {
    let scope = ranked.iter().copied().chain([
        (STALLED, Polarity::Negative),
        (RECONCILING, Polarity::Negative),
    ]);
    let mut best: Option<(u8, &'static str, &Condition)> = None;
    for (type_, polarity) in scope {
        let Some(condition) = find(conditions, type_) else {
            continue;
        };
        let (weight, ready) = weigh(&condition.status, polarity);
        if best.is_none_or(|(heaviest, ..)| weight < heaviest) {
            best = Some((weight, ready, condition));
        }
    }
    best.map(|(_, ready, c)| (ready, c.reason.clone(), c.message.clone()))
}

fn weigh(status: &str, polarity: Polarity) -> (u8, &'static str) {
    match (status, polarity) {
        ("False", Polarity::Bipolar) => (0, "False"),
        ("True", Polarity::Negative) => (1, "False"),
        ("False", Polarity::Positive) => (2, "False"),
        ("True", Polarity::Positive | Polarity::Bipolar) => (3, "True"),
        ("False", Polarity::Negative) => (4, "True"),
        _ => (5, "Unknown"),
    }
}

/// Cuts a message at 32 KiB, on a character boundary, ending it in `...`.
fn trim(message: &str) -> String {
    if message.len() <= MAX_MESSAGE {
        return message.to_owned();
    }
    let mut end = MAX_MESSAGE - 3;
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}...", &message[..end])
}

/// Status times have whole seconds, as metav1.Time has.
#[must_use]
pub fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANKED: &[(&str, Polarity)] = &[
        ("StorageOperationFailed", Polarity::Negative),
        ("FetchFailed", Polarity::Negative),
        ("ArtifactOutdated", Polarity::Negative),
        ("ArtifactInStorage", Polarity::Positive),
        ("SourceVerified", Polarity::Bipolar),
    ];

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn with(list: &[(&str, &str, &str, &str)]) -> Vec<Condition> {
        let mut conditions = Vec::new();
        for entry in list {
            set(&mut conditions, *entry, 1, at(1));
        }
        conditions
    }

    fn ready(list: &[(&str, &str, &str, &str)]) -> Option<(&'static str, String)> {
        summarise(&with(list), RANKED).map(|(status, reason, _)| (status, reason))
    }

    /// covers: SC-022
    #[test]
    fn failure_beats_artifact_in_storage() {
        let got = ready(&[
            ("ArtifactInStorage", "True", "Succeeded", ""),
            ("FetchFailed", "True", "Bad", ""),
        ]);
        assert_eq!(got, Some(("False", "Bad".into())));
    }

    /// covers: SC-021
    #[test]
    fn first_failure_in_rank_speaks() {
        let got = ready(&[
            ("FetchFailed", "True", "Fetch", ""),
            ("StorageOperationFailed", "True", "Storage", ""),
            ("ArtifactOutdated", "True", "NewRevision", ""),
        ]);
        assert_eq!(got, Some(("False", "Storage".into())));
    }

    /// covers: SC-017
    #[test]
    fn what_is_outdated_speaks_where_a_failure_has_no_condition_of_its_own() {
        let outdated = (
            "ArtifactOutdated",
            "True",
            "NewRevision",
            "new index revision",
        );
        let going = (RECONCILING, "True", PROGRESSING, "building artifact");
        assert_eq!(
            ready(&[outdated, going]),
            Some(("False", "NewRevision".into()))
        );
    }

    /// covers: SC-019
    #[test]
    fn bipolar_false_beats_everything() {
        let got = ready(&[
            ("FetchFailed", "True", "Fetch", ""),
            ("SourceVerified", "False", "Forged", ""),
        ]);
        assert_eq!(got, Some(("False", "Forged".into())));
    }

    /// covers: SC-020
    #[test]
    fn negative_true_beats_bipolar_true() {
        let got = ready(&[
            ("SourceVerified", "True", "Succeeded", ""),
            ("FetchFailed", "True", "Fetch", ""),
        ]);
        assert_eq!(got, Some(("False", "Fetch".into())));
    }

    /// covers: SC-023
    #[test]
    fn ready_speaks_with_the_words_of_the_artifact() {
        let got = ready(&[
            ("SourceVerified", "True", "Verified", ""),
            ("ArtifactInStorage", "True", "Stored", ""),
        ]);
        assert_eq!(got, Some(("True", "Stored".into())));
    }

    #[test]
    fn nothing_in_scope_leaves_ready_alone() {
        assert_eq!(ready(&[("Custom", "True", "X", "")]), None);
    }

    #[test]
    fn transition_time_moves_only_with_content() {
        let mut conditions = with(&[("Ready", "True", "A", "m")]);
        set(&mut conditions, ("Ready", "True", "A", "m"), 2, at(5));
        assert_eq!(conditions[0].last_transition_time.0, at(1));
        assert_eq!(conditions[0].observed_generation, Some(2));
        set(&mut conditions, ("Ready", "True", "A", "n"), 2, at(7));
        assert_eq!(conditions[0].last_transition_time.0, at(7));
    }

    /// covers: SC-032
    #[test]
    fn long_message_is_cut_on_a_character() {
        let conditions = with(&[("Ready", "True", "A", &"é".repeat(20_000))]);
        assert!(conditions[0].message.len() <= MAX_MESSAGE);
        assert!(conditions[0].message.ends_with("..."));
    }

    #[test]
    fn stalled_and_reconciling_exclude_each_other() {
        let mut conditions = with(&[("Reconciling", "True", "A", "")]);
        let change = ConditionChange::Set {
            type_: STALLED.into(),
            status: "True",
            reason: "B".into(),
            message: String::new(),
        };
        apply(&mut conditions, &change, 1, at(2));
        assert!(find(&conditions, RECONCILING).is_none());
    }

    #[test]
    fn order_is_stalled_reconciling_ready_then_newest() {
        let mut conditions = with(&[
            ("B", "True", "A", ""),
            ("A", "True", "A", ""),
            ("Ready", "True", "A", ""),
        ]);
        conditions[0].observed_generation = Some(3);
        conditions.push(with(&[("Stalled", "True", "A", "")]).remove(0));
        sort(&mut conditions);
        let types: Vec<_> = conditions.iter().map(|c| c.type_.as_str()).collect();
        assert_eq!(types, ["Stalled", "Ready", "B", "A"]);
    }
}
