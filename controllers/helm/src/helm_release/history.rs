//! What a HelmRelease remembers of its releases. Pure.

use std::collections::BTreeMap;

use api::{
    helm::{HelmRelease, Snapshot, TestHook},
    meta::Time,
};
use helm::{
    manifest::Event,
    release::{Execution, Record},
};
use jiff::Timestamp;

use super::digest;
use crate::{DigestAlgorithm, release::storage::Written};

/// How many snapshots are kept where there is none to go back to.
const KEPT: usize = 5;
const VERSION: &str = "v2";

/// Makes a snapshot of a record.
pub(super) fn snapshot(
    record: &Record,
    oci_digest: Option<String>,
    algorithm: DigestAlgorithm,
) -> Snapshot {
    let metadata = record.chart_metadata();
    let text = |key: &str| metadata[key].as_str().unwrap_or_default().to_owned();
    let digest = digest::of(
        algorithm,
        &digest::record_text(record, oci_digest.as_deref()),
    );
    Snapshot {
        api_version: Some(VERSION.to_owned()),
        digest,
        name: record.name.clone(),
        namespace: record.namespace.clone(),
        version: record.version,
        status: record.status.clone(),
        action: None,
        chart_name: text("name"),
        chart_version: text("version"),
        app_version: Some(text("appVersion")).filter(|v| !v.is_empty()),
        config_digest: digest::of(algorithm, &digest::values_text(&record.config)),
        first_deployed: time(&record.first_deployed).unwrap_or_else(zero),
        last_deployed: time(&record.last_deployed).unwrap_or_else(zero),
        deleted: time(&record.deleted),
        test_hooks: None,
        oci_digest,
    }
}

fn zero() -> Time {
    Time(Timestamp::UNIX_EPOCH)
}

fn time(text: &str) -> Option<Time> {
    let time: Timestamp = text.parse().ok()?;
    Some(Time(runtime::conditions::whole_seconds(time)))
}

/// Whether a snapshot is of this revision.
pub(super) fn targets(snapshot: &Snapshot, record: &Record) -> bool {
    snapshot.name == record.name
        && snapshot.namespace == record.namespace
        && snapshot.version == record.version
}

/// Whether a record is the one that a snapshot was made of. Snapshots of older controllers are
/// trusted by name and revision.
pub(super) fn verifies(snapshot: &Snapshot, record: &Record) -> Result<(), &'static str> {
    if !targets(snapshot, record) {
        return Err("release not observed to be made for object");
    }
    if snapshot.api_version.as_deref() != Some(VERSION) {
        return Ok(());
    }
    let text = digest::record_text(record, snapshot.oci_digest.as_deref());
    if digest::fits(&snapshot.digest, &text) {
        Ok(())
    } else {
        Err("release digest verification error")
    }
}

/// Puts what an installation or an upgrade wrote into the history: the newest in front, with its
/// action; of the older ones the first that is known anew.
pub(super) fn record_release(
    history: &mut Vec<Snapshot>,
    written: &[Written],
    action: &str,
    oci_digest: Option<String>,
    algorithm: DigestAlgorithm,
) {
    let mut written: Vec<_> = written.iter().map(|w| &w.record).collect();
    written.sort_by_key(|record| std::cmp::Reverse(record.version));
    let Some((newest, older)) = written.split_first() else {
        return;
    };
    let newest = Snapshot {
        action: Some(action.to_owned()),
        ..snapshot(newest, oci_digest, algorithm)
    };
    history.insert(0, newest);
    for record in older {
        if let Some(known) = history.iter_mut().find(|s| targets(s, record)) {
            *known = Snapshot {
                test_hooks: known.test_hooks.take(),
                ..snapshot(record, known.oci_digest.take(), algorithm)
            };
            return;
        }
    }
}

/// Puts what a rollback or an uninstallation wrote into the history: what is known is made anew,
/// with the action; what is not is put in front.
pub(super) fn record_rewritten(
    history: &mut Vec<Snapshot>,
    written: &[Written],
    action: &str,
    adds: bool,
    algorithm: DigestAlgorithm,
) {
    for Written { record, writes } in written {
        match history.iter_mut().find(|s| targets(s, record)) {
            Some(known) => {
                *known = Snapshot {
                    action: Some(action.to_owned()),
                    test_hooks: known.test_hooks.take(),
                    ..snapshot(record, known.oci_digest.take(), algorithm)
                };
            }
            None if adds => {
                // Written once it has only begun.
                let action = (*writes > 1).then(|| action.to_owned());
                history.insert(
                    0,
                    Snapshot {
                        action,
                        ..snapshot(record, None, algorithm)
                    },
                );
            }
            None => {}
        }
    }
}

/// Puts what a test or an unlocking wrote into the newest snapshot.
pub(super) fn refresh_latest(
    history: &mut [Snapshot],
    written: &[Written],
    algorithm: DigestAlgorithm,
) {
    let Some(latest) = history.first_mut() else {
        return;
    };
    for Written { record, .. } in written {
        if targets(latest, record) {
            *latest = Snapshot {
                action: latest.action.take(),
                test_hooks: latest.test_hooks.take(),
                ..snapshot(record, latest.oci_digest.take(), algorithm)
            };
        }
    }
}

/// Reads what became of a record's tests.
pub(super) fn test_hooks(
    record: &Record,
    is_chosen: impl Fn(&str) -> bool,
) -> BTreeMap<String, TestHook> {
    let tests = record
        .hooks
        .iter()
        .filter(|h| h.hook.events.contains(&Event::Test));
    tests
        .filter(|h| is_chosen(&h.hook.name))
        .map(|h| (h.hook.name.clone(), test_hook(&h.last_run)))
        .collect()
}

fn test_hook(run: &Execution) -> TestHook {
    TestHook {
        last_started: time(&run.started_at),
        last_completed: time(&run.completed_at),
        phase: Some(run.phase.clone()).filter(|p| !p.is_empty()),
    }
}

/// Whether the tests of a release were run to an end.
pub(super) fn was_tested(snapshot: &Snapshot) -> bool {
    let Some(hooks) = &snapshot.test_hooks else {
        return false;
    };
    failed_tests(snapshot)
        || hooks
            .values()
            .all(|h| h.phase.as_deref() == Some("Succeeded"))
}

/// Whether a test of a release failed.
pub(super) fn failed_tests(snapshot: &Snapshot) -> bool {
    let hooks = snapshot.test_hooks.iter().flat_map(BTreeMap::values);
    let mut phases = hooks.map(|h| h.phase.as_deref());
    phases.any(|phase| phase == Some("Failed"))
}

fn is_good(snapshot: &Snapshot, ignore_tests: bool) -> bool {
    matches!(snapshot.status.as_str(), "deployed" | "superseded")
        && (ignore_tests || !failed_tests(snapshot))
}

/// Returns the release to go back to.
pub(super) fn previous(history: &[Snapshot], ignore_tests: bool) -> Option<&Snapshot> {
    let mut older = history.iter().skip(1);
    older.find(|s| is_good(s, ignore_tests))
}

/// Forgets what is not needed: everything older than the release to go back to, or all but five.
pub(super) fn truncate(history: &mut Vec<Snapshot>, ignore_tests: bool) {
    sort(history);
    let good = history
        .iter()
        .skip(1)
        .position(|s| is_good(s, ignore_tests));
    history.truncate(good.map_or(KEPT, |at| at + 2));
}

/// Forgets all but the newest five.
pub(super) fn keep_newest(history: &mut Vec<Snapshot>) {
    sort(history);
    history.truncate(KEPT);
}

fn sort(history: &mut [Snapshot]) {
    history.sort_by_key(|s| std::cmp::Reverse(s.version));
}

/// Returns a release's name as messages have it.
pub(super) fn full_name(snapshot: &Snapshot) -> String {
    format!(
        "{}/{}.v{}",
        snapshot.namespace, snapshot.name, snapshot.version
    )
}

/// Returns a release's chart as messages have it.
pub(super) fn versioned_chart(snapshot: &Snapshot) -> String {
    format!("{}@{}", snapshot.chart_name, snapshot.chart_version)
}

/// Returns why the object's release is another one now; none where it is the same.
///
/// Names the first difference only.
pub(super) fn target_change(
    object: &HelmRelease,
    latest: &Snapshot,
    storage: &str,
    chart: &str,
) -> Option<String> {
    use super::spec;
    let (namespace, name) = (spec::release_namespace(object), spec::release_name(object));
    let wanted = spec::storage_namespace(object);
    if storage != wanted {
        return Some(format!(
            "release storage namespace '{storage}' changed to '{wanted}'"
        ));
    }
    if latest.namespace != namespace {
        let old = &latest.namespace;
        return Some(format!(
            "release target namespace '{old}' changed to '{namespace}'"
        ));
    }
    if latest.name != name {
        return Some(format!(
            "release name '{}' changed to '{name}'",
            latest.name
        ));
    }
    if latest.chart_name != chart && spec::reinstalls(object) {
        return Some(format!(
            "release chart '{}' changed to '{chart}'",
            latest.chart_name
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(version: i64, status: &str) -> Record {
        Record {
            name: "app".into(),
            namespace: "ns".into(),
            version,
            status: status.into(),
            first_deployed: "2026-01-02T03:04:05.678Z".into(),
            last_deployed: "2026-01-02T03:04:05.678Z".into(),
            chart: json!({ "metadata": { "name": "c", "version": "1.0.0", "appVersion": "9" } }),
            ..Record::default()
        }
    }

    fn snap(version: i64, status: &str) -> Snapshot {
        snapshot(&record(version, status), None, DigestAlgorithm::Sha256)
    }

    fn written(version: i64, status: &str, writes: usize) -> Written {
        Written {
            record: record(version, status),
            writes,
        }
    }

    fn seen(history: &[Snapshot]) -> Vec<(i64, &str, Option<&str>)> {
        history
            .iter()
            .map(|s| (s.version, s.status.as_str(), s.action.as_deref()))
            .collect()
    }

    /// covers: HC-100, HC-101
    #[test]
    fn upgrade_puts_the_newest_in_front_and_makes_the_older_anew() {
        let mut history = vec![Snapshot {
            action: Some("install".into()),
            ..snap(1, "deployed")
        }];
        history[0].oci_digest = Some("sha256:1".into());
        let all = [written(2, "deployed", 2), written(1, "superseded", 1)];
        let digest = Some("sha256:2".to_owned());
        record_release(
            &mut history,
            &all,
            "upgrade",
            digest,
            DigestAlgorithm::Sha256,
        );
        assert_eq!(
            seen(&history),
            [(2, "deployed", Some("upgrade")), (1, "superseded", None)]
        );
        assert_eq!(history[1].oci_digest.as_deref(), Some("sha256:1"));
    }

    /// covers: HC-119
    #[test]
    fn rollback_stamps_all_that_it_wrote() {
        let mut history = vec![
            Snapshot {
                action: Some("upgrade".into()),
                ..snap(2, "failed")
            },
            snap(1, "deployed"),
        ];
        let all = [written(3, "deployed", 2), written(1, "superseded", 1)];
        record_rewritten(
            &mut history,
            &all,
            "rollback",
            true,
            DigestAlgorithm::Sha256,
        );
        assert_eq!(
            seen(&history),
            [
                (3, "deployed", Some("rollback")),
                (2, "failed", Some("upgrade")),
                (1, "superseded", Some("rollback"))
            ]
        );
    }

    /// covers: HC-168
    #[test]
    fn history_is_cut_behind_the_release_to_go_back_to() {
        let mut history = vec![
            snap(4, "failed"),
            snap(3, "failed"),
            snap(2, "superseded"),
            snap(1, "superseded"),
        ];
        assert_eq!(previous(&history, false).map(|s| s.version), Some(2));
        truncate(&mut history, false);
        assert_eq!(history.len(), 3);
        let failed = TestHook {
            phase: Some("Failed".into()),
            ..TestHook::default()
        };
        history[2].test_hooks = Some([("t".to_owned(), failed)].into());
        assert_eq!(previous(&history, false), None);
        assert_eq!(previous(&history, true).map(|s| s.version), Some(2));
        let mut all: Vec<_> = (1..9).map(|n| snap(n, "failed")).collect();
        truncate(&mut all, false);
        assert_eq!(
            all.iter().map(|s| s.version).collect::<Vec<_>>(),
            [8, 7, 6, 5, 4]
        );
    }

    /// covers: HC-166
    #[test]
    fn release_is_another_where_its_place_or_name_changed() {
        let object = |spec: serde_json::Value| -> HelmRelease {
            let mut full = json!({ "interval": "1m" });
            full.as_object_mut()
                .unwrap()
                .extend(spec.as_object().unwrap().clone());
            serde_json::from_value(
                json!({ "metadata": { "name": "app", "namespace": "ns" }, "spec": full }),
            )
            .unwrap()
        };
        let long = "a-name-that-is-much-longer-than-fifty-three-characters-allow";
        let short = "a-name-that-is-much-longer-than-fifty-th-ac986c492e8d";
        let latest = snap(1, "deployed");
        let why = |spec, latest: &Snapshot, storage, chart| {
            target_change(&object(spec), latest, storage, chart).unwrap_or_default()
        };
        let there = json!({ "targetNamespace": "there" });
        let in_place = json!({ "upgrade": { "chartNameChangeStrategy": "InPlaceUpdate" } });
        let cases = [
            (json!({}), "ns", "c", ""),
            (json!({ "storageNamespace": "ns" }), "ns", "c", ""),
            (
                json!({ "storageNamespace": "other" }),
                "ns",
                "c",
                "release storage namespace 'ns' changed to 'other'",
            ),
            (
                json!({}),
                "other",
                "c",
                "release storage namespace 'other' changed to 'ns'",
            ),
            (
                there,
                "ns",
                "c",
                "release target namespace 'ns' changed to 'there'",
            ),
            (
                json!({ "releaseName": "own" }),
                "ns",
                "c",
                "release name 'app' changed to 'own'",
            ),
            (json!({}), "ns", "d", "release chart 'c' changed to 'd'"),
            (in_place, "ns", "d", ""),
        ];
        for (spec, storage, chart, expected) in cases {
            assert_eq!(
                why(spec.clone(), &latest, storage, chart),
                expected,
                "{spec}"
            );
        }
        // A name that is cut is compared as it was cut.
        let cut = Snapshot {
            name: short.into(),
            ..latest
        };
        assert_eq!(why(json!({ "releaseName": long }), &cut, "ns", "c"), "");
    }

    /// covers: HC-167
    #[test]
    fn records_are_checked_against_their_snapshots() {
        let mut known = snap(1, "deployed");
        assert_eq!(verifies(&known, &record(1, "deployed")), Ok(()));
        assert_eq!(
            verifies(&known, &record(1, "failed")),
            Err("release digest verification error")
        );
        assert!(verifies(&known, &record(2, "deployed")).is_err());
        known.api_version = None;
        assert_eq!(verifies(&known, &record(1, "failed")), Ok(()));
    }

    /// covers: HC-078, HC-079, HC-080, HC-081, HC-083
    #[test]
    fn tests_count_once_all_have_ended() {
        let mut known = snap(1, "deployed");
        let hook = |phase: &str| TestHook {
            phase: Some(phase.into()),
            ..TestHook::default()
        };
        assert!(!was_tested(&known));
        known.test_hooks = Some(BTreeMap::new());
        assert!(was_tested(&known));
        known.test_hooks = Some(
            [
                ("a".to_owned(), hook("Succeeded")),
                ("b".to_owned(), hook("Running")),
            ]
            .into(),
        );
        assert!(!was_tested(&known));
        known.test_hooks = Some(
            [
                ("a".to_owned(), hook("Failed")),
                ("b".to_owned(), TestHook::default()),
            ]
            .into(),
        );
        assert!(was_tested(&known) && failed_tests(&known));
    }
}
