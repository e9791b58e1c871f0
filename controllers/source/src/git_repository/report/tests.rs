use api::meta::{Condition, Time};
use api::source::{GitRepositorySpec, GitRepositoryStatus};
use runtime::report::ConditionChange;
use serde_json::json;

use super::*;

const REVISION_TEXT: &str = "main@sha1:5394cb7f48332b2de7c17dd8b8384bbc84b7e738";

fn artifact(digest: &str) -> Artifact {
    Artifact {
        path: "gitrepository/ns/app/x.tar.gz".into(),
        url: "http://host/x".into(),
        revision: REVISION_TEXT.into(),
        digest: digest.into(),
        checksum: None,
        last_update_time: Time(jiff::Timestamp::UNIX_EPOCH),
        size: Some(1),
        metadata: std::collections::BTreeMap::new(),
    }
}

fn object(old: Option<&str>, failing: Option<&str>) -> GitRepository {
    let mut object = GitRepository::new("app", GitRepositorySpec::default());
    object.metadata.generation = Some(1);
    let failing = failing.map(|type_| Condition {
        type_: type_.into(),
        status: "True".into(),
        reason: "GitOperationFailed".into(),
        message: "x".into(),
        observed_generation: None,
        last_transition_time: Time(jiff::Timestamp::UNIX_EPOCH),
    });
    object.status = Some(GitRepositoryStatus {
        observed_generation: Some(1),
        artifact: old.map(artifact),
        conditions: failing.into_iter().collect(),
        ..GitRepositoryStatus::default()
    });
    object
}

fn stored(message: &str) -> Outcome {
    Outcome::Stored {
        artifact: artifact("sha256:new"),
        message: message.into(),
        included: Vec::new(),
        verified: None,
    }
}

fn events(object: &GitRepository, outcome: &Outcome) -> Vec<(String, String)> {
    let notes = report(object, outcome).notes;
    notes
        .into_iter()
        .map(|note| (note.reason, note.message))
        .collect()
}

fn event(reason: &str, message: &str) -> Vec<(String, String)> {
    vec![(reason.to_owned(), message.to_owned())]
}

/// covers: SC-071, SC-076
#[test]
fn stored_artifact_sets_conditions_and_status() {
    let mut object = object(None, None);
    object.spec.ignore = Some("*.md".into());
    object.spec.sparse_checkout = vec!["a".into()];
    let report = report(&object, &stored("m"));
    let set = ConditionChange::Set {
        type_: "ArtifactInStorage".into(),
        status: "True",
        reason: "Succeeded".into(),
        message: format!("stored artifact for revision '{REVISION_TEXT}'"),
    };
    assert!(report.change.conditions.contains(&set));
    for gone in [
        "FetchFailed",
        "StorageOperationFailed",
        "IncludeUnavailable",
        "ArtifactOutdated",
    ] {
        assert!(
            report
                .change
                .conditions
                .contains(&ConditionChange::Remove(gone.into()))
        );
    }
    let status = &report.change.status;
    assert_eq!(status.get("artifact").unwrap()["digest"], "sha256:new");
    assert_eq!(status.get("observedIgnore"), Some(&json!("*.md")));
    assert_eq!(status.get("observedSparseCheckout"), Some(&json!(["a"])));
    assert_eq!(status.get("observedInclude"), Some(&json!(null)));
    assert_eq!(report.requeue, None);
}

/// covers: SC-030, SC-091
#[test]
fn events_tell_of_new_artifacts_and_of_recovery() {
    let outcome = stored("test commit\n\nbody");
    let new = event("NewArtifact", "stored artifact for commit 'test commit'");
    assert_eq!(events(&object(None, None), &outcome), new);
    assert_eq!(
        events(&object(Some("sha256:old"), Some(FETCH_FAILED)), &outcome),
        new
    );
    let recovered = event("Succeeded", "stored artifact for commit 'test commit'");
    assert_eq!(
        events(&object(Some("sha256:new"), Some(FETCH_FAILED)), &outcome),
        recovered
    );
    assert_eq!(events(&object(Some("sha256:new"), None), &outcome), []);
    let unchanged = Outcome::Unchanged {
        artifact: artifact("sha256:new"),
        verified: None,
    };
    let words = format!("stored artifact for commit '{REVISION_TEXT}'");
    let recovered = event("Succeeded", &words);
    assert_eq!(
        events(
            &object(Some("sha256:new"), Some(STORAGE_OPERATION_FAILED)),
            &unchanged
        ),
        recovered
    );
    let note = report(&object(None, None), &outcome).notes.remove(0);
    assert_eq!(
        note.metadata["source.toolkit.fluxcd.io/revision"],
        REVISION_TEXT
    );
    assert_eq!(
        note.metadata["source.toolkit.fluxcd.io/digest"],
        "sha256:new"
    );
}

#[test]
fn run_without_change_is_told_only_where_someone_asked() {
    let unchanged = Outcome::Unchanged {
        artifact: artifact("sha256:new"),
        verified: None,
    };
    let mut object = object(Some("sha256:new"), None);
    assert_eq!(events(&object, &unchanged), []);
    let words =
        format!("no changes since last reconciliation: observed revision '{REVISION_TEXT}'");
    object.metadata.generation = Some(2);
    assert_eq!(
        events(&object, &unchanged),
        event("GitOperationSucceeded", &words)
    );
    object.metadata.generation = Some(1);
    let asked = (runtime::drive::REQUESTED_AT.to_owned(), "now".to_owned());
    object.metadata.annotations = Some([asked].into());
    assert_eq!(
        events(&object, &unchanged),
        event("GitOperationSucceeded", &words)
    );
    object.status.as_mut().unwrap().last_handled_reconcile_at = Some("now".into());
    assert_eq!(events(&object, &unchanged), []);
}

/// covers: SC-100
#[test]
fn commit_message_is_cut_to_one_short_line() {
    assert_eq!(short(""), "");
    assert_eq!(short("one\ntwo"), "one");
    let fifty = "ü".repeat(50);
    assert_eq!(short(&fifty), fifty);
    assert_eq!(short(&"ü".repeat(51)), format!("{fifty}..."));
}
