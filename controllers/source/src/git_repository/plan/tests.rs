use std::time::Duration;

use access::Address;
use api::meta::Time;
use api::source::{GitRepositorySpec, Include};
use net_http::Proxy;
use select::reference::Ref;

use super::*;

const COMMIT: &str = "5394cb7f48332b2de7c17dd8b8384bbc84b7e738";
const OTHER: &str = "94464c21d2412b626b461ae604b9baf3646ea3ae";

fn object() -> GitRepository {
    let spec = GitRepositorySpec {
        url: "https://host/x".into(),
        ..GitRepositorySpec::default()
    };
    let mut object = GitRepository::new("app", spec);
    object.status = Some(GitRepositoryStatus::default());
    object
}

fn artifact(revision: &str) -> Artifact {
    Artifact {
        path: "gitrepository/ns/app/x.tar.gz".into(),
        url: "http://host/x".into(),
        revision: revision.into(),
        digest: "sha256:1".into(),
        checksum: None,
        last_update_time: Time(jiff::Timestamp::UNIX_EPOCH),
        size: Some(1),
        metadata: std::collections::BTreeMap::new(),
    }
}

fn listing(refs: &[(&str, &str)]) -> Listing {
    let refs = refs.iter().map(|(name, object)| Ref {
        name: (*name).to_owned(),
        object: (*object).to_owned(),
        peeled: None,
    });
    let mut listing = Listing::default();
    listing.refs = refs.collect();
    listing
}

fn inputs(wanted: Wanted, listing: Option<Listing>, artifact: Option<Artifact>) -> Inputs {
    let address = Address::parse("https://u:s3cret@host/x").unwrap();
    let access = GitAccess::new(&address, None, Proxy::default()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(1);
    Inputs {
        wanted,
        access,
        artifact,
        included: Vec::new(),
        trust: None,
        listing,
        deadline,
    }
}

fn branch(name: &str) -> Wanted {
    Wanted {
        branch: Some(name.into()),
        ..Wanted::default()
    }
}

fn pin(commit: &str) -> Wanted {
    Wanted {
        commit: Some(commit.into()),
        ..Wanted::default()
    }
}

fn fetches(next: Next<Plan, Outcome>) -> Plan {
    match next {
        Next::Last(plan) => plan,
        other => panic!("{other:?}"),
    }
}

fn unchanged(next: Next<Plan, Outcome>) -> Artifact {
    match next {
        Next::Done(Outcome::Unchanged { artifact, .. }) => artifact,
        other => panic!("{other:?}"),
    }
}

#[test]
fn new_commit_is_fetched_by_what_the_server_lists() {
    let listing = listing(&[("refs/heads/main", COMMIT)]);
    let old = artifact(&format!("main@sha1:{OTHER}"));
    let plan = fetches(plan(&object(), inputs(branch("main"), Some(listing), Some(old))).unwrap());
    assert_eq!(plan.revision, format!("main@sha1:{COMMIT}"));
    assert_eq!(
        plan.want,
        Want::Listed {
            object: COMMIT.into(),
            commit: COMMIT.into()
        }
    );
}

/// covers: SC-067, SC-073
#[test]
fn same_revision_and_settings_change_nothing() {
    let listing = listing(&[("refs/heads/main", COMMIT)]);
    let current = artifact(&format!("main@sha1:{COMMIT}"));
    let next = plan(
        &object(),
        inputs(branch("main"), Some(listing), Some(current.clone())),
    );
    assert_eq!(unchanged(next.unwrap()), current);
}

/// covers: SC-069
#[test]
fn revision_of_before_1_0_is_kept_in_its_new_form() {
    let listing = listing(&[("refs/heads/staging", COMMIT)]);
    let old = artifact(&format!("staging/{COMMIT}"));
    let next = plan(
        &object(),
        inputs(branch("staging"), Some(listing), Some(old)),
    );
    assert_eq!(
        unchanged(next.unwrap()).revision,
        format!("staging@sha1:{COMMIT}")
    );
}

#[test]
fn fixed_commit_that_is_published_needs_no_listing() {
    let current = artifact(&format!("sha1:{COMMIT}"));
    let next = plan(&object(), inputs(pin(COMMIT), None, Some(current.clone())));
    assert_eq!(unchanged(next.unwrap()), current);
    assert!(pinned_is(&pin(COMMIT), &current.revision));
    assert!(!pinned_is(&pin(OTHER), &current.revision));
    assert!(!pinned_is(&branch("main"), &format!("main@sha1:{COMMIT}")));
}

/// covers: SC-068, SC-082
#[test]
fn changed_settings_make_the_artifact_anew() {
    let set: [fn(&mut GitRepositorySpec); 5] = [
        |spec| spec.ignore = Some(String::new()),
        |spec| spec.recurse_submodules = Some(true),
        |spec| spec.sparse_checkout = vec!["dir".into()],
        |spec| spec.include = vec![Include::default()],
        |spec| spec.ignore = Some("*.md".into()),
    ];
    for change in set {
        let mut object = object();
        change(&mut object.spec);
        assert!(settings_changed(&object), "{:?}", object.spec);
        let listing = listing(&[("refs/heads/main", COMMIT)]);
        let current = artifact(&format!("main@sha1:{COMMIT}"));
        let next = plan(
            &object,
            inputs(branch("main"), Some(listing), Some(current)),
        );
        fetches(next.unwrap());
    }
    let mut object = object();
    object.spec.sparse_checkout = vec!["a".into(), "./b".into()];
    object.spec.recurse_submodules = Some(false);
    let status = object.status.as_mut().unwrap();
    status.observed_sparse_checkout = vec!["a".into(), "./b".into()];
    assert!(!settings_changed(&object));
    object.spec.sparse_checkout[1] = "b".into();
    assert!(settings_changed(&object));
}

/// covers: SC-070, SC-092
#[test]
fn what_the_server_does_not_have_is_named() {
    let empty = listing(&[]);
    let other = listing(&[("refs/heads/other", COMMIT)]);
    let text = |wanted: Wanted, listing: &Listing| {
        let failure = plan(&object(), inputs(wanted, Some(listing.clone()), None)).unwrap_err();
        (failure.reason, failure.message)
    };
    let git = |words: &str| ("GitOperationFailed".to_owned(), words.to_owned());
    assert_eq!(
        text(branch("main"), &empty),
        (
            "EmptyGitRepository".to_owned(),
            "git repository is empty".to_owned()
        )
    );
    assert_eq!(
        text(branch("main"), &other),
        git(
            "failed to checkout and determine revision: unable to clone 'https://host/x': \
             couldn't find remote ref \"refs/heads/main\""
        )
    );
    let tag = Wanted {
        tag: Some("v1".into()),
        ..Wanted::default()
    };
    assert_eq!(
        text(tag, &empty),
        git(
            "failed to checkout and determine revision: unable to clone 'https://host/x': \
             couldn't find remote ref \"refs/tags/v1\""
        )
    );
    let range = Wanted {
        semver: Some(">=3".into()),
        ..Wanted::default()
    };
    assert_eq!(
        text(range, &other),
        git("failed to checkout and determine revision: no match found for semver: >=3")
    );
    let name = Wanted {
        name: Some("refs/heads/x".into()),
        ..Wanted::default()
    };
    assert_eq!(
        text(name, &other),
        git(
            "failed to checkout and determine revision: unable to resolve ref 'refs/heads/x' \
             to a specific commit"
        )
    );
}

/// covers: SC-080
#[test]
fn other_included_artifacts_make_the_artifact_anew() {
    let mut object = object();
    let [one, two] = ["main@sha1:1", "main@sha1:2"].map(artifact);
    object.status.as_mut().unwrap().included_artifacts = vec![one.clone(), two.clone()];
    let changed = |included: &[Artifact]| includes_changed(&object, included);
    assert!(!changed(&[one.clone(), two.clone()]));
    assert!(changed(&[two.clone(), one.clone()]));
    assert!(changed(std::slice::from_ref(&one)));
    assert!(changed(&[]));
    let other_digest = Artifact {
        digest: "sha256:2".into(),
        ..two
    };
    assert!(changed(&[one, other_digest]));
}
