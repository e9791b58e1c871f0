//! What goes wrong on the way to a commit: a condition and an event that name the cause, and no credential anywhere.

use std::time::{Duration, Instant};

use testkit::{Credentials, Fault, GitServer};

use crate::bench::{Bench, artifact, condition, spec, with_secret};

const PASSWORD: &str = "s3cret-pa55word";

impl Bench {
    /// Fails where a credential shows in anything that people can see.
    async fn no_credential_shows(&self, name: &str) {
        let object = self.objects().get(name).await.unwrap();
        let status = serde_json::to_string(&object.status).unwrap();
        let metrics = self.controller.metrics().await.unwrap();
        let log = self.controller.log().unwrap();
        let events = self.events(name).await.join("\n");
        for (place, text) in [
            ("status", status),
            ("metrics", metrics),
            ("log", log),
            ("events", events),
        ] {
            for form in [
                PASSWORD,
                "czNjcmV0LXBhNTV3b3Jk",
                "dXNlcjpzM2NyZXQtcGE1NXdvcmQ",
            ] {
                assert!(
                    !text.contains(form),
                    "a credential shows in the {place}: {text}"
                );
            }
        }
    }
}

#[tokio::test]
async fn unknown_host_is_named_in_condition_and_event() {
    let bench = Bench::start(testkit::control_plane().await).await;
    let url = format!("http://user:{PASSWORD}@no-such-host.invalid/app.git");
    bench.create("app", spec(&url)).await;
    let message = bench.fails("app", "GitOperationFailed").await;
    let start = "failed to checkout and determine revision: unable to clone \
                 'http://no-such-host.invalid/app.git': cannot connect to no-such-host.invalid: ";
    assert!(message.starts_with(start), "{message}");
    bench
        .event("app", &format!("Warning GitOperationFailed {start}"))
        .await;
    bench.no_credential_shows("app").await;
}

/// covers: SC-006, SC-016
#[tokio::test]
async fn wrong_credentials_are_told_and_right_ones_help() {
    let (bench, repository, id) = Bench::with_commit().await;
    bench.server.demand(Some(Credentials::Basic {
        user: "user".into(),
        password: "right".into(),
    }));
    bench
        .secret("wrong", &[("username", "user"), ("password", PASSWORD)])
        .await;
    bench
        .secret("right", &[("username", "user"), ("password", "right")])
        .await;
    bench
        .create("app", with_secret(repository.url(), "wrong"))
        .await;
    let message = bench.fails("app", "GitOperationFailed").await;
    let url = repository.url();
    assert_eq!(
        message,
        format!(
            "failed to checkout and determine revision: unable to clone '{url}': \
             authentication required: credentials, please"
        )
    );
    bench.event("app", "authentication required").await;
    let object = bench.objects().get("app").await.unwrap();
    assert_eq!(
        object.status.as_ref().unwrap().observed_generation,
        Some(-1)
    );
    assert_eq!(
        condition(&object, "Reconciling").unwrap().reason,
        "ProgressingWithRetry"
    );
    bench.no_credential_shows("app").await;

    let patch = serde_json::json!({ "spec": { "secretRef": { "name": "right" } } });
    bench.patch("app", patch).await;
    bench.ready("app", &format!("main@sha1:{id}")).await;
    let bearer = Credentials::Bearer(PASSWORD.into());
    bench.server.demand(Some(bearer));
    bench.secret("bearer", &[("bearerToken", PASSWORD)]).await;
    let patch = serde_json::json!({ "spec": { "secretRef": { "name": "bearer" } } });
    bench.patch("app", patch).await;
    bench.ready("app", &format!("main@sha1:{id}")).await;
    bench.no_credential_shows("app").await;
}

/// covers: SC-061
#[tokio::test]
async fn missing_secret_is_named() {
    let bench = Bench::start(testkit::control_plane().await).await;
    bench
        .create("app", with_secret("http://127.0.0.1:1/x.git", "gone"))
        .await;
    let message = bench.fails("app", "AuthenticationFailed").await;
    let full = format!("'{}/gone'", bench.namespace.name());
    assert_eq!(
        message,
        format!(
            "failed to get secret {full}: failed to get secret {full}: secrets \"gone\" not found"
        )
    );
    let bad_ca = [("ca.crt", "no certificate")];
    bench.secret("gone", &bad_ca).await;
    bench.reconcile("app").await;
    let message = bench.fails("app", "GitOperationFailed").await;
    assert!(message.contains("x509: "), "{message}");
}

/// covers: SC-022, SC-092
#[tokio::test]
async fn vanished_repository_keeps_the_last_artifact() {
    let (bench, repository, id) = Bench::with_commit().await;
    bench.create("app", spec(repository.url())).await;
    let published = bench.ready("app", &format!("main@sha1:{id}")).await;
    repository.vanish().unwrap();
    let object = bench.reconcile("app").await;
    let failed = condition(&object, "FetchFailed").unwrap();
    let url = repository.url();
    assert_eq!(
        failed.message,
        format!(
            "failed to checkout and determine revision: unable to list remote for '{url}': \
             repository not found: "
        )
    );
    assert_eq!(condition(&object, "Ready").unwrap().status, "False");
    assert_eq!(
        condition(&object, "ArtifactInStorage").unwrap().status,
        "True"
    );
    assert_eq!(artifact(&object), Some(&published));
    assert_eq!(bench.files(&published).await, ["a"]);
    bench
        .event("app", "Warning GitOperationFailed failed to checkout")
        .await;
}

/// covers: SC-092
#[tokio::test]
async fn missing_branch_is_named_and_found_once_it_is_there() {
    let (bench, repository) = Bench::with_repository().await;
    repository
        .commit("other", "first")
        .write("a", "1")
        .push()
        .unwrap();
    bench.create("app", spec(repository.url())).await;
    let message = bench.fails("app", "GitOperationFailed").await;
    assert!(
        message.ends_with("couldn't find remote ref \"refs/heads/main\""),
        "{message}"
    );
    let id = repository
        .commit("main", "second")
        .write("a", "2")
        .push()
        .unwrap();
    bench.ready("app", &format!("main@sha1:{id}")).await;
    let object = bench.objects().get("app").await.unwrap();
    assert!(condition(&object, "FetchFailed").is_none());
}

/// covers: SC-070
#[tokio::test]
async fn empty_repository_is_told() {
    let (bench, repository) = Bench::with_repository().await;
    bench.create("app", spec(repository.url())).await;
    assert_eq!(
        bench.fails("app", "EmptyGitRepository").await,
        "git repository is empty"
    );
}

#[tokio::test]
async fn server_that_hangs_or_cuts_off_is_bounded_and_forgiven() {
    let (bench, repository, id) = Bench::with_commit().await;
    bench.server.fail(Some(Fault::Hang));
    let mut short = spec(repository.url());
    short.timeout = Some("1s".parse().unwrap());
    bench.create("app", short).await;
    let message = bench.fails("app", "GitOperationFailed").await;
    assert!(
        message.ends_with("timed out while listing references"),
        "{message}"
    );
    bench.server.fail(Some(Fault::CutPack(30)));
    // From here on the machine may be as slow as it likes.
    let patch = serde_json::json!({ "spec": { "timeout": "1m" } });
    bench.patch("app", patch).await;
    bench
        .wait("app", "a cut pack", |object| {
            condition(object, "FetchFailed")
                .is_some_and(|failed| !failed.message.contains("timed out"))
        })
        .await;
    bench.server.fail(None);
    bench.reconcile("app").await;
    bench.ready("app", &format!("main@sha1:{id}")).await;
}

#[tokio::test]
async fn refusals_of_a_server_are_named_and_leave_the_artifact_served() {
    let (bench, repository, id) = Bench::with_commit().await;
    bench.create("app", spec(repository.url())).await;
    let revision = format!("main@sha1:{id}");
    let published = bench.ready("app", &revision).await;
    for (status, words) in [
        (401, "authentication required"),
        (403, "authorization failed"),
        (404, "repository not found"),
        (429, "429 Too Many Requests"),
        (500, "500 Internal Server Error"),
        (503, "503 Service Unavailable"),
    ] {
        bench.server.fail(Some(Fault::Status(status)));
        let object = bench.reconcile("app").await;
        let failed = condition(&object, "FetchFailed").unwrap();
        assert_eq!(failed.reason, "GitOperationFailed", "{status}");
        assert!(failed.message.contains(words), "{}", failed.message);
        assert_eq!(artifact(&object), Some(&published), "{status}");
        assert_eq!(bench.files(&published).await, ["a"], "{status}");
    }
    bench.server.fail(None);
    bench.reconcile("app").await;
    assert_eq!(bench.ready("app", &revision).await, published);
}

#[tokio::test]
async fn new_spec_and_deletion_do_not_wait_for_a_server_that_hangs() {
    let (bench, repository, id) = Bench::with_commit().await;
    let stuck = GitServer::start().unwrap();
    stuck.fail(Some(Fault::Hang));
    let asked = async || {
        while stuck.request_count() == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stuck.forget_requests();
    };
    let elsewhere = format!("{}/app.git", stuck.url());
    let mut patient = spec(&elsewhere);
    patient.timeout = Some("10m".parse().unwrap());
    bench.create("app", patient).await;
    asked().await;
    let started = Instant::now();
    let patch = serde_json::json!({ "spec": { "url": repository.url() } });
    bench.patch("app", patch).await;
    bench.ready("app", &format!("main@sha1:{id}")).await;

    let patch = serde_json::json!({ "spec": { "url": elsewhere } });
    bench.patch("app", patch).await;
    asked().await;
    bench
        .objects()
        .delete("app", &kube::api::DeleteParams::default())
        .await
        .unwrap();
    while bench.objects().get_opt("app").await.unwrap().is_some() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(
        started.elapsed() < Duration::from_mins(5),
        "the timeout is ten minutes"
    );
}

/// covers: SC-055
#[tokio::test]
async fn authority_and_client_certificate_come_from_the_secret() {
    let server = GitServer::start_mutual_tls().unwrap();
    let bench = Bench::start_with(testkit::control_plane().await, server).await;
    let repository = bench.server.repository("app").unwrap();
    let id = repository
        .commit("main", "first")
        .write("a", "1")
        .push()
        .unwrap();
    bench.create("app", spec(repository.url())).await;
    let message = bench.fails("app", "GitOperationFailed").await;
    assert!(
        message.contains("x509: certificate signed by unknown authority"),
        "{message}"
    );
    let authority = bench.server.authority().unwrap();
    let person = authority.client("someone", None).unwrap();
    let pairs = [
        ("ca.crt", authority.pem()),
        ("tls.crt", person.certificate),
        ("tls.key", person.key),
    ];
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(key, value)| (*key, value.as_str()))
        .collect();
    bench.secret("tls", &pairs).await;
    let patch = serde_json::json!({ "spec": { "secretRef": { "name": "tls" } } });
    bench.patch("app", patch).await;
    bench.ready("app", &format!("main@sha1:{id}")).await;
}

/// covers: SC-064
#[tokio::test]
async fn identities_are_refused_for_other_servers_and_behind_a_closed_gate() {
    let bench = Bench::start(testkit::control_plane().await).await;
    let mut spec = spec("https://github.com/org/repository");
    spec.provider = Some(api::source::GitProvider::Aws);
    bench.create("app", spec).await;
    assert_eq!(
        bench.fails("app", "AuthenticationFailed").await,
        "failed to configure authentication options: invalid AWS CodeCommit Git URL: github.com"
    );
    let patch = serde_json::json!({ "spec": { "serviceAccountName": "other" } });
    bench.patch("app", patch).await;
    assert_eq!(
        bench.fails("app", "FeatureGateDisabled").await,
        "to use spec.serviceAccountName for provider authentication please enable the \
         ObjectLevelWorkloadIdentity feature gate in the controller"
    );
    let object = bench.objects().get("app").await.unwrap();
    assert_eq!(condition(&object, "Stalled").unwrap().status, "True");
    assert_eq!(object.status.unwrap().observed_generation, Some(2));
}
